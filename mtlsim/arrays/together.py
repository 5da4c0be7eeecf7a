"""One target and all its sources: what rows of it learn alone, with every source, and with sets of them, on held-out splits."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mtlsim.arrays.few_rows import CURVE_FITTED, length_factor, unresolved, variance_above
from mtlsim.arrays.gather import Gathered
from mtlsim.arrays.learners import (
    Fit,
    Seen,
    Source,
    Ways,
    fit_ways,
    free_error,
    left_out,
    make_source,
    mean_square,
    mixed,
    see,
    spectrum,
    spread_of,
    weights_of,
)
from mtlsim.arrays.metrics import divergences, logistic_curve
from mtlsim.arrays.resampling import Splits
from mtlsim.arrays.splitting import PLAIN, Beside, make_plan

MOST_PAIRS = 12  # tasks of which every ordered pair is looked at
SIZES = (2, 4, 8)  # of sets of the best sources
FEWEST = 3  # rows of a source that are anything to learn from
MOST_SINGLES = 8  # sources that are tried one by one where there are more tasks


class Table:
    """All tasks in common coordinates, and each as a source."""

    def __init__(self, gathered: Gathered, methods: tuple[str, ...], beside: Sequence[Beside] | None = None):
        self.gathered, self.methods, self.names = gathered, methods, gathered.names
        self.beside = [PLAIN] * len(self.names) if beside is None else list(beside)
        centred = [X - X.mean(0) for X, _ in gathered.tasks]
        variances = np.mean([np.mean(X**2, 0) for X in centred], 0)
        self.scale = np.where(variances > 0, np.sqrt(variances), 1)
        self.rows = [X / self.scale for X, _ in gathered.tasks]
        self.labels = [y for _, y in gathered.tasks]
        self.size = float(np.mean([mean_square(X / self.scale) for X in centred]))
        self._sources: dict[Any, Source] = {}

    def kept(self, s: int, target: int, before: Any = None) -> np.ndarray | slice:
        """The rows that task s lends to a target: none that is the target's, and none of the time `before` or later."""
        copies, times = self.gathered.dropped.get((s, target)), self.beside[s].times
        if before is None or times is None:
            return slice(None) if copies is None else ~copies
        return (times < before) & (True if copies is None else ~copies)

    def source(self, s: int, target: int, before: Any = None) -> Source:
        """Task s as a source of a target."""
        copies, timeless = self.gathered.dropped.get((s, target)), before is None or self.beside[s].times is None
        name = (s, None if copies is None else target, None if timeless else before)
        if name not in self._sources:
            kept = self.kept(s, target, before)
            X, y = self.rows[s][kept], self.labels[s][kept]
            take = lambda part: None if part is None else part[kept]
            groups, weights = take(self.beside[s].together), take(self.beside[s].weights)
            X, y = X - np.average(X, 0, weights), (y - np.average(y, 0, weights)) / (spread_of(y, weights) or 1.0)
            roots = None if weights is None else np.sqrt(weights / weights.mean())
            if roots is not None:
                X, y = X * roots[:, None], y * roots
            self._sources[name] = make_source(X, y, groups, roots)
        return self._sources[name]

    def others(self, target: int, before: Any = None) -> list[int]:
        """The sources of a target, of those with a time only the ones that had some rows before."""
        some = lambda s: len(self.labels[s][self.kept(s, target, before)]) >= FEWEST
        return [s for s in range(len(self.names)) if s != target and (before is None or some(s))]

    def ways(self, target: int, methods: Sequence[str], before: Any = None) -> Ways:
        return Ways({s: self.source(s, target, before) for s in self.others(target, before)}, self.size, methods)


class Together:
    """What the rows of one target learn, alone and with the other tasks as sources."""

    def __init__(self, table: "Table", target: int, before: Any = None):
        self.others = table.others(target, before)
        self.ways = table.ways(target, table.methods, before)
        self.screened = len(table.names) > MOST_PAIRS

    def on(self, X: np.ndarray, beside: Beside = PLAIN) -> "Rows":
        """Ready to learn from some of these rows; those of one group are left out together."""
        return Rows(self, X, beside)


