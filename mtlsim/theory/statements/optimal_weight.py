"""Weighted pooling with the best source weight never transfers negatively.

The predicted risk (`mtlsim.theory.predictor`) of pooling with source weight w falls at first order in w at w = 0 (the variance
does, the bias rises only at second order), so that its minimum w* lies at w > 0 with a risk below that of learning alone: where
pooling hurts, the weight is at fault, not the source.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mtlsim.cells.transfer import Transfer
from mtlsim.tasks.covariance import PowerLaw
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.margins import full_rank
from mtlsim.theory.predictor import Matrices, Spectra, predict_pooled, simplest_form
from mtlsim.theory.statement import INSIDE, OUTSIDE, Cells, Statement, gaussian_rows, tasks_of

GRID = np.linspace(-9, 5, 29)  # of log w
N_GOLDEN = 24
GOLDEN = (np.sqrt(5) - 1) / 2


def best_weight(form: Spectra | Matrices, n_samples: Float[Array, "2"], noise: Float[Array, "2"]):
    """(w*, predicted risk of the target there, margin of the prediction) for a source and a target, by scan and golden section."""

    def risk(u):
        return predict_pooled(form, n_samples, noise, jnp.stack([jnp.exp(u), jnp.ones_like(u)])).risk[1]

    risks = jax.lax.map(risk, jnp.asarray(GRID))
    middle = jnp.asarray(GRID)[jnp.nanargmin(risks)]
    step = GRID[1] - GRID[0]

    def narrow(_, ends):
        low, high = ends
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        of_left, of_right = jax.lax.map(risk, jnp.stack([left, right]))  # one copy of the predictor
        better = of_left < of_right
        return jnp.where(better, low, left), jnp.where(better, right, high)

    low, high = jax.lax.fori_loop(0, N_GOLDEN, narrow, (middle - step, middle + step))
    weight = jax.lax.stop_gradient(jnp.exp((low + high) / 2))
    best = predict_pooled(form, n_samples, noise, jnp.stack([weight, jnp.ones_like(weight)]))
    return weight, best.risk[1], best.margin


def assume(cell, key):
    tasks = tasks_of(cell, key)
    return {
        "Gaussian rows of their own for each task": gaussian_rows(cell),
        "target rows well above the number of features": tasks.n_samples[-1] / tasks.n_features - 1.15,
        "covariances of full rank": full_rank(tasks),
    }


def _of(cell, key):
    tasks = tasks_of(cell, key)
    form = simplest_form(tasks, True)
    weight, risk, _ = best_weight(form, tasks.n_samples, tasks.noise)
    only = jnp.array([0.0, 1.0])
    return weight, predict_pooled(form, tasks.n_samples, tasks.noise, only).risk[1] - risk


def predict(cell, key):
    return {"gain": _of(cell, key)[1]}


def measure(cell, key):
    weight, _ = _of(cell, key)
    return {"gain": dataclasses.replace(cell, weights=(weight, 1.0))(key=key).gain}


def instance(place: str, rng: np.random.Generator) -> Transfer:
    d = 30
    n_target = int(rng.integers(1.3 * d, 4 * d)) if place == INSIDE else d + 3
    tasks = LinearTasks(
        n_features=d,
        n_samples=(int(rng.integers(d, 10 * d)), n_target),
        cosine=float(rng.uniform(-0.5, 1)),
        noise=rng.uniform(0.5, 2, 2).tolist(),
        parameter_norm=rng.uniform(0.5, 1.5, 2).tolist(),
        design=PowerLaw(float(rng.uniform(0, 1))),
        relation="disjoint",
    )
    return Transfer(tasks, sharing="pooled")


STATEMENT = Statement(
    name="optimal-weight",
    claim="Pooling with the best source weight never hurts: negative transfer of pooling is an error of weighting.",
    source=("derived",),
    kind="sign",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    cells=Cells(sharing="pooled", n_tasks=2),
    places=(INSIDE, OUTSIDE),
)
