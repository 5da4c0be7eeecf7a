"""The mean of a gain over draws: sums that add up, a control variate, and an interval that stands skewness.

Near interpolation the risk alone is rarely large and then enormous, so that the mean of a sample is too small and its error too.
Where the expectation of the risk alone is known (least squares on Gaussian rows), the mean gain is therefore estimated with it, by
a control variate, and everywhere the ends of the interval are turned by the skewness of the draws. What a fitted control leaves
of the gain often spreads more where the risk alone is large, so that these few draws carry the slope: the error is the larger one
of the usual and of one that allows for it.

What learns together by a weak pull has a gain that grows as the square of the risk alone: where that square has too few moments
(within some fifteen rows of the peak) no slope that is fitted to draws holds for the large risks they lack. Such draws are `steep`:
their mean is that of slope one, the known expectation less the mean risk together, where nothing is fitted, and the interval holds
both that one and the one of the fitted slope, as either alone lies to one side where the pull is weak.

Where the mean is infinite (within a row of the peak), or not known and the variance infinite, draws have the status
`heavy_tailed`, the interval is infinite, and maps and curves cross these cells. With a budget, every look has the level at which
all looks together keep theirs (Pocock's), which is more than Bonferroni's.

How often the intervals cover: `tests/benchmarks/README.md`.
"""

import numpy as np
from scipy import special

from mtlsim.core.checks import require
from mtlsim.core.status import Status

ORDER = 4  # of the moments: a mean, its error and its skewness, and how the error grows with the control
HEAVY, STEEP, MEANS, MOMENTS = 0, 1, slice(2, 4), slice(4, None)  # of sums: counts of draws, both means, and moments about them
WIDTH = 4 + (ORDER + 1) ** 2
BESIDE = ("control", "status", "steep")  # outputs of a cell that say something of its gain
BLOCK = 2**20  # draws that are added up at a time
BINOMIALS = np.array([[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 2, 1, 0, 0], [1, 3, 3, 1, 0], [1, 4, 6, 4, 1]], float)
Arrays = dict[str, np.ndarray]


