"""The best weight of a source, in closed form, with orthonormal designs X_i'X_i = n_i I.

Two tasks of variances v_i = noise_i^2 d / n_i (source 1, target 2) whose parameters differ by delta. Pooled least squares with
weight w on the source is (1 - b) theta^_2 + b theta^_1 with b = w n_1 / (w n_1 + n_2), of risk

    E risk = (1 - b)^2 v_2 + b^2 (v_1 + |delta|^2),    least at b* = v_2 / (v_1 + v_2 + |delta|^2),
    where it is v_2 (v_1 + |delta|^2) / (v_1 + v_2 + |delta|^2) < v_2:

with the right weight no source hurts, however different it is.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.solvers.pooled import solve_pooled
from mtlsim.theory.orthonormal import OrthonormalTasks
from mtlsim.theory.statement import EDGE, INSIDE, Statement


class Weighting(eqx.Module):
    """A source and a target on orthonormal designs, and the source's weight in the loss."""

    tasks: OrthonormalTasks
    weight: Array | float


def best_weight(tasks: OrthonormalTasks):
    """w* of the source, the target's being 1: (noise_2^2 / n_2) / (noise_1^2 / n_1 + |delta|^2 / d) n_2 / n_1."""
    share = _best_share(tasks)
    return share * tasks.n_samples[1] / ((1 - share) * tasks.n_samples[0])


def _best_share(tasks):
    return tasks.variances[1] / (jnp.sum(tasks.variances) + _shift(tasks))


def _shift(tasks):
    return jnp.sum((tasks.parameters[0] - tasks.parameters[1]) ** 2)


def assume(case, key):
    return {"two tasks": 1.0 if len(case.tasks.parameters) == 2 else -1.0}


def predict(case, key):
    tasks = case.tasks
    moved = case.weight * tasks.n_samples[0]
    shares = {"risk_multi": moved / (moved + tasks.n_samples[1]), "risk_best": _best_share(tasks)}
    of_source, of_target = tasks.variances[0] + _shift(tasks), tasks.variances[1]
    risks = {name: (1 - share) ** 2 * of_target + share**2 * of_source for name, share in shares.items()}
    return {**risks, "gain_best": of_target**2 / (of_source + of_target)}


def measure(case, key):
    tasks = case.tasks
    moments, none = tasks.draw_moments(key=key), jnp.zeros(2)

    def risk(weight):
        estimate = solve_pooled(moments, jnp.stack([jnp.asarray(weight), jnp.ones(())]), none)
        return jnp.sum((estimate - tasks.parameters[1]) ** 2)

    best = risk(best_weight(tasks))
    return {"risk_multi": risk(case.weight), "risk_best": best, "gain_best": risk(0.0) - best}


def instance(place: str, rng: np.random.Generator) -> Weighting:
    d = 8 if rng.random() < 0.5 else 20
    n, noise = rng.integers(d, 200, 2).astype(float), rng.uniform(0.2, 2, 2)
    shift = rng.uniform(0, 2) * noise[1] / np.sqrt(n[1]) if place == INSIDE else rng.uniform(0, 0.01)
    parameters = np.ones(d) / np.sqrt(d) + np.stack([shift * rng.standard_normal(d), np.zeros(d)])
    return Weighting(OrthonormalTasks(*map(jnp.asarray, (parameters, noise, n))), float(np.exp(rng.uniform(-2, 2))))


STATEMENT = Statement(
    name="orthonormal-weighting",
    claim="With orthonormal designs the best weight of a source has a closed form, and with it no source hurts.",
    source=("derived",),
    kind="equality",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    places=(INSIDE, EDGE),
)
