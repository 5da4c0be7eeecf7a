"""Some inputs are better used as outputs: which, and until which correlation of the noises.

A second label z of the same function, theta = phi, is better as an output than as an input (see `label-as-input`) as long as what z
knows of y beyond x is small: 0 <= rho < rho*, where

    (1 - rho^2) (1 + (d + 1) / (n - d - 2)) = 1 + (1 + (d - 1) (1 + rho) / 2) / (n - d - 1),

the right side for a signal well above the noise. With d = 10, rho* is .330 at 40 rows and .156 at 200, and falls to zero: with many
rows every input is an input.
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.extra_label import ExtraLabel, boundary
from mtlsim.theory.statement import OUTSIDE, Statement, measured


def assume(cell, key):
    rows = jnp.asarray(cell.n_samples, float) - cell.n_features
    return {
        "labels of one function": jnp.asarray(cell.cosine, float) - 1 + 1e-9,
        "noises that do not oppose each other": jnp.asarray(cell.correlation, float) + 1e-9,
        "errors of a finite variance": rows - 5.5,
        "a signal well above the noise": jnp.asarray(cell.size, float) ** 2 - 20 * cell.n_features / rows,
    }


def predict(cell, key):
    return {"output_better": boundary(cell.n_samples, cell.n_features) - cell.correlation}


def instance(place: str, rng: np.random.Generator) -> ExtraLabel:
    """Outside, labels of different functions, for which an output is the worse."""
    cell = _cell(rng)
    factor = rng.choice([rng.uniform(0, 0.7), rng.uniform(1.4, 2.5)])
    cosine = float(rng.uniform(-0.5, 0.5)) if place == OUTSIDE else 1.0
    correlation = float(factor * boundary(cell.n_samples, cell.n_features))
    return ExtraLabel(cell.n_samples, correlation, cosine, cell.size, cell.n_features)


def threshold(factor: float, rng: np.random.Generator) -> ExtraLabel:
    """A correlation of `factor` times rho*."""
    cell = _cell(rng)
    return ExtraLabel(cell.n_samples, factor * float(boundary(cell.n_samples, cell.n_features)), 1.0, cell.size, cell.n_features)


def _cell(rng: np.random.Generator) -> ExtraLabel:
    return ExtraLabel(float(rng.integers(25, 80)), 0.0, 1.0, float(rng.uniform(5, 8)))


STATEMENT = Statement(
    name="input-or-output",
    claim="A second label of the same function is better as an output than as an input below a known correlation of the noises.",
    source=("derived",),
    kind="sign",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("output_better"),
    threshold=threshold,
)
