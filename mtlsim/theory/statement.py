"""What a statement is: pure functions of (instance, key) that predict a number, measure the same number, and say when it should."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from mtlsim.core.checks import require, require_choice
from mtlsim.core.extremes import smallest_of
from mtlsim.core.words import counted, with_article
from mtlsim.tasks.linear import LinearTasks

Values = Mapping[str, Array]
INSIDE, EDGE, OUTSIDE = PLACES = ("inside", "edge", "outside")
TWINS = 0.9, 1.1  # of a prediction, which must be told from it, and of a threshold, on either side of which a sign must be decided

KINDS = {
    "equality": "the mean over draws of (measured - predicted) is zero",
    "limit": "the same up to a stated relative error that vanishes as the number of features grows",
    "identity": "measured equals predicted on every draw, up to rounding",
    "bound": "measured is at most predicted on every draw (or on the stated share of them)",
    "sign": "where the mean of measured has a decided sign, it is the predicted one",
}


@dataclass(frozen=True)
class Cells:
    """The cells a statement speaks of, beyond their type. Any other is refused where it is bound; `assume` is about its tasks.

    sharing (a name), n_tasks, rank: what they must be, None for any; "sources": as many as there are sources. same_rows: whether
    all tasks are labels on the same rows, None for both. weights, ridge, target: whether the cell may set them (target: to another
    task than the last).
    """

    sharing: str | None = None
    n_tasks: int | None = None
    rank: int | str | None = None
    same_rows: bool | None = None
    weights: bool = False
    ridge: bool = False
    target: bool = False

    def check(self, cell: Any) -> None:
        sharing, count = cell.sharing.name, cell.tasks.n_tasks
        family = type(cell.tasks).__name__
        require(isinstance(cell.tasks, LinearTasks), "cell", "made of LinearTasks", f"made of {family}", "bind another cell")
        require(self.sharing in (None, sharing), "cell", f"of sharing {self.sharing!r}", repr(sharing), "bind another cell")
        require(
            self.n_tasks in (None, count), "cell", f"of {counted(self.n_tasks or 0, 'task')}", f"of {count}", "drop or add tasks"
        )
        wanted = count - 1 if self.rank == "sources" else self.rank
        require(wanted is None or cell.rank == wanted, "cell", f"of rank {wanted}", f"of rank {cell.rank}", f"use rank={wanted}")
        same, ways = cell.tasks.shared_covariates, {True: "of labels on the same rows", False: "of rows of its own for each task"}
        cure = f"use shared_covariates={self.same_rows}"
        require(self.same_rows in (None, same), "cell", ways.get(self.same_rows, "any"), ways[same], cure)
        last = cell.target in (-1, count - 1)
        require(self.target or last, "cell", "measured on its last task", f"on task {cell.target}", "put the target last")
        for name in ("weights", "ridge"):
            value = getattr(cell, name)
            require(getattr(self, name) or value is None, "cell", f"without {name}", repr(value), f"leave {name} out")


@dataclass(frozen=True)
class Statement:
    """One statement about transfer.

    claim: one sentence. source: keys of `references.bib`, or "derived". kind: see `KINDS`.
    instance(place, rng): one random instance that satisfies all assumptions with room ("inside"), barely ("edge"), or violates
    one ("outside"); an equinox module whose numbers are leaves, of few static shapes, so that many share one compile.
    assume(instance, key): sentence -> margin, positive where the assumption holds.
    predict(instance, key), measure(instance, key): name -> number, the same names; key draws the tasks in both, so that the
    prediction is about the very tasks that are measured. All three are pure, and predict is differentiable in the instance.
    cells: for instances of type `Transfer`, which of them the statement is about; None: all.
    trust(instance): for a limit, the relative error that is allowed; for a bound, the share of draws on which it must hold.
    trivial(instance, key): for a bound, the value that needs no theorem; a bound mostly not below it is vacuous.
    threshold(factor, rng): for a sign, an instance at this multiple of the threshold at which it turns; those on its edge, for
    which `instance` is not asked then.
    resized(instance): for a limit, the same instance at another size, on which its error must be in the ratio of both trusts.
    predicts: names of the predicted numbers, for those that look for one of them, where a trace of predict would take long.
    expected: the verdict that the evidence supports ("refuted" where a published claim does not hold).

    Of a published source, in our words and apart, as they need not agree with each other or with the claim that is tested:
    says: what its text states. proves: what it proves, as far as it was read. inferred: what is ours, in the claim or its test.
    """

    name: str
    claim: str
    source: tuple[str, ...]
    kind: str
    instance: Callable[[str, np.random.Generator], Any]
    assume: Callable[[Any, Key[Array, ""]], Values]
    predict: Callable[[Any, Key[Array, ""]], Values]
    measure: Callable[[Any, Key[Array, ""]], Values]
    cells: Cells | None = None
    trust: Callable[[Any], float] | None = None
    trivial: Callable[[Any, Key[Array, ""]], Array] | None = None
    threshold: Callable[[float, np.random.Generator], Any] | None = None
    resized: Callable[[Any], Any] | None = None
    places: tuple[str, ...] = PLACES
    predicts: tuple[str, ...] = ()
    expected: str = "confirmed"
    says: str = ""
    proves: str = ""
    inferred: str = ""

    def __post_init__(self):
        require_choice(self.kind, KINDS, "kind")
        for place in self.places:
            require_choice(place, PLACES, "places")
        if self.threshold is not None:
            object.__setattr__(self, "instance", _with_twins(self.instance, self.threshold))

    def __call__(self, cell: Any) -> "Prediction":
        hints = get_type_hints(self.instance)
        cure = "write def instance(place, rng) -> Transfer:"
        require("return" in hints, "instance", "annotated with the cell that it returns", "without", cure)
        wanted = hints["return"]
        cure = f"see the instance in {self.instance.__module__}"
        must_be, found = with_article(wanted.__name__), with_article(type(cell).__name__)
        require(isinstance(cell, wanted), "cell", f"{must_be} for {self.name}", found, cure)
        if self.cells is not None:
            self.cells.check(cell)
        return Prediction(self, cell)


def _with_twins(instance: Callable, threshold: Callable) -> Callable:
    """The instances of a statement about a threshold: those on its edge are its twins."""

    @wraps(instance)
    def drawn(place: str, rng: np.random.Generator) -> Any:
        return threshold(float(rng.choice(TWINS)), rng) if place == EDGE else instance(place, rng)

    return drawn


def drawn_until(tells: Callable[[Any], Any], places: tuple[str, ...] = PLACES) -> Callable[[Callable], Callable]:
    """Of `instance(place, rng)`: in these places it draws anew until this is true, as where draws could not tell what is off."""

    def repeating(draw: Callable) -> Callable:
        @wraps(draw)
        def drawn(place: str, rng: np.random.Generator) -> Any:
            while True:
                one = draw(place, rng)
                if place not in places or tells(one):
                    return one

        return drawn

    return repeating


def quantities(statement: Statement, cell: Any) -> tuple[str, ...]:
    """The names of the numbers that a statement predicts of a cell."""
    found = statement.predicts or jax.eval_shape(lambda key: statement.predict(cell, key), jax.random.key(0))
    return tuple(found)


@dataclass(frozen=True)
class Prediction:
    """A statement bound to a cell: `prediction(key=...)` gives the predicted numbers and `margin`, positive where it applies."""

    statement: Statement
    cell: Any

    def __call__(self, *, key: Key[Array, ""]) -> dict[str, Array]:
        margins = jnp.stack([jnp.asarray(m, float) for m in self.statement.assume(self.cell, key).values()] or [jnp.inf])
        return {**self.statement.predict(self.cell, key), "margin": smallest_of(margins)}


def measured(*names: str) -> Callable[[Any, Key[Array, ""]], Values]:
    """What `Statement.measure` is where the cell's own draw says these numbers: gain, risk_single, risk_multi."""

    def measure(cell: Any, key: Key[Array, ""]) -> Values:
        draw = cell(key=key)
        return {name: draw[name] if isinstance(draw, dict) else getattr(draw, name) for name in names}

    return measure


