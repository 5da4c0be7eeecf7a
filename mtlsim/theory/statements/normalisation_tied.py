"""With one head for both tasks, normalisation takes away what the source's scale costs: labels that no length of a row moves.

y = sqrt(d) x'theta / |x| in both tasks, and the source's rows are s times as long. Least squares on the rows as they are see the
parameters theta / s and theta, a shift of (1 / s - 1) theta between rows of covariance s^2 I and I: pooling turns from helping to
hurting at a known s on either side of one. Normalised rows have no s, and the source helps whatever it is [xu2019understanding].
For labels that grow with the row it is the other way round (`normalisation-amplitude`). A head of its own for each task absorbs
the factor; then nothing turns (`normalisation-free-heads`). Own gains of each task before the one head are such heads: they cost
all that sharing had saved, noise^2 r n_1 / (n_2 (n_1 + n_2)) with many rows.
"""

import numpy as np

from mtlsim.cells.normalised_rows import NormalisedRows
from mtlsim.theory.normalised import assumptions, draw_cell, near_turn, predicted_risks
from mtlsim.theory.statement import OUTSIDE, Statement, measured

LABEL = "direction"


def assume(cell, key):
    return assumptions(cell, LABEL)


def predict(cell, key):
    return {"gain": predicted_risks(cell)["gain"]}


def instance(place: str, rng: np.random.Generator) -> NormalisedRows:
    """Half of them normalised, at any scale. Outside, labels that grow with the row."""
    label = "amplitude" if place == OUTSIDE else LABEL
    if rng.random() < 0.5:
        return draw_cell(rng, label, "layer-norm", float(np.exp(rng.uniform(-2, 2))))
    return draw_cell(rng, label, "none", float(rng.choice([rng.uniform(0.2, 0.45), rng.uniform(0.8, 1.5), rng.uniform(3, 8)])))


def threshold(factor: float, rng: np.random.Generator) -> NormalisedRows:
    """Rows as they are, at `factor` times a scale at which pooling turns."""
    return near_turn(rng, LABEL, "none", factor)


STATEMENT = Statement(
    name="normalisation-tied",
    claim="With one head and labels of the direction of a row, a source of another scale helps whatever it is once rows are "
    "normalised, and only between two known scales as they are.",
    source=("derived",),
    kind="sign",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("gain"),
    threshold=threshold,
)
