"""How the wait of a hard task grows with the number of features: as its root for the third degree, as itself for the fourth.

The hard task alone follows dm/dt = (1 - m^2) p m^(p - 1), m the overlap with its feature (see `waiting-time`, `HermiteStudents`).
A uniform start in d dimensions has m_0 = |g| / sqrt(g^2 + chi^2_(d-1)), about |g| / sqrt(d), g normal; so the time until m = 1/2

    T = (1 / m_0 - 1 / m + artanh m - artanh m_0) / 3,     p = 3,

grows as d^((p - 2) / 2) / (p (p - 2) |g|^(p - 2)): what is measured is the slope of ln T over ln d between d and four times d, of
starts with the same g and on the right side. It is (p - 2) / 2 up to a share of it that vanishes as d grows: for p = 3 it is .84 /
sqrt(d) at first order (1.0 / sqrt(d) measured at 301 features), for p = 4 less. With an easy task beside it T hardly grows, and the
slope is near zero (how little of one is enough: `easy-dose`).

The statement is of the population's flow. That steps on rows wait as long is no part of it, as they have a noise of their own,
which frees even starts on the wrong side: they are `HermiteStudents`, to be swept over n_features, and drawn in the figure
`eavesdropping`.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.cells.hermite_students import HALF
from mtlsim.core.flow import follow
from mtlsim.core.keys import normal, stream
from mtlsim.samples.chi_square import draw_chi_squares
from mtlsim.theory.statement import EDGE, OUTSIDE, Statement

FARTHER = 4.0  # times as many features at the other end of the slope


class Growth(eqx.Module):
    """Features d at the lower end of the slope; weight of an easy task beside the hard one of this degree."""

    n_features: Array | float
    beside: Array | float = 0.0
    degree: int = eqx.field(default=3, static=True)


def assume(case, key):
    return {
        "features without end": jnp.asarray(case.n_features, float) - 300,
        "no easy task beside it": 1e-9 - jnp.abs(jnp.asarray(case.beside, float)),
        "a third or fourth degree": 1.0 if case.degree in (3, 4) else -1.0,
    }


def predict(case, key):
    return {"slope": jnp.asarray((case.degree - 2) / 2)}


def measure(case, key):
    few = jnp.asarray(case.n_features, float)
    waits = [wait_from(uniform_start(d, key), case.beside, case.degree) for d in (few, FARTHER * few)]
    return {"slope": jnp.log(waits[1] / waits[0]) / jnp.log(FARTHER)}


def uniform_start(n_features, key):
    """The overlap of a uniform start with the feature, turned to the right side; of the same |g| for any number of features."""
    along = normal(stream(key, "along"), (1,)) ** 2
    across = draw_chi_squares(stream(key, "across"), jnp.asarray(n_features, float)[None] - 1)
    return jnp.sqrt(along / (along + across))[0]


def wait_from(start, beside, degree: int):
    """Time of the flow from an overlap until half is known, as an integral over ln m; beside: weight of an easy task."""

    def slopes(state):
        overlap = jnp.exp(state[1])
        pull = (1 - overlap**2) * (beside + degree * overlap ** (degree - 1))
        return jnp.stack([overlap / pull, jnp.ones(())])

    begin = jnp.log(start)
    return follow(slopes, jnp.stack([jnp.zeros(()), begin]), jnp.log(HALF) - begin, 500)[0][0]


def instance(place: str, rng: np.random.Generator) -> Growth:
    """One thousand to one million features, on the edge 301; outside, an easy task beside it."""
    few = 301.0 if place == EDGE else float(10 ** rng.uniform(3, 6))
    return Growth(few, float(rng.uniform(0.1, 1)) if place == OUTSIDE else 0.0, degree=int(rng.choice([3, 4])))


STATEMENT = Statement(
    name="waiting-slope",
    claim="From a random start a hard task alone waits for a time that grows as the number of features to the power (p - 2) / 2, p "
    "its degree: as the root for the third.",
    source=("derived",),
    kind="limit",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    trust=lambda case: 1.2 / float(case.n_features) ** 0.5,
    resized=lambda case: Growth(FARTHER * case.n_features, case.beside, case.degree),
)
