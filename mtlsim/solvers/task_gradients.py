"""Mean squared losses of K tasks and their gradients in a shared layer and the heads, in closed form; what schemes may know.

Task k predicts g(x'B) a_k with B (d, r), a_k (r,), g the identity (from moments, at a cost that no number of rows changes) or ReLU
(from rows, or from the population), and loses the mean over its rows of (prediction - y)^2.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from mtlsim.core.checks import is_concrete, require, require_finite
from mtlsim.core.keys import stream
from mtlsim.core.linalg import multiply
from mtlsim.samples.data import Rows, moments_of_rows
from mtlsim.samples.moments import Moments
from mtlsim.solvers.network import Layers
from mtlsim.tasks.relu import ReluPopulation
from mtlsim.weighting import Facts


class TaskGradients(NamedTuple):
    """losses (K,), gram (K, K) of the gradients in B, mix(weights) = sum_k w_k dL_k/dB (d, r), heads (K, r) = dL_k/da_k."""

    losses: Float[Array, " K"]
    gram: Float[Array, "K K"]
    mix: Callable[[Float[Array, " K"]], Float[Array, "d r"]]
    heads: Float[Array, "K r"]


def require_finite_tasks(tasks: Moments | Rows | ReluPopulation) -> None:
    """Refuse NaN and infinity where tasks can be looked at now, and say where they stand."""
    if isinstance(tasks, Rows) and is_concrete(tasks.y):
        used = np.asarray(tasks.used)
        require_finite(np.asarray(tasks.X)[used], "tasks.X")
        require_finite(np.asarray(tasks.y)[used], "tasks.y")
    if isinstance(tasks, Moments) and is_concrete(tasks.cross):
        fine = np.isfinite(tasks.cross).all(-1) & np.isfinite(tasks.energy) & np.isfinite(tasks.gram).all((-2, -1))
        found = f"NaN or infinite for tasks {np.flatnonzero(~fine).tolist()}"
        require(bool(fine.all()), "tasks", "of finite moments", found, "drop or impute the rows that make them so")


def mean_moments(moments: Moments) -> Moments:
    """Moments over their number of rows."""
    n = moments.n_samples
    gram = moments.gram / (n[0] if moments.shared_covariates else n[:, None, None])
    return Moments(gram, moments.cross / n[:, None], moments.energy / n, jnp.ones_like(n))


def linear_gradients(means: Moments, layers: Layers) -> TaskGradients:
    """From moments over n: with the residual e_k = S_k B a_k - b_k, dL_k/dB = 2 e_k a_k' and dL_k/da_k = 2 B'e_k."""
    parameters = multiply(layers.heads, layers.shared.T)
    if means.shared_covariates:
        fitted = multiply(parameters, means.gram)
    else:
        fitted = jnp.einsum("kd,kde->ke", parameters, means.gram, precision="highest")
    residuals = fitted - means.cross
    losses = means.energy + jnp.sum(parameters * (residuals - means.cross), -1)
    gram = 4 * multiply(residuals, residuals.T) * multiply(layers.heads, layers.heads.T)
    mix = lambda weights: 2 * multiply(residuals.T * weights, layers.heads)
    return TaskGradients(jnp.maximum(losses, 0), gram, mix, 2 * multiply(residuals, layers.shared))


def relu_gradients(rows: Rows, layers: Layers) -> TaskGradients:
    """From rows; the slope of a ReLU at zero is zero, so that a unit that no row reaches stays."""
    scores = multiply(rows.X, layers.shared)
    counts = jnp.maximum(jnp.sum(rows.used, -1), 1)
    misses = jnp.einsum("kmr,kr->km", jax.nn.relu(scores), layers.heads, precision="highest") - rows.y
    misses = jnp.where(rows.used, misses, 0)
    losses = jnp.sum(misses**2, -1) / counts
    slopes = 2 * misses / counts[:, None]
    back = slopes[..., None] * layers.heads[:, None] * (scores > 0)
    shared = jnp.einsum("kmd,kmr->kdr", rows.X, back, precision="highest")
    flat = shared.reshape(len(shared), -1)
    mix = lambda weights: jnp.einsum("k,kdr->dr", weights, shared, precision="highest")
    heads = jnp.einsum("km,kmr->kr", slopes, jax.nn.relu(scores), precision="highest")
    return TaskGradients(losses, multiply(flat, flat.T), mix, heads)


def population_gradients(tasks: ReluPopulation, layers: Layers) -> TaskGradients:
    """From the tasks themselves, by the arc-cosine kernel: what ReLU units lose on endless Gaussian rows [cho2009kernel]."""

    def losses(layers: Layers) -> Float[Array, " K"]:
        risks = [tasks.excess_risk(layers.shared, layers.heads[i], i) for i in range(tasks.n_tasks)]
        return jnp.stack(risks) + tasks.noise**2

    slopes = jax.jacrev(losses)(layers)
    flat = slopes.shared.reshape(tasks.n_tasks, -1)
    mix = lambda weights: jnp.einsum("k,kdr->dr", weights, slopes.shared, precision="highest")
    heads = jnp.einsum("kkr->kr", slopes.heads)
    return TaskGradients(losses(layers), multiply(flat, flat.T), mix, heads)


def population_moments(tasks: ReluPopulation) -> Moments:
    """Moments of one row: Sigma_i, E[x y] = amplitude_i Sigma_i theta_i / 2, E[y^2]."""
    grams = jnp.stack([covariance.matrix() for covariance in tasks.covariances])
    cross = jnp.einsum("kde,ke->kd", grams, tasks.parameters, precision="highest")
    ones = jnp.ones_like(tasks.noise)
    return Moments(grams, tasks.amplitude[:, None] * cross / 2, tasks.energies() + tasks.noise**2, ones)


def batch_of(rows: Rows, size: int, key: Key[Array, ""], step: Int[Array, ""] | int) -> Rows:
    """`size` rows of each task, drawn with replacement for this step."""
    counts = jnp.sum(rows.used, -1)[:, None]
    uniform = jax.random.uniform(jax.random.fold_in(stream(key, "batches"), step), (len(counts), size))
    chosen = jnp.floor(uniform * counts).astype(int)
    X = jnp.take_along_axis(rows.X, chosen[..., None], 1)
    return Rows(X, jnp.take_along_axis(rows.y, chosen, 1), jnp.broadcast_to(counts > 0, chosen.shape))


def facts_of(tasks: Moments | Rows | ReluPopulation, seen: TaskGradients, rank: int) -> Facts:
    """What schemes may know before the first step, which `seen` shows."""
    if isinstance(tasks, Moments):
        return Facts(seen.losses, tasks.energy / tasks.n_samples, tasks, rank)
    if isinstance(tasks, ReluPopulation):
        variances = (1 - 1 / jnp.pi) * tasks.energies() + tasks.noise**2
        return Facts(seen.losses, variances, population_moments(tasks), rank)
    moments, y = moments_of_rows(tasks), jnp.where(tasks.used, tasks.y, 0)
    centred = jnp.where(tasks.used, y - (jnp.sum(y, -1) / moments.n_samples)[:, None], 0)
    return Facts(seen.losses, jnp.sum(centred**2, -1) / moments.n_samples, moments, rank)
