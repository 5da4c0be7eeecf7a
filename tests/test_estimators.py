"""Several tasks behind scikit-learn's conventions: its own checks, its own ridge regression, and life without it."""

import pickle
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from conftest import close
from oracles import mixing_weights
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.metrics import log_loss, r2_score
from sklearn.model_selection import GridSearchCV, LeaveOneOut, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import mtlsim as mtl
from mtlsim.arrays.learners import RIDGES

RNG = np.random.default_rng(3)
D = 6
RULES = RNG.normal(size=(2, D))
SKIPPED = {"check_array_api_input"}  # arrays of other libraries, only where the environment asks for them


def rows(n, theta, noise=1.0):
    X = RNG.normal(size=(n, D)) + 2
    return X, X @ theta + noise * RNG.normal(size=n) + 1


TASKS = {name: rows(n, RULES[k] + 0.1 * RNG.normal(size=D)) for name, n, k in (("a", 30, 0), ("b", 80, 0), ("c", 40, 1))}
FRAME = pd.concat([pd.DataFrame(X, columns=list("uvwxyz")).assign(task=name) for name, (X, _) in TASKS.items()], ignore_index=True)
LABELS = np.concatenate([y for _, y in TASKS.values()])


@pytest.mark.parametrize("estimator", [mtl.SharingRegressor, mtl.SharingClassifier])
def test_scikit_learns_own_checks_pass(estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = check_estimator(estimator(), on_fail=None)
    other = {one["check_name"]: str(one["exception"]) for one in found if one["status"] != "passed"}
    assert len(found) > 45 and set(other) <= SKIPPED, other


def test_one_task_is_a_mixture_of_ridge_regressions_of_an_independent_library():
    X, y = TASKS["b"]
    scaled = (X - X.mean(0)) / X.std(0)
    ridges = [Ridge(ridge * D).fit(scaled, y) for ridge in RIDGES]
    errors = np.array([y - cross_val_predict(clone(one), scaled, y, cv=LeaveOneOut()) for one in ridges])
    weights = mixing_weights(errors, np.full(len(ridges), 1 / len(ridges)))
    wanted = lambda rows: sum(weight * one.predict(rows) for weight, one in zip(weights, ridges, strict=True))
    model = mtl.SharingRegressor().fit(X, y)
    close(model.predict(X[:7]), wanted(scaled[:7]), 3)
    assert model.score(X, y) == pytest.approx(r2_score(y, wanted(scaled))) and model.weights_["all rows"]["alone"] == 1


def test_tasks_named_by_a_column_learn_what_a_study_recommends():
    study = mtl.compare_tasks(TASKS, n_splits=2)
    model = mtl.SharingRegressor(task_column="task").fit(FRAME, LABELS)
    close(model.coef_, study.data.coefficients.values)
    close(model.intercept_, study.data.intercept.values)
    assert list(model.tasks_) == ["a", "b", "c"] and model.n_features_in_ == D + 1
    mixed = FRAME.sample(frac=1, random_state=0)
    wanted = np.array(
        [
            study.predict(name, row.to_numpy()[None])[0]
            for name, (_, row) in zip(mixed.task, mixed[list("uvwxyz")].iterrows(), strict=True)
        ]
    )
    close(model.predict(mixed), wanted)
    numbered = np.column_stack([FRAME.task.map({"a": 0, "b": 1, "c": 2}), FRAME[list("uvwxyz")]])
    close(mtl.SharingRegressor(task_column=0).fit(numbered, LABELS).predict(numbered), model.predict(FRAME))
    shares = model.weights_["a"]
    assert sum(shares.values()) == pytest.approx(1) and shares["alone"] < 0.5


def test_columns_of_y_are_tasks_and_may_miss_labels():
    X, _ = TASKS["b"]
    Y = X @ RULES.T + RNG.normal(size=(80, 2))
    Y[60:, 1] = np.nan
    model = mtl.SharingRegressor().fit(X, pd.DataFrame(Y, columns=["p", "q"]))
    assert model.predict(X).shape == (80, 2) and model.coef_.shape == (2, D) and list(model.tasks_) == ["p", "q"]
    study = mtl.compare_tasks({"p": (X, Y[:, 0]), "q": (X[:60], Y[:60, 1])}, duplicates="keep", n_splits=2)
    close(model.coef_, study.data.coefficients.values, 1)
    truth = np.where(np.isnan(Y), 0, Y)
    known = ~np.isnan(Y)
    r2 = [
        1 - np.sum((truth - model.predict(X))[known[:, k], k] ** 2) / np.sum((Y[known[:, k], k] - Y[known[:, k], k].mean()) ** 2)
        for k in (0, 1)
    ]
    assert model.score(X, Y) == pytest.approx(np.mean(r2))
    constant = mtl.SharingRegressor().fit(X, np.column_stack([Y[:, 0], np.full(80, 3.0)]))
    assert (constant.predict(X)[:, 1] == 3).all()


def test_it_stands_in_searches_and_pipelines():
    search = GridSearchCV(mtl.SharingRegressor(task_column="task"), {"methods": ["weighted-rows", ("layer",)]}, cv=3)
    order = RNG.permutation(len(LABELS))
    assert search.fit(FRAME.iloc[order], LABELS[order]).best_params_["methods"] in ("weighted-rows", ("layer",))
    X, y = TASKS["b"]
    assert cross_val_score(make_pipeline(StandardScaler(), mtl.SharingRegressor()), X, y, cv=3).mean() > 0.5
    model = clone(mtl.SharingRegressor(task_column="task", methods="weighted-rows"))
    assert (
        repr(model) == "SharingRegressor(task_column='task', methods='weighted-rows')"
        and model.set_params(methods="layer").methods == "layer"
    )
    again = pickle.loads(pickle.dumps(model.fit(FRAME, LABELS)))
    close(again.predict(FRAME), model.predict(FRAME))
    close(
        mtl.SharingRegressor().fit(sparse.csr_matrix(X), y).predict(sparse.csr_matrix(X)),
        mtl.SharingRegressor().fit(X, y).predict(X),
    )


def test_classes_are_shared_class_by_class():
    """Three classes, of which one task has two; probabilities are better than the shares of the classes."""
    words = np.array(["low", "mid", "top"])[np.digitize(LABELS, np.quantile(LABELS, [0.4, 0.7]))]
    words[(FRAME.task == "c") & (words == "mid")] = "top"
    model = mtl.SharingClassifier(task_column="task").fit(FRAME, words)
    chances, said = model.predict_proba(FRAME), model.predict(FRAME)
    assert list(model.classes_) == ["low", "mid", "top"] and chances.shape == (150, 3) == model.decision_function(FRAME).shape
    close(chances.sum(1), np.ones(150))
    shares = [np.mean(words == one) for one in model.classes_]
    assert log_loss(words, chances) < 0.8 * log_loss(words, np.tile(shares, (150, 1)))
    assert model.score(FRAME, words) == np.mean(said == words) > 0.6
    assert chances[FRAME.task == "c", 1].max() < 0.1  # a class that this task has never seen


def test_labels_that_nothing_tells_are_given_their_share():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(400, D)), rng.random(400) < 0.2
    model = mtl.SharingClassifier().fit(X, y)
    chances = model.predict_proba(X)[:, 1]
    assert abs(chances.mean() - y.mean()) < 0.02 and chances.std() < 0.1 and not model.predict(X).any()
    for _ in range(10):  # scores that mislead where a row is left out are not turned round
        X, y = rng.normal(size=(16, D)), np.arange(16) % 2
        assert np.cov(mtl.SharingClassifier().fit(X, y).decision_function(X), y)[0, 1] > -1e-12


