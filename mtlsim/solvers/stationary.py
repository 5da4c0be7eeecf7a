"""Layers under which no small change lowers all losses of K linear tasks: the stationary points of every weighting, in NumPy.

Losses are mean squared errors under the best heads, from S_k = X_k'X_k / n_k (d, d), c_k = X_k'y_k / n_k (d,), e_k = y_k'y_k / n_k.
What is no local optimum of the losses, by their second derivatives along what leaves all of them the same to first order, is left
out.
"""

from itertools import combinations, product
from typing import NamedTuple

import numpy as np

REACH = 12.0  # of the logarithms of the mixes
STEPS, STAGES, EACH, LAST = 60, 10, 3, 12  # Newton steps of the scaling; stages of the way from it, steps at each and at the last
BLOCK = 2**24  # numbers at once
ROUNDING = 1e-12  # of the largest eigenvalue
CLOSE = 1e-9  # largest error of a solution over its own size
LAST_DIGITS = 64 * np.finfo(float).eps  # the same over the size of the terms that it is a sum of
MOST_LOST = 1e-6  # of a solution's own size
EQUAL = 1e-9  # of the largest eigenvalue: closer ones are one, and slopes and curvatures below it are none
ALIKE = 0.05  # largest distance between tasks alike, of grams and of sides of length one: a mix of both is all but one's


class Points(NamedTuple):
    """Losses (T, K), weights (T, K) under which each point is stationary, and layers (T, d, r)."""

    losses: np.ndarray
    weights: np.ndarray
    layers: np.ndarray


def mixes_of(n_tasks: int, n_points: int, kinds: np.ndarray | None = None) -> np.ndarray:
    """Shares (T, K) of sum one: of two tasks a fine line; of more, points that fill the simplex evenly and its corners finely.

    kinds (K,): tasks of one number are alike, so that what they have together is what counts: it is as fine as if they were one.
    """
    n_kinds = n_tasks if kinds is None else int(kinds.max()) + 1
    if n_kinds < n_tasks:
        shares = mixes_of(n_kinds, n_points) if n_kinds > 1 else np.ones((n_points, 1))
        within = -np.log1p(-_evenly(n_tasks, len(shares)))
        return shares[:, kinds] * within / (within @ (kinds[:, None] == np.arange(n_kinds)))[:, kinds]
    if n_tasks == 2:
        line = np.linspace(-REACH, REACH, n_points)
        return 1 / (1 + np.exp(np.stack([line, -line], 1)))
    side = _evenly(n_tasks, n_points)
    exponentials = -np.log1p(-side[::2])
    logarithms = np.exp(REACH * (side[1::2] - 1))
    mixes = np.concatenate([exponentials, logarithms, np.ones((1, n_tasks))])
    return mixes / mixes.sum(1, keepdims=True)


def _evenly(n_dimensions: int, n_points: int) -> np.ndarray:
    """Points (T, m) inside the unit cube, by multiples of the powers of the root of x^(m + 1) = x + 1."""
    root = 2.0
    for _ in range(60):
        root = (1 + root) ** (1 / (n_dimensions + 1))
    return (0.5 + np.arange(1, n_points + 1)[:, None] * root ** -np.arange(1.0, n_dimensions + 1)) % 1


