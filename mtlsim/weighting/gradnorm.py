"""Weighted gradients of equal length, corrected for how fast each task learns."""

import jax.numpy as jnp
from jaxtyping import Array

from mtlsim.weighting._scheme import FLOOR, Example, Facts, Scheme, Signals, above, floor_of, normalise


class GradNorm(Scheme):
    """w descends sum_k |w_k n_k - T_k| with the targets T_k held constant, and is brought back to sum K [chen2018gradnorm].

    n_k = |g_k|, T_k = mean(w n) r_k^alpha, r_k = (L_k / L_k(0)) over its mean: a task that lags behind (r_k > 1) gets a longer
    gradient. dw_k = n_k sign(w_k n_k - T_k), in closed form. alpha: 1.5 (0.12 in the paper's toy example; to be verified).
    learning_rate: of w's own plain steps; the paper's is 0.025 with Adam (to be verified). The network moves with the weights
    from before the step. Released code elsewhere takes w from a softmax, and equal weights through the first epoch; one port
    uses -alpha, which inverts the rule.
    """

    alpha: Array | float = 1.5
    learning_rate: Array | float = 0.025

    def init(self, facts):
        start, _ = above(facts.losses, floor_of(facts.losses))
        return jnp.ones_like(start), start

    def weights(self, signals, state):
        weights, start = state
        norms = jnp.sqrt(jnp.diagonal(signals.gram))
        rates, n_floored = above(signals.losses / start, FLOOR)
        targets = jnp.mean(weights * norms) * (rates / jnp.mean(rates)) ** self.alpha
        moved, n_negative = above(weights - self.learning_rate * norms * jnp.sign(weights * norms - targets), FLOOR)
        return weights, (normalise(moved), start), n_floored + n_negative


SCHEME = GradNorm
SEEN = Signals([1.0, 1.0], [[1.0, 0.0], [0.0, 9.0]], 0)
CONFORMANCE = (
    # lengths 1 and 3, mean 2: the first weight grows by 0.1 * 1, the second falls by 0.1 * 3, and 2 / 1.8 brings back the sum
    Example(GradNorm(0.0, 0.1), Facts([1.0, 1.0], [1.0, 1.0]), [SEEN, SEEN._replace(step=1)], [[1.0, 1.0], [1.1 / 0.9, 0.7 / 0.9]]),
    # equal lengths; the second task has lost three quarters of its loss: targets 1.6 and 0.4
    Example(
        GradNorm(1.0, 0.1),
        Facts([1.0, 4.0], [1.0, 1.0]),
        [Signals([1.0, 1.0], [[1.0, 0.0], [0.0, 1.0]], 0)] * 2,
        [[1.0, 1.0], [1.1, 0.9]],
    ),
)
