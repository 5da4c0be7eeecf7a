"""Merging single-task fits weighted by their Gram matrices is pooling, exactly, on any rows.

    (sum_k S_k)^-1 sum_k S_k theta^_k = argmin over theta of sum_k |X_k theta - y_k|^2,      S_k = X_k'X_k,

as S_k theta^_k = X_k'y_k, of least norm too where a task has few rows. S_k is the Fisher information of a Gaussian task, so this is
Fisher- weighted merging; the plain mean of the fits is pooling on common orthonormal rows alone. So what merging gains and loses
is what pooling does: no more than one model for all tasks can (`pooled-sign`).
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.transfer import Transfer
from mtlsim.core.linalg import multiply
from mtlsim.tasks.covariance import PowerLaw
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.draws import moments_of, rows_of
from mtlsim.theory.margins import keeps_digits
from mtlsim.theory.statement import INSIDE, Cells, Statement, gaussian_rows, measured, tasks_of


def assume(cell, key):
    tasks, moments = tasks_of(cell, key), moments_of(cell, key)
    each = keeps_digits(moments.gram)
    return {
        "rows in all that determine the fit": jnp.sum(tasks.n_samples) - tasks.n_features + 0.5,
        "a system that keeps its digits": keeps_digits(jnp.sum(moments.gram, 0)),
        "Gaussian rows, or such that every task sees each direction": 1.0 if gaussian_rows(cell) > 0 else each,
    }


def predict(cell, key):
    """By orthogonal factors of the rows, and no Gram matrix: the mean of fits in the metric of stacked triangles."""
    tasks, moments = tasks_of(cell, key), moments_of(cell, key)
    rows, labels, _ = rows_of(moments)
    fits = [jnp.linalg.lstsq(*task)[0] for task in zip(rows, labels, strict=True)]
    stacked = jnp.concatenate([multiply(own, fit) for own, fit in zip(rows, fits, strict=True)])
    merged = jnp.linalg.lstsq(jnp.concatenate(list(rows)), stacked)[0]
    return {"risk_multi": tasks.excess_risk(merged)}


def instance(place: str, rng: np.random.Generator) -> Transfer:
    """One source with fewer rows than features half of the time."""
    d = 6
    fewest = int(rng.choice([3, d + 2]))
    sizes = (int(rng.integers(fewest, fewest + 2)), *rng.integers(d + 2, 6 * d, 2).tolist())
    cosine = rng.uniform(-1, 1, 2).tolist()
    tasks = LinearTasks(d, sizes, cosine=cosine, noise=float(rng.uniform(0.2, 1)), design=PowerLaw(1.0), relation="disjoint")
    return Transfer(tasks, sharing="pooled")


STATEMENT = Statement(
    name="merging-is-pooling",
    claim="Single-task fits merged by their Gram matrices are the pooled fit, exactly.",
    source=("derived",),
    kind="identity",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("risk_multi"),
    cells=Cells(sharing="pooled", same_rows=False),
    places=(INSIDE,),
)
