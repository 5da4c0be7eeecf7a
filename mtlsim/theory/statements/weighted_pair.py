"""A clean and a noisy task with equal parameters on shared rows: weighting the clean one aligns the shared direction (rank one).

With y_1 = X theta and y_2 = X theta + noise, and weight alpha_1 on the clean task, the best direction is B = theta + s e, e the
least-squares image (X'X)^-1 X'noise and s in (0, 1) falling with alpha_1 where y_1'y_2 > 0, so that

    cos(B, theta) rises with alpha_1 and tends to one

(Section 2.4 of [wu2020understanding]). Tested is the sign of cos(B, theta) at a higher weight minus the one at a lower weight, on
the same draw. Where the first task is the noisy one (outside), more weight on it does the opposite.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.core.keys import stream
from mtlsim.samples.wishart import draw_moments
from mtlsim.similarity import cosine_similarity
from mtlsim.solvers.solve import solve
from mtlsim.tasks.covariance import PowerLaw
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement, tasks_of


class Reweighting(eqx.Module):
    """The same two tasks with a lower and a higher weight on the first; the second weighs one."""

    tasks: LinearTasks
    lower: Array | float
    higher: Array | float


def cosine_at(reweighting, key, weight):
    """|cos(B, theta)| at one weight of the first task; B has no sign."""
    tasks = tasks_of(reweighting, key)
    moments = draw_moments(tasks, key=stream(key, "samples"))
    solution = solve(moments, 1, jnp.stack([jnp.asarray(weight, float), jnp.ones(())]))
    return jnp.abs(cosine_similarity(solution.shared[:, 0], tasks.parameters[-1]))


def assume(reweighting, key):
    tasks = tasks_of(reweighting, key)
    clean, other = tasks.parameters
    agreement = jnp.sum(clean * draw_moments(tasks, key=stream(key, "samples")).cross[1])  # y_1'y_2, of a clean first task
    return {
        "both tasks are labels on the same rows": jnp.asarray(0.5 if tasks.shared_covariates else -0.5),
        "as many rows as features": tasks.n_samples[0] - tasks.n_features + 0.5,
        "both tasks have the same parameters": 1e-12 * jnp.linalg.norm(clean) - jnp.linalg.norm(clean - other),
        "labels that point the same way": agreement,
        "the first task is clean": 1e-12 - tasks.noise[0],
        "the second task is noisy": tasks.noise[1] - 1e-12,
        "a higher weight": reweighting.higher - reweighting.lower,
    }


def predict(reweighting, key):
    return {"rise_of_cosine": jnp.ones(())}


def measure(reweighting, key):
    rise = cosine_at(reweighting, key, reweighting.higher) - cosine_at(reweighting, key, reweighting.lower)
    return {"rise_of_cosine": rise}


def instance(place: str, rng: np.random.Generator) -> Reweighting:
    d = 6
    noise = 0.0, float(rng.uniform(0.5, 3))
    tasks = LinearTasks(
        n_features=d,
        n_samples=(int(rng.integers(d + 6, 60)),) * 2,
        cosine=1.0,
        noise=noise[::-1] if place == OUTSIDE else noise,
        design=PowerLaw(float(rng.uniform(0, 2))),
        shared_covariates=True,
    )
    lower = float(10 ** rng.uniform(-2, 2))
    return Reweighting(tasks, lower, lower * float(rng.uniform(1.5, 10)))


STATEMENT = Statement(
    name="weighted-pair",
    claim="On shared rows, more weight on a clean task turns the shared direction towards its parameters.",
    source=("wu2020understanding",),
    kind="sign",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    places=(INSIDE, OUTSIDE),
    says="On the same rows, raising the weight of a clean task brings the shared direction nearer to its parameters.",
    proves="Nothing: an example, with its formula.",
    inferred="That the cosine rises at every weight, draw by draw.",
)
