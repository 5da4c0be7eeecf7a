"""Closed forms that several statements share."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def single_risk(noise: Float[Array, ""], n_samples: Float[Array, ""], n_features: int) -> Float[Array, ""]:
    """Exact excess risk of least squares alone, noise^2 d / (n - d - 1), for Gaussian rows of any covariance and n > d + 1.

    NaN where n <= d + 1, where the expectation is infinite or another formula holds.
    """
    freedom = n_samples - n_features - 1
    return jnp.where(freedom > 0, noise**2 * n_features / jnp.where(freedom > 0, freedom, 1), jnp.nan)
