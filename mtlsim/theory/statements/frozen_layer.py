"""Exact risk of fitting the target's head on a frozen layer, as left by sources without end of rows.

Each of r sources alone has learned its parameters theta_i exactly, and the layer B (d, r) spans them. With tau^2 the part of
theta_target that no head can reach and Gaussian rows of any covariance Sigma,

    tau^2 = min over a of |theta_target - B a|_Sigma^2,      E risk = tau^2 + (noise^2 + tau^2) r / (n - r - 1),    n > r + 1,

because what B misses is independent of what it sees, and so acts as further noise; the sources' own label noise,
sum_i E a_i^2 noise_i^2 tr(Sigma Sigma_i^-1) / n_i, must be nothing beside it. The layer helps if this is below
noise^2 d / (n - d - 1), so that a layer that reaches the target (tau = 0) always does; n may be far below d.
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.transfer import Transfer
from mtlsim.core.extremes import smallest_of
from mtlsim.core.linalg import multiply, solve_positive
from mtlsim.solvers.expected_risk import least_squares_risk
from mtlsim.tasks.covariance import PowerLaw
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.margins import EXACTLY, decades, full_rank, own_variance
from mtlsim.theory.statement import INSIDE, OUTSIDE, Cells, Statement, gaussian_rows, measured, tasks_of

ENDLESS = 1e9  # source rows that count as without end: what they leave unknown is below 1e-9 of what the target's rows leave


def unreachable(parameters, layer, covariance):
    """tau^2 for parameters (d,) and a layer (d, r) of rank r."""
    seen, wanted = covariance.root_transpose(layer), covariance.root_transpose(parameters)
    head = solve_positive(multiply(seen.T, seen), multiply(seen.T, wanted))
    return jnp.sum((wanted - multiply(seen, head)) ** 2)


def frozen_risk(missed, noise, n_samples, rank: int):
    """The formula, missed = tau^2; NaN for n <= r + 1."""
    freedom = n_samples - rank - 1
    return jnp.where(freedom > 0, missed + (noise**2 + missed) * rank / jnp.where(freedom > 0, freedom, 1), jnp.nan)


def _wander(tasks):
    """What the sources' own label noise adds to the target's risk: sum_i E head_i^2 times the variance of each source."""
    layer = tasks.covariances[-1].root_transpose(tasks.parameters[:-1].T)
    inverse = jnp.linalg.inv(multiply(layer.T, layer))
    heads = multiply(inverse, layer.T, tasks.covariances[-1].root_transpose(tasks.parameters[-1]))
    missed = unreachable(tasks.parameters[-1], tasks.parameters[:-1].T, tasks.covariances[-1])
    freedom = jnp.maximum(tasks.n_samples[-1] - tasks.n_tasks, 1)
    squares = heads**2 + (tasks.noise[-1] ** 2 + missed) * jnp.diag(inverse) / freedom
    return multiply(squares, jnp.stack([own_variance(tasks, i) for i in range(tasks.n_tasks - 1)]))


def assume(cell, key):
    tasks = tasks_of(cell, key)
    missed = unreachable(tasks.parameters[-1], tasks.parameters[:-1].T, tasks.covariances[-1])
    risk = frozen_risk(missed, tasks.noise[-1], tasks.n_samples[-1], cell.rank)
    layer = tasks.parameters[:-1] / jnp.linalg.norm(tasks.parameters[:-1], axis=-1, keepdims=True)
    return {
        "Gaussian rows of their own for each task": gaussian_rows(cell),
        "sources of independent directions": smallest_of(jnp.linalg.eigvalsh(multiply(layer, layer.T))) - 1e-9,
        "more target rows than rank + 1": tasks.n_samples[-1] - cell.rank - 1.5,
        "sources without end of rows": jnp.log10(smallest_of(tasks.n_samples[:-1]) / ENDLESS),
        "sources whose label noise is nothing in the risk (decades)": decades(EXACTLY, _wander(tasks) / risk),
        "covariances of full rank": full_rank(tasks),
    }


def predict(cell, key):
    tasks = tasks_of(cell, key)
    missed = unreachable(tasks.parameters[-1], tasks.parameters[:-1].T, tasks.covariances[-1])
    risk_multi = frozen_risk(missed, tasks.noise[-1], tasks.n_samples[-1], cell.rank)
    return {"risk_multi": risk_multi, "gain": least_squares_risk(tasks) - risk_multi}


def instance(place: str, rng: np.random.Generator) -> Transfer:
    n_sources, relation = (1, "rotated") if rng.random() < 0.5 else (3, "disjoint")
    d, fewer = 20, rng.random() < 0.4
    n_source = 30 if place == OUTSIDE else 1e12
    n_target = rng.integers(n_sources + 7, d - 6) if fewer else rng.integers(d + 6, 80)
    tasks = LinearTasks(
        n_features=d,
        n_samples=(*[n_source] * n_sources, int(n_target)),
        cosine=rng.uniform(-1, 1, n_sources).tolist(),
        noise=rng.uniform(0.1, 2, n_sources + 1).tolist(),
        parameter_norm=rng.uniform(0.5, 2, n_sources + 1).tolist(),
        design=PowerLaw(0.0 if fewer else float(rng.uniform(0, 1.5))),
        relation=relation,
    )
    return Transfer(tasks, rank=n_sources, sharing="frozen")


STATEMENT = Statement(
    name="frozen-layer",
    claim="A head fitted on a frozen layer has the risk of what the layer misses, as bias and as further noise.",
    source=("derived",),
    kind="equality",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("risk_multi", "gain"),
    cells=Cells(sharing="frozen", rank="sources", weights=True),
    places=(INSIDE, OUTSIDE),
)
