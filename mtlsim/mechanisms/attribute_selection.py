"""Attribute selection: tasks that use the same few inputs show together which ones, where each alone sees too few rows.

The text calls it a consequence of data amplification: so with one noise for all tasks nothing may be left, and a single task
that is told which inputs sharing chose must do nearly as well (see `selection-area` for the exact area under the curve).

Source: [caruana1997multitask], Section 3.
"""

from mtlsim.cells.attribute_selection import AttributeSelection
from mtlsim.mechanisms._mechanism import Dose, Mechanism

MECHANISM = Mechanism(
    name="attribute-selection",
    claim="Tasks that use the same inputs find them together where one alone takes noise for signal.",
    source=("caruana1997multitask",),
    cell=AttributeSelection(n_tasks=8),
    effect={"n_samples": 40.0},
    dose=Dose("correlation", (0.0, 0.3, 0.6, 0.8, 1.0), -1),
    controls={"one noise for all tasks": {"correlation": 1.0}, "rows enough for one task": {"n_samples": 160.0}},
    opponent=("keep", (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 12.0, 20.0)),
    mediator="found",
    beyond="given_found",
    harm={"related": (0.0, 1.0), "n_samples": (20.0, 40.0, 160.0, 640.0)},
    n_seeds=1000,
    says="With few rows, many inputs or much noise it is hard to tell which inputs matter; tasks that use the same ones help, as "
    "they give more evidence. It is a consequence of data amplification.",
    inferred="The model (equal parameters, orthonormal rows, the inputs of the highest scores are kept), and what must be left. "
    "Labels dealt to other rows are no control here: under one shared direction they hurt by themselves.",
    known=("selection-area",),
)
