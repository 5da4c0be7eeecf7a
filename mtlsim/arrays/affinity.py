"""Affinities of ordered pairs, each from rows that train alone, and how well it tells what the rows held out then gain."""

from typing import Any

import numpy as np
from scipy import linalg, stats

from mtlsim.arrays.curve import LEARNERS
from mtlsim.arrays.learners import Fit, Source, fit_ways, free_error, mixed, see
from mtlsim.arrays.together import MOST_PAIRS, Table, Target, mixture
from mtlsim.core.checks import require
from mtlsim.similarity import covariance_similarity
from mtlsim.solvers.affinities import NAMES, affinities

LEAST_PAIRED = 3  # tasks: ranks of fewer pairs say nothing
HALVES = 5  # of a target's rows that are tried
SIMILARITY, SURROGATE = "covariance similarity", "surrogate"
ALL = (SIMILARITY, *NAMES, SURROGATE)
SETS_EACH = 3  # sets of sources for every source, from which the surrogate is fitted
ROWS_EACH = 5  # rows for every direction in which a gain is estimated, where rows are fewer than twice the features


def check_affinities(n_tasks: int) -> None:
    """Refuse too few and too many tasks."""
    wanted = f"asked of {LEAST_PAIRED} to {MOST_PAIRS} tasks"
    require(LEAST_PAIRED <= n_tasks <= MOST_PAIRS, "affinities", wanted, f"asked of {n_tasks}", "leave it out, or give other tasks")


def score_affinities(table: Table, measured: list[Target]) -> dict[str, Any]:
    """Every affinity of every pair, its rank correlation with the held-out gain and its area under the curve for its sign.

    Half of a target's rows gives the affinities, ridges and weights; on the other half learning from the first half alone, with
    the source by the mixture, and pooled with it is compared: no affinity has seen the labels that it foretells. Ranks are over all
    ordered pairs; means over the halves are given. The noise of the gains on so few rows lowers the scores of all affinities.
    """
    shape = len(table.names), len(measured)
    halves = min([HALVES, *(len(one.plan.tests) for one in measured)])
    found = np.full((halves, len(ALL), *shape), np.nan)
    gains = np.full((halves, len(LEARNERS), *shape), np.nan)
    basis, alike = _principal_directions(table), _similarities(table)
    for i, one in enumerate(measured):
        for s in one.together.others:
            found[:, 0, s, i] = alike[s, one.target]
        for j, (train, test) in enumerate(_halves(one, halves)):
            own = one.rows.alone(one.y, train)
            target = _sums(one.rows.X[train], one.y[train])
            directions = basis[:, : _n_directions(len(train), basis.shape[0])]
            for s in one.together.others:
                source = one.together.ways.sources[s]
                both = source.theta, own[0].theta / own[0].spread
                said = affinities(_sums_of(source, _n_rows(table, s, one.target)), target, both, directions)
                found[j, 1:-1, s, i] = list(said.values())
                gains[j, :, s, i] = _gains(one, own, s, train, test)
        found[:, -1, :, i] = _surrogate(one, halves)
    pairs = np.isfinite(gains[0, 0])
    scored = np.array([[[_score(a[pairs], g[pairs]) for g in gain] for a in half] for half, gain in zip(found, gains, strict=True)])
    return {
        "affinity_value": (("affinity", "source", "task"), found.mean(0)),
        "affinity_gain": (("learner", "source", "task"), gains.mean(0)),
        "affinity_rank": (("affinity", "learner"), _mean(scored[..., 0])),
        "affinity_area": (("affinity", "learner"), _mean(scored[..., 1])),
    }


