"""What few rows do not show of a mean gain: the upper ends of a study's intervals, with and without it."""

import json

import numpy as np
import pytest
from scipy import stats

import mtlsim as mtl
from mtlsim.arrays.few_rows import length_factor, variance_above, with_few_rows
from mtlsim.arrays.gather import gather
from mtlsim.arrays.learners import METHODS
from mtlsim.arrays.metrics import divergences, log_losses
from mtlsim.arrays.resampling import Splits, decide_resampled
from mtlsim.arrays.together import Table, Target


def test_long_rows_count_and_correlations_do_not():
    rng = np.random.default_rng(0)
    plain, mixing = rng.normal(size=(20_000, 5)), rng.normal(size=(5, 5))
    assert length_factor(plain @ mixing) == pytest.approx(1, abs=0.06) == length_factor(plain)
    lengths = np.exp(0.4 * rng.normal(size=(20_000, 1)))  # E s^4 / (E s^2)^2 = exp(4 * 0.16), times what the lengths had
    assert length_factor(lengths * plain) == pytest.approx(np.exp(0.64), rel=0.1)
    assert length_factor(7 * lengths * plain + 100) == pytest.approx(length_factor(lengths * plain))
    wide = (lengths * rng.normal(size=(20_000, 60)))[:50]  # fewer rows than features: by the other product
    squares, gram = np.sum((wide - wide.mean(0)) ** 2, 1), (wide - wide.mean(0)) @ (wide - wide.mean(0)).T
    across = np.mean([gram[i, j] ** 2 for i in range(50) for j in range(50) if i != j])
    assert length_factor(wide) == pytest.approx(np.mean(squares**2) / (np.mean(squares) ** 2 + 2 * across))
    assert length_factor(np.ones((5, 2))) == 1


def test_variance_above_is_that_of_the_largest_gain_that_may_be():
    one = variance_above(0.3, 32, 40, 8, 1.0, 2.0)
    assert variance_above(9 * 0.3, 32, 40, 8, 1.0, 9 * 2.0) == pytest.approx(81 * one)  # labels times 3
    assert variance_above(0.0, 32, 40, 8, 1.0, 2.0) == 0 == variance_above(0.0, 32, 40, 8, 1.0)
    assert variance_above(1e-3, 32, 40, 8, 1.0, 2.0) < one == variance_above(1e9, 32, 40, 8, 1.0, 2.0)
    assert variance_above(0.3, 32, 40, 8, 1.5, 2.0) == pytest.approx(1.5**2 * one)
    nats = variance_above(1.0, 32, 40, 8, 1.0)
    assert nats == variance_above(50.0, 32, 40, 8, 1.0) > variance_above(1.0, 320, 400, 8, 1.0)


def test_divergences_are_half_the_sum_of_both():
    p, q = 0.3, 0.8
    both = sum(a * np.log(a / b) for a, b in ((p, q), (1 - p, 1 - q), (q, p), (1 - q, 1 - p)))
    first, second = np.log([p / (1 - p)]), np.log([q / (1 - q)])
    assert divergences(first, second) == pytest.approx([both / 2]) and divergences(first, first) == [0]


def test_only_the_upper_end_takes_the_variance_above():
    rng = np.random.default_rng(3)
    differences, tests = rng.normal(size=(10, 6)), np.arange(60).reshape(10, 6) % 30
    splits = Splits(24, tests, balanced=True)
    plain, wide, same = (decide_resampled(differences, splits._replace(variance_above=v)) for v in (0.0, 4.0, 1e-6))
    assert (wide.low, wide.mean, wide.standard_error) == (plain.low, plain.mean, plain.standard_error) and same == plain
    assert wide.high - wide.mean == pytest.approx((plain.high - plain.mean) * 2 / plain.standard_error)
    fitted = decide_resampled(differences, splits._replace(n_fitted=4))
    assert fitted.standard_error == pytest.approx(plain.standard_error * np.sqrt(24 / 20))
    assert np.isfinite(decide_resampled(differences, splits._replace(n_fitted=24)).high)


def test_a_larger_harm_may_look_like_this():
    rng = np.random.default_rng(4)
    half = rng.normal(size=15)  # rows that are not skewed, each tested twice
    differences = np.tile(rng.permutation([*half, *-half]).reshape(5, 6), (2, 1)) - 1
    tests = np.arange(60).reshape(10, 6) % 30
    at = lambda shift, **given: decide_resampled(differences + shift, Splits(24, tests)._replace(**given))
    plain, grown = at(0), at(0, loss_together=9.0)
    assert plain.low > grown.low and plain.high == grown.high and plain.sign == grown.sign
    below, half = plain.mean - grown.low, plain.standard_error * stats.t.ppf(0.975, 9)
    assert below == pytest.approx(half * (9 + below) / 9)  # the error that so much more loss would have
    assert at(0, loss_together=1e-9).low == pytest.approx(plain.mean - 2 * half)
    assert at(0, loss_together=1e9).low <= plain.low and at(0, loss_together=0.0).low <= plain.low
    assert at(5, loss_together=0.01) == at(5)  # a clear gain is no harm


