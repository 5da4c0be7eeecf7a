"""Risk of the target's rows with a ridge around the source's parameters, isotropic Gaussian rows, many features.

The source has rows without end, so that its estimate is theta_1. With g = d / n, z = strength / (scale n), rows of covariance
scale * identity, R^2 = scale |theta_2 - theta_1|^2, and in the limit of many features at fixed g and z,

    E risk = -R^2 z^2 m' + noise^2 g (m + z m'),      m = the positive root of g z m^2 + (1 - g + z) m - 1 = 0,      m' = dm/dz,

where m is the limit of tr (X'X / (scale n) + z)^-1 / d. At d features the error is of order 1/d away from the interpolation peak;
there (n near d, a small strength) 437 was measured for 282. The best strength is scale * noise^2 d / R^2, at every d;
theta_1 = 0 gives ridge regression. Valid for n above and below d.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from mtlsim.cells.transfer import Transfer
from mtlsim.core.compiler import jit_hastily
from mtlsim.sharing.from_source import FromSource
from mtlsim.solvers.expected_risk import ROUNDING, anisotropy
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.margins import EXACTLY, decades, full_rank, own_variance
from mtlsim.theory.predictor import Spectra, predict_pooled
from mtlsim.theory.statement import INSIDE, OUTSIDE, Cells, Statement, drawn_until, gaussian_rows, measured, tasks_of
from mtlsim.theory.statements.frozen_layer import ENDLESS

SIZES = 32, 64  # features of the instances
ERROR = 2.0  # times 1/d: the relative error that the limit may have at d features (up to 1.5 was seen)
MOST = 3.0  # times 1/d: of the instances


def soft_risk(distance, noise, n_samples, n_features, strength):
    """The formula at scale 1: distance = R^2."""
    g, z = n_features / n_samples, strength / n_samples
    linear = 1 - g + z
    root = jnp.sqrt(linear**2 + 4 * g * z)
    # in forms that do not cancel, here and in m + z m' = (1 - z m) / root
    m = jnp.where(linear > 0, 2 / (jnp.abs(linear) + root), (root + jnp.abs(linear)) / (2 * g * z))
    return distance * z**2 * (g * m**2 + m) / root + noise**2 * g * (1 - z * m) / root


def best_strength(distance, noise, n_features):
    """The strength of least expected risk at scale 1, at every n and d; infinite at distance zero."""
    return jnp.where(distance > 0, noise**2 * n_features / jnp.where(distance > 0, distance, 1), jnp.inf)


def assume(cell, key):
    tasks = tasks_of(cell, key)
    risk = predict(cell, key)["risk_multi"]
    values, off = tasks.covariances[-1].eigenvalues[None], (tasks.parameters[-1] - tasks.parameters[0])[None]
    form = Spectra(values, off, jnp.ones_like(values[0]))
    around = predict_pooled(form, tasks.n_samples[-1:], tasks.noise[-1:], jnp.ones(1), jnp.asarray(cell.sharing.strength, float))
    return {
        "Gaussian rows of their own for each task": gaussian_rows(cell),
        "away from the interpolation peak": around.margin,
        "a source whose label noise is nothing in the risk (decades)": decades(EXACTLY, own_variance(tasks, 0) / risk),
        "covariances of full rank": full_rank(tasks),
        "a source without end of rows": jnp.log10(tasks.n_samples[0] / ENDLESS),
        "isotropic covariance": ROUNDING - anisotropy(tasks.covariances[-1]),
        "30 features or more": tasks.n_features - 29.5,
    }


def predict(cell, key):
    tasks = tasks_of(cell, key)
    scale = tasks.covariances[-1].eigenvalues[0]
    distance = tasks.covariances[-1].quadratic(tasks.parameters[0] - tasks.parameters[-1])
    strength = jnp.asarray(cell.sharing.strength, float) / scale
    return {"risk_multi": soft_risk(distance, tasks.noise[-1], tasks.n_samples[-1], tasks.n_features, strength)}


@jit_hastily
def trust(cell):
    """Of order 1/d, and besides, of a strength that is small beside the least eigenvalue, what the limit of many features misses of
    E tr (X'X)^-2 with a = |n - d|: a^2 / ((a - 1)(a - 3)) - 1. Measured: 1.0 of that at d = 32, n = 40 and a strength of n / 1000.
    """
    tasks = tasks_of(cell, jax.random.key(0))
    n, d, variance = tasks.n_samples[-1], tasks.n_features, tasks.covariances[-1].eigenvalues[0]
    away, least = jnp.maximum(jnp.abs(n - d), 4.0), (1 - jnp.sqrt(d / n)) ** 2
    own = least / (least + jnp.asarray(cell.sharing.strength, float) / (n * variance))
    return ERROR / d + 1.2 * (4 * away - 3) / ((away - 1) * (away - 3)) * own


@drawn_until(lambda cell: trust(cell) <= MOST / cell.tasks.n_features)
def instance(place: str, rng: np.random.Generator) -> Transfer:
    """Strengths around the best, where the limit is near; outside, a source with few rows."""
    d = int(rng.choice(SIZES))
    scale, noise, n_target = rng.uniform(0.5, 2), rng.uniform(0.2, 1.5), int(rng.integers(d // 3, 3 * d))
    cosine, norm = rng.uniform(-0.5, 0.95), rng.uniform(0.7, 1.5)
    best = noise**2 * d / (norm**2 * 2 * (1 - cosine))
    tasks = LinearTasks(
        n_features=d,
        n_samples=(d + 10 if place == OUTSIDE else 1e12, n_target),
        cosine=cosine,
        noise=(1.0, noise),
        parameter_norm=norm,
        design=Isotropic(scale),
        relation="same",
    )
    return Transfer(tasks, sharing=FromSource(float(best * 10 ** rng.uniform(-1, 1))))


def resized(cell: Transfer) -> Transfer:
    """The other of both sizes, with target rows in proportion and so the strength, which is on the scale of X'X."""
    tasks = cell.tasks
    d = SIZES[0] if tasks.n_features == SIZES[1] else SIZES[1]
    n_target = round(tasks.n_samples[-1] * d / tasks.n_features)
    other = dataclasses.replace(tasks, n_features=d, n_samples=(tasks.n_samples[0], n_target))
    return dataclasses.replace(cell, tasks=other, sharing=FromSource(cell.sharing.strength * d / tasks.n_features))


STATEMENT = Statement(
    name="soft-transfer",
    claim="A ridge around the source's parameters has a known risk in the limit of many features, for isotropic rows.",
    source=("derived",),
    kind="limit",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("risk_multi"),
    cells=Cells(sharing="from-source", n_tasks=2, weights=True),
    trust=trust,
    places=(INSIDE, OUTSIDE),
    resized=resized,
)
