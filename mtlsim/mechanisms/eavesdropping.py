"""Eavesdropping: a task that uses a feature in a complicated way learns it from one that uses it in a simple way.

Labels have no noise, so that amplification predicts nothing. Alone, the hard task waits for about sqrt(d) / 3 before its overlap
with the feature moves at all, and so the longer the more features there are (see `waiting-time` and `waiting-slope`); the easy task
shows the way at once, with a weight of a few over the number of features (see `easy-dose` and the figure `eavesdropping`).

Source: [caruana1997multitask], Section 3.
"""

from mtlsim.cells.hermite_students import HermiteStudents
from mtlsim.mechanisms._mechanism import Dose, Mechanism

MECHANISM = Mechanism(
    name="eavesdropping",
    claim="A feature that is hard to learn from one task is learned from another that uses it in a simpler way.",
    source=("caruana1997multitask",),
    cell=HermiteStudents(n_features=200.0, rate=0.1, capacity=20_000),
    effect={"easy_weight": 1.0},
    dose=Dose("easy_weight", (0.0, 0.03, 0.1, 0.3, 1.0), 1),
    controls={"easy labels dealt to other rows": {"related": 0.0}},
    opponent=("rate_single", (0.25, 0.5, 1.0, 2.0, 4.0)),
    mediator="overlap",
    beyond="handed_over",
    harm={"easy_weight": (30.0, 300.0)},
    n_seeds=400,
    says="If F is easy to learn for T and hard for T', because T' uses F in a more complex way or the residual of T' without F is "
    "noisier, then T' can learn F by eavesdropping on what the hidden layer learned for T.",
    inferred="The pair of Hermite polynomials of one direction, one shared unit vector, noiseless labels, fixed heads.",
    known=("waiting-time", "waiting-slope", "easy-dose"),
)