measure_transfer = measured  # its name in files that were written before


def gaussian_rows(cell: Any) -> float:
    """Margin of the assumption that rows are Gaussian and drawn for each task apart."""
    return 1.0 if cell.tasks.rows == "gaussian" and not cell.tasks.shared_covariates else -1.0


def tasks_of(cell: Any, key: Key[Array, ""]):
    """The concrete tasks that `cell(key=key)` draws."""
    return cell.tasks.draw(key=key)


def half_as_large(cell: Any) -> Any:
    """The same tasks with half as many features and rows (rounded up), and half of what is set on the scale of X'X."""
    tasks = cell.tasks
    n_samples = tuple(int(np.ceil(float(n) / 2)) for n in tasks.n_samples)
    halved = {"tasks": replace(tasks, n_features=tasks.n_features // 2, n_samples=n_samples)}
    halved |= _half_of(cell)
    if hasattr(cell, "sharing"):
        halved["sharing"] = replace(cell.sharing, **_half_of(cell.sharing))
    return replace(cell, **halved)


def _half_of(holder: Any) -> dict[str, Any]:
    """Half of the fields that are on the scale of X'X."""
    found = {name: getattr(holder, name, None) for name in ("ridge", "strength", "decay")}
    return {name: jax.tree.map(lambda number: number / 2, value) for name, value in found.items() if value is not None}
