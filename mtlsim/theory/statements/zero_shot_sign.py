"""A descriptor beats the target's own rows up to a number of them that is known.

With n orthonormal rows for each source and Gaussian rows of its own the target needs more than

    n* = d + 1 + noise^2 d / ((noise^2 d / n) t*'(sum_k t_k t_k')^-1 t* + misfit^2)

of them to do without the others; here all rows are orthonormal, and d + 1 drops out. A descriptor far outside the sources' hull, or
one that leaves out much of the target, is worth few rows.
"""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.zero_shot import ZeroShot, worth_in_rows
from mtlsim.theory.statement import OUTSIDE, Statement, measured
from mtlsim.theory.statements import zero_shot_risk


def assume(cell, key):
    return zero_shot_risk.assume(cell, key) | {"labels with noise": jnp.asarray(cell.noise, float) - 1e-9}


def predict(cell, key):
    return {"gain": worth_in_rows(cell) - cell.n_own}


def instance(place: str, rng: np.random.Generator) -> ZeroShot:
    """Outside, Gaussian rows of the sources too, few more than features, with as many own ones as orthonormal ones are worth."""
    if place == OUTSIDE:
        cell = replace(_cell(rng), n_samples=10.0)
        return replace(cell, n_own=float(jnp.maximum(worth_in_rows(cell), 1.0)) + 15, gaussian=True)
    return threshold(float(rng.choice([rng.uniform(0.3, 0.8), rng.uniform(1.25, 3)])), rng)


def threshold(factor: float, rng: np.random.Generator) -> ZeroShot:
    """So many own rows, of those that the descriptor is worth."""
    cell = _cell(rng)
    return replace(cell, n_own=factor * float(worth_in_rows(cell)))


def _cell(rng: np.random.Generator) -> ZeroShot:
    descriptors, target = jnp.asarray(rng.normal(size=(5, 2))), jnp.asarray(rng.uniform(0.5, 2) * rng.normal(size=2))
    misfit, noise = float(rng.choice([0.0, 0.3])), float(rng.uniform(0.5, 1.5))
    return ZeroShot(descriptors, target, float(rng.integers(100, 200)), 40.0, noise, misfit, 8)


STATEMENT = Statement(
    name="zero-shot-sign",
    claim="A target's descriptor beats its own rows up to a number of them that the sources' descriptors give.",
    source=("derived",),
    kind="sign",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("gain"),
    threshold=threshold,
)
