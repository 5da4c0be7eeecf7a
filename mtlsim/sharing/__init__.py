"""What is shared: one file per architecture, all behind the protocol of `mtlsim.sharing._sharing`.

`Transfer(tasks, sharing=...)` takes an architecture or its name, and so does `fit`, for data:

```python
import numpy as np

import mtlsim as mtl
from mtlsim.sharing.cross_stitch import CrossStitch
from mtlsim.sharing.multilinear import MultilinearRelationship

rng = np.random.default_rng(0)
X1, X2 = rng.normal(size=(30, 5)), rng.normal(size=(12, 5))
pairs = [(X1, X1 @ np.ones(5) + rng.normal(size=30)), (X2, X2 @ np.ones(5) + rng.normal(size=12))]
found = mtl.fit(pairs, CrossStitch(own=0.9, learned=False, decay=1.0))  # exact, with a certificate
print(found, found.parameters, found.predict(X2, task=1))
mtl.fit(pairs, MultilinearRelationship([[1, 0.8], [0.8, 1]], decay=1.0)).save("fit.npz")
mtl.fit(pairs, CrossStitch(), rank=2, activation="relu")                # units that bend are trained on rows
```

`hard`, `soft-parameters`, `trace-norm-layers`, `multilinear-heads`, `cross-stitch`, `sluice` and `attention` have a `depth`, experts have `levels`, `branched` a row of groups for each layer.
Linear layers that follow each other have the optimum of one; what is trained and not solved is compared by `TrainingCurve(tasks, sharing=...)`.

It minimises the sum over tasks of squared losses, summed over rows, plus the penalty that the architecture declares. Every task
may have rows of its own; pairs, `Moments` and `Rows` are the same to it.

| `sharing` | In a linear model of depth one it is |
|---|---|
| `hard` | a layer of the given rank with free heads: exact for two tasks of rank one, for shared rows, and from as many columns as tasks |
| `pooled` | one parameter vector |
| `frozen`, `from-source` | the sources' layer under a head of the target; a ridge around the source's own estimate |
| `soft`, `mean-regularised` | one ridge regression: a pull between all pairs, or to the mean of all |
| `soft-parameters` | a pull between the layers, which does nothing unless the heads decay, and then is a penalty on angles; trained |
| `cross-stitch`, `sluice`, `gated-experts` with their mixing held | one ridge regression in the task covariance of the mixing |
| `cross-stitch`, `sluice` learned | every task alone: what they gain, they gain by stopping early (`fit(..., training=WeightedTraining(...))`) |
| `attention`, `mixture-of-experts` (MMoE, CGC, PLE) | no linear function of x: their masks and gates look at it, and are trained on rows |
| `covariance-alignment` | a penalty on the angle between every task's parameters and the shared layer, whatever the covariances; trained |
| `modular` | residual blocks in an order (`words = "01 10"`), or a mixture, of each task's own; trained |
| `normalised` | any of those with hidden units, which are normalised row by row (layer-norm, ada-norm, ...): `{name = "normalised", of = "hard", gain = "own"}` |
| `branched` | hard sharing inside groups of tasks; `mtlsim.solvers.partitions` lists and chooses them, `mtl.fit_adaptive` grows them layer by layer |
| `trace-norm`, `adapters` | convex, with a proven gap: few common directions; a common base that tasks share exactly or leave |
| `trace-norm-layers`, `multilinear-heads` | the same for networks: norms of stacked layers; heads with a task covariance on decayed shared layers, a trace norm in its metric; trained |
| `multilinear` | one ridge regression in the task covariance that is given; learned, a threshold on the modes of all tasks |

How related two tasks must be before a mixing that is not learned yet helps is known: of cross-stitch units (.9 / .1) a
correlation of .11, of half-averaged sluice columns .17 to .19, of experts at gate .5 .27 to .31, at gate .8 .58 to .88 (`mtlsim
verify critical-task-correlation`, `mtlsim figure critical-correlation`). Why is known too, and verified on random instances:
columns with a held mixing are one ridge regression in the metric of a task covariance (`kronecker-ridge`), whose risk is known
with many features (`held-mixing`), and steps on them are steps in that metric (`flow-in-metric`); as many columns as tasks
without a decay learn each task alone (`free-columns`); adapters pool exactly from a known decay on (`adapters-pool`), and follow
a law of their rank on a frozen base (`sequential-adapter`); a learned task covariance keeps or drops whole modes
(`multilinear-threshold`). `mtlsim figure sharing-map` draws which architecture is best where. In a TOML file: `sharing =
"pooled"` in `[cell]`, or a table `[cell.sharing]` with `name = "soft"` and its fields. Architectures are an axis of a grid, `{"sharing":
["hard", CrossStitch(own=0.8)]}`, in a TOML file `sharing = ["hard", {name = "cross-stitch", own = 0.8}]`; results, pictures and pages
call them by what is not by default, "cross-stitch(own=0.8)", words that stand for them wherever a name does (`--only
"sharing=cross-stitch(own=0.8)"`). Fields of one are an axis of numbers too, `{"sharing.strength": [1, 10]}`.
"""  # noqa: E501