class Rows:
    """The ways on the rows of a target, computed once for all splits of them."""

    def __init__(self, together: Together, X: np.ndarray, beside: Beside):
        self.together, self.X, self.groups, self.weights, self._seen = together, X, beside.together, beside.weights, {}

    def seen(self, chosen: tuple[int, ...]) -> list[Seen]:
        """The ways with these sources; alone for none."""
        if chosen not in self._seen:
            ways = self.together.ways
            self._seen[chosen] = see(ways.of(chosen) if chosen else [ways.alone()], self.X)
        return self._seen[chosen]

    def forget(self) -> None:
        """Free what was computed once: with many tasks each split has sets of sources of its own."""
        self._seen.clear()

    def fits(self, y: np.ndarray, train: np.ndarray) -> tuple[list[Fit], dict[int, list[Fit]], list[Fit]]:
        """Alone; with every single source, or those that the training rows like best; with the best two, four, eight, and all."""
        others = self.together.others
        own, near = self.alone(y, train), self._screen(y, train) if self.together.screened else others
        singles = {s: self.fit(self.seen((s,)), y, train) for s in near}
        ranked = sorted(singles, key=lambda s: free_error(own + singles[s], own[0].error))
        sets = [tuple(sorted(ranked[:size])) for size in SIZES if size < len(others) and size <= len(ranked)]
        sets += [tuple(others)] if len(others) > 1 else []  # of one, the single source; of none, nothing
        return own, singles, [fit for chosen in sets for fit in self.fit(self.seen(chosen), y, train)]

    def alone(self, y: np.ndarray, train: np.ndarray) -> list[Fit]:
        """Learning alone."""
        return self.fit(self.seen(()), y, train)

    def fit(self, seen: list[Seen], y: np.ndarray, train: np.ndarray) -> list[Fit]:
        return fit_ways(seen, y, train, self.groups, self.weights)

    def everything(self, y: np.ndarray, train: np.ndarray) -> list[Fit]:
        """All of them."""
        own, singles, sets = self.fits(y, train)
        return own + [fit for fits in singles.values() for fit in fits] + sets

    def _screen(self, y: np.ndarray, train: np.ndarray) -> list[int]:
        """Sources whose solutions explain most of what learning alone leaves of every row, itself left out."""
        ways, others, X = self.together.ways, self.together.others, self.X[train]
        known, strengths = spectrum(X - X.mean(0)), ways.alone().strengths
        errors = left_out(known, y[train] - y[train].mean(), strengths)
        best = int(np.argmin(np.mean(errors**2, 1)))
        said = X @ np.stack([ways.sources[s].theta for s in others], 1)
        left = left_out(known, (said - said.mean(0)).T, strengths[best : best + 1])[:, 0]
        squares = np.sum(left**2, 1)
        explained = (left @ errors[best]) ** 2 / np.where(squares > 0, squares, 1)
        return [others[i] for i in np.argsort(-explained)[:MOST_SINGLES]]

    def predict(self, theta: np.ndarray, y: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Labels of the test rows; the intercept is that of the training rows."""
        if self.weights is None:
            return y[train].mean() + (self.X[test] - self.X[train].mean(0)) @ theta
        weights = self.weights[train]
        return np.average(y[train], weights=weights) + (self.X[test] - np.average(self.X[train], 0, weights)) @ theta


class Target:
    """One target on its splits: squared errors alone, with every single source, and together; and what all its rows learn.

    scores: predictions alone and together, of the rows tested in each of J splits. shares: of all sources (K,) in each. curves
    (J, 2, 2): for labels of two values the log odds of both, from what they say of training rows that are left out. apart, and
    singles_apart by source: mean squared distance of the predictions together from those alone. lengths: `length_factor`.
    """

    def __init__(self, table: Table, target: int, target_samples: int | None, n_splits: int, seed: np.ndarray):
        self.table, self.target, self.y, self._cut = table, target, table.labels[target], None
        n, name = len(self.y), table.names[target]
        rng = np.random.default_rng([*seed.ravel().tolist(), target])
        self.plan = make_plan(name, n, table.beside[target], target_samples, n_splits, rng)
        self.together = Together(table, target)
        self.rows = self.together.on(table.rows[target], table.beside[target])
        self.lengths = length_factor(self.rows.X)
        values = np.unique(self.y)
        self.middle = float(values.mean()) if len(values) == 2 else None  # between labels of two values
        self._measure()
        self.fits = self.rows.everything(self.y, np.arange(n))
        if self.together.screened:
            self.rows.forget()
        self.weights = weights_of(self.fits)
        self.theta = mixed(self.fits, self.weights)

    def _measure(self) -> None:
        alone, every, singles, curves, self.shares = [], [], {}, [], []
        self.labels = [self.y[test] for test in self.plan.tests]
        for rows, train, test in zip(self._rows_of_splits(), self.plan.trains, self.plan.tests, strict=True):
            own, by_source, sets = rows.fits(self.y, train)
            predict = lambda theta, train=train, test=test: self.rows.predict(theta, self.y, train, test)
            alone.append(predict(own[0].theta))
            for s in [] if self.together.screened else self.together.others:
                fits = by_source.get(s, [])  # none of a source that had no rows yet
                singles.setdefault(s, []).append(predict(mixture(own + fits)))
            fits = own + [fit for fits in by_source.values() for fit in fits] + sets
            weights = weights_of(fits)
            self.shares.append(shares_of(fits, weights, len(self.table.names)))
            every.append(predict(mixed(fits, weights)))
            if self.middle is not None:
                curves.append([logistic_curve(scores, self.y[train] > self.middle) for scores in self._left_out(own, fits, train)])
        self.scores, self.curves = (alone, every), np.asarray(curves)
        self.alone, self.multi = map(self._squares, self.scores)
        self.singles = {s: self._squares(parts) for s, parts in singles.items()}
        self.apart = self._apart(every)
        self.singles_apart = {s: self._apart(parts) for s, parts in singles.items()}

    def _rows_of_splits(self) -> list[Rows]:
        """The ways on the target's rows in every split: with all rows of the sources, or with those that were before its tests."""
        if self.plan.befores is None or all(self.table.beside[s].times is None for s in self.together.others):
            return [self.rows] * len(self.plan.trains)
        if self._cut is None:
            at = lambda before: Together(self.table, self.target, before)
            X, beside = self.table.rows[self.target], self.table.beside[self.target]
            self._cut = [at(before).on(X, beside) for before in self.plan.befores]
        return self._cut

    def _squares(self, scores: list[np.ndarray]) -> np.ndarray:
        squares = [(said - labels) ** 2 for said, labels in zip(scores, self.labels, strict=True)]
        weights = self.table.beside[self.target].weights
        if weights is not None:
            squares = [part * weights[test] for part, test in zip(squares, self.plan.tests, strict=True)]
        return self.plan.by_unit(squares)

    def _apart(self, together: list[np.ndarray]) -> float:
        return float(np.mean(np.concatenate([(a - b) ** 2 for a, b in zip(self.scores[0], together, strict=True)])))

    def _left_out(self, own: list[Fit], fits: list[Fit], train: np.ndarray) -> list[np.ndarray]:
        """What alone and together say of every training row that is left out, the weights of the ways held."""
        errors = sum(weight * fit.errors for weight, fit in zip(weights_of(fits), fits, strict=True))
        return [self.y[train] - own[0].errors, self.y[train] - errors]

    def splits(self, level: float, errors: np.ndarray, apart: float, n_train: int | None = None) -> Splits:
        """How it was split, and what few rows do not show of the mixture of these held-out errors, which is so far `apart` from
        learning alone; n_train where it is not the plan's.
        """
        own, d = self.plan.splits(level), self.rows.X.shape[1]
        n_train, risk = own.n_train if n_train is None else n_train, float(np.mean(errors))
        above = variance_above(apart, n_train, self._n_units, d, self.lengths, risk)
        return own._replace(n_train=n_train, unresolved=unresolved(risk, n_train, d), variance_above=above)

    def splits_of_log_loss(self, level: float) -> Splits:
        """The same for the log loss, where the training rows fit both logistic curves too."""
        own, odds = self.plan.splits(level), []
        for side, scores in enumerate(self.scores):
            odds.append(np.concatenate([c[0] * s + c[1] for c, s in zip(self.curves[:, side], scores, strict=True)]))
        apart = float(np.mean(divergences(*odds)))
        above = variance_above(apart, own.n_train, self._n_units, self.rows.X.shape[1], self.lengths)
        return own._replace(balanced=False, variance_above=above, n_fitted=CURVE_FITTED)

    @property
    def _n_units(self) -> int:
        """Rows, or groups, that are taken to be independent."""
        return len(self.y) if self.plan.groups is None else int(self.plan.groups.max()) + 1

    def in_group(self, others: tuple[int, ...]) -> np.ndarray:
        """Squared errors on all splits with just these sources."""
        found = []
        for rows, train, test in zip(self._rows_of_splits(), self.plan.trains, self.plan.tests, strict=True):
            there = tuple(s for s in others if s in rows.together.others)
            fits = [fit for chosen in {(), there} for fit in rows.fit(rows.seen(chosen), self.y, train)]
            found.append(self.rows.predict(mixture(fits), self.y, train, test))
        return self._squares(found)

    def worth(self, others: tuple[int, ...], methods: Sequence[str], known: dict) -> float:
        """The share of the error alone that these sources take away, by leave-one-out errors on all rows."""
        every = np.arange(len(self.y))
        if () not in known:
            known[()] = self.rows.alone(self.y, every)
        own, plain = known[()], self.together.ways
        ways = Ways(plain.sources, plain.size, methods)
        fits = self.rows.fit(see(ways.of(others), self.rows.X), self.y, every)
        return 1 - free_error(own + fits, own[0].error) / own[0].error if own[0].error > 0 else 0.0


def shares_of(fits: Sequence[Fit], weights: np.ndarray, n_tasks: int) -> np.ndarray:
    """What the mixture gives to each task as a source (K,): a way's weight goes to its sources in equal parts."""
    found = np.zeros(n_tasks)
    for weight, fit in zip(weights, fits, strict=True):
        for s in fit.way.sources:
            found[s] += weight / len(fit.way.sources)
    return found


def mixture(fits: list[Fit]) -> np.ndarray:
    """theta of all ways by their weights."""
    return mixed(fits, weights_of(fits))
