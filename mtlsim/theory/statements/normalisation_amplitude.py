"""With one head for both tasks, normalisation takes away what the tasks have in common: labels that grow with the row.

y = x'theta in both tasks, and the source's rows are s times as long, so that its labels are, too. Rows as they are have one model,
and a source of any scale helps. Normalised rows are of one length, on which the labels of the source are s times those of the
target: a shift of (s - 1) theta between equal covariances, and pooling turns from helping to hurting at a known s on either side of
one [xu2019understanding]. The opposite of `normalisation-tied`: which way normalisation turns the sign of transfer is decided by
whether labels scale with the row.
"""

import numpy as np

from mtlsim.cells.normalised_rows import NormalisedRows
from mtlsim.theory.normalised import assumptions, draw_cell, near_turn, predicted_risks
from mtlsim.theory.statement import OUTSIDE, Statement, measured

LABEL = "amplitude"


def assume(cell, key):
    return assumptions(cell, LABEL)


def predict(cell, key):
    return {"gain": predicted_risks(cell)["gain"]}


def instance(place: str, rng: np.random.Generator) -> NormalisedRows:
    """Half of them as drawn, at any scale. Outside, labels of the direction alone."""
    label = "direction" if place == OUTSIDE else LABEL
    if rng.random() < 0.5:
        return draw_cell(rng, label, "none", float(np.exp(rng.uniform(-2, 2))))
    scale = float(rng.choice([rng.uniform(0.02, 0.15), rng.uniform(0.75, 1.3), rng.uniform(2, 5)]))
    return draw_cell(rng, label, "layer-norm", scale)


def threshold(factor: float, rng: np.random.Generator) -> NormalisedRows:
    """Normalised rows, at `factor` times a scale at which pooling turns."""
    return near_turn(rng, LABEL, "layer-norm", factor)


STATEMENT = Statement(
    name="normalisation-amplitude",
    claim="With one head and labels that grow with the row, a source of another scale helps whatever it is as rows are, and once "
    "they are normalised only between two known scales.",
    source=("derived",),
    kind="sign",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("gain"),
    threshold=threshold,
)
