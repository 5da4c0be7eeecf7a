"""Drawing moments: Gaussian rows at a cost that does not depend on their number, other rows in blocks.

For X with n independent standard normal rows, X' = T Q with orthonormal rows of Q and T (d, min(n, d)) lower trapezoidal:
T_jj is chi with n - j degrees of freedom (j = 0, 1, ...), what is below it is standard normal, and all are independent
[bartlett1933]. With rows of covariance F F' this makes X'X = (F T)(F T)' and, for noise e, X'e = (F T) z with standard
normal z, both exactly in law for every n >= 1; n is data, not a shape.
"""

import reprlib
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from mtlsim.core.checks import require
from mtlsim.core.keys import check_key, normal, stream, streams
from mtlsim.core.linalg import multiply
from mtlsim.samples.chi_square import draw_chi_squares
from mtlsim.samples.data import colour, draw_entries
from mtlsim.samples.moments import Moments
from mtlsim.tasks.covariance import Covariance
from mtlsim.tasks.recipe import Tasks

BLOCK_ROWS = 1024


class Variates(NamedTuple):
    """Independent variates of one task: normals below the diagonal of T, chi-squares on it and for the rest, noise."""

    below: Float[Array, "h d"]
    squares: Float[Array, " d"]
    rest: Float[Array, ""]
    noise: Float[Array, " d"]


def draw_moments(tasks: Tasks, *, key: Key[Array, ""]) -> Moments:
    """Moments of every task, with a leading axis over tasks (one gram where the tasks share their rows).

    Raises ValueError for tasks that are not drawn or not linear, and for what is no new-style key.

    >>> tasks = mtl.LinearTasks(n_features=3, n_samples=(10**9, 20)).draw(key=jax.random.key(0))
    >>> mtl.draw_moments(tasks, key=jax.random.key(1)).gram.shape  # a billion rows cost nothing
    (2, 3, 3)
    """
    require(isinstance(tasks, Tasks), "tasks", "concrete tasks", reprlib.repr(tasks), "draw them: LinearTasks().draw(key=key)")
    linear = type(tasks) is Tasks
    require(linear, "tasks", "linear: other labels are no function of moments", type(tasks).__name__, "use draw_data")
    return _draw_moments(tasks, check_key(key))


@jax.jit
def _draw_moments(tasks: Tasks, key: Key[Array, ""]) -> Moments:
    if tasks.rows != "gaussian":
        return _draw_in_blocks(tasks, key)
    keys = tasks.streams(key, "moments")
    # mapped over tasks: the samplers are slow to compile, and fused into what follows they would be computed twice
    variates = jax.lax.map(lambda row: _draw_variates(*row, tasks.n_features), (keys, tasks.n_samples))
    of_task = [jax.tree.map(lambda leaf: leaf[i], variates) for i in range(tasks.n_tasks)]  # noqa: B023
    sets = 1 if tasks.shared_covariates else tasks.n_tasks
    factors = [draw_factor(of_task[i], tasks.covariances[i]) for i in range(sets)]
    moments = _stack([_label(tasks, i, factors[i % sets], of_task[i]) for i in range(tasks.n_tasks)], tasks.shared_covariates)
    singular = any(covariance.singular for covariance in tasks.covariances)  # then n does not tell the rank
    return replace(moments, rank_known=not singular)


