"""Affinities by loops of plain NumPy, and how they are scored against gains on rows held out."""

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from conftest import Z_LIMIT, close, z_score
from scipy import stats
from sklearn.metrics import roc_auc_score

import mtlsim as mtl
from mtlsim import cli
from mtlsim.arrays.affinity import ALL, _score
from mtlsim.experiments.affinity_bench import SHOWN, areas
from mtlsim.samples.moments import Moments, stack
from mtlsim.solvers.affinities import N_STEPS, NAMES, affinities
from mtlsim.theory.statements.gain_estimate import estimate_gain
from mtlsim.theory.statements.sets_from_pairs import from_ones_and_twos, risk_of_sets

RNG = np.random.default_rng(7)
D = 5


def rows(n, theta, noise=0.5, d=D):
    X = RNG.normal(size=(n, d)) * np.linspace(1, 2, d)
    return X, X @ theta + noise * RNG.normal(size=n)


def sums(X, y):
    return X.T @ X, X.T @ y, float(y @ y), float(len(y))


FIRST, SECOND = rows(40, RNG.normal(size=D)), rows(25, RNG.normal(size=D))
SOLUTIONS = tuple(np.linalg.lstsq(*pair, rcond=None)[0] for pair in (FIRST, SECOND))
FOUND = affinities(sums(*FIRST), sums(*SECOND), SOLUTIONS, np.eye(D))


def cosine(a, b):
    return a @ b / np.sqrt(a @ a * b @ b)


def test_cosines_are_cosines():
    close(FOUND["cross cosine"], cosine(FIRST[0].T @ FIRST[1], SECOND[0].T @ SECOND[1]))
    close(FOUND["solution cosine"], cosine(*SOLUTIONS))


def test_what_is_averaged_over_the_descent_is_what_steps_on_rows_meet():
    """One step after another on the rows, each loss its mean of squares."""
    loss = lambda task, theta: np.mean((task[0] @ theta - task[1]) ** 2)
    slope = lambda task, theta: 2 * task[0].T @ (task[0] @ theta - task[1]) / len(task[1])
    curvature = sum(X.T @ X / len(X) for X, _ in (FIRST, SECOND))
    rate, theta = 1 / (2 * np.linalg.eigvalsh(curvature)[-1]), np.zeros(D)
    cosines, ahead = [], []
    for _ in range(N_STEPS):
        slopes = slope(FIRST, theta), slope(SECOND, theta)
        cosines.append(cosine(*slopes))
        ahead.append(1 - loss(SECOND, theta - rate * slopes[0]) / loss(SECOND, theta))
        theta = theta - rate * (slopes[0] + slopes[1])
    close(FOUND["gradient cosine"], np.mean(cosines))
    close(FOUND["first lookahead"], ahead[0])
    close(FOUND["lookahead"], np.mean(ahead))


def test_the_gain_estimate_is_that_of_the_statement_and_is_unbiased_in_fewer_directions():
    moments = stack([Moments(*map(jnp.asarray, sums(*task))) for task in (FIRST, SECOND)])
    close(FOUND["gain estimate"], float(estimate_gain(moments, jnp.asarray(SECOND[0].T @ SECOND[0] / 25))))
    few = np.linalg.qr(RNG.normal(size=(D, 2)))[0]
    within = [sums(X @ few, y) for X, y in (FIRST, SECOND)]
    close(
        affinities(sums(*FIRST), sums(*SECOND), SOLUTIONS, few)["gain estimate"],
        affinities(*within, tuple(few.T @ one for one in SOLUTIONS), np.eye(2))["gain estimate"],
    )
    short = affinities(sums(*FIRST), sums(SECOND[0][:D], SECOND[1][:D]), SOLUTIONS, np.eye(D))
    assert np.isnan(short["gain estimate"]) and all(np.isfinite(short[name]) for name in NAMES[:-1])


def test_traced_arrays_give_the_same():
    given = [tuple(map(jnp.asarray, task)) for task in (sums(*FIRST), sums(*SECOND))]
    traced = affinities(*given, tuple(map(jnp.asarray, SOLUTIONS)), jnp.eye(D))
    for name in NAMES:
        close(np.asarray(traced[name]), FOUND[name])


