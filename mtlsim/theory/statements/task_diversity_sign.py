"""A representation helps a target if and only if the target's rows are fewer than what the sources' heads make of theirs.

`task-diversity` against noise^2 d / n_2, what the target pays alone: the (d - r) noise^2 is common to both, and a layer learned
from sources of n rows each helps if and only if

    n_2 a'(H'H)^-1 a < n,      H (K, r) the sources' heads, a the target's.

K tasks alike in direction are one task of K times the rows for a target like them, and next to nothing for any other.
"""

from dataclasses import replace

import numpy as np

from mtlsim.cells.representation import Representation, diversity_cost
from mtlsim.theory.statement import OUTSIDE, Statement, measured
from mtlsim.theory.statements import task_diversity


def assume(cell, key):
    return task_diversity.assume(cell, key)


def predict(cell, key):
    return {"gain": cell.n_samples - cell.n_target * diversity_cost(cell.heads, cell.target)}


def instance(place: str, rng: np.random.Generator) -> Representation:
    """Outside, sources whose noise hides what tells them apart."""
    cell = threshold(float(rng.choice([rng.uniform(0.2, 0.7), rng.uniform(1.4, 4)])), rng)
    return replace(cell, noise=10 * cell.noise) if place == OUTSIDE else cell


def threshold(factor: float, rng: np.random.Generator) -> Representation:
    """So many target rows, of those at which the gain ends."""
    cell = task_diversity.instance("inside", rng)
    cell = replace(cell, noise=cell.noise / 2)
    return replace(cell, n_target=factor * cell.n_samples / float(diversity_cost(cell.heads, cell.target)))


STATEMENT = Statement(
    name="task-diversity-sign",
    claim="A layer learned from several tasks helps another one up to a number of its rows that their heads give.",
    source=("derived",),
    kind="sign",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("gain"),
    threshold=threshold,
)
