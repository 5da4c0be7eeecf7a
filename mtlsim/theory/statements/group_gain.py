"""What each group of a task gains from a source, in its own metric.

Least squares on the rows of all groups, alone or with those of all sources, is pooled least squares, whose risk in the metric of
any task `general-predictor` knows. The group that the source's rows see well gains more, and where the source's parameters are
off in a direction along which one group varies strongly, that group loses while the others gain.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mtlsim.cells.groups import Groups
from mtlsim.core.compiler import jit_hastily
from mtlsim.core.extremes import smallest_of
from mtlsim.solvers.objective import per_task
from mtlsim.tasks.covariance import Isotropic, PowerLaw
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.margins import full_rank
from mtlsim.theory.predictor import predict_each, simplest_form
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement, drawn_until, gaussian_rows, half_as_large, measured, tasks_of

OFF = 3.0  # over d: the share by which risks may differ from their limit


def predicted_risks(cell: Groups, key, alike: bool = False):
    """`Predicted` of the rows of all groups together, and of all rows; alike: if all parameters were the target's."""
    tasks = tasks_of(cell, key)
    if alike:
        tasks = eqx.tree_at(lambda drawn: drawn.parameters, tasks, jnp.broadcast_to(tasks.parameters[-1], tasks.parameters.shape))
    weights = per_task(cell.weights, 1.0, tasks.n_tasks, "weights", tasks.parameters.dtype)
    form, groups = simplest_form(tasks, True), jnp.asarray(cell.is_group)
    return predict_each(form, tasks.n_samples, tasks.noise, jnp.stack([jnp.where(groups, weights, 0), weights]))


def assume(cell, key):
    single, multi = predicted_risks(cell, key)
    return {
        "Gaussian rows of their own for each task": gaussian_rows(cell),
        "rows of all groups away from the number of features": single.margin,
        "rows in all away from the number of features": multi.margin,
        "covariances of full rank": full_rank(tasks_of(cell, key)),
    }


def predict(cell, key):
    single, multi = predicted_risks(cell, key)
    gains = single.risk - multi.risk
    return {"risk_single_minority": single.risk[-1]} | _as_gains(cell, key, gains)


def _as_gains(cell, key, of_each) -> dict:
    """What each task has, of the majority, the minority, and all groups by their shares."""
    of_groups, rows = of_each[cell.is_group], tasks_of(cell, key).n_samples[cell.is_group]
    mean = jnp.sum(cell.shares(rows) * of_groups)
    return {"gain_majority": of_groups[0], "gain_minority": of_groups[-1], "gain": mean}


@jit_hastily
def _least_share(cell):
    """The least of |gain| over the larger of both risks, of the gains that are predicted: small near a turn."""
    key = jax.random.key(0)
    single, multi = predicted_risks(cell, key)
    gains, risks = (_as_gains(cell, key, each) for each in (single.risk - multi.risk, jnp.maximum(single.risk, multi.risk)))
    return smallest_of(jnp.stack([jnp.abs(gains[name]) / risks[name] for name in gains]))


def trust(cell) -> float:
    """Of a gain, what its risks are off by is a larger share the nearer it is to its turn. Measured: up to .9 / d of the larger."""
    return max(OFF, 1.5 / (float(_least_share(cell)) + 1e-9)) / cell.tasks.n_features


@drawn_until(lambda cell: _least_share(cell) > 0.3, (INSIDE,))
def instance(place: str, rng: np.random.Generator) -> Groups:
    """Three groups, no gain of which is a small part of its risks; outside, as many rows of them as features, or nearly."""
    d = 60
    few, middle = int(rng.integers(0.2 * d, 0.5 * d)), int(rng.integers(0.1 * d, 0.4 * d))
    many = int(rng.integers(2 * d, 4 * d)) if place == INSIDE else d + 4 - few - middle
    decaying = tuple(PowerLaw(float(rng.uniform(0, 1))) for _ in range(3))
    tasks = LinearTasks(
        n_features=d,
        n_samples=(int(rng.integers(d, 8 * d)), many, middle, few),
        cosine=(float(rng.uniform(0.3, 1)), 1.0, 1.0),
        noise=float(rng.uniform(0.5, 1.5)),
        design=(*decaying, Isotropic(float(rng.uniform(0.5, 3)))),
    )
    return Groups(tasks, weights=(float(rng.uniform(0.3, 2)), 1.0, 1.0, 1.0), n_groups=3)


STATEMENT = Statement(
    name="group-gain",
    claim="With many features, what each group of a task gains from a source is known, in its own metric.",
    source=("derived",),
    kind="limit",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("risk_single_minority", "gain_majority", "gain_minority", "gain"),
    trust=trust,
    places=(INSIDE, OUTSIDE),
    resized=half_as_large,
)
