"""Drawing moments: Gaussian rows at a cost that does not depend on their number, other rows in blocks.

For X with n independent standard normal rows, X' = T Q with orthonormal rows of Q and T (d, min(n, d)) lower trapezoidal:
T_jj is chi with n - j degrees of freedom (j = 0, 1, ...), what is below it is standard normal, and all are independent
[bartlett1933]. With rows of covariance F F' this makes X'X = (F T)(F T)' and, for noise e, X'e = (F T) z with standard
normal z, both exactly in law for every n >= 1; n is data, not a shape.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from mtlsim.core.keys import stream
from mtlsim.core.linalg import multiply
from mtlsim.samples.data import colour, draw_entries
from mtlsim.samples.moments import Moments
from mtlsim.tasks.covariance import Covariance
from mtlsim.tasks.linear import Tasks

BLOCK_ROWS = 1024


def draw_moments(tasks: Tasks, *, key: Key[Array, ""]) -> Moments:
    """Moments of every task, with a leading axis over tasks (one gram where the tasks share their rows)."""
    if tasks.rows != "gaussian":
        return _draw_in_blocks(tasks, key)
    d, n_tasks = tasks.n_features, tasks.n_tasks
    # degrees n, n - 1, ..., n - d + 1 for the diagonal, and n - d for the energy that no direction holds
    freedom = tasks.n_samples[:, None] - jnp.arange(d + 1)
    keys = jnp.stack([stream(key, "chi squares", i) for i in range(n_tasks)])
    # mapped over tasks, since the sampler is slow to compile
    drawn = jax.lax.map(lambda row: jax.random.chisquare(*row), (keys, jnp.maximum(freedom, 1)))
    squares = jnp.where(freedom > 0, drawn, 0)
    sets = 1 if tasks.shared_covariates else n_tasks
    factors = [draw_factor(stream(key, "covariates", i), tasks.covariances[i], squares[i, :d]) for i in range(sets)]
    moments = [_label(tasks, i, factors[i % sets], squares[i, d], key) for i in range(n_tasks)]
    return _stack(moments, tasks.shared_covariates)


def draw_factor(key: Key[Array, ""], covariance: Covariance, squares: Float[Array, " d"]) -> Float[Array, "d d"]:
    """F T of shape (d, d): X'X = (F T)(F T)' for n Gaussian rows of this covariance.

    squares: chi-squares with n, n - 1, ... degrees of freedom, zero from the n-th on, where the columns of T are zero too.
    """
    triangle = strictly_lower_normals(key, covariance.n_features) + jnp.diag(jnp.sqrt(squares))
    return covariance.root(jnp.where(squares > 0, triangle, 0))


def strictly_lower_normals(key: Key[Array, ""], d: int) -> Float[Array, "d d"]:
    """Standard normals below the diagonal, zero elsewhere, from d (d - 1) / 2 draws.

    Row i and row d - 1 - i have d - 1 entries between them, so half as many rows of normals hold both.
    """
    half = d // 2
    rows = jax.random.normal(key, (d - half, d))
    place, column = np.arange(d - half)[:, None], np.arange(d)[None]
    top = jnp.where(column < place, rows, 0)
    bottom = jnp.where(column < d - 1 - place, rows[:, ::-1], 0)[:half][::-1]
    return jnp.concatenate([top, bottom])


def _label(tasks: Tasks, i: int, factor: Float[Array, "d d"], left: Float[Array, ""], key: Key[Array, ""]) -> Moments:
    """Labels y = X theta + noise, seen through the factor: scores = T'F' theta + noise z, and the energy left beside it."""
    n, noise = tasks.n_samples[i], tasks.noise[i]
    z = jnp.where(jnp.arange(tasks.n_features) < n, jax.random.normal(stream(key, "noise", i), (tasks.n_features,)), 0)
    scores = multiply(factor.T, tasks.parameters[i]) + noise * z
    energy = scores @ scores + noise**2 * left
    return Moments(multiply(factor, factor.T), multiply(factor, scores), energy, n, factor, scores)


def _stack(moments: list[Moments], shared: bool) -> Moments:
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *moments)
    if not shared:
        return stacked
    first = moments[0]
    return Moments(first.gram, stacked.cross, stacked.energy, stacked.n_samples, first.factor, stacked.scores)


def _draw_in_blocks(tasks: Tasks, key: Key[Array, ""]) -> Moments:
    """Rows of any law, `BLOCK_ROWS` at a time, so that memory does not depend on the number of rows."""

    def one(i: int, rows_index: int) -> Moments:
        rows_key, noise_key, n = stream(key, "covariates", rows_index), stream(key, "noise", i), tasks.n_samples[i]

        def add(carry):
            block, sums = carry
            entries = draw_entries(jax.random.fold_in(rows_key, block), tasks.rows, BLOCK_ROWS, tasks.n_features)
            used = (block * BLOCK_ROWS + jnp.arange(BLOCK_ROWS)) < n
            X = jnp.where(used[:, None], colour(tasks.covariances[i], entries), 0)
            noise = tasks.noise[i] * jax.random.normal(jax.random.fold_in(noise_key, block), (BLOCK_ROWS,))
            y = jnp.where(used, multiply(X, tasks.parameters[i]) + noise, 0)
            return block + 1, sums + Moments(multiply(X.T, X), multiply(X.T, y), y @ y, jnp.sum(used).astype(n.dtype))

        d, dtype = tasks.n_features, tasks.parameters.dtype
        none = Moments(jnp.zeros((d, d), dtype), jnp.zeros(d, dtype), jnp.zeros((), dtype), jnp.zeros((), n.dtype))
        return jax.lax.while_loop(lambda carry: carry[0] * BLOCK_ROWS < n, add, (jnp.zeros((), jnp.int32), none))[1]

    moments = [one(i, 0 if tasks.shared_covariates else i) for i in range(tasks.n_tasks)]
    return _stack(moments, tasks.shared_covariates)
