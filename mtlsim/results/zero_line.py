"""Where a gain on a grid is zero: lines through cells, kept where cells beside them are decided."""

import numpy as np
from contourpy import contour_generator
from scipy.ndimage import binary_dilation, binary_opening

from mtlsim.core.checks import require


def edges_of(centres: np.ndarray) -> np.ndarray:
    """Borders of cells around their centres: midpoints, geometric where the centres are positive and span a factor of 30."""
    centres = np.asarray(centres, float)
    steps = np.diff(centres)
    require(bool(np.all(steps > 0) or np.all(steps < 0)), "centres", "in order", centres.tolist(), "sort the data along this axis")
    if len(centres) == 1:
        return centres[0] + np.array([-0.5, 0.5])
    log = _is_geometric(centres)
    values = np.log(centres) if log else centres
    middle = (values[1:] + values[:-1]) / 2
    edges = np.concatenate([[2 * values[0] - middle[0]], middle, [2 * values[-1] - middle[-1]]])
    return np.exp(edges) if log else edges


def supported(mean: np.ndarray, decided: np.ndarray) -> np.ndarray:
    """mean (y, x) near decided cells, NaN elsewhere: among cells that are all undecided a line would follow the noise."""
    if min(decided.shape) > 2:
        decided = binary_opening(decided, np.ones((2, 2)))
    return np.where(binary_dilation(decided, np.ones((3, 3))), mean, np.nan)


def zero_lines(xs: np.ndarray, ys: np.ndarray, mean: np.ndarray, decided: np.ndarray | None = None) -> list[np.ndarray]:
    """The lines on which mean (y, x) is zero, each as points (n, 2); of cells near decided ones where these are given."""
    values = mean if decided is None else supported(mean, decided)
    if min(values.shape) < 2 or not np.isfinite(values).any() or not np.nanmin(values) < 0 < np.nanmax(values):
        return []
    geometric = [_is_geometric(axis) for axis in (xs, ys)]
    moved = [np.log(axis) if log else axis for axis, log in zip((xs, ys), geometric, strict=True)]
    lines = contour_generator(*moved, np.ma.masked_invalid(values)).lines(0.0)
    return [np.stack([np.exp(part) if log else part for part, log in zip(line.T, geometric, strict=True)], 1) for line in lines]


def _is_geometric(places: np.ndarray) -> bool:
    """Whether an axis is logarithmic: its places are positive and span a factor of 30."""
    return bool(places.min() > 0 and places.max() > 30 * places.min())
