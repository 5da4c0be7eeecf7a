"""PCGrad: from every task's gradient what conflicts with another's is taken, one after the other, and the rests are added."""

from itertools import permutations

import jax.numpy as jnp
import numpy as np

from mtlsim.core.checks import require
from mtlsim.core.linalg import multiply
from mtlsim.weighting._scheme import FLOOR, Example, Facts, Scheme, Signals, above

MOST = 6  # tasks: all orders of the others are gone through


class PCGrad(Scheme):
    """g_i <- g_i - (min(g_i'g_j, 0) / |g_j|^2) g_j over all j != i in turn, and w the weights of sum_i g_i [yu2020gradient].

    The published rule draws the order of the others at every step; this is the mean over all orders, which depends on no draw and
    on no numbering of tasks; for two tasks both are one. Raises ValueError for more than six tasks. Only opposite gradients, and
    stationary points of the sum, give no step. A task whose gradient is zero takes nothing from others, and is counted.
    """

    def weights(self, signals, state):
        gram, n = signals.gram, len(signals.losses)
        require(n <= MOST, "scheme", f"another one for more than {MOST} tasks", "'pcgrad'", "use 'upgrad', which needs no order")
        squares, n_floored = above(jnp.diagonal(gram), FLOOR**2)
        total = jnp.zeros_like(squares)
        for own in range(n):
            orders = np.array(list(permutations([j for j in range(n) if j != own])), int)
            mixed = jnp.tile(jnp.eye(n, dtype=gram.dtype)[own], (len(orders), 1))
            for turn in range(n - 1):
                other = orders[:, turn]
                inner = jnp.sum(mixed * gram[other], 1)
                taken = jnp.minimum(inner, 0) / squares[other]
                mixed = mixed.at[np.arange(len(orders)), other].add(-taken)
            total = total + jnp.mean(mixed, 0)
        return total + 0 * multiply(gram, total), state, n_floored


SCHEME = PCGrad
FACTS = Facts([1.0, 1.0], [1.0, 1.0])
CONFORMANCE = (
    # no conflict: the sum; g_12 = -1 of lengths 1 and 2: g_1 + g_2 / 4, and g_2 + g_1
    Example(PCGrad(), FACTS, [Signals([1.0, 1.0], [[1.0, 0.5], [0.5, 4.0]], 0)], [[1.0, 1.0]]),
    Example(PCGrad(), FACTS, [Signals([1.0, 1.0], [[1.0, -1.0], [-1.0, 4.0]], 0)], [[2.0, 1.25]]),
)
