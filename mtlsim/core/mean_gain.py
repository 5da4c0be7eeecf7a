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
# of sums: counts of draws, both means, exponents of the units (powers of two) of both, and moments about the means in these units
HEAVY, STEEP, MEANS, UNITS, MOMENTS = 0, 1, slice(2, 4), slice(4, 6), slice(6, None)
WIDTH = 6 + (ORDER + 1) ** 2
LEAST = -1074  # exponent of the least number, and the unit of what is zero
BESIDE = ("control", "status", "steep")  # outputs of a cell that say something of its gain
BLOCK = 2**20  # draws that are added up at a time
POWERS = np.arange(ORDER + 1)
BINOMIALS = np.array([[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 2, 1, 0, 0], [1, 3, 3, 1, 0], [1, 4, 6, 4, 1]], float)
Arrays = dict[str, np.ndarray]


def add_up(
    gain: np.ndarray, control: np.ndarray | None = None, status: np.ndarray | None = None, steep: np.ndarray | None = None
) -> np.ndarray:
    """Sums of draws (..., seeds) as (..., WIDTH): draws with heavy tails and steep ones, both means, units u and v, and sums of
    ((gain - its mean) / u)^i ((control - its mean) / v)^j for i, j = 0 to ORDER, zero where i + j > ORDER.

    Units are the powers of two above the largest distance, so that no power of it leaves the range of numbers. Draws whose gain is
    no number are left out. control: whose mean over all draws is known to be zero; None: nothing is known. steep: 1 of draws whose
    gain no straight line in the control describes, see above; None: of none.
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
    units = np.stack([_exponent(np.abs(values).max(1, initial=0)) for values in away], 1)
    away = [np.ldexp(values, -units[:, i, None]) for i, values in enumerate(away)]
    moments = np.zeros((len(gain), ORDER + 1, ORDER + 1))
    left = used.astype(float)
    for i in POWERS:
        term = left
        for j in range(ORDER + 1 - i):
            moments[:, i, j] = term.sum(1)
            term = term * away[1]
        left = left * away[0]
    moments[:, [0, 1], [1, 0]] = 0  # but for rounding
    return np.concatenate([np.stack(means, 1), units, moments.reshape(len(gain), -1)], 1)


def _exponent(sizes: np.ndarray) -> np.ndarray:
    """Of the power of two above a size."""
    return np.where(sizes == 0, LEAST, np.frexp(sizes)[1])


def join(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Sums of the draws of both: each moved to the common means, and added."""
    counts = [one[..., MOMENTS.start, None] for one in (first, second)]
    means = first[..., MEANS] + (second[..., MEANS] - first[..., MEANS]) * counts[1] / np.maximum(sum(counts), 1)
    steps, sizes = zip(*(_away(one, means) for one in (first, second)), strict=True)
    units = np.maximum(np.maximum(*sizes), np.maximum(*map(_exponent, steps)))
    moments = sum(_about(one, step, size - units, units) for one, step, size in zip((first, second), steps, sizes, strict=True))
    moments[..., [0, 1], [1, 0]] = 0
    draws = first[..., : MEANS.start] + second[..., : MEANS.start]
    return np.concatenate([draws, means, units, moments.reshape(*draws.shape[:-1], -1)], -1)


def _away(sums: np.ndarray, means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far its own means are from these, and its units; nothing where there are no draws."""
    drawn = sums[..., MOMENTS.start, None] > 0
    return np.where(drawn, sums[..., MEANS] - means, 0), np.where(drawn, sums[..., UNITS], LEAST).astype(int)


def _about(sums: np.ndarray, step: np.ndarray, smaller: np.ndarray, units: np.ndarray) -> np.ndarray:
    """The moments about means that are `step` lower, in these units, of which theirs are 2^smaller, by the binomial theorem on
    either side."""
    scale = np.ldexp(1.0, POWERS[:, None] * smaller[..., 0, None, None] + POWERS * smaller[..., 1, None, None])
    powers = np.subtract.outer(POWERS, POWERS).clip(0)
    left, right = (BINOMIALS * np.ldexp(step, -units)[..., i, None, None] ** powers for i in range(2))
    moved = left @ (_moments(sums) * scale) @ np.swapaxes(right, -1, -2)
    return np.where(np.add.outer(POWERS, POWERS) <= ORDER, moved, 0)


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
    moments, units = _moments(sums), sums[..., UNITS].astype(int)
    known = np.asarray(moments[..., 0, 2] > 0)
    slope = np.asarray(np.where(known, moments[..., 1, 1], 0) / np.where(known, moments[..., 0, 2], 1))
    fitted = _estimate_at(sums, slope, known, level)
    steep = known & (sums[..., STEEP] > 0) & (moments[..., 2, 0] > 0)
    if not steep.any():
        return fitted
    one = np.asarray(np.ldexp(1.0, np.where(steep, units[..., 1] - units[..., 0], 0)))
    whole = _estimate_at(sums, one, np.zeros_like(known), level)
    found = {name: np.where(steep, whole[name], fitted[name]) for name in fitted}
    further = {"low": np.minimum, "high": np.maximum}
    return found | {end: np.where(steep, of(whole[end], fitted[end]), fitted[end]) for end, of in further.items()}


def _estimate_at(sums: np.ndarray, slope: np.ndarray, is_fitted: np.ndarray, level: float) -> Arrays:
    """The same at a slope on the control (in units of both), which costs a degree of freedom where it is fitted to these draws."""
    units = np.moveaxis(sums[..., UNITS].astype(int), -1, 0)
    gain, control = np.moveaxis(sums[..., MEANS], -1, 0)
    moments = _moments(sums)
    count, spread = moments[..., 0, 0], moments[..., 0, 2]
    control = np.where(spread > 0, np.ldexp(control, np.where(spread > 0, -units[1], 0)), 0)
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
        mean, error = np.where(count > 0, gain - np.ldexp(slope * control, units[0]), np.nan), np.ldexp(error, units[0])
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