def add_up(
    gain: np.ndarray, control: np.ndarray | None = None, status: np.ndarray | None = None, steep: np.ndarray | None = None
) -> np.ndarray:
    """Sums of draws (..., seeds) as (..., WIDTH): draws with heavy tails and steep ones, both means, and sums of
    (gain - its mean)^i (control - its mean)^j for i, j = 0 to ORDER, zero where i + j > ORDER.

    Draws whose gain is no number are left out. control: whose mean over all draws is known to be zero; None: nothing is known.
    steep: 1 of draws whose gain no straight line in the control describes, see above; None: of none.
    """
    shape, n_seeds = gain.shape[:-1], gain.shape[-1]
    gain = gain.reshape(-1, n_seeds)
    control = np.zeros(gain.shape) if control is None else control.reshape(gain.shape)
    heavy = None if status is None else status == Status.heavy_tailed
    result, step = np.empty((len(gain), WIDTH)), max(1, BLOCK // max(n_seeds, 1))
    for column, draws in ((HEAVY, heavy), (STEEP, steep)):
        result[:, column] = 0 if draws is None else (draws.reshape(gain.shape) > 0).sum(1)
    for start in range(0, len(gain), step):
        rows = slice(start, start + step)
        result[rows, MEANS.start :] = _add_up(gain[rows].astype(float), control[rows].astype(float))
    return result.reshape(*shape, WIDTH)


def _add_up(gain: np.ndarray, control: np.ndarray) -> np.ndarray:
    used = np.isfinite(gain) & np.isfinite(control)
    count = np.maximum(used.sum(1), 1)
    means = [np.where(used, values, 0).sum(1) / count for values in (gain, control)]
    away = [np.where(used, values - mean[:, None], 0) for values, mean in zip((gain, control), means, strict=True)]
    moments = np.zeros((len(gain), ORDER + 1, ORDER + 1))
    left = used.astype(float)
    with np.errstate(over="ignore", invalid="ignore"):  # cubes of 1e103 are no number, and count as no known skewness
        for i in range(ORDER + 1):
            term = left
            for j in range(ORDER + 1 - i):
                moments[:, i, j] = term.sum(1)
                term = term * away[1]
            left = left * away[0]
    moments[:, [0, 1], [1, 0]] = 0
    return np.concatenate([np.stack(means, 1), moments.reshape(len(gain), -1)], 1)


def join(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Sums of the draws of both: each moved to the common means, and added."""
    counts = first[..., MOMENTS.start], second[..., MOMENTS.start]
    both = np.maximum(counts[0] + counts[1], 1)[..., None]
    means = first[..., MEANS] + (second[..., MEANS] - first[..., MEANS]) * counts[1][..., None] / both
    moments = sum(_about(sums, means) for sums in (first, second))
    moments[..., [0, 1], [1, 0]] = 0
    draws = first[..., : MEANS.start] + second[..., : MEANS.start]
    return np.concatenate([draws, means, moments.reshape(*draws.shape[:-1], -1)], -1)


def _about(sums: np.ndarray, means: np.ndarray) -> np.ndarray:
    """The moments about other means, by the binomial theorem on either side."""
    moments = _moments(sums)
    step = np.where(moments[..., 0, :1] > 0, sums[..., MEANS] - means, 0)
    powers = np.subtract.outer(np.arange(ORDER + 1), np.arange(ORDER + 1)).clip(0)
    with np.errstate(over="ignore", invalid="ignore"):
        left, right = (BINOMIALS * step[..., i, None, None] ** powers for i in range(2))
        moved = np.swapaxes(_combine(right, np.swapaxes(_combine(left, moments), -1, -2)), -1, -2)
    return np.where(np.add.outer(np.arange(ORDER + 1), np.arange(ORDER + 1)) <= ORDER, moved, 0)


def _combine(lower: np.ndarray, powers: np.ndarray) -> np.ndarray:
    """The product with a lower triangle; a power that has overflowed spoils itself and those above it, and none below."""
    none = ~np.isfinite(powers)
    return np.where(np.maximum.accumulate(none, -2), np.nan, lower @ np.where(none, 0, powers))


def _moments(sums: np.ndarray) -> np.ndarray:
    return sums[..., MOMENTS].reshape(*sums.shape[:-1], ORDER + 1, ORDER + 1)


def has_heavy_tails(sums: np.ndarray) -> np.ndarray:
    """Where some draws had the status `heavy_tailed`, so that no interval would cover."""
    return np.asarray(sums[..., HEAVY] > 0)


def estimate(sums: np.ndarray, level: float = 0.95) -> Arrays:
    """{mean, standard_error, low, high, n_seeds} of the mean gain from sums (..., WIDTH).

    With slope b = cov(gain, control) / var(control) the mean is that of gain - b control, which is the mean gain less what the
    control, whose mean is known, says that these draws have too much [glasserman2003monte]; 0 where no control is known. Its error
    is that of the regression, or HC3's where that is larger. The ends are those of Student's t with n - 1 degrees (n - 2 with a
    control), turned by Hall's transform of the residuals' skewness [hall1992removal]. Infinite with too few draws, and where draws
    have heavy tails. Where draws are steep, and do not all gain the same, mean and error are those of b = 1, and the interval
    reaches to the further ends of both slopes.
    """
    require(0 < level < 1, "level", "between 0 and 1", level, "use 0.95")
    moments = _moments(sums)
    known = np.asarray(moments[..., 0, 2] > 0)
    slope = np.asarray(np.where(known, moments[..., 1, 1], 0) / np.where(known, moments[..., 0, 2], 1))
    fitted = _estimate_at(sums, slope, known, level)
    steep = known & (sums[..., STEEP] > 0) & (moments[..., 2, 0] > 0)
    if not steep.any():
        return fitted
    whole = _estimate_at(sums, np.ones_like(slope), np.zeros_like(known), level)
    found = {name: np.where(steep, whole[name], fitted[name]) for name in fitted}
    further = {"low": np.minimum, "high": np.maximum}
    return found | {end: np.where(steep, of(whole[end], fitted[end]), fitted[end]) for end, of in further.items()}


def _estimate_at(sums: np.ndarray, slope: np.ndarray, is_fitted: np.ndarray, level: float) -> Arrays:
    """The same at a slope on the control, which costs a degree of freedom where it is fitted to these draws."""
    gain, control = np.moveaxis(sums[..., MEANS], -1, 0)
    moments = _moments(sums)
    count, spread = moments[..., 0, 0], moments[..., 0, 2]
    freedom = count - 1 - is_fitted
    fine = (freedom > 0) & ~has_heavy_tails(sums) & np.isfinite(moments[..., 2, 0])
    n, freedom = np.maximum(count, 1), np.maximum(freedom, 1)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        left = np.maximum(moments[..., 2, 0] - 2 * slope * moments[..., 1, 1] + slope**2 * spread, 0)
        usual = left / freedom * (1 / n + np.where(is_fitted, control**2, 0) / np.where(is_fitted, spread, 1))
        uneven = _uneven_variance(moments, slope, control)
        error = np.sqrt(np.maximum(usual, np.where(is_fitted & np.isfinite(uneven), uneven, 0)))
        cubes = sum(BINOMIALS[3, j] * (-slope) ** j * moments[..., 3 - j, j] for j in range(4))
        pull = np.where(left > 0, cubes / n / (left / n) ** 1.5, 0) / np.sqrt(n)
        mean = np.where(count > 0, gain - slope * control, np.nan)
    pull = np.where(np.isfinite(pull), pull, 0)
    quantile = special.stdtrit(freedom, 0.5 + level / 2)
    error = np.where(fine, error, np.inf)
    width = [np.where(fine, np.where(fine, error, 0) * turn(side * quantile, pull), side * np.inf) for side in (1, -1)]
    return {"mean": mean, "standard_error": error, "low": mean - width[0], "high": mean - width[1], "n_seeds": count.astype(int)}


def _uneven_variance(moments, slope, control):
    """Variance of the mean at a fitted slope where residuals r spread more at some controls c than at others: HC3
    [mackinnon1985some], sum_i (1 - n m c_i / S)^2 r_i^2 (1 + 2 h_i) / n^2, m the mean control, S = sum_i c_i^2 about it, and to
    leading order in the leverage h_i = 1 / n + c_i^2 / S."""
    n, spread = np.maximum(moments[..., 0, 0], 1), np.where(moments[..., 0, 2] > 0, moments[..., 0, 2], np.inf)
    lean = n * control / spread
    level, first, second = (
        moments[..., 2, j] - 2 * slope * moments[..., 1, j + 1] + slope**2 * moments[..., 0, j + 2] for j in range(3)
    )
    leaning = np.maximum(level - 2 * lean * first + lean**2 * second, 0)
    return (leaning * (1 + 2 / n) + 2 * np.maximum(second, 0) / spread) / n**2


def turn(quantile, pull):
    """The t at which t + pull t^2 / 3 + pull^2 t^3 / 27 + pull / 6 is this quantile; pull: skewness over the root of n."""
    bent = np.abs(pull) > 1e-6
    safe = np.where(bent, pull, 1)
    return np.where(bent, 3 / safe * (np.cbrt(1 + safe * (quantile - safe / 6)) - 1), quantile)
