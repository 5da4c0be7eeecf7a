"""One draw of networks learned alone and together: hidden units shared by all tasks, a head for each."""

from typing import TYPE_CHECKING

import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from mtlsim.core.keys import stream
from mtlsim.core.linalg import multiply
from mtlsim.core.status import Certificate, worst
from mtlsim.samples.data import colour, draw_entries, draw_rows
from mtlsim.solvers.gradient import Training, solve_network
from mtlsim.solvers.network import Network, activate
from mtlsim.solvers.objective import per_task
from mtlsim.tasks.relu import ReluPopulation
from mtlsim.transfer.draw import TransferDraw

if TYPE_CHECKING:
    from mtlsim.transfer.cell import Transfer

N_HELD_OUT = 4096  # fresh rows for the risk where they are not Gaussian


def compare_networks(tasks: ReluPopulation, cell: "Transfer", key: Key[Array, ""]) -> TransferDraw:
    """The target learned alone and with the other tasks, by the same training from the same kinds of starts."""
    rows, target = draw_rows(tasks, key=stream(key, "samples")), range(tasks.n_tasks)[cell.target]
    training = cell.training or Training()
    dtype = rows.X.dtype
    ridge = per_task(cell.ridge, 0.0, tasks.n_tasks, "ridge", dtype)
    together = Network(per_task(cell.weights, 1.0, tasks.n_tasks, "weights", dtype), ridge, "relu", "squared")
    alone = Network(jnp.ones(1, dtype), ridge[target : target + 1], "relu", "squared")
    single = solve_network(alone, rows[target : target + 1], cell.rank, training, stream(key, "solver alone"))
    multi = solve_network(together, rows, cell.rank, training, stream(key, "solver"))
    risk_single = measured_risk(tasks, single.shared, single.heads[0], target, key)
    risk_multi = measured_risk(tasks, multi.shared, multi.heads[target], target, key)
    return TransferDraw(
        risk_single - risk_multi,
        risk_single,
        risk_multi,
        multi.spread,
        jnp.full((), int(Certificate.none), jnp.int32),
        worst(tasks.status, single.status, multi.status),
        training.optimiser,
    )


def measured_risk(
    tasks: ReluPopulation, shared: Float[Array, "d r"], head: Float[Array, " r"], target: int, key
) -> Float[Array, ""]:
    """Excess risk on the target: exact for Gaussian rows, on held-out ones (the same for both sides) elsewhere."""
    if tasks.rows == "gaussian":
        return tasks.excess_risk(shared, head, target)
    entries = draw_entries(tasks.stream(key, "held out", target), tasks.rows, N_HELD_OUT, tasks.n_features)
    X = colour(tasks.covariances[target], entries)
    unit = Network(jnp.ones(1), jnp.zeros(1), "relu", "squared")
    truth = tasks.label(target, multiply(X, tasks.parameters[target]), jnp.zeros(N_HELD_OUT))
    return jnp.mean((multiply(activate(unit, multiply(X, shared)), head) - truth) ** 2)
