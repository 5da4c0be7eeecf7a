"""Theory: every published or derived statement about transfer is one object that predicts, is drawn, and can be proved wrong.

`theory.NAME` is the statement of `theory/statements/NAME.py`; `theory.NAME(cell)` binds it to a cell, ready for an overlay.

A statement about transfer is one file in `mtlsim/theory/statements/`: what it assumes, what it predicts, how the same number is
measured, and where it comes from. From that file come its overlay, its verdict and its reference.

```python
import jax

import mtlsim as mtl
from mtlsim import plots, theory

cell = mtl.Transfer(mtl.LinearTasks(n_features=40, n_samples=(1000, 200), cosine=0.8, noise=1.5))
ds = mtl.sweep(cell, {"tasks.n_samples[0]": [20, 100, 500, 2500], "tasks.noise": [0.5, 1.0, 2.0]}, 50, jax.random.key(0))
figure = plots.transfer_map(ds)
plots.overlay(figure, theory.free_heads(cell))  # dashed: predicted boundary; dotted: where its assumptions fail
figure.savefig("map.png")

found = mtl.find_boundary(theory.free_heads(cell), "tasks.n_samples[0]", (20, 2500), "tasks.noise", (0.5, 2.0))
print(found.branches)  # curves (x, y) on which the predicted gain is zero; from `cell` itself: sampled, with intervals
```
"""

import importlib

from mtlsim.core.checks import require
from mtlsim.core.registry import find, names
from mtlsim.core.words import with_article


def statement_names() -> list[str]:
    return names(importlib.import_module("mtlsim.theory.statements"), "STATEMENT")


def find_statement(name: str):
    """The `Statement` called `name`. Raises ValueError with the nearest name if there is none."""
    found = find(importlib.import_module("mtlsim.theory.statements"), name, "STATEMENT")
    kind = importlib.import_module("mtlsim.theory.statement").Statement
    require(isinstance(found, kind), "statement", "a Statement", with_article(type(found).__name__), "make a Statement of it")
    return found


def __getattr__(name: str):
    if name == "statements" or name.startswith("_") or name.replace("_", "-") not in statement_names():
        raise AttributeError(f"module 'mtlsim.theory' has no attribute {name!r}")
    return find_statement(name)


def __dir__() -> list[str]:
    return ["find_statement", "statement_names", *(name.replace("-", "_") for name in statement_names())]
