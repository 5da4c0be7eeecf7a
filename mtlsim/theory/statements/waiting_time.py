"""How long a hard task looks for its feature: closed waiting times of the flow, which an easy task cuts to nothing.

One unit vector b is moved along the sphere by the population losses 1 - m of an easy and 1 - m^p of a hard task of the same feature
theta, m = b'theta (see `HermiteStudents`). Alone the hard task follows dm/dt = (1 - m^2) p m^(p - 1); the time from m_0 to m is

    p = 3: (1/m_0 - 1/m + artanh m - artanh m_0) / 3,
    p = 2: (ln(m / m_0) + ln((1 - m_0^2) / (1 - m^2)) / 2) / 2,

about sqrt(d) / 3 and ln(d) / 4 from a random start, where the easy task takes artanh m - artanh m_0 at any d. The statement moves
the vector itself, in d dimensions and from a random start, for just that time, and asks for its overlap.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.cells.hermite_students import waiting_time
from mtlsim.core.flow import follow
from mtlsim.core.keys import normal, stream
from mtlsim.theory.statement import EDGE, OUTSIDE, Statement


class Wait(eqx.Module):
    """From the overlap `start` to `end`, by a task of this degree (1: the easy one); weight of an easy task beside it."""

    start: Array | float
    end: Array | float
    beside: Array | float = 0.0
    degree: int = eqx.field(default=3, static=True)
    n_features: int = eqx.field(default=6, static=True)


def assume(case, key):
    start, end = jnp.asarray(case.start, float), jnp.asarray(case.end, float)
    return {
        "a start on the right side": start - 0.01,
        "below the end": end - start,
        "an end before all is learned": 0.999 - end,
        "no easy task beside it": 1e-9 - jnp.abs(jnp.asarray(case.beside, float)),
    }


def predict(case, key):
    return {"overlap": jnp.asarray(case.end, float)}


def measure(case, key):
    theta = jnp.eye(case.n_features)[0]
    across = normal(stream(key, "start"), (case.n_features,)).at[0].set(0)
    start = case.start * theta + jnp.sqrt(1 - jnp.asarray(case.start, float) ** 2) * across / jnp.linalg.norm(across)

    def slopes(vector):
        overlap = jnp.sum(vector * theta)
        pull = case.beside + case.degree * overlap ** (case.degree - 1)  # of the losses, along theta
        return pull * (theta - overlap * vector)

    end, _ = follow(slopes, start, waiting_time(case.start, case.end, case.degree), 4000)
    return {"overlap": jnp.sum(end * theta)}


def instance(place: str, rng: np.random.Generator) -> Wait:
    """Starts of .03 to .3, on the edge of .011; outside, an easy task beside it."""
    start = 0.011 if place == EDGE else float(np.exp(rng.uniform(np.log(0.03), np.log(0.3))))
    beside = float(rng.uniform(0.1, 1)) if place == OUTSIDE else 0.0
    return Wait(start, float(rng.uniform(0.4, 0.9)), beside, degree=int(rng.choice([1, 2, 3])))


STATEMENT = Statement(
    name="waiting-time",
    claim="A hard task alone finds its feature after a known time, which grows with the number of features as an easy one's does "
    "not.",
    source=("derived",),
    kind="identity",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
)