@pytest.mark.parametrize(("values", "n_values"), [((0.0, 1.0, 2.0), 3), ((0.0, 1.0), 2)])
def test_splits_with_few_rows(values, n_values):
    rng = np.random.default_rng(2)
    X, labels = rng.normal(size=(20, 4)), rng.choice(values, (5, 4))
    alone, together = rng.normal(size=(2, 5, 4))
    splits = Splits(16, np.arange(20).reshape(5, 4))
    found = with_few_rows(splits, alone, together, labels, X)
    risk, apart = np.mean((together - labels) ** 2), np.mean((alone - together) ** 2)
    assert found.variance_above == pytest.approx(variance_above(apart, 16, 20, 4, length_factor(X), risk))
    assert found.loss_together == (pytest.approx(risk) if n_values > 2 else None)
    alone[0, 0] = np.nan
    assert with_few_rows(splits, alone, together, labels, X) == with_few_rows(splits, alone[1:], together[1:], labels[1:], X)
    assert with_few_rows(splits, np.full((5, 4), np.nan), together, labels, X) == splits


@pytest.mark.parametrize(("labels", "spread", "d", "noise"), [("real", 0.5, 10, 1.0), ("classes", 0.0, 4, 0.1)])
def test_intervals_cover_on_few_rows_of_unequal_lengths_and_in_log_loss(labels, spread, d, noise):
    """60 targets of 20 rows, a source of the same function, the truth the mean gain: 1 interval lies above it, none below. Without
    what few rows do not show 9 miss it for rows of lengths exp(z / 2), and 16 for log losses.
    """
    rng = np.random.default_rng(7)
    theta, told = rng.normal(size=d) / np.sqrt(d), []

    def draw(n):
        X = rng.normal(size=(n, d)) * np.exp(spread * rng.normal(size=(n, 1)))
        y = X @ theta + noise * rng.normal(size=n)
        return X, (y > 0).astype(float) if labels == "classes" else y

    source = draw(150)
    for _ in range(60):
        one = Target(Table(gather({"source": source, "target": draw(20)}), METHODS), 1, None, 10, np.zeros(2, np.uint32))
        if labels == "classes":
            positive = [part > one.middle for part in one.labels]
            alone, multi = (
                np.stack([log_losses(*three) for three in zip(scores, positive, one.curves[:, side], strict=True)])
                for side, scores in enumerate(one.scores)
            )
            splits = one.splits_of_log_loss(0.95)
        else:
            alone, multi, splits = one.alone, one.multi, one.splits(0.95, one.multi, one.apart)
        unit = one.table.gathered.units[1] ** 2 if labels == "real" else 1
        both = [decide_resampled(unit * (alone - multi), own) for own in (scaled(splits, unit), one.plan.splits(0.95))]
        told.append([(v.mean, v.low, v.high) for v in both])
    found, without = np.moveaxis(told, 1, 0)
    truth = found[:, 0].mean()
    above, below = np.sum(found[:, 1] > truth), np.sum(found[:, 2] < truth)
    missed = np.sum((without[:, 1] > truth) | (without[:, 2] < truth))
    assert above <= 2 and below <= 2, (above, below)
    assert missed >= max(4, above + below + 2), (missed, above, below)


def scaled(splits, unit):
    """For differences times the unit."""
    return splits._replace(unresolved=splits.unresolved * unit, variance_above=splits.variance_above * unit**2)


def test_rows_by_their_means_where_few_train():
    """Noise of the training rows of each split, which the means over ten splits lose, is not counted as that of the rows."""
    rng = np.random.default_rng(5)
    tests = np.stack([rng.permutation(60)[:50] for _ in range(10)])
    row, split = rng.normal(size=60), 3 * rng.normal(size=(10, 50))
    differences = row[tests] + split
    found = decide_resampled(differences, Splits(10, tests, balanced=True, of_rows=True))
    means = [np.mean(differences[tests == i]) for i in range(60)]
    assert found.standard_error**2 == pytest.approx(differences.mean(1).var(ddof=1) / 10 + np.var(means, ddof=1) / 60)
    assert found.standard_error < 0.7 * decide_resampled(differences, Splits(10, tests, balanced=True)).standard_error


def test_the_mean_over_tasks_keeps_the_ends_of_its_tasks():
    rng = np.random.default_rng(6)
    tasks = {name: (X := rng.normal(size=(20, 3)), X.sum(1) + rng.normal(size=20)) for name in "ab"}
    for targets in (["a"], ["a", "b"]):
        data = mtl.compare_tasks(tasks, targets=targets, n_splits=3).data
        gain, low, high = (data[name].values / data.risk_alone.values for name in ("gain", "low", "high"))
        ends = [data.attrs[name] - data.attrs["total"] for name in ("total_low", "total_high")]
        assert data.attrs["total"] == pytest.approx(gain.mean())
        assert ends == pytest.approx([-np.linalg.norm(gain - low) / len(gain), np.linalg.norm(high - gain) / len(gain)])


def test_gross_errors_among_labels_are_said():
    """Where few rows carry the error no interval holds, and both doors say so; of Gaussian noise neither does."""
    rng = np.random.default_rng(0)
    X, Z = rng.normal(size=(2, 60, 5))
    theta, off = np.arange(5.0), 30 * rng.normal(size=60) * (np.arange(60) % 30 == 7)
    source, plain = (Z, Z @ theta + rng.normal(size=60)), X @ theta + rng.normal(size=60)
    for labels, said in ((plain, 0), (plain + off, 1)):
        notes = [mtl.transfer_between_arrays(source, (X, labels), n_splits=5).notes]
        notes.append(json.loads(mtl.compare_tasks({"source": source, "target": (X, labels)}, n_splits=5).data.attrs["notes"]))
        found = [[note for note in some if "look for errors among its labels" in note] for some in notes]
        assert [len(some) for some in found] == [said, said] and all(note.startswith("target: ") for some in found for note in some)
