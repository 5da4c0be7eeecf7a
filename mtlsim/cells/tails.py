"""What is known of a mean over draws before any is drawn: the expected risk alone, and where it has no finite variance.

Near interpolation the least singular value s of the rows is small with probability P(s < e) ~ e^(n - d + 1) for rows with a
density, and risks grow like s^-2: within one row of the peak n = d their mean is infinite, within three their variance, and an
interval from a sample leans to the side of the draws that are seldom seen.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from mtlsim.core.status import Status, flag
from mtlsim.solvers.expected_risk import NEAR_MEAN, NEAR_VARIANCE, least_squares_risk
from mtlsim.tasks.recipe import Tasks


def compare_with_expectation(
    risk: Float[Array, ""], tasks: Tasks, task: int, ridge: Float[Array, ""] | float = 0.0
) -> tuple[Float[Array, ""], Int[Array, ""]]:
    """(control, status) of the risk of one task's least squares alone.

    control: the risk minus its known expectation, so that its mean over draws is zero; 0 where none is known (rows that are not
    Gaussian, a ridge, or least norm in a covariance that is no multiple of the identity). status: `heavy_tailed` where the
    expectation is infinite, or where it is not known and the variance is infinite.
    """
    away = jnp.abs(tasks.n_samples[task] - tasks.n_features)
    free = (jnp.asarray(ridge) == 0) & (tasks.noise[task] > 0)
    expected = least_squares_risk(tasks, task)
    known = free & jnp.isfinite(expected) if tasks.rows == "gaussian" else jnp.zeros((), bool)
    heavy = free & ((away <= NEAR_MEAN) | ((away <= NEAR_VARIANCE) & ~known))
    return jnp.where(known, risk - jnp.where(known, expected, 0), 0), flag(heavy, Status.heavy_tailed)
