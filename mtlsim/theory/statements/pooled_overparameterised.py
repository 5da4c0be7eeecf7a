"""Exact finite-sample risk of the pooled interpolator of least norm, any number of isotropic tasks, n < d - 1.

With all heads one and fewer rows n = sum_i n_i than features, theta is the vector of least norm that fits every row. For
Gaussian rows of covariance Sigma = scale * identity and delta_i = theta_i - theta_target, norms in Sigma,

    E risk = |theta_target|^2 (1 - n/d) + [(d - 1) sum_i n_i |delta_i|^2 - |sum_i n_i delta_i|^2] / (d (d - n - 1))
             + sum_i n_i noise_i^2 / (d - n - 1).

The first term is what no row sees, the second how rows of other tasks are mistaken for the target's, the third their noise.
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.transfer import Transfer
from mtlsim.core.linalg import multiply
from mtlsim.solvers.expected_risk import ROUNDING, anisotropy, least_squares_risk
from mtlsim.tasks.covariance import PowerLaw
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.margins import one_covariance
from mtlsim.theory.statement import INSIDE, OUTSIDE, Cells, Statement, gaussian_rows, measured, tasks_of


def interpolator_risk(n, energy, shift, size, noise, n_features):
    """The formula for tasks of n_i rows (K,): energy = |theta_target|^2, shift = |sum n_i delta_i|^2, size = (|delta_i|^2).

    NaN for n >= d - 1.
    """
    d, total = n_features, jnp.sum(n)
    freedom = jnp.where(d - total - 1 > 0, d - total - 1, 1)
    bias = energy * (1 - total / d) + ((d - 1) * jnp.sum(n * size) - shift) / (d * freedom)
    return jnp.where(d - total - 1 > 0, bias + jnp.sum(n * noise**2) / freedom, jnp.nan)


def assume(cell, key):
    tasks = tasks_of(cell, key)
    return {
        "fewer rows in all than features - 1": tasks.n_features - 1.5 - jnp.sum(tasks.n_samples),
        "Gaussian rows of their own for each task": gaussian_rows(cell),
        "one covariance for all tasks": one_covariance(tasks),
        "isotropic covariance": ROUNDING - anisotropy(tasks.covariances[-1]),
    }


def predict(cell, key):
    tasks = tasks_of(cell, key)
    root = lambda rows: tasks.covariances[-1].root_transpose(rows.T).T
    shifts = root(tasks.parameters - tasks.parameters[-1])
    energy = jnp.sum(root(tasks.parameters)[-1] ** 2)
    shift = jnp.sum(multiply(tasks.n_samples, shifts) ** 2)
    risk_multi = interpolator_risk(tasks.n_samples, energy, shift, jnp.sum(shifts**2, -1), tasks.noise, tasks.n_features)
    risk_single = least_squares_risk(tasks)
    return {"risk_single": risk_single, "risk_multi": risk_multi, "gain": risk_single - risk_multi}


def instance(place: str, rng: np.random.Generator) -> Transfer:
    d, n_tasks = (18, 2) if rng.random() < 0.5 else (24, 3)
    rows = rng.multinomial(rng.integers(n_tasks, d - 6) - n_tasks, np.ones(n_tasks) / n_tasks) + 1
    tasks = LinearTasks(
        n_features=d,
        n_samples=rows.tolist(),
        cosine=rng.uniform(-1, 1, n_tasks - 1).tolist(),
        noise=rng.uniform(0.1, 1, n_tasks).tolist(),
        parameter_norm=rng.uniform(0.5, 2, n_tasks).tolist(),
        design=PowerLaw(1.5 if place == OUTSIDE else 0.0),
        relation="same",
    )
    return Transfer(tasks, sharing="pooled")


STATEMENT = Statement(
    name="pooled-overparameterised",
    claim="The pooled interpolator of least norm of isotropic Gaussian tasks has a known finite-sample risk.",
    source=("derived",),
    kind="equality",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("risk_single", "risk_multi", "gain"),
    cells=Cells(sharing="pooled"),
    places=(INSIDE, OUTSIDE),
)
