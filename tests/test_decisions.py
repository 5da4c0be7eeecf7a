"""What stands beside an accuracy and a ridge: metrics that rare labels do not fool, and a comparison that tuned both sides."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, stats
from sklearn.linear_model import Ridge
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss, roc_auc_score

import mtlsim as mtl
from mtlsim.arrays.decisions import decisions
from mtlsim.arrays.gather import gather
from mtlsim.arrays.learners import METHODS
from mtlsim.arrays.metrics import (
    areas_under_the_curve,
    balanced_decisions,
    base_rate,
    base_rate_interval,
    log_losses,
    logistic_curve,
    right_decisions,
)
from mtlsim.arrays.pairs import transfer_between_arrays
from mtlsim.arrays.resampling import Splits
from mtlsim.arrays.splits import compare
from mtlsim.arrays.together import Table, Target
from mtlsim.core.keys import stream

RNG = np.random.default_rng(0)
D, N = 10, 60


def scores_and_labels(n_splits=5, n=400, share=0.1, tied=False):
    positive = RNG.random((n_splits, n)) < share
    scores = RNG.normal(size=positive.shape) + positive
    return (np.round(scores) if tied else scores), positive


@pytest.mark.parametrize("tied", [False, True])
def test_every_metric_is_that_of_an_independent_library(tied):
    scores, positive = scores_and_labels(tied=tied)
    balanced, areas = balanced_decisions(scores, positive, 0.5).mean(1), areas_under_the_curve(scores, positive).mean(1)
    for s, p, right, one, area in zip(scores, positive, right_decisions(scores, positive, 0.5), balanced, areas, strict=True):
        assert right.mean() == pytest.approx(accuracy_score(p, s > 0.5))
        assert one == pytest.approx(balanced_accuracy_score(p, s > 0.5)) and area == pytest.approx(roc_auc_score(p, s))


def test_the_spread_of_the_rows_is_that_of_the_metric():
    """Influence values: their variance over the rows, over n, is the variance of the metric over samples."""
    scores, positive = scores_and_labels(3000, 300, 0.2)
    for values in (balanced_decisions(scores, positive, 0.5), areas_under_the_curve(scores, positive)):
        told, found = np.mean(np.var(values, 1, ddof=1)) / values.shape[1], np.var(values.mean(1))
        assert 0.9 < told / found < 1.1


def test_a_split_without_a_label_has_no_answer_and_a_constant_score_is_worth_nothing():
    scores, positive = scores_and_labels(2, 8, 0.5)
    positive[0], positive[1] = False, np.arange(8) < 2
    for values in (balanced_decisions(scores, positive, 0.5), areas_under_the_curve(scores, positive)):
        assert np.isnan(values[0]).all() and np.isfinite(values[1]).all()
    never = np.zeros((1, 8))
    assert right_decisions(never, positive[1:], 0.5).mean() == base_rate(positive[1:]) == 0.75
    assert balanced_decisions(never, positive[1:], 0.5).mean() == areas_under_the_curve(never, positive[1:]).mean() == 0.5


def rare_task(seed, n=N):
    """Labels of which a tenth is 1, and that the features hardly tell."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, D))
    return X, (0.6 * X[:, 0] + rng.normal(size=n) > 1.5).astype(float)


@pytest.fixture(scope="module")
def chosen():
    return transfer_between_arrays(rare_task(1), rare_task(2), n_splits=6, target_samples=40)


def test_the_accuracy_of_rare_labels_stands_beside_what_always_no_has(chosen):
    text = str(chosen)
    assert chosen.base_rate > 0.8 and f"always the more frequent label: accuracy {chosen.base_rate:.4g}" in text
    assert "balanced acc." in text and "AUC" in text
    loss = chosen.log_loss
    assert loss.single - loss.multi == pytest.approx(loss.gain.mean) and chosen.to_dict()["log_loss"]["single"] == loss.single
    assert loss.gain.low < loss.gain.mean < loss.gain.high and "\nlog loss " in text
    for found in (chosen.balanced, chosen.area):
        assert found.multi - found.single == pytest.approx(found.gain.mean) and found.gain.low < found.gain.mean < found.gain.high
        assert 0.3 < found.single < 1
    assert chosen.to_dict()["area"]["gain"]["level"] == 0.95
    numbers = transfer_between_arrays(rare_task(1), (rare_task(2)[0], RNG.normal(size=N)), n_splits=2, target_samples=40)
    assert numbers.balanced is numbers.area is numbers.base_rate is numbers.log_loss is None and "AUC" not in str(numbers)


