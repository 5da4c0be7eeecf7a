"""The alternative explanation by escape: when one task's slope frees another from a local minimum.

A task has the double well (x^2 - 1)^2 + h x, h > 0, whose minimum near x = 1 is not the better one; from there alone it never
leaves. A second task with the slope w in x moves it over the barrier if and only if no point of the way has a joint slope of zero,

    w > 8 / (3 sqrt(3)) - h,

the steepest slope of the well less h. So a task helps another out of a minimum only if it has none there itself, and pushes
harder than the barrier. (In linear models it is sharing that makes local minima, see `local-minima-different`: a task alone has
none.)
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.core.flow import follow
from mtlsim.core.keys import normal, stream
from mtlsim.theory.statement import OUTSIDE, Statement

STEEPEST = 8 / (3 * np.sqrt(3))


class Wells(eqx.Module):
    """The double well with tilt h, the other task's slope w, and where x starts (plus a twentieth of a normal deviate)."""

    tilt: Array | float
    slope: Array | float
    start: Array | float = 1.0


def assume(case, key):
    return {
        "a well that is not the better one": jnp.asarray(case.tilt, float) - 1e-6,
        "and holds": STEEPEST - jnp.asarray(case.tilt, float) - 1e-6,
        "a start in it": jnp.asarray(case.start, float) - 0.9,
        "and no higher than steps can follow": 1.5 - jnp.asarray(case.start, float),
        "nor a slope that throws them off": 10 - jnp.asarray(case.slope, float),
    }


def predict(case, key):
    return {"freed": case.slope + case.tilt - STEEPEST}


def measure(case, key):
    """One where x ends on the other side, minus one where it stays."""
    start = case.start + 0.05 * normal(stream(key, "start"), (1,))[0]
    slopes = lambda x: -(4 * x * (x**2 - 1) + case.tilt + case.slope)
    end, _ = follow(slopes, start, 60.0, 1200)
    return {"freed": jnp.where(end < 0, 1.0, -1.0)}


def instance(place: str, rng: np.random.Generator) -> Wells:
    """Outside, a start on the other side, from which nothing has to be freed."""
    tilt = float(rng.uniform(0.1, 0.8))
    factor = float(rng.choice([rng.uniform(0, 0.8), rng.uniform(1.2, 2)]))
    return Wells(tilt, factor * (STEEPEST - tilt), -1.0 if place == OUTSIDE else 1.0)


def threshold(factor: float, rng: np.random.Generator) -> Wells:
    """A slope of `factor` times the barrier's."""
    tilt = float(rng.uniform(0.1, 0.8))
    return Wells(tilt, factor * (STEEPEST - tilt))


STATEMENT = Statement(
    name="escape-barrier",
    claim="A task frees another from a local minimum if and only if its slope there is steeper than the barrier.",
    source=("derived",),
    kind="sign",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    threshold=threshold,
)
