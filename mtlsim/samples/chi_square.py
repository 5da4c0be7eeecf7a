"""Chi-square variates for many degrees of freedom at once, by the rejection method of Marsaglia and Tsang [marsaglia2000simple].

With a = degrees / 2 >= 1, c = 1 / sqrt(9 a - 3) and a standard normal z, x = (a - 1/3) (1 + c z)^3 is a gamma variate of shape a
if it is accepted, which happens with probability

    exp(3 (a - 1/3) (log(1 + w) - w + w^2/2 - w^3/3)),        w = c z > -1.

A gamma variate of shape a < 1 is one of shape a + 1 times U^(1/a). Proposals depend on the key alone: draws of one key at several
degrees share them, and few proposals are ever rejected.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from mtlsim.core.keys import stream

N_PROPOSALS = 2  # drawn ahead; more are drawn for the whole array where all are rejected


def draw_chi_squares(key: Key[Array, ""], degrees: Float[Array, " n"]) -> Float[Array, " n"]:
    """Independent chi-squares with these degrees of freedom (at least 1), exact in law; differentiable in the degrees.

    There is none of degrees that are negative, infinite or NaN: it is NaN.
    """
    return _with_derivative(_draw(key, jax.lax.stop_gradient(degrees)), degrees)


def _draw(key: Key[Array, ""], degrees: Float[Array, " n"]) -> Float[Array, " n"]:
    possible = (degrees >= 0) & jnp.isfinite(degrees)  # of others no proposal is ever accepted
    small = degrees < 2
    shape = jnp.where(possible, degrees / 2 + small, 1)

    def go_on(state):
        drawn, missing, last, number = state
        first = number == 0
        further = stream(jax.random.fold_in(key, jnp.maximum(number - 1, 0)), "more")
        uniforms = _uniforms(jnp.where(first, key, further), shape)
        found, rejected = _propose(uniforms[:-1], shape)
        return jnp.where(missing, found, drawn), missing & rejected, jnp.where(first, uniforms[-1], last), number + 1

    # the first proposals are drawn in the loop, too, for one copy of what is slow to compile
    none = jnp.zeros_like(shape), jnp.ones_like(small), jnp.zeros_like(shape), 0
    drawn, _, last, _ = jax.lax.while_loop(lambda state: jnp.any(state[1]), go_on, none)
    drawn = 2 * drawn * jnp.where(small, jnp.exp(2 * _log(last) / degrees), 1)
    return jnp.where(possible, drawn, jnp.nan)


def _uniforms(key: Key[Array, ""], shape: Float[Array, " n"]) -> Float[Array, "k n"]:
    """Uniform between -1 and 1, a row for every normal and every decision, and one for the root of a small shape."""
    rows, dtype = 2 * N_PROPOSALS + 1, shape.dtype
    least = jnp.nextafter(jnp.array(-1, dtype), jnp.array(0, dtype))
    return jax.random.uniform(key, (rows * len(shape),), dtype, least).reshape(rows, len(shape))


def _log(uniform: Float[Array, "..."]) -> Float[Array, "..."]:
    """Logarithm of (1 + uniform) / 2, which is uniform between 0 and 1."""
    return jnp.log1p(uniform) - math.log(2)


def _propose(uniforms: Float[Array, "k n"], shape: Float[Array, " n"]) -> tuple[Float[Array, " n"], Bool[Array, " n"]]:
    """The first accepted of several proposals, and where there is none."""
    normals, logs = math.sqrt(2) * jax.lax.erf_inv(uniforms[:N_PROPOSALS]), _log(uniforms[N_PROPOSALS:])
    size = shape - 1 / 3
    w = normals / (3 * jnp.sqrt(size))
    inside = w > -1
    kept = jnp.where(inside, w, 0)
    # log1p, and no difference of large numbers: in single precision this stands with 10^9 degrees
    log_odds = 3 * size * (jnp.log1p(kept) - kept * (1 - kept * (1 / 2 - kept / 3)))
    accepted = inside & (logs < log_odds)
    first = kept[-1]
    for i in reversed(range(N_PROPOSALS - 1)):
        first = jnp.where(accepted[i], kept[i], first)
    return size * (1 + first) ** 3, ~jnp.any(accepted, 0)


@jax.custom_jvp
def _with_derivative(squares: Float[Array, " n"], degrees: Float[Array, " n"]) -> Float[Array, " n"]:
    """The squares; as functions of the degrees they keep their quantile."""
    return squares


@_with_derivative.defjvp
def _(primals, tangents):
    squares, degrees = primals
    return squares, jax.lax.random_gamma_grad(degrees / 2, squares / 2) * tangents[1]
