"""What is said of decisions beside their accuracy: with rare labels, always giving the other one is accurate and worth nothing.

Each function returns one number per test row whose mean over a split's rows is the metric, and whose variance is that of the
metric's influence values, so that intervals over splits treat every metric as they treat a mean loss (for the area under the
curve these are the placements of [delong1988comparing]). The log loss is a mean loss already.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from mtlsim.core.verdict import Verdict

NEWTON_STEPS, SMALLEST, SLIGHT = 50, 1e-10, 1e-12


@dataclass(frozen=True)
class Compared:
    """A measure of the target learned alone (single) and together (multi), and the verdict on what learning together gains."""

    gain: Verdict
    single: float
    multi: float


def right_decisions(scores: NDArray, positive: NDArray, threshold: float) -> NDArray:
    """1 where a row (J, n) is decided as it is labelled, 0 elsewhere, NaN where its score is not finite."""
    return np.where(np.isfinite(scores), (scores > threshold) == positive, np.nan).astype(float)


def balanced_decisions(scores: NDArray, positive: NDArray, threshold: float) -> NDArray:
    """Influence values (J, n) of the mean of both labels' shares of right decisions; NaN in a split that lacks a label."""
    right = right_decisions(scores, positive, threshold)
    return _influence(right, positive, 0.5)


def areas_under_the_curve(scores: NDArray, positive: NDArray) -> NDArray:
    """Influence values (J, n) of the chance that a positive row scores above a negative one, ties counted half."""
    return _influence(np.stack([_placements(s, p) for s, p in zip(scores, positive, strict=True)]), positive, 1.0)


def base_rate(positive: NDArray) -> float:
    """Accuracy of giving every row the more frequent label."""
    share = float(np.mean(positive))
    return max(share, 1 - share)


def base_rate_interval(positive: NDArray, level: float) -> tuple[float, float]:
    """What the share of the label that is the more frequent one here may be: the exact interval of [clopper1934use]."""
    n, count = len(positive), int(np.sum(positive))
    found = stats.binomtest(max(count, n - count), n).proportion_ci(level, "exact")
    return float(found.low), float(found.high)


def logistic_curve(scores: NDArray, positive: NDArray) -> NDArray:
    """(slope, offset) of the log odds slope s + offset of a positive label at score s: least mean log loss on rows (n,).

    As [platt1999probabilistic]: a label counts for (n_+ + 1) / (n_+ + 2) positive, or 1 / (n_- + 2), so that scores that separate
    the labels give a finite slope. Newton's steps, halved while the loss rises.
    """
    centre, spread = scores.mean(), scores.std() or 1.0
    n_positive = int(np.sum(positive))
    goal = np.where(positive, (n_positive + 1) / (n_positive + 2), 1 / (len(positive) - n_positive + 2))
    columns = np.stack([(scores - centre) / spread, np.ones(len(scores))], 1)
    loss = lambda curve: np.mean(np.logaddexp(0, columns @ curve) - goal * (columns @ curve))
    curve = np.array([0.0, special.logit(goal.mean())])
    for _ in range(NEWTON_STEPS):
        chance = special.expit(columns @ curve)
        hessian = (columns * (chance * (1 - chance))[:, None]).T @ columns + len(scores) * SLIGHT * np.eye(2)
        step = np.linalg.solve(hessian, columns.T @ (goal - chance))
        while np.abs(step).max() > SMALLEST and loss(curve + step) > loss(curve):
            step = step / 2
        curve = curve + step
        if np.abs(step).max() <= SMALLEST:
            break
    return np.array([curve[0] / spread, curve[1] - curve[0] * centre / spread])


def log_losses(scores: NDArray, positive: NDArray, curve: NDArray) -> NDArray:
    """-log of the probability of the label that came, in nats, at the log odds of `logistic_curve`."""
    return np.logaddexp(0, np.where(positive, -1, 1) * (curve[0] * scores + curve[1]))


def divergences(first: NDArray, second: NDArray) -> NDArray:
    """Half the sum of both Kullback-Leibler divergences of two log odds, in nats: (p - q)(log odds p - log odds q) / 2."""
    return (special.expit(first) - special.expit(second)) * (first - second) / 2


def _placements(scores: NDArray, positive: NDArray) -> NDArray:
    """For each row, the share of rows of the other label that it beats; NaN where a label is missing or a score is not finite."""
    if positive.all() or not positive.any() or not np.isfinite(scores).all():
        return np.full(len(scores), np.nan)
    placed = np.empty(len(scores))
    for own, sign in ((positive, 1), (~positive, -1)):
        others = np.sort(sign * scores[~own])
        sides = [np.searchsorted(others, sign * scores[own], side=side) for side in ("left", "right")]
        placed[own] = (sides[0] + sides[1]) / (2 * len(others))
    return placed


def _influence(values: NDArray, positive: NDArray, weight: float) -> NDArray:
    """metric + weight n / n_c (value - mean of its label c), where the metric is the mean of both labels' means."""
    counts = np.stack([np.sum(~positive, 1), np.sum(positive, 1)], 1)
    sums = np.stack([np.sum(np.where(positive == own, values, 0), 1) for own in (False, True)], 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        means, scale = sums / counts, weight * positive.shape[1] / counts
    own = positive.astype(int)
    return means.mean(1, keepdims=True) + np.take_along_axis(scale, own, 1) * (values - np.take_along_axis(means, own, 1))
