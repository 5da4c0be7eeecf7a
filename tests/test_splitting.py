"""Rows that belong together and rows in time: errors by refits without a group, plans, intervals that count groups, doors."""

import json

import jax
import numpy as np
import pandas as pd
import pytest
from conftest import close, untyped

import mtlsim as mtl
from mtlsim import cli
from mtlsim.arrays.learners import RIDGES, Ways, blocks_of, fit_ways, make_source, mean_square, see
from mtlsim.arrays.splitting import Beside, balanced_orders, beside_of, make_plan

RNG = np.random.default_rng(5)
D = 5


def rows(n, theta, noise=1.0, rng=RNG):
    X = rng.normal(size=(n, D)) + 1
    return X, X @ theta + noise * rng.normal(size=n) + 2


THETAS = RNG.normal(size=(2, D))
SOURCE = rows(40, THETAS[0])
GROUPS = np.array([0, 0, 0, 1, 1, 2, 3, 3, 3, 4, 5, 5, 6, 7, 7, 7, 8, 9])


@pytest.mark.parametrize(("n", "n_train", "n_splits"), [(42, 34, 20), (10, 3, 7), (5, 4, 3), (30, 8, 13), (4, 1, 9), (130, 104, 2)])
def test_units_are_tested_equally_often(n, n_train, n_splits):
    orders = balanced_orders(n, n_train, n_splits, np.random.default_rng(0))
    assert (np.sort(orders, 1) == np.arange(n)).all() and orders.shape == (n_splits, n)
    counts = np.bincount(orders[:, n_train:].ravel(), minlength=n)
    assert np.ptp(counts) <= 1
    assert len({tuple(sorted(order[:n_train])) for order in orders}) > 1


@pytest.mark.parametrize("n", [18, 4])
def test_errors_are_those_of_refits_without_the_whole_group(n):
    """With more and with fewer rows than features, for every way of learning."""
    X, y = rows(n, THETAS[0])
    y, groups = y / y.std(), GROUPS[:n]
    made = {0: make_source(*(part - part.mean(0) for part in SOURCE))}
    ways = Ways(made, 2.0)
    fits = fit_ways(see([ways.alone(), *ways.of((0,))], X), y, np.arange(n), groups)
    assert all(fit.count == len(set(groups)) for fit in fits)
    for fit in fits:
        spread = np.eye(D) if fit.way.factor is None else fit.way.factor @ fit.way.factor.T
        centre, inverse = np.zeros(D) if fit.way.centre is None else fit.way.centre, np.linalg.inv(spread)
        left = np.empty(n)
        for group in set(groups):
            out = groups == group
            A, b = X[~out] - X[~out].mean(0), y[~out] - y[~out].mean()
            solve = lambda t: np.linalg.solve(A.T @ A + t * inverse, A.T @ b + t * inverse @ centre)  # noqa: B023
            theta = sum(share * solve(t) for share, t in zip(fit.shares, fit.way.strengths, strict=True))
            left[out] = y[out] - y[~out].mean() - (X[out] - X[~out].mean(0)) @ theta
        close(fit.errors, left, 5)


def test_the_ridge_of_a_source_is_that_of_whole_groups():
    """Ten rows five times each: alone a row is foretold by its copies, and the ridge is far too small."""
    X, y = rows(10, THETAS[0], 3.0)
    X, y = np.repeat(X - X.mean(0), 5, 0), np.repeat(y - y.mean(), 5)
    groups, ridges, errors = np.repeat(np.arange(10), 5), RIDGES * mean_square(X), []
    for ridge in ridges:
        left = 0.0
        for group in range(10):
            out = groups == group
            A, b = X[~out] - X[~out].mean(0), y[~out] - y[~out].mean()
            theta = np.linalg.solve(A.T @ A + ridge * np.eye(D), A.T @ b)
            left += np.sum((y[out] - y[~out].mean() - (X[out] - X[~out].mean(0)) @ theta) ** 2)
        errors.append(left)
    assert make_source(X, y, groups).ridge == pytest.approx(ridges[np.argmin(errors)])
    assert make_source(X, y).ridge < make_source(X, y, groups).ridge
    assert blocks_of(np.arange(7)) == [] == blocks_of(None)
    ones, twos, threes = blocks_of(GROUPS)
    assert GROUPS[ones].tolist() == [[2], [4], [6], [8], [9]] and GROUPS[twos].tolist() == [[1, 1], [5, 5]]
    assert GROUPS[threes].tolist() == [[0] * 3, [3] * 3, [7] * 3]


