"""Exact expectations over draws of the risk of least squares, in closed form."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from mtlsim.core.extremes import largest_of, smallest_of
from mtlsim.tasks.covariance import Covariance
from mtlsim.tasks.recipe import Tasks

ROUNDING = 1e-9  # anisotropy that counts as none
NEAR_MEAN, NEAR_VARIANCE = 1, 3  # rows from the peak of interpolation within which the mean and the variance are infinite
HEAD_ROWS = 5  # the same of a head on a layer that other rows decide: tail exponent (n - r) / 2, as measured
LEAD = 10.0  # of the sources' signal over the target's noise; measured: coverage 91 % at 4, 76 % at 0.4, 94 % from 20 on


def single_risk(noise: Float[Array, "..."], n_samples: Float[Array, "..."], n_features: int) -> Float[Array, "..."]:
    """Exact excess risk of least squares alone, noise^2 d / (n - d - 1), for Gaussian rows of any covariance and n > d + 1.

    NaN where n <= d + 1, where the expectation is infinite or another formula holds.
    """
    freedom = n_samples - n_features - 1
    return jnp.where(freedom > 0, noise**2 * n_features / jnp.where(freedom > 0, freedom, 1), jnp.nan)


def minimum_norm_risk(energy, noise, n_samples, n_features: int) -> Float[Array, ""]:
    """Exact excess risk of the interpolator of least norm, energy (1 - n/d) + noise^2 n / (d - n - 1), for Gaussian rows of
    covariance Sigma = scale * identity and n < d - 1; energy = theta' Sigma theta.

    NaN where n >= d - 1, where the expectation is infinite or another formula holds.
    """
    freedom = n_features - n_samples - 1
    variance = noise**2 * n_samples / jnp.where(freedom > 0, freedom, 1)
    return jnp.where(freedom > 0, energy * (1 - n_samples / n_features) + variance, jnp.nan)


def anisotropy(covariance: Covariance) -> Float[Array, ""]:
    """Largest minus smallest eigenvalue, as a share of the largest: zero for a multiple of the identity."""
    return 1 - smallest_of(covariance.eigenvalues) / largest_of(covariance.eigenvalues)


def least_squares_risk(tasks: Tasks, task: int = -1) -> Float[Array, ""]:
    """Exact excess risk of one task's least squares alone: of full rank for n > d + 1, of least norm for n < d - 1 if isotropic.

    NaN where neither form holds.
    """
    noise, n, d = tasks.noise[task], tasks.n_samples[task], tasks.n_features
    covariance = tasks.covariances[task]
    least_norm = minimum_norm_risk(covariance.quadratic(tasks.parameters[task]), noise, n, d)
    least_norm = jnp.where(anisotropy(covariance) < ROUNDING, least_norm, jnp.nan)
    return jnp.where(n > d + 1, single_risk(noise, n, d), least_norm)


def is_near(n_samples: Float[Array, ""], n_parameters: int | Array, ridge: Float[Array, ""] | float = 0.0) -> Bool[Array, ""]:
    """Whether so many rows are so near to interpolating so many parameters that the risk has no finite variance."""
    return (jnp.abs(n_samples - n_parameters) <= NEAR_VARIANCE) & (jnp.asarray(ridge) == 0)
