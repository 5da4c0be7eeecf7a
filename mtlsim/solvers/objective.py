"""The objective of hard sharing, and the same without weights and ridges.

    minimise over B (d, r) and A (K, r):   sum_i w_i ( |X_i B A_i - y_i|^2 + ridge_i |B A_i|^2 )

A ridge acts on the parameters B A_i, which do not change when B and A are rescaled against each other. With y_i and A_i times
sqrt(w_i) the weights are gone, and the ridges only change the grams: gram_i -> gram_i + ridge_i I, cross_i -> sqrt(w_i) cross_i,
energy_i -> w_i energy_i. A task of weight zero is one without labels: it has no say in B, and its head is fitted to the others' B.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num

from mtlsim.core import linalg
from mtlsim.core.checks import as_array, as_numbers, is_concrete, require, require_all
from mtlsim.samples.moments import Moments

LEAST_WEIGHT = 1e-100


def per_task(value, default: float, n_tasks: int, argument: str, dtype) -> Float[Array, " K"]:
    """One number per task from None, one number or K of them; refuses negative numbers."""
    value = jnp.asarray(default if value is None else as_array(value, argument), dtype)
    check_per_task(value, n_tasks, argument)
    return jnp.broadcast_to(value, (n_tasks,))


def check_per_task(value, n_tasks: int, argument: str) -> None:
    require(value.shape in ((), (n_tasks,)), argument, f"one number or {n_tasks}", f"of shape {value.shape}", "give one per task")
    require_all(value, lambda v: (v >= 0) & np.isfinite(v), argument, "numbers >= 0", "use 0 to leave a task out of it")


def absorb(moments: Moments, weights: Float[Array, " K"], ridge: Float[Array, " K"]) -> Moments:
    """Moments of the problem without weights and ridges, without the factor (one gram still serves shared covariates)."""
    ridge = ridge[0] if moments.shared_covariates else ridge[:, None, None]
    gram = moments.gram + ridge * jnp.eye(moments.n_features, dtype=moments.gram.dtype)
    return Moments(gram, jnp.sqrt(weights)[:, None] * moments.cross, weights * moments.energy, moments.n_samples)


def check_weights(weights) -> None:
    """Refuse words, and weights of which none is positive."""
    sound = lambda w: (w >= 0) & np.isfinite(w)
    require_all(weights, sound, "weights", "numbers >= 0, one per task", "write them without quotes, 0 to leave a task out")
    if weights is not None and all(is_concrete(weight) for weight in jax.tree.leaves(weights)):
        some = bool(np.any(as_numbers(weights, "weights") > 0))
        require(some, "weights", "positive for some task", weights, "give at least one task a weight")
        largest = float(np.max(as_numbers(weights, "weights")))
        fits = LEAST_WEIGHT <= largest <= 1 / LEAST_WEIGHT
        cure = "divide all by the largest: only their ratios matter"
        require(fits, "weights", f"between {LEAST_WEIGHT:g} and {1 / LEAST_WEIGHT:g} at the largest", f"{largest:g}", cure)


def best_heads(
    moments: Moments, weights: Float[Array, " K"], ridge: Float[Array, " K"], direction: Float[Array, " d"]
) -> tuple[Float[Array, " K"], Float[Array, ""]]:
    """Best heads a_i = b_i'B / (B'(S_i + ridge_i) B) for one shared direction B (d,), and the energy they explain together."""
    if moments.factor is None:
        overlaps = linalg.multiply(moments.cross, direction)
        sizes = jnp.einsum("d,kde,e->k", direction, moments.gram, direction, precision="highest")
    else:  # fewer digits are lost on the equivalent rows than on their squares
        fitted = jnp.stack([linalg.multiply(direction, moments.factor[i]) for i in range(moments.n_tasks)])
        overlaps, sizes = jnp.sum(moments.scores * fitted, -1), jnp.sum(fitted**2, -1)
    sizes = sizes + ridge * jnp.sum(direction**2)
    heads = jnp.where(sizes > 0, overlaps / jnp.where(sizes > 0, sizes, 1), 0)
    return heads, jnp.sum(weights * heads * overlaps)


def observed_rows(moments: Moments, ridge: Float[Array, " K"]) -> Float[Array, " K"]:
    """Directions that each task's own loss determines: its rows, at most d, or d with a ridge."""
    return jnp.where(ridge > 0, moments.n_features, jnp.minimum(moments.n_samples, moments.n_features))


def too_few_rows(observed: Num[Array, " K"], rank: int, n_directions: Int[Array, ""] | int) -> Bool[Array, ""]:
    """Whether a continuum of shared layers fits every task as well as it can be fitted alone.

    Of the rank (n_directions - rank) dimensions of a subspace, a task that observes m directions fixes m - rank.
    """
    return jnp.sum(jnp.maximum(observed - rank, 0)) < rank * (n_directions - rank)
