"""Where pooling under label shift turns harmful: at a proportion of the source that is known.

The sign of `label-shift-errors`: pooled means save variance, and the threshold of the pooled proportions costs. With a bias for
each head the cost is that of the poorer class means alone.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from mtlsim.cells.label_shift import LabelShift, expected_errors
from mtlsim.theory.statement import EDGE, OUTSIDE, Statement, measured
from mtlsim.theory.statements import label_shift_errors


def assume(cell, key):
    errors = expected_errors(cell)
    apart = jnp.abs(errors["error_single"] - errors["error_pooled"]) / errors["error_single"]
    return label_shift_errors.assume(cell, key) | {
        "a balanced target": 1e-9 - jnp.abs(jnp.asarray(cell.prior_target, float) - 0.5),
        "a gain beyond the error of the limit": apart - label_shift_errors.trust(cell),
    }


def predict(cell, key):
    errors = expected_errors(cell)
    return {"gain_pooled": errors["error_single"] - errors["error_pooled"]}


def instance(place: str, rng: np.random.Generator) -> LabelShift:
    """Outside, few features; the edge is 30 % from the shift at which the sign turns."""
    cell = _cell(rng, 10 if place == OUTSIDE else 160)
    factor = rng.choice([0.7, 1.2]) if place == EDGE else rng.choice([rng.uniform(0, 0.6), rng.uniform(1.25, 1.4)])
    return with_shift(cell, float(factor) * turning_shift(cell))


def threshold(factor: float, rng: np.random.Generator) -> LabelShift:
    """A shift of the source's proportion of `factor` times that at which the sign turns."""
    cell = _cell(rng, 160)
    return with_shift(cell, factor * turning_shift(cell))


def with_shift(cell: LabelShift, shift: float) -> LabelShift:
    """The same with a source of this shift of its proportion from one half."""
    return LabelShift(cell.n_source, cell.n_target, 0.5 + min(shift, 0.49), 0.5, cell.separation, cell.n_features)


def turning_shift(cell: LabelShift) -> float:
    """The shift at which the predicted gain of pooling is zero, the largest possible if there is none."""
    from scipy.optimize import brentq  # which is long to load, and every list of statements loads this file

    gain = lambda shift: float(_gain_at(cell.n_source, cell.n_target, 0.5 + shift, cell.separation, cell.n_features))
    return float(brentq(gain, 0.0, 0.49)) if gain(0.49) < 0 < gain(0.0) else 0.49


@functools.partial(jax.jit, static_argnames="d")  # compiled once for all instances of so many features
def _gain_at(n_source, n_target, prior, separation, d):
    return predict(LabelShift(n_source, n_target, prior, 0.5, separation, d), None)["gain_pooled"]


def _cell(rng: np.random.Generator, d: int) -> LabelShift:
    return LabelShift(float(round(rng.uniform(5, 12) * d)), float(round(rng.uniform(1, 1.6) * d)), 0.5, 0.5, 1.0, d)


STATEMENT = Statement(
    name="label-shift-sign",
    claim="With many features pooling under label shift turns harmful at a known proportion of the source.",
    source=("derived",),
    kind="sign",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("gain_pooled"),
    threshold=threshold,
)
