"""Statistical data amplification on the same rows: the direction is averaged over tasks, the own scale is not.

K tasks of one function on common orthonormal rows, whose label noises have the correlation rho in every pair. Least squares of
their mean have the variance (1 + (K - 1) rho) / K of one. The shared direction is the mean's, across which d - 1 parts of the
error lie; along it every task keeps its own:

    risk_multi / risk_single = (1 + (d - 1) (1 + (K - 1) rho) / K) / d,

up to terms of the order of noise^2 d / n. So K tasks are worth K times the rows for many features and independent noise, and none
for one noise that all share.
"""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.orthonormal_rows import OrthonormalRows
from mtlsim.theory.statement import OUTSIDE, Statement, measured


def amplified(n_features, n_tasks: int, correlation):
    """risk_multi / risk_single."""
    return (1 + (n_features - 1) * (1 + (n_tasks - 1) * correlation) / n_tasks) / n_features


def assume(cell, key):
    same = jnp.maximum(jnp.abs(jnp.asarray(cell.extra_size, float) - 1), jnp.abs(jnp.asarray(cell.extra_noise, float) - 1))
    return {
        "one function": jnp.asarray(cell.cosine, float) - 1 + 1e-9,
        "one size and one noise": 1e-9 - same,
        "a single task as it is": 1e-9 - jnp.abs(jnp.asarray(cell.shrinkage, float) - 1),
        "a signal above the noise": 0.06 - cell.n_features * jnp.asarray(cell.noise, float) ** 2 / cell.n_samples,
    }


def predict(cell, key):
    alone = cell.n_features * jnp.asarray(cell.noise, float) ** 2 / cell.n_samples
    return {"risk_multi": alone * amplified(cell.n_features, 1 + cell.n_extra, cell.correlation)}


def instance(place: str, rng: np.random.Generator) -> OrthonormalRows:
    """Outside, tasks of different functions."""
    d, noise = int(rng.choice([12, 30])), float(rng.uniform(0.5, 2))
    rows = d * noise**2 / float(rng.uniform(0.02, 0.05))
    cosine = float(rng.uniform(0.5, 0.8)) if place == OUTSIDE else 1.0
    return OrthonormalRows(rows, noise, cosine, correlation=float(rng.uniform(0, 1)), n_features=d, n_extra=int(rng.choice([2, 5])))


def resized(cell: OrthonormalRows) -> OrthonormalRows:
    """Twice as many rows, at which what is left out is half as large."""
    return replace(cell, n_samples=2 * cell.n_samples)


STATEMENT = Statement(
    name="amplified-direction",
    claim="Tasks of one function on the same rows average the direction of what they share, as far as their noise is "
    "independent, and "
    "not its scale.",
    source=("derived",),
    kind="limit",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("risk_multi"),
    trust=lambda cell: float(cell.n_features * cell.noise**2 / cell.n_samples),
    resized=resized,
)
