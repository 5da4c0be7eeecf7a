"""Sharing without free heads: all rows as one task, rows around the mean of all tasks."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from mtlsim.core import linalg
from mtlsim.samples.moments import Moments
from mtlsim.solvers.single import solve_single


def pool(moments: Moments, weights: Float[Array, " K"], ridge: Float[Array, " K"]) -> Moments:
    """One task's moments of all rows together, weighted, with the ridges on the diagonal."""
    ridges = jnp.sum(weights * ridge) * jnp.eye(moments.n_features, dtype=moments.gram.dtype)
    grams = jnp.broadcast_to(moments.gram, (moments.n_tasks, *moments.gram.shape[-2:]))
    gram = jnp.einsum("k,kde->de", weights, grams, precision="highest") + ridges
    return Moments(gram, weights @ moments.cross, weights @ moments.energy, jnp.sum(moments.n_samples))


def solve_pooled(moments: Moments, weights: Float[Array, " K"], ridge: Float[Array, " K"]) -> Float[Array, " d"]:
    """argmin over theta of sum_i w_i (|X_i theta - y_i|^2 + ridge_i |theta|^2): one vector for all tasks, every head one.

    Of minimum norm where the rows do not determine it.
    """
    return solve_single(pool(moments, weights, ridge))


def solve_mean_regularised(moments: Moments, strength: Float[Array, ""] | float) -> Float[Array, "K d"]:
    """argmin over theta_1..theta_K of sum_i (|X_i theta_i - y_i|^2 + strength |theta_i - mean|^2), mean over all tasks.

    Given the mean, theta_i = (S_i + strength)^-1 (b_i + strength mean); the mean solves the average of these. A variant of
    the regularised multi-task learning of [evgeniou2004regularized].
    """
    strength, eye = jnp.asarray(strength, moments.gram.dtype), jnp.eye(moments.n_features, dtype=moments.gram.dtype)
    each = [(moments[i].gram, moments[i].cross) for i in range(moments.n_tasks)]
    inverses = [linalg.solve_positive(gram + strength * eye, eye) for gram, _ in each]
    own = [linalg.multiply(inverse, cross) for inverse, (_, cross) in zip(inverses, each, strict=True)]
    # the average over tasks of (1 - strength (S_i + strength)^-1) mean = (S_i + strength)^-1 b_i
    system = sum(linalg.multiply(inverse, gram) for inverse, (gram, _) in zip(inverses, each, strict=True))
    mean = jnp.linalg.solve(system, sum(own))
    return jnp.stack([a + strength * linalg.multiply(inverse, mean) for a, inverse in zip(own, inverses, strict=True)])