def _halves(one: Target, count: int) -> list[list[np.ndarray]]:
    """Both halves of the rows in the order of each of the first splits."""
    orders = [np.concatenate(parts) for parts in zip(one.plan.trains[:count], one.plan.tests[:count], strict=True)]
    return [np.split(order, [len(order) // 2]) for order in orders]


def _score(affinity: np.ndarray, gains: np.ndarray) -> tuple[float, float]:
    """Spearman's rank correlation, and the chance that a pair that gains has more affinity than one that does not."""
    kept = np.isfinite(affinity)
    affinity, gains = affinity[kept], gains[kept]
    helps, ranks = gains > 0, stats.rankdata(affinity)
    if len(affinity) < 2 or np.ptp(affinity) == 0:
        return float("nan"), float("nan")
    n, n_helps = len(helps), int(helps.sum())
    area = (ranks[helps].sum() - n_helps * (n_helps + 1) / 2) / (n_helps * (n - n_helps)) if 0 < n_helps < n else float("nan")
    return float(np.corrcoef(ranks, stats.rankdata(gains))[0, 1]), float(area)


def _mean(scores: np.ndarray) -> np.ndarray:
    """Over halves in which there is a score; NaN where there is none."""
    known = np.isfinite(scores)
    return np.where(known.any(0), np.where(known, scores, 0).sum(0) / np.maximum(known.sum(0), 1), np.nan)


def _sums(X: np.ndarray, y: np.ndarray) -> tuple:
    """Of rows less their means, labels in units of their spread."""
    X, y = X - X.mean(0), (y - y.mean()) / (y.std() or 1.0)
    return X.T @ X, X.T @ y, float(y @ y), float(len(y))


def _sums_of(source: Source, n_rows: int) -> tuple:
    return source.gram - source.ridge * np.eye(len(source.cross)), source.cross, float(n_rows), float(n_rows)


def _n_rows(table: Table, s: int, target: int) -> int:
    copies = table.gathered.dropped.get((s, target))
    return len(table.labels[s]) - (0 if copies is None else int(copies.sum()))


def _n_directions(n_train: int, d: int) -> int:
    """All where rows are at least twice the features, else one for every five rows."""
    return d if n_train >= 2 * d else max(1, min(d, n_train // ROWS_EACH))


def _principal_directions(table: Table) -> np.ndarray:
    """Of the mean covariance of all tasks, the largest first."""
    covariances = [np.cov(X.T, bias=True).reshape(X.shape[1], X.shape[1]) for X in table.rows]
    return linalg.eigh(np.mean(covariances, 0), check_finite=False)[1][:, ::-1]


def _similarities(table: Table) -> np.ndarray:
    """Of all pairs (K, K), each task less its own means; of both directions."""
    K = len(table.names)
    found = np.full((K, K), np.nan)
    for s in range(K):
        for t in range(s):
            found[s, t] = found[t, s] = covariance_similarity(table.rows[s], table.rows[t], normalized=True, centred=True)
    return found


def _gains(one: Target, own: list[Fit], s: int, train: np.ndarray, test: np.ndarray) -> list[float]:
    """Share of the held-out error alone that the mixture with one source, and pooling with it, take away."""
    (way,) = one.table.ways(one.target, ("weighted-rows",)).of((s,))
    pooled = fit_ways(see([way._replace(strengths=np.ones(1))], one.rows.X), one.y, train)
    thetas = own[0].theta, mixture(own + one.rows.fit(one.rows.seen((s,)), one.y, train)), mixed(pooled, np.ones(1))
    alone, *rest = [np.mean((one.rows.predict(theta, one.y, train, test) - one.y[test]) ** 2) for theta in thetas]
    return [1 - risk / alone if alone > 0 else 0.0 for risk in rest]


def _surrogate(one: Target, halves: int) -> np.ndarray:
    """Coefficients (halves, K) of an additive model of what sets of sources are worth, by leave-one-out errors on the first half:
    the surrogate of [li2023identification].
    """
    others, K = one.together.others, len(one.table.names)
    rng = np.random.default_rng(K)  # sets depend on nothing else
    members = np.concatenate([np.eye(len(others)), rng.random((SETS_EACH * len(others), len(others))) < 0.5]).astype(bool)
    members = np.unique(members[members.any(1)], axis=0)
    worth = np.empty((halves, len(members)))
    for i, chosen in enumerate(members):
        seen = see(one.together.ways.of(tuple(np.asarray(others)[chosen].tolist())), one.rows.X)
        for j, (train, _) in enumerate(_halves(one, halves)):
            own = one.rows.alone(one.y, train)
            error = own[0].error
            worth[j, i] = 1 - free_error(own + one.rows.fit(seen, one.y, train), error) / error if error > 0 else 0.0
    found = np.full((halves, K), np.nan)
    found[:, others] = np.linalg.lstsq(members.astype(float), worth.T, rcond=None)[0].T
    return found
