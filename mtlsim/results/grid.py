"""Axes of a sweep: dotted names of a cell's parameters, the values they take, and the cell at one point."""

import dataclasses
import itertools
import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from numbers import Number
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mtlsim.core.checks import is_number_to_be, nearest, require
from mtlsim.core.words import with_article

FEW = 400  # numbers of an array, which are then axes one by one
UNITS = {
    "noise": "standard deviation of the label noise",
    "n_samples": "rows",
    "alignment": "covariance similarity, 1 = same",
    "cosine": "cosine of the parameters",
    "angle": "degrees",
    "rank": "columns of the shared layer",
    "n_features": "features",
    "condition_number": "largest over smallest eigenvalue",
}


@dataclass(frozen=True)
class Axis:
    """One swept parameter: its dotted name, its values, and whether it is static (a compile of its own per value)."""

    name: str
    values: tuple
    static: bool

    @property
    def unit(self) -> str:
        return UNITS.get(re.sub(r"\[\d+\]$", "", self.name).rsplit(".", 1)[-1], "")


@dataclass(frozen=True)
class Grid:
    """All axes in the user's order. Points are numbered in C order over the traced axes, within each static combination."""

    axes: tuple[Axis, ...]

    @property
    def static(self) -> tuple[Axis, ...]:
        return tuple(axis for axis in self.axes if axis.static)

    @property
    def traced(self) -> tuple[Axis, ...]:
        return tuple(axis for axis in self.axes if not axis.static)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of traced values per axis."""
        return tuple(len(axis.values) for axis in self.traced)

    @property
    def n_points(self) -> int:
        return int(np.prod(self.shape, dtype=int))

    def static_points(self) -> list[tuple]:
        return list(itertools.product(*(axis.values for axis in self.static)))

    def traced_values(self) -> np.ndarray:
        """Values of shape (n_points, number of traced axes)."""
        mesh = np.meshgrid(*(np.asarray(axis.values, float) for axis in self.traced), indexing="ij")
        return np.stack([values.ravel() for values in mesh], 1) if mesh else np.zeros((1, 0))


def parse(name: str) -> list[str | int]:
    """'tasks.n_samples[0]' -> ['tasks', 'n_samples', 0]."""
    steps: list[str | int] = []
    for part in name.split("."):
        match = re.fullmatch(r"(\w+)((?:\[\d+\])*)", part)
        require(match is not None, "grid", "dotted names like 'tasks.n_samples[0]'", repr(name), "see the names in the cell's repr")
        steps += [match[1], *(int(i) for i in re.findall(r"\[(\d+)\]", match[2]))]
    return steps


def parameters(node: Any, prefix: str = "") -> Iterator[tuple[str, bool]]:
    """Every name that can be swept, and whether it is static."""
    for field in dataclasses.fields(node):
        value, name = getattr(node, field.name), prefix + field.name
        if value is None:
            continue
        if field.metadata.get("static", False):
            yield name, True
        elif dataclasses.is_dataclass(value):
            if "converter" in field.metadata:  # what can be given by its name can be swept over names
                yield name, True
            yield from parameters(value, name + ".")
        elif isinstance(value, tuple):
            if not any(dataclasses.is_dataclass(entry) for entry in value):
                yield name, False
            for i, entry in enumerate(value):
                if dataclasses.is_dataclass(entry):
                    yield from parameters(entry, f"{name}[{i}].")
                else:
                    yield f"{name}[{i}]", False
        elif isinstance(value, Number) or np.ndim(value) == 0:
            yield name, False
        elif np.size(value) <= FEW:
            yield from ((name + "".join(f"[{i}]" for i in place), False) for place in np.ndindex(*np.shape(value)))
    for word, (field, _) in other_words(node).items():
        yield prefix + word, False
        yield from ((f"{prefix}{word}[{i}]", False) for i in range(len(getattr(node, field))))


def check_fields(cell: Any) -> None:
    """What is swept is an object whose fields are its parameters. Raises ValueError for anything else."""
    name = cell.__name__ if isinstance(cell, type) else type(cell).__name__
    require(not isinstance(cell, type), "cell", "an object", f"the class {name}", f"write {name}(...)")
    kind, cure = "None" if cell is None else with_article(name), "write a class of equinox.Module, as `mtlsim new cell NAME` does"
    require(dataclasses.is_dataclass(cell), "cell", "an object whose fields are its parameters", kind, cure)
    for place, leaf in jax.tree_util.tree_leaves_with_path(cell):
        name, cure = f"cell{jax.tree_util.keystr(place)}", "declare what is no number by equinox.field(static=True)"
        require(is_number_to_be(leaf), name, "a number", reprlib.repr(leaf), cure)


def other_words(node: Any) -> Mapping[str, tuple[str, Any]]:
    """{word: (field, what makes the field's value of it)}, of a class whose fields can be given in other words too."""
    return getattr(type(node), "OTHER_WORDS", {})


def make_grid(cell: Any, grid: Mapping[str, Any], check: bool = True) -> Grid:
    """Check the names and (with check) the values of a sweep against the cell, and order them into axes.

    Raises ValueError for an unknown name (with the nearest one), an empty axis, repeated values, and values that the cell
    itself refuses, alone or at the corners of the grid.
    """
    check_fields(cell)
    require(isinstance(grid, Mapping), "grid", "names with their values", reprlib.repr(grid), 'write {"tasks.noise": [0.5, 1.0]}')
    known = dict(parameters(cell))
    axes = []
    for name, values in grid.items():
        require(name in known, "grid", "made of the cell's parameters", repr(name), nearest(str(name), known))
        several = isinstance(values, Iterable) and not isinstance(values, (str, bytes, Mapping)) and getattr(values, "ndim", 1) > 0
        require(several, f"grid[{name!r}]", "a sequence of values", repr(values), f"write [{values!r}]")
        shape = getattr(values, "shape", (1,))
        require(len(shape) == 1, f"grid[{name!r}]", "a sequence of values", f"of shape {shape}", "pass its values in one row")
        values = tuple(_as_words(value, cell, name) for value in values)
        plain = not any(isinstance(value, (list, tuple, Mapping)) or np.ndim(value) > 0 for value in values)
        require(plain, f"grid[{name!r}]", "made of numbers or names", list(values), "sweep each entry as an axis of its own")
        values = tuple(np.asarray(values).tolist()) if np.asarray(values).dtype.kind in "iuf" else values
        require(len(values) > 0, f"grid[{name!r}]", "a sequence of values", "empty", "give at least one")
        require(
            len(set(values)) == len(values), f"grid[{name!r}]", "made of different values", list(values), "drop the repeated ones"
        )
        axes.append(Axis(name, values, known[name]))
    places = {axis.name: _place(cell, axis.name) for axis in axes}
    for name, other in itertools.permutations(places, 2):
        same = places[other][: len(places[name])] == places[name]
        require(not same, "grid", "made of different parameters", f"of {name!r} and {other!r}, which set one", "drop one of them")
    result = Grid(tuple(axes))
    if check:
        _check_values(cell, result)
    return result


def _as_words(value: Any, cell: Any, name: str) -> Any:
    """A table or a thing, of a field that makes things of tables, as the words (`text`) from which that makes it too."""
    *steps, last = parse(name)
    if isinstance(value, (str, Number)) or not isinstance(last, str):
        return value
    node = cell
    for step in steps:
        node = node[step] if isinstance(step, int) else getattr(node, step, None)
    fields = getattr(type(node), "__dataclass_fields__", {})
    made_by = fields[last].metadata.get("converter") if last in fields else None
    return value if made_by is None else getattr(made_by(value), "text", value)


def _place(cell: Any, name: str) -> list[str | int]:
    """The steps to what a name sets, in the words of the fields."""
    steps, node = [], cell
    for step in parse(name):
        known = other_words(node) if isinstance(step, str) else {}
        step = known[step][0] if step in known else step
        steps.append(step)
        node = node[step] if isinstance(step, int) else getattr(node, step)
    return steps


def _check_values(cell: Any, grid: Grid) -> None:
    """Build the cell at every value of each axis with the others at their first, and at the corners of the grid."""
    first = {axis.name: axis.values[0] for axis in grid.axes}
    points = [{**first, axis.name: value} for axis in grid.axes for value in axis.values]
    corners = itertools.product(*({axis.values[0], axis.values[-1]} for axis in grid.axes))
    points += [dict(zip(first, corner, strict=True)) for corner in itertools.islice(corners, 64)]
    for point in points:
        at_point(cell, point)


def as_leaves(cell: Any) -> Any:
    """The cell with its numbers as arrays of the default float, so that no value is compiled in."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, float), cell)


def at_point(cell: Any, point: Mapping[str, Any], check: bool = True) -> Any:
    """The cell with the given parameters replaced; all are in place before its own checks run."""
    for name, value in point.items():
        cell = _replace_unchecked(cell, parse(name), value)
    return _checked(cell) if check else cell


def _replace_unchecked(node: Any, steps: list[str | int], value: Any) -> Any:
    if not steps:
        return (value,) * len(node) if isinstance(node, tuple) and not isinstance(value, (tuple, str)) else value
    head, *rest = steps
    if head in other_words(node):
        head, made_of = other_words(node)[head]
        value = made_of(value)
    if isinstance(head, int) and not isinstance(node, tuple):
        return jnp.asarray(node).at[tuple(steps)].set(value)
    if isinstance(head, int):
        return tuple(_replace_unchecked(entry, rest, value) if i == head else entry for i, entry in enumerate(node))
    copy = object.__new__(type(node))
    for field in dataclasses.fields(node):
        old = getattr(node, field.name)
        object.__setattr__(copy, field.name, _replace_unchecked(old, rest, value) if field.name == head else old)
    return copy


def _checked(node: Any) -> Any:
    """Rebuild a nested dataclass from the inside out, so that every object's own checks run."""
    if isinstance(node, tuple) and any(dataclasses.is_dataclass(entry) for entry in node):
        return tuple(_checked(entry) for entry in node)
    if not dataclasses.is_dataclass(node):
        return node
    return dataclasses.replace(node, **{f.name: _checked(getattr(node, f.name)) for f in dataclasses.fields(node)})


def with_room(cell: Any, grid: Grid) -> Any:
    """The cell with room for the largest samples of the grid, where it keeps rows (`ReluTasks.capacity`, `TrainingCurve`), or as
    its own `with_room({name: largest value})` says."""
    if hasattr(cell, "with_room"):
        return cell.with_room({axis.name: max(axis.values) for axis in grid.traced})
    sizes = [int(value) for axis in grid.axes if ".n_samples" in axis.name for value in axis.values]
    if getattr(cell, "has_room", False):
        given = [cell.capacity] if cell.capacity is not None else [int(size) for size in cell.tasks.n_samples]
        return dataclasses.replace(cell, capacity=max([*given, *sizes]))
    if not hasattr(getattr(cell, "tasks", None), "capacity"):
        return cell
    capacity = max([cell.tasks.capacity, *sizes])
    return dataclasses.replace(cell, tasks=dataclasses.replace(cell.tasks, capacity=capacity))
