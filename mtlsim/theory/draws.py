"""What several statements draw alike: the very data that a cell learns from."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from mtlsim.core.keys import stream
from mtlsim.core.linalg import cholesky, solve_lower
from mtlsim.samples.moments import Moments
from mtlsim.samples.wishart import draw_moments
from mtlsim.solvers.objective import per_task
from mtlsim.theory.statement import tasks_of


def moments_of(cell: Any, key: Key[Array, ""]) -> Moments:
    """The moments of all tasks that `cell(key=key)` learns from."""
    return draw_moments(tasks_of(cell, key), key=stream(key, "samples"))


def weights_of(cell: Any, moments: Moments) -> Float[Array, " K"]:
    """The cell's task weights, one each if it has none."""
    return per_task(cell.weights, 1.0, moments.n_tasks, "weights", moments.gram.dtype)


def rows_of(moments: Moments) -> tuple[Array, Array, Array]:
    """Rows (d, d), or (K, d, d) of each task, and labels (K, d) with these moments, and the energy (K,) beside the rows' range.

    Drawn moments of Gaussian rows have them, with no square formed; of others they come from a Cholesky factor.
    """
    factor, scores = moments.factor, moments.scores
    if factor is None or scores is None:
        factor = cholesky(moments.gram)
        scores = solve_lower(factor, moments.cross.T).T if factor.ndim == 2 else solve_lower(factor, moments.cross)
    return jnp.swapaxes(factor, -1, -2), scores, moments.energy - jnp.sum(scores**2, -1)
