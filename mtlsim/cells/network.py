"""One draw of networks learned alone and together: hidden units shared by all tasks, a head for each."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from mtlsim.cells.draw import TransferDraw
from mtlsim.core.keys import stream
from mtlsim.core.linalg import multiply
from mtlsim.core.status import Certificate, Status, status_of
from mtlsim.samples.data import Rows, colour, draw_entries, draw_rows
from mtlsim.solvers.network import Network
from mtlsim.solvers.objective import per_task
from mtlsim.tasks.classification import ClassificationPopulation
from mtlsim.tasks.recipe import Tasks
from mtlsim.tasks.relu import ReluPopulation
from mtlsim.training.network import NetworkSolution, Training, solve_network

N_HELD_OUT = 4096  # rows for the risk where it is not known exactly
LOGISTIC_RIDGE = 1e-3  # unless one is given: separable labels would send the weights to infinity
NetworkTasks = ReluPopulation | ClassificationPopulation


@runtime_checkable
class FitsNetworks(Protocol):
    """What a cell that compares networks says of them: see `mtlsim.Transfer`."""

    rank: int
    target: int
    weights: Any
    ridge: Any
    training: Training | None
    loss_fitted: str
    route: str


def fit_networks(tasks: NetworkTasks, cell: FitsNetworks, key: Key[Array, ""]) -> tuple[Rows, NetworkSolution, NetworkSolution]:
    """The rows of all tasks, and what is learned from the target's alone and from all, by the same training."""
    rows, target = draw_rows(tasks, key=stream(key, "samples")), range(tasks.n_tasks)[cell.target]
    training, dtype = cell.training or Training(), rows.X.dtype
    ridge = per_task(cell.ridge, LOGISTIC_RIDGE if cell.loss_fitted == "logistic" else 0.0, tasks.n_tasks, "ridge", dtype)
    together = Network(per_task(cell.weights, 1.0, tasks.n_tasks, "weights", dtype), ridge, tasks.activation, cell.loss_fitted)
    alone = Network(jnp.ones(1, dtype), ridge[target : target + 1], tasks.activation, cell.loss_fitted)
    single = solve_network(alone, rows[target : target + 1], cell.rank, training, stream(key, "solver alone"))
    return rows, single, solve_network(together, rows, cell.rank, training, stream(key, "solver"))


def compare_networks(tasks: NetworkTasks, cell: FitsNetworks, key: Key[Array, ""]) -> TransferDraw:
    """The target learned alone and with the other tasks."""
    _, single, multi = fit_networks(tasks, cell, key)
    target = range(tasks.n_tasks)[cell.target]
    unknown = lambda solution: jnp.where(solution.status == Status.degenerate, jnp.nan, 0.0)
    risk_single = measured_risk(tasks, single.shared, single.heads[0], target, key) + unknown(single)
    risk_multi = measured_risk(tasks, multi.shared, multi.heads[target], target, key) + unknown(multi)
    gain = risk_single - risk_multi
    return TransferDraw(
        gain,
        risk_single,
        risk_multi,
        *2 * [jnp.zeros_like(risk_single)],
        multi.spread,
        jnp.full((), int(Certificate.none), jnp.int32),
        status_of(gain, tasks.status, single.status, multi.status),
        cell.route,
    )


def measured_risk(
    tasks: NetworkTasks, shared: Float[Array, "d r"], head: Float[Array, " r"], target: int, key: Key[Array, ""]
) -> Float[Array, ""]:
    """Excess risk on the target, for labels -1 and 1 the share of rows decided wrongly (`excess_error`).

    Exact for Gaussian rows (and a single unit, if ReLU units decide), elsewhere on rows held out, which are the same for both
    sides and new in every draw, so that an interval over draws covers their error too.
    """
    regression, bent = isinstance(tasks, ReluPopulation), tasks.activation == "relu"
    if tasks.rows == "gaussian" and regression:
        return tasks.excess_risk(shared, head, target)
    if tasks.rows == "gaussian" and not bent:
        return tasks.excess_error(multiply(shared, head), target)
    if tasks.rows == "gaussian" and head.shape == (1,):  # a head that is not positive calls every row -1
        return jnp.where(head[0] > 0, tasks.excess_error(shared[:, 0], target), 0.5)
    unit = jax.nn.relu if bent else lambda scores: scores
    learn = lambda X: multiply(unit(multiply(X, shared)), head)
    if regression:
        return held_out_risk(tasks, learn, target, key)
    X, scores = _held_out(tasks, target, key)
    wrong = (scores > 0) & (learn(X) <= 0) if bent else (learn(X) > 0) != (scores > 0)
    return jnp.mean(wrong)


def held_out_risk(tasks: Tasks, learned: Callable, target: int, key: Key[Array, ""]) -> Float[Array, ""]:
    """Mean of (learned(X) - labels without noise)^2 on rows held out: excess risk where it is known in no other way."""
    X, scores = _held_out(tasks, target, key)
    return jnp.mean((learned(X) - tasks.signal(target, scores)) ** 2)


def _held_out(tasks: Tasks, target: int, key: Key[Array, ""]) -> tuple[Float[Array, "m d"], Float[Array, " m"]]:
    """New rows of the target, and their scores."""
    entries = draw_entries(tasks.stream(key, "held out", target), tasks.rows, N_HELD_OUT, tasks.n_features)
    X = colour(tasks.covariances[target], entries)
    return X, multiply(X, tasks.parameters[target])
