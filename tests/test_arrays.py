"""Transfer between arrays: honest intervals, no leaks, planted signs, digits, and one sentence for every bad input."""

import json
import pickle
import zipfile
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import untyped

import mtlsim as mtl
from mtlsim.arrays.pairs import run_files, transfer_between_arrays
from mtlsim.arrays.resampling import Splits, decide_resampled, variance_of_mean
from mtlsim.arrays.splits import compare, standardise
from mtlsim.core.files import load_task
from mtlsim.solvers.leave_one_out import residuals_alone, residuals_together, source_spectrum

N_SOURCE, N_TARGET, N_FEATURES = 300, 60, 8  # one set of shapes for most tests, so that they share a compile
FEW = (150, 200), 200  # rows and features of those where only 15 rows of the target train
solve = jax.jit(partial(mtl.solve, rank=1))
solve_single = jax.jit(mtl.solve_single)


def make_pair(cosine, noise, n=(N_SOURCE, N_TARGET), d=N_FEATURES, seed=0, rows_seed=0):
    """Source and target with parameters of length one at a cosine; `seed` draws the parameters, `rows_seed` the target's rows."""
    random = np.random.default_rng(seed)
    basis = np.linalg.qr(random.normal(size=(d, 2)))[0]
    parameters = basis[:, 0], cosine * basis[:, 0] + np.sqrt(1 - cosine**2) * basis[:, 1]
    tasks = []
    for theta, sigma, rows, numbers in zip(
        parameters, noise, n, (random, np.random.default_rng((seed, rows_seed, 7))), strict=True
    ):
        X = numbers.normal(size=(rows, d))
        tasks.append((X, X @ theta + sigma * numbers.normal(size=rows)))
    return tasks


# leave-one-out in closed form against refits


