"""Numbers out of what people keep them in: arrays, lists, data frames, series, masked and sparse arrays; nothing in silence."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mtlsim.core.checks import require
from mtlsim.core.labels import cure_for_names
from mtlsim.core.words import counted, with_article

KINDS = (jnp.floating, jnp.integer, jnp.bool_)


def column_names(rows: Any) -> tuple | None:
    """Names of the columns of a data frame or labelled array; None where it has none, or only counts them 0, 1, 2, ..."""
    names = _labels(rows)
    return None if names is None or _only_counts(names) else names


def _labels(rows: Any) -> tuple | None:
    """What stands over the columns of a data frame or labelled array."""
    if hasattr(rows, "columns") and hasattr(rows, "to_numpy"):
        return tuple(rows.columns)
    if hasattr(rows, "dims") and len(rows.dims) == 2 and rows.dims[1] in getattr(rows, "indexes", {}):
        return tuple(rows.indexes[rows.dims[1]])
    return None


def _only_counts(names: tuple) -> bool:
    return names == tuple(range(len(names)))


def column_order(rows: Any, like: Any, name: str, name_like: str) -> list[int] | None:
    """Which columns of `rows` stand for those of `like`, by name; None where both or one has none and position must do.

    Raises ValueError where the names are not the same ones, or not different from each other.
    """
    here, there = _labels(rows), _labels(like)
    if here is None or there is None or here == there:
        return None
    if (_only_counts(here) or _only_counts(there)) and not set(here) & set(there):  # beside other numbers 0, 1, 2, ... are names
        return None
    for names, whose in ((here, name), (there, name_like)):
        require(len(set(names)) == len(names), whose, "of columns with different names", "with the same name twice", "rename one")
    missing, more = [n for n in there if n not in set(here)], [n for n in here if n not in set(there)]
    if missing or more:
        parts = [f"{what} {', '.join(map(repr, some[:3]))}" for what, some in (("without", missing), ("with", more)) if some]
        cure = "give both the same columns, or numbers without names, X.to_numpy(), where position tells which is which"
        require(False, name, f"of the columns of {name_like}", " and ".join(parts), cure)
    places = {label: i for i, label in enumerate(here)}
    return [places[label] for label in there]


def row_names(rows: Any) -> Any:
    """The index of a data frame or series; None for what has none."""
    index = getattr(rows, "index", None)
    return index if hasattr(rows, "to_numpy") and hasattr(index, "equals") else None


def require_same_rows(X: Any, y: Any, name_X: str, name_y: str) -> None:
    """Refuse a frame and a series whose rows have other names or another order: by position they would be mixed up."""
    first, second = row_names(X), row_names(y)
    if first is None or second is None or len(first) != len(second):
        return
    cure = f"pass y.loc[X.index], or {name_y} as y.to_numpy() if its order is that of the rows"
    require(first.equals(second), name_y, f"a series with the index of {name_X}", "one with another index or order", cure)


def require_no_names(rows: Any, name: str) -> None:
    """Refuse named columns where names would be lost, so that columns in another order would be taken for the same."""
    names = column_names(rows)
    if names is not None:
        shown = ", ".join(map(repr, names[:3])) + (", ..." if len(names) > 3 else "")
        cure = "pass X[columns].to_numpy() with the same list of columns for every task"
        require(False, name, "an array, since names of columns are not kept", f"a frame with the columns {shown}", cure)


def require_one_label(y: Any, name: str) -> None:
    """Refuse labels that are not (m,), with the cure for one column or several."""
    shape = np.shape(y)
    column = len(shape) == 2 and shape[1] == 1
    cure = (
        "pass one label per row, numpy.ravel(y)" if column else "pass one label per row, such as one column, numpy.asarray(y)[:, 0]"
    )
    cure = cure if len(shape) == 2 else "pass one label per row"
    require(len(shape) == 1, name, "of shape (m,)", f"of shape {shape}", cure)


def numbers_of(values: Any, name: str, labels: bool = False) -> Any:
    """`values` as an array of real numbers; arrays that can be read in blocks, traced ones and jax arrays as they are.

    labels: whether they are labels, which decides the cure for words. Raises ValueError in one sentence for masked entries, sparse
    rows, words, dates, complex and structured numbers, and rows of different lengths.
    """
    if isinstance(values, jax.Array):
        return _real(values, name, labels)
    _refuse_sparse(values, name)
    if isinstance(values, (list, tuple)) and any(isinstance(part, np.ma.MaskedArray) for part in values):
        values = np.ma.stack(list(values))
    if isinstance(values, np.ma.MaskedArray):
        values = _unmasked(values, name, labels)
    if hasattr(values, "columns") and hasattr(values, "to_numpy"):
        values = _of_frame(values, name)
    elif hasattr(values, "to_numpy"):
        values = _of_series(values, name)
    elif not _is_array(values):
        try:
            values = np.asarray(values)
        except ValueError:
            raise ValueError(
                f"{name} must be an array, but its rows have different lengths; pass one number per feature."
            ) from None
        except (TypeError, RuntimeError) as error:
            raise ValueError(f"{name} must be an array, but cannot be made one ({error}); pass a NumPy array.") from None
    return _real(values, name, labels)


def _is_array(values: Any) -> bool:
    """Whether it has a shape and a type that NumPy knows, as NumPy's own, memory-mapped and HDF5 arrays have."""
    try:
        np.dtype(values.dtype)
    except (AttributeError, TypeError):
        return False
    return hasattr(values, "shape") and hasattr(values, "__getitem__") and not hasattr(values, "dims")


