"""With shared rows every local minimum of the linear problem is global (Section 2.4 of [wu2020understanding]).

Checked from a random start by two local searches over B (d, r) and A (K, r), each against the closed form of Proposition 3:

    by alternation: B = S^-1 b A (A'A)^-1 and A = b'B (B'SB)^-1 in turn;     by descent: plain gradient steps on the sum of squares

with S = X'X (d, d) and b = X'Y (d, K), weights absorbed. Only a search that has ended at a minimum says something: neither the best
heads of its layer nor the best layer of its heads may lower the sum of squares, and as alternation is power iteration, the
modes on either side of the rank must be apart for it to end in its rounds. For rows that differ between tasks the claim is
false: see `local_minima_different`.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular

from mtlsim.cells.transfer import Transfer
from mtlsim.core.extremes import largest_of
from mtlsim.core.keys import normal, stream
from mtlsim.core.linalg import multiply, solve_positive
from mtlsim.solvers.objective import absorb
from mtlsim.solvers.solution import penalised_loss
from mtlsim.tasks.covariance import PowerLaw
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.draws import moments_of, weights_of
from mtlsim.theory.statement import INSIDE, Cells, Statement, tasks_of
from mtlsim.theory.statements.proposition_3 import least_loss

ROUNDS = 60
STEPS = 1200
REST = 1e-10  # of the sum of squares


def heads_of(moments, layer):
    """The best heads (K, r) of a layer."""
    inner = multiply(layer.T, moments.gram, layer)
    return solve_positive(inner, multiply(layer.T, moments.cross.T)).T


def layer_of(moments, heads):
    """The best layer (d, r) of given heads."""
    free = solve_positive(moments.gram, multiply(moments.cross.T, heads))
    return solve_positive(multiply(heads.T, heads), free.T).T


def alternate(moments, layer):
    """Layer and heads after `ROUNDS` of exact layers and heads in turn."""
    update = lambda _, layer: jnp.linalg.qr(layer_of(moments, heads_of(moments, layer)))[0]
    layer = jax.lax.fori_loop(0, ROUNDS, update, jnp.linalg.qr(layer)[0])
    return layer, heads_of(moments, layer)


def descend(moments, layer, heads, step):
    """Layer and heads after `STEPS` gradient steps on half the sum of squares."""

    def update(_, state):
        layer, heads = state
        slopes = multiply(multiply(heads, layer.T), moments.gram) - moments.cross
        return layer - step * multiply(slopes.T, heads), heads - step * multiply(slopes, layer)

    return jax.lax.fori_loop(0, STEPS, update, (layer, heads))


def search(cell, key):
    """The problem without its weights, and layer and heads where each of both searches ends, {name: (layer, heads)}."""
    moments = moments_of(cell, key)
    problem = absorb(moments, weights_of(cell, moments), jnp.zeros(moments.n_tasks))
    layer = normal(stream(key, "layer"), (moments.n_features, cell.rank))
    heads = normal(stream(key, "heads"), (moments.n_tasks, cell.rank))
    descent = descend(problem, 0.5 * layer, 0.5 * heads, 0.4 / jnp.trace(moments.gram))
    return problem, {"loss_by_alternation": alternate(problem, layer), "loss_by_descent": descent}


def loss_at(problem, layer, heads):
    return jnp.sum(penalised_loss(problem, multiply(heads, layer.T)))


def still_to_go(problem, layer, heads):
    """By what share the best heads of the layer, or the best layer of the heads, lower the sum of squares."""
    loss = loss_at(problem, layer, heads)
    better = jnp.minimum(loss_at(problem, layer, heads_of(problem, layer)), loss_at(problem, layer_of(problem, heads), heads))
    return (loss - better) / jnp.where(loss > 0, loss, 1)


def distance_of_modes(problem, rank):
    """The log of sigma_r over sigma_(r + 1), the singular values of S^(-1/2) b; infinite where no mode is left out."""
    values = jnp.linalg.svd(solve_triangular(jnp.linalg.cholesky(problem.gram), problem.cross.T, lower=True), compute_uv=False)
    return jnp.log(values[rank - 1] / values[rank]) if rank < len(values) else jnp.asarray(jnp.inf)


def assume(cell, key):
    tasks = tasks_of(cell, key)
    problem, found = search(cell, key)
    return {
        "searches that have come to rest": REST - largest_of(jnp.stack([still_to_go(problem, *end) for end in found.values()])),
        "modes apart for alternation to end": distance_of_modes(problem, cell.rank) + jnp.log(REST) / (2 * ROUNDS),
        "all tasks are labels on the same rows": jnp.asarray(0.5 if tasks.shared_covariates else -0.5),
        "as many rows as features": tasks.n_samples[0] - tasks.n_features + 0.5,
    }


def predict(cell, key):
    moments = moments_of(cell, key)
    loss = least_loss(moments.gram, moments.cross, moments.energy, weights_of(cell, moments), cell.rank)
    return {"loss_by_alternation": loss, "loss_by_descent": loss}


def measure(cell, key):
    problem, found = search(cell, key)
    return {name: loss_at(problem, *end) for name, end in found.items()}


def instance(place: str, rng: np.random.Generator) -> Transfer:
    d, n_tasks, rank = 5, 3, int(rng.integers(1, 3))
    left, right = (np.linalg.qr(rng.normal(size=(size, n_tasks)))[0] for size in (n_tasks, d))
    tasks = LinearTasks(
        n_features=d,
        n_samples=(int(rng.integers(150, 300)),) * n_tasks,
        noise=rng.uniform(0.1, 0.5, n_tasks).tolist(),
        parameters=left * rng.uniform(0.9, 1.1, n_tasks) * [3.0, 1.5, 0.5] @ right.T,
        design=PowerLaw(float(rng.uniform(0, 0.5))),
        shared_covariates=True,
    )
    return Transfer(tasks, rank=rank, weights=tuple(rng.uniform(0.8, 1.25, n_tasks).tolist()))


STATEMENT = Statement(
    name="local-minima-shared",
    claim="With shared rows all local minima are global: local searches from random starts reach one loss.",
    source=("wu2020understanding",),
    kind="identity",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    cells=Cells(sharing="hard", same_rows=True, weights=True, target=True),
    places=(INSIDE,),
    says=("Proposition 3 can be extended to show that all local minima of equation 3 are global minima in the linear setting."),
    proves="Proposition 3, on the same rows for all tasks.",
    inferred=(
        "One of two readings: in the setting of Proposition 3, the same rows for all tasks. This one is true; for the "
        "other see local-minima-different."
    ),
)