@pytest.mark.parametrize(("n", "d", "cosine"), [((40, 15), 8, 0.8), ((60, 24), 8, 0.0), ((20, 7), 8, 0.9)])
def test_leave_one_out_is_what_refits_without_each_row_give(n, d, cosine):
    source, (X, y) = make_pair(cosine, (0.5, 0.7), n, d, seed=d)
    source = tuple(part - part.mean(0) for part in source)
    centred = X - X.mean(0), y - y.mean()
    ridges, source_ridge = np.array([0.1, 10.0]), 2.0
    first = mtl.Moments.from_data(*source)
    spectrum = source_spectrum(first.gram + source_ridge * np.eye(d), first.cross)
    alone = residuals_alone(*map(jnp.asarray, centred), jnp.asarray(ridges))
    together = residuals_together(spectrum, *map(jnp.asarray, centred), jnp.asarray(ridges), n[0] / n[1])
    for row, ridge in enumerate(ridges):
        expected = []
        for i in range(n[1]):
            X_left, y_left = np.delete(X, i, 0), np.delete(y, i)
            moments = mtl.Moments.from_data(X_left - X_left.mean(0), y_left - y_left.mean())
            both = solve([first, moments], ridge=jnp.array([source_ridge, ridge])).parameters[1]
            refits = np.stack([solve_single(moments, ridge), both])
            expected.append(y[i] - y_left.mean() - refits @ (X[i] - X_left.mean(0)))
        expected = np.array(expected).T
        np.testing.assert_allclose(alone[row], expected[0], rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(together[row], expected[1], atol=6e-3 * np.std(y))
        np.testing.assert_allclose(np.mean(together[row] ** 2), np.mean(expected[1] ** 2), rtol=3e-3)


def test_holding_the_head_fixed_would_be_too_optimistic():
    """The power twin: the simpler formula, with the head of all rows, is off by far more than the tolerance above."""
    source, (X, y) = make_pair(0.0, (0.5, 0.7), (60, 24), 8, seed=8)
    source, X, y = tuple(part - part.mean(0) for part in source), X - X.mean(0), y - y.mean()
    first, second = mtl.Moments.from_data(*source), mtl.Moments.from_data(X, y)
    heads = solve([first, second], ridge=jnp.array([2.0, 10.0])).heads[:, 0]
    t = heads[1] / heads[0]
    inverse = np.linalg.inv(first.gram + t**2 * second.gram + (2 + 10 * t**2) * np.eye(8))
    fixed = (y - t * X @ inverse @ (first.cross + t * second.cross)) / (1 - 1 / 24 - t**2 * np.einsum("ij,jk,ik->i", X, inverse, X))
    spectrum = source_spectrum(first.gram + 2 * np.eye(8), first.cross)
    refitted = residuals_together(spectrum, jnp.asarray(X), jnp.asarray(y), jnp.array([10.0]), 60 / 24)[0]
    assert np.mean(fixed**2) < 0.97 * np.mean(refitted**2)


# preparation and splits


def test_predictions_do_not_look_at_test_rows():
    source, (X, y) = make_pair(0.8, (0.3, 0.5))
    order = jnp.asarray(np.random.default_rng(1).permutation(N_TARGET))
    train, test = order[:48], order[48:]
    spoiled_X, spoiled_y = X.copy(), y.copy()
    spoiled_X[test[1:]], spoiled_y[test] = 1e3, -1e5
    results = [compare((source,), (A, b), train, test, None, rank=1) for A, b in ((X, y), (spoiled_X, spoiled_y))]
    for name in ("ridge_alone", "ridge_together", "status"):
        assert getattr(results[0], name) == getattr(results[1], name)
    assert results[0].alone[0] == results[1].alone[0] and results[0].together[0] == results[1].together[0]
    assert not np.allclose(results[0].alone[1:], results[1].alone[1:])


def test_splits_are_disjoint_whole_and_different(monkeypatch):
    seen = []

    def spy(sources, target, train, test, ridge, rank):
        seen.append((np.asarray(train), np.asarray(test)))
        return compare(sources, target, train, test, ridge, rank=rank)

    monkeypatch.setattr("mtlsim.arrays.pairs.compare", spy)
    result = transfer_between_arrays(*make_pair(0.8, (0.3, 0.5)), n_splits=6)
    assert (result.n_train, result.n_test, len(seen)) == (48, 12, 6)
    for train, test in seen:
        assert len(train) == 48 and sorted([*train, *test]) == list(range(N_TARGET))
    assert len({tuple(sorted(test)) for _, test in seen}) == 6


def test_one_compile_for_all_splits_and_calls():
    pair = make_pair(0.5, (0.3, 0.5))
    transfer_between_arrays(*pair, n_splits=2)
    before = compare._cache_size()
    transfer_between_arrays(*pair, n_splits=5, key=jax.random.key(3))
    assert compare._cache_size() == before


def test_standardised_rows_have_one_scale_and_own_means():
    (X1, y1), (X2, y2) = make_pair(0.5, (0.3, 0.5))
    X1, X2 = X1 * 3 + 5, np.c_[X2[:, :-1] * 2 - 7, np.full(N_TARGET, 0.1)]
    X1[:, -1] = 0.3
    standard = standardise(tuple((jnp.asarray(X), jnp.asarray(y)) for X, y in ((X1, y1), (X2, y2))))
    (A, a), (B, b) = standard.rows
    for array in (A, B, a, b):
        np.testing.assert_allclose(array.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose((A.var(0) + B.var(0))[:-1] / 2, 1)
    np.testing.assert_allclose([a.std(), b.std()], 1)
    np.testing.assert_allclose(np.c_[A, B[:1].repeat(N_SOURCE, 0)][:, 7], 0, atol=1e-12)  # a constant column stays without effect
    np.testing.assert_allclose(A[:, :7] * standard.scale[:7], (X1 - X1.mean(0))[:, :7])


def test_basis_of_the_rows_changes_no_prediction():
    """d > rows: the same predictions as from a direct computation on all d columns."""
    source, (X, y) = make_pair(0.8, (0.3, 0.5), (3, 6))
    train, test = jnp.arange(4), jnp.arange(4, 6)
    outcome = compare((source,), (X, y), train, test, jnp.array([3.0, 5.0]), rank=1)
    X1, X2 = source[0] - source[0].mean(0), X[:4] - X[:4].mean(0)
    scale = np.sqrt((X1.var(0) + X2.var(0)) / 2)
    labels = source[1] - source[1].mean(), y[:4] - y[:4].mean()
    moments = [mtl.Moments.from_data(A / scale, b / b.std()) for A, b in zip((X1, X2), labels, strict=True)]
    rows = (X[4:] - X[:4].mean(0)) / scale
    alone = solve_single(moments[1], 5.0)
    both = solve(moments, ridge=jnp.array([3.0, 5.0])).parameters[1]
    for theta, predicted in ((alone, outcome.alone), (both, outcome.together)):
        np.testing.assert_allclose(y[:4].mean() + labels[1].std() * rows @ theta, predicted, rtol=1e-8)


# the interval


def test_variance_follows_the_printed_formulas():
    random = np.random.default_rng(0)
    differences = random.normal(size=(10, 4)) + random.normal(size=(10, 1))
    between = differences.mean(1).var(ddof=1)
    assert variance_of_mean(differences, 40) == pytest.approx(between * (1 / 10 + 4 / 40))
    noise = 0.01 * random.normal(size=(10, 400)) + random.normal(size=(10, 1))  # training rows cause nearly all, and few are shared
    between, within = noise.mean(1).var(ddof=1), noise.var(1, ddof=1).mean()
    parted = between / 10 + 4 / 400 * (between - 4 / (404 * 400) * within) + within / 404
    assert variance_of_mean(noise, 4) == pytest.approx(parted)
    assert parted < between * (1 / 10 + 400 / 4) / 100
    assert variance_of_mean(differences[:, :1], 3) == pytest.approx(differences[:, 0].var(ddof=1) * (1 / 10 + 1 / 3))
    alike = differences - differences.mean(1, keepdims=True)  # splits that agree by chance: the rows' own spread remains
    assert variance_of_mean(alike, 40) == pytest.approx(alike.var(1, ddof=1).mean() / 44)


def test_variance_where_all_rows_test_equally_often_and_what_is_unresolved():
    random = np.random.default_rng(1)
    differences, tests = random.normal(size=(10, 6)) + 3 * random.normal(size=(10, 1)), np.arange(60).reshape(10, 6) % 30
    between, within = differences.mean(1).var(ddof=1), differences.var(1, ddof=1).mean()
    assert variance_of_mean(differences, 24, balanced=True) == pytest.approx(between / 10 + within / 30)
    assert variance_of_mean(differences, 24) > between / 10 + within / 30
    plain = decide_resampled(differences, Splits(24, tests, balanced=True))
    wide = decide_resampled(differences, Splits(24, tests, balanced=True, unresolved=0.5))
    assert wide.standard_error**2 - plain.standard_error**2 == pytest.approx(0.5**2 * 24 / 30) and wide.mean == plain.mean
    few = [decide_resampled(differences, Splits(1, tests, unresolved=u)).standard_error ** 2 for u in (0.5, 0.0)]
    assert few[0] - few[1] == pytest.approx(0.5**2 / 7)  # 1 of 7 rows trains, which is more than one of ten splits


def resampled_means(n, n_train, n_splits, n_data, random):
    """Differences of squared errors, (n_data, J, n_test), of two predictions of N(0.5, 1): the mean and 0.3 of it; test rows."""
    labels = 0.5 + random.normal(size=(n_data, 1, n))
    order = np.argsort(random.random((n_data, n_splits, n)), -1)
    drawn = np.take_along_axis(np.broadcast_to(labels, order.shape), order, -1)
    mean, test = drawn[..., :n_train].mean(-1, keepdims=True), drawn[..., n_train:]
    return (test - mean) ** 2 - (test - 0.3 * mean) ** 2, order[..., n_train:]


@pytest.mark.parametrize(("n", "n_train"), [(100, 5), (100, 20), (60, 30), (50, 40)])
def test_interval_covers_where_the_naive_one_does_not(n, n_train):
    """Nominal 95 %: measured 96.0 to 99.8 % (asserted at least 93 %), against 50 to 78 % of the naive interval."""
    random = np.random.default_rng(n_train)
    truth = 1 / n_train - 0.7**2 * 0.25 - 0.3**2 / n_train  # (1 + 1/m) - (1 + 0.49 / 4 + 0.09 / m)
    data, tests = resampled_means(n, n_train, 25, 400, random)
    verdicts = [decide_resampled(differences, Splits(n_train, rows)) for differences, rows in zip(data, tests, strict=True)]
    covered = np.mean([v.low <= truth <= v.high for v in verdicts])
    naive = np.mean([abs(m.mean() - truth) <= 2.06 * m.std(ddof=1) / 5 for m in data.mean(2)])
    assert covered >= 0.93 and naive <= 0.9, (covered, naive)


def test_interval_covers_for_the_learners_themselves():
    """80 % train: 57 of 60 intervals hold the mean gain of 600 independent targets (nominal 57), 43 of 60 naive ones."""
    source = make_pair(0.6, (0.3, 0.7))[0]
    order = jnp.arange(N_TARGET)
    independent = []
    for seed in range(600):
        X, y = make_pair(0.6, (0.3, 0.7), rows_seed=1000 + seed)[1]
        outcome = compare((source,), (jnp.asarray(X), jnp.asarray(y)), order[:48], order[48:], None, rank=1)
        independent.append(np.mean((outcome.alone - y[48:]) ** 2 - (outcome.together - y[48:]) ** 2))
    truth, naive, covered = np.mean(independent), 0, 0
    for seed in range(60):
        target = make_pair(0.6, (0.3, 0.7), rows_seed=seed)[1]
        result = transfer_between_arrays(source, target, n_splits=15, key=jax.random.key(seed))
        covered += result.gain.low <= truth <= result.gain.high
        naive += abs(result.gain.mean - truth) <= 2.14 * result.gains.std(ddof=1) / np.sqrt(15)
    assert covered >= 53 and naive <= 50, (covered, naive)


def test_undetermined_splits_are_left_out_and_none_is_undecided():
    differences, rows = np.ones((5, 3)) + 0.01 * np.arange(5)[:, None], np.arange(15).reshape(5, 3)
    differences[1] = np.nan
    verdict = decide_resampled(differences, Splits(6, rows))
    assert (verdict.n_seeds, verdict.word) == (4, "positive")
    for kept in (0, 1):
        differences[kept:] = np.nan
        assert decide_resampled(differences, Splits(6, rows)).word == "undecided"
    assert decide_resampled(np.full((5, 3), 1e-18), Splits(6, rows), rounding=1e-13).word == "undecided"


# planted signs


def test_same_parameters_and_few_rows_are_positive():
    """Also with more features than training rows in all: 165 rows, 200 features."""
    result = transfer_between_arrays(*make_pair(1.0, (0.1, 0.5), *FEW), target_samples=15, n_splits=20)
    assert (
        result.word == "positive"
        and result.cosine[0] > 0.5
        and "lowers" in result.sentence
        and result.n_exact == 20
        and not result.statuses
    )
    assert result.gain.mean == pytest.approx(result.risk_single - result.risk_multi)


def test_other_parameters_in_a_heavy_precise_source_are_negative():
    result = transfer_between_arrays(*make_pair(-0.5, (0.01, 0.1)))
    assert result.word == "negative" and result.cosine[0] == pytest.approx(-0.5, abs=0.1)
    assert "raises" in result.sentence


def test_unrelated_source_does_not_help():
    source, target = make_pair(0.0, (0.5, 1.0))
    result = transfer_between_arrays(source, target, n_splits=20)
    assert result.word != "positive"
    shuffled = np.random.default_rng(0).permutation(source[1])
    assert transfer_between_arrays((source[0], shuffled), target, n_splits=20).word != "positive"


def test_two_sources():
    first, target = make_pair(0.9, (0.5, 1.0))
    second = (first[0][::-1] + 1, -3 * first[1][::-1])
    result = transfer_between_arrays([first, second], target, n_splits=4)
    single = transfer_between_arrays(first, target, n_splits=4)
    assert result.n_sources == (300, 300) and result.cosine[0] == pytest.approx(-result.cosine[1])
    assert result.risk_multi == pytest.approx(single.risk_multi, rel=0.05)
    assert "\nsource 1: 300 rows" in str(result) and "\nsource 2: 300 rows" in str(result)


# invariances

PAIR = make_pair(0.7, (0.3, 0.8))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda X, y: (X, -y), id="sign"),
        pytest.param(lambda X, y: (X, 1000 * y + 7), id="label units"),
        pytest.param(lambda X, y: (X[::-1], y[::-1]), id="order of rows"),
        pytest.param(lambda X, y: (X + 3, y), id="offset"),
    ],
)
def test_changes_of_the_source_that_change_nothing(change):
    source, target = PAIR
    before, after = (transfer_between_arrays(task, target, n_splits=5) for task in (source, change(*source)))
    np.testing.assert_allclose(before.gains, after.gains, rtol=1e-6)
    assert before.similarity == pytest.approx(after.similarity)


