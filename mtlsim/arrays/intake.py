"""Tasks as people have them, (X, y) each, made ready for learning: checked, matched by column, freed of copies, in range."""

from typing import Any, NamedTuple

import numpy as np

from mtlsim.core.checks import require, require_choice, require_finite, require_finite_rows
from mtlsim.core.containers import column_names, column_order, numbers_of, require_one_label, require_same_rows
from mtlsim.core.labels import class_codes, on_codes
from mtlsim.core.words import counted, verb
from mtlsim.samples.data import Data

DUPLICATES = ("auto", "drop", "keep")
COARSE = 0.05  # share of the target's rows with a twin in the target, above which equal rows are chance and no copies
DISTINCT = 0.9  # share of distinct values in a column that tells rows apart
FITS = 498  # powers of two, about 1e150, between which squares of labels fit in float64 with room for sums


class Task(NamedTuple):
    """X (m, d) and y (m,) in float64, how precise they came, names of the columns (or None)."""

    X: np.ndarray
    y: np.ndarray
    dtype: np.dtype
    names: tuple | None


class Ranged(NamedTuple):
    """Tasks moved and scaled as `Ready` says; exponents of the powers of two that each task's labels and each column were divided
    by; how many columns are constant up to rounding.
    """

    tasks: list[tuple[np.ndarray, np.ndarray]]
    exponents: tuple[int, ...]
    columns: np.ndarray
    constant: int


class Ready(NamedTuple):
    """Tasks (X, y), the target last, in the wanted precision; a target's label less `offset` is `unit` times what stands here.

    Every task's features and labels are moved by its own first row and scaled by powers of two, features of all tasks alike, so
    that squares stay in range in any precision; learning that centres and standardises does not see it. notes: what a reader must
    know, in sentences.
    """

    tasks: list[tuple[np.ndarray, np.ndarray]]
    unit: float
    notes: tuple[str, ...]


def sources_of(source: Any) -> list:
    """One task, or several in a list, as a list of tasks."""
    several = isinstance(source, (list, tuple)) and all(isinstance(part, (tuple, Data)) or _is_pair(part) for part in source)
    if not several:
        return [source]
    require(len(source) > 0, "source", "a pair (X, y) or a list of them", "empty", "give at least one source")
    return list(source)


def _is_pair(part: Any) -> bool:
    """Whether a list is [X, y] and no row of numbers."""
    return isinstance(part, list) and len(part) == 2 and getattr(part[0], "ndim", 0) == 2


def make_ready(sources: list, target: Any, dtype: Any, duplicates: str) -> Ready:
    """Check the sources and the target and bring them into one form. Raises ValueError in one sentence; see `Ready`."""
    require_choice(duplicates, DUPLICATES, "duplicates")
    names = ["source"] if len(sources) == 1 else [f"source[{i}]" for i in range(len(sources))]
    others, goal = [check_task(task, name, 2) for task, name in zip(sources, names, strict=True)], check_task(target, "target", 3)
    found, notes = [], on_repeats(goal, "target")
    for name, given, own in zip(names, sources, others, strict=True):
        width, wanted = own.X.shape[1], goal.X.shape[1]
        require(width == wanted, name, f"of {wanted} features like target", f"of {width}", "give both the same columns")
        order = column_order(parts_of(given, name)[0], parts_of(target, "target")[0], f"{name}'s X", "target's X")
        if order is not None:
            own = own._replace(X=own.X[:, order])
            notes.append(f"{name}: columns were matched to those of target by name")
        elif (own.names is None) != (goal.names is None):
            notes.append(
                f"{name}: columns were matched by position, since {'target' if own.names is None else name} alone has names"
            )
        own, more = _without_copies(own, goal, name, duplicates)
        found, notes = [*found, own], notes + more
    for name, task in zip([*names, "target"], [*found, goal], strict=True):
        if codes := class_codes(task.y):
            notes.append(on_codes(codes, f"{name}'s y"))
    ranged = in_range([*found, goal], dtype)
    last = ranged.exponents[-1]
    spread = f"of labels that spread over about 1e{round(last * np.log10(2))}"
    cure = "divide it by numpy.abs(y).max()"
    require(abs(last) < FITS, "target's y", f"of labels whose squares {np.dtype(float)} can hold", spread, cure)
    if ranged.constant:
        notes.append(
            f"{ranged.constant} of {counted(goal.X.shape[1], 'column')} {verb(ranged.constant, 'is')} "
            f"constant up to rounding in every task and {verb(ranged.constant, 'has')} no effect"
        )
    return Ready(ranged.tasks, 2.0**last, tuple(notes))


