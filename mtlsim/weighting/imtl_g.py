"""IMTL-G: the common step has the same projection on every task's gradient."""

import jax.numpy as jnp

from mtlsim.core.linalg import solver_of_few
from mtlsim.weighting._quadratic import least_of
from mtlsim.weighting._scheme import FLOOR, Example, Facts, Scheme, Signals, above


class IMTLG(Scheme):
    """w with sum one and d'g_k / |g_k| the same for all k, d = sum_k w_k g_k: M w proportional to |g_k| [liu2021towards].

    In closed form; w may be negative, and grows without bound as gradients become dependent (to `1 / least_of` a gram here; such
    steps are counted). A task whose gradient is zero is counted.
    """

    def weights(self, signals, state):
        norms, n_floored = above(jnp.sqrt(jnp.diagonal(signals.gram)), FLOOR)
        n = len(norms)
        matrix = signals.gram / (norms[:, None] * norms)
        units = solver_of_few(matrix + least_of(matrix) * jnp.eye(n, dtype=norms.dtype))(jnp.ones(n, norms.dtype))
        raw = units / norms
        total = jnp.sum(raw)
        return raw / jnp.where(total == 0, 1, total), state, n_floored


SCHEME = IMTLG
FACTS = Facts([1.0, 1.0], [1.0, 1.0])
CONFORMANCE = (
    # orthogonal of lengths 1 and 2: inverse lengths; unit gradients of any angle: equal
    Example(IMTLG(), FACTS, [Signals([1.0, 1.0], [[1.0, 0.0], [0.0, 4.0]], 0)], [[2 / 3, 1 / 3]]),
    Example(IMTLG(), FACTS, [Signals([1.0, 1.0], [[1.0, -0.5], [-0.5, 1.0]], 0)], [[0.5, 0.5]]),
)