def test_units_of_features_change_nothing_and_of_labels_the_gain_only():
    (X1, y1), (X2, y2) = PAIR
    units = np.geomspace(0.01, 100, N_FEATURES)
    before = transfer_between_arrays((X1, y1), (X2, y2), n_splits=5)
    np.testing.assert_allclose(
        transfer_between_arrays((X1 * units, y1), (X2 * units, y2), n_splits=5).gains, before.gains, rtol=1e-6
    )
    np.testing.assert_allclose(
        transfer_between_arrays((X1, y1), (X2, 10 * y2 - 4), n_splits=5).gains, 100 * before.gains, rtol=1e-6
    )


def test_same_key_same_numbers_and_another_key_others():
    results = [transfer_between_arrays(*PAIR, n_splits=4, key=jax.random.key(k)).gains for k in (0, 0, 1)]
    assert np.array_equal(results[0], results[1]) and not np.array_equal(results[0], results[2])


# real data


def digits_task(rows, digit):
    X, y = DIGITS
    return X[rows], (y[rows] == digit).astype(float)


DIGITS = pytest.importorskip("sklearn.datasets").load_digits(return_X_y=True)
HALVES = np.array_split(np.random.default_rng(0).permutation(len(DIGITS[1])), 2)


def test_the_same_digit_helps_and_another_hurts():
    """Is it a 3? 50 of 898 images train. The other half labelled 3 takes the error from 0.064 to 0.045, labelled 8 to 0.089."""
    target = digits_task(HALVES[1], 3)
    same, other = (
        transfer_between_arrays(digits_task(HALVES[0], digit), target, target_samples=50, n_splits=30) for digit in (3, 8)
    )
    assert same.word == same.accuracy_gain.word == "positive" and same.cosine[0] > 0.8
    assert other.word == other.accuracy_gain.word == "negative" and other.cosine[0] < 0
    assert same.similarity == other.similarity and same.similarity_normalized[0] > 0.9 > 0.5 > same.similarity[0]
    assert same.accuracy_multi - same.accuracy_single == pytest.approx(same.accuracy_gain.mean)
    assert not same.statuses and not other.statuses


