"""Which statements speak of a given cell or of the cells of a grid, and why the others do not."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from mtlsim.core.compiler import QUICKLY, compile_with_nan
from mtlsim.core.extremes import smallest_of
from mtlsim.core.keys import check_key, stream
from mtlsim.core.words import counted, verb
from mtlsim.results.grid import Axis, Grid, as_leaves, at_point, make_grid
from mtlsim.theory import find_statement, statement_names
from mtlsim.theory.statement import Statement

N_KEYS = 4  # draws of the tasks on which assumptions are looked at
MOST_POINTS = 256  # cells of a grid that are looked at; of more, these lie evenly between its ends
MOST_PROGRAMS = 4  # of its static combinations


class Binding(NamedTuple):
    """Whether a statement applies to a cell; why: the claim where it does, else the first thing that keeps it from applying.

    Over a grid it applies where there is a cell that it applies to. share: of the cells that were looked at. where: what that means
    in words, with the ends of every axis within which it applies. is_of_kind: whether cells are of its kind, be its assumptions
    true or false.
    """

    statement: str
    applies: bool
    why: str
    share: float = 0.0
    where: str = ""
    is_of_kind: bool = True


def statements_for(
    cell: Any, key: Key[Array, ""] | None = None, names: Iterable[str] = (), grid: Mapping[str, Any] | None = None
) -> list[Binding]:
    """Every statement (or those of these names) bound to a cell such as `Transfer`: those that apply first.

    One applies where the cell is of its kind and all its assumptions hold on four draws of the tasks. Nothing is learned: it takes
    little longer than compiling the assumptions. key: of the draws, jax.random.key(0) if left out. grid: as for `mtlsim.sweep`;
    then a statement applies where it does so in some cell, and says in how many. Of more than 256 cells so many are looked at.

    >>> pair = mtl.LinearTasks(n_features=5, n_samples=(50, 20), cosine=0.9)
    >>> cell = mtl.Transfer(pair, sharing="pooled")
    >>> bound = mtl.statements_for(cell, names=["pooled-least-squares", "frozen-layer"])
    >>> [(one.statement, one.applies) for one in bound]
    [('pooled-least-squares', True), ('frozen-layer', False)]
    >>> mtl.statements_for(cell, names=["data-amplification"], grid={"tasks.cosine": [0.9, 1.0]})[0].where
    'in 1 of 2 cells: tasks.cosine = 1'
    """
    key = jax.random.key(0) if key is None else check_key(key)
    axes = make_grid(cell, grid or {})
    traced, static = _thinned(axes.traced, MOST_POINTS), _thinned(axes.static, MOST_PROGRAMS)
    seen = {name: _Seen(find_statement(name)) for name in (names or statement_names())}
    looked_at = Grid((*static, *traced))
    values, axis_names = looked_at.traced_values(), tuple(axis.name for axis in traced)
    for point in looked_at.static_points():
        fixed = at_point(cell, dict(zip([axis.name for axis in static], point, strict=True)))
        bound = []
        for one in seen.values():
            try:
                one.statement(fixed)
                bound.append(one.statement)
            except ValueError as error:
                one.refuse(str(error).split(";")[0], len(values))
        margins = _margins(bound, as_leaves(fixed), axis_names, values, key) if bound else {}
        for name, found in margins.items():
            seen[name].look(found, len(values))
    found = [one.conclude(looked_at, axes) for one in seen.values()]
    return sorted(found, key=lambda one: (-one.share, not one.is_of_kind))


def _thinned(axes: Sequence[Axis], most: int) -> tuple[Axis, ...]:
    """The axes with at most so many points in all, evenly between the ends of each; the longest is thinned first."""
    sizes = [len(axis.values) for axis in axes]
    while np.prod(sizes, dtype=float) > most:
        longest = int(np.argmax(sizes))
        sizes[longest] = max(1, sizes[longest] - max(1, sizes[longest] // 8))
    places = [
        np.unique(np.linspace(0, len(axis.values) - 1, size).round().astype(int)) for axis, size in zip(axes, sizes, strict=True)
    ]
    kept = [tuple(axis.values[i] for i in at) for axis, at in zip(axes, places, strict=True)]
    return tuple(Axis(axis.name, values, axis.static) for axis, values in zip(axes, kept, strict=True))


def _margins(statements: Sequence[Statement], cell: Any, names: tuple[str, ...], values: np.ndarray, key) -> dict[str, dict]:
    """{statement: {assumption: least margin over draws (points,)}} in one program; of a statement with an assumption that fails
    for every cell of this kind, that one alone."""

    sentences: dict[str, tuple[str, ...]] = {}

    def look(statement, moved, key):
        margins = dict(statement.assume(moved, key))
        never = [name for name, margin in margins.items() if isinstance(margin, (int, float)) and not margin > 0]
        sentences[statement.name] = tuple(never[:1] or margins)
        return [smallest_of(jnp.asarray(margins[name], float)) for name in sentences[statement.name]]

    def one(point):
        moved = at_point(cell, dict(zip(names, point, strict=True)), check=False)
        draws = jax.lax.map(lambda key: [look(statement, moved, key) for statement in statements], keys)
        return jax.tree.map(lambda margins: smallest_of(margins, 0), draws)

    keys = jnp.stack([stream(key, "binding", i) for i in range(N_KEYS)])
    found = compile_with_nan(lambda points: jax.lax.map(one, points), QUICKLY)(jnp.asarray(values, float))
    return {
        statement.name: dict(zip(sentences[statement.name], map(np.asarray, margins), strict=True))
        for statement, margins in zip(statements, found, strict=True)
    }


@dataclass
class _Seen:
    """What was seen of one statement over the static points of a grid."""

    statement: Statement
    holds: list[np.ndarray] = field(default_factory=list)
    margins: dict[str, list[np.ndarray]] = field(default_factory=dict)
    refused: str = ""

    def refuse(self, why: str, n_points: int) -> None:
        self.refused = self.refused or why
        self.holds.append(np.zeros(n_points, bool))

    def look(self, margins: dict[str, np.ndarray], n_points: int) -> None:
        for sentence, values in margins.items():
            self.margins.setdefault(sentence, []).append(values)
        self.holds.append(np.all([values > 0 for values in margins.values()], 0) if margins else np.ones(n_points, bool))

    def conclude(self, looked_at: Grid, axes: Grid) -> Binding:
        holds = np.concatenate(self.holds)
        of_kind = bool(self.margins) or bool(holds.any())
        if holds.any():
            where = _where(holds, looked_at, axes)
            return Binding(self.statement.name, True, self.statement.claim, float(holds.mean()), where)
        return Binding(self.statement.name, False, self._failing() if of_kind else self.refused, is_of_kind=of_kind)

    def _failing(self) -> str:
        """The assumption that fails in most of the cells."""
        margins = {sentence: np.concatenate(values) for sentence, values in self.margins.items()}
        sentence = max(margins, key=lambda name: np.mean(~(margins[name] > 0)))
        values = margins[sentence]
        if (values > 0).any():
            return f"it assumes {sentence} (which fails in {(~(values > 0)).sum()} of {counted(len(values), 'cell')})"
        best = np.nanmax(values) if np.isfinite(values).any() or not np.isnan(values).all() else np.nan
        return f"it assumes {sentence} (margin {'at most ' * (len(values) > 1)}{best:.3g})"


def _where(holds: np.ndarray, looked_at: Grid, axes: Grid) -> str:
    """In how many cells, and between which values of each axis that it does not fill."""
    if holds.size == 1:
        return ""
    n_all = len(axes.static_points()) * axes.n_points
    of = counted(holds.size, "cell") + (f" looked at, of {n_all}" if n_all > holds.size else "")
    if holds.all():
        return f"in all {of}"
    ordered = (*looked_at.static, *looked_at.traced)
    cube = holds.reshape([len(axis.values) for axis in ordered])
    parts = []
    for i, axis in enumerate(ordered):
        inside = np.flatnonzero(cube.any(tuple(j for j in range(cube.ndim) if j != i)))
        if len(inside) == len(axis.values):
            continue
        values = [axis.values[j] for j in inside]
        if any(isinstance(value, str) for value in values) or len(values) == 1:
            parts.append(f"{axis.name} = {' or '.join(map(_text, values))}")
        else:
            low, high = sorted(values)[:: len(values) - 1]
            between = sum(low <= value <= high for value in axis.values)
            gaps = "" if between == len(values) else f" (at {len(values)} of {between} values)"
            parts.append(f"{axis.name} from {_text(low)} to {_text(high)}{gaps}")
    within = f": {', '.join(parts)}" if parts else ""
    return f"in {holds.sum()} of {of}{within}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"


def as_text(bindings: list[Binding], reasons: bool = True) -> str:
    """One line a statement; those that do not apply are counted in one line where no reasons are wanted."""
    apply, other = ([one for one in bindings if one.applies is yes] for yes in (True, False))
    listed = bindings if reasons else apply
    width = max((len(one.statement) for one in listed), default=0)
    lines = []
    for one in listed:
        lines.append(f"{'applies ' if one.applies else 'does not'}  {one.statement:<{width}}  {one.why}")
        lines += [f"{'':10}{'':{width}}  {one.where}"] if one.where else []
    lines.append(f"{len(apply)} of {counted(len(bindings), 'statement')} {verb(len(apply), 'applies')}")
    kinds = [one.is_of_kind for one in other]
    if other and not reasons:
        speak, foreign = sum(kinds), len(kinds) - sum(kinds)
        lines.append(
            f"{speak} more on cells of this kind, whose assumptions fail; {foreign} on other kinds of cells (--all says why)"
        )
    return "\n".join(lines)
