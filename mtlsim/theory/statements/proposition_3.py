"""Proposition 3 [wu2020understanding]: labels on the same rows X = U D V' of rank d, any rank r <= K, any task weights w_i.

The best layer's columns span (X'X)^-1 V D Q_r, Q_r the top r eigenvectors of sum_i w_i U'y_i y_i'U, and with sigma_j the singular
values of U'Y diag(w)^1/2, Y (m, K),

    loss = sum_{j > r} sigma_j^2 + sum_i w_i (|y_i|^2 - |U'y_i|^2).

In moments: L^-1 b diag(w)^1/2 with X'X = L L' and b = X'Y (d, K) has the same singular values, and its right singular vectors q
give the span as (X'X)^-1 b diag(w)^1/2 q: the strongest r combinations of the tasks' own solutions.
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.transfer import Transfer
from mtlsim.core.keys import stream
from mtlsim.core.linalg import cholesky, multiply, solve_lower, solve_upper
from mtlsim.similarity import principal_angles
from mtlsim.solvers.solve import solve
from mtlsim.tasks.covariance import PowerLaw
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.draws import moments_of, rows_of, weights_of
from mtlsim.theory.margins import keeps_digits, loss_stands_out, stands_apart
from mtlsim.theory.statement import EDGE, INSIDE, OUTSIDE, Cells, Statement, tasks_of


def best_layer(gram, cross, weights, rank):
    """Columns that span the best layer (d, rank), from X'X (d, d), X'Y transposed (K, d) and task weights (K,)."""
    root = cholesky(gram)
    sides = solve_lower(root, cross.T) * jnp.sqrt(weights)
    combinations = jnp.linalg.svd(sides, full_matrices=False)[2][:rank].T
    return solve_upper(root, multiply(sides, combinations))


def strengths_of(gram, cross, weights):
    """Singular values of the tasks' own solutions (min(d, K),), in the metric of X'X."""
    return jnp.linalg.svd(solve_lower(cholesky(gram), cross.T) * jnp.sqrt(weights), compute_uv=False)


def least_loss(gram, cross, energy, weights, rank):
    """The loss at the best layer: the energy beside the range of X and the singular values past the rank."""
    sides = solve_lower(cholesky(gram), cross.T)
    beside = multiply(weights, energy - jnp.sum(sides**2, 0))
    return beside + jnp.sum(strengths_of(gram, cross, weights)[rank:] ** 2)


def layer_from_rows(rows, labels, weights, rank):
    """The best layer (d, rank) by a QR of the rows (m, d) and labels (m, K) alone: no square is formed."""
    basis, triangle = jnp.linalg.qr(rows)
    sides = multiply(basis.T, labels) * jnp.sqrt(weights)
    left = jnp.linalg.svd(sides, full_matrices=False)[0][:, :rank]
    return solve_upper(triangle.T, left)


def assume(cell, key):
    tasks, moments = tasks_of(cell, key), moments_of(cell, key)
    weights = weights_of(cell, moments)
    return {
        "all tasks are labels on the same rows": jnp.asarray(0.5 if tasks.shared_covariates else -0.5),
        "as many rows as features": tasks.n_samples[0] - tasks.n_features + 0.5,
        "no more columns than tasks": jnp.asarray(tasks.n_tasks - cell.rank + 0.5),
        "a system that keeps its digits": keeps_digits(moments.gram),
        "labels that are not explained to their last digits": loss_stands_out(
            predict(cell, key)["loss"], multiply(weights, moments.energy)
        ),
        "combinations stronger than the next": stands_apart(strengths_of(moments.gram, moments.cross, weights), cell.rank),
    }


def predict(cell, key):
    moments = moments_of(cell, key)
    weights = weights_of(cell, moments)
    enough = moments.n_samples[0] >= moments.n_features
    gram = jnp.where(enough, moments.gram, jnp.eye(moments.n_features))
    loss = least_loss(gram, moments.cross, moments.energy, weights, cell.rank)
    unknown = jnp.where(enough, 0.0, jnp.nan)
    return {"loss": loss + unknown, "cosine_of_spans": 1 + unknown}


def measure(cell, key):
    """On rows: the solver's loss, and the cosine of the largest angle between its layer and the one of the rows' own QR."""
    moments = moments_of(cell, key)
    weights, (rows, labels, beside) = weights_of(cell, moments), rows_of(moments)
    labels = labels.T
    solution = solve(moments, cell.rank, cell.weights, key=stream(key, "solver"))
    missed = labels - multiply(rows, solution.shared, solution.heads.T)
    layer = layer_from_rows(rows, labels, weights, cell.rank)
    return {
        "loss": multiply(weights, jnp.sum(missed**2, 0) + beside),
        "cosine_of_spans": jnp.cos(principal_angles(solution.shared, layer)[-1]),
    }


def instance(place: str, rng: np.random.Generator) -> Transfer:
    d, rank = 7, int(rng.integers(1, 3))
    rows = {INSIDE: int(rng.integers(d + 6, 100)), EDGE: d + 1, OUTSIDE: d - 2}[place]
    tasks = LinearTasks(
        n_features=d,
        n_samples=(rows,) * 3,
        cosine=rng.uniform(-0.9, 0.9, 2).tolist(),
        noise=rng.uniform(0.1, 2, 3).tolist(),
        parameter_norm=rng.uniform(0.5, 2, 3).tolist(),
        design=PowerLaw(float(rng.uniform(0, 1.5))),
        shared_covariates=True,
    )
    return Transfer(tasks, rank=rank, weights=tuple((10 ** rng.uniform(-1, 1, 3)).tolist()))


STATEMENT = Statement(
    name="proposition-3",
    claim="On shared rows the best layer spans the strongest combinations of the tasks' own solutions, and the rest is the loss.",
    source=("wu2020understanding",),
    kind="identity",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    cells=Cells(sharing="hard", same_rows=True, weights=True, target=True),
    places=(INSIDE, EDGE, OUTSIDE),
    says="On the same rows the best layer spans (X'X)^-1 V D Q_r, Q_r from the weighted labels in the basis of the rows.",
    proves="It is a proposition, for a rank up to the number of tasks; its proof was not read.",
    inferred="The loss at the best layer, as the singular values past the rank.",
)