def test_it_lives_without_scikit_learn(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    X, y = TASKS["b"]
    with pytest.raises(AttributeError, match="not fitted yet"):
        mtl.SharingRegressor().predict(X)
    assert mtl.SharingRegressor().fit(X, y).score(X, y) > 0.5
    assert mtl.SharingClassifier().fit(X, y > y.mean()).score(X, y > y.mean()) > 0.7
    with pytest.warns(UserWarning, match="column-vector"):
        mtl.SharingClassifier().fit(X, (y > y.mean())[:, None])


@pytest.mark.parametrize(
    ("model", "X", "y", "sentence"),
    [
        (
            mtl.SharingRegressor(task_column="tsk"),
            FRAME,
            LABELS,
            "task_column must be a column of X, but is 'tsk'; did you mean 'task'?",
        ),
        (mtl.SharingRegressor(task_column=9), FRAME, LABELS, "task_column must be the number of one of 7 columns, but is 9"),
        (mtl.SharingRegressor(task_column="task"), FRAME.to_numpy(), LABELS, "task_column must be a column of X"),
        (mtl.SharingRegressor("task"), FRAME, np.stack([LABELS] * 2, 1), "y must be of one column beside task_column"),
        (mtl.SharingRegressor("task"), FRAME[:32], LABELS[:32], "the task 'b' must be of at least 5 rows, but is of 2"),
        (mtl.SharingRegressor(methods="weighed-rows"), *TASKS["a"], "did you mean 'weighted-rows'"),
        (mtl.SharingRegressor(), TASKS["a"][0], TASKS["a"][1][:9], "y must be as long as X, 30 samples, but is of length 9"),
        (mtl.SharingRegressor(), TASKS["a"][0][:3], TASKS["a"][1][:3], "X must be an array of 5 samples or more"),
        (mtl.SharingRegressor(), TASKS["a"][0], np.full(30, np.nan), "y must be finite, but is with NaN in 30 rows"),
        (mtl.SharingClassifier(), *TASKS["a"], "Unknown label type: continuous; use SharingRegressor, or round them"),
        (mtl.SharingClassifier(), TASKS["a"][0], np.ones(30), "y must be of two classes or more, but is of one class"),
        (mtl.SharingClassifier(duplicates="no"), TASKS["a"][0], np.arange(30) % 2, "duplicates must be one of the known names"),
    ],
)
def test_bad_input_is_one_sentence(model, X, y, sentence):
    with pytest.raises(ValueError) as error:
        model.fit(X, y)
    assert sentence in str(error.value)


def test_rows_of_another_task_or_other_columns_are_refused():
    model = mtl.SharingRegressor("task").fit(FRAME, LABELS)
    with pytest.raises(ValueError, match="X must be made of rows of tasks that were learned, but is with rows of 'd'"):
        model.predict(FRAME.assign(task="d"))
    with pytest.raises(ValueError, match="must be in the same order"):
        model.predict(FRAME[FRAME.columns[::-1]])
    with pytest.raises(ValueError, match="set_params must be given names among task_column, methods, duplicates, but is 'method'"):
        model.set_params(method="layer")
