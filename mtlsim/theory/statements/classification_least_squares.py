"""0-1 error of classification by pooled least squares, for many features: a case of the general predictor.

Labels are sign(x'theta_i + s_i z) with z standard normal, a share p_i of them turned round. Least squares sees the linear model

    theta_i -> k_i theta_i / |theta_i|_Sigma_i,   noise_i^2 -> 1 - k_i^2,
    k_i = (1 - 2 p_i) sqrt(2 / pi) |theta_i|_Sigma_i / sqrt(|theta_i|_Sigma_i^2 + s_i^2),

so that the predictor (`mtlsim.theory.predictor`) gives |beta - theta|^2 and, for a task of no weight with theta = 0, |beta|^2 in
the target's covariance. From these the angle of beta and the target's parameters, and the error, which is that angle over pi.
"""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from mtlsim.core.keys import stream
from mtlsim.core.linalg import multiply, solve_positive
from mtlsim.samples.data import draw_rows
from mtlsim.solvers.objective import per_task
from mtlsim.tasks.classification import ClassificationTasks
from mtlsim.tasks.covariance import PowerLaw
from mtlsim.theory.margins import full_rank
from mtlsim.theory.predictor import Spectra, predict_pooled, simplest_form
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement, gaussian_rows, half_as_large, tasks_of


class PooledLabels(eqx.Module):
    """Classification tasks fitted together by least squares with weights per task; the error is the target's."""

    tasks: ClassificationTasks
    weights: tuple


def _predicted(case, key):
    tasks = tasks_of(case, key)
    sizes = jnp.sqrt(jnp.stack([c.quadratic(theta) for c, theta in zip(tasks.covariances, tasks.parameters, strict=True)]))
    per_size = (1 - 2 * tasks.flip) * np.sqrt(2 / np.pi) / jnp.hypot(sizes, tasks.noise)
    kept = per_size * sizes
    seen = eqx.tree_at(lambda t: t.parameters, tasks, tasks.parameters * per_size[:, None])
    form = simplest_form(seen, True)
    # a task of no weight with parameters zero tells the length of what is learned
    own = "spectra" if isinstance(form, Spectra) else "covariances"
    again = lambda values, last: jnp.concatenate([values, last[None]])
    parts = {own: again(getattr(form, own), getattr(form, own)[-1]), "parameters": again(form.parameters, 0 * form.parameters[-1])}
    lengthened = dataclasses.replace(form, **parts)
    longer = lambda values, last: jnp.append(values, last)
    weights = per_task(case.weights, 1.0, tasks.n_tasks, "weights", kept.dtype)
    noise = jnp.sqrt(1 - kept**2)
    found = predict_pooled(lengthened, longer(tasks.n_samples, 1.0), longer(noise, 0.0), longer(weights, 0.0))
    distance, square = found.risk[-2], found.risk[-1]
    cosine = (square + kept[-1] ** 2 - distance) / (2 * kept[-1] * jnp.sqrt(square))
    return jnp.arccos(jnp.clip(cosine, -1, 1)) / np.pi, found.margin


def assume(case, key):
    tasks = tasks_of(case, key)
    return {
        "Gaussian rows of their own for each task": gaussian_rows(case),
        "labels that are signs of scores": 1.0 if tasks.labels == "sign" and tasks.activation == "identity" else -1.0,
        "rows in all away from the number of features": _predicted(case, key)[1],
        "covariances of full rank": full_rank(tasks),
    }


def predict(case, key):
    return {"error": _predicted(case, key)[0]}


def measure(case, key):
    tasks = tasks_of(case, key)
    rows = draw_rows(tasks, key=stream(key, "samples"))
    weights = per_task(case.weights, 1.0, tasks.n_tasks, "weights", rows.X.dtype)
    gram = jnp.einsum("k,kmd,kme->de", weights, rows.X, rows.X, precision="highest")
    cross = multiply(weights, jnp.einsum("kmd,km->kd", rows.X, rows.y, precision="highest"))
    return {"error": tasks.excess_error(solve_positive(gram, cross))}


def trust(case) -> float:
    return 2.0 / case.tasks.n_features


def instance(place: str, rng: np.random.Generator) -> PooledLabels:
    d, n_tasks = (40, 2) if rng.random() < 0.5 else (40, 3)
    tasks = ClassificationTasks(
        n_features=d,
        n_samples=rng.integers(d, 4 * d, n_tasks).tolist(),
        cosine=rng.uniform(0.2, 1, n_tasks - 1).tolist(),
        noise=rng.uniform(0, 2, n_tasks).tolist(),
        labels="sign" if place == INSIDE else "logistic",
        flip=rng.uniform(0, 0.2, n_tasks).tolist(),
        capacity=4 * d,
        design=PowerLaw(float(rng.uniform(0, 0.7))),
        relation="same",
    )
    return PooledLabels(tasks, tuple(rng.uniform(0.4, 1.5, n_tasks).tolist()))


def resized(case: PooledLabels) -> PooledLabels:
    smaller = half_as_large(case)
    return dataclasses.replace(smaller, tasks=dataclasses.replace(smaller.tasks, capacity=case.tasks.capacity // 2))


STATEMENT = Statement(
    name="classification-least-squares",
    claim="With many features, classification by pooled least squares has a known 0-1 error.",
    source=("derived",),
    kind="limit",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    trust=trust,
    places=(INSIDE, OUTSIDE),
    resized=resized,
)
