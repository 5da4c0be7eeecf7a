"""What is known of a mean over draws before any is drawn: the expected risk alone, and where it has no finite variance.

Near interpolation the least singular value s of the rows is small with probability P(s < e) ~ e^(n - d + 1) for rows with a
density, and risks grow like s^-2: within one row of the peak n = d their mean is infinite, within three their variance, and an
interval from a sample leans to the side of the draws that are seldom seen. Of the square of a risk, which the gain from a weak
pull grows as, that is within seven rows, and its fourth moment is infinite within fifteen.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from mtlsim.core.extremes import largest_of
from mtlsim.core.status import Status, flag
from mtlsim.solvers.expected_risk import NEAR_MEAN, NEAR_VARIANCE, least_squares_risk, single_risk
from mtlsim.tasks.recipe import Tasks

CLEAR = 1e4  # over the rounding of a risk: what it does not disturb, and below which a gain is none
VARIANCE_OF_SQUARE, FOURTH_OF_SQUARE = 7, 15  # rows from the peak; with fewer rows than features risks are as measured: milder


def compare_with_expectation(
    risk: Float[Array, ""], tasks: Tasks, task: int, ridge: Float[Array, ""] | float = 0.0, bends: bool = False
) -> tuple[Float[Array, ""], Float[Array, ""], Int[Array, ""]]:
    """(control, steep, status) of the risk of one task's least squares alone.

    control: the risk minus its known expectation, so that its mean over draws is zero; 0 where none is known (rows that are not
    Gaussian, a ridge, or least norm in a covariance that is no multiple of the identity), or where rounding hides it. bends:
    whether the gain may grow as the square of this risk; then steep is 1 where that square has too few moments
    (`mtlsim.core.mean_gain`). status: `heavy_tailed` where the expectation is infinite, or where it is not known and the variance
    of the gain is infinite.
    """
    more = tasks.n_samples[task] - tasks.n_features
    away = jnp.abs(more)
    free = (jnp.asarray(ridge) == 0) & (tasks.noise[task] > 0)
    expected = least_squares_risk(tasks, task)
    known = free & (expected > CLEAR * rounding_of_risk(tasks, task)) & jnp.isfinite(expected)
    known = known if tasks.rows == "gaussian" else jnp.zeros((), bool)
    square = bends & (more > 0)
    unsure = jnp.where(square, VARIANCE_OF_SQUARE, NEAR_VARIANCE)
    heavy = free & ((away <= NEAR_MEAN) | ((away <= unsure) & ~known))
    steep = known & bends & (away <= jnp.where(square, FOURTH_OF_SQUARE, VARIANCE_OF_SQUARE))
    control = jnp.where(known, risk - jnp.where(known, expected, 0), 0)
    return control, steep.astype(risk.dtype), flag(heavy, Status.heavy_tailed)


def rounding_of_risk(tasks: Tasks, task: int) -> Float[Array, ""]:
    """The risk that rounding alone makes of least squares with more rows than features + 1, else 0.

    The last digits of X'X theta are those of a label noise of eps |theta| sqrt(n d largest eigenvalue) beside X'noise.
    """
    theta, n, d = tasks.parameters[task], tasks.n_samples[task], tasks.n_features
    longest = largest_of(tasks.covariances[task].eigenvalues) * jnp.sum(theta**2)
    noise = jnp.finfo(theta.dtype).eps * jnp.sqrt(n * d * longest)
    return jnp.where(n > d + 1, single_risk(noise, jnp.maximum(n, d + 2.0), d), 0)


def rounding_of_pooled(tasks: Tasks, weights: Float[Array, " K"]) -> Float[Array, " K"]:
    """The same of weighted least squares on the rows of all tasks, whose expected gram is sum_k w_k n_k Sigma_k, on every task."""
    theta, d, eps = tasks.parameters, tasks.n_features, jnp.finfo(tasks.parameters.dtype).eps
    rows, squares = jnp.sum(jnp.where(weights > 0, tasks.n_samples, 0)), jnp.where(weights > 0, jnp.sum(theta**2, 1), 0)
    matrices = jnp.stack([covariance.matrix() for covariance in tasks.covariances])
    values, vectors = jnp.linalg.eigh(jnp.einsum("k,kde->de", weights * tasks.n_samples, matrices, precision="highest"))
    seen = values > d * eps * values[-1]
    along = jnp.einsum("di,kde,ei->ki", vectors, matrices, vectors, precision="highest")
    risks = eps**2 * d * values[-1] * largest_of(squares) * jnp.sum(along * seen / jnp.where(seen, values, 1), 1)
    return jnp.where(rows > d + 1, risks * rows / jnp.maximum(rows - d - 1, 1), 0)


def without_rounding(gain: Float[Array, ""], tasks: Tasks, task: int) -> Float[Array, ""]:
    """The gain, and zero where both risks are equal but for what rounding may have made of them."""
    return jnp.where(jnp.abs(gain) <= CLEAR * rounding_of_risk(tasks, task), 0, gain)


def gain_of(risk_single: Float[Array, ""], risk_multi: Float[Array, ""], energy: Float[Array, ""] | float) -> Float[Array, ""]:
    """The gain of estimates that are drawn without rows, and zero where both risks are rounding of parameters of this energy."""
    gain = risk_single - risk_multi
    return jnp.where(jnp.abs(gain) <= CLEAR * jnp.finfo(gain.dtype).eps ** 2 * energy, 0, gain)
