"""Exact finite-sample risk of pooled least squares, any number of tasks with one covariance, n > d + 1.

With all heads one, theta = (sum_i S_i)^-1 sum_i b_i. For Gaussian rows of a common covariance Sigma, n = sum_i n_i and
delta_i = theta_i - theta_target,

    E risk = c |sum_i n_i delta_i|^2 + g sum_i n_i |delta_i|^2 + (sum_i n_i noise_i^2 / n) d / (n - d - 1),    norms in Sigma,
    c = (n^2 - (2d + 1) n + 2) / D,  g = ((d + 1) n^2 - (d + 5) n + 2 (d + 1)) / D,  D = n (n - 1) (n + 2) (n - d - 1),

because S^-1/2 S_i S^-1/2 is a matrix Dirichlet variable independent of S = sum_i S_i. One source may have fewer rows than d.
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.transfer import Transfer
from mtlsim.core.linalg import multiply
from mtlsim.solvers.expected_risk import single_risk
from mtlsim.tasks.covariance import PowerLaw
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.margins import full_rank, one_covariance
from mtlsim.theory.statement import INSIDE, OUTSIDE, Cells, Statement, gaussian_rows, measured, tasks_of


def pooled_risk(n, shift, size, noise, n_features):
    """The formula for tasks of n_i rows (.., K): shift = |sum n_i delta_i|^2, size = (|delta_i|^2), noise (K,)."""
    d, total = n_features, jnp.sum(n, -1)
    denominator = total * (total - 1) * (total + 2) * (total - d - 1)
    c = (total**2 - (2 * d + 1) * total + 2) / denominator
    g = ((d + 1) * total**2 - (d + 5) * total + 2 * (d + 1)) / denominator
    variance = jnp.sum(n * noise**2, -1) / total * d / (total - d - 1)
    return c * shift + g * jnp.sum(n * size, -1) + variance


def assume(cell, key):
    tasks = tasks_of(cell, key)
    return {
        "more rows in all than features + 1": jnp.sum(tasks.n_samples) - tasks.n_features - 1.5,
        "more target rows than features + 1": tasks.n_samples[-1] - tasks.n_features - 1.5,
        "Gaussian rows of their own for each task": gaussian_rows(cell),
        "one covariance for all tasks": one_covariance(tasks),
        "a covariance of full rank": full_rank(tasks),
    }


def predict(cell, key):
    tasks = tasks_of(cell, key)
    shifts = tasks.parameters - tasks.parameters[-1]
    roots = tasks.covariances[-1].root_transpose(shifts.T).T
    moved = multiply(tasks.n_samples, roots)
    risk_multi = pooled_risk(tasks.n_samples, jnp.sum(moved**2), jnp.sum(roots**2, -1), tasks.noise, tasks.n_features)
    risk_single = single_risk(tasks.noise[-1], tasks.n_samples[-1], tasks.n_features)
    return {"risk_single": risk_single, "risk_multi": risk_multi, "gain": risk_single - risk_multi}


def instance(place: str, rng: np.random.Generator) -> Transfer:
    d, n_tasks = (8, 2) if rng.random() < 0.5 else (12, 3)
    sources = rng.integers(2, 60, n_tasks - 1).tolist()
    tasks = LinearTasks(
        n_features=d,
        n_samples=(*sources, int(rng.integers(d + 6, 60))),
        cosine=rng.uniform(-1, 1, n_tasks - 1).tolist(),
        noise=rng.uniform(0.1, 2, n_tasks).tolist(),
        parameter_norm=rng.uniform(0.5, 2, n_tasks).tolist(),
        design=PowerLaw(float(rng.uniform(0, 1.5))),
        relation="disjoint" if place == OUTSIDE else "same",
    )
    return Transfer(tasks, sharing="pooled")


STATEMENT = Statement(
    name="pooled-least-squares",
    claim="Pooled least squares of Gaussian tasks with one covariance has a known finite-sample risk.",
    source=("derived",),
    kind="equality",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("risk_single", "risk_multi", "gain"),
    cells=Cells(sharing="pooled"),
    places=(INSIDE, OUTSIDE),
)
