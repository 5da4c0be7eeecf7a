"""Gain by target rows: its errors by refits in NumPy, its crossing by hand, its doors."""

import json

import numpy as np
import pytest
from conftest import close, untyped
from oracles import mixing_weights

import mtlsim as mtl
from mtlsim import cli
from mtlsim.arrays.curve import LEARNERS, crossing
from mtlsim.arrays.reasons import WORDS_USED
from mtlsim.arrays.study import Study
from mtlsim.arrays.together import Target

RNG = np.random.default_rng(2)
D = 8
FIRST, OTHER = RNG.normal(size=(2, D))


def rows(n, theta, rng=RNG):
    X = rng.normal(size=(n, D)) + 2
    return X, X @ theta + rng.normal(size=n) - 5


TASKS = {"a": rows(120, FIRST), "b": rows(200, FIRST + 0.1 * OTHER), "c": rows(60, OTHER)}
SCALE = np.sqrt(np.mean([np.var(X, 0) for X, _ in TASKS.values()], 0))
STUDY = mtl.compare_tasks(TASKS, targets=["a", "c"], n_splits=15, curve=(8, 40, 90))


def test_pooled_errors_are_those_of_one_regression_of_all_rows(monkeypatch):
    """Sources less their means, labels in units of their spread, columns of equal mean variance, ridges as the sources chose."""
    kept = []
    original = Target.__init__
    monkeypatch.setattr(Target, "__init__", lambda self, *given: (original(self, *given), kept.append(self))[0])
    study = mtl.compare_tasks(TASKS, targets="a", n_splits=3, curve=[20])
    (one,) = kept
    X, y = TASKS["a"][0] / SCALE, TASKS["a"][1]
    ridge = np.mean([one.together.ways.sources[s].ridge for s in (1, 2)])
    gains = []
    for order in np.stack([np.concatenate(parts) for parts in zip(one.plan.trains, one.plan.tests, strict=True)]):
        train, test = order[:20], order[20:]
        spread = y[train].std()
        gram, cross = ridge * np.eye(D), np.zeros(D)
        parts = [(Z / SCALE, w / w.std()) for Z, w in (TASKS["b"], TASKS["c"])] + [(X[train], y[train] / spread)]
        for Z, w in parts:
            gram, cross = gram + (Z - Z.mean(0)).T @ (Z - Z.mean(0)), cross + (Z - Z.mean(0)).T @ (w - w.mean())
        theta = spread * np.linalg.solve(gram, cross)
        pooled = np.mean((y[train].mean() + (X[test] - X[train].mean(0)) @ theta - y[test]) ** 2)
        own = alone(X[train], y[train])
        gains.append(np.mean((y[train].mean() + (X[test] - X[train].mean(0)) @ own - y[test]) ** 2) - pooled)
    close(float(study.data.curve_gain.sel(learner="pooled")[0, 0]), np.mean(gains), 4)
    assert float(study.data.curve_rows[0, 0]) == 20


def alone(X, y):
    """Ridge regressions mixed by the errors of refits without each row."""
    size = np.mean([np.sum(np.var(Z / SCALE, 0)) for Z, _ in TASKS.values()])
    fit = lambda A, b, ridge: np.linalg.solve(
        (A - A.mean(0)).T @ (A - A.mean(0)) + ridge * np.eye(D), (A - A.mean(0)).T @ (b - b.mean())
    )
    ridges, errors = size * 10.0 ** np.arange(-2, 4.5, 0.5), []
    for ridge in ridges:
        left = [(np.delete(X, i, 0), np.delete(y, i)) for i in range(len(y))]
        errors.append([y[i] - b.mean() - (X[i] - A.mean(0)) @ fit(A, b, ridge) for i, (A, b) in enumerate(left)])
    weights = mixing_weights(np.array(errors), np.full(len(ridges), 1 / len(ridges)))
    return sum(weight * fit(X, y, ridge) for weight, ridge in zip(weights, ridges, strict=True))


def test_a_like_source_helps_few_rows_and_pooling_strangers_hurts():
    data = STUDY.data
    np.testing.assert_array_equal(data.curve_rows.values, [[8, 40, 90], [8, 40, np.nan]])  # the second has sixty rows
    gain, own = data.curve_gain.sel(task="a").values, data.curve_alone.sel(task="a").values
    assert gain[0, 0] / own[0] > 0.3 and gain[0, 0] > gain[0, 1] > gain[0, 2] and own[0] > own[1] > own[2]
    assert (data.curve_low <= data.curve_gain).where(data.curve_gain.notnull(), True).all()
    assert (abs(data.curve_sign_joint) <= abs(data.curve_sign)).all()
    assert data.curve_sign_joint.sel(task="c", learner="pooled")[1] == -1 == STUDY.crossing("c", "pooled").first
    assert STUDY.crossing("a").first == 1 and "helps" in STUDY.crossing("a").sentence
    assert "  a, mixture: 8: +" in str(STUDY) and len(STUDY.to_dict()["curve_gain"]) == 2
    assert "curve_gain" not in mtl.compare_tasks(TASKS, targets="c", n_splits=2).data


