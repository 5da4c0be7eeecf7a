"""Alignment in closed form: whiten each task's rows and recolour them like one task's."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mtlsim.alignment.covariances import covariances_of
from mtlsim.core.checks import is_concrete, require, require_all, require_index
from mtlsim.core.linalg import multiply, rank_tolerance
from mtlsim.samples.data import Rows
from mtlsim.samples.moments import stack


def whiten_and_recolour(tasks, target: int = -1, ridge: Array | float = 0.0) -> Float[Array, "K d d"]:
    """R_k = S_k^-1/2 S_t^1/2 for each of K tasks, and the identity for the target t, so that R_k'S_k R_k = S_t [sun2016return].

    tasks: K tasks as `Moments` (stacked or in a sequence) or `Rows`; S_k is X_k'X_k over the number of rows. ridge: times the
    mean eigenvalue of a covariance, added to its diagonal before the root, so that directions seen in a few rows are not blown
    up. A singular S_k has its pseudo-inverse: directions that its rows lack stay without energy, and the covariances are then
    equal on the others alone. Labels are not looked at. Raises ValueError for a target that is no task and a ridge below zero.

    >>> rng = np.random.default_rng(0)
    >>> X1, X2 = rng.normal(size=(50, 3)), rng.normal(size=(20, 3))
    >>> source, target = mtl.Moments.from_data(X1, X1.sum(1)), mtl.Moments.from_data(X2, X2.sum(1))
    >>> maps = mtl.whiten_and_recolour([source, target])
    >>> aligned = maps[0].T @ (source.gram / 50) @ maps[0]
    >>> bool(np.allclose(aligned, target.gram / 20))
    True
    """
    tasks = tasks if isinstance(tasks, Rows) else stack(tasks)
    covariances = covariances_of(tasks)
    n_tasks = len(covariances)
    require_index(target, n_tasks, "target")
    require_all(ridge, lambda s: (s >= 0) & np.isfinite(s), "ridge", "a number >= 0", "use 0")
    if is_concrete(covariances):
        sound = np.isfinite(covariances).all((1, 2)) & np.asarray(covariances).any((1, 2))
        found = f"zero, NaN or infinite for task {int(np.argmin(sound))}"
        require(bool(sound.all()), "tasks", "of finite rows that are not all zero", found, "mend that task's rows")
    roots = [_roots(covariance, ridge) for covariance in covariances]
    colour = roots[target][0]
    alignments = jnp.stack([multiply(inverse, colour) for _, inverse in roots])
    return alignments.at[target].set(jnp.eye(len(colour), dtype=colour.dtype))


def _roots(covariance: Float[Array, "d d"], ridge: Array | float) -> tuple[Float[Array, "d d"], Float[Array, "d d"]]:
    """Symmetric square root and its (pseudo-)inverse."""
    values, vectors = jnp.linalg.eigh(covariance)
    values = jnp.where(values > rank_tolerance(values), values, 0)
    values = values + ridge * jnp.mean(values)
    inverse = jnp.where(values > 0, 1 / jnp.sqrt(jnp.where(values > 0, values, 1)), 0)
    return multiply(vectors * jnp.sqrt(values), vectors.T), multiply(vectors * inverse, vectors.T)