def _refuse_sparse(values: Any, name: str) -> None:
    several = isinstance(values, (list, tuple)) and len(values) > 0 and _is_sparse(values[0])
    cure = "pass scipy.sparse.vstack(rows).toarray()" if several else f"pass {'y' if name.endswith('y') else 'X'}.toarray()"
    require(not (several or _is_sparse(values)), name, "a dense array", f"{'a list of' if several else 'a'} sparse one", cure)


def _is_sparse(values: Any) -> bool:
    return hasattr(values, "toarray") and hasattr(values, "nnz")


def _unmasked(values: np.ma.MaskedArray, name: str, labels: bool) -> np.ndarray:
    mask = np.ma.getmaskarray(values)
    n_masked = int(mask.reshape(len(mask), -1).any(1).sum()) if mask.ndim else int(mask)
    rows = "numpy.ma.getmaskarray(y)" if labels and mask.ndim == 1 else "numpy.ma.getmaskarray(X).any(1)"
    cure = f"leave those rows out of X and y alike: keep = ~{rows}, then X[keep] and y[keep]"
    require(
        n_masked == 0,
        name,
        "without masked entries",
        f"masked in {n_masked} of {counted(len(mask) if mask.ndim else 1, 'row')}",
        cure,
    )
    return np.ma.getdata(values)


def _of_frame(frame: Any, name: str) -> np.ndarray:
    array = frame.to_numpy()
    if array.dtype.kind in "biuf":
        return array
    columns = [frame.iloc[:, i] if hasattr(frame, "iloc") else frame[key] for i, key in enumerate(frame.columns)]
    found = [
        _real(_of_series(column, name), f"{name}'s column {key!r}", False)
        for key, column in zip(frame.columns, columns, strict=True)
    ]
    return np.column_stack(found) if found else array


def _of_series(series: Any, name: str) -> np.ndarray:
    array = np.asarray(series.to_numpy())
    if array.dtype.kind == "O" and getattr(series.dtype, "kind", "O") in "biuf":  # numbers, some of them missing
        array = series.to_numpy(dtype=float, na_value=np.nan)
    return array


def _real(array: Any, name: str, labels: bool) -> Any:
    require(isinstance(array.dtype, np.dtype), name, "made of real numbers", "of random keys", "pass an array")
    if array.dtype.kind == "m" or not any(jnp.issubdtype(array.dtype, kind) for kind in KINDS):  # a duration passes for an integer
        scalar = array.dtype.kind == "O" and array.ndim == 0
        found = with_article(type(array.item()).__name__) if scalar else f"of type {array.dtype}"
        require(False, name, "made of real numbers", found, "pass an array" if scalar else _cure(array, labels))
    return array


def _cure(array: np.ndarray, labels: bool) -> str:
    """What makes these real numbers; tried before it is said."""
    letter = "y" if labels else "X"
    if array.dtype.kind == "c":
        return f"pass {letter}.real, or real and imaginary parts as columns of their own"
    if array.dtype.kind == "M":
        return f"pass days since the first, ({letter} - {letter}.min()) / numpy.timedelta64(1, 'D')"
    if array.dtype.kind == "m":
        return f"pass days, {letter} / numpy.timedelta64(1, 'D')"
    if array.dtype.names:
        return f"pass numpy.array({letter}.tolist())"
    try:
        np.asarray(array).astype(float)
    except (TypeError, ValueError):
        return (
            cure_for_names(array) if labels else "give each word a column of 0 and 1, as pandas.get_dummies does, or leave it out"
        )
    return "convert it with .astype(float)"
