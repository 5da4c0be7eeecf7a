"""The arc-cosine kernel of ReLU units on Gaussian rows [cho2009kernel].

For x with covariance Sigma and vectors u, v at the angle omega in the inner product of Sigma,

    E[relu(u'x) relu(v'x)] = |u| |v| kappa(omega) / 2,    kappa(omega) = (sin omega + (pi - omega) cos omega) / pi,

so that kappa(0) = 1, kappa(pi / 2) = 1 / pi, kappa(pi) = 0. As a function of c = cos omega it is convex and rises, with the
derivative (pi - omega) / pi.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


@jax.custom_jvp
def kappa(cosine: Float[Array, "..."]) -> Float[Array, "..."]:
    """kappa as a function of the cosine; what lies outside [-1, 1] by rounding is taken as the end."""
    c = jnp.clip(cosine, -1, 1)
    return (jnp.sqrt(1 - c**2) + c * (np.pi - jnp.arccos(c))) / np.pi


@kappa.defjvp
def _kappa_slope(primals, tangents):
    (cosine,), (moved,) = primals, tangents
    return kappa(cosine), kappa_slope(cosine) * moved


@jax.custom_jvp
def kappa_slope(cosine: Float[Array, "..."]) -> Float[Array, "..."]:
    """d kappa / d cosine = (pi - omega) / pi, the share of rows on which both units are active, doubled."""
    return (np.pi - jnp.arccos(jnp.clip(cosine, -1, 1))) / np.pi


@kappa_slope.defjvp
def _kappa_curvature(primals, tangents):
    (cosine,), (moved,) = primals, tangents
    room = jnp.maximum(1 - cosine**2, jnp.finfo(cosine.dtype).eps ** 2)  # the second derivative is infinite at both ends
    return kappa_slope(cosine), moved / (np.pi * jnp.sqrt(room))


def shortfall(angle: Float[Array, "..."]) -> Float[Array, "..."]:
    """1 - kappa(omega), to full relative precision at small angles."""
    omega = jnp.asarray(angle)
    small = omega < 0.05
    safe = jnp.where(small, 1.0, omega)
    beyond = jnp.where(small, omega**3 / 3 - omega**5 / 30 + omega**7 / 840, jnp.sin(safe) - safe * jnp.cos(safe))
    return 2 * jnp.sin(omega / 2) ** 2 - beyond / np.pi


def angle_between(u: Float[Array, " d"], v: Float[Array, " d"]) -> Float[Array, ""]:
    """Angle of two vectors to full relative precision at 0 and pi; pi / 2 if one is zero."""
    first, second = jnp.linalg.norm(u), jnp.linalg.norm(v)
    u, v = u / jnp.where(first > 0, first, 1), v / jnp.where(second > 0, second, 1)
    return 2 * jnp.arctan2(jnp.linalg.norm(u - v), jnp.linalg.norm(u + v))
