"""What is said of decisions beside their accuracy: with rare labels, always giving the other one is accurate and worth nothing.

Each function returns one number per test row whose mean over a split's rows is the metric, and whose variance is that of the
metric's influence values, so that intervals over splits treat every metric as they treat a mean loss (for the area under the
curve these are the placements of [delong1988comparing]).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtlsim.core.verdict import Verdict


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
