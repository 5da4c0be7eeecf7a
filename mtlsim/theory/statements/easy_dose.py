"""How much of an easy task a hard one of the same feature needs beside it: a weight of a few over the number of features.

Beside an easy task of the weight w the overlap follows dm/dt = (1 - m^2)(w + 3 m^2) (third degree, see `waiting-time`), so that
the easy task pulls more than the hard one as long as m^2 < w / 3: from a random start, m_0 about |g| / sqrt(d) with g normal, at
first if w > 3 g^2 / d. Time is spent where m is small, and there

    T(w) / T(0) = u arctan(1 / u),      u = m_0 sqrt(3 / w),

up to terms of the order of m_0. At w = 3 m_0^2 it is pi / 4, and one half at w = 16 m_0^2; with w = c / d it depends on c and g
alone. So the dose that a hard task needs falls as the number of features grows, and with many of them any is enough. A task of
the fourth degree needs less still, of the order of d^-3/2 (outside).
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.theory.statement import EDGE, OUTSIDE, Statement
from mtlsim.theory.statements.waiting_slope import uniform_start, wait_from

LEAST = 300.0  # features


class Beside(eqx.Module):
    """d features, and an easy task of the weight dose / d beside the hard one of this degree."""

    n_features: Array | float
    dose: Array | float
    degree: int = eqx.field(default=3, static=True)


def assume(case, key):
    dose = jnp.asarray(case.dose, float)
    return {
        "features without end": jnp.asarray(case.n_features, float) - LEAST,
        "a third degree": 1.0 if case.degree == 3 else -1.0,
        "an easy task beside it": dose - 0.01,
        "of a weight that is small": 30 - dose,
    }


def predict(case, key):
    ratio = uniform_start(case.n_features, key) * jnp.sqrt(3 * jnp.asarray(case.n_features, float) / case.dose)
    return {"wait_left": ratio * jnp.arctan(1 / ratio)}


def measure(case, key):
    start, weight = uniform_start(case.n_features, key), jnp.asarray(case.dose, float) / case.n_features
    return {"wait_left": wait_from(start, weight, case.degree) / wait_from(start, jnp.zeros(()), case.degree)}


def trust(case) -> float:
    """Measured: .23 / sqrt(d) at a dose of one, 1.7 at 15 and 2.7 at 30, of 300 features; a fifth less of many."""
    return 0.55 * (float(case.dose) / float(case.n_features)) ** 0.5


def instance(place: str, rng: np.random.Generator) -> Beside:
    """Doses of 1 to 16, one thousand to one million features, on the edge 301; outside, a hard task of the fourth degree."""
    few = 301.0 if place == EDGE else float(10 ** rng.uniform(3, 6))
    return Beside(few, float(np.exp(rng.uniform(0, np.log(16)))), 4 if place == OUTSIDE else 3)


STATEMENT = Statement(
    name="easy-dose",
    claim="The weight of an easy task that takes a given share of a hard one's wait away falls as one over the number of features.",
    source=("derived",),
    kind="limit",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    trust=trust,
    resized=lambda case: Beside(4 * case.n_features, case.dose, case.degree),
)
