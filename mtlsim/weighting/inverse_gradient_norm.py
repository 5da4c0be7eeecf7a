"""Gradients of length one."""

import jax.numpy as jnp

from mtlsim.weighting._scheme import FLOOR, Example, Facts, Scheme, Signals


class InverseGradientNorm(Scheme):
    """w_k(t) = 1 / |g_k|, g_k the gradient of L_k in the shared module; neither scale nor shift of a loss changes w_k g_k.

    A gradient of zero has no direction: its weight is zero, and is counted. Steps of constant length do not settle: let the
    learning rate fall.
    """

    def weights(self, signals, state):
        norms = jnp.sqrt(jnp.diagonal(signals.gram))
        zero = norms <= FLOOR
        return jnp.where(zero, 0, 1 / jnp.where(zero, 1, norms)), state, jnp.sum(zero)


SCHEME = InverseGradientNorm
FACTS = Facts([1.0, 1.0], [1.0, 1.0])
CONFORMANCE = (
    Example(InverseGradientNorm(), FACTS, [Signals([0.5, 8.0], [[4.0, 1.0], [1.0, 25.0]], 0)], [[0.5, 0.2]]),
    Example(InverseGradientNorm(), FACTS, [Signals([0.5, 8.0], [[0.0, 0.0], [0.0, 25.0]], 0)], [[0.0, 0.2]]),
)