def test_ridges_are_told_in_the_units_in_which_they_are_given(chosen):
    given = transfer_between_arrays(rare_task(1), rare_task(2), n_splits=2, target_samples=40, ridge=[7.0, 2.5])
    assert given.ridge_single == given.ridge_multi == 2.5
    again = transfer_between_arrays(rare_task(1), rare_task(2), n_splits=2, target_samples=40, ridge=[7.0, chosen.ridge_single])
    assert again.tuned is not None and chosen.tuned is None and again.log_loss is None and "log loss" not in str(again)
    assert again.ridge_single == chosen.ridge_single > 0.1


def test_what_is_said_of_rows_left_out_is_that_of_refits(chosen):
    """Alone: ridge regressions in scikit-learn without each row; together: the same of the head on the source's direction, which
    nearly all of 4000 source rows decide. The log losses are those of an independent library.
    """
    rng, n = np.random.default_rng(0), 400
    A, X = rng.normal(size=(n, D)), rng.normal(size=(n, D))
    a, y = A[:, 0] * 1e3, (X[:, 0] + 0.7 * rng.normal(size=n) > 0).astype(float)
    train = rng.permutation(n)[:40]
    rest = np.setdiff1d(np.arange(n), train)
    found = compare(((jnp.asarray(A), jnp.asarray(a)),), (jnp.asarray(X), jnp.asarray(y)), train, rest, None, rank=1)
    scale = np.sqrt((np.var(A, 0) + np.var(X[train], 0)) / 2)
    Z, labels = X[train] / scale, y[train]
    for i in (0, 7, 31):
        kept = np.arange(40) != i
        model = Ridge(alpha=float(found.ridge_alone)).fit(Z[kept], labels[kept])
        assert float(found.left[0, i]) == pytest.approx(float(model.predict(Z[i : i + 1])[0]), rel=1e-8)
    errors = np.mean((np.asarray(found.left) - labels) ** 2, 1)
    held_out = [np.mean((np.asarray(one) - y[rest]) ** 2) for one in (found.alone, found.together)]
    assert (errors < np.var(labels)).all() and held_out[1] < held_out[0] < np.var(y)


def noise_task(seed, n):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, D)), rng.normal(size=n)


def test_an_untuned_comparison_is_no_verdict():
    """Noise beside noise: at a small ridge any sharing beats overfitting alone, and a ridge alone would have done as well."""
    source, target = noise_task(3, 300), noise_task(4, 300)
    given = transfer_between_arrays(source, target, n_splits=20, target_samples=15, ridge=0.01)
    assert given.gain.mean > 0.2 + max(0, given.tuned.gain.mean) and given.tuned.gain.sign <= 0  # of a risk near 1
    sure = replace(given, gain=replace(given.gain, sign=1))
    assert sure.word == "undecided" and replace(sure, tuned=None).word == "positive"
    assert replace(given, gain=replace(given.gain, sign=-1)).word == "undecided"  # another ridge may help
    assert given.word == given.to_dict()["word"] == "undecided"
    assert "alone tuned" in str(given) and "use ridge='loo', which tunes both" in given.sentence
    three = transfer_between_arrays([source, noise_task(5, 300)], target, 2, n_splits=8, target_samples=15, ridge=0.01)
    assert three.rank == 2 and three.word == "undecided" and "use rank 1 and ridge='loo'" in three.sentence


def test_a_source_that_beats_a_tuned_target_still_helps():
    rng = np.random.default_rng(6)
    theta = rng.normal(size=D)
    tasks = [(X, X @ theta + rng.normal(size=n)) for n in (300, 300) for X in [rng.normal(size=(n, D))]]
    given = transfer_between_arrays(*tasks, n_splits=20, target_samples=15, ridge=0.01)
    assert given.tuned.gain.sign > 0 and given.word == "positive" and "positive transfer at the ridges given" in given.sentence


@pytest.mark.parametrize("shift", [1.0, 50.0])
def test_the_logistic_curve_is_the_least_log_loss(shift):
    """Against a search over slope and offset; scores that separate the labels, and scores that do not."""
    scores, positive = scores_and_labels(1, 60, 0.3)
    scores, positive = 1e-3 * (scores[0] + shift * positive[0]) + 7, positive[0]
    found, (n, k) = logistic_curve(scores, positive), (60, positive.sum())
    goal = np.where(positive, (k + 1) / (k + 2), 1 / (n - k + 2))
    chances = lambda curve: 1 / (1 + np.exp(-(curve[0] * 1e3 * (scores - 7) + curve[1])))
    loss = lambda curve: -np.sum(goal * np.log(chances(curve)) + (1 - goal) * np.log(1 - chances(curve)))
    wanted = optimize.minimize(loss, [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 2000}).x
    assert found[0] / 1e3 == pytest.approx(wanted[0], rel=1e-4) and found[1] + 7 * found[0] == pytest.approx(wanted[1], abs=1e-4)
    assert log_losses(scores, positive, found).mean() == pytest.approx(log_loss(positive, chances(wanted)), rel=1e-4)
    flat = logistic_curve(np.ones(60), positive)
    assert flat[0] == 0 and 1 / (1 + np.exp(-flat[1])) == pytest.approx(goal.mean())


