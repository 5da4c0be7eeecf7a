"""Semantic alignment helps if and only if the directions in which the tasks' class means differ carry little of the target.

A penalty on the distance of the tasks' class means in the shared layer is a generalised ridge that forbids the layer those
directions. With a strength without end, on orthonormal rows, one parameter vector for both tasks then beats the target alone if
and only if

    signal^2 < noise^2 (d / n_2 - (d - 1) / (n_1 + n_2)),

signal that of the target on the forbidden direction, whatever the source's shift along it is. Pooling alone would pay for the
shift.
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.semantic_alignment import SemanticAlignment, turning_signal
from mtlsim.theory.statement import OUTSIDE, Statement, measured

WITHOUT_END = 1e9


def assume(cell, key):
    rows, strength = jnp.asarray(cell.n_source, float) + cell.n_target, jnp.asarray(cell.strength, float)
    level = cell.noise * jnp.sqrt(cell.n_features / jnp.asarray(cell.n_target, float))
    return {
        "a strength without end beside the rows": strength / rows - 1e4,
        "nothing left of the shift": 1e-3 * level - cell.n_source * jnp.abs(cell.shift) / (rows + strength),
    }


def predict(cell, key):
    return {"gain": turning_signal(cell) - jnp.abs(cell.signal)}


def instance(place: str, rng: np.random.Generator) -> SemanticAlignment:
    """Outside, hardly any strength: the shift is paid for."""
    return _cell(float(rng.choice([rng.uniform(0, 0.8), rng.uniform(1.25, 3)])), rng, 1e-3 if place == OUTSIDE else WITHOUT_END)


def threshold(factor: float, rng: np.random.Generator) -> SemanticAlignment:
    """A signal of `factor` times that at which the sign turns."""
    return _cell(factor, rng, WITHOUT_END)


def _cell(factor: float, rng: np.random.Generator, strength: float) -> SemanticAlignment:
    sizes = float(rng.integers(50, 300)), float(rng.integers(10, 40))
    cell = SemanticAlignment(*sizes, 0.0, float(rng.uniform(0.5, 2)), strength, float(rng.uniform(0.5, 2)))
    signal = factor * float(turning_signal(cell))
    return SemanticAlignment(*sizes, signal, cell.shift, strength, cell.noise)


STATEMENT = Statement(
    name="semantic-alignment",
    claim="Aligning class means helps if and only if the directions it forbids carry less than a known part of the target.",
    source=("derived",),
    kind="sign",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("gain"),
    threshold=threshold,
)
