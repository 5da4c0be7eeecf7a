"""From gains over seeds to a verdict: mean, standard error, interval, and whether the sign is decided."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy import special  # scipy.stats takes half a second to load

from mtlsim.core.checks import require
from mtlsim.core.mean_gain import Arrays, add_up, estimate
from mtlsim.core.words import counted

POSITIVE, UNDECIDED, NEGATIVE = 1, 0, -1
MOST_LOOKS, NODES = 100, 100
WORDS = {POSITIVE: "positive", UNDECIDED: "undecided", NEGATIVE: "negative"}


@dataclass(frozen=True)
class Verdict:
    """Mean gain with its standard error and interval; sign 1, 0, -1 = positive, undecided, negative transfer.

    >>> print(mtl.Verdict(mean=0.2, standard_error=0.05, low=0.1, high=0.3, sign=1, n_seeds=100, level=0.95))
    positive transfer: gain 0.2 (95 % interval 0.1 to 0.3, 100 seeds; positive helps)
    """

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
        return f"{self.word} transfer: gain {self.mean:.4g} ({interval}, {counted(self.n_seeds, 'seed')}; positive helps)"


def half_width(standard_error, n_seeds, level: float = 0.95):
    """Half the width of Student's interval for a mean."""
    freedom = np.maximum(np.asarray(n_seeds) - 1, 1)
    return special.stdtrit(freedom, 0.5 + level / 2) * standard_error


def summarise(gains, level: float = 0.95, control=None, status=None, steep=None) -> Arrays:
    """Mean, standard error, interval and sign of gains over seeds, the last axis; NaN entries are left out.

    control: of each gain, the value of something whose mean over draws is zero (`TransferDraw.control`). status: codes of
    `Status`. steep: 1 where no straight line in the control describes the gain (`TransferDraw.steep`). Fewer than two seeds, three
    with a control, leave an infinite interval and an undecided sign, and so do draws with heavy tails.
    """
    beside = (None if one is None else np.asarray(one) for one in (control, status, steep))
    return summarise_sums(add_up(np.asarray(gains), *beside), level)


def summarise_sums(sums: np.ndarray, level: float = 0.95) -> Arrays:
    """The same from sums of `mtlsim.core.mean_gain.add_up`."""
    found = estimate(sums, level)
    return found | {"sign": np.where(found["low"] > 0, POSITIVE, np.where(found["high"] < 0, NEGATIVE, UNDECIDED))}


@cache
def level_of_looks(level: float, n_looks: int) -> float:
    """The level of the interval at each of n_looks looks, after equal numbers of draws, so that all of them together keep `level`.

    The constant level of [pocock1977group]: that at which a Gaussian random walk, looked at after 1, ..., n equal steps, is
    ever outside of its interval with probability 1 - level. Bonferroni's is 1 - (1 - level) / n_looks, for looks that know
    nothing of each other.
    """
    from scipy.optimize import brentq

    require(0 < level < 1, "level", "between 0 and 1", level, "use 0.95")
    if n_looks == 1:
        return level
    few = min(n_looks, MOST_LOOKS)  # beyond them the level is shared out further as by Bonferroni, which is wider
    outside = lambda limit: _ever_outside(limit, few) - (1 - level) * few / n_looks
    limit = brentq(outside, *-special.ndtri([(1 - level) / 2, (1 - level) / (2 * n_looks * few)]), xtol=1e-6)
    return float(1 - 2 * special.ndtr(-limit))


def _density(x):
    """Of the standard normal law."""
    return np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)


def _ever_outside(limit: float, n_looks: int) -> float:
    """Probability that S_k = X_1 + ... + X_k, X normal, has |S_k| > limit sqrt(k) for some k to n_looks.

    By the recursion of [armitage1969repeated] for the density of a walk that is inside so far.
    """
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    places, density = limit * nodes, _density(limit * nodes) * limit * weights
    for look in range(2, n_looks + 1):
        reach = limit * np.sqrt(look)
        density = _density(reach * nodes[:, None] - places) @ density * reach * weights
        places = reach * nodes
    return 1 - density.sum()


def decide(gains, level: float = 0.95, control=None, status=None, steep=None) -> Verdict:
    """The verdict on one cell from its gains over seeds, and what `summarise` takes beside them."""
    return verdict_of(summarise(np.ravel(gains), level, control, status, steep), level)


def verdict_of(summary: Arrays, level: float) -> Verdict:
    """The verdict of one cell's summary."""
    mean, error, low, high = (float(summary[name]) for name in ("mean", "standard_error", "low", "high"))
    return Verdict(mean, error, low, high, int(summary["sign"]), int(summary["n_seeds"]), level)


def in_units(verdict: Verdict, unit: float) -> Verdict:
    """The same verdict on gains that are `unit` > 0 times as large."""
    sizes = (verdict.mean, verdict.standard_error, verdict.low, verdict.high)
    mean, error, low, high = (unit * size for size in sizes)
    return replace(verdict, mean=mean, standard_error=error, low=low, high=high)
