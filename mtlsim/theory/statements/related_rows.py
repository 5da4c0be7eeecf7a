"""Until how many rows a related task helps: n* = 2 (d - 1) noise^2 / |theta_1 - theta_2|^2, for two parameters of equal length.

On common orthonormal rows the shared direction is that of the mean: across it a task gives up half of its variance,
(d - 1) noise^2 / (2 n), and takes a bias of |theta_1 - theta_2|^2 / 4. Both are equal at n*. To this order the angle between the
parameters, and that of least squares with either, are small.
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.orthonormal_rows import OrthonormalRows
from mtlsim.theory.statement import OUTSIDE, Statement, measured


def rows_until(cosine, noise, n_features: int):
    """n*, for parameters of length one."""
    return (n_features - 1) * noise**2 / (1 - cosine)  # |theta_1 - theta_2|^2 = 2 (1 - cosine)


def assume(cell, key):
    same = jnp.maximum(jnp.abs(jnp.asarray(cell.extra_size, float) - 1), jnp.abs(jnp.asarray(cell.extra_noise, float) - 1))
    return {
        "two tasks": 1.0 if cell.n_extra == 1 else -1.0,
        "of one length and one noise": 1e-9 - same,
        "independent noise": 1e-9 - jnp.asarray(cell.correlation, float),
        "a single task as it is": 1e-9 - jnp.abs(jnp.asarray(cell.shrinkage, float) - 1),
        "a small angle": jnp.asarray(cell.cosine, float) - 0.9 + 1e-9,
        "and a smaller one of least squares": 0.2 - cell.n_features * jnp.asarray(cell.noise, float) ** 2 / cell.n_samples,
    }


def predict(cell, key):
    return {"gain": rows_until(cell.cosine, cell.noise, cell.n_features) / cell.n_samples - 1}


def instance(place: str, rng: np.random.Generator) -> OrthonormalRows:
    """Outside, an angle so wide that one direction serves the two worse than this order says."""
    factor = float(rng.choice([rng.uniform(0.6, 0.8), rng.uniform(1.3, 3)]))
    return _cell(factor, float(rng.uniform(0.3, 0.6) if place == OUTSIDE else rng.uniform(0.92, 0.98)), rng)


def threshold(factor: float, rng: np.random.Generator) -> OrthonormalRows:
    """n = n* / factor, where the predicted gain is as much above or below zero."""
    return _cell(1 / factor, float(rng.uniform(0.95, 0.98)), rng)


def _cell(factor: float, cosine: float, rng: np.random.Generator) -> OrthonormalRows:
    noise = float(rng.uniform(0.5, 2))
    return OrthonormalRows(factor * float(rows_until(cosine, noise, 20)), noise, cosine)


STATEMENT = Statement(
    name="related-rows",
    claim="A task at a small angle helps another until both have a known number of rows, and hurts beyond.",
    source=("derived",),
    kind="sign",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("gain"),
    threshold=threshold,
)
