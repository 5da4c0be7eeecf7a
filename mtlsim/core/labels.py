"""Labels that may be classes: names, and whole numbers that look like codes of classes rather than measurements."""

import warnings

import numpy as np

FEWEST, MOST = 3, 20  # distinct whole numbers that may be codes; two of them are as good as -1 and 1
TWINS = 3  # rows a value, at least: fewer are no classes
LOOKED_AT = 10_000  # labels, of an array of any length


def class_codes(y: np.ndarray) -> tuple[int, ...]:
    """The distinct values where labels (m,) are 3 to 20 whole numbers that come again and again; else none."""
    if y.ndim != 1 or y.dtype.kind not in "iuf" or not len(y):
        return ()
    values = np.unique(np.asarray(y[:LOOKED_AT]))
    few = FEWEST <= len(values) <= MOST and TWINS * len(values) <= min(len(y), LOOKED_AT)
    return tuple(int(value) for value in values) if few and np.all(values == np.round(values)) else ()


def on_codes(values: tuple[int, ...], name: str) -> str:
    """What to say about labels that may be class codes."""
    shown = ", ".join(map(str, values[:4])) + (", ..." if len(values) > 4 else "")
    return (
        f"{name} holds {len(values)} whole numbers ({shown}), taken as amounts: if they are codes of classes, their squared error "
        f"means nothing, so ask for one class against the rest, y == {values[-1]}"
    )


def warn_of_codes(y: np.ndarray, name: str) -> None:
    """A warning for labels (m,) or (m, K) of an integer type that look like class codes; of floats the caller has decided."""
    if y.dtype.kind not in "iu" or y.ndim == 0:
        return
    for column in [y] if y.ndim == 1 else list(y[:LOOKED_AT].T):
        if found := class_codes(column):
            warnings.warn(f"{on_codes(found, name)}; pass {name}.astype(float) where they are amounts.", stacklevel=4)
            return


def cure_for_names(y: np.ndarray) -> str:
    """How labels that are words become numbers."""
    first = y.ravel()[:1].tolist() or ["a"]
    return f"make one class 1 and all others -1, numpy.where(numpy.asarray(y) == {first[0]!r}, 1.0, -1.0)"
