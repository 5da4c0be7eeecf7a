"""Why sharing is said to help: each mechanism is one file, an experiment with a mediator and controls, judged by clauses.

The classic explanations (Caruana 1997) are told everywhere. Here each is one file in `mtlsim/mechanisms/`: a model in which its
effect is known or computed exactly, a number by which it is said to come about (the mediator), controls that must remove it, and
a single task that may do its best. "MTL helps *by this*" is confirmed only if five clauses hold, each with its number and an
interval: the effect is there; it follows the dose; at most a tenth of it is left under every control; it stands against the best
single task; the mediator moves, and carries at least four fifths. One that fails refutes. `mtlsim verify NAME` prints them, and
where it hurts; `mtlsim figure mechanisms` is one page of all.

What was found stands in `notebooks/README.md` and in the eighth notebook.
"""

import importlib

from mtlsim.core.checks import require
from mtlsim.core.registry import find, names
from mtlsim.core.words import with_article
from mtlsim.mechanisms._mechanism import Dose, Mechanism
from mtlsim.mechanisms._tried import Trial, try_mechanism

__all__ = ["Dose", "Mechanism", "Trial", "find_mechanism", "mechanism_names", "try_mechanism"]


def mechanism_names() -> list[str]:
    return names(importlib.import_module("mtlsim.mechanisms"), "MECHANISM")


def find_mechanism(name: str) -> Mechanism:
    """The `Mechanism` called `name`. Raises ValueError with the nearest name if there is none."""
    found = find(importlib.import_module("mtlsim.mechanisms"), name, "MECHANISM")
    require(isinstance(found, Mechanism), "mechanism", "a Mechanism", with_article(type(found).__name__), "make a Mechanism of it")
    return found