import ast
import dataclasses
import sys
from collections.abc import Mapping
from typing import Any

from mtlsim.core.checks import nearest, require
from mtlsim.core.registry import find, names
from mtlsim.sharing._sharing import Answer as Answer
from mtlsim.sharing._sharing import Problem as Problem
from mtlsim.sharing._sharing import Sharing as Sharing
from mtlsim.sharing._sharing import plain


def sharing_names() -> list[str]:
    return names(sys.modules[__name__], "SHARING")


def find_sharing(name: str) -> type[Sharing]:
    """The architecture called `name`, to be made with hyperparameters of its own or those of its paper."""
    found = find(sys.modules[__name__], name, "SHARING")
    right = isinstance(found, type) and issubclass(found, Sharing)
    require(right, "sharing", "a class made of mtlsim.sharing.Sharing", repr(found), "see `mtlsim new sharing NAME`")
    return found


def describe_sharing(name: str) -> str:
    """The first line of its file."""
    return str(sys.modules[find_sharing(name).__module__].__doc__).splitlines()[0]


def conformance(name: str) -> tuple[tuple, tuple]:
    """(reductions, examples worked by hand) that stand in the architecture's file."""
    package = sys.modules[__name__]
    return find(package, name, "REDUCTIONS"), find(package, name, "EXAMPLES")


def as_sharing(value: Any) -> Any:
    """An architecture as it is, or the one of that name with the hyperparameters of its file, of a table {name, ...} or of words
    such as "soft(strength=2.0)"."""
    if isinstance(value, str):
        value = _read(value)
    if not isinstance(value, Mapping):
        return value
    fields = dict(value)
    require("name" in fields, "sharing", "a table with a name", fields, "write name = 'soft' in it")
    kind = find_sharing(fields.pop("name"))
    for name in fields:
        known = [field.name for field in dataclasses.fields(kind)]
        require(name in known, "sharing", f"made of fields of {kind.__name__}", repr(name), nearest(name, known))
    return kind(**fields)


def _read(text: str) -> dict[str, Any]:
    """{name, ...} of a name, or of a name with its fields in brackets, which are plain Python values."""
    name, bracket, fields = text.partition("(")
    if not bracket:
        return {"name": name}
    try:
        call = ast.parse(f"fields({fields}", mode="eval").body
        found = {one.arg: ast.literal_eval(one.value) for one in call.keywords}
        plain = isinstance(call, ast.Call) and not call.args and isinstance(call.func, ast.Name) and None not in found
    except (SyntaxError, ValueError, AttributeError, TypeError):
        plain, found = False, {}
    cure = 'write "soft(strength=2.0)", or a table {name = "soft", strength = 2.0}'
    require(plain, "sharing", "a name, or one with its fields in brackets", repr(text), cure)
    return {"name": name.strip(), **found}


def as_table(sharing: Sharing) -> dict[str, Any]:
    """{name, ...} of plain values, from which `as_sharing` makes it again."""

    return {"name": sharing.name} | {name: plain(value) for name, value in vars(sharing).items()}
