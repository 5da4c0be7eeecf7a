"""Many tasks as people have them, under one set of columns: named, expanded into one label each, freed of what they share."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mtlsim.arrays.intake import DUPLICATES, Task, check_task, hashes, in_range, is_coarse, on_repeats, parts_of
from mtlsim.core.checks import require, require_choice
from mtlsim.core.containers import column_names, column_order, require_same_rows
from mtlsim.core.labels import MOST, class_codes, on_codes
from mtlsim.core.words import counted, verb, with_article

MOST_BYTES = 2**31  # of sparse rows that are made dense
LEAST_ROWS = 5
SHOWN = 3  # names in a note
MISSING_WORDS = {"", "nan", "NaN", "NaT", "<NA>"}  # of labels; "None" may be a class
FEW_DIFFER = 0.05  # of shared rows, up to which labels that differ are corrections of one labelling


class Gathered(NamedTuple):
    """K tasks of one set of columns, in range: a label is `units`[k] times what stands in `tasks`, a column `columns` times, both
    up to a constant. origins: the original (X, y) as numbers. dropped[s, t]: rows of task s that are rows of task t. notes: what a
    reader must know, in sentences. keys, kept, n_given: under which name each task was given, which of its rows were kept, of how
    many.
    """

    names: list[str]
    tasks: list[tuple[np.ndarray, np.ndarray]]
    origins: list[Task]
    units: np.ndarray
    columns: np.ndarray
    features: list[str]
    dropped: dict[tuple[int, int], np.ndarray]
    notes: tuple[str, ...]
    keys: Sequence[str] = ()
    kept: Sequence[np.ndarray] = ()
    n_given: Sequence[int] = ()


def gather(tasks: Any, duplicates: str = "auto") -> Gathered:
    """Check all tasks and bring them into one form. Raises ValueError in one sentence that names the task."""
    require_choice(duplicates, DUPLICATES, "duplicates")
    kind = with_article(type(tasks).__name__)
    require(isinstance(tasks, Mapping), "tasks", "a dict {name: (X, y)}", kind, "write {'first': (X1, y1), 'second': (X2, y2)}")
    notes: list[str] = []
    given, origin, kept, n_given = {}, [], [], []
    for key, task in tasks.items():
        whole = len(parts_of(task, str(key))[1]) if hasattr(parts_of(task, str(key))[1], "__len__") else 0
        for name, (X, y, rows) in _expand(str(key), task, notes).items():
            require(name not in given, "tasks", "of different names", f"{name!r} twice", "rename one")
            given[name] = X, y
            origin.append(str(key))
            kept.append(np.arange(whole) if rows is None else rows)
            n_given.append(whole)
    require(len(given) >= 2, "tasks", "two or more", f"{len(given)}", "add a task, or give labels in several columns")
    names = list(given)
    found = [check_task(task, name, LEAST_ROWS) for name, task in given.items()]
    first = next((k for k in range(len(names)) if found[k].names is not None), 0)  # one with names, if there is any
    like, labels = names[first], found[first].names
    for k, name in enumerate(names):
        width, wanted = found[k].X.shape[1], found[first].X.shape[1]
        require(width == wanted, name, f"of {wanted} features like {like}", f"of {width}", "give all tasks the same columns")
        order = column_order(given[name][0], given[like][0], f"{name}'s X", f"{like}'s X")
        if order is not None:
            found[k] = found[k]._replace(X=found[k].X[:, order])
            notes.append(f"{name}: columns were matched to those of {like} by name")
        elif found[k].names is None and labels is not None:
            notes.append(f"{name}: columns were matched by position, as it has no names")
    return in_common(names, found, origin, duplicates, notes)._replace(keys=origin, kept=kept, n_given=n_given)


def in_common(names: list[str], found: list[Task], origin: list[str], duplicates: str, notes: list[str]) -> Gathered:
    """Checked tasks of one set of columns in one range, with what must be said of their rows. origin: what each was given as."""
    for name, task in zip(names, found, strict=True):
        notes += on_repeats(task, name)
    dropped = _copies(names, found, origin, duplicates, notes)
    ranged = in_range(found, float)
    for name, exponent in zip(names, ranged.exponents, strict=True):
        fits = -537 <= exponent < 512  # its square is from the smallest to the largest of float64
        spread = f"of labels that spread over about 1e{round(exponent * np.log10(2))}"
        require(fits, f"{name}'s y", "of labels whose squares float64 can hold", spread, "divide it by numpy.abs(y).max()")
    if ranged.constant:
        notes.append(
            f"{ranged.constant} of {counted(len(ranged.columns), 'column')} {verb(ranged.constant, 'is')} "
            "constant up to rounding in every task"
        )
    labels = next((task.names for task in found if task.names is not None), None)
    features = [str(label) for label in labels] if labels is not None else [str(i) for i in range(found[0].X.shape[1])]
    units, columns = 2.0 ** np.asarray(ranged.exponents, float), 2.0 ** np.asarray(ranged.columns, float)
    return Gathered(names, ranged.tasks, found, units, columns, features, dropped, tuple(notes))


def _expand(name: str, task: Any, notes: list[str]) -> dict[str, tuple]:
    """Tasks of one label each: of several columns of labels, of classes against the rest; the missing are left out. Each is rows,
    labels, and which rows of those given they are, None for all.
    """
    X, y = parts_of(task, name)
    X = dense(X, f"{name}'s X")
    require_same_rows(X, y, f"{name}'s X", f"{name}'s y")
    if isinstance(y, np.ma.MaskedArray) and y.dtype.kind in "biuf":
        y = np.ma.filled(y.astype(float), np.nan)
    values = np.asarray(y.to_numpy() if hasattr(y, "to_numpy") else y)
    if values.dtype == object and values.ndim == 1:  # one mark for what is missing
        values = np.array([None if _is_missing(value) else value for value in values.tolist()], object)
    if values.ndim == 2:
        require(values.shape[1] > 0, f"{name}'s y", "of at least one column", f"of shape {values.shape}", "load the labels")
        labels = column_names(y) or range(values.shape[1])
        require(len(set(labels)) == values.shape[1], f"{name}'s y", "of columns with different names", list(labels), "rename one")
        several = {f"{name}[{label}]" if values.shape[1] > 1 else name: values[:, i] for i, label in enumerate(labels)}
        many = {one: part for own, column in several.items() for one, part in _expand(own, (X, column), notes).items()}
        if values.shape[1] > 1:
            notes.append(f"{name}: its {values.shape[1]} columns of labels are {values.shape[1]} tasks on the same rows")
        return many
    if values.ndim != 1 or values.shape[:1] != np.shape(X)[:1]:
        return {name: (X, y, None)}  # whose own check says what is wrong
    if values.dtype.kind in "OSU" and _are_words(values):
        return _of_classes(name, X, values, notes)
    if values.dtype.kind in "iu" and (codes := class_codes(values)) and len(np.unique(values)) <= MOST:
        notes.append(f"{name}: {len(codes)} whole numbers are taken as classes; make them floats if they are amounts")
        return _of_classes(name, X, values, notes)
    try:
        numbers = np.array([np.nan if value is None else value for value in values.tolist()], float)
    except (TypeError, ValueError):
        return {name: (X, y, None)}
    if codes := class_codes(numbers[~np.isnan(numbers)]):
        notes.append(on_codes(codes, f"{name}'s y"))
    if (missing := np.isnan(numbers)).any() and not missing.all():
        notes.append(f"{name}: {without_label(missing)}")
        return {name: (_taken(X, ~missing), numbers[~missing], np.flatnonzero(~missing))}
    return {name: (X, y, None)}


def _is_missing(value: Any) -> bool:
    """Whether it is None, NaN, what pandas has for them, or what an array of words makes of them."""
    if value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value):
        return True
    return isinstance(value, str) and value.strip() in MISSING_WORDS


def _is_numeral(word: Any) -> bool:
    try:
        return float(word) is not None
    except (TypeError, ValueError):
        return False


def _are_words(values: np.ndarray) -> bool:
    return any(isinstance(value, (str, bytes)) for value in values.tolist())


def _of_classes(name: str, X: Any, values: np.ndarray, notes: list[str]) -> dict[str, tuple]:
    """Two classes as -1 and 1, more as one task each, against the rest; rows without a class left out."""
    known = np.array([not _is_missing(value) for value in values.tolist()])
    rows = np.flatnonzero(known)
    if not known.all():
        notes.append(f"{name}: {without_label(~known)}")
        X, values = _taken(X, known), values[known]
    classes = sorted(set(values.tolist()), key=str)
    words = [one for one in classes if not _is_numeral(one)]
    numerals = len(classes) - len(words)
    odd = f"{len(words)} words ({', '.join(map(repr, words[:SHOWN]))}) among {numerals} different numbers"
    cure = "leave those entries empty, or y.astype(float) if all are numbers"
    require(isinstance(classes[0], (int, np.integer)) or numerals <= 2, f"{name}'s y", "numbers or classes", odd, cure)
    few = len(classes) <= MOST
    require(few, f"{name}'s y", f"of at most {MOST} classes", f"of {len(classes)}", "join classes, or give numbers")
    if len(classes) == 2:
        notes.append(f"{name}: {classes[1]!r} is 1, {classes[0]!r} is -1")
        return {name: (X, np.where(values == classes[1], 1.0, -1.0), rows)}
    require(len(classes) > 2, f"{name}'s y", "of labels that differ", f"{classes} in every row", "choose another task")
    notes.append(f"{name}: its {len(classes)} classes are {len(classes)} tasks, each class against the rest")
    return {f"{name}={one}": (X, np.where(values == one, 1.0, -1.0), rows) for one in classes}


def without_label(missing: np.ndarray) -> str:
    """How many of the rows were left out for want of a label."""
    lost = int(missing.sum())
    return f"{lost} of {counted(len(missing), 'row')} {verb(lost, 'has')} no label and {verb(lost, 'was')} left out"


def _taken(X: Any, kept: np.ndarray) -> Any:
    """Rows of a frame or an array."""
    return X.loc[kept] if hasattr(X, "loc") else X.filter(kept) if hasattr(X, "filter") else np.asarray(X)[kept]


def dense(X: Any, name: str) -> Any:
    """Sparse rows as an array, if it fits."""
    if not (hasattr(X, "toarray") and hasattr(X, "nnz")):
        return X
    size = 8 * X.shape[0] * X.shape[1]
    cure = "leave columns out, or project them, sklearn.random_projection.SparseRandomProjection"
    require(size <= MOST_BYTES, name, "of at most 2 GiB where it is dense", f"of {size / 2**30:.1f} GiB", cure)
    return X.toarray()


def _copies(names: list, tasks: list[Task], origin: list, duplicates: str, notes: list) -> dict[tuple[int, int], np.ndarray]:
    """Rows of a task that another one has as well, label included; what is said of them, and of rows with other labels.

    Labels of few values on the same rows are equal by chance, and those of one table's columns by design: they are kept, unless
    two columns hold the same labels throughout.
    """
    single = any(np.finfo(task.dtype).bits == 32 for task in tasks)
    precision = np.float32 if single else np.float64
    whole = [hashes(task.X, task.y, precision) for task in tasks]
    rows = [hashes(task.X, 0 * task.y, precision) for task in tasks]
    owners: dict[int, set[int]] = {}
    for k, own in enumerate(rows):
        for one in np.unique(own).tolist():
            owners.setdefault(one, set()).add(k)
    meeting = sorted({(s, t) for several in owners.values() if len(several) > 1 for s in several for t in several if s != t})
    dropped, relabelled = {}, []
    for s, t in meeting:
        same = np.isin(whole[s], whole[t])
        other = np.isin(rows[s], rows[t]) & ~same
        chance = is_coarse(tasks[s], tasks[t])
        if other.any() and not chance:
            relabelled.append((s, t))
        if not same.any():
            continue
        few = max(len(np.unique(tasks[k].y)) for k in (s, t)) <= MOST
        apart = (origin[s] == origin[t] and other.any()) or (few and other.sum() > FEW_DIFFER * (same | other).sum())
        n, alike = len(same), int(same.sum())
        what = f"{names[s]}: {alike} of {counted(n, 'row')} {verb(alike, 'is')} in {names[t]} too, label included, and "
        if duplicates == "keep" or (duplicates == "auto" and (chance or apart)):
            why = "as asked" if duplicates == "keep" else "as the labels of both differ elsewhere" if apart else "by chance"
            notes.append(f"{what}{verb(alike, 'was')} kept, {why}")
            continue
        left = tasks[s].y[~same]
        enough = n - same.sum() >= LEAST_ROWS and bool((left != left[0]).any())
        cure = "leave one of both out, or pass duplicates='keep'"
        require(enough, names[s], f"made of other rows than {names[t]}", f"rows of it in {int(same.sum())} of {n}", cure)
        notes.append(f"{what}{verb(alike, 'teaches')} it nothing")
        dropped[s, t] = same
    if relabelled:
        who = sorted({names[k] for pair in relabelled for k in pair})
        shown = ", ".join(who[:SHOWN]) + (f" and {len(who) - SHOWN} more" if len(who) > SHOWN else "")
        notes.append(
            f"{shown} share rows with labels of their own: what those labels share by chance counts as help, and every verdict on "
            "them holds for new rows that carry the sources' labels too"
        )
    return dropped
