"""A small convex quadratic over weights that are not negative: what several schemes solve at every step, from the gram alone."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mtlsim.core.extremes import smallest_of
from mtlsim.core.linalg import multiply

STEPS = 40
LEAST = 1e-12  # of a gram with a diagonal of ones: what keeps gradients that cancel from unbounded weights


def nonnegative_minimum(matrix: Float[Array, "K K"], slope: Float[Array, " K"]) -> Float[Array, " K"]:
    """argmin over z >= 0 of z'Mz / 2 + slope'z, for M with a diagonal about one: z >= 0, s = Mz + slope >= 0, z's = 0.

    Primal-dual interior point, a fixed number of steps, each towards a tenth of the present z's [nocedal2006numerical].
    """
    n = len(slope)
    # from the middle of the cone, as far out as the slope asks for
    size = 1 + jnp.sqrt(jnp.sum(slope**2))
    start = jnp.full(n, size), jnp.full(n, size)

    def step(_, state):
        z, s = state
        off = multiply(matrix, z) + slope - s
        aim = 0.1 * multiply(z, s) / n
        move = jnp.linalg.solve(matrix + jnp.diag(s / z), -off - s + aim / z)
        move_s = (aim - s * move) / z - s
        length = jnp.minimum(_room(z, move), _room(s, move_s))
        floor = jnp.finfo(z.dtype).tiny ** 0.25  # no quotient of the two leaves the range of numbers
        return jnp.maximum(z + length * move, floor), jnp.maximum(s + length * move_s, floor)

    z, s = jax.lax.fori_loop(0, STEPS, step, start)
    return jnp.where(z > s, z, 0.0 * z)  # the smaller of the two is zero at the minimum


def _room(value: Float[Array, " K"], move: Float[Array, " K"]) -> Float[Array, ""]:
    """How much of a move keeps all of the values positive, with a hundredth of the way left; at most all of it."""
    falls = move < 0
    return jnp.minimum(0.99 * smallest_of(jnp.where(falls, -value / jnp.where(falls, move, -1), 2.0)), 1)
