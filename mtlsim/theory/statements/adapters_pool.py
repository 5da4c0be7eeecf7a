"""Adapters of one output with weight decay pool all tasks exactly, from a known decay on.

    min over b, u_k, v_k   sum_k |X_k (b + u_k v_k) - y_k|^2 + decay sum_k (|u_k|^2 + v_k^2)
        = min over b, delta_k   sum_k |X_k (b + delta_k) - y_k|^2 + 2 decay sum_k |delta_k|,

whose penalty is not squared. All differences are exactly zero if and only if decay >= decay*, with p the pooled least squares and

    decay* = max_k |S_k p - X_k'y_k|.

Measured: whether the best differences, found with a proven gap, are zero.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.core.extremes import largest_of
from mtlsim.core.linalg import minimum_norm
from mtlsim.samples.moments import Moments
from mtlsim.solvers.penalised import solve_deltas
from mtlsim.theory.margins import keeps_digits
from mtlsim.theory.mixed_tasks import MixedTasks, draw_instance
from mtlsim.theory.statement import EDGE, INSIDE, TWINS, Statement

ZERO = 1e-9  # of the length of the base
DISTINCT = 1e-5  # of the longest X'y: a critical decay below it is rounding


class Adapted(eqx.Module):
    """Tasks, and their decay over the one at which they are pooled."""

    case: MixedTasks
    over_critical: Array | float


def pooled(moments: Moments) -> Array:
    """p, the least squares of all rows."""
    return minimum_norm(jnp.sum(moments.gram, 0), jnp.sum(moments.cross, 0))


def critical_decay(moments: Moments) -> Array:
    """decay*."""
    misses = jnp.einsum("kde,e->kd", moments.gram, pooled(moments), precision="highest") - moments.cross
    return largest_of(jnp.linalg.norm(misses, axis=-1))


def assume(adapted, key):
    _, moments = adapted.case.draw(key=key)
    pulls = jnp.linalg.norm(moments.cross, axis=-1)
    return {
        "a decay": jnp.asarray(adapted.over_critical, float) - 1e-3,
        "tasks that differ beyond rounding": critical_decay(moments) / largest_of(pulls) - DISTINCT,
        "a decay that is not the critical one": jnp.abs(jnp.asarray(adapted.over_critical, float) - 1) - 0.05,
        "more rows in all than features": jnp.sum(jnp.asarray(adapted.case.tasks.n_samples, float))
        - adapted.case.tasks.n_features
        - 0.5,
        "a system that keeps its digits": keeps_digits(jnp.sum(moments.gram, 0)),
    }


def predict(adapted, key):
    """vectors: 1 where all tasks have one parameter vector, 2 where some differ."""
    return {"vectors": jnp.where(jnp.asarray(adapted.over_critical, float) >= 1, 1.0, 2.0)}


def measure(adapted, key):
    _, moments = adapted.case.draw(key=key)
    ones = jnp.ones(len(moments.cross))
    found = solve_deltas(moments, ones, 2 * adapted.over_critical * critical_decay(moments))
    lengths = jnp.linalg.norm(found.parameters - found.common, axis=-1)
    apart = largest_of(lengths) > ZERO * jnp.linalg.norm(found.common)
    return {"vectors": jnp.where(apart, 2.0, 1.0)}


def instance(place: str, rng: np.random.Generator) -> Adapted:
    factor = rng.choice(TWINS) if place == EDGE else rng.choice([rng.uniform(0.2, 0.8), rng.uniform(1.3, 5)])
    return Adapted(draw_instance(rng), float(factor))


STATEMENT = Statement(
    name="adapters-pool",
    claim="Adapters of one output with weight decay leave all tasks exactly pooled if and only if the decay is above a known one.",
    source=("derived",),
    kind="identity",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    places=(INSIDE, EDGE),
)
