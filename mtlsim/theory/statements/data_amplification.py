"""K tasks of m rows are worth one task of K m rows, where they share their parameters and their covariance.

Pooled least squares of tasks with equal parameters depends on how rows are split between tasks only through their total n and the
mean label noise over rows:

    E risk = (sum_i n_i noise_i^2 / n) d / (n - d - 1),   n = sum_i n_i > d + 1,

for Gaussian rows of any common covariance. Each task may have fewer rows than features, down to one.
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.transfer import Transfer
from mtlsim.core.extremes import largest_of
from mtlsim.solvers.expected_risk import single_risk
from mtlsim.tasks.covariance import PowerLaw
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.margins import full_rank, one_covariance
from mtlsim.theory.statement import INSIDE, OUTSIDE, Cells, Statement, gaussian_rows, measured, tasks_of


def assume(cell, key):
    tasks = tasks_of(cell, key)
    difference = largest_of(jnp.abs(tasks.parameters - tasks.parameters[-1]))
    return {
        "more rows in all than features + 1": jnp.sum(tasks.n_samples) - tasks.n_features - 1.5,
        "Gaussian rows of their own for each task": gaussian_rows(cell),
        "one covariance for all tasks": one_covariance(tasks),
        "a covariance of full rank": full_rank(tasks),
        "equal parameters": 1e-9 * largest_of(jnp.abs(tasks.parameters)) - difference,
    }


def predict(cell, key):
    tasks = tasks_of(cell, key)
    total = jnp.sum(tasks.n_samples)
    noise = jnp.sqrt(jnp.sum(tasks.n_samples * tasks.noise**2) / total)
    return {"risk_multi": single_risk(noise, total, tasks.n_features)}


def instance(place: str, rng: np.random.Generator) -> Transfer:
    d, n_tasks = (8, 7) if rng.random() < 0.5 else (12, 4)
    rows = [int(rng.integers(3, 12))] * n_tasks if rng.random() < 0.5 else rng.integers(1, 40, n_tasks).tolist()
    rows[0] += max(0, d + 6 - sum(rows))
    tasks = LinearTasks(
        n_features=d,
        n_samples=rows,
        cosine=0.7 if place == OUTSIDE else 1.0,
        noise=rng.uniform(0.1, 2, n_tasks).tolist(),
        parameter_norm=float(rng.uniform(0.5, 2)),
        design=PowerLaw(float(rng.uniform(0, 1.5))),
        relation="same",
    )
    return Transfer(tasks, sharing="pooled")


STATEMENT = Statement(
    name="data-amplification",
    claim="K pooled tasks of m rows that share their parameters are worth one task of K m rows.",
    source=("derived",),
    kind="equality",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("risk_multi"),
    cells=Cells(sharing="pooled"),
    places=(INSIDE, OUTSIDE),
)
