"""What is known of a mean over draws before any is drawn: the expected risk alone, and where it has no finite variance.

Near interpolation the least singular value s of the rows is small with probability P(s < e) ~ e^(n - d + 1) for rows with a
density, and risks grow like s^-2: within one row of the peak n = d their mean is infinite, within three their variance, and an
interval from a sample leans to the side of the draws that are seldom seen. Of the square of a risk, which the gain from a weak
pull grows as, that is within seven rows, and its fourth moment is infinite within fifteen.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from mtlsim.core.status import Status, flag
from mtlsim.solvers.expected_risk import NEAR_MEAN, NEAR_VARIANCE, least_squares_risk
from mtlsim.tasks.recipe import Tasks

VARIANCE_OF_SQUARE, FOURTH_OF_SQUARE = 7, 15  # rows from the peak; with fewer rows than features risks are as measured: milder


def compare_with_expectation(
    risk: Float[Array, ""], tasks: Tasks, task: int, ridge: Float[Array, ""] | float = 0.0, bends: bool = False
) -> tuple[Float[Array, ""], Float[Array, ""], Int[Array, ""]]:
    """(control, steep, status) of the risk of one task's least squares alone.

    control: the risk minus its known expectation, so that its mean over draws is zero; 0 where none is known (rows that are not
    Gaussian, a ridge, or least norm in a covariance that is no multiple of the identity). bends: whether the gain may grow as the
    square of this risk; then steep is 1 where that square has too few moments (`mtlsim.core.mean_gain`). status: `heavy_tailed`
    where the expectation is infinite, or where it is not known and the variance of the gain is infinite.
    """
    more = tasks.n_samples[task] - tasks.n_features
    away = jnp.abs(more)
    free = (jnp.asarray(ridge) == 0) & (tasks.noise[task] > 0)
    expected = least_squares_risk(tasks, task)
    known = free & jnp.isfinite(expected) if tasks.rows == "gaussian" else jnp.zeros((), bool)
    square = bends & (more > 0)
    unsure = jnp.where(square, VARIANCE_OF_SQUARE, NEAR_VARIANCE)
    heavy = free & ((away <= NEAR_MEAN) | ((away <= unsure) & ~known))
    steep = known & bends & (away <= jnp.where(square, FOURTH_OF_SQUARE, VARIANCE_OF_SQUARE))
    control = jnp.where(known, risk - jnp.where(known, expected, 0), 0)
    return control, steep.astype(risk.dtype), flag(heavy, Status.heavy_tailed)
