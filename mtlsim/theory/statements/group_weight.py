"""The best weight of a source for one group of a task is not that for the other, where they see its shift differently.

The risks of both groups over the weight of the source are known with many features (`group-gain`), and have different minima: a
minority that varies strongly where the source is off wants less of it, one that the source sees well wants more. So the groups of
one task have a Pareto front of their own.
"""

from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.cells.groups import Groups
from mtlsim.core.compiler import jit_hastily
from mtlsim.solvers.objective import per_task
from mtlsim.tasks.covariance import Diagonal
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement
from mtlsim.theory.statements import group_gain

WEIGHTS = np.geomspace(1e-3, 2, 60)


def less_is_better(risk: Callable[[Groups], Array], cell: Groups) -> dict[str, Array]:
    """What the risk falls by where the source has half the weight."""
    weights = per_task(cell.weights, 1.0, cell.tasks.n_tasks, "weights", jnp.zeros(()).dtype)
    sources = ~jnp.asarray(cell.is_group)
    factors = jnp.asarray([1.0, 0.5])
    # mapped, for one compile
    as_set, halved = jax.lax.map(lambda factor: risk(replace(cell, weights=jnp.where(sources, factor * weights, weights))), factors)
    return {"less_is_better": as_set - halved}


def assume(cell, key):
    return group_gain.assume(cell, key) | {"many features": jnp.asarray(cell.tasks.n_features - 29.5)}


def predict(cell, key):
    return less_is_better(lambda one: group_gain.predicted_risks(one, key)[1].risk[-1], cell)


def measure(cell, key):
    return less_is_better(lambda one: one(key=key)["risk_multi_minority"], cell)


def instance(place: str, rng: np.random.Generator) -> Groups:
    """At the weight that is best for the majority; outside, few features."""
    d = 8 if place == OUTSIDE else 30
    spread = float(rng.choice([rng.uniform(0.01, 0.1), rng.uniform(3, 6)]))  # of the minority along the source's shift
    along = lambda variance: Diagonal(np.where(np.arange(d) == 1, variance, 1.0))
    target = np.eye(d)[0]
    shifted = target + float(rng.uniform(1.0, 2.0)) * np.eye(d)[1]
    rows = (int(rng.integers(4 * d, 8 * d)), int(rng.integers(2 * d, 3 * d)), int(rng.integers(0.4 * d, 0.7 * d)))
    designs = (along(1.0), along(0.3), along(spread))
    cell = Groups(LinearTasks(d, rows, design=designs, parameters=np.stack([shifted, target, target])), weights=(1.0, 1.0, 1.0))
    return replace(cell, weights=(float(best_weight(cell)), 1.0, 1.0))


@jit_hastily
def best_weight(cell: Groups) -> Array:
    """Of the source, for the majority, among `WEIGHTS`, by `group_gain`."""
    key = jax.random.key(0)
    risk = lambda weight: group_gain.predicted_risks(replace(cell, weights=(weight, 1.0, 1.0)), key)[1].risk[-2]
    weights = jnp.asarray(WEIGHTS)
    return weights[jnp.argmin(jax.lax.map(risk, weights))]


STATEMENT = Statement(
    name="group-weight",
    claim="With many features it is known whether a group would have less of a source, or more, at any weight of it.",
    source=("derived",),
    kind="sign",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    places=(INSIDE, OUTSIDE),
)
