"""An honest interval from repeated held-out splits of the same rows, which overlap and so are not independent."""

from typing import NamedTuple

import numpy as np
from scipy import stats

from mtlsim.core.checks import require
from mtlsim.core.mean_gain import turn
from mtlsim.core.verdict import NEGATIVE, POSITIVE, UNDECIDED, Verdict

LARGEST_GROWTH = 0.5  # of an error, over that of a harm twice as large: few rows leave the loss itself uncertain


def variance_of_mean(differences: np.ndarray, n_train: int, balanced: bool = False) -> float:
    """Variance of the mean of J >= 2 split means, for differences (J, n_test) of losses on the test rows of each split.

    With S^2 the variance of the split means over splits, S^2 / J alone would treat the splits as independent. The smaller of

        S^2 (1 / J + n_test / n_train)                                            [nadeau2003inference],
        S^2 / J + (n_train / n_test) max(0, S^2 - n_train / (n n_test) T^2) + T^2 / n,      n = n_train + n_test,

    and at least S^2 / J + T^2 / n. The first takes any two splits to be as correlated as their test rows overlap. Where few rows
    train and many test this multiplies the variance by n_test / n_train although the splits hardly share training rows. The
    second parts S^2 into what the test rows cause (T^2 / n_test, with T^2 the mean variance over the test rows of one split,
    shared as they overlap) and what the training rows cause, whose average over all splits keeps at most n_train / n of its
    variance [hoeffding1948class]; without it remains what the test rows alone cause, which no split removes.

    balanced: all rows are tested equally often. Then S^2 / J + T^2 / n is a third, without what the training rows cause beyond
    their share of S^2 / J: a row that makes learning alone look good where it tests makes it good where it trains, and the one
    goes against the other, so that the sum is too large rather than too small (`tests/benchmarks/README.md` has by how much).
    """
    n_splits, n_test = differences.shape
    between = float(np.var(differences.mean(1), ddof=1))
    overlapping = between * (1 / n_splits + n_test / n_train)
    if n_test < 2:
        return overlapping
    n = n_train + n_test
    within = float(np.mean(np.var(differences, axis=1, ddof=1)))
    trained = max(0.0, between - n_train / (n * n_test) * within)
    rows = between / n_splits + within / n
    return min(overlapping, rows) if balanced else float(np.clip(overlapping, rows, rows + n_train / n_test * trained))


class Splits(NamedTuple):
    """How J splits were made: rows that train in each, and the numbers of those that test, (J, n_test); level of the intervals.
    disjoint: whether no row is tested twice, so that split means are taken to be independent. balanced: whether all are tested
    equally often. unresolved: a gain that a learner may miss on the training rows of one split. variance_above: what the variance
    of the mean would be if the gain were larger than it looks. n_fitted: parameters fitted to the training rows beside what is
    compared, which makes the variance of the rows too small by n_fitted of n_train degrees. of_rows: whether what rows cause is
    taken from their means over all splits that test them, in place of the T^2 of single splits: where few of the rows train,
    these means lose what the training rows of one split put into them. loss_together: where errors grow in proportion to the loss
    together, its mean; else None.
    """

    n_train: int
    tests: np.ndarray
    level: float = 0.95
    disjoint: bool = False
    balanced: bool = False
    unresolved: float = 0.0
    variance_above: float = 0.0
    n_fitted: int = 0
    of_rows: bool = False
    loss_together: float | None = None


def decide_resampled(differences: np.ndarray, splits: Splits, rounding: float = 0.0) -> Verdict:
    """Verdict on a mean difference of losses, with the variance of `variance_of_mean` and Student's t of J - 1 degrees.

    The ends are turned by Hall's transform [hall1992removal] of the skewness of the rows' own mean differences: a source that
    harms does so by few rows, and then mean and error are both too small where these are missing. What is unresolved adds to the
    variance, once for all splits as far as these share training rows. The upper end asks whether a larger gain could look like
    this, as the interval of a share does [wilson1927probable], and takes the variance that a larger gain would have where that is
    larger: gains that look small on few rows look certain too. So does a harm that happens to be small: a lower end below zero
    asks whether a larger harm, with an error larger by as much as the loss together, could look like this; no sign depends on it.
    differences: (J, n_test), positive helps; splits that are not finite are left out. rounding: a mean difference within it has no
    sign. Fewer than two splits leave an infinite interval. `n_seeds` of the verdict is the number of splits.
    """
    require(0 < splits.level < 1, "level", "between 0 and 1", splits.level, "use 0.95")
    differences = np.asarray(differences, np.float64)
    fine = np.isfinite(differences).all(1)
    kept, count = differences[fine], int(fine.sum())
    mean = float(kept.mean()) if count else float("nan")
    error, low, high = float("inf"), -float("inf"), float("inf")
    if count > 1:
        seen, rows = float(np.var(kept.mean(1), ddof=1)) / count, _row_means(kept, splits.tests[fine])
        if splits.of_rows:
            seen += float(np.var(rows, ddof=1)) / len(rows)
        elif not splits.disjoint:
            seen = variance_of_mean(kept, splits.n_train, splits.balanced)
        seen *= splits.n_train / max(splits.n_train - splits.n_fitted, 1)
        share = max(splits.n_train / (splits.n_train + kept.shape[1]), 1 / count)
        variance, above = (one + splits.unresolved**2 * share for one in (seen, max(seen, splits.variance_above)))
        error = float(np.sqrt(variance))
        quantile = stats.t.ppf(0.5 + splits.level / 2, count - 1)
        pull = _pull(rows) * (seen / variance if variance > 0 else 1.0) ** 1.5  # what is added is not skewed
        low = mean - max(error * float(turn(quantile, pull)), rounding)
        if low < 0 and splits.loss_together is not None:
            low = min(low, mean - _grown(quantile * error, splits.loss_together))
        high = mean + max(float(-np.sqrt(above) * turn(-quantile, pull)), rounding)
    sign = POSITIVE if low > 0 else NEGATIVE if high < 0 else UNDECIDED
    return Verdict(mean, error, low, high, sign, count, splits.level)


def _grown(half: float, loss: float) -> float:
    """How far below its mean a gain may lie, from half an interval: x = half (loss + x) / loss, at most twice `half`."""
    return half / (1 - min(half / loss, LARGEST_GROWTH)) if loss > 0 else half


def decide_jointly(differences: list[np.ndarray], splits: list[Splits], level: float) -> list[int]:
    """Signs that are all right with probability `level`: Holm's steps, the clearest first, each at the level of those left."""
    n = len(differences)
    found = [decide_resampled(d, s) for d, s in zip(differences, splits, strict=True)]
    clear = [abs(v.mean) / v.standard_error if v.standard_error > 0 else 0.0 for v in found]
    signs = [UNDECIDED] * n
    for step, i in enumerate(np.argsort(-np.asarray(clear))):
        sign = decide_resampled(differences[i], splits[i]._replace(level=1 - (1 - level) / (n - step))).sign
        if sign == UNDECIDED:
            break
        signs[i] = sign
    return signs


def _row_means(differences: np.ndarray, tests: np.ndarray) -> np.ndarray:
    """Of every row that was tested, over the splits that test it."""
    sums, counts = np.bincount(tests.ravel(), differences.ravel()), np.bincount(tests.ravel())
    return sums[counts > 0] / counts[counts > 0]


def _pull(means: np.ndarray) -> float:
    """Skewness of the rows' mean differences over the root of their number."""
    away = means - means.mean()
    spread = np.sqrt(np.mean(away**2))
    return float(np.mean((away / spread) ** 3) / np.sqrt(len(means))) if spread > 0 else 0.0
