"""The mean of a gain over draws: sums that add up, a control variate, and an interval that stands skewness.

Near interpolation the risk alone is rarely large and then enormous, so that the mean of a sample is too small and its error too.
Where the expectation of the risk alone is known (least squares on Gaussian rows), the mean gain is therefore estimated with it, by
a control variate, and everywhere the ends of the interval are turned by the skewness of the draws.

Where the mean is infinite (within a row of the peak), or not known and the variance infinite, draws have the status
`heavy_tailed`, the interval is infinite, and maps and curves cross these cells. With a budget, every look has the level at which
all looks together keep theirs (Pocock's), which is more than Bonferroni's.

How often the intervals cover, and where they do not (penalised sharing within some seven rows of the peak, where the slope on the
control is fitted to too few large risks): `tests/benchmarks/README.md`.
"""

import numpy as np
from scipy import special

from mtlsim.core.checks import require
from mtlsim.core.status import Status

ORDER = 3  # of the moments: a mean, its error and its skewness
WIDTH = 3 + (ORDER + 1) ** 2
BLOCK = 2**20  # draws that are added up at a time
BINOMIALS = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 2, 1, 0], [1, 3, 3, 1]], float)
Arrays = dict[str, np.ndarray]


def add_up(gain: np.ndarray, control: np.ndarray | None = None, status: np.ndarray | None = None) -> np.ndarray:
    """Sums of draws (..., seeds) as (..., WIDTH): draws with heavy tails, both means, and sums of (gain - its mean)^i (control -
    its mean)^j for i, j = 0 to 3, zero where i + j > 3.

    Draws whose gain is no number are left out. control: whose mean over all draws is known to be zero; None: nothing is known.
    """
    shape, n_seeds = gain.shape[:-1], gain.shape[-1]
    gain = gain.reshape(-1, n_seeds)
    control = np.zeros(gain.shape) if control is None else control.reshape(gain.shape)
    heavy = np.zeros(len(gain)) if status is None else (status.reshape(gain.shape) == Status.heavy_tailed).sum(1)
    result, step = np.empty((len(gain), WIDTH)), max(1, BLOCK // max(n_seeds, 1))
    result[:, 0] = heavy
    for start in range(0, len(gain), step):
        rows = slice(start, start + step)
        result[rows, 1:] = _add_up(gain[rows].astype(float), control[rows].astype(float))
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
    counts = first[..., 3], second[..., 3]
    both = np.maximum(counts[0] + counts[1], 1)[..., None]
    means = first[..., 1:3] + (second[..., 1:3] - first[..., 1:3]) * counts[1][..., None] / both
    moments = sum(_about(sums, means) for sums in (first, second))
    moments[..., [0, 1], [1, 0]] = 0
    heavy = first[..., :1] + second[..., :1]
    return np.concatenate([heavy, means, moments.reshape(*heavy.shape[:-1], -1)], -1)


def _about(sums: np.ndarray, means: np.ndarray) -> np.ndarray:
    """The moments about other means, by the binomial theorem on either side."""
    moments = sums[..., 3:].reshape(*sums.shape[:-1], ORDER + 1, ORDER + 1)
    step = np.where(sums[..., 3:4] > 0, sums[..., 1:3] - means, 0)
    powers = np.subtract.outer(np.arange(ORDER + 1), np.arange(ORDER + 1)).clip(0)
    with np.errstate(over="ignore", invalid="ignore"):
        left, right = (BINOMIALS * step[..., i, None, None] ** powers for i in range(2))
        moved = left @ moments @ np.swapaxes(right, -1, -2)
    return np.where(np.add.outer(np.arange(ORDER + 1), np.arange(ORDER + 1)) <= ORDER, moved, 0)


def has_heavy_tails(sums: np.ndarray) -> np.ndarray:
    """Where some draws had the status `heavy_tailed`, so that no interval would cover."""
    return np.asarray(sums[..., 0] > 0)


def estimate(sums: np.ndarray, level: float = 0.95) -> Arrays:
    """{mean, standard_error, low, high, n_seeds} of the mean gain from sums (..., WIDTH).

    With slope b = cov(gain, control) / var(control) the mean is that of gain - b control, which is the mean gain less what the
    control, whose mean is known, says that these draws have too much [glasserman2003monte]; 0 where no control is known. The
    ends are those of Student's t with n - 1 degrees (n - 2 with a control), turned by Hall's transform of the residuals'
    skewness [hall1992removal]. Infinite with too few draws, and where draws have heavy tails.
    """
    require(0 < level < 1, "level", "between 0 and 1", level, "use 0.95")
    gain, control = sums[..., 1], sums[..., 2]
    moments = sums[..., 3:].reshape(*sums.shape[:-1], ORDER + 1, ORDER + 1)
    count, spread = moments[..., 0, 0], moments[..., 0, 2]
    known = spread > 0
    slope = np.where(known, moments[..., 1, 1], 0) / np.where(known, spread, 1)
    freedom = count - 1 - known
    fine = (freedom > 0) & ~has_heavy_tails(sums)
    n, freedom = np.maximum(count, 1), np.maximum(freedom, 1)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        left = np.maximum(moments[..., 2, 0] - slope * moments[..., 1, 1], 0)
        error = np.sqrt(left / freedom * (1 / n + control**2 / np.where(known, spread, 1)))
        cubes = sum(BINOMIALS[3, j] * (-slope) ** j * moments[..., 3 - j, j] for j in range(ORDER + 1))
        pull = np.where(left > 0, cubes / n / (left / n) ** 1.5, 0) / np.sqrt(n)
        mean = np.where(count > 0, gain - slope * control, np.nan)
    pull = np.where(np.isfinite(pull), pull, 0)
    quantile = special.stdtrit(freedom, 0.5 + level / 2)
    error = np.where(fine, error, np.inf)
    width = [np.where(fine, np.where(fine, error, 0) * turn(side * quantile, pull), side * np.inf) for side in (1, -1)]
    return {"mean": mean, "standard_error": error, "low": mean - width[0], "high": mean - width[1], "n_seeds": count.astype(int)}


def turn(quantile, pull):
    """The t at which t + pull t^2 / 3 + pull^2 t^3 / 27 + pull / 6 is this quantile; pull: skewness over the root of n."""
    bent = np.abs(pull) > 1e-6
    safe = np.where(bent, pull, 1)
    return np.where(bent, 3 / safe * (np.cbrt(1 + safe * (quantile - safe / 6)) - 1), quantile)
