"""Theory: every published or derived statement about transfer is one object that predicts, is drawn, and can be proved wrong.

`theory.NAME` is the statement of `theory/statements/NAME.py`; `theory.NAME(cell)` binds it to a cell, ready for an overlay.
"""

import importlib

from mtlsim.core.checks import require
from mtlsim.core.registry import find, names


def statement_names() -> list[str]:
    return names(importlib.import_module("mtlsim.theory.statements"), "STATEMENT")


def find_statement(name: str):
    """The `Statement` called `name`. Raises ValueError with the nearest name if there is none."""
    found = find(importlib.import_module("mtlsim.theory.statements"), name, "STATEMENT")
    kind = importlib.import_module("mtlsim.theory.statement").Statement
    require(isinstance(found, kind), "statement", "a Statement", f"a {type(found).__name__}", "make a Statement of it")
    return found


def __getattr__(name: str):
    if name == "statements" or name.startswith("_") or name.replace("_", "-") not in statement_names():
        raise AttributeError(f"module 'mtlsim.theory' has no attribute {name!r}")
    return find_statement(name)


def __dir__() -> list[str]:
    return ["find_statement", "statement_names", *(name.replace("-", "_") for name in statement_names())]