def test_groups_stay_whole_and_losses_are_those_of_groups():
    plan = make_plan("a", 18, Beside(GROUPS), None, 6, np.random.default_rng(0))
    assert plan.n_train == 8 and plan.units.shape == (6, 2)
    for train, test, units in zip(plan.trains, plan.tests, plan.units, strict=True):
        assert sorted([*train, *test]) == list(range(18)) and not set(GROUPS[train]) & set(GROUPS[test])
        assert set(GROUPS[test]) == set(units)
    losses = RNG.random(18)
    found = plan.by_unit([losses[test] for test in plan.tests])
    wanted = [[losses[unit == GROUPS].sum() / 1.8 for unit in units] for units in plan.units]
    close(found, np.array(wanted))


def test_the_past_learns_and_the_future_tests():
    places = RNG.permutation(50)
    plan = make_plan("a", 50, Beside(None, places), None, 20, np.random.default_rng(0))
    assert plan.disjoint and len(plan.tests) == 10 and plan.n_train == 30
    tested = np.concatenate(plan.tests)
    assert len(set(tested)) == len(tested) == 20
    for train, test in zip(plan.trains, plan.tests, strict=True):
        assert places[train].max() < places[test].min() and len(train) == places[test].min()
    assert list(Beside(None, np.arange(20)).together) == list(np.repeat(np.arange(10), 2))


def twins(seed, n_groups=25, times=4, d=D):
    """A target of few rows that come again and again with the same label, and a source of another rule."""
    rng = np.random.default_rng(seed)
    X, y = rows(n_groups, rng.normal(size=d), 2.0, rng)
    tasks = {"a": (np.repeat(X, times, 0), np.repeat(y, times)), "b": rows(60, rng.normal(size=d), 1.0, rng)}
    return tasks, np.repeat(np.arange(n_groups), times)


def test_copies_hide_the_error_and_groups_show_it():
    """Against a study of the rows once each: with groups the errors are those, without they are far too small."""
    hidden, shown, truth = [], [], []
    for seed in range(4):
        tasks, groups = twins(seed)
        once = {"a": tuple(part[::4] for part in tasks["a"]), "b": tasks["b"]}
        options = {"targets": "a", "n_splits": 10, "key": jax.random.key(seed)}
        each = (tasks, {}), (tasks, {"groups": {"a": groups}}), (once, {})
        plain, grouped, single = (mtl.compare_tasks(data, **options, **more).data for data, more in each)
        hidden.append(float(plain.risk_alone[0]))
        shown.append(float(grouped.risk_alone[0]))
        truth.append(float(single.risk_alone[0]))
        assert grouped.error[0] > plain.error[0]
    assert np.mean(hidden) < 0.8 * np.mean(truth) and abs(np.mean(shown) / np.mean(truth) - 1) < 0.15


def test_every_row_its_own_group_is_no_group():
    tasks = {"a": rows(30, THETAS[0]), "b": SOURCE}
    plain, grouped = (mtl.compare_tasks(tasks, n_splits=3, groups=g).data for g in (None, {"b": np.arange(40)[::-1]}))
    close(grouped.coefficients.values, plain.coefficients.values)
    close(grouped.gain.sel(task="a").values, plain.gain.sel(task="a").values)


def test_two_valued_labels_missing_labels_and_classes_keep_their_groups():
    X, y = rows(60, THETAS[0])
    groups = np.repeat(np.arange(20), 3).astype(str)
    labels = np.where(np.arange(60) == 7, np.nan, (y > y.mean()).astype(float))
    kinds = np.array(["p", "q", "r"])[np.arange(60) % 3]
    study = mtl.compare_tasks({"two": (X, labels), "kind": (X + 1, kinds)}, n_splits=3, groups={"two": groups, "kind": groups})
    assert study.tasks == ["two", "kind=p", "kind=q", "kind=r"] and np.isfinite(study.data.measure_gain.sel(task="two")).all()


def test_a_rule_that_moves_is_harder_in_time_than_at_random():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, D))
    y = X @ THETAS[0] + np.linspace(-2, 2, 200) * X[:, 0] * 2 + 0.3 * rng.normal(size=200)
    tasks = {"a": (X, y), "b": SOURCE}
    order = rng.permutation(200)
    mixed = {"a": (X[order], y[order]), "b": SOURCE}
    times = pd.Series(pd.date_range("2020", periods=200))[order]
    in_time = mtl.compare_tasks(mixed, targets="a", time={"a": times}).data
    random = mtl.compare_tasks(tasks, targets="a", n_splits=10).data
    assert float(in_time.risk_alone[0]) > 1.2 * float(random.risk_alone[0]) and in_time.attrs["n_splits"] == 10
    close(in_time.gain.values, mtl.compare_tasks(tasks, targets="a", time={"a": np.arange(200)}).data.gain.values, 4)


TASKS = {"a": rows(30, THETAS[0]), "b": SOURCE}


