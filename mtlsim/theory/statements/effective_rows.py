"""A source is worth so many rows of the target, and no more: their number does not depend on how many rows the target has.

Orthonormal rows, parameters delta apart, the best mixture of both tasks' least squares. It has the risk

    noise^2 d / (n_2 + D),      D = 1 / (1 / n_1 + |delta|^2 / (noise^2 d)),

that of n_2 + D rows of the target. D is at most noise^2 d / |delta|^2 however many rows the source has; a power of the target's
rows, as in published laws of "effective data transferred", has the exponent zero here. With the weights of the rows (pooling) the
worth falls in n_2 when the source is large, and is negative beyond noise^2 d / |delta|^2 rows: an ossified start.
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.merged import Merged, effective_rows
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement, measured


def assume(cell, key):
    return {"the best mixture": 1.0 if cell.rule == "best" else -1.0}


def predict(cell, key):
    return {"risk_multi": jnp.asarray(cell.noise, float) ** 2 * cell.n_features / (cell.n_target + effective_rows(cell))}


def instance(place: str, rng: np.random.Generator) -> Merged:
    """Outside, pooling by rows of a source that is far off."""
    outside = place == OUTSIDE
    sizes = float(rng.uniform(300, 2000) if outside else rng.uniform(10, 2000)), float(rng.uniform(10, 300))
    distance = float(rng.uniform(1, 2) if outside else rng.uniform(0, 2))
    return Merged(*sizes, distance, float(rng.uniform(0.5, 1.5)), "rows" if outside else "best")


STATEMENT = Statement(
    name="effective-rows",
    claim="At its best weight a source is worth a number of target rows that does not depend on how many there are.",
    source=("derived",),
    kind="equality",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("risk_multi"),
    places=(INSIDE, OUTSIDE),
)
