"""Overfitting prevention in a network: outputs of pure noise beside the main one do not keep ReLU units from fitting its noise.

At the same training loss a layer with room for it has a larger generalisation gap beside them, not a smaller one, and its best
time to stop does not move: what the extra outputs teach the layer are features of their noise. Related outputs lower the risk at
the best stop, which is information. A single unit, which cannot serve all outputs, fits less of everything (`mtlsim figure
noise-outputs`).

Source: [caruana1997multitask], Section 3.
"""

from mtlsim.cells.extra_outputs import ExtraOutputs
from mtlsim.mechanisms._mechanism import Dose, Mechanism

MECHANISM = Mechanism(
    name="noise-outputs",
    claim="Outputs of pure noise keep a network from overfitting: at the same training loss it generalises better.",
    source=("caruana1997multitask",),
    cell=ExtraOutputs(),
    effect={"outputs": 4.0},
    dose=Dose("outputs", (0.0, 1.0, 2.0, 4.0), 1),
    controls={"layers of their own for them": {"outputs": 0.0}, "outputs that are always zero": {"extra_noise": 0.0}},
    opponent=("earlier", (1.0, 1.5, 2.0, 2.5, 3.0)),
    mediator="later",
    harm={"outputs": (1.0, 4.0), "noise": (0.5, 2.0)},
    n_seeds=200,
    expected="refuted",
    says="Extra tasks may act as noise in the gradient, and so keep a net from overfitting; it is named as an explanation to be "
    "ruled out.",
    inferred="Eight ReLU units on sixteen rows, full gradient steps, and the two numbers: the risk at one training loss, and the "
    "time at which it is best to stop.",
)
