"""Why sharing is said to help: each mechanism is one file, an experiment with a mediator and controls, judged by clauses."""

import importlib

from mtlsim.core.checks import require
from mtlsim.core.registry import find, names
from mtlsim.mechanisms._mechanism import Dose, Mechanism
from mtlsim.mechanisms._tried import Trial, try_mechanism

__all__ = ["Dose", "Mechanism", "Trial", "find_mechanism", "mechanism_names", "try_mechanism"]


def mechanism_names() -> list[str]:
    return names(importlib.import_module("mtlsim.mechanisms"), "MECHANISM")


def find_mechanism(name: str) -> Mechanism:
    """The `Mechanism` called `name`. Raises ValueError with the nearest name if there is none."""
    found = find(importlib.import_module("mtlsim.mechanisms"), name, "MECHANISM")
    require(isinstance(found, Mechanism), "mechanism", "a Mechanism", f"a {type(found).__name__}", "make a Mechanism of it")
    return found
