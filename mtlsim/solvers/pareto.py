"""The Pareto front of linear tasks that share a layer, also where no weights lead to it."""

from collections.abc import Sequence
from math import comb
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from mtlsim.core.checks import is_whole, require
from mtlsim.samples.moments import Moments, stack
from mtlsim.solvers.stationary import of_one_direction, on_shared_rows

SLACK = 1e-9  # of the weighted energy: less is rounding
BLOCK = 2**22  # comparisons at once
MOST_LOST = 1e-8  # of the longest direction of rows: shorter ones have too few digits
WRONG = 1e-6  # of its energy, how far a loss may be off by what sums have lost
MOST_POINTS = 100_000


class ParetoFront(NamedTuple):
    """T points, in the order in which the first task's loss rises: mean losses (T, K), weights (T, K) of mean one under which a
    point is stationary (the front's normal), directions B (T, d) of length one ((T, d, r) of a higher rank), and whether a point
    is the optimum under its weights (T,).
    """

    losses: np.ndarray
    weights: np.ndarray
    directions: np.ndarray
    reachable: np.ndarray

    def behind(self, losses) -> np.ndarray:
        """How much all losses (..., K) can be lowered at once; zero on the front, as far as its points are fine."""
        return np.asarray(np.max(np.min(self._checked(losses) - self.losses, -1), -1))

    def beyond_weights(self, losses) -> np.ndarray:
        """How much some loss rises at least from losses (..., K) to any optimum under weights. Positive: no weights, tuned as well
        as they may be, are as good for all tasks; an optimum between two points of the front may rise less by their distance.
        """
        return np.asarray(np.min(np.max(self.losses[self.reachable] - self._checked(losses), -1), -1))

    def _checked(self, losses) -> np.ndarray:
        losses, n_tasks = np.asarray(losses, float), self.losses.shape[1]
        fits = losses.shape[-1:] == (n_tasks,)
        require(
            fits, "losses", f"one for each of the {n_tasks} tasks, (..., {n_tasks})", f"of shape {losses.shape}", "pass (..., K)"
        )
        require(bool(np.all(np.isfinite(losses))), "losses", "finite", "NaN or infinite somewhere", "leave out runs that diverged")
        return losses[..., None, :]


def pareto_front(moments: Moments | Sequence[Moments], n_points: int = 2000, rank: int = 1) -> ParetoFront:
    """All mean squared errors of K tasks, under a shared layer and free heads, that no other layer beats in all of them.

    Every point of the front is stationary for some weights w, so all stationary points over a grid of mixes are computed and the
    ones that are not beaten are kept (`mtlsim.solvers.stationary`). On shared rows, of any rank, they are made of eigenvectors
    of the weighted labels' covariance. On rows of their own, rank one, with heads a, s_k = w_k a_k^2 and t_k = w_k a_k,

        B = (sum_k s_k S_k)^-1 sum_k t_k c_k,    t_k (c_k'B) = s_k (B'S_k B),

    K - 1 quadratic equations in the ratios of t: 2^(K - 1) solutions, one followed from each choice of signs. A weighted sum
    reaches only the front's convex hull; reachable is False where another layer is better under the point's own weights (a proof),
    and on rows of their own True as far as the points found are fine.

    Tasks alike, up to sign and unit, share one part of the mixes, so that copies leave the front as fine as it is without them. Of
    more columns than one and fewer than directions of the labels less one, points lie where weights lead, which may be uneven.

    moments: of K >= 2 tasks, stacked or in a sequence, whose grams together have full rank. n_points: mixes that are tried; each
    gives 2^(K - 1) points, or as many as there are ways to choose the columns. Runs in NumPy. Raises ValueError for one task, rows
    that miss a direction, sums that have lost its digits, labels without any, a rank above one on rows of their own, and more than
    100 000 points.

    >>> rng = np.random.default_rng(0)
    >>> X1, X2 = rng.normal(size=(50, 3)), rng.normal(size=(20, 3))
    >>> source, target = mtl.Moments.from_data(X1, X1.sum(1)), mtl.Moments.from_data(X2, X2.sum(1))
    >>> front = mtl.pareto_front([source, target])
    >>> front.losses.shape[1]  # a mean squared error for each of the two tasks
    2
    """
    moments = stack(moments)
    n_tasks, d = moments.n_tasks, moments.n_features
    enough = is_whole(n_points) and n_points >= 2
    require(enough, "n_points", "a whole number >= 2", repr(n_points), "leave it out")
    require(n_tasks > 1, "moments", "of two tasks or more", f"of {n_tasks}", "pass a source and a target")
    n = np.asarray(moments.n_samples, float)
    grams = np.broadcast_to(np.asarray(moments.gram, float), (n_tasks, d, d))
    crosses, energies = np.asarray(moments.cross, float), np.asarray(moments.energy, float)
    require(bool(np.all(np.any(crosses, 1))), "moments", "of labels that depend on the rows", "X'y = 0", "leave that task out")
    # in units in which every task's labels have energy one, rows of its own and every column too: heads and layers undo them
    sizes = np.einsum("kii->k", grams)
    units = np.sqrt(np.einsum("kii->ki", grams / sizes[:, None, None]).sum(0))
    units = np.where(units > 0, units, 1)
    rows, labels, lost = _rows_of(moments, grams, crosses, units, sizes)
    labels = labels / np.sqrt(energies)[:, None]
    # in coordinates in which all rows together are orthonormal, as squares of raw ones lose digits
    white, triangle = np.linalg.qr(rows.reshape(-1, d))
    spread = np.linalg.svd(triangle, compute_uv=False)
    cure = f"add rows{', or make the moments of rows, which have digits that sums have lost' * (moments.factor is None)}"
    full = bool(spread[-1] > lost * spread[0])
    require(full, "moments", "of full rank together", f"of {int(n.sum())} rows that miss a direction, or nearly", cure)
    white = white.reshape(n_tasks, d, d)
    grams, crosses = np.einsum("kij,kil->kjl", white, white), np.einsum("kij,ki->kj", white, labels)
    rounding = d * float(jnp.finfo(moments.gram.dtype).eps)
    _check_rank(moments, rank)
    _check_size(moments, rank, n_points)

    if moments.shared_covariates:
        points, is_optimum = on_shared_rows(grams[0], crosses, np.ones(n_tasks), rank, n_points, rounding)
    else:
        points, is_optimum = of_one_direction(grams, crosses, np.ones(n_tasks), n_points, rounding), None
    losses = points.losses * energies / n  # before they are compared: rounding makes some equal
    kept = _unbeaten(losses)
    losses, layers, weights = losses[kept], points.layers[kept], points.weights[kept]
    reachable = _is_least(weights, points.losses[kept]) if is_optimum is None else is_optimum[kept]
    weights = weights * n / energies
    weights = weights / weights.mean(1, keepdims=True)
    layers = np.linalg.solve(triangle, layers) / units[:, None]
    directions = layers[:, :, 0] / np.linalg.norm(layers[:, :, 0], axis=1, keepdims=True) if rank == 1 else layers
    return ParetoFront(losses, weights, directions, reachable)


