"""UPGrad: every task's gradient moved to where no task loses, and the mean of them."""

import jax.numpy as jnp

from mtlsim.weighting._quadratic import LEAST, nonnegative_minimum
from mtlsim.weighting._scheme import FLOOR, Example, Facts, Scheme, Signals


class UPGrad(Scheme):
    """w = mean over k of w_k, w_k = argmin of v'Mv over v >= e_k: v'g is the projection of g_k on the cone of directions in which
    no loss rises, M the gram of the gradients [quinton2024jacobian].

    Solved at every step, to rounding; released code adds 1e-4 of the trace to the diagonal first. Without conflict weights are
    1 / K. A task whose gradient is zero has 1 / K and is counted.
    """

    def weights(self, signals, state):
        norms = jnp.sqrt(jnp.diagonal(signals.gram))
        n, none = len(norms), norms < FLOOR
        norms = jnp.where(none, 1, norms)
        matrix = signals.gram / (norms[:, None] * norms) + jnp.diag(jnp.where(none, 1.0, LEAST))
        # in units of each gradient: v = e_k + z with z >= 0
        added = nonnegative_minimum(matrix, matrix.T)
        lengths = jnp.where(none, 0, norms[:, None] * added / norms)  # of task k in its own length, of others in theirs
        return (1 + jnp.sum(lengths, 0)) / n, state, jnp.sum(none)


SCHEME = UPGrad
FACTS = Facts([1.0, 1.0], [1.0, 1.0])
CONFORMANCE = (
    # no conflict; unit gradients of cosine -1/2: g_1 + g_2 / 2 is orthogonal to g_2, and the other way round
    Example(UPGrad(), FACTS, [Signals([1.0, 1.0], [[1.0, 0.5], [0.5, 4.0]], 0)], [[0.5, 0.5]]),
    Example(UPGrad(), FACTS, [Signals([1.0, 1.0], [[1.0, -0.5], [-0.5, 1.0]], 0)], [[0.75, 0.75]]),
    # of lengths 1 and 2: g_1 + g_2 / 4 and g_2 + g_1
    Example(UPGrad(), FACTS, [Signals([1.0, 1.0], [[1.0, -1.0], [-1.0, 4.0]], 0)], [[1.0, 0.625]]),
)
