"""How a target may learn with source tasks, each way a ridge regression whose pull the sources decide, and all ways together.

Every way minimises over theta, for the target's centred rows X (m, d) and labels y (m,),

    |y - X theta|^2 + tau (theta - c)' C^-1 (theta - c),

and differs in what the sources say of the centre c (d,) and of the spread C = L L' (d, d):

    alone               c = 0,                       C = I
    layer               c = 0,                       C = I + g sum_s u_s u_s',  u_s = theta_s / |theta_s|:  a layer of the sources'
                                                     solutions under a head, with a way out of it
    weighted-rows       c = theta_S,                 C = (A_S + mu I)^-1,  tau is what a source's row counts; at 1 all rows are
                                                     pooled as one task's
    mean-regularised    c = Q^-1 sum_s Q_s theta_s,  C = Q^-1 + I / lambda,  Q = sum_s Q_s,
                                                     Q_s = lambda (I - lambda (A_s + lambda I)^-1)

with A_s = X_s'X_s + mu_s I, theta_s the ridge regression of source s alone and theta_S that of all its sources as one. The sources
know nothing of the target's rows, so that leaving one of these out changes its error e_i to e_i / (1 - H_ii), exactly
[craven1978smoothing]; the unit of the labels stays meanwhile. Nothing is chosen: with E (p, m) the leave-one-out errors of p
candidates, the weights w on the simplex that minimise

    (|w'E|^2 + sum_i w_i |E_i|^2) / 2 + 4 sigma^2 KL(w, prior)

mix first the strengths tau of every way, then the ways. The first term is what the mixture errs, the second what its parts err, and
half of each is Q-aggregation [dai2012deviation], at the temperature at which a mixture of regressions is nearly as good as the best
of them [leung2006information]; sigma^2 is the least mean square. Learning alone is mixed alike, so that no gain is one of mixing
strengths, and before the rows are seen it is as likely as all else together. Choosing the least error of so many earns less, and
loses much where it is wrong (`tests/benchmarks/study.py` measures both).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy import linalg, special

RIDGES = 10.0 ** np.arange(-2, 4.5, 0.5)  # over the rows' mean square, where nothing is known of the noise
WEIGHTS = 10.0 ** np.arange(-1, 2.5, 0.5)  # of the sources' rows over the target's
LAYERS = (1.0, 20.0, 400.0)  # energy of a direction of the layer over that of any other
PULLS = (0.3, 3.0, 30.0)  # lambda over the rows' mean square
METHODS = ("layer", "weighted-rows", "mean-regularised")
ALONE = "alone"
TEMPERATURE = 4.0  # of the weights, over the noise variance
WITHIN, MOST_STEPS = 1e-9, 30  # of weights, and steps to find them
SHARE_NAMED = 0.1  # of all weight that sources have, from which one is named
NEVER = 1e-12  # over the largest error: noise below it is none, as where all labels that train are one


class Source(NamedTuple):
    """A task as sources are known: X'X + ridge I (d, d), X'y (d,), its own ridge regression theta (d,), the ridge."""

    gram: np.ndarray
    cross: np.ndarray
    theta: np.ndarray
    ridge: float


class Way(NamedTuple):
    """One way to learn: its method and sources, the centre c (d,) or None for 0, a factor L (d, p) of the spread (None: I), and
    strengths tau (T,) to choose from.
    """

    method: str
    sources: tuple[int, ...]
    centre: np.ndarray | None
    factor: np.ndarray | None
    strengths: np.ndarray


class Seen(NamedTuple):
    """What b ways of equal sizes make of a target's rows: Z = X L (b, n, p), and X c (b, n)."""

    ways: list[Way]
    rows: np.ndarray
    centres: np.ndarray


class Fit(NamedTuple):
    """A way on a target's training rows, its strengths mixed by `shares` (T,): its leave-one-out errors (m,), the same times the
    roots of the rows' weights, v of theta = spread (c + L v), how many of the rows' groups are independent, and the mean square of
    its weighed errors.
    """

    way: Way
    shares: np.ndarray
    errors: np.ndarray
    weighed: np.ndarray
    step: np.ndarray
    spread: float
    count: float
    error: float

    @property
    def theta(self) -> np.ndarray:
        step = self.step if self.way.factor is None else self.way.factor @ self.step
        return self.spread * (step if self.way.centre is None else step + self.way.centre)


