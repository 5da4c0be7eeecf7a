"""Columns mixed in fixed amounts, and kept small, are one ridge regression of all tasks in the metric of a task covariance.

C columns b_c (rows of B) and fixed amounts H (C, K) make the parameters W = H'B (K, d). With Sigma = H'H,

    min over B  sum_k |X_k B'h_k - y_k|^2 + decay |B|_F^2  =  min over W  sum_k |X_k theta_k - y_k|^2 + decay tr(W' Sigma^+ W),

over W = Sigma Z: whatever the number of columns and however they are mixed, only Sigma counts. Cross-stitch units, sluices, gated
experts and shared-private models of one column, all with their mixing held, are the same estimator for the same Sigma.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from mtlsim.core.linalg import multiply
from mtlsim.solvers.mixed import Mixing, solve_mixed
from mtlsim.solvers.single import penalised_losses
from mtlsim.theory.margins import keeps_digits
from mtlsim.theory.mixed_tasks import MixedTasks, draw_instance, metric_system, ridge_in_metric
from mtlsim.theory.statement import EDGE, INSIDE, Statement


def assume(case, key):
    _, moments = case.draw(key=key)
    system = metric_system(moments, case.task_covariance)
    return {
        "a decay": jnp.asarray(case.decay, float),
        "a system that keeps its digits": keeps_digits(system + case.decay * jnp.eye(len(system))),
    }


def predict(case, key):
    tasks, moments = case.draw(key=key)
    covariance = case.task_covariance
    found = ridge_in_metric(moments, covariance, case.decay)
    penalty = jnp.sum(found * multiply(jnp.linalg.pinv(covariance, rtol=1e-10), found))
    losses = penalised_losses(moments, found, jnp.zeros(len(found)))
    return {"objective": jnp.sum(losses) + case.decay * penalty, "risk_multi": tasks.excess_risk(found[-1], -1)}


def measure(case, key):
    tasks, moments = case.draw(key=key)
    mixing = Mixing(case.amounts, jnp.full(len(case.amounts), case.decay, float))
    found = solve_mixed(moments, mixing, jnp.ones(case.amounts.shape[1]))
    return {"objective": found.loss, "risk_multi": tasks.excess_risk(found.parameters[-1], -1)}


def instance(place: str, rng: np.random.Generator) -> MixedTasks:
    """On the edge fewer rows than features, and columns that are all mixed alike, so that the task covariance has rank one."""
    case = draw_instance(rng, few_rows=place == EDGE)
    if place == INSIDE:
        return case
    return eqx.tree_at(lambda c: c.amounts, case, case.amounts[:1] * jnp.asarray(rng.normal(size=(4, 1))))


STATEMENT = Statement(
    name="kronecker-ridge",
    claim="Columns mixed in fixed amounts and kept small are one ridge regression, in the metric of the task covariance they make.",
    source=("derived",),
    kind="identity",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    places=(INSIDE, EDGE),
)
