"""Several tasks behind scikit-learn's conventions: fit, predict, get_params; scikit-learn itself is not needed.

    from mtlsim import SharingRegressor
    model = SharingRegressor(task_column="school").fit(frame, scores)   # a column of X says whose row it is
    model = SharingRegressor().fit(X, Y)                    # or every column of Y (n, K) is a task, NaN where unknown

Each task is learned from its own rows and those of the others by the ways of `mtlsim.arrays.learners`, mixed by leave-one-out
errors: what `compare_tasks` recommends, without its held-out verdicts. One task is ridge regression with its ridge chosen.

Both pass the checks of scikit-learn for estimators (`tests/test_estimators.py`), which know one task. Of their conventions these do
not hold here: rows have no weights, and a task needs five rows or more.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from mtlsim.arrays.conventions import Conventions, class_of, names_of
from mtlsim.arrays.gather import LEAST_ROWS, in_common
from mtlsim.arrays.intake import Task
from mtlsim.arrays.learners import ALONE, mixed, weights_of
from mtlsim.arrays.metrics import logistic_curve
from mtlsim.arrays.together import Table, Together
from mtlsim.core.checks import nearest, require
from mtlsim.core.words import counted


class Learned(NamedTuple):
    """What one task learned: label = X theta + intercept, the weight of every way, and for two labels the log odds of the larger
    as a line in that label (slope, offset).
    """

    theta: np.ndarray
    intercept: float
    weights: dict[str, float]
    odds: tuple[float, float]


class SharingRegressor(Conventions):
    """Regression of several tasks that learn from each other, by scikit-learn's conventions.

    task_column: the name or number of the column of X that says of which task a row is, None for one task, or where the columns of
    y (n, K) are K tasks on the same rows, their entries NaN where a label is missing. methods, duplicates: as for `compare_tasks`.
    Constant labels are learned as they are. After fit: coef_ (d,) or (K, d), intercept_, tasks_ (K names), weights_ (for every
    task the weight of each way), n_features_in_, feature_names_in_.

    Raises ValueError in one sentence for wrong shapes, NaN in X or in the labels of a single task, other columns, unknown tasks.

    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(60, 3))
    >>> y = X.sum(1)[:, None] + rng.normal(size=(60, 2))  # two tasks of one rule
    >>> model = mtl.SharingRegressor().fit(X, y)
    >>> model.coef_.shape, model.predict(X[:4]).shape
    ((2, 3), (4, 2))
    """

    _estimator_type = "regressor"

    def fit(self, X, y):
        """Learn from rows X (n, d) and labels y (n,) or (n, K)."""
        rows, whose, labels = self.begin(X, y)
        require(labels.ndim <= 2, "y", "of shape (n,) or (n, K)", f"of shape {labels.shape}", "give one column a task")
        labels = labels.astype(float)
        columns = labels.reshape(len(labels), -1)
        one_each = columns.shape[1] == 1
        cure = "give y one column, or leave task_column out"
        require(one_each or self.task_column is None, "y", "of one column beside task_column", f"of shape {labels.shape}", cure)
        require(not np.isinf(columns).any(), "y", "finite", "with infinity in some rows", "leave those rows out")
        missing = np.isnan(columns)
        require(
            not (one_each and missing.any()),
            "y",
            "finite",
            f"with NaN in {counted(int(missing.sum()), 'row')}",
            "leave those rows out",
        )
        if one_each:
            tasks = {name: (rows[whose == name], columns[whose == name, 0]) for name in dict.fromkeys(whose.tolist())}
        else:
            named = names_of(y)
            names = [str(k) for k in range(columns.shape[1])] if named is None else named.tolist()
            known = zip(names, ~missing.T, columns.T, strict=True)
            tasks = {name: (rows[there], column[there]) for name, there, column in known}
        constant = {name: float(pair[1][0]) for name, pair in tasks.items() if len(pair[1]) and np.ptp(pair[1]) == 0}
        varied = {name: pair for name, pair in tasks.items() if name not in constant}
        learned = learn_all(self, varied, not one_each) if varied else {}
        learned |= {name: Learned(np.zeros(rows.shape[1]), value, {ALONE: 1.0}, (0.0, 0.0)) for name, value in constant.items()}
        self._learned = {name: learned[name] for name in tasks}
        self._of_columns, self._flat = not one_each, labels.ndim == 1
        self.tasks_ = np.array(list(tasks), object)
        coefficients, self.intercept_ = (
            np.array([getattr(one, f) for one in self._learned.values()]) for f in ("theta", "intercept")
        )
        self.coef_ = coefficients[0] if len(tasks) == 1 else coefficients
        self.intercept_ = float(self.intercept_[0]) if len(tasks) == 1 else self.intercept_
        self.weights_ = {name: one.weights for name, one in self._learned.items()}
        return self

    def predict(self, X) -> np.ndarray:
        """Labels (n,), or (n, K) where the columns of y were the tasks."""
        rows, whose = self.again(X)
        if self._of_columns:
            return np.stack([rows @ one.theta + one.intercept for one in self._learned.values()], 1)
        said = np.empty(len(rows))
        for name, own in _by_task(whose, self._learned):
            said[own] = rows[own] @ self._learned[name].theta + self._learned[name].intercept
        return said if self._flat else said[:, None]

    def score(self, X, y, sample_weight=None) -> float:
        """R^2 of the predictions, the mean over the columns of y where there are several."""
        truth, said = np.asarray(y, float), self.predict(X)
        truth = truth.reshape(len(truth), -1)
        said = said.reshape(truth.shape)
        weights = np.ones(len(truth)) if sample_weight is None else np.asarray(sample_weight, float)
        known = np.isfinite(truth) * weights[:, None]
        truth = np.where(known > 0, truth, 0)
        mean = np.sum(known * truth, 0) / np.sum(known, 0)
        left, total = np.sum(known * (truth - said) ** 2, 0), np.sum(known * (truth - mean) ** 2, 0)
        return float(np.mean(np.where(total > 0, 1 - left / np.where(total > 0, total, 1), np.where(left > 0, 0.0, 1.0))))


class SharingClassifier(Conventions):
    """Classification of several tasks that learn from each other, by scikit-learn's conventions.

    Least squares on labels -1 and 1, one class against the rest where there are more than two, every class shared among the tasks
    that have it. Log odds are a logistic curve of leave-one-out scores, as in a study. task_column, methods, duplicates: as for
    `SharingRegressor`. After fit: classes_, tasks_, weights_ (task, class), n_features_in_, feature_names_in_.

    >>> rng = np.random.default_rng(0)
    >>> X = np.column_stack([rng.normal(size=(60, 3)), np.arange(60) % 2])  # the last column says of which task a row is
    >>> model = mtl.SharingClassifier(task_column=3).fit(X, np.where(X[:, 0] > 0, "yes", "no"))
    >>> model.predict(X[:1]).shape, model.predict_proba(X[:4]).shape
    ((1,), (4, 2))
    """

    _estimator_type = "classifier"

    def fit(self, X, y):
        """Learn from rows X (n, d) and classes y (n,), numbers or words."""
        rows, whose, labels = self.begin(X, y)
        if labels.ndim == 2 and labels.shape[1] == 1:
            category = class_of("sklearn.exceptions", "DataConversionWarning", UserWarning)
            warnings.warn("A column-vector y was passed when a 1d array was expected.", category, stacklevel=2)
            labels = labels[:, 0]
        require(labels.ndim == 1, "y", "of shape (n,)", f"of shape {labels.shape}", "give one class a row")
        if labels.dtype.kind == "f":
            bad = int(np.sum(~np.isfinite(labels)))
            require(bad == 0, "y", "finite", f"with NaN or infinity in {counted(bad, 'row')}", "leave those rows out")
            whole = bool(np.all(labels == np.round(labels)))
            require(whole, "y", "classes", "Unknown label type: continuous", "use SharingRegressor, or round them")
        words = labels.dtype.kind == "O"
        self.classes_ = np.array(sorted(set(labels.tolist()), key=str), object) if words else np.unique(labels)
        if words and all(isinstance(one, str) for one in self.classes_):
            self.classes_ = self.classes_.astype(str)
        require(len(self.classes_) > 1, "y", "of two classes or more", "of one class", "load rows of another class")
        names, self._learned, self.weights_ = list(dict.fromkeys(whose.tolist())), {}, {}
        self.tasks_ = np.array(names, object)
        found: dict[tuple[str, int], Learned] = {}
        sides = range(1, 2) if len(self.classes_) == 2 else range(len(self.classes_))
        for c in sides:
            signs = np.where(labels == self.classes_[c], 1.0, -1.0)
            tasks = {name: (rows[whose == name], signs[whose == name]) for name in names}
            varied = {name: pair for name, pair in tasks.items() if np.ptp(pair[1]) > 0}
            learned = learn_all(self, varied, False) if varied else {}
            for name, (_, own) in tasks.items():
                n_positive = int(np.sum(own > 0))
                sure = 0.0, float(np.log((n_positive + 1) / (len(own) - n_positive + 1)))
                alone = Learned(np.zeros(rows.shape[1]), float(own[0]), {ALONE: 1.0}, sure)
                found[name, c] = learned.get(name, alone)
        for name in names:
            self._learned[name] = [found[name, c] for c in sides]
            self.weights_[name] = {self.classes_[c]: found[name, c].weights for c in sides}
        return self

    def decision_function(self, X) -> np.ndarray:
        """Log odds (n,) of the second class, or (n, C) of every class against the rest."""
        rows, whose = self.again(X)
        odds = np.empty((len(rows), 1 if len(self.classes_) == 2 else len(self.classes_)))
        for name, own in _by_task(whose, self._learned):
            for c, one in enumerate(self._learned[name]):
                odds[own, c] = one.odds[0] * (rows[own] @ one.theta + one.intercept) + one.odds[1]
        return odds[:, 0] if len(self.classes_) == 2 else odds

    def predict_proba(self, X) -> np.ndarray:
        """Probabilities (n, C), those of several classes against the rest divided by their sum."""
        odds = self.decision_function(X)
        chances = 1 / (1 + np.exp(-np.clip(odds, -500, 500)))
        if chances.ndim == 1:
            return np.stack([1 - chances, chances], 1)
        return chances / chances.sum(1, keepdims=True)

    def predict(self, X) -> np.ndarray:
        """Classes (n,)."""
        odds = self.decision_function(X)
        return self.classes_[(odds > 0).astype(int) if odds.ndim == 1 else np.argmax(odds, 1)]

    def score(self, X, y, sample_weight=None) -> float:
        """Share of rows that are classified as they are labelled."""
        return float(np.average(self.predict(X) == np.asarray(y), weights=sample_weight))


@threadpool_limits.wrap(limits=1, user_api="blas")
def learn_all(model: Conventions, tasks: dict[str, tuple[np.ndarray, np.ndarray]], same_rows: bool) -> dict[str, Learned]:
    """Every task from all of them. same_rows: whether they are labels on the same rows, which are no copies then."""
    found = [Task(X, y, np.dtype(float), None) for X, y in tasks.values()]
    for name, (_, y) in tasks.items():
        cure = "leave that task out, or load more rows"
        require(len(y) >= LEAST_ROWS, f"the task {name!r}", f"of at least {LEAST_ROWS} rows", f"of {len(y)}", cure)
    names = list(tasks)
    gathered = in_common(names, found, [""] * len(names) if same_rows else names, model.duplicates, [])
    table = Table(gathered, model.ways)
    return {name: _learn_one(table, k) for k, name in enumerate(names)}


def _by_task(whose: np.ndarray, learned: dict[str, Any]) -> list[tuple[str, np.ndarray]]:
    """The tasks that rows are of, and which rows."""
    names = list(dict.fromkeys(whose.tolist()))
    for name in names:
        require(name in learned, "X", "made of rows of tasks that were learned", f"with rows of {name!r}", nearest(name, learned))
    return [(name, whose == name) for name in names]


def _learn_one(table: Table, target: int) -> Learned:
    together, y = Together(table, target), table.labels[target]
    rows, every = together.on(table.rows[target]), np.arange(len(y))
    fits = rows.everything(y, every) if together.others else rows.alone(y, every)
    weights = weights_of(fits)
    unit, origin = table.gathered.units[target], table.gathered.origins[target]
    theta = mixed(fits, weights) * unit / (table.scale * table.gathered.columns)
    told = dict.fromkeys([ALONE, *table.methods], 0.0)
    for weight, fit in zip(weights, fits, strict=True):
        told[fit.way.method] += float(weight)
    intercept = float(origin.y.mean() - origin.X.mean(0) @ theta)
    odds = 0.0, 0.0
    if len(np.unique(origin.y)) == 2:
        left = origin.y - unit * sum(weight * fit.errors for weight, fit in zip(weights, fits, strict=True))
        slope, offset = logistic_curve(left, origin.y > 0)
        n_positive = int(np.sum(origin.y > 0))
        flat = 0.0, float(np.log((n_positive + 1) / (len(left) - n_positive + 1)))
        odds = (float(slope), float(offset)) if slope > 0 else flat  # scores that mislead say nothing
    return Learned(theta, intercept, told, odds)
