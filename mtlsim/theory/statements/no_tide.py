"""Where no tide comes: in a network without crossing weights a task keeps to what both can use, though the other leaves it.

The text finds that a task T' without a preference is carried to what T does not use, where T prefers a representation of its own
(see `tide-turns`, where gates show that). In the network of `DiagonalNetwork`, with a feature B that is `preference` times as
large as the others, the first task learns B, the sooner the larger it is. Until then it pulls the common feature A too, which is
ahead of the second task's own C from then on; so the second task learns A more often than not, with a probability of about

    (2 / pi) arctan(c start^-((sqrt(2) - 1) / preference)),      c = (1 + sqrt(1/2)) / 2,

from a small start, where alone it is one half: at a preference of two .826 from .001 and .730 from .01 (measured .835 and .743).
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.diagonal_network import DiagonalNetwork, lead_of_common
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement


def assume(cell, key):
    preference = jnp.asarray(cell.preference, float)
    return {
        "a shared layer": 1e-9 - jnp.asarray(cell.private, float),
        "labels as they are": jnp.asarray(cell.related, float) - 1 + 1e-9,
        "a small start": 0.11 - jnp.asarray(cell.start, float),
        "a first task that prefers its own": preference - 1 + 1e-9,
        "by a factor for which the lead is seen": 3 - preference,
    }


def predict(cell, key):
    return {"common": 2 / jnp.pi * jnp.arctan(lead_of_common(cell.start, cell.preference)) - 0.5}


def measure(cell, key):
    """One half where the second task learns the common feature, minus one half where not."""
    return {"common": cell(key=key)["second_multi"] - 0.5}


def instance(place: str, rng: np.random.Generator) -> DiagonalNetwork:
    """Outside, layers of their own."""
    start = float(np.exp(rng.uniform(np.log(0.001), np.log(0.05))))
    return DiagonalNetwork(start, 1.0 if place == OUTSIDE else 0.0, preference=float(rng.uniform(1.0, 2.5)))


STATEMENT = Statement(
    name="no-tide",
    claim="In a network without crossing weights a task learns what both can use more often than not, however much the other "
    "prefers its own.",
    source=("derived",),
    kind="sign",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    places=(INSIDE, OUTSIDE),
)
