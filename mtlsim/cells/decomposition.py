"""Where a transfer gain comes from: a decomposition whose parts sum to it exactly."""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from mtlsim.cells.tails import CLEAR, rounding_of_pooled, rounding_of_risk
from mtlsim.cells.transfer import Transfer
from mtlsim.core import linalg
from mtlsim.core.checks import is_concrete
from mtlsim.core.keys import check_key, stream
from mtlsim.core.status import note_on_precision, status_of
from mtlsim.samples.moments import Moments
from mtlsim.samples.wishart import draw_moments
from mtlsim.solvers.objective import per_task
from mtlsim.solvers.pooled import pool, solve_pooled
from mtlsim.tasks.recipe import Tasks


class DecompositionDraw(eqx.Module):
    """Parts of one draw's gain: gain = variance_saved + bias_brought + free_heads + chance, each positive where it helps.

    variance_saved: expected variance of the target learned alone minus that of pooled least squares (all heads one), given
    the rows. bias_brought: the same for the squared bias; negative where the other tasks' models pull the answer away.
    free_heads: risk of the pooled estimate minus risk of the multi-task one, on this draw: what fitting the head scales adds.
    chance: what this draw's noise did to both risks beyond their expectation; its own expectation is zero.
    covariance: gain minus gain_equal, the gain of the same draw with every source given the target's covariance.
    """

    gain: Float[Array, ""]
    variance_saved: Float[Array, ""]
    bias_brought: Float[Array, ""]
    free_heads: Float[Array, ""]
    chance: Float[Array, ""]
    gain_equal: Float[Array, ""]
    covariance: Float[Array, ""]
    status: Int[Array, ""]

    def __repr__(self) -> str:
        if not is_concrete(self.gain) or self.gain.ndim:
            return f"DecompositionDraw(shape={self.gain.shape})"
        parts = ("variance_saved", "bias_brought", "free_heads", "chance")
        sums = ", ".join(f"{name.replace('_', ' ')} {float(getattr(self, name)):+.4g}" for name in parts)
        sentence = f"gain {float(self.gain):+.4g} = {sums}; role of the covariance {float(self.covariance):+.4g}"
        return sentence + note_on_precision(self.gain)


class Decomposition(Transfer):
    """A cell with the parameters of `Transfer`: `cell(key=...)` decomposes the gain that Transfer measures on the same key.

    With P = (sum_i w_i (S_i + ridge_i))^+, pooled least squares has, given the rows, the expectation P sum_i w_i S_i theta_i and
    the covariance P (sum_i w_i^2 noise_i^2 S_i) P; learning alone is the same with the target only. Both risks are therefore
    known exactly given the rows, and only the free heads, which depend on the noise in a nonlinear way, are left to the draw.

    >>> pair = mtl.LinearTasks(n_features=5, n_samples=(50, 20), cosine=0.9)
    >>> parts = mtl.Decomposition(pair, sharing="pooled")(key=jax.random.key(0))
    >>> total = parts.variance_saved + parts.bias_brought + parts.free_heads + parts.chance
    >>> bool(abs(parts.gain - total) < 1e-9)
    True
    """

    def __call__(self, *, key: Key[Array, ""] | None = None) -> DecompositionDraw:
        key = check_key(key)
        tasks = self.tasks.draw(key=key)
        moments = draw_moments(tasks, key=stream(key, "samples"))
        ridge = per_task(self.ridge, 0.0, tasks.n_tasks, "ridge", moments.gram.dtype)
        weights = per_task(self.weights, 1.0, tasks.n_tasks, "weights", moments.gram.dtype)
        target = range(tasks.n_tasks)[self.target]
        same = dataclasses.replace(self, tasks=self.tasks.with_equal_covariances())
        draw, equal = super().__call__(key=key), super(Decomposition, same).__call__(key=key)
        only = (jnp.arange(tasks.n_tasks) == target).astype(weights.dtype)
        bias_alone, variance_alone = expected_risk(tasks, moments, only, ridge, target)
        bias_pooled, variance_pooled = expected_risk(tasks, moments, weights, ridge, target)
        risk_pooled = tasks.excess_risk(solve_pooled(moments, weights, ridge), target)
        parts = (
            variance_alone - variance_pooled,
            bias_alone - bias_pooled,
            risk_pooled - draw.risk_multi,
            (draw.risk_single - bias_alone - variance_alone) - (risk_pooled - bias_pooled - variance_pooled),
        )
        rounding = rounding_of_risk(tasks, target) + rounding_of_pooled(tasks, weights)[target]
        return DecompositionDraw(
            draw.gain,
            *[jnp.where(jnp.abs(part) <= CLEAR * rounding, 0, part) for part in parts],
            equal.gain,
            draw.gain - equal.gain,
            status_of(draw.gain, draw.status),
        )


def expected_risk(
    tasks: Tasks, moments: Moments, weights: Float[Array, " K"], ridge: Float[Array, " K"], target: int
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Squared bias and variance of weighted pooled least squares on the target, given the rows, over the noise."""
    root, _ = linalg.inverse_square_root(pool(moments, weights, ridge).gram)
    inverse = linalg.multiply(root, root.T)
    grams = jnp.broadcast_to(moments.gram, (tasks.n_tasks, *moments.gram.shape[-2:]))
    mean = linalg.multiply(inverse, jnp.einsum("k,kde,ke->d", weights, grams, tasks.parameters, precision="highest"))
    covariance = tasks.covariances[target]
    noise = jnp.einsum("k,kde->de", (weights * tasks.noise) ** 2, grams)
    spread = covariance.root_transpose(inverse)
    return tasks.excess_risk(mean, target), jnp.sum(linalg.multiply(spread, noise) * spread)
