"""How well scores tell used inputs from others: curves for different numbers of tasks and rows fall on one, of K n / noise^2.

On orthonormal rows the mean of K tasks' least squares of an input of coefficient theta_j is normal with mean theta_j and variance
noise^2 / (K n), of an unused one with mean zero. The area under the curve of their sizes, the probability that the used one is the
larger, is with mu = |theta_j| sqrt(K n) / noise

    area = Phi(mu / sqrt(2))^2 + Phi(-mu / sqrt(2))^2.

Scores of inputs one at a time on common random rows do not fall on that curve: the rows' own correlations are the same for all
tasks, and no number of tasks averages them away (see the figure attribute-selection).
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm
from jaxtyping import Array

from mtlsim.cells.attribute_selection import area
from mtlsim.core.keys import correlated_normals, stream
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement

RAREST = 1e-3  # share of pairs that are in the wrong order


class MeanScores(eqx.Module):
    """The mean of K tasks' least squares on n orthonormal rows, each of n_used equal coefficients of common length one."""

    n_samples: Array | float
    noise: Array | float
    correlation: Array | float = 0.0
    n_tasks: int = eqx.field(default=4, static=True)
    n_features: int = eqx.field(default=40, static=True)
    n_used: int = eqx.field(default=5, static=True)


def selection_area(strength):
    """The area under the curve at mu = |theta_j| sqrt(K n) / noise."""
    return norm.cdf(strength / jnp.sqrt(2)) ** 2 + norm.cdf(-strength / jnp.sqrt(2)) ** 2


def assume(case, key):
    return {
        "independent noise": 1e-9 - jnp.abs(jnp.asarray(case.correlation, float)),
        "inputs that are mistaken often enough to be seen": 1 - predict(case, key)["area"] - RAREST,
    }


def predict(case, key):
    size = 1 / jnp.sqrt(case.n_used)
    return {"area": selection_area(size * jnp.sqrt(case.n_tasks * jnp.asarray(case.n_samples, float)) / case.noise)}


def measure(case, key):
    used = jnp.arange(case.n_features) < case.n_used
    normals = correlated_normals(stream(key, "noise"), (case.n_tasks, case.n_features), case.correlation)
    errors = case.noise / jnp.sqrt(case.n_samples) * normals
    scores = jnp.mean(used / jnp.sqrt(case.n_used * 1.0) + errors, 0)
    return {"area": area(jnp.abs(scores), used)}


def instance(place: str, rng: np.random.Generator) -> MeanScores:
    """mu from 0.5 to 2.5; outside, tasks that share a part of their noise."""
    n_tasks, noise, strength = int(rng.choice([1, 4, 16])), float(rng.uniform(0.3, 2)), float(rng.uniform(0.5, 2.5))
    rows = strength**2 * noise**2 * 5 / n_tasks
    correlation = float(rng.uniform(0.5, 1)) if place == OUTSIDE else 0.0
    return MeanScores(rows, noise, correlation, 16 if place == OUTSIDE else n_tasks)


STATEMENT = Statement(
    name="selection-area",
    claim="How well the mean of several tasks' coefficients tells used inputs from others depends on tasks times rows alone.",
    source=("derived",),
    kind="equality",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    places=(INSIDE, OUTSIDE),
)