def test_tasks_without_a_signal_have_no_affinity():
    nothing = sums(FIRST[0], 0 * FIRST[1])
    found = affinities(nothing, sums(*SECOND), (0 * SOLUTIONS[0], SOLUTIONS[1]), np.eye(D))
    assert found["cross cosine"] == found["solution cosine"] == found["first lookahead"] == 0


def test_scores_are_those_of_an_independent_library():
    affinity, gains = RNG.normal(size=30), RNG.normal(size=30)
    affinity[3] = affinity[4]
    rank, area = _score(affinity, gains)
    assert rank == pytest.approx(stats.spearmanr(affinity, gains).statistic)
    assert area == pytest.approx(roc_auc_score(gains > 0, affinity))
    assert np.isnan(_score(affinity, np.abs(gains))[1]) and np.isnan(_score(0 * affinity, gains)).all()
    assert _score(np.r_[affinity, np.nan], np.r_[gains, 1.0]) == (rank, area)


CENTRES = RNG.normal(size=(2, D))
TASKS = {f"{k}": rows(90, CENTRES[k % 2] + 0.2 * RNG.normal(size=D), 2.0) for k in range(4)}


@pytest.fixture(scope="module")
def study():
    return mtl.compare_tasks(TASKS, n_splits=4, affinities=True)


def test_a_study_scores_every_affinity(study):
    data = study.affinities
    assert list(data.affinity.values) == list(ALL) and data.affinity_value.shape == (8, 4, 4)
    alike = np.equal.outer(np.arange(4) % 2, np.arange(4) % 2) & ~np.eye(4, dtype=bool)
    for name in ("cross cosine", "solution cosine", "lookahead", "gain estimate", "surrogate"):
        values = data.affinity_value.sel(affinity=name).values
        assert np.isnan(np.diag(values)).all() and values[alike].min() > np.nanmax(values[~alike])
    areas = data.affinity_area.sel(learner="pooled")  # by chance 0.5, with a spread of 0.2
    assert areas.sel(affinity=["cross cosine", "solution cosine", "lookahead", "gain estimate", "surrogate"]).mean() > 0.65
    score = mtl.covariance_similarity(TASKS["0"][0], TASKS["3"][0], normalized=True, centred=True)
    assert data.affinity_value.sel(affinity="covariance similarity", source="0", task="3") == pytest.approx(float(score), abs=0.02)
    assert "  solution cosine" in str(study) and "affinities of 12 ordered pairs" in str(study)
    assert np.shape(study.to_dict()["affinity_rank"]) == (8, 2)


def test_affinities_do_not_see_the_labels_that_they_foretell(monkeypatch):
    """Other labels on the second halves, of the same mean and spread, change gains but no affinity."""
    from mtlsim.arrays import affinity
    from mtlsim.arrays.gather import gather
    from mtlsim.arrays.learners import METHODS
    from mtlsim.arrays.together import Table, Target

    monkeypatch.setattr(affinity, "HALVES", 1)
    table = Table(gather(TASKS), METHODS)
    target = Target(table, 0, None, 2, np.arange(2, dtype=np.uint32))
    before = affinity.score_affinities(table, [target])
    later = np.concatenate([target.plan.trains[0], target.plan.tests[0]])[45:]
    target.y = target.y.copy()
    target.y[later] = target.y[later[::-1]]
    after = affinity.score_affinities(table, [target])
    np.testing.assert_array_equal(before["affinity_value"][1][1:], after["affinity_value"][1][1:])
    assert (np.abs(before["affinity_gain"][1] - after["affinity_gain"][1])[:, 1:, 0] > 1e-3).all()


def test_fewer_rows_than_features_are_looked_at_in_few_directions():
    wide = {name: rows(20, RNG.normal(size=30), d=30) for name in "abc"}
    data = mtl.compare_tasks(wide, n_splits=2, affinities=True).data
    assert np.isfinite(data.affinity_value.sel(affinity="gain estimate")).sum() == 6


