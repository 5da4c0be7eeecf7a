"""How likely a task learns the representation that another task can use too: a probability that is known for a small start.

In the network of `DiagonalNetwork` small weights grow along the directions of fastest growth: a feature of two tasks as
e^(sqrt(2) t) from a q_A, one of a single task as e^t from a q_B, where q_A = v_A / sqrt(2) + (u_1A + u_2A) / 2 and
q_B = (v_B + u_1B) / sqrt(2) are standard normal for weights of standard deviation a. The common feature is large first where
|q_B| < a^-(1 - 1/sqrt(2)) |q_A|^(1/sqrt(2)); with layers of their own the probability is one half.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from mtlsim.cells.diagonal_network import DiagonalNetwork
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement, measured


def assume(cell, key):
    return {
        "a shared layer": 1e-9 - jnp.asarray(cell.private, float),
        "labels as they are": jnp.asarray(cell.related, float) - 1 + 1e-9,
        "weights of either sign": 1e-9 - jnp.asarray(cell.positive, float),
        "features of one size": 1e-9 - jnp.abs(jnp.asarray(cell.preference, float) - 1),
        "a small start": 0.11 - jnp.asarray(cell.start, float),
    }


def predict(cell, key):
    return {"first_multi": cell(key=key)["predicted"]}


def instance(place: str, rng: np.random.Generator) -> DiagonalNetwork:
    start = float(np.exp(rng.uniform(np.log(0.01), np.log(0.1))))
    return DiagonalNetwork(start, 1.0 if place == OUTSIDE else 0.0)


STATEMENT = Statement(
    name="shared-feature",
    claim="From a small start a task learns the representation that another can use too with a known probability, near one.",
    source=("derived",),
    kind="limit",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("first_multi"),
    trust=lambda cell: 0.06 * float(np.asarray(cell.start) / 0.1) ** 0.4,
    resized=lambda cell: eqx.tree_at(lambda c: c.start, cell, cell.start / 10),
    places=(INSIDE, OUTSIDE),
)
