"""How likely evidence is by chance: of one row, of all rows of a quantity together, and of a weighted mean of several."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from mtlsim.verification.evidence import NOTHING, ROUNDING, Evidence, by_chance, pull_of

AGREES = 0.01  # probability by chance from which evidence against is none


def against(kind: str, counted: Sequence[Evidence], factor: float = 1.0) -> float:
    """Probability by chance of so much against `factor` times the prediction: by each row alone, and for each quantity by the slope
    over its rows and by how they scatter."""
    own = np.array([min(1.0, one.p_value(kind, factor)) for one in counted])
    least = min(1.0, len(own) * own.min())
    if kind not in ("equality", "limit", "sign"):
        return least
    names, tried = np.array([one.quantity for one in counted]), []
    for members in (np.flatnonzero(names == quantity) for quantity in quantities_of(counted)):
        if kind == "sign":
            tried.append(_unsure_p_value([counted[i] for i in members], own[members]))
        else:
            slope = _slope_p_value(kind, [counted[i] for i in members], factor)
            tried += [slope, scatter_p_value(own[members])]
    return min(1.0, 2 * least, 2 * len(tried) * min(tried))


def _unsure_p_value(rows: Sequence[Evidence], own: np.ndarray) -> float:
    """Of signs that are not sure one by one: all together, by the sum of their normal scores and by that of the squares of those
    which are contrary."""
    unsure = own[[not one.decided(1, AGREES) for one in rows]]
    unsure = unsure[unsure < 1 - AGREES] / (1 - AGREES)  # as those beyond were left out
    if not len(unsure):
        return 1.0
    scores = stats.norm.isf(np.maximum(unsure, NOTHING))
    squares = stats.chi2.sf(np.sum(np.maximum(scores, 0) ** 2), len(scores))
    return float(min(1.0, 2 * min(squares, stats.norm.sf(scores.sum() / np.sqrt(len(scores))))))


def scatter_p_value(own: np.ndarray) -> float:
    """Of p-values that are each uniform or larger, by the sum of the squares of normal scores as unlikely (chi squared)."""
    scores = stats.chi2.isf(np.maximum(own, NOTHING), 1)
    return float(stats.chi2.sf(scores.sum(), len(own)))


def _slope_p_value(kind: str, rows: Sequence[Evidence], factor: float) -> float:
    """Of the weighted slope of measured on predicted over instances, which a formula off by a factor turns everywhere alike."""
    usable = [one for one in rows if one.sound and one.tells]
    sizes = [np.abs(one.inside.predicted).mean() for one in usable]
    unit = max(sizes, default=0.0) or 1.0  # so that no power of a number overflows
    parts, spare, n = [], 0.0, []
    for one, size in zip(usable, np.divide(sizes, unit), strict=True):
        predicted, difference = factor * one.inside.predicted.mean() / unit, one.draws(kind, factor) / unit
        halves = [Mean.of(half, ROUNDING * factor * size) for half in (difference[0::2], difference[1::2])]
        own = by_other_half(halves, predicted)
        allowed = one.inside.allowed * abs(factor) * size if kind == "limit" else 0.0
        parts, spare, n = parts + own, spare + sum(abs(weight) * allowed for weight, _ in own), [*n, len(difference) // 2]
    if not parts:
        return 1.0
    whole = weighed(parts)
    if whole.variance == 0:
        return 1.0
    score = float(np.copysign(max(abs(whole.mean) - spare, 0) / np.sqrt(whole.variance), whole.mean))
    return (1 + (kind == "equality")) * by_chance(score, min(n), whole.pull, below=bool(whole.mean < 0))


class Mean(NamedTuple):
    """A mean of draws, its variance and its skewness."""

    mean: float
    variance: float
    pull: float

    @classmethod
    def of(cls, draws: np.ndarray, rounding: float) -> "Mean":
        variance = draws.var(ddof=1) / len(draws)
        return cls(float(draws.mean()), float(max(variance, rounding**2, NOTHING)), pull_of(draws))


def by_other_half(halves: Sequence[Mean], size: float = 1.0) -> list[tuple[float, Mean]]:
    """Weights and means of the two halves of an instance's draws: the weight of each is `size` times the precision of the other, as
    a low mean of a skewed law comes with a low variance, and would get the larger weight."""
    return [(size / other.variance, half) for half, other in zip(halves, reversed(halves), strict=True)]


def no_heavier_than_half(parts: Sequence[tuple[float, Mean]]) -> list[tuple[float, Mean]]:
    """The parts (first and second halves in turn), none with more weight than the middle one of its kind: a few that are far surer
    than the others do not speak for these."""
    weights = np.array([weight for weight, _ in parts]).reshape(-1, 2)
    capped = np.minimum(weights, np.median(weights, 0)).ravel()
    return [(float(weight), part) for weight, (_, part) in zip(capped, parts, strict=True)]


def weighed(parts: Sequence[tuple[float, Mean]]) -> Mean:
    """The sum of independent means times their weights."""
    weight = np.array([weight for weight, _ in parts])
    mean, variance, pull = map(np.array, zip(*(part for _, part in parts), strict=True))
    whole = float(np.sum(weight**2 * variance))
    skewness = float(np.sum(weight**3 * pull * variance**1.5) / whole**1.5) if whole else 0.0
    return Mean(float(np.sum(weight * mean)), whole, skewness)


def quantities_of(rows: Sequence[Evidence]) -> list[str]:
    return list(dict.fromkeys(one.quantity for one in rows))