class Spectrum(NamedTuple):
    """Centred rows (.., m, p) as left (.., m, k), squares (.., k): Z Z' = left diag(squares) left'. whole: whether no other
    centred vector is left, so that errors are known without a difference.
    """

    left: np.ndarray
    squares: np.ndarray
    whole: bool


def spectrum(Z: np.ndarray) -> Spectrum:
    """Of centred rows, by the smaller of both products."""
    m, p = Z.shape[-2:]
    turned = np.swapaxes(Z, -1, -2)
    if m <= p:
        squares, left = np.linalg.eigh(Z @ turned)
        return Spectrum(left[..., 1:], np.maximum(squares[..., 1:], 0), True)  # the first is the mean, which centring took out
    squares, right = np.linalg.eigh(turned @ Z)
    kept = squares > p * np.finfo(float).eps * np.maximum(squares[..., -1:], 0)
    scale = np.where(kept, 1 / np.sqrt(np.where(kept, squares, 1)), 0)
    return Spectrum(Z @ (right * scale[..., None, :]), np.where(kept, squares, 0), False)


def left_out(
    known: Spectrum,
    y: np.ndarray,
    strengths: np.ndarray,
    blocks: Sequence[np.ndarray] = (),
    roots: np.ndarray | None = None,
) -> np.ndarray:
    """Leave-one-out errors (.., T, m) of ridge regression on centred labels (.., m) for strengths (.., T), the intercept refitted
    each time. blocks (G, g): rows that are left out together; then e_B = (I - H_BB)^-1 of the residuals, as exactly. roots (m,) of
    the rows' weights, by which rows, labels and errors are multiplied.
    """
    left, right = known.left, np.swapaxes(known.left, -1, -2)
    stays = strengths[..., None] / (known.squares[..., None, :] + strengths[..., None])
    turned = y[..., None, :] @ left
    errors, mean = (turned * stays) @ right, np.ones(y.shape[-1]) if roots is None else roots
    mean = mean / np.linalg.norm(mean)  # the direction that the intercept fits
    if not known.whole:
        errors = errors + (y[..., None, :] - turned @ right)
    if not len(blocks):
        kept = stays @ right**2
        return errors / (kept if known.whole else kept + (1 - mean**2 - np.sum(left**2, -1))[..., None, :])
    for rows in blocks:
        own = left[..., rows, :]
        across = np.swapaxes(own, -1, -2)
        shared = mean[rows][..., None] * mean[rows][..., None, :]
        rest = 0 if known.whole else np.eye(rows.shape[1]) - shared - own @ across
        for t in range(strengths.shape[-1]):
            kept = (own * stays[..., t, None, None, :]) @ across + rest
            errors[..., t, rows] = np.linalg.solve(kept, errors[..., t, rows][..., None])[..., 0]
    return errors