# precision, degenerate data, output


def test_float32_works_and_says_so():
    with jax.enable_x64(False):
        result = transfer_between_arrays(*PAIR, n_splits=3)
    exact = transfer_between_arrays(*PAIR, n_splits=3)
    assert result.precision == "float32" and "jax_enable_x64" in str(result)
    np.testing.assert_allclose(result.risk_single, exact.risk_single, rtol=1e-3)


def test_no_ridge_and_too_few_rows_is_counted_not_hidden():
    source, target = make_pair(0.7, (0.3, 0.8), (3, 6))
    result = transfer_between_arrays(source, target, target_samples=4, n_splits=3, ridge=0.0)
    assert result.statuses == {"degenerate": 3} and result.word == "undecided" and np.isnan(result.gains).all()
    assert "3 of 3 splits: degenerate" in str(result) and "no split gave a finite answer" in str(result)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["risk_multi"] is None


def test_splits_without_the_rare_label_are_no_trouble():
    source, (X, _) = make_pair(1.0, (0.1, 0.5), *FEW)
    result = transfer_between_arrays(source, (X, np.arange(200) < 10), n_splits=30, target_samples=15)
    assert np.isfinite(result.gains).all() and (result.gains == 0).sum() >= 5 and result.accuracy_gain is not None


def test_output():
    source, (X, y) = PAIR
    result = transfer_between_arrays(source, (X, (y > 0).astype(int)), n_splits=5)
    text, plain = str(result), result.to_dict()
    assert text.splitlines()[-1] == result.sentence == plain["sentence"] and result.sentence.count(". ") == 0
    assert "accuracy" in text and "48 rows to train, 12 to test, 5 splits, 8 features, rank 1" in text
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain and plain["word"] == result.word and len(plain["gains"]) == 5
    assert transfer_between_arrays(*PAIR, n_splits=2).accuracy_gain is None


