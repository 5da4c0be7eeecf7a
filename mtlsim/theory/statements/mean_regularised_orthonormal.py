"""Risk of sharing by regularisation to the mean of all tasks, with orthonormal designs X_i'X_i = n I.

Minimising sum_i (|X_i theta_i - y_i|^2 + strength |theta_i - mean|^2) moves each task's own estimate by the share
a = strength / (n + strength) of the way to the mean of all estimates. With the variance v = noise^2 d / n of a task alone,
q = (K - 1) / K and D_i = |theta_i - mean theta|^2,

    E risk_i = a^2 D_i + v (1 - 2 a q + a^2 q),    least at a* = v q / (D_i + v q), below v if and only if 0 < a < 2 a*,

so that a little of it always helps, whatever the other tasks are. strength* = n a* / (1 - a*) = n v q / D_i.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.core.compiler import jit_hastily
from mtlsim.core.extremes import largest_of
from mtlsim.solvers.pooled import solve_mean_regularised
from mtlsim.solvers.single import solve_single
from mtlsim.theory.orthonormal import OrthonormalTasks
from mtlsim.theory.statement import EDGE, INSIDE, OUTSIDE, Statement, drawn_until

SMALL = 0.15  # of the risk alone: a gain that takes many draws to tell from nothing


class MeanRegularised(eqx.Module):
    """Orthonormal tasks, and the strength of the regularisation on the scale of X'X."""

    tasks: OrthonormalTasks
    strength: Array | float


def share(strength, n_samples):
    """How far the estimates move to their mean, a in [0, 1)."""
    return strength / (n_samples + strength)


def best_share(variance, distance, n_tasks: int):
    """a* for the variance v of one task alone and the squared distance of its parameters from the mean of all."""
    shrunk = variance * (n_tasks - 1) / n_tasks
    return shrunk / (distance + shrunk)


def mean_regularised_risk(a, variance, distance, n_tasks: int):
    """The formula at the share a."""
    q = (n_tasks - 1) / n_tasks
    return a**2 * distance + variance * (1 - 2 * a * q + a**2 * q)


def distance_to_mean(tasks: OrthonormalTasks):
    """|theta_target - mean theta|^2."""
    return jnp.sum((tasks.parameters[-1] - jnp.mean(tasks.parameters, 0)) ** 2)


def assume(case, key):
    unequal = [largest_of(jnp.abs(values / values[0] - 1)) for values in (case.tasks.n_samples, case.tasks.noise)]
    return {"equally many rows": 1e-6 - unequal[0], "equal noise": 1e-6 - unequal[1]}


def predict(case, key):
    variance, n_tasks = case.tasks.variances[-1], len(case.tasks.parameters)
    a, distance = share(case.strength, case.tasks.n_samples[-1]), distance_to_mean(case.tasks)
    risk = mean_regularised_risk(a, variance, distance, n_tasks)
    best = mean_regularised_risk(best_share(variance, distance, n_tasks), variance, distance, n_tasks)
    return {"risk_single": variance, "risk_multi": risk, "gain": variance - risk, "risk_best": best}


def measure(case, key):
    tasks, n_tasks = case.tasks, len(case.tasks.parameters)
    moments = tasks.draw_moments(key=key)
    a_best = best_share(tasks.variances[-1], distance_to_mean(tasks), n_tasks)
    estimates = {
        "risk_single": solve_single(moments[-1]),
        "risk_multi": solve_mean_regularised(moments, case.strength)[-1],
        "risk_best": solve_mean_regularised(moments, tasks.n_samples[-1] * a_best / (1 - a_best))[-1],
    }
    risks = {name: jnp.sum((estimate - tasks.parameters[-1]) ** 2) for name, estimate in estimates.items()}
    return {**risks, "gain": risks["risk_single"] - risks["risk_multi"]}


@jit_hastily
def _relative_gain(case):
    found = predict(case, None)
    return jnp.abs(found["gain"]) / found["risk_single"]


@drawn_until(lambda case: _relative_gain(case) > SMALL)
def instance(place: str, rng: np.random.Generator) -> MeanRegularised:
    """Regularised little and much; outside, with other rows and noise for each task.

    No gain is a small part of the risk, as draws hardly tell such from nothing.
    """
    d, n_tasks = (6, 2) if rng.random() < 0.5 else (10, 4)
    n, noise = rng.integers(d, 100), rng.uniform(0.2, 2)
    target = rng.standard_normal(d) / np.sqrt(d)
    apart = rng.uniform(0.1, 2) * noise / np.sqrt(n)
    parameters = target + apart * rng.standard_normal((n_tasks, d))
    rows, noises = np.full(n_tasks, float(n)), np.full(n_tasks, noise)
    if place == OUTSIDE:
        rows[:-1], noises[:-1] = rows[:-1] * rng.uniform(0.2, 0.5, n_tasks - 1), noises[:-1] * rng.uniform(1.5, 2, n_tasks - 1)
    strengths = {INSIDE: (0.1, 3), EDGE: (10, 1000), OUTSIDE: (0.1, 3)}
    return MeanRegularised(
        OrthonormalTasks(*map(jnp.asarray, (parameters, noises, rows))), float(n * rng.uniform(*strengths[place]))
    )


STATEMENT = Statement(
    name="mean-regularised-orthonormal",
    claim="With orthonormal designs, regularisation to the mean of all tasks helps exactly below twice its best share.",
    source=("derived",),
    kind="equality",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
)