def test_pooling_is_one_word_and_what_it_does_otherwise_has_its_reason():
    assert not set(LEARNERS) & {*STUDY.data.way.values} and set(STUDY.data.learner.values) <= {*WORDS_USED, "mixture"}
    assert "pooled:" in str(STUDY) and STUDY.to_dict()["words"] == WORDS_USED
    data = STUDY.data.copy(deep=True)
    data["gain"][:], data["sign"][:] = 1.0, 1  # so that the advice is to learn with somebody
    sources = ", ".join(Study(data).best("c").sources)
    wanted = f"c is hurt by pooling at 40 rows, and learns with {sources}: pooling counts their rows as its own"
    data["curve_sign_joint"].loc[{"task": "c", "learner": "pooled"}] = [0, -1, 0]
    assert any(one.startswith(wanted) for one in Study(data).reasons)
    assert wanted in Study(data).to_frame()["reasons"]["c"] and "hurts at 40 rows" in Study(data).to_frame()["pooled"]["c"]
    data["gain"][:], data["curve_sign_joint"].loc[{"task": "c", "learner": "pooled"}] = -1.0, [1, 0, 0]
    assert any(one.startswith("c is helped by pooling at 8 rows, but left alone") for one in Study(data).reasons)


@pytest.mark.parametrize(
    ("rows", "gains", "signs", "wanted"),
    [
        ([10, 100, 1000], [2, 0.5, -1], [1, 0, -1], (1, 10 ** (2 + 1 / 3), 10, 1000, "helps below about 215 rows and hurts above")),
        ([10, 100], [-1, 3], [-1, 1], (-1, 10**1.25, 10, 100, "hurts below about 17.8 rows and helps above (10 to 100)")),
        ([10, 100, np.nan], [1, 1, np.nan], [1, 1, 0], (1, np.nan, np.nan, np.nan, "helps from 10 to 100 rows")),
        ([10, 100, 200], [1, 1, 0.1], [0, 1, 0], (1, np.nan, np.nan, np.nan, "helps at 100 rows, undecided elsewhere")),
        ([10, 100, 1000], [3, 1, -1], [1, 0, 0], (1, 10**2.5, np.nan, np.nan, "elsewhere; the mean gain turns at about 316 rows")),
        ([10, 100, 1000], [-1, 1, -1], [0, 0, 0], (0, np.nan, np.nan, np.nan, "undecided from 10 to 1000 rows")),
        ([10, 100], [1, 1], [0, 0], (0, np.nan, np.nan, np.nan, "undecided from 10 to 100 rows")),
        ([10, 20, 30], [1, -1, 1], [1, -1, 1], (1, np.nan, np.nan, np.nan, "the sign turns more than once")),
    ],
)
def test_where_the_sign_turns(rows, gains, signs, wanted):
    found = crossing(np.asarray(rows, float), np.asarray(gains, float), np.asarray(signs))
    assert found[:4] == pytest.approx(wanted[:4], nan_ok=True)
    assert wanted[4] in found.sentence


@pytest.mark.parametrize(
    ("curve", "sentence"),
    [
        ([10, 2], "curve must be True, False or different whole numbers from 3, but is [10, 2]"),
        ([10, 10], "curve must be True, False or different whole numbers"),
        ([], "curve must be True, False or different whole numbers"),
        ("all", "curve must be True, False or different whole numbers"),
        ([500], "curve must be numbers below the 120 rows of a, at least one of them, but is [500]"),
    ],
)
def test_bad_steps_are_one_sentence(curve, sentence):
    with pytest.raises(ValueError) as error:
        untyped(mtl.compare_tasks)(TASKS, targets="a", n_splits=2, curve=curve)
    assert sentence in str(error.value)


def test_a_study_without_a_curve_says_how_to_get_one():
    plain = mtl.compare_tasks(TASKS, targets="c", n_splits=2)
    with pytest.raises(ValueError, match="study must be one with a curve, but is one without; pass curve=True to compare_tasks"):
        plain.crossing("c")
    with pytest.raises(ValueError, match="learner must be one of the known names"):
        STUDY.crossing("a", "poled")


def test_from_files_to_a_picture(tmp_path, capsys):
    for name in "ac":
        np.savez(tmp_path / f"{name}.npz", X=TASKS[name][0], y=TASKS[name][1])
    out = str(tmp_path / "study.nc")
    assert cli.main(["compare", str(tmp_path), "--target", "a", "--splits", "3", "--curve", "--out", out, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["curve_rows"][0]) == 5 and told["curve_rows"][0][-1] == 96
    assert cli.main(["plot", out]) == 0
    assert (tmp_path / "study.png").exists() and (tmp_path / "study-curve.png").stat().st_size > 10_000