# bad input

X, Y = PAIR[1]
HOLED = np.where(np.arange(N_TARGET)[:, None] == 3, np.nan, X)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"target": (HOLED, Y)}, r"^target's X must be finite, but holds NaN or infinity in 1 of 60 rows; "),
        ({"target": (X, np.where(np.arange(N_TARGET) == 5, np.inf, Y))}, r"^target's y must be finite"),
        ({"target": (X, Y[:-1])}, r"^target's y must be as long as X, 60 rows, but is of length 59; "),
        ({"target": (X, Y[:, None])}, r"^target's y must be of shape \(m,\), but is of shape \(60, 1\); "),
        ({"target": (X[:, 0], Y)}, r"^target's X must be of shape \(m, d\)"),
        ({"target": (X[:, :3], Y)}, r"^source must be of 3 features like target, but is of 8; "),
        ({"target": (X, np.ones(N_TARGET))}, r"^target's y must be of labels that differ, but is 1 in every row; "),
        ({"target": (np.ones_like(X), Y)}, r"^target's X must be of rows that differ"),
        ({"target": (X[:2], Y[:2])}, r"^target's X must be at least 3 rows, but is 2; "),
        ({"target": (X[:, :0], Y)}, r"^target's X must be at least one column"),
        ({"target": (X.astype(str), Y)}, r"^target's X must be made of real numbers, but is of type <U32; "),
        ({"target": ([[1, 2], [3]], [1, 2])}, r"^target's X must be an array, but its rows have different lengths; "),
        ({"target": X}, r"^target must be a pair \(X, y\), but is of type ndarray; "),
        ({"target": (X, Y, Y)}, r"^target must be a pair \(X, y\), but is 3 things; "),
        ({"source": PAIR[1]}, r"^source must be made of other rows than target"),
        ({"source": []}, r"^source must be a pair \(X, y\) or a list of them, but is empty; "),
        ({"source": [PAIR[0], (HOLED, Y)]}, r"^source\[1\]'s X must be finite"),
        ({"target_samples": 60}, r"^target_samples must be a whole number from 2 to 59, but is 60; "),
        ({"target_samples": 1}, r"^target_samples must be a whole number from 2 to 59, but is 1; "),
        ({"target_samples": 20.0}, r"^target_samples must be a whole number from 2 to 59, but is 20.0; "),
        ({"target_samples": True}, r"^target_samples must be a whole number"),
        ({"rank": 2}, r"^rank must be a whole number from 1 to 1 for 2 tasks, but is 2; use 1"),
        ({"rank": 0}, r"^rank must be a whole number"),
        ({"n_splits": 1}, r"^n_splits must be a whole number, at least 2, but is 1; "),
        ({"level": 95}, r"^level must be between 0 and 1, but is 95; "),
        ({"level": "0.95"}, r"^level must be between 0 and 1"),
        ({"key": 0}, r"^key must be a new-style key, but is int; "),
        ({"key": jax.random.split(jax.random.key(0))}, r"^key must be one key"),
        ({"ridge": "gcv"}, r"^ridge must be 'loo', one number, or one per task, but is 'gcv'; "),
        ({"ridge": -1.0}, r"^ridge must be numbers >= 0"),
        ({"ridge": [1.0, 2.0, 3.0]}, r"^ridge must be one number or 2"),
        ({"source": [PAIR[0], (X[::-1], Y)], "rank": 2}, r"^ridge must be numbers with rank above 1, but is 'loo'; "),
    ],
)
def test_bad_input_is_one_sentence(arguments, says):
    with pytest.raises(ValueError, match=says) as error:
        untyped(transfer_between_arrays)(**({"source": PAIR[0], "target": PAIR[1]} | arguments))
    assert str(error.value).endswith(".") and "\n" not in str(error.value)


