"""Order alone cannot change a trace: two maps lose at least (tr T_1 - tr T_2)^2 / (2 r) as words PQ and QP.

tr PQ = tr QP, and the nearest pair of one trace is T_1 and T_2 moved by multiples of the identity. With one output it is all that
is lost: blocks are numbers, and numbers commute.
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.words import Words, trace_bound
from mtlsim.theory.statement import INSIDE, Statement


def assume(cell, key):
    return {"two maps as PQ and QP": 1.0 if cell.is_pair else -1.0}


def predict(cell, key):
    return {"lost": cell.fit(cell.maps, key).loss}


def measure(cell, key):
    return {"lost": trace_bound(cell.maps) if cell.is_pair else jnp.nan}


def trivial(cell, key):
    return jnp.sum((cell.maps[0] - cell.maps[1]) ** 2) / 2  # of one map for both


def instance(place: str, rng: np.random.Generator) -> Words:
    r = 3 if rng.random() > 0.7 else 2
    return Words(jnp.asarray(rng.uniform(0.5, 2) * rng.normal(size=(2, r, r))))


STATEMENT = Statement(
    name="trace-of-words",
    claim="Two maps learned as the same blocks in another order lose at least the part of their difference that is a trace.",
    source=("derived",),
    kind="bound",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    trivial=trivial,
    places=(INSIDE,),
)