@pytest.mark.parametrize("n", [18, 4])
@pytest.mark.parametrize("grouped", [False, True])
def test_errors_of_weighed_rows_are_those_of_weighed_refits(n, grouped):
    X, y = rows(n, THETAS[0])
    y, w = y / 3, RNG.uniform(0.2, 3, n)
    groups = GROUPS[:n] if grouped else np.arange(n)
    made = {0: make_source(*(part - part.mean(0) for part in SOURCE))}
    ways = Ways(made, 2.0)
    fits = fit_ways(see([ways.alone(), *ways.of((0,))], X), y, np.arange(n), groups, w)
    spread = np.sqrt(np.average((y - np.average(y, weights=w)) ** 2, weights=w))
    for fit in fits:
        span = np.eye(D) if fit.way.factor is None else fit.way.factor @ fit.way.factor.T
        centre, inverse = np.zeros(D) if fit.way.centre is None else fit.way.centre, np.linalg.inv(span)
        left = np.empty(n)
        for group in set(groups):
            out = groups == group
            own = w[~out] / w.mean()
            A, b = X[~out] - np.average(X[~out], 0, own), (y[~out] - np.average(y[~out], weights=own)) / spread
            gram, cross = A.T @ (own[:, None] * A), A.T @ (own * b)
            solve = lambda t: np.linalg.solve(gram + t * inverse, cross + t * inverse @ centre)  # noqa: B023
            theta = sum(share * solve(t) for share, t in zip(fit.shares, fit.way.strengths, strict=True))
            left[out] = y[out] - np.average(y[~out], weights=own) - spread * (X[out] - np.average(X[~out], 0, own)) @ theta
        close(fit.errors, left, 5)
        assert fit.error == pytest.approx(np.average(left**2, weights=w))
        assert fit.count == pytest.approx(len(set(groups)) * w.sum() ** 2 / (n * np.sum(w**2)))


def test_weights_are_rows_that_come_more_often():
    """A source of weights 1 and 2 is one whose rows come once and twice, its ridge and the ways' strengths held by one of each."""
    X, y = SOURCE
    w = 1.0 + (np.arange(40) % 2)
    centred = X - np.average(X, 0, w), y - np.average(y, weights=w)
    again = np.repeat(np.arange(40), w.astype(int))
    weighed = make_source(*(part * np.sqrt(w)[(...,) + (None,) * (part.ndim - 1)] for part in centred), roots=np.sqrt(w))
    repeated = make_source(X[again] - X[again].mean(0), y[again] - y[again].mean(), again)
    close(weighed.cross, repeated.cross)
    close(weighed.gram - weighed.ridge * np.eye(D), repeated.gram - repeated.ridge * np.eye(D))


def test_equal_weights_change_nothing_and_others_what_is_learned():
    plain = mtl.compare_tasks(TASKS, n_splits=3).data
    equal = mtl.compare_tasks(TASKS, n_splits=3, weights={"a": np.full(30, 7.0), "b": np.full(40, 0.1)}).data
    for name in ("gain", "coefficients", "intercept", "risk_alone"):
        close(equal[name].values, plain[name].values, 3)
    X, y = rows(300, THETAS[0], 0.1)
    other = X @ THETAS[1] + 0.1 * RNG.normal(size=300)
    mixed = np.where(np.arange(300) % 2, y, other)
    weights = np.where(np.arange(300) % 2, 1.0, 1e-4)
    found = mtl.compare_tasks({"a": (X, mixed), "b": SOURCE}, targets="a", n_splits=3, weights={"a": weights})
    assert np.abs(found.data.coefficients.values[0] - THETAS[0]).max() < 0.05
    assert np.abs(found.predict("a", X[:5]) - X[:5] @ THETAS[0] - 2).max() < 0.1
    assert found.data.risk_alone[0] < 0.1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"groups": [1, 2]}, "groups must be a dict {task: values}, but is a list"),
        ({"groups": {"c": np.arange(30)}}, "groups must be of tasks that are given, but is with 'c'"),
        ({"groups": {"a": np.arange(29)}}, "groups must be one value for each of the 30 rows of a, but is of length 29"),
        ({"groups": {"a": np.zeros((30, 2))}}, "groups must be one value a row of a, but is of shape (30, 2)"),
        ({"groups": {"a": [None, *range(29)]}}, "groups must be known for every row of a, but is missing in 1"),
        ({"groups": {"a": np.arange(30) % 3}}, "groups must be of at least 5 groups in a, but is of 3"),
        ({"groups": {"a": np.arange(30) % 9}, "target_samples": 9}, "target_samples must be left out, as a has groups"),
        ({"time": {"a": np.arange(30)}, "target_samples": 29}, "target_samples must be at most 28, as a is tested in time"),
        ({"time": {"a": np.arange(30)}, "groups": {"a": np.arange(30)}}, "time must be of tasks without groups, but is of ['a']"),
        ({"weights": {"a": np.arange(30)}}, "weights must be numbers > 0 for a, but is other ones among them"),
        ({"weights": {"a": np.arange(1, 30)}}, "weights must be one value for each of the 30 rows of a, but is of length 29"),
        ({"time": {"a": np.arange(30)}, "curve": True}, "curve must be False where rows have groups, a time or weights"),
        ({"time": {"a": np.arange(30)}, "affinities": True}, "affinities must be False where rows have groups, a time or weights"),
    ],
)
def test_bad_groups_and_times_are_one_sentence(options, sentence):
    with pytest.raises(ValueError) as error:
        untyped(mtl.compare_tasks)(TASKS, n_splits=2, **options)
    assert sentence in str(error.value)


