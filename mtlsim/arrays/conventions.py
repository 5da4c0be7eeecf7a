"""The conventions of scikit-learn that need no scikit-learn: parameters, rows and names of columns, tags, errors by their kind."""

import inspect
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from mtlsim.arrays.gather import LEAST_ROWS, dense
from mtlsim.arrays.intake import DUPLICATES
from mtlsim.arrays.learners import METHODS
from mtlsim.core.checks import is_whole, nearest, require, require_choice
from mtlsim.core.words import counted

ONLY = "all rows"  # the name of the task where there is one


class Conventions:
    """Parameters, rows, and which task a row is of."""

    def __init__(self, task_column=None, methods=METHODS, duplicates="auto"):
        self.task_column = task_column
        self.methods = methods
        self.duplicates = duplicates

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters of the constructor and their values."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **parameters: Any):
        """Other values of parameters; returns the estimator."""
        known = list(self.get_params())
        for name, value in parameters.items():
            require(name in known, "set_params", f"given names among {', '.join(known)}", repr(name), nearest(name, known))
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        usual = {name: one.default for name, one in inspect.signature(type(self)).parameters.items()}
        changed = {name: value for name, value in self.get_params().items() if value != usual[name]}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in changed.items())})"

    def __sklearn_tags__(self):
        """For scikit-learn, which alone asks for it."""
        from sklearn.utils import ClassifierTags, InputTags, RegressorTags, Tags, TargetTags

        kind = self._estimator_type
        return Tags(
            estimator_type=kind,
            target_tags=TargetTags(required=True, multi_output=kind == "regressor"),
            regressor_tags=RegressorTags() if kind == "regressor" else None,
            classifier_tags=ClassifierTags() if kind == "classifier" else None,
            input_tags=InputTags(sparse=True, string=False),
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_features_in_")

    def begin(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows (n, d), their tasks (n,) and labels as they are; what is found of X is kept."""
        who = type(self).__name__
        if y is None:
            raise ValueError(f"y must be labels, but is None; {who} requires y to be passed, but the target y is None.")
        for method in self.ways:
            require_choice(method, METHODS, "methods")
        require_choice(self.duplicates, DUPLICATES, "duplicates")
        names = names_of(X)
        self.__dict__.pop("feature_names_in_", None)
        if names is not None:
            self.feature_names_in_ = names
        values = _values(X)
        rows, whose = self._parts(values, names)
        labels = np.asarray(y.to_numpy() if hasattr(y, "to_numpy") else y)
        _refuse_complex(labels, "y")
        found = f"of length {len(labels)}" if labels.ndim else "one number"
        require(labels.ndim >= 1 and len(labels) == len(rows), "y", f"as long as X, {len(rows)} samples", found, "drop the others")
        few = f"one of {len(rows)} (n_samples={len(rows)})"
        require(len(rows) >= LEAST_ROWS, "X", f"an array of {LEAST_ROWS} samples or more", few, "load more rows")
        self.n_features_in_ = values.shape[1]
        return rows, whose, labels

    def again(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Rows to predict and their tasks, of the columns that were learned from."""
        who = type(self).__name__
        if not self.__sklearn_is_fitted__():
            kind = class_of("sklearn.exceptions", "NotFittedError", NotFittedError)
            raise kind(f"This {who} instance is not fitted yet; call fit(X, y) before.")
        names, known = names_of(X), getattr(self, "feature_names_in_", None)
        if names is None and known is not None:
            warnings.warn(f"X does not have valid feature names, but {who} was fitted with feature names", stacklevel=3)
        elif names is not None and known is None:
            warnings.warn(f"X has feature names, but {who} was fitted without feature names", stacklevel=3)
        elif names is not None and not np.array_equal(names, known):
            raise ValueError(_on_other_names(names.tolist(), known.tolist()))
        values = _values(X)
        if values.shape[1] != self.n_features_in_:
            found = f"X has {values.shape[1]} features, but {who} is expecting {self.n_features_in_} features as input"
            raise ValueError(f"{found}; pass the columns that it was fitted with.")
        return self._parts(values, names)

    @property
    def ways(self) -> tuple[str, ...]:
        return (self.methods,) if isinstance(self.methods, str) else tuple(self.methods)

    def _parts(self, values: np.ndarray, names: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Numbers (n, d) and the task of every row."""
        whose = np.full(len(values), ONLY, object)
        if self.task_column is not None:
            place = self._place(names, values.shape[1])
            whose = np.array([str(one) for one in values[:, place].tolist()], object)
            values = np.delete(values, place, 1)
        found = f"one with 0 feature(s) (shape={values.shape}) while a minimum of 1 is required"
        require(values.shape[1] > 0, "X", "an array with features", found, "load some features")
        values = values.astype(float)  # whose own error says what is no number
        for name, bad in (("NaN", np.isnan(values)), ("infinity", np.isinf(values))):
            found = f"with {name} in {int(bad.any(1).sum())} of {counted(len(values), 'row')}"
            require(not bad.any(), "X", "finite", found, "leave those rows out")
        return values, whose

    def _place(self, names: np.ndarray | None, width: int) -> int:
        column = self.task_column
        if is_whole(column):
            inside = -width <= column < width
            require(inside, "task_column", f"the number of one of {width} columns", column, "count from 0, or pass a name")
            return int(column) % width
        labels = [] if names is None else names.tolist()
        cure = nearest(str(column), labels) if labels else "pass a data frame, or the number of the column"
        require(column in labels, "task_column", "a column of X", repr(column), cure)
        return labels.index(column)


class NotFittedError(ValueError, AttributeError):
    """Prediction before fit, where scikit-learn's own is not loaded."""


def class_of(module: str, name: str, otherwise: type) -> type:
    """scikit-learn's own class where it is loaded."""
    return getattr(sys.modules[module], name) if module in sys.modules else otherwise


def names_of(X: Any) -> np.ndarray | None:
    """Names of columns where all are words."""
    columns = getattr(X, "columns", None)
    if columns is None:
        return None
    names = list(columns)
    return np.array(names, object) if names and all(isinstance(name, str) for name in names) else None


def _on_other_names(names: Sequence[str], known: Sequence[str]) -> str:
    """What to say about columns that are not those that were learned from, in the words that scikit-learn has for it."""
    lines = ["The feature names should match those that were passed during fit."]
    unseen, lost = sorted(set(names) - set(known)), sorted(set(known) - set(names))
    shown = lambda some: [f"- {name}" for name in some[:5]] + (["- ..."] if len(some) > 5 else [])
    if unseen:
        lines += ["Feature names unseen at fit time:", *shown(unseen)]
    if lost:
        lines += ["Feature names seen at fit time, yet now missing:", *shown(lost)]
    if not unseen and not lost:
        lines.append("Feature names must be in the same order as they were in fit.")
    return "\n".join([*lines, ""])


def _refuse_complex(values: np.ndarray, name: str) -> None:
    if values.dtype.kind == "c":
        raise ValueError(f"{name} must be real, but is of type {values.dtype}: Complex data not supported; pass {name}.real.")


def _values(X: Any) -> np.ndarray:
    """X as an array (n, d) of some kind."""
    X = dense(X, "X")
    values = X.to_numpy() if hasattr(X, "to_numpy") else np.asarray(X)
    _refuse_complex(values, "X")
    cure = "Reshape your data: X.reshape(-1, 1) for one feature, X.reshape(1, -1) for one row"
    require(values.ndim == 2, "X", "a 2D array", f"one of {values.ndim} dimensions", cure)
    found = f"one with 0 sample(s) (shape={values.shape}) while a minimum of 1 is required"
    require(values.shape[0] > 0, "X", "an array of rows", found, "load some rows")
    return values