def test_rows_that_all_have_one_label_teach_what_they_can():
    """Of a rare label hardly any row trains: alone has no error then, and nothing is divided by it."""
    X, _ = rare_task(4, 40)
    study = mtl.compare_tasks({"rare": (X, (np.arange(40) < 2).astype(float)), "b": rare_task(2)}, n_splits=5, curve=(4, 30))
    for name in ("gain", "risk_alone", "risk_together", "coefficients"):
        assert np.isfinite(study.data[name].values).all()
    assert np.isfinite(study.data.measure_alone.sel(task="rare", measure=["accuracy", "log loss"])).all()


def test_what_may_come_more_often_is_exact():
    positive = np.arange(40) < 9
    low, high = base_rate_interval(positive, 0.9)
    assert low == pytest.approx(stats.beta.ppf(0.05, 31, 10)) and high == pytest.approx(stats.beta.ppf(0.95, 32, 9))


def test_a_study_of_two_valued_labels_says_every_measure():
    """From the predictions on every split, by an independent library; of numbers nothing is said."""
    tasks = {"a": rare_task(1), "b": rare_task(2), "c": (rare_task(3)[0], RNG.normal(size=N))}
    study = mtl.compare_tasks(tasks, n_splits=4)
    assert study.data.measure_gain.sel(task="c").isnull().all() and np.isnan(study.data.base_rate.sel(task="c"))
    table = Table(gather(tasks), METHODS)
    seed = np.asarray(jax.random.key_data(stream(jax.random.key(0), "splits")))
    one = Target(table, 0, None, 4, seed)
    positive = tasks["a"][1][np.stack(one.plan.tests)] > 0
    own, both = study.data.sel(task="a"), positive.any(1) & ~positive.all(1)
    for side, name in enumerate(("measure_alone", "measure_together")):
        areas = [roc_auc_score(p, s) for p, s in zip(positive[both], np.stack(one.scores[side])[both], strict=True)]
        assert float(own[name].sel(measure="AUC")) == pytest.approx(np.mean(areas))
        assert float(own[name].sel(measure="accuracy")) == pytest.approx(
            np.mean((np.stack(one.scores[side]) > one.middle) == positive)
        )
        chances = 1 / (1 + np.exp(-(one.curves[:, side, :1] * np.stack(one.scores[side]) + one.curves[:, side, 1:])))
        losses = [log_loss(p, c, labels=[False, True]) for p, c in zip(positive, chances, strict=True)]
        assert float(own[name].sel(measure="log loss")) == pytest.approx(np.mean(losses))
    for measure in own.measure.values:
        one = own.sel(measure=measure)
        sign = -1 if measure == "log loss" else 1
        assert float(one.measure_gain) == pytest.approx(sign * float(one.measure_together - one.measure_alone))
        assert one.measure_low <= one.measure_gain <= one.measure_high
    assert "a: the more frequent label comes in 0." in str(study) and "  log loss" in str(study)
    assert "\nc: the more" not in str(study)
    assert len(study.to_dict()["measure_gain"]) == 4
    assert "base_rate" not in mtl.compare_tasks({"c": tasks["c"], "d": (tasks["a"][0], tasks["a"][0][:, 0])}, n_splits=2).data


def test_decisions_that_never_differ_on_few_rows_may_differ_on_others():
    """Alike on all of 20 rows a share of decisions may still differ: no interval is narrower than one row."""
    tests = np.stack([np.random.default_rng(j).permutation(20)[:4] for j in range(25)])
    scores, positive = np.linspace(-1, 1, 20)[tests], (np.linspace(-1, 1, 20) > 0)[tests]
    found = decisions(scores, scores + 1e-3, positive, 0.0, Splits(16, tests))
    for name in ("accuracy", "balanced accuracy"):
        gain = found[name].gain
        assert gain.mean == 0 and gain.low < -0.05 and gain.high > 0.05 and gain.sign == 0
