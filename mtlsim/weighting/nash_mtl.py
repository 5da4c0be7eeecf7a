"""The Nash bargaining solution: every task gains in the same proportion from the common step."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mtlsim.core.linalg import multiply, solver_of_few
from mtlsim.weighting._quadratic import least_of
from mtlsim.weighting._scheme import FLOOR, Example, Facts, Scheme, Signals, above

STEPS = 60  # of a damped Newton method on a self-concordant function: the last ones are quadratic


def bargain(gram: Float[Array, "K K"]) -> Float[Array, " K"]:
    """w (K,) with M w = 1 / w entry by entry, for a gram M with a diagonal of ones: the minimum of w'Mw / 2 - sum_k log w_k."""
    matrix = gram + least_of(gram) * jnp.eye(len(gram), dtype=gram.dtype)

    def step(_, weights):
        slope = multiply(matrix, weights) - 1 / weights
        move = solver_of_few(matrix + jnp.diag(1 / weights**2))(slope)
        length = jnp.sqrt(jnp.maximum(multiply(slope, move), 0))
        return weights - move / (1 + jnp.where(length > 0.25, length, 0))

    return jax.lax.fori_loop(0, STEPS, step, jnp.ones(len(gram), gram.dtype))


class NashMTL(Scheme):
    """w with M w = 1 / w, M the gram of the gradients: the step d = sum_k w_k g_k has g_k'd = 1 / w_k [navon2022multi].

    Multiplying a loss by c divides its weight by c, so that units do not count. Where gradients cancel, at a Pareto stationary
    point, w is the mixture that cancels them. Ours is solved at every step, to rounding; released code solves a sequence of
    convex programmes, some steps apart, and cuts the length of d (to be verified). A task whose gradient is zero takes all the
    weight and is counted.
    """

    def weights(self, signals, state):
        norms, n_floored = above(jnp.sqrt(jnp.diagonal(signals.gram)), FLOOR)
        return bargain(signals.gram / (norms[:, None] * norms)) / norms, state, n_floored


SCHEME = NashMTL
FACTS = Facts([1.0, 1.0], [1.0, 1.0])
CONFORMANCE = (
    # orthogonal gradients of lengths 1 and 2: inverse lengths; at 60 degrees and of length one: w (1 + 1/2) w = 1
    Example(NashMTL(), FACTS, [Signals([1.0, 1.0], [[1.0, 0.0], [0.0, 4.0]], 0)], [[1.0, 0.5]]),
    Example(NashMTL(), FACTS, [Signals([1.0, 1.0], [[1.0, 0.5], [0.5, 1.0]], 0)], [[(2 / 3) ** 0.5] * 2]),
)
