"""Gradient steps on mixed columns are gradient steps on the parameters in the metric of the task covariance, step by step.

With the amounts H (C, K) held and W = H'B, a step B -> B - eta dL/dB moves W by -eta Sigma dL/dW, Sigma = H'H. From B = 0, T steps
on sum_k |X_k theta_k - y_k|^2 end at vec W_T = (Sigma (x) I) vec Z_T,

    Z_T = 2 eta sum_{t < T} (I - 2 eta blockdiag(S_k) (Sigma (x) I))^t vec [b_k],

so that stopping early is the same family of estimators for the same Sigma, and equal columns with amounts 1 / K are hard sharing
with heads of one at 1 / K of the rate. Outside, the amounts are learned too, and the metric moves with them.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.core.extremes import largest_of
from mtlsim.core.linalg import multiply
from mtlsim.theory.mixed_tasks import MixedTasks, draw_instance, metric_system
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement

N_STEPS = 64


class Descent(eqx.Module):
    """Mixed tasks, the step over the longest that is stable, and whether the amounts are held."""

    case: MixedTasks
    pace: Array | float
    held: bool = eqx.field(default=True, static=True)

    def step_size(self, moments) -> Array:
        """pace / (largest eigenvalue of Sigma times that of any S_k)."""
        steepest = largest_of(jnp.linalg.eigvalsh(moments.gram)) * jnp.linalg.eigvalsh(self.case.task_covariance)[-1]
        return self.pace / steepest


def assume(descent, key):
    return {
        "amounts that are held": jnp.asarray(1.0 if descent.held else -1.0),
        "steps forward": jnp.asarray(descent.pace, float),
        "steps short enough to settle": 1 - jnp.asarray(descent.pace, float),
    }


def predict(descent, key):
    """By T squarings of one matrix: the steps are an affine map of vec Z."""
    tasks, moments = descent.case.draw(key=key)
    covariance, eta = descent.case.task_covariance, descent.step_size(moments)
    system = metric_system(moments, covariance)
    size = len(system)
    affine = jnp.eye(size + 1).at[:size, :size].add(-2 * eta * system).at[:size, size].set(2 * eta * moments.cross.reshape(-1))
    dual = jnp.linalg.matrix_power(affine, N_STEPS)[:size, size].reshape(moments.cross.shape)
    found = multiply(covariance, dual)
    return {f"risk_of_task_{k}": tasks.excess_risk(found[k], k) for k in range(2)}


def measure(descent, key):
    tasks, moments = descent.case.draw(key=key)
    eta = descent.step_size(moments)

    def loss(columns, amounts):
        parameters = multiply(amounts.T, columns)
        fitted = jnp.einsum("kd,kde,ke->k", parameters, moments.gram, parameters, precision="highest")
        return jnp.sum(fitted - 2 * jnp.sum(parameters * moments.cross, -1))

    def step(_, state):
        columns, amounts = state
        slopes = jax.grad(loss, (0, 1))(columns, amounts)
        return columns - eta * slopes[0], amounts if descent.held else amounts - eta * slopes[1]

    start = jnp.zeros((len(descent.case.amounts), moments.n_features)), descent.case.amounts
    columns, amounts = jax.lax.fori_loop(0, N_STEPS, step, start)
    found = multiply(amounts.T, columns)
    return {f"risk_of_task_{k}": tasks.excess_risk(found[k], k) for k in range(2)}


def instance(place: str, rng: np.random.Generator) -> Descent:
    return Descent(draw_instance(rng), float(rng.uniform(0.05, 0.9)), place != OUTSIDE)


STATEMENT = Statement(
    name="flow-in-metric",
    claim="Gradient steps on columns whose mixing is held are steps on the parameters in the metric of the task covariance.",
    source=("derived",),
    kind="identity",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    places=(INSIDE, OUTSIDE),
)
