"""Conflict-averse steps: near the mean gradient, the direction in which the worst task gains most."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.core.checks import require_one
from mtlsim.core.extremes import largest_of
from mtlsim.core.linalg import multiply
from mtlsim.weighting._scheme import FLOOR, Example, Facts, Scheme, Signals
from mtlsim.weighting.mgda import shortest_mixture

N_STEPS = 20
STILL = 1e-6  # of the mean gradient's length: a shorter mixture has no direction


class CAGrad(Scheme):
    """d = argmax of min_k g_k'd over |d - g_0| <= c |g_0|, g_0 the mean gradient [liu2021conflict].

    d = g_0 + (c |g_0| / |g_v|) g_v, with v on the simplex the minimum of g_v'g_0 + c |g_0| |g_v|. For a given length of g_v that is
    a shortest mixture of the gradients (v minimises |g_v + t g_0|^2 for the right t), so that t is found by a search along a
    line. c (`reach`): 0.4 (the paper's, to be verified); 0 is equal weights, from 1 on d goes to a Pareto stationary point as
    `mgda` does. A mixture of no length (a stationary point) adds nothing, and is counted.
    """

    reach: Array | float = 0.4

    def __check_init__(self):
        require_one(self.reach, lambda c: (c >= 0) & np.isfinite(c), "reach", "a number >= 0", "use 0.4")

    def weights(self, signals, state):
        gram = signals.gram
        n = len(gram)
        mean = jnp.full(n, 1 / n, gram.dtype)
        size = jnp.sqrt(jnp.maximum(multiply(mean, gram, mean), 0))
        radius = self.reach * size
        length = lambda v: jnp.sqrt(jnp.maximum(multiply(v, gram, v), 0))

        def mixture(t):
            """v that minimises |g_v + t g_0|^2: the shortest mixture of the gradients g_k + t g_0."""
            moved = gram + t * (gram @ mean)[:, None] + t * (gram @ mean) + t**2 * size**2
            return shortest_mixture(moved, 200, 1e-14)[0]

        # stationary in v: |g_v| = t radius, of which the left side falls in t; regula falsi, ends that stay are halved
        excess = lambda t: length(mixture(t)) - t * radius

        def narrow(_, ends):
            low, high, at_low, at_high, side = ends
            t = (low * at_high - high * at_low) / jnp.where(at_high == at_low, 1, at_high - at_low)
            t = jnp.where((t > low) & (t < high), t, (low + high) / 2)
            value = excess(t)
            up = value > 0
            low, high = jnp.where(up, t, low), jnp.where(up, high, t)
            kept_high, kept_low = jnp.where(side == 1, at_high / 2, at_high), jnp.where(side == -1, at_low / 2, at_low)
            return low, high, jnp.where(up, value, kept_low), jnp.where(up, kept_high, value), jnp.where(up, 1, -1)

        most = (jnp.sqrt(largest_of(jnp.diagonal(gram))) + FLOOR) / jnp.where(radius > 0, radius, 1)
        ends = (jnp.zeros_like(most), most, excess(0.0), excess(most), jnp.zeros((), int))
        low, high, *_ = jax.lax.fori_loop(0, N_STEPS, narrow, ends)
        v = mixture((low + high) / 2)
        found = length(v)
        still = found <= jnp.maximum(STILL * size, FLOOR)
        added = jnp.where(still, 0, radius / jnp.where(still, 1, found)) * v
        return mean + added, state, (still & (self.reach > 0)).astype(jnp.int32)


SCHEME = CAGrad
FACTS = Facts([1.0, 1.0], [1.0, 1.0])
CONFORMANCE = (
    # alike: (1 + c) / K each; without reach the mean
    Example(CAGrad(0.4), FACTS, [Signals([1.0, 1.0], [[1.0, 0.0], [0.0, 1.0]], 0)], [[0.7, 0.7]]),
    Example(CAGrad(0.0), FACTS, [Signals([1.0, 1.0], [[1.0, 0.2], [0.2, 9.0]], 0)], [[0.5, 0.5]]),
)