def parts_of(task: Any, name: str) -> tuple[Any, Any]:
    """X and y as they are."""
    if isinstance(task, Data):
        return task.X, task.y
    several = isinstance(task, (tuple, list))
    found = f"{len(task)} things" if several else f"of type {type(task).__name__}"
    require(several and len(task) == 2, name, "a pair (X, y)", found, "pass (X, y)")
    return task[0], task[1]


def check_task(task: Any, name: str, least: int) -> Task:
    """One task as numbers, of at least so many rows."""
    given_X, given_y = parts_of(task, name)
    require_same_rows(given_X, given_y, f"{name}'s X", f"{name}'s y")
    X, y = np.asarray(numbers_of(given_X, f"{name}'s X")), np.asarray(numbers_of(given_y, f"{name}'s y", labels=True))
    require(X.ndim == 2, f"{name}'s X", "of shape (m, d)", f"of shape {X.shape}", "pass one row per sample")
    require_one_label(y, f"{name}'s y")
    require(len(X) == len(y), f"{name}'s y", f"as long as X, {len(X)} rows", f"of length {len(y)}", "drop the rows without a label")
    require(len(X) >= least, f"{name}'s X", f"at least {least} rows", f"{len(X)}", "load more rows")
    require(X.shape[1] > 0, f"{name}'s X", "at least one column", f"of shape {X.shape}", "load some features")
    precision = np.result_type(*(part.dtype if part.dtype.kind == "f" else np.float16 for part in (X, y)))
    with np.errstate(over="ignore"):
        X, y = X.astype(float), y.astype(float)
    _require_finite_cells(X, f"{name}'s X", column_names(given_X))
    require_finite(y, f"{name}'s y")
    require(bool((X[0] != X).any()), f"{name}'s X", "of rows that differ", "the same row over and over", "load the features")
    require(bool((y != y[0]).any()), f"{name}'s y", "of labels that differ", f"{y[0]:g} in every row", "choose another task")
    return Task(X, y, precision, column_names(given_X))


def _require_finite_cells(X: np.ndarray, argument: str, names: tuple | None) -> None:
    """Refuse NaN and infinity; of columns with names, say where the first stands."""
    bad = ~np.isfinite(X)
    if names is None or not bad.any():
        return require_finite(X, argument)
    row, column = (int(place) for place in np.argwhere(bad)[0])
    return require_finite_rows(int(bad.any(1).sum()), len(X), argument, f" (the first in row {row}, column {names[column]!r})")


def on_repeats(goal: Task, name: str) -> list[str]:
    """What to say about rows that come again."""
    if not (repeats := _repeats(goal)):
        return []
    share = f"{100 * repeats:.3g} % of its rows repeat another one, label included"
    return [f"{name}: {share}: if they are copies, some train and others test, and errors and intervals are too small"]


def _repeats(task: Task) -> float:
    return 1 - len(np.unique(hashes(task.X, task.y, float))) / len(task.y)


def is_coarse(own: Task, goal: Task) -> bool:
    """Whether equal rows may be chance: no column of the target tells its rows apart, and rows repeat within a task."""
    distinct = max(len(np.unique(column)) for column in [*goal.X.T, goal.y])
    return distinct < DISTINCT * len(goal.y) and max(_repeats(own), _repeats(goal)) > COARSE