def _kinds(grams: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """A number (K,) for each task, the same for those whose grams (K, d, d) and sides (K, d) of length one are ALIKE."""
    unit = lambda parts: parts / np.maximum(np.linalg.norm(parts, axis=1, keepdims=True), np.finfo(float).tiny)
    grams, sides = unit(grams.reshape(len(grams), -1)), unit(sides)
    alike = np.linalg.norm(grams[:, None] - grams, axis=-1) <= ALIKE
    # heads turn sides round
    alike &= np.minimum(*(np.linalg.norm(sides[:, None] - sign * sides, axis=-1) for sign in (1, -1))) <= ALIKE
    return np.unique(np.argmax(alike, 1), return_inverse=True)[1]


def on_shared_rows(
    gram: np.ndarray, crosses: np.ndarray, energies: np.ndarray, rank: int, n_points: int, rounding: float = ROUNDING
) -> tuple[Points, np.ndarray]:
    """Of r columns on the same rows: for every mix of the tasks, any r of the directions in which the mixed labels vary.

    With u_k = S^-1/2 c_k a layer explains |P u_k|^2, P the projection on its columns, and is stationary for weights w if and only
    if P is made of eigenvectors of sum_k w_k u_k u_k'. The second answer: whether these are the r largest, the weights' optimum.
    """
    values, turn = np.linalg.eigh(gram)
    seen = values > rounding * values[-1]
    root = turn[:, seen] / np.sqrt(values[seen])
    _, sizes, span = np.linalg.svd(crosses @ root, full_matrices=False)
    span = span[sizes > rounding * sizes[0]]
    sides, root = crosses @ root @ span.T, root @ span.T  # (K, m), (d, m)
    n_tasks, m = sides.shape
    columns = min(rank, m)
    mixes = mixes_of(n_tasks, n_points, _kinds(np.ones((n_tasks, 1)), sides))
    if columns in (1, m - 1) and columns < m:
        inside, weights, is_optimum, left = _by_scaling(sides, columns, mixes)
    else:
        inside, weights, is_optimum, left = _by_eigenvectors(sides, columns, mixes)
    layers = np.pad(np.einsum("di,tij->tdj", root, inside), ((0, 0), (0, 0), (0, rank - columns)))
    return Points(energies - np.sum(sides**2, 1) + left, weights, layers), is_optimum


def _by_scaling(sides: np.ndarray, columns: int, mixes: np.ndarray) -> tuple[np.ndarray, ...]:
    """Of one column, and of all but one: layers (T, m, r), weights, whether they are optima, and what is left of |u_k|^2 (T, K).

    With U of rows u_k, one column is U't where t_k (U U't)_k = s_k, and all but one leave U^-1 z where z_k (M z)_k = s_k with
    M = (U U')^-1; the weighted covariance has the eigenvalue one there. Each choice of signs has exactly one solution, the scaling
    of a positive matrix to given row sums [marshall1968scaling], and spreads as evenly over the front as s does. Of dependent u_k
    both are U't; some choices have no solution, and some solutions are no local optima.
    """
    n_tasks, m = sides.shape
    inner = sides @ sides.T
    by_t = columns == 1 or m < n_tasks
    parts = inner if by_t else np.linalg.inv(inner)
    signed = [parts * sign[:, None] * sign for sign in _signs(n_tasks)]
    t = np.concatenate([_scaled(np.broadcast_to(part, (len(mixes), n_tasks, n_tasks)), mixes) for part in signed])
    t = t * np.repeat(_signs(n_tasks), len(mixes), 0)
    mixes = np.tile(mixes, (len(signed), 1))
    if m < n_tasks:
        solved = np.all(np.abs(t * (t @ inner) - mixes) <= CLOSE * mixes, 1)
        t, mixes = t[solved], mixes[solved]
    weights = t**2 / mixes if by_t else mixes / t**2
    directions = t @ sides if by_t else np.linalg.solve(sides, t.T).T
    along = directions @ sides.T if by_t else t
    share = along**2 / np.sum(directions**2, 1, keepdims=True)
    left = np.sum(sides**2, 1) - share if columns == 1 else share
    across = np.linalg.svd(directions[:, None])[2][:, 1:].swapaxes(1, 2)
    spectra, turn = np.linalg.eigh(np.einsum("tk,tki,tkj->tij", weights, *[sides @ across] * 2))
    drops = 1 - spectra if columns == 1 else spectra - 1
    sizes = np.maximum(spectra[:, -1], 1)
    is_optimum = np.all(drops >= -EQUAL * sizes[:, None], 1)
    found = directions[:, :, None] if columns == 1 else across, weights, is_optimum, left
    if m == n_tasks:
        return found
    slopes = along[:, :, None] / np.linalg.norm(directions, axis=1)[:, None, None] * (sides @ across @ turn)
    local = _curves_up(drops, slopes, sizes)
    return tuple(part[local] for part in found)


def _by_eigenvectors(sides: np.ndarray, columns: int, mixes: np.ndarray) -> tuple[np.ndarray, ...]:
    """The same of any number of columns, by eigenvectors for given weights."""
    n_tasks, m = sides.shape
    spectra, directions = np.linalg.eigh(np.einsum("tk,ki,kj->tij", mixes, sides, sides))
    spectra, directions = spectra[:, ::-1], directions[:, :, ::-1]
    parts = np.einsum("ki,tij->tkj", sides, directions)  # of task k's labels along each direction
    found = []
    for taken in combinations(range(m), columns):
        left = [j for j in range(m) if j not in taken]
        drops = (spectra[:, taken, None] - spectra[:, None, left]).reshape(len(mixes), -1)  # curvature of turning i towards j
        slopes = (parts[:, :, taken, None] * parts[:, :, None, left]).reshape(len(mixes), n_tasks, -1)
        local = _curves_up(drops, slopes, spectra[:, 0])
        is_optimum = np.all(drops[local] >= -EQUAL * spectra[local, :1], 1)
        remains = np.sum(parts[local][:, :, left] ** 2, -1)
        found.append((directions[local][:, :, taken], mixes[local], is_optimum, remains))
    return tuple(map(np.concatenate, zip(*found, strict=True)))


def _signs(n_tasks: int) -> np.ndarray:
    """All choices of signs but the first's."""
    return np.array(list(product([1.0], *[[1.0, -1.0]] * (n_tasks - 1))))


def _curves_up(drops: np.ndarray, slopes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Whether sum_i drops_i t_i^2 is not negative for any t (T, p) that `slopes` (T, K, p) sends to zero."""
    if not drops.shape[1]:
        return np.ones(len(drops), bool)
    _, singular, across = np.linalg.svd(slopes, full_matrices=True)
    rank = np.sum(singular > EQUAL * np.maximum(singular[:, :1], np.finfo(float).tiny), 1)
    free = np.where(np.arange(drops.shape[1])[:, None] >= rank[:, None, None], across, 0)
    least = np.linalg.eigvalsh(np.einsum("tip,tp,tjp->tij", free, drops, free))[:, 0]
    return least >= -EQUAL * sizes


def of_one_direction(
    grams: np.ndarray, crosses: np.ndarray, energies: np.ndarray, n_points: int, rounding: float = ROUNDING
) -> Points:
    """Of one column on rows of their own: for every mix s of the tasks and all signs of the heads but the first.

    With s_k = w_k a_k^2 and t_k = w_k a_k, B = (sum_k s_k S_k)^-1 sum_k t_k c_k, and the heads are the best ones if and only if
    t_k (c_k'B) = s_k (B'S_k B). Written in t these are K quadratic equations whose sum is no condition. For equal rows each choice
    of signs has exactly one solution, a scaling as in `_by_scaling`, from which the way to rows of their own starts. As many points
    as signs are all there are (Bezout). All are local optima: along y that leaves every loss the same the second derivatives add up
    to sum_k w_k a_k^2 (y'S_k y - (B'S_k y)^2 / B'S_k B) >= 0.
    """
    n_tasks = len(crosses)
    values, turn = np.linalg.eigh(grams.sum(0))
    root = turn / np.sqrt(values)  # whitens the sum
    seen, scores = _seen(grams, crosses, rounding)
    seen = np.einsum("ia,kij->kaj", root, seen)
    grams, crosses = np.einsum("ia,kij,jb->kab", root, grams, root), crosses @ root
    alone = [np.linalg.lstsq(own.T, said, rcond=np.sqrt(rounding))[0] for own, said in zip(seen, scores, strict=True)]
    found = [(np.stack(alone), np.eye(n_tasks))]
    n_blocks = max(1, n_points * crosses.shape[1] ** 2 // BLOCK)
    for mixes in np.array_split(mixes_of(n_tasks, n_points, _kinds(grams, crosses)), n_blocks):
        mixed = np.einsum("tk,kij->tij", mixes, grams)
        sides = np.linalg.solve(mixed, np.broadcast_to(crosses.T, (len(mixes), *crosses.T.shape)))  # (T, d, K)
        inner = np.einsum("kd,tdj->tkj", crosses, sides)
        within = np.einsum("tdi,tkdj->tkij", sides, np.einsum("kde,tej->tkdj", grams, sides))
        for sign in _signs(n_tasks):
            start = sign * _scaled(inner * sign[:, None] * sign, mixes)
            scales, solved = _followed(inner, within, mixes, start)
            layers = np.einsum("tdk,tk->td", sides[solved], scales[solved])
            found.append((layers, scales[solved] ** 2 / mixes[solved]))
    layers, weights = map(np.concatenate, zip(*found, strict=True))
    fits, sizes = [layers @ own for own in seen], np.linalg.norm(seen, 2, (1, 2))
    # orthogonal to all rows of a task, as far as B is known, its equation holds under every weight, and its loss jumps
    seen_at_all = np.linalg.norm(fits, axis=2) > CLOSE * sizes[:, None] * np.linalg.norm(layers, axis=1)
    explained = np.stack([_explained(*one) for one in zip(fits, scores, strict=True)], 1)
    losses = energies - np.where(seen_at_all.T, explained, 0)
    kept = np.all(seen_at_all, 0) | (np.arange(len(layers)) < n_tasks)
    return Points(losses[kept], weights[kept], (layers[kept] @ root.T)[:, :, None])


def _seen(grams: np.ndarray, crosses: np.ndarray, rounding: float) -> tuple[np.ndarray, np.ndarray]:
    """F (K, d, d) with S_k = F_k F_k', zero in directions that rows miss up to rounding, and q (K, d) with c_k = F_k q_k."""
    values, turn = np.linalg.eigh(grams)
    there = values > rounding * values[:, -1:]
    roots = np.sqrt(np.where(there, values, 1))
    return turn * np.where(there, roots, 0)[:, None, :], np.where(there, np.einsum("kij,ki->kj", turn, crosses) / roots, 0)


def _explained(seen: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(q'v)^2 / v'v for v (T, d): by Cauchy and Schwarz at most q'q, also where a layer is all but outside of the rows."""
    sizes = np.max(np.abs(seen), 1, keepdims=True)
    seen = seen / np.where(sizes > 0, sizes, 1)  # as squares of small numbers are zero
    return (seen @ scores) ** 2 / np.maximum(np.sum(seen**2, 1), 1)


def _scaled(matrices: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """The positive t with t_k (M t)_k = s_k: the least of t'M t / 2 - sum_k s_k log t_k, by damped Newton steps."""
    t = np.sqrt(sums / np.maximum(np.diagonal(matrices, axis1=1, axis2=2), np.finfo(float).tiny))
    for _ in range(STEPS):
        # in units of t, where the curvature of the barrier is s
        slope = t * np.einsum("tij,tj->ti", matrices, t) - sums
        step = _solve(matrices * t[:, :, None] * t[:, None, :] + sums[:, :, None] * np.eye(t.shape[1]), slope)
        t = t * (1 - step / (1 + np.abs(step).max(1, keepdims=True)))
    return t


@np.errstate(over="ignore", invalid="ignore")  # of ways that lead nowhere
def _followed(inner: np.ndarray, within: np.ndarray, mixes: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """t (T, K) with t_k (N t)_k = s_k (1 + t'(C_k - N) t), and whether it was found. Summed, t'N t = 1.

    From the solution where C_k = N the last term grows to its size in steps, so that no two starts end in one solution.
    """
    beside = within - inner[:, None]
    eye = np.eye(inner.shape[1])
    t = start
    for share in np.linspace(0, 1, STAGES + 1)[1:]:
        for _ in range(LAST if share == 1 else EACH):
            left, right = np.einsum("tij,tj->ti", inner, t), share * np.einsum("tkij,tj->tki", beside, t)
            error = t * left / mixes - 1 - np.einsum("tki,ti->tk", right, t)
            t = t - _solve((t[:, :, None] * inner + left[:, :, None] * eye) / mixes[:, :, None] - 2 * right, error)
    left, right = np.einsum("tij,tj->ti", inner, t), np.einsum("tkij,tj->tki", beside, t)
    error = t * left / mixes - 1 - np.einsum("tki,ti->tk", right, t)
    # where terms cancel, their rounding is no error; where they grow without end there is no solution
    lost = LAST_DIGITS * np.einsum("ti,tij,tj->ti", np.abs(t), np.abs(inner), np.abs(t)) / mixes
    return t, np.all(np.abs(error) <= CLOSE * (1 + np.abs(t * left / mixes)) + np.minimum(lost, MOST_LOST), 1)


def _solve(matrices: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """As np.linalg.solve for vectors (T, K), zero where a matrix is singular."""
    sizes = np.max(np.abs(matrices), (1, 2), keepdims=True)  # or determinants overflow where there is no solution
    matrices = matrices / np.where(sizes > 0, sizes, 1)
    singular = ~(np.abs(np.linalg.det(matrices)) > 0)
    matrices = np.where(singular[:, None, None], np.eye(matrices.shape[1]), matrices)
    return np.where(singular[:, None], 0, np.linalg.solve(matrices, sides[:, :, None] / np.where(sizes > 0, sizes, 1))[:, :, 0])