# files


def test_files_become_text_or_json(tmp_path):
    for name, (rows, labels) in zip(("source", "target"), PAIR, strict=True):
        np.savez(tmp_path / f"{name}.npz", X=rows, y=labels, note=np.array(3))
    paths = tmp_path / "source.npz", tmp_path / "target.npz"
    assert all(np.array_equal(a, b) for a, b in zip(load_task(str(paths[0])), PAIR[0], strict=True))
    expected = transfer_between_arrays(*PAIR, n_splits=3, key=jax.random.key(5))
    assert run_files(*paths, n_splits=3, seed=5) == str(expected)
    assert json.loads(run_files(*paths, n_splits=3, seed=5, as_json=True)) == expected.to_dict()


class Trap:
    """Unpickling this would fail the test."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def spoil(path, kind):
    np.savez(path, X=X, y=Y)
    whole = path.read_bytes()
    if kind == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "flipped":
        path.write_bytes(whole[:400] + bytes([whole[400] ^ 255]) + whole[401:])
    elif kind == "text":
        path.write_text("X,y\n1,2\n")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "pickle":
        path.write_bytes(pickle.dumps(Trap()))
    elif kind == "objects":
        np.savez(path, X=np.array([[Trap()]], dtype=object), y=Y)
    elif kind == "bare":
        with open(path, "wb") as file:
            np.save(file, X)
    elif kind == "other names":
        np.savez(path, features=X, labels=Y)
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("X", "text")
            archive.writestr("y", "text")
    elif kind == "header":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("X.npy", b"\x93NUMPY\x01\x00")
            archive.writestr("y.npy", b"\x93NUMPY\x01\x00")
    elif kind == "missing":
        path.unlink()
    elif kind == "folder":
        path.unlink()
        path.mkdir()


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("truncated", "truncated or something else"),
        ("flipped", "truncated or something else"),
        ("text", "truncated or something else"),
        ("empty", "truncated or something else"),
        ("pickle", "truncated or something else"),
        ("objects", "X in .* is of Python objects, which are not loaded"),
        ("bare", "holds one bare array"),
        ("other names", "with the arrays features, labels; save one with"),
        ("zip", "where X is something else"),
        ("header", "X in .* is damaged"),
        ("missing", "which is not there"),
        ("folder", "which is a folder"),
    ],
)
def test_bad_files_are_one_sentence(kind, says, tmp_path):
    path = tmp_path / "task.npz"
    spoil(path, kind)
    with pytest.raises(ValueError, match=rf"^path must be .*{says}") as error:
        load_task(path)
    assert str(error.value).endswith(".") and "\n" not in str(error.value)