def _without_copies(own: Task, goal: Task, name: str, duplicates: str) -> tuple[Task, list[str]]:
    """A source without its rows that are rows of the target, features and label alike, and what to say.

    Such a row shows the label that the target is tested on. Where rows repeat by chance, as those of few distinct values do, equal
    rows tell nothing and stay, unless the caller says otherwise.
    """
    single = any(np.finfo(task.dtype).bits == 32 for task in (own, goal))  # a copy may have been stored with fewer digits
    precision = np.float32 if single else np.float64
    mine, theirs = (hashes(task.X, task.y, precision) for task in (own, goal))
    unlabelled, known = (hashes(task.X, 0 * task.y, precision) for task in (own, goal))
    same = np.isin(mine, theirs)
    relabelled, n, notes = int((np.isin(unlabelled, known) & ~same).sum()), len(same), []
    if not same.any() and not relabelled:
        return own, notes
    coarse, equal = is_coarse(own, goal), int(same.sum())
    if equal and (duplicates == "drop" or (duplicates == "auto" and not coarse)):
        whole = "the same rows and labels" if equal == n else f"rows of target in {equal} of {counted(n, 'row')}"
        cure = "keep the target's test rows out of it, or pass duplicates='keep'"
        left = own._replace(X=own.X[~same], y=own.y[~same])
        varied = len(left.y) >= 2 and bool((left.X[0] != left.X).any() and (left.y != left.y[0]).any())
        require(varied, name, "made of other rows than target", whole, cure)
        notes.append(
            f"{name}: {equal} of {counted(n, 'row')} {verb(equal, 'is')} "
            f"in target too, features and label alike, and {verb(equal, 'was')} left out"
        )
        own = left
    elif equal:
        why = "as rows of few distinct values can be by chance" if coarse else "as asked"
        notes.append(
            f"{name}: {equal} of {counted(n, 'row')} {verb(equal, 'is')} "
            f"in target too, label included, and {verb(equal, 'was')} kept, {why}"
        )
    if relabelled and not coarse:
        notes.append(
            f"{name}: {relabelled} of {counted(n, 'row')} {verb(relabelled, 'is')} "
            f"in target too with another label: what both labels share by chance counts "
            "as help, and the verdict holds for rows that carry the source's label too"
        )
    return own, notes


def hashes(X: np.ndarray, y: np.ndarray, precision: Any) -> np.ndarray:
    """One number per row and label, the same for the same values."""
    with np.errstate(over="ignore", under="ignore"):
        rows = np.ascontiguousarray(np.column_stack([X, y]).astype(precision) + 0.0)  # one zero
    return np.array([hash(row.tobytes()) for row in rows])


def in_range(tasks: list[Task], dtype: Any) -> Ranged:
    """The tasks so that squares of all numbers stay in range."""
    peak = np.max([_exponent(task.X) for task in tasks], 0)
    features = [_moved(task.X, peak) for task in tasks]
    spread = np.max([np.max(np.abs(X), 0) for X in features], 0)  # over a peak that is now one half to one
    constant = spread <= 8 * max(np.finfo(task.dtype if task.dtype != np.float16 else float).eps for task in tasks)
    shrink = np.frexp(np.where(spread > 0, spread, 1))[1]
    features = [np.where(constant, 0, np.ldexp(X, -shrink)).astype(dtype) for X in features]
    labels, exponents = zip(*map(_scaled, [task.y for task in tasks]), strict=True)
    ready = [(X, y.astype(dtype)) for X, y in zip(features, labels, strict=True)]
    return Ranged(ready, exponents, peak + shrink, int(constant.sum()))


def _exponent(values: np.ndarray) -> np.ndarray | np.integer:
    """Of the power of two above the largest size, of each column."""
    return np.frexp(np.max(np.abs(values), 0))[1]


def _moved(values: np.ndarray, exponent: np.ndarray | np.integer) -> np.ndarray:
    """Over 2^exponent, less the first: nothing overflows, and what is constant is exactly zero."""
    scaled = np.ldexp(values, -exponent)
    return scaled - scaled[0]


def _scaled(y: np.ndarray) -> tuple[np.ndarray, int]:
    """Labels less the first over a power of two, between -1 and 1, and its exponent."""
    moved = _moved(y, _exponent(y))
    more = _exponent(moved)
    return np.ldexp(moved, -more), int(_exponent(y) + more)
