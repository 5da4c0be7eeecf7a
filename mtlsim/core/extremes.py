"""Largest and smallest of numbers, NaN where one of them is NaN, on every device.

From jax 0.11.2 on, compiled programs of a CPU leave NaN out of a maximum or minimum over some thousand numbers: without these a
search that failed would pass for the best one, and a factorisation that failed for a well-conditioned one.
"""

import jax.numpy as jnp
from jaxtyping import Array, Shaped


def largest_of(values: Shaped[Array, "..."], axis: int | tuple[int, ...] | None = None) -> Shaped[Array, "..."]:
    """The maximum over some axes, or over all."""
    return _with_nan(jnp.max, values, axis)


def smallest_of(values: Shaped[Array, "..."], axis: int | tuple[int, ...] | None = None) -> Shaped[Array, "..."]:
    """The minimum over some axes, or over all."""
    return _with_nan(jnp.min, values, axis)


def _with_nan(reduce, values, axis):
    found = reduce(values, axis)
    if not jnp.issubdtype(found.dtype, jnp.inexact):
        return found
    return jnp.where(jnp.any(jnp.isnan(values), axis), jnp.nan, found)
