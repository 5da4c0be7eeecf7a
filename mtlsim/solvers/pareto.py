"""The Pareto front of two linear tasks that share one direction, also where no weights lead to it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mtlsim.core.checks import require
from mtlsim.samples.moments import Moments, stack

REACH = 12.0  # of the logarithm of the mix of the grams
REAL = 1e-7  # a root whose imaginary part is smaller than this share of it is real


class ParetoFront(NamedTuple):
    """T points, in the order in which the first task's loss rises: mean losses (T, 2), weights (T, 2) of mean one under which a
    point is stationary, directions B (T, d) of length one, and whether a point is the optimum under its weights (T,).
    """

    losses: np.ndarray
    weights: np.ndarray
    directions: np.ndarray
    reachable: np.ndarray


def pareto_front(moments: Moments | Sequence[Moments], n_points: int = 2000) -> ParetoFront:
    """All pairs of mean squared errors of two tasks, under one shared direction and free heads, that no other pair beats in both.

    With best heads a_i, B is stationary for weights w if (w_1 a_1^2 S_1 + w_2 a_2^2 S_2) B = w_1 a_1 b_1 + w_2 a_2 b_2, hence
    B ~ (S_1 + s S_2)^-1 (b_1 + t b_2) with s = w_2 a_2^2 / (w_1 a_1^2), t = w_2 a_2 / (w_1 a_1), and s a_1 = t a_2. In coordinates
    where both grams are diagonal this last equation is a quartic in t for every s; its real roots over a grid of s are all
    stationary points, of which the ones that are not beaten are kept. A weighted sum reaches only the front's convex hull.

    moments: of two tasks, stacked or in a sequence, whose grams together have full rank. n_points: values of s. Runs in NumPy.
    Raises ValueError for another number of tasks, rows that miss a direction, and labels without any.

    >>> rng = np.random.default_rng(0)
    >>> X1, X2 = rng.normal(size=(50, 3)), rng.normal(size=(20, 3))
    >>> source, target = mtl.Moments.from_data(X1, X1.sum(1)), mtl.Moments.from_data(X2, X2.sum(1))
    >>> front = mtl.pareto_front([source, target])
    >>> front.losses.shape[1]  # a mean squared error for each of the two tasks
    2
    """
    moments = stack(moments)
    require(moments.n_tasks == 2, "moments", "of two tasks", f"of {moments.n_tasks}", "pass a source and a target")
    n = np.asarray(moments.n_samples)
    grams = np.broadcast_to(np.asarray(moments.gram), (2, *moments.gram.shape[-2:])) / n[:, None, None]
    crosses, energies = np.asarray(moments.cross) / n[:, None], np.asarray(moments.energy) / n
    require(bool(np.all(np.any(crosses, 1))), "moments", "of labels that depend on the rows", "X'y = 0", "leave that task out")
    values, turn = np.linalg.eigh(grams[0] + grams[1])
    full = values[0] > len(values) * np.finfo(values.dtype).eps * values[-1]
    require(bool(full), "moments", "of full rank together", f"of {int(n.sum())} rows that miss a direction", "add rows")
    root = turn / np.sqrt(values)
    shares, turn = np.linalg.eigh(root.T @ grams[0] @ root)
    root, sizes = root @ turn, np.clip(np.stack([shares, 1 - shares]), 0, 1)
    sides = crosses @ root

    mixes = np.exp(np.linspace(-REACH, REACH, n_points))
    mixed = sizes[0] + mixes[:, None] * sizes[1]
    first, second = sides[0] / mixed, sides[1] / mixed
    roots = _roots(mixes, first, second, sides, sizes)
    real = np.abs(roots.imag) <= REAL * np.abs(roots)
    where, ratios = np.nonzero(real)[0], roots[real].real
    points = np.concatenate([first[where] + ratios[:, None] * second[where], sides / np.maximum(sizes, REAL)])
    weights = np.stack([np.ones_like(ratios), ratios**2 / mixes[where]], 1)
    weights = np.concatenate([weights / weights.mean(1, keepdims=True), 2 * np.eye(2)])

    norms = np.maximum(points**2 @ sizes.T, np.finfo(points.dtype).tiny)
    losses = energies - (points @ sides.T) ** 2 / norms
    order = np.lexsort((losses[:, 1], losses[:, 0]))
    best = np.minimum.accumulate(np.append(np.inf, losses[order, 1]))[:-1]
    kept = order[losses[order, 1] < best]
    losses, weights, directions = losses[kept], weights[kept], points[kept] @ root.T
    sums = weights @ losses.T  # of every point, under the weights of each
    slack = 1e-9 * (weights @ energies)
    reachable = np.diagonal(sums) <= sums.min(1) + slack
    return ParetoFront(losses, weights, directions / np.linalg.norm(directions, axis=1, keepdims=True), reachable)


def _roots(mixes, first, second, sides, sizes) -> np.ndarray:
    """The four roots t of s (c_1'z) (z'D_2 z) = t (c_2'z) (z'D_1 z), z = first + t second, for every mix s: (T, 4)."""
    linear = [np.stack([first @ side, second @ side]) for side in sides]  # coefficients of 1 and t
    squares = [np.stack([first**2 @ size, 2 * (first * second) @ size, second**2 @ size]) for size in sizes]
    left, right = np.zeros((2, 5, len(mixes)))
    for i in range(2):
        for j in range(3):
            left[i + j] += mixes * linear[0][i] * squares[1][j]
            right[i + j + 1] += linear[1][i] * squares[0][j]
    quartic = right - left
    companion = np.zeros((len(mixes), 4, 4))
    companion[:, np.arange(1, 4), np.arange(3)] = 1
    companion[:, :, 3] = -(quartic[:4] / quartic[4]).T
    return np.linalg.eigvals(companion).astype(complex)
