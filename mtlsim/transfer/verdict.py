"""From gains over seeds to a verdict: mean, standard error, interval, and whether the sign is decided."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from mtlsim.core.checks import require

POSITIVE, UNDECIDED, NEGATIVE = 1, 0, -1
WORDS = {POSITIVE: "positive", UNDECIDED: "undecided", NEGATIVE: "negative"}


@dataclass(frozen=True)
class Verdict:
    """Mean gain with its standard error and interval; sign 1, 0, -1 = positive, undecided, negative transfer."""

    mean: float
    standard_error: float
    low: float
    high: float
    sign: int
    n_seeds: int
    level: float

    @property
    def word(self) -> str:
        return WORDS[self.sign]

    def __str__(self) -> str:
        interval = f"{100 * self.level:.3g} % interval {self.low:.4g} to {self.high:.4g}"
        return f"{self.word} transfer: gain {self.mean:.4g} ({interval}, {self.n_seeds} seeds; positive helps)"


def half_width(standard_error, n_seeds, level: float = 0.95):
    """Half the width of Student's interval for a mean."""
    freedom = np.maximum(np.asarray(n_seeds) - 1, 1)
    return stats.t.ppf(0.5 + level / 2, freedom) * standard_error


def summarise(gains, level: float = 0.95, axis: int = -1) -> dict[str, np.ndarray]:
    """Mean, standard error, interval and sign of gains over seeds; NaN entries (status not ok) are left out and counted.

    Fewer than two seeds leave an infinite interval, so that the sign is undecided.
    """
    gains = np.asarray(gains)
    count = np.isfinite(gains).sum(axis)
    mean = np.nansum(gains, axis) / np.maximum(count, 1)
    return summarise_moments(count, mean, np.nansum((gains - np.expand_dims(mean, axis)) ** 2, axis), level)


def summarise_moments(count, mean, squares, level: float = 0.95) -> dict[str, np.ndarray]:
    """The same from how many gains are finite, their mean, and the sum of their squared distances from it."""
    require(0 < level < 1, "level", "between 0 and 1", level, "use 0.95")
    mean = np.where(count > 0, mean, np.nan)
    error = np.where(count > 1, np.sqrt(squares / np.maximum(count - 1, 1) / np.maximum(count, 1)), np.inf)
    half = np.where(np.isfinite(error), half_width(np.where(np.isfinite(error), error, 0), count, level), np.inf)
    low, high = mean - half, mean + half
    sign = np.where(low > 0, POSITIVE, np.where(high < 0, NEGATIVE, UNDECIDED))
    return {"mean": mean, "standard_error": error, "low": low, "high": high, "sign": sign, "n_seeds": count}


def decide(gains, level: float = 0.95) -> Verdict:
    """The verdict on one cell from its gains over seeds."""
    summary = summarise(np.ravel(gains), level)
    return Verdict(
        float(summary["mean"]),
        float(summary["standard_error"]),
        float(summary["low"]),
        float(summary["high"]),
        int(summary["sign"]),
        int(summary["n_seeds"]),
        level,
    )


def in_units(verdict: Verdict, unit: float) -> Verdict:
    """The same verdict on gains that are `unit` > 0 times as large."""
    sizes = (verdict.mean, verdict.standard_error, verdict.low, verdict.high)
    mean, error, low, high = (unit * size for size in sizes)
    return replace(verdict, mean=mean, standard_error=error, low=low, high=high)
