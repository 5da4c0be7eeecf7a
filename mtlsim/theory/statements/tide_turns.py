"""Where the tide turns: the second task learns what both can use as long as the first prefers the other by less than it is pulled.

Two tasks on common gates (see `TwoGates`): at the start, z = 0, the second task pulls z_1 up by f_0 = a (1 - 2 a), a = e^-Z, and
the first pulls it down by its tilt. With a tilt below f_0 most starts end in the common representation A, above it most in C.
While z_1 moves, the second gate opens too and takes from the pull: the turn comes some 10 % before f_0 (measured), so that signs
are tested from 30 % off.
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.two_gates import TwoGates, pull_at_start
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement

APART = 0.3  # relative distance of tilt and pull from which on the sign is claimed


def assume(cell, key):
    pull, tilt = pull_at_start(cell.width), jnp.asarray(cell.tilt, float)
    steepest = 8 * jnp.asarray(cell.well, float) / (3 * jnp.sqrt(3.0))
    return {
        "common gates": 1e-9 - jnp.asarray(cell.private, float),
        "tilt and pull apart": jnp.abs(tilt / pull - 1) - APART + 1e-9,
        "a tilt away from A, if any": tilt + 1e-9,
        "a well of the first task at A": steepest - tilt,
        "as steep as those that were looked at": 0.2 - jnp.abs(jnp.asarray(cell.well * cell.width / 3, float) - 0.25),
        "gates that start nearly closed, but not all but closed": 0.5 - jnp.abs(jnp.asarray(cell.width, float) - 2.9),
        "starts about both gates": 0.4 - jnp.abs(jnp.asarray(cell.start, float) - 0.5),
    }


def predict(cell, key):
    return {"common": pull_at_start(cell.width) - jnp.asarray(cell.tilt, float)}


def measure(cell, key):
    """One half where both tasks end in the common representation, minus one half where the second does not."""
    return {"common": 0.5 - cell(key=key)["second_multi"]}


def instance(place: str, rng: np.random.Generator) -> TwoGates:
    """Outside, the second task has gates of its own, and does not care."""
    width = float(rng.uniform(2.5, 3.2))
    factor = float(rng.choice([rng.uniform(0.0, 1 - APART), rng.uniform(1 + APART, 2.2)]))
    tilt = factor * float(pull_at_start(width))
    return TwoGates(tilt, float(rng.uniform(0.08, 0.15)) * 3 / width, width, private=1.0 if place == OUTSIDE else 0.0)


STATEMENT = Statement(
    name="tide-turns",
    claim="A task that could use either of two representations learns the common one if and only if the other task prefers its "
    "own by "
    "less than it is pulled at the start.",
    source=("derived",),
    kind="sign",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    places=(INSIDE, OUTSIDE),
)
