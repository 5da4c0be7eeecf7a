"""Pooled least squares on normalised rows, with many features: the laws behind the statements about one head for two tasks.

Normalised or not, a head for two tasks is pooled least squares of two models. With s the source's scale, u a row of length |u| and
t the length of what is left of it when its mean is taken off (d features), all parameters are along theta:

    labels     rows        covariances   parameters     c                   features   signal that no head explains
    direction  as drawn    s^2, 1        c / s, c       E |u| / sqrt(d)     d          1 - c^2 of both tasks
    direction  normalised  equal         c, c           E t / E |u|         d - 1      1 - c^2 of both tasks
    amplitude  as drawn    s^2, 1        1, 1                               d          none
    amplitude  normalised  equal         s c, c         E t / sqrt(d)       d - 1      s^2 (1 - c^2) and 1 - c^2

in which theta is a mean over all directions. These are exact; that what is not explained counts as noise, and normalised rows as
Gaussian, is right up to O(1 / d). Every c is 1 - O(1 / d).
"""

import math
from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.cells.normalised_rows import NormalisedRows
from mtlsim.core.checks import require
from mtlsim.core.compiler import jit_hastily
from mtlsim.solvers.expected_risk import single_risk
from mtlsim.theory.predictor import Spectra, predict_pooled
from mtlsim.theory.statements.pooled_least_squares import pooled_risk

ROOM = 1.3  # rows of the target over features, from which the risks are trusted


def predicted_risks(cell: NormalisedRows) -> dict[str, Array]:
    """risk_single, risk_multi and gain of the cell, for rows of one length (spread 0) and d - 1 features or d; and the margin of
    the limit (see `mtlsim.theory.predictor`). Not of ada-norm, whose features are d and not linear.
    """
    d, amplitude, plain = cell.n_features, cell.label == "amplitude", cell.normalisation == "none"
    scale, rows = (jnp.asarray(number, float) for number in (cell.scale, [cell.n_source, cell.n_target]))
    scales, whole = jnp.stack([scale, jnp.ones_like(scale)]), mean_length(d)
    if plain:
        share = 1.0 if amplitude else whole / d**0.5
        told = share * (jnp.ones(2) if amplitude else 1 / scales)
        missed = jnp.full(2, 1 - share**2)
    else:
        share = mean_length(d - 1) / (d**0.5 if amplitude else whole)
        told = share * (scales if amplitude else jnp.ones(2))
        missed = (1 - share**2) * (scales**2 if amplitude else jnp.ones(2))
    noise = jnp.sqrt(cell.noise**2 + missed)
    alone = single_risk(noise[1], rows[1], cell.n_seen)
    if plain:
        spectra = scales[:, None] ** 2 * jnp.ones((2, d))
        found = predict_pooled(Spectra(spectra, told[:, None] * jnp.eye(1, d), jnp.zeros(d)), rows, noise, jnp.ones(2))
        together, margin = found.risk[1], found.margin
    else:
        shift = told - told[1]
        together = pooled_risk(rows, jnp.sum(rows * shift) ** 2, shift**2, noise, cell.n_seen)
        margin = jnp.ones(())
    return {"risk_single": alone + missed[1], "risk_multi": together + missed[1], "gain": alone - together, "margin": margin}


def mean_length(freedom: int) -> float:
    """E t for t^2 chi-squared: sqrt(2) Gamma((f + 1) / 2) / Gamma(f / 2)."""
    return math.sqrt(2) * math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2))


def assumptions(cell: NormalisedRows, label: str) -> dict[str, Array]:
    """What the statements assume of a cell."""
    rows = jnp.asarray(cell.n_target, float)
    return {
        f"labels of the {label}": jnp.asarray(1.0 if cell.label == label else -1.0),
        "rows of one length but for chance": 1e-9 - jnp.asarray(cell.spread, float),
        "no even part of the features": jnp.asarray(-1.0 if cell.normalisation == "ada-norm" else 1.0),
        "rows beside whose length the 1e-5 is nothing": jnp.asarray(cell.scale, float) - 0.05,
        "many features": jnp.asarray(cell.n_features - 23.5),
        "target rows well above the number of features": rows / cell.n_features - ROOM,
        "rows away from the number of features that they see": predicted_risks(cell)["margin"],
        "noise": jnp.asarray(cell.noise, float) - 0.05,
    }


_gain_at = jit_hastily(lambda cell, scale: predicted_risks(eqx.tree_at(lambda c: c.scale, cell, scale))["gain"])


def turning_scale(cell: NormalisedRows, below: bool = False) -> float:
    """The scale of the source nearest to one, above it or below, at which the predicted gain is zero. Raises ValueError where the
    gain has one sign from there to 30, or to 1 / 30.
    """
    far = 1 / 30 if below else 30.0
    scales = np.geomspace(1.0, far, 40)
    helps = [float(_gain_at(cell, scale)) > 0 for scale in scales]
    turns = [i for i in range(1, len(scales)) if helps[i] != helps[0]]
    require(bool(turns), "cell", f"one whose gain turns between the scales 1 and {far:.3g}", "one of no turn", "use other rows")
    inner, outer = np.log(scales[turns[0] - 1]), np.log(scales[turns[0]])
    for _ in range(40):
        middle = (inner + outer) / 2
        same = (float(_gain_at(cell, np.exp(middle))) > 0) == helps[0]
        inner, outer = (middle, outer) if same else (inner, middle)
    return float(np.exp((inner + outer) / 2))


def draw_cell(rng: np.random.Generator, label: str, normalisation: str, scale: float = 1.0) -> NormalisedRows:
    """24 features, 50 to 70 rows of the target and 90 to 160 of the source, which is then worth something."""
    rows = float(rng.integers(90, 161)), float(rng.integers(50, 71))
    noise = float(rng.uniform(0.3, 0.6))
    return NormalisedRows(*rows, scale, 0.0, noise, label, normalisation, n_features=24, capacity=(160, 70))


def near_turn(rng: np.random.Generator, label: str, normalisation: str, factor: float) -> NormalisedRows:
    """The same at `factor` times a scale at which the gain turns."""
    cell = draw_cell(rng, label, normalisation)
    return replace(cell, scale=factor * turning_scale(cell, below=bool(rng.random() < 0.5)))
