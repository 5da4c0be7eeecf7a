"""Pooled least squares on normalised rows, with many features: the laws behind the statements on tied heads.

Where all rows of a task have one length but for chance, N(x) is linear in x up to O(1 / d), and one head for two tasks is pooled
least squares of linear tasks. With c = E|u| / sqrt(d) and k = d / (d - 1) E[t / |u|] (both 1 - O(1 / d)), s the source's scale:

    labels     rows        covariances   parameters        features   signal that no head explains
    direction  as drawn    s^2, 1        c / s, c          d          1 - c^2 each
    direction  normalised  equal         k, k              d - 1      e = 1 - (1 - 1 / d)^2 k^2 each
    amplitude  as drawn    s^2, 1        1, 1              d          none
    amplitude  normalised  equal         s k', k'          d - 1      s^2 e', e'

all parameters along one direction, and what is not explained counts as noise.
"""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.cells.normalised_rows import NormalisedRows
from mtlsim.solvers.expected_risk import single_risk
from mtlsim.theory.predictor import Spectra, predict_pooled
from mtlsim.theory.statements.pooled_least_squares import pooled_risk


def mean_length(freedom: int) -> float:
    """E t for t^2 chi-squared: sqrt(2) Gamma((f + 1) / 2) / Gamma(f / 2)."""
    return math.sqrt(2) * math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2))
