"""High-dimensional risk of two tasks that share one direction, each with its own head: the asymptotic form of hard sharing.

For heads in the ratio t (source over target), hard sharing is pooled least squares with source weight t^2, source parameters
theta_1 / t and source noise noise_1 / t (`mtlsim.theory.predictor`). Its training loss t^2 loss_1 + loss_2 is deterministic
in the limit, so the heads that training finds are its minimum t* over both signs, and the target's risk is the predicted one
there. Where the loss hardly rises around t*, samples decide and the prediction does not hold: `depth` is by how many variances of
what the labels miss (the larger w_i (noise_i^2 + risk_i), which is not nothing without noise) the loss rises from its minimum to
heads twice as large or half as large, or of the other sign. What the limit leaves out even in a deep valley is the error of the
heads themselves, about that variance times risk''(t*) / loss''(t*) (over n_2 of a source with rows without end): `omitted`, as a
share of the risk.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mtlsim.cells.transfer import Transfer
from mtlsim.core import linalg
from mtlsim.core.extremes import largest_of, smallest_of
from mtlsim.solvers.expected_risk import single_risk
from mtlsim.solvers.objective import per_task
from mtlsim.tasks.covariance import PowerLaw
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.margins import full_rank
from mtlsim.theory.predictor import Matrices, Spectra, predict_pooled, simplest_form
from mtlsim.theory.statement import INSIDE, OUTSIDE, Cells, Statement, gaussian_rows, half_as_large, measured, tasks_of

GRID = np.linspace(-4, 4, 25)  # of log |t| about the ratio of the tasks' sizes
N_NEWTON = 7
NUDGE = 3e-4  # of log |t|
DEPTH = 10.0  # variances of what labels miss


class FreeHeads(eqx.Module):
    """risk: of the target. ratio: t*. depth, omitted: see the module. margin: that of the predictor at t*."""

    risk: Float[Array, ""]
    ratio: Float[Array, ""]
    depth: Float[Array, ""]
    omitted: Float[Array, ""]
    margin: Float[Array, ""]


@jax.jit  # so that it is traced once for all its copies below
def at_ratio(form: Spectra | Matrices, n_samples, noise, weights, ratio):
    """(training loss over both tasks, prediction) at the head ratio t."""
    scale = jnp.stack([ratio, jnp.ones_like(ratio)])
    scaled = eqx.tree_at(lambda f: f.parameters, form, form.parameters / scale[:, None])
    predicted = predict_pooled(scaled, n_samples, noise / jnp.abs(scale), weights * scale**2)
    return jnp.sum(weights * scale**2 * predicted.training), predicted


def _slope_and_curvature(u, sign, *data):
    """Of the loss in u = log |t|, by differences: the predictor's own derivatives are right to first order only, and this one is
    differentiated again."""
    near = jax.lax.map(lambda u: at_ratio(*data, sign * jnp.exp(u))[0], u + NUDGE * jnp.array([0.0, -1.0, 1.0]))
    return (near[2] - near[1]) / (2 * NUDGE), _bend(near)


def _bend(near):
    """Second difference of values at u, u - NUDGE and u + NUDGE."""
    return (near[1] - 2 * near[0] + near[2]) / NUDGE**2


def _one_step(u, sign, *data):
    """Newton's step from the minimum, whose derivative is the minimum's."""
    rate, curvature = _slope_and_curvature(u, sign, *data)
    curvature = jax.lax.stop_gradient(curvature)
    return u - rate / jnp.where(curvature > 0, curvature, jnp.inf)


@jax.jit  # and this once for the numbers and their margin
def predict_free_heads(form: Spectra | Matrices, n_samples, noise, weights) -> FreeHeads:
    held = jax.lax.stop_gradient((form, n_samples, noise, weights))
    squares = jnp.sum(form.parameters**2, -1)
    middle = jnp.log(squares[0] / squares[1]) / 2
    signs = jnp.repeat(jnp.array([1.0, -1.0]), len(GRID))
    places = jax.lax.stop_gradient(middle) + jnp.tile(jnp.asarray(GRID), 2)
    losses = jax.lax.map(lambda at: at_ratio(*held, at[0] * jnp.exp(at[1]))[0], (signs, places))
    best = jnp.argmin(jnp.where(jnp.isfinite(losses), losses, jnp.inf))
    sign, start = signs[best], places[best]

    def newton(_, u):
        rate, curvature = _slope_and_curvature(u, sign, *held)
        step = jnp.where(curvature > 0, -rate / jnp.where(curvature > 0, curvature, 1), -0.1 * jnp.sign(rate))
        return jnp.clip(u + jnp.clip(step, -0.25, 0.25), start - 0.5, start + 0.5)

    u = jax.lax.stop_gradient(jax.lax.fori_loop(0, N_NEWTON, newton, start))
    u = linalg.found_otherwise(_one_step, u, u, sign, form, n_samples, noise, weights)
    ratio = sign * jnp.exp(u)
    # in one loop, as every copy of the predictor takes a second to compile: there, a little beside it, and far from it
    factors = jnp.concatenate([jnp.exp(NUDGE * jnp.array([0.0, -1.0, 1.0])), jnp.array([0.5, 2.0])])
    around, found = jax.lax.map(lambda factor: at_ratio(form, n_samples, noise, weights, factor * ratio), factors)
    least, curvature = around[0], jax.lax.stop_gradient(_bend(around))
    predicted = jax.tree.map(lambda leaf: leaf[0], found)
    misfit = predicted.risk * jnp.stack([ratio, jnp.ones_like(ratio)]) ** 2
    unit = jax.lax.stop_gradient(largest_of(weights * (noise**2 + misfit)))
    omitted = unit * jnp.abs(_bend(found.risk[:, 1])) / jnp.where(curvature > 0, curvature, 1) / predicted.risk[1]
    other = smallest_of(jnp.where((signs == sign) | ~jnp.isfinite(losses), jnp.inf, losses))
    rise = jnp.minimum(smallest_of(around[3:]), other) - least
    return FreeHeads(predicted.risk[1], ratio, rise / unit, omitted, predicted.margin)


def _predicted(cell, key) -> tuple[FreeHeads, Float[Array, ""]]:
    tasks = tasks_of(cell, key)
    weights = per_task(cell.weights, 1.0, 2, "weights", tasks.parameters.dtype)
    heads = predict_free_heads(simplest_form(tasks, True), tasks.n_samples, tasks.noise, weights)
    return heads, single_risk(tasks.noise[-1], tasks.n_samples[-1], tasks.n_features)


def assume(cell, key):
    tasks = tasks_of(cell, key)
    heads, _ = _predicted(cell, key)
    return {
        "Gaussian rows of their own for each task": gaussian_rows(cell),
        "a valley of heads that is deep against what labels miss": heads.depth / DEPTH - 1,
        "a risk to which the error of the heads adds little": 1 - heads.omitted / trust(cell),
        "rows in all away from the number of features": heads.margin,
        "covariances of full rank": full_rank(tasks),
        "more target rows than features + 1": tasks.n_samples[-1] - tasks.n_features - 1.5,
    }


def predict(cell, key):
    heads, alone = _predicted(cell, key)
    return {"risk_single": alone, "risk_multi": heads.risk, "gain": alone - heads.risk}


def trust(cell) -> float:
    return 3.0 / cell.tasks.n_features


def instance(place: str, rng: np.random.Generator) -> Transfer:
    d = 80  # with 40 features the trust is 7.5 %, and a formula 10 % off is hardly told from the right one
    noise = rng.uniform(0.2, 0.6) if place == INSIDE else rng.uniform(3, 6)
    tasks = LinearTasks(
        n_features=d,
        n_samples=(int(rng.integers(d + 20, 8 * d)), int(rng.integers(1.4 * d, 3 * d))),
        cosine=float(rng.uniform(0.4, 1) * rng.choice([-1, 1])),
        noise=float(noise),
        parameter_norm=rng.uniform(1, 3, 2).tolist(),
        design=PowerLaw(float(rng.uniform(0, 0.8))),
        relation="disjoint" if rng.random() < 0.5 else "same",
    )
    return Transfer(tasks)


STATEMENT = Statement(
    name="free-heads",
    claim="With many features, hard sharing of one direction has a known risk, wherever the data determine the heads.",
    source=("derived",),
    kind="limit",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("risk_multi"),
    cells=Cells(sharing="hard", n_tasks=2, rank=1, weights=True),
    trust=trust,
    places=(INSIDE, OUTSIDE),
    resized=half_as_large,
    predicts=("gain", "risk_multi", "risk_single"),
)
