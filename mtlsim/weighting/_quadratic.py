"""A small convex quadratic over weights that are not negative: what several schemes solve at every step, from the gram alone."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mtlsim.core.extremes import smallest_of
from mtlsim.core.linalg import multiply, solver_of_few

STEPS = 40
LEAST = 1e-12  # of a gram with a diagonal of ones: what keeps gradients that cancel from unbounded weights


def least_of(gram: Float[Array, "K K"]) -> float:
    """`LEAST`, or the rounding of so many unit gradients where that is more, as in float32."""
    return max(LEAST, 4 * len(gram) * float(jnp.finfo(gram.dtype).eps))


def nonnegative_minimum(matrix: Float[Array, "K K"], slopes: Float[Array, "n K"]) -> Float[Array, "n K"]:
    """argmin over z >= 0 of z'Mz / 2 + slope'z for each of n, M with a diagonal about one: z >= 0, s = Mz + slope >= 0, z's = 0.

    Primal-dual interior point with a predictor and a corrector [nocedal2006numerical], until z's is the square of rounding.
    """
    n_tasks, eps = slopes.shape[1], jnp.finfo(slopes.dtype).eps
    floor = jnp.finfo(slopes.dtype).tiny ** 0.25  # no quotient of the two leaves the range of numbers
    # from the middle of the cone, as far out as the slope asks for
    size = 1 + jnp.sqrt(jnp.sum(slopes**2, 1, keepdims=True))
    start = jnp.broadcast_to(size, slopes.shape)

    def step(state):
        z, s, iteration = state
        off = multiply(z, matrix) + slopes - s
        # with a rounding more, so that gradients that cancel leave a factor in float32 too; what is off is seen in the next step
        solve = solver_of_few(matrix + (s / z + 4 * n_tasks * eps)[..., None] * jnp.eye(n_tasks, dtype=z.dtype))

        def moves(aim):
            """Towards z_k s_k = aim_k."""
            move = solve(-off - s + aim / z)
            move_s = (aim - s * move) / z - s
            return move, move_s, jnp.minimum(_room(z, move), _room(s, move_s))

        move, move_s, length = moves(jnp.zeros_like(z))
        product = jnp.mean(z * s, 1, keepdims=True)
        after = jnp.mean((z + length * move) * (s + length * move_s), 1, keepdims=True)
        move, move_s, length = moves((after / product) ** 3 * product - move * move_s)
        length = length * (1 - jnp.minimum(0.01, product / size**2 + 1e-9))
        return jnp.maximum(z + length * move, floor), jnp.maximum(s + length * move_s, floor), iteration + 1

    def is_open(state):
        z, s, iteration = state
        off = jnp.abs(multiply(z, matrix) + slopes - s)
        closed = (z * s <= (eps * size) ** 2) & (off <= 8 * n_tasks * eps * size)  # never of NaN
        return ~jnp.all(closed) & (iteration < STEPS)

    z, s, _ = jax.lax.while_loop(is_open, step, (start, start, 0))
    return jnp.where(z > s, z, 0.0 * z)  # the smaller of the two is zero at the minimum


def _room(value: Float[Array, "n K"], move: Float[Array, "n K"]) -> Float[Array, "n 1"]:
    """How much of a move keeps all of the values from being negative; at most all of it."""
    falls = move < 0
    return jnp.minimum(smallest_of(jnp.where(falls, -value / jnp.where(falls, move, -1), 2.0), 1)[:, None], 1)