def _draw_variates(key: Key[Array, ""], n_samples: Float[Array, ""], d: int) -> Variates:
    of_squares, of_entries, of_noise = streams(key, ("chi squares", 0), ("below", 0), ("noise", 0))
    # degrees n, n - 1, ..., n - d + 1 for the diagonal, and n - d for the energy that no direction holds
    freedom = n_samples - jnp.arange(d + 1)
    drawn = draw_chi_squares(of_squares, jnp.maximum(freedom, 1))
    squares = jnp.where(freedom > 0, drawn, 0)
    below = normal(of_entries, (-(-d // 2), d))
    return Variates(below, squares[:d], squares[d], jax.random.normal(of_noise, (d,)))


def draw_factor(variates: Variates, covariance: Covariance) -> Float[Array, "d d"]:
    """F T (d, d), lower triangular, its columns from n on zero: X'X = (F T)(F T)' for n Gaussian rows of this covariance."""
    triangle = strictly_lower(variates.below) + jnp.diag(jnp.sqrt(variates.squares))
    return covariance.lower_root(jnp.where(variates.squares > 0, triangle, 0))


def draw_triangle(key: Key[Array, ""], n_samples: Float[Array, ""], d: int) -> Float[Array, "d d"]:
    """T (d, d), lower triangular, with X'X = T T' in law for n >= d standard normal rows; X'e = T z for noise e with normal z."""
    squares = draw_chi_squares(stream(key, "chi squares"), n_samples - jnp.arange(d))
    return strictly_lower(normal(stream(key, "below"), (-(-d // 2), d))) + jnp.diag(jnp.sqrt(squares))


def strictly_lower(entries: Float[Array, "h d"]) -> Float[Array, "d d"]:
    """A matrix that is zero on and above its diagonal, filled from half as many rows: row i and row d - 1 - i share one."""
    d = entries.shape[1]
    both = jnp.concatenate([entries, jnp.flip(entries[: d // 2])])
    return jnp.where(np.tri(d, k=-1, dtype=bool), both, 0)


def _label(tasks: Tasks, i: int, factor: Float[Array, "d d"], variates: Variates) -> Moments:
    """Labels y = X theta + noise, seen through the factor: scores = T'F' theta + noise z, and the energy left beside it."""
    n, noise = tasks.n_samples[i], tasks.noise[i]
    z = jnp.where(variates.squares > 0, variates.noise, 0)
    scores = multiply(tasks.parameters[i], factor) + noise * z
    energy = multiply(scores, scores) + noise**2 * variates.rest
    return Moments(multiply(factor, factor.T), multiply(factor, scores), energy, n, factor, scores, True)


def _stack(moments: list[Moments], shared: bool) -> Moments:
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *moments)
    if not shared:
        return stacked
    first = moments[0]
    return Moments(first.gram, stacked.cross, stacked.energy, stacked.n_samples, first.factor, stacked.scores, first.rank_known)


def _draw_in_blocks(tasks: Tasks, key: Key[Array, ""]) -> Moments:
    """Rows of any law, `BLOCK_ROWS` at a time, so that memory does not depend on the number of rows."""

    def one(i: int, rows_index: int) -> Moments:
        rows_key, noise_key, n = tasks.stream(key, "covariates", rows_index), tasks.stream(key, "noise", i), tasks.n_samples[i]

        def add(carry):
            block, sums = carry
            entries = draw_entries(jax.random.fold_in(rows_key, block), tasks.rows, BLOCK_ROWS, tasks.n_features)
            used = jnp.arange(BLOCK_ROWS) < n - block * float(BLOCK_ROWS)  # whole numbers of 32 bits would overflow
            X = jnp.where(used[:, None], colour(tasks.covariances[i], entries), 0)
            noise = tasks.noise[i] * jax.random.normal(jax.random.fold_in(noise_key, block), (BLOCK_ROWS,))
            y = jnp.where(used, multiply(X, tasks.parameters[i]) + noise, 0)
            return block + 1, sums + Moments(multiply(X.T, X), multiply(X.T, y), multiply(y, y), jnp.sum(used).astype(n.dtype))

        d, dtype = tasks.n_features, tasks.parameters.dtype
        none = Moments(jnp.zeros((d, d), dtype), jnp.zeros(d, dtype), jnp.zeros((), dtype), jnp.zeros((), n.dtype))
        return jax.lax.while_loop(lambda carry: carry[0] * float(BLOCK_ROWS) < n, add, (jnp.zeros((), jnp.int32), none))[1]

    moments = [one(i, -1 if tasks.shared_covariates else i) for i in range(tasks.n_tasks)]
    return _stack(moments, tasks.shared_covariates)
