"""Proposition 1 [wu2020understanding]: with as many columns as tasks, sharing a layer need not cost anything, nor can it gain.

For rank r >= K tasks, B = [theta_1 .. theta_K 0 ..] with A_i = e_i is optimal, theta_i = (X_i'X_i)^-1 X_i'y_i, and

    min over B (d, r), A (K, r) of  sum_i w_i |X_i B A_i - y_i|^2  =  sum_i w_i (y_i'y_i - b_i' S_i^-1 b_i),

S_i = X_i'X_i (d, d), b_i = X_i'y_i (d,). Where every S_i is invertible all optima have these parameters. With r < K (the outside
instances) the loss is higher. Measured besides the solver: what a search over B and A reaches from random heads, by least squares
on rows. With fewer rows than features the statement does not constrain training: see `small_start`.
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.transfer import Transfer
from mtlsim.core.extremes import smallest_of
from mtlsim.core.keys import normal, stream
from mtlsim.core.linalg import multiply
from mtlsim.solvers.solution import penalised_loss
from mtlsim.solvers.solve import solve
from mtlsim.tasks.covariance import PowerLaw
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.draws import moments_of, rows_of, weights_of
from mtlsim.theory.margins import keeps_digits, loss_stands_out
from mtlsim.theory.statement import EDGE, INSIDE, OUTSIDE, Cells, Statement, tasks_of

ROUNDS = 2  # the first reaches the optimum where the random heads are independent


def assume(cell, key):
    tasks, moments = tasks_of(cell, key), moments_of(cell, key)
    labels = multiply(weights_of(cell, moments), moments.energy)
    return {
        "a layer of at least as many columns as tasks": jnp.asarray(cell.rank - tasks.n_tasks + 0.5),
        "as many rows as features in every task": smallest_of(tasks.n_samples) - tasks.n_features + 0.5,
        "systems that keep their digits": keeps_digits(moments.gram),
        "labels that are not explained to their last digits": loss_stands_out(predict(cell, key)["loss"], labels),
    }


def predict(cell, key):
    tasks, moments = tasks_of(cell, key), moments_of(cell, key)
    tasks_apart = [moments[i] for i in range(moments.n_tasks)]
    own = jnp.stack([jnp.linalg.solve(one.gram, one.cross) for one in tasks_apart])
    left = moments.energy - jnp.sum(moments.cross * own, -1)
    loss = multiply(weights_of(cell, moments), left)
    return {
        "loss": loss,
        "loss_of_layer": loss,
        "loss_of_search": loss,
        "risk_multi": tasks.excess_risk(own[cell.target], cell.target),
    }


def measure(cell, key):
    """The solver's loss, the loss at its layer times its heads, the least loss that a search reaches, and the target's risk."""
    tasks, moments = tasks_of(cell, key), moments_of(cell, key)
    solution = solve(moments, cell.rank, cell.weights, key=stream(key, "solver"))
    parameters = multiply(solution.heads, solution.shared.T)
    reached = multiply(weights_of(cell, moments), penalised_loss(moments, parameters))
    searched = search(moments, cell.rank, weights_of(cell, moments), stream(key, "search"))
    return {
        "loss": solution.loss,
        "loss_of_layer": reached,
        "loss_of_search": searched,
        "risk_multi": tasks.excess_risk(parameters[cell.target], cell.target),
    }


def search(moments, rank, weights, key):
    """The loss after `ROUNDS` of layers given heads and heads given the layer, by least squares on rows, from random heads."""
    rows, labels, beside = rows_of(moments)
    scales = jnp.sqrt(weights)[:, None]
    rows, labels = jnp.broadcast_to(rows, (len(weights), *rows.shape[-2:])) * scales[..., None], labels * scales
    n_tasks, d = labels.shape
    heads = normal(key, (n_tasks, rank))
    for _ in range(ROUNDS):
        lifted = jnp.einsum("kmd,kr->kmdr", rows, heads, precision="highest").reshape(n_tasks * d, d * rank)
        layer = jnp.linalg.lstsq(lifted, labels.reshape(-1))[0].reshape(d, rank)
        seen = multiply(rows, layer)
        heads = jnp.stack([jnp.linalg.lstsq(seen[i], labels[i])[0] for i in range(n_tasks)])
    missed = labels - jnp.einsum("kmr,kr->km", seen, heads, precision="highest")
    return jnp.sum(missed**2) + multiply(weights, beside)


def instance(place: str, rng: np.random.Generator) -> Transfer:
    d, n_tasks, rank = (6, 2, 2) if place == OUTSIDE or rng.random() < 0.5 else (5, 3, 4)
    fewest = d + 3 if place == EDGE else d + 6  # with one row more than features a loss may be as small as its rounding
    tasks = LinearTasks(
        n_features=d,
        n_samples=tuple(int(n) for n in rng.integers(fewest, fewest + (1 if place == EDGE else 60), n_tasks)),
        cosine=rng.uniform(-1, 1, n_tasks - 1).tolist(),
        noise=rng.uniform(0.3, 2, n_tasks).tolist(),
        parameter_norm=rng.uniform(0.5, 2, n_tasks).tolist(),
        design=PowerLaw(float(rng.uniform(0, 1))),
        relation="disjoint",
    )
    return Transfer(tasks, rank=1 if place == OUTSIDE else rank, weights=tuple(rng.uniform(0.3, 3, n_tasks).tolist()))


STATEMENT = Statement(
    name="proposition-1",
    claim="With a layer of at least as many columns as tasks, an optimum keeps every task's own least-squares solution.",
    source=("wu2020understanding",),
    kind="identity",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    cells=Cells(sharing="hard", weights=True, target=True),
    places=(INSIDE, EDGE, OUTSIDE),
    says="With at least as many columns as tasks there is no transfer between any two tasks.",
    proves="Its proposition asserts only that an optimum exists whose parameters are every task's own.",
    inferred=(
        "With as many rows as features in every task the optimum's parameters are unique, so that the solver must find them."
    ),
    predicts=("loss", "loss_of_layer", "loss_of_search", "risk_multi"),
)
