"""Normalisation of a row's hidden units, forward and backward [xu2019understanding].

Of the units z (r,) of one row, with mean mu and deviation s, y = (z - mu) / s. What the rules differ in:

    layer-norm         gain * y + bias,  s^2 = mean (z - mu)^2 + 1e-5;  both trained there, one and zero at the start
    layer-norm-simple  y,                s = sqrt(sum (z - mu)^2 / (r - 1)) + 1e-5
    ada-norm           scale (1 - slope y) * y, s as in the last; the factor scale (1 - slope y) is held in the backward pass
    detach-norm        y, s as in layer-norm-simple; mu and s are held in the backward pass, or one of them

A number that is held has the derivative zero, so that the steps of the last two are not the gradient of the loss, and in general
of none: line searches and finite differences of them are wrong. Where a loss is linear in the output of ada-norm, they are its
gradient with y - slope y^2 / 2 in place of y - slope y^2. The factor of ada-norm has the mean `scale`, and its output the mean
-scale slope (r - 1) / r.

The scale and offset of a row are lost: f(c z + b) = f(z) for c > 0, up to the 1e-5. One unit becomes zero, two
become the sign of their difference, whose derivative is zero almost everywhere: fewer than three are refused.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mtlsim.core.checks import require

EPSILON = 1e-5
SLOPE = 0.1  # k of ada-norm
FEWEST = 3


def require_units(n_units: int) -> None:
    """Refuse to normalise fewer than three units. Raises ValueError."""
    cure = "use three or more: one becomes zero, and two the sign of their difference"
    require(n_units >= FEWEST, "units", f"at least {FEWEST} to be normalised", n_units, cure)


def layer_norm(
    units: Float[Array, "*m r"], gain: Float[Array, " r"] | float = 1.0, bias: Float[Array, " r"] | float = 0.0
) -> Float[Array, "*m r"]:
    """gain * (z - mu) / sqrt(mean (z - mu)^2 + 1e-5) + bias."""
    require_units(units.shape[-1])
    centred = units - jnp.mean(units, -1, keepdims=True)
    return gain * centred / jnp.sqrt(jnp.mean(centred**2, -1, keepdims=True) + EPSILON) + bias


def layer_norm_simple(units: Float[Array, "*m r"]) -> Float[Array, "*m r"]:
    """(z - mu) / (s + 1e-5), s with r - 1 below the sum."""
    require_units(units.shape[-1])
    centred = units - jnp.mean(units, -1, keepdims=True)
    return centred / (_deviation(centred) + EPSILON)


def ada_norm(units: Float[Array, "*m r"], scale: float = 1.0, slope: float = SLOPE) -> Float[Array, "*m r"]:
    """scale (1 - slope y) * y, y as in `layer_norm_simple`, the factor before it held in the backward pass."""
    plain = layer_norm_simple(units)
    return jax.lax.stop_gradient(scale * (1 - slope * plain)) * plain


def detach_norm(units: Float[Array, "*m r"], mean: bool = True, deviation: bool = True) -> Float[Array, "*m r"]:
    """The numbers of `layer_norm_simple`; mean, deviation: which of mu and s are held in the backward pass."""
    require_units(units.shape[-1])
    middle = jnp.mean(units, -1, keepdims=True)
    spread = _deviation(units - middle)
    hold = jax.lax.stop_gradient
    return (units - (hold(middle) if mean else middle)) / ((hold(spread) if deviation else spread) + EPSILON)


def _deviation(centred: Float[Array, "*m r"]) -> Float[Array, "*m 1"]:
    """sqrt(sum of squares / (r - 1)); where all units are equal, zero with a derivative of zero."""
    variance = jnp.sum(centred**2, -1, keepdims=True) / (centred.shape[-1] - 1)
    return jnp.where(variance > 0, jnp.sqrt(jnp.where(variance > 0, variance, 1)), 0)


NORMALISATIONS: dict[str, Callable] = {
    "layer-norm": layer_norm,
    "layer-norm-simple": layer_norm_simple,
    "ada-norm": ada_norm,
    "detach-norm": detach_norm,
}