def test_bad_questions_are_one_sentence(tmp_path, capsys):
    with pytest.raises(ValueError, match="affinities must be asked of 3 to 12 tasks, but is asked of 2; leave it out"):
        mtl.compare_tasks({name: TASKS[name] for name in "01"}, affinities=True)
    with pytest.raises(ValueError, match="study must be one with affinities, but is one without"):
        mtl.compare_tasks({name: TASKS[name] for name in "01"}, n_splits=2).affinities  # noqa: B018
    for name in "01":
        np.savez(tmp_path / f"{name}.npz", X=TASKS[name][0], y=TASKS[name][1])
    assert cli.main(["compare", str(tmp_path), "--affinities"]) == 2
    assert "affinities must be asked of 3 to 12 tasks" in capsys.readouterr().err


# --------------------------------------------------------------------------------------------------- exact gains of all sets
def test_the_bench_is_made_of_pooled_regressions_of_many_draws():
    """Exact risks of sets against least squares of the rows themselves, over 1500 draws of them."""
    n, noise, deltas = np.array([12.0, 7.0, 15.0]), np.array([0.4, 1.5, 0.7]), np.vstack([RNG.normal(size=(2, D)) / 3, np.zeros(D)])
    sets = np.array([[0, 0, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]], float)
    wanted, risks = np.asarray(risk_of_sets(jnp.asarray(sets), n, jnp.asarray(deltas), noise, D)), []
    for _ in range(1500):
        tasks = [rows_of(int(size), delta, spread) for size, delta, spread in zip(n, deltas, noise, strict=True)]
        fits = []
        for chosen in sets.astype(bool):
            X, y = (np.concatenate([task[i] for task, taken in zip(tasks, chosen, strict=True) if taken]) for i in (0, 1))
            fits.append(np.sum(np.linalg.lstsq(X, y, rcond=None)[0] ** 2))  # the target's own parameters are zero
        risks.append(fits)
    assert (np.abs(z_score(np.asarray(risks), wanted)) < Z_LIMIT).all()


def rows_of(n, theta, noise):
    X = RNG.normal(size=(n, D))
    return X, X @ theta + noise * RNG.normal(size=n)


def test_ones_and_twos_are_enough_and_needed():
    n, noise = jnp.asarray([12.0, 30.0, 9.0, 25.0, 40.0]), jnp.asarray([0.4, 1.5, 0.7, 1.0, 0.2])
    deltas = jnp.asarray(np.vstack([RNG.normal(size=(4, D)), np.zeros(D)]))
    pair = lambda i, j: [float(k in (i, j, 4)) for k in range(5)]
    risk = lambda sets: risk_of_sets(jnp.asarray(sets), n, deltas, noise, D)
    twos = risk([pair(i, j) for i in range(4) for j in range(4)]).reshape(4, 4)
    whole = float(risk([[1.0] * 5])[0])
    close(float(from_ones_and_twos(jnp.diagonal(twos), twos, n, noise, D)), whole)
    assert abs(float(from_ones_and_twos(jnp.diagonal(twos), 1.01 * twos, n, noise, D)) / whole - 1) > 1e-3


def test_the_bench_scores_as_independent_libraries_do():
    """Areas over all pairs; their error against the spread over bench after bench; NaN where all help."""
    values, gains = RNG.normal(size=(40, 10)) + RNG.normal(size=(40, 1)), RNG.normal(size=(40, 10))
    parts = lambda values, gains: {**dict.fromkeys(SHOWN, values), "share": gains}.items()
    axes = ("lowest", "seed", "source")
    bench = lambda *given: xr.Dataset({name: (axes, part[None]) for name, part in parts(*given)}, {"lowest": [0.5]})
    found, error = areas(bench(values, gains), 0.5)["lookahead"]
    assert found == pytest.approx(roc_auc_score(gains.ravel() > 0, values.ravel()))
    again = []
    for _ in range(200):
        chosen = RNG.integers(0, 40, 40)
        again.append(roc_auc_score(gains[chosen].ravel() > 0, values[chosen].ravel()))
    assert 0.7 < error / np.std(again) < 1.4
    assert np.isnan(areas(bench(values, np.abs(gains)), 0.5)["lookahead"]).all()