def test_from_a_table_with_groups_and_time(tmp_path, capsys):
    frame = pd.concat([pd.DataFrame(X).assign(y=y, task=name) for name, (X, y) in TASKS.items()], ignore_index=True)
    frame = frame.assign(pupil=np.arange(len(frame)) // 2, day=np.arange(len(frame)))
    frame.to_csv(tmp_path / "all.csv", index=False)
    call = ["compare", str(tmp_path / "all.csv"), "--task", "task", "--splits", "3", "--json"]
    for more, features in ((["--groups", "pupil"], 6), (["--time", "day"], 6), ([], 7)):
        assert cli.main([*call, *more]) == 0
        assert len(json.loads(capsys.readouterr().out)["coefficients"][0]) == features
    np.savez(tmp_path / "c.npz", X=TASKS["a"][0], y=TASKS["a"][1])
    for words, sentence in (
        ([*call, "--groups", "pupils"], "did you mean 'pupil'"),
        (["compare", str(tmp_path / "c.npz"), "--time", "day"], "files must be tables where time is asked for"),
    ):
        assert cli.main(words) == 2 and sentence in capsys.readouterr().err


def test_a_source_that_has_a_time_lends_its_past_alone():
    """Labels of a source after a block leave what is foretold of the block as it was; those before it do not."""
    rng, d = np.random.default_rng(3), 3
    times = np.repeat(np.arange(20), 2)  # two rows a day, which never train for each other
    X, Z = rng.normal(size=(2, 40, d))
    y, z = X.sum(1) + rng.normal(size=40), Z.sum(1) + rng.normal(size=40)

    def said(labels, with_time=True):
        beside = {"a": times} | ({"b": times} if with_time else {})
        return mtl.compare_tasks({"a": (X, y), "b": (Z, labels)}, targets="a", time=beside)

    later = np.where(times >= 19, z + 50, z)  # within the last block alone
    assert said(later).data.risk_together.values == pytest.approx(said(z).data.risk_together.values, rel=1e-9)
    earlier = np.where(times < 5, z + 50 * rng.normal(size=40), z)
    assert abs(said(earlier).data.risk_together.values - said(z).data.risk_together.values).max() > 1e-6
    assert abs(said(later, False).data.risk_together.values - said(z, False).data.risk_together.values).max() > 1e-6
    plan = make_plan("a", 40, beside_of(None, times, None, np.ones(40, bool), 40, "a"), None, 20, rng)
    for train, test in zip(plan.trains, plan.tests, strict=True):
        assert times[train].max() < times[test].min()


def test_times_in_words_are_dates_or_numbers_or_refused():
    """In the order of the alphabet the tenth stands before the second, and the future would teach the past."""
    n, X = 60, RNG.normal(size=(60, D))
    y, days = np.arange(n) * X[:, 0] + RNG.normal(size=n), np.datetime64("2020-01-01") + np.arange(n)
    asked = lambda times: float(mtl.compare_tasks({"a": (X, y), "b": SOURCE}, targets="a", time={"a": times}).data.risk_alone[0])
    wanted = asked(np.arange(n))
    zoned = np.array([pd.Timestamp(day, tz="UTC") for day in days], object)
    for times in (np.arange(n).astype(str), days.astype(str), days.astype(object), zoned):
        assert asked(times) == wanted
    for words in (np.array([day.strftime("%d/%m/%Y") for day in days.tolist()]), np.array([*range(n - 1), "last"], object)):
        with pytest.raises(ValueError, match="time must be numbers or dates such as 2026-01-31 for a"):
            asked(words)


@pytest.mark.parametrize(
    ("beside", "says"),
    [
        ({"weights": {"a": np.r_[1e300, np.ones(29)]}}, r"weights must be of a ratio up to 1e\+12 for a, but is of 1e\+300"),
        (
            {"groups": {"a": np.array([1, "2", 3, 4, 5] * 6, object)}},
            "groups must be of one kind for a, but is of numbers and words",
        ),
    ],
)
def test_weights_that_leave_one_row_and_mixed_groups_are_one_sentence(beside, says):
    with pytest.raises(ValueError, match=says):
        mtl.compare_tasks(TASKS, **beside)
