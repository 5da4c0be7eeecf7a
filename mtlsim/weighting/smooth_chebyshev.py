"""The worst loss, smoothed: weights that reach balanced points of the front, where no fixed ones do."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.core.checks import require_one
from mtlsim.core.extremes import largest_of
from mtlsim.weighting._scheme import Example, Facts, Scheme, Signals, floor_of


class SmoothChebyshev(Scheme):
    """w = softmax(L / (smoothness L_0)): the gradient of smoothness log sum_k exp(L_k / smoothness), L over L_0 [lin2024smooth].

    L_0: the largest loss at the start (ours: it leaves the units out, and a task counted twice changes no other's share).
    smoothness: 0.05 (ours); towards zero the worst task alone is trained, and the end is the balanced point of the front (see
    `mtlsim.theory.statements.scalarisation_gap`); large, weights are equal. The ideal losses, from which the paper counts, are
    zero here.
    """

    smoothness: Array | float = 0.05

    def __check_init__(self):
        require_one(self.smoothness, lambda s: (s > 0) & np.isfinite(s), "smoothness", "a number > 0", "use 0.05")

    def init(self, facts):
        return largest_of(jnp.maximum(facts.losses, floor_of(facts.losses)))

    def weights(self, signals, state):
        return jax.nn.softmax(signals.losses / (self.smoothness * state)), state, jnp.zeros((), jnp.int32)


SCHEME = SmoothChebyshev
LOG_3 = 1.0986122886681098
CONFORMANCE = (
    # a loss that is log 3 times the smoothness above the other has three times its weight; far apart, all of it
    Example(
        SmoothChebyshev(0.5),
        Facts([1.0, 2.0], [1.0, 1.0]),
        [Signals([1.0, 1.0 + LOG_3], [[1.0, 0.0], [0.0, 1.0]], 0), Signals([1.0, 1.0], [[1.0, 0.0], [0.0, 1.0]], 1)],
        [[0.25, 0.75], [0.5, 0.5]],
    ),
    Example(SmoothChebyshev(1e-3), Facts([1.0, 1.0], [1.0, 1.0]), [Signals([1.0, 0.5], [[1.0, 0.0], [0.0, 1.0]], 0)], [[1.0, 0.0]]),
)
