"""Representation bias: of two equally good representations tasks learn the one that both can use.

A feature of two tasks gets twice the slope in the shared layer and grows as e^(sqrt(2) t), one of a single task as e^t; from a
small start the first is there long before. With layers of their own each task is as likely to learn either, and both learn the
common one a quarter of the time (see `shared-feature`).

Source: [caruana1997multitask], Section 3.
"""

from mtlsim.cells.diagonal_network import DiagonalNetwork
from mtlsim.mechanisms._mechanism import Dose, Mechanism

MECHANISM = Mechanism(
    name="representation-bias",
    claim="Of two representations that serve a task equally well, sharing makes it learn the one that the other task can use too.",
    source=("caruana1997multitask",),
    cell=DiagonalNetwork(),
    effect={"start": 0.01},
    dose=Dose("start", (1.0, 0.5, 0.2, 0.05, 0.01), 1),
    controls={
        "a layer of its own for each task": {"private": 1.0},
        "the other task's labels dealt to other rows": {"related": 0.0},
    },
    opponent=("start_single", (0.1, 0.3, 1.0, 3.0, 10.0)),
    mediator="grown",
    harm={"start": (0.001, 0.1, 0.5, 1.0)},
    n_seeds=1000,
    says="Nets learn tasks stochastically. If T can be learned by the minima A or B and T' by A or C, then both together prefer A.",
    inferred="A network without crossing weights, of which the flow and the probability are known; which start is small enough; "
    "that it comes about by the faster growth of what both use, before either task is learned. Alone a task cannot tell A from B, "
    "whatever its start, so that its best is one half.",
    known=("shared-feature",),
)