def _rows_of(
    moments: Moments, grams: np.ndarray, crosses: np.ndarray, units: np.ndarray, sizes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """d equivalent rows (K, d, d) of each task over units and the root of its size, labels (K, d), and the share of the longest
    direction below which their digits are lost."""
    d, eps = moments.n_features, float(jnp.finfo(moments.gram.dtype).eps)
    roots = np.sqrt(sizes)[:, None]
    if moments.factor is not None:
        rows = np.broadcast_to(np.asarray(moments.factor, float).swapaxes(-1, -2), grams.shape) / units / roots[:, None]
        return rows, np.broadcast_to(np.asarray(moments.scores, float), crosses.shape), max(MOST_LOST, eps) * d
    values, turn = np.linalg.eigh(grams / (units[:, None] * units * sizes[:, None, None]))
    there = values > d * eps * values[:, -1:]
    lengths = np.sqrt(np.where(there, values, 1))
    labels = np.where(there, np.einsum("kij,ki->kj", turn, crosses / units / roots) / lengths, 0)
    return np.where(there, lengths, 0)[:, :, None] * turn.swapaxes(1, 2), labels, np.sqrt(d * eps / WRONG)


def _check_rank(moments: Moments, rank: int) -> None:
    sizes = f"a whole number from 1 to n_features = {moments.n_features}"
    require(is_whole(rank) and 1 <= rank <= moments.n_features, "rank", sizes, rank, "use 1 to force sharing")
    offered = moments.shared_covariates or rank == 1
    require(offered, "rank", "1 where tasks have rows of their own", rank, "use Moments.from_shared_rows, or rank=1")


def _check_size(moments: Moments, rank: int, n_points: int) -> None:
    """All points are compared with each other."""
    n_tasks = moments.n_tasks
    ways = comb(n_tasks, rank) if 1 < rank < n_tasks - 1 else 2 ** (n_tasks - 1) if rank < n_tasks else 1
    most = MOST_POINTS // ways
    cure = f"use n_points={most}" if most > 1 else "ask for fewer tasks"
    require(n_points <= most, "n_points", f"at most {most} for {n_tasks} tasks, {MOST_POINTS} points in all", n_points, cure)


def _unbeaten(losses: np.ndarray) -> np.ndarray:
    """Indices of the points that no other is at least as good as in all losses; the first of equal ones; by the first loss."""
    order = np.lexsort(losses.T[::-1])
    if losses.shape[1] == 2:
        best = np.minimum.accumulate(np.append(np.inf, losses[order, 1]))[:-1]
        return order[losses[order, 1] < best]
    left, kept = order[np.argsort(losses[order].sum(1), kind="stable")], []
    while len(left):  # the least of the sum is beaten by none that is left
        size = max(1, min(256, BLOCK // len(left)))
        block = left[:size]
        inside = np.all(losses[block][:, None] <= losses[block], -1) & np.tri(len(block), k=-1, dtype=bool).T
        block = block[~inside.any(0)]
        kept.append(block)
        beaten = np.zeros(len(left), bool)
        for point in losses[block]:
            beaten |= np.all(losses[left] >= point, 1)
        left = left[~beaten]
    kept = np.concatenate(kept)
    return kept[np.lexsort(losses[kept].T[::-1])]


def _is_least(weights: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Whether no other point has a smaller sum under the weights of each."""
    blocks = np.array_split(weights, max(1, len(weights) * len(losses) // BLOCK))
    least = np.concatenate([(block @ losses.T).min(1) for block in blocks])
    return np.sum(weights * losses, 1) <= least + SLACK * weights.sum(1)
