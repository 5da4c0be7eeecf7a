"""Exact finite-sample risk of least squares on one task: more rows than features, or fewer for an isotropic covariance.

For n Gaussian rows of covariance Sigma (d, d), labels X theta + noise, and theta_hat of least norm among the minimisers of
|X theta - y|^2,

    E |theta_hat - theta|_Sigma^2 = noise^2 d / (n - d - 1)                                    for n > d + 1 and any Sigma,
                                  = |theta|_Sigma^2 (1 - n/d) + noise^2 n / (d - n - 1)        for n < d - 1 and Sigma ~ identity.

Whitened rows make the first the mean trace of an inverse Wishart matrix; in the second the rows span a uniformly random
subspace, which misses the share 1 - n/d of theta, and the mean trace is that of (X X')^-1. Between them the mean is infinite.
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.transfer import Transfer
from mtlsim.solvers.expected_risk import ROUNDING, anisotropy, minimum_norm_risk, single_risk
from mtlsim.tasks.covariance import PowerLaw
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.margins import full_rank
from mtlsim.theory.statement import INSIDE, OUTSIDE, Cells, Statement, measured, tasks_of


def assume(cell, key):
    tasks = tasks_of(cell, key)
    n, d = tasks.n_samples[-1], tasks.n_features
    isotropic = ROUNDING - anisotropy(tasks.covariances[-1])
    return {
        "rows differ from features by more than one": jnp.abs(n - d) - 1.5,
        "isotropic where rows are fewer than features": jnp.where(n > d, jnp.inf, isotropic),
        "Gaussian rows": 1.0 if tasks.rows == "gaussian" else -1.0,
        "a covariance of full rank": full_rank(tasks),
    }


def predict(cell, key):
    tasks = tasks_of(cell, key)
    noise, n, d = tasks.noise[-1], tasks.n_samples[-1], tasks.n_features
    least_norm = minimum_norm_risk(tasks.covariances[-1].quadratic(tasks.parameters[-1]), noise, n, d)
    return {"risk_single": jnp.where(n > d + 1, single_risk(noise, n, d), least_norm)}


def instance(place: str, rng: np.random.Generator) -> Transfer:
    d = int(rng.choice([10, 15]))
    fewer = place == OUTSIDE or rng.random() < 0.5
    tasks = LinearTasks(
        n_features=d,
        n_samples=(int(rng.integers(1, d - 6)) if fewer else int(rng.integers(d + 6, 6 * d)),),
        noise=rng.uniform(0.1, 2),
        parameter_norm=rng.uniform(0.5, 2),
        design=PowerLaw(1.5 if place == OUTSIDE else 0.0 if fewer else float(rng.uniform(0, 2))),
    )
    return Transfer(tasks)


STATEMENT = Statement(
    name="single-task-risk",
    claim="Least squares of one Gaussian task has a known finite-sample risk on either side of n = d.",
    source=("derived",),
    kind="equality",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("risk_single"),
    cells=Cells(weights=True),
    places=(INSIDE, OUTSIDE),
)