def blocks_of(groups: np.ndarray | None) -> list[np.ndarray]:
    """Rows of one number each, those of equal counts together (G, g); none where every row has its own."""
    if groups is None or len(np.unique(groups)) == len(groups):
        return []
    order = np.argsort(groups, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    return [np.stack([part for part in parts if len(part) == size]) for size in sorted({len(part) for part in parts})]


def see(ways: Iterable[Way], X: np.ndarray) -> list[Seen]:
    """Ways on the rows X (n, d) of a target, those of equal sizes together."""
    groups: dict[tuple, list[Way]] = {}
    for way in ways:
        groups.setdefault((X.shape[1] if way.factor is None else way.factor.shape[1], len(way.strengths)), []).append(way)
    rows = lambda way: X if way.factor is None else X @ way.factor
    centre = lambda way: np.zeros(len(X)) if way.centre is None else X @ way.centre
    return [Seen(some, np.stack([rows(w) for w in some]), np.stack([centre(w) for w in some])) for some in groups.values()]


def fit_ways(
    seen: Iterable[Seen],
    y: np.ndarray,
    train: np.ndarray,
    groups: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> list[Fit]:
    """Every way on the target's training rows, its strengths mixed by their leave-one-out errors; rows of a group are left out
    together, and each row's square counts times its weight.

    Sources speak of labels in units of their own spread, and the target's are divided by that of its training rows.
    """
    counts = None if weights is None else weights[train] / weights[train].mean()
    roots, found = None if counts is None else np.sqrt(counts), []
    spread = float(spread_of(y[train], counts)) or 1.0
    blocks = blocks_of(None if groups is None else groups[train])
    count = float(sum(len(block) for block in blocks) or len(train))
    if counts is not None:
        count *= counts.sum() ** 2 / (len(counts) * np.sum(counts**2))  # as many rows of one weight as say the same
    for one in seen:
        Z, rest = one.rows[:, train], y[train] / spread - one.centres[:, train]
        if roots is None:
            Z, rest = Z - Z.mean(1, keepdims=True), rest - rest.mean(1, keepdims=True)
        else:
            Z = roots[:, None] * (Z - np.average(Z, 1, counts, keepdims=True))
            rest = roots * (rest - np.average(rest, 1, counts, keepdims=True))
        known, strengths = spectrum(Z), np.stack([way.strengths for way in one.ways])
        errors = left_out(known, rest, strengths, blocks, roots)
        products = errors @ np.swapaxes(errors, -1, -2) / len(train)
        shares, _ = mix(products, np.full(strengths.shape[-1], 1 / strengths.shape[-1]), count)
        kept = (shares[..., None] / (known.squares[..., None, :] + strengths[..., None])).sum(-2)
        steps = (np.swapaxes(Z, 1, 2) @ (known.left @ (kept * (rest[:, None] @ known.left)[:, 0])[..., None]))[..., 0]
        left = spread * (shares[:, None] @ errors)[:, 0]
        for i, way in enumerate(one.ways):
            own = left[i] if roots is None else left[i] / roots
            found.append(Fit(way, shares[i], own, left[i], steps[i], spread, count, float(np.mean(left[i] ** 2))))
    return found


def mix(
    products: np.ndarray, prior: np.ndarray, count: float, noise: np.ndarray | float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Weights (.., p) and the least value (..) of (w'P w + sum_i w_i P_ii) / 2 + T KL(w, prior) on the simplex, with mean products
    P (.., p, p) of the candidates' errors on `count` rows, T = 4 noise / count.

    noise: the least P_ii if left out. The weights are those at which w = softmax(log prior - P_ii / 2 T - P x / T) for x = w, by
    Newton's steps for x on the convex x'P x / 2 T + log sum exp(...), each as long as that falls.
    """
    squares = np.diagonal(products, axis1=-2, axis2=-1)
    noise = squares.min(-1) if noise is None else np.asarray(noise)
    temperature = TEMPERATURE / count * np.maximum(np.maximum(noise, NEVER * squares.max(-1)), np.finfo(float).tiny)
    pull, base = products / temperature[..., None, None], np.log(prior) - squares / (2 * temperature[..., None])

    def look(x):
        moved = (pull @ x[..., None])[..., 0]
        logs = base - moved
        most = logs.max(-1, keepdims=True)
        weights = np.exp(logs - most)
        total = weights.sum(-1, keepdims=True)
        return weights / total, np.sum(x * moved, -1) / 2 + (most + np.log(total))[..., 0]

    x = np.exp(base - base.max(-1, keepdims=True))
    x = x / x.sum(-1, keepdims=True)
    weights, value = look(x)
    for _ in range(MOST_STEPS):
        gap = weights - x
        if np.abs(gap).max() <= WITHIN:
            break
        spread = weights[..., None] * (pull - weights[..., None, :] @ pull)  # (diag(w) - w w') P / T
        step, length = np.linalg.solve(np.eye(x.shape[-1]) + spread, gap[..., None])[..., 0], np.ones(x.shape[:-1])
        for _ in range(MOST_STEPS):
            ahead, lower = look(x + length[..., None] * step)
            worse = lower > value + WITHIN * np.abs(value)
            if not worse.any():
                break
            length = np.where(worse, length / 4, length)
        x, weights, value = x + length[..., None] * step, ahead, lower
    errors = np.sum(weights * ((products @ weights[..., None])[..., 0] + squares), -1) / 2
    return weights, np.asarray(errors + temperature * np.sum(special.rel_entr(weights, prior), -1))


def weights_of(fits: Sequence[Fit], noise: float | None = None) -> np.ndarray:
    """The weight of every way. Before the rows are seen learning alone is as likely as all else together, the other methods are
    equally likely, and so are the ways of one method.

    noise: the variance that sets the temperature; the least mean square among the ways if left out.
    """
    return _mix_ways(fits, noise)[0]


def free_error(fits: Sequence[Fit], noise: float) -> float:
    """What the mixture is worth, per row: its error or nearly, and what it costs to find it."""
    return float(_mix_ways(fits, noise)[1])


def _mix_ways(fits: Sequence[Fit], noise: float | None) -> tuple[np.ndarray, np.ndarray]:
    errors = np.stack([fit.weighed for fit in fits])
    return mix(errors @ errors.T / errors.shape[1], _prior(fits), fits[0].count, noise)


def _prior(fits: Sequence[Fit]) -> np.ndarray:
    """One half is that of learning alone, where there is anything else."""
    methods = [fit.way.method for fit in fits]
    others = len(set(methods) - {ALONE})
    shares = np.array([1 / methods.count(method) / (1 if method == ALONE else others) for method in methods])
    return shares / shares.sum()


def mixed(fits: Sequence[Fit], weights: np.ndarray) -> np.ndarray:
    """theta (d,) of the mixture."""
    return sum(weight * fit.theta for weight, fit in zip(weights, fits, strict=True))


def make_source(X: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None, roots: np.ndarray | None = None) -> Source:
    """A task as a source, from centred rows and labels, with the ridge of its least leave-one-out error; both times `roots` of the
    weights, where rows have some.
    """
    ridges = RIDGES * mean_square(X)
    errors = left_out(spectrum(X), y, ridges, blocks_of(groups), roots)
    ridge = float(ridges[np.argmin(np.mean(errors**2, 1))])
    gram, cross = X.T @ X + ridge * np.eye(X.shape[1]), X.T @ y
    return Source(gram, cross, _solve(gram, cross), ridge)


def spread_of(y: np.ndarray, weights: np.ndarray | None) -> float:
    """Standard deviation of weighed labels."""
    return np.sqrt(np.average((y - np.average(y, weights=weights)) ** 2, weights=weights))


def mean_square(X: np.ndarray) -> float:
    """tr X'X / m of centred rows: the sum of the features' variances; 1 where all rows are the same."""
    return float(np.sum(X**2) / len(X)) or 1.0


class Ways:
    """The ways of learning from sets of the given sources; what sets have in common is computed once.

    size: `mean_square` of the rows, which sets the scale of all strengths.
    """

    def __init__(self, sources: dict[int, Source], size: float, methods: Sequence[str] = METHODS):
        self.sources, self.size, self.methods, self._pulled = sources, size, methods, {}

    def alone(self) -> Way:
        return Way(ALONE, (), None, None, RIDGES * self.size)

    def of(self, chosen: tuple[int, ...]) -> Iterator[Way]:
        """Every method with these sources."""
        members = [self.sources[s] for s in chosen]
        d = len(members[0].cross)
        if "layer" in self.methods:
            layer = np.stack([one.theta for one in members], 1)
            lengths = np.linalg.norm(layer, axis=0)
            layer = layer / np.where(lengths > 0, lengths, 1)
            for energy in LAYERS:
                factor = np.column_stack([np.eye(d), np.sqrt(energy) * layer])
                if len(chosen) > d:  # as many columns as features do the same
                    factor = linalg.cholesky(factor @ factor.T, lower=True, check_finite=False)
                yield Way("layer", chosen, None, factor, RIDGES * self.size)
        if "weighted-rows" in self.methods:
            ridge = sum(one.ridge for one in members)
            gram = sum(one.gram for one in members) - (ridge - ridge / len(members)) * np.eye(d)
            centre = members[0].theta if len(members) == 1 else _solve(gram, sum(one.cross for one in members))
            factor = linalg.cholesky(gram, check_finite=False)
            inverse = linalg.solve_triangular(factor, np.eye(d), check_finite=False)
            yield Way("weighted-rows", chosen, centre, inverse, WEIGHTS)
        if "mean-regularised" in self.methods:
            for pull in PULLS:
                yield self._mean_regularised(chosen, pull * self.size, d)

    def _mean_regularised(self, chosen: tuple[int, ...], pull: float, d: int) -> Way:
        precision, weighed = np.zeros((d, d)), np.zeros(d)
        for s in chosen:
            one = self.sources[s]
            if (s, pull) not in self._pulled:
                own = pull * (np.eye(d) - pull * linalg.inv(one.gram + pull * np.eye(d), check_finite=False))
                self._pulled[s, pull] = (own + own.T) / 2
            precision = precision + self._pulled[s, pull]
            weighed = weighed + self._pulled[s, pull] @ one.theta
        spread = linalg.inv(precision, check_finite=False)
        factor = linalg.cholesky((spread + spread.T) / 2 + np.eye(d) / pull, lower=True, check_finite=False)
        return Way("mean-regularised", chosen, spread @ weighed, factor, WEIGHTS)


def _solve(gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
    return linalg.solve(gram, cross, assume_a="pos", check_finite=False)
