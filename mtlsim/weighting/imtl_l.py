"""IMTL-L: a learned scale for every loss, which brings all of them to one size."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.core.checks import require_one
from mtlsim.weighting._scheme import Example, Facts, Scheme, Signals, above, floor_of


class IMTLL(Scheme):
    """w = exp(s), s_k by steps on exp(s_k) L_k - s_k, whose minimum is s_k = -log L_k [liu2021towards].

    At that minimum weights are 1 / L_k, those of `inverse-loss`: what is left is sum_k log L_k. learning_rate: of s, 0.1 (ours). s
    starts at its minimum for the first losses (ours, so that no unit counts); a step is at most one, and a floor that fires is
    counted.
    """

    learning_rate: Array | float = 0.1

    def __check_init__(self):
        require_one(self.learning_rate, lambda r: (r >= 0) & np.isfinite(r), "learning_rate", "a number >= 0", "use 0.1")

    def init(self, facts):
        start, n_floored = above(facts.losses, floor_of(facts.losses))
        return -jnp.log(start), n_floored

    def weights(self, signals, state):
        scales, n_floored = state
        weights = jnp.exp(scales)
        slope = jnp.clip(weights * signals.losses - 1, -1 / self.learning_rate, 1 / self.learning_rate)
        return weights + 0 * signals.losses, (scales - self.learning_rate * slope, jnp.zeros_like(n_floored)), n_floored


SCHEME = IMTLL
CONFORMANCE = (
    # the second loss halves: its scale gains a tenth of one half
    Example(
        IMTLL(),
        Facts([1.0, 2.0], [1.0, 1.0]),
        [Signals([1.0, 2.0], [[1.0, 0.0], [0.0, 1.0]], 0)] + [Signals([1.0, 1.0], [[1.0, 0.0], [0.0, 1.0]], 1)] * 2,
        [[1.0, 0.5], [1.0, 0.5], [1.0, 0.5256355481880121]],
    ),
)
