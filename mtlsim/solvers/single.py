"""One task alone, free or within a given layer."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mtlsim.core import linalg
from mtlsim.core.checks import require_one
from mtlsim.samples.moments import Moments, require_one_task
from mtlsim.solvers.rows import look


def solve_single(moments: Moments, ridge=0.0) -> Float[Array, " d"]:
    """Least squares of one task: argmin over theta of |X theta - y|^2 + ridge |theta|^2, of minimum norm where n < d.

    moments: of one task. ridge: a number >= 0, on the scale of X'X (a sum over rows). Returns theta (d,).
    Raises ValueError for what is not the moments of one task.

    >>> moments = mtl.Moments.from_data(np.eye(2), np.array([1.0, 2.0]))
    >>> mtl.solve_single(moments, ridge=1.0).round(6).tolist()
    [0.5, 1.0]
    """
    require_one_task(moments, "moments")
    d = moments.n_features
    require_one(ridge, lambda r: (r >= 0) & np.isfinite(r), "ridge", "a number >= 0", "use 0 for least squares")
    ridge = jnp.asarray(ridge, moments.gram.dtype)
    if moments.factor is not None and not moments.rank_known:
        sight = look(*jax.lax.stop_gradient((moments, ridge, jnp.where(ridge > 0, d, jnp.minimum(moments.n_samples, d)))))
        gram = moments.gram + ridge * jnp.eye(d, dtype=ridge.dtype)
        return linalg.found_otherwise(linalg.minimum_norm, sight.solve(sight.sides[0]), gram, moments.cross)
    if moments.factor is not None:
        data = moments.factor, moments.scores, ridge
        fixed = jax.lax.stop_gradient(data)
        plain = linalg.solve_upper(*fixed[:2])
        found = linalg.repair((moments.n_samples < d) | (ridge > 0), _ridge_regression, plain, *fixed)
        return linalg.found_otherwise(_ridge_regression, found, *data)
    return linalg.minimum_norm(moments.gram + ridge * jnp.eye(d, dtype=ridge.dtype), moments.cross)


def _ridge_regression(factor: Float[Array, "d d"], scores: Float[Array, " d"], ridge: Float[Array, ""]) -> Float[Array, " d"]:
    """F (F'F + ridge)^-1 s for F F' = X'X and F s = X'y; columns of F beyond the rank are exactly zero, and stay out of it."""
    inner = linalg.multiply(factor.T, factor) + ridge * jnp.eye(len(factor), dtype=ridge.dtype)
    return linalg.multiply(factor, linalg.solve_positive(linalg.with_missing_directions(inner), scores))


@jax.jit
def penalised_losses(moments: Moments, parameters: Float[Array, "K d"], ridge: Float[Array, " K"]) -> Float[Array, " K"]:
    """|X_i theta_i - y_i|^2 + ridge_i |theta_i|^2 of each task, of its own rows where its moments carry them."""
    sizes = ridge * jnp.sum(parameters**2, -1)
    of_each = lambda squares: jnp.broadcast_to(squares, (len(parameters), *squares.shape[-2:]))  # also of rows that all share
    if moments.factor is None:
        fitted = jnp.einsum("kd,kde,ke->k", parameters, of_each(moments.gram), parameters, precision="highest")
        return moments.energy - 2 * jnp.sum(moments.cross * parameters, -1) + fitted + sizes
    fitted = jnp.einsum("kde,kd->ke", of_each(moments.factor), parameters, precision="highest")
    beside = jnp.maximum(moments.energy - jnp.sum(moments.scores**2, -1), 0)
    return jnp.sum((fitted - moments.scores) ** 2, -1) + beside + sizes
