"""Which of a target's rows train and which test: at random, whole groups at a time, or the past for the future."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mtlsim.arrays.resampling import Splits
from mtlsim.core.checks import is_whole, nearest, require
from mtlsim.core.words import with_article

SHARE_TRAINED = 0.8  # of a target's rows, or groups
LEAST_GROUPS = 5
WIDEST_WEIGHTS = 1e12  # the largest over the least
MOST_BLOCKS, SHARE_FIRST = 10, 0.5  # of time that are tested, and of the rows that stand before the first
STRETCHES = 10  # of time that are left out one at a time where ridges and weights are chosen


class Beside(NamedTuple):
    """What is known of a task's rows beside features and labels: the group of each (m,), or its time and place in time (m,), and
    its weight, of mean one.
    """

    groups: np.ndarray | None = None
    places: np.ndarray | None = None
    weights: np.ndarray | None = None
    times: np.ndarray | None = None

    @property
    def together(self) -> np.ndarray | None:
        """Rows with one number are left out together where ridges and weights are chosen: groups, or stretches of time."""
        return self.groups if self.places is None else self.places * STRETCHES // len(self.places)


PLAIN = Beside()


class Plan(NamedTuple):
    """The rows that train and that test, in J splits. units (J, u): numbers of what is tested and taken to be independent, rows or
    groups. groups: of every row, None where each stands alone. n_train: units that train. disjoint: whether none is tested twice.
    befores: of every split the time before which all that trains was, None where rows have no time.
    """

    trains: list[np.ndarray]
    tests: list[np.ndarray]
    units: np.ndarray
    n_train: int
    groups: np.ndarray | None = None
    disjoint: bool = False
    befores: list[Any] | None = None

    def by_unit(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """Numbers of the rows tested in each split as (J, u); of a group the sum, over the mean size of all groups."""
        if self.groups is None:
            return np.stack(parts)
        count = self.groups.max() + 1
        sums = [np.bincount(self.groups[test], part, count) for test, part in zip(self.tests, parts, strict=True)]
        return np.take_along_axis(np.stack(sums), self.units, 1) * count / len(self.groups)

    def splits(self, level: float) -> Splits:
        return Splits(self.n_train, self.units, level, self.disjoint, balanced=not self.disjoint)


def make_plan(name: str, n: int, beside: Beside, target_samples: int | None, n_splits: int, rng: np.random.Generator) -> Plan:
    """The splits of a target of n rows. Raises ValueError in one sentence for numbers that do not fit."""
    if beside.groups is not None:
        cure = "leave it out where rows are in groups"
        require(target_samples is None, "target_samples", f"left out, as {name} has groups", target_samples, cure)
        return _by_groups(name, beside.groups, n_splits, rng)
    wanted = f"a whole number from 3 to {n - 1}, the rows of {name} less one"
    inside = target_samples is None or (is_whole(target_samples) and 3 <= target_samples < n)
    require(inside, "target_samples", wanted, target_samples, "leave it out")
    if beside.places is not None:
        return _by_time(name, beside, target_samples, n_splits)
    n_train = min(max(3, round(SHARE_TRAINED * n)), n - 1) if target_samples is None else int(target_samples)
    orders = balanced_orders(n, n_train, n_splits, rng)
    tests = orders[:, n_train:]
    return Plan(list(orders[:, :n_train]), list(tests), tests, n_train)


def balanced_orders(n: int, n_train: int, n_splits: int, rng: np.random.Generator) -> np.ndarray:
    """Orders (J, n) of n units whose last n - n_train test: numbers of times that units are tested differ by at most one.

    The same as random splits but for that: a unit that is tested twice as often counts twice in the mean, which adds to its
    variance and to nothing else (a fifth of what the test rows cause, at 20 splits of 80 to 20).
    """
    n_test, left, orders = n - n_train, np.empty(0, int), []
    for _ in range(n_splits):
        if len(left) < n_test:
            more = rng.permutation(n)
            again = np.isin(more, left)
            left = np.concatenate([left, more[~again], more[again]])  # none stands twice among the next n_test
        test, left = left[:n_test], left[n_test:]
        orders.append(np.concatenate([rng.permutation(np.setdiff1d(np.arange(n), test)), test]))
    return np.stack(orders)


def _by_groups(name: str, groups: np.ndarray, n_splits: int, rng: np.random.Generator) -> Plan:
    count = int(groups.max()) + 1
    cure = "join fewer rows in one group, or leave groups out"
    require(count >= LEAST_GROUPS, "groups", f"of at least {LEAST_GROUPS} groups in {name}", f"of {count}", cure)
    n_train = min(round(SHARE_TRAINED * count), count - 1)
    orders = balanced_orders(count, n_train, n_splits, rng)
    inside = [np.isin(groups, order[:n_train]) for order in orders]
    fewest = min(int(one.sum()) for one in inside)
    require(fewest >= 3, "groups", f"such that 3 rows of {name} train", f"such that {fewest} do", "load more rows")
    return Plan([np.flatnonzero(i) for i in inside], [np.flatnonzero(~i) for i in inside], orders[:, n_train:], n_train, groups)


def _by_time(name: str, beside: Beside, target_samples: int | None, n_splits: int) -> Plan:
    """Blocks of equal length, one after another, each after all that trains for it: rows of the time at which it begins do not."""
    n, order = len(beside.places), np.argsort(beside.places)
    times = beside.places if beside.times is None else beside.times
    first = max(3, round(SHARE_FIRST * n)) if target_samples is None else int(target_samples)
    count = min(n_splits, MOST_BLOCKS, n - first)
    wanted = f"at most {n - 2}, as {name} is tested in time"
    require(count >= 2, "target_samples", wanted, first, "leave two rows or more to test on")
    length = (n - first) // count
    starts = [n - (count - block) * length for block in range(count)]
    tests = [order[start : start + length] for start in starts]
    befores = [times[order[start]] for start in starts]
    trains = [order[:start][times[order[:start]] < before] for start, before in zip(starts, befores, strict=True)]
    wanted, found = f"such that 3 rows of {name} were before the first that is tested", f"such that {len(trains[0])} were"
    require(len(trains[0]) >= 3, "time", wanted, found, "give finer times, or more target_samples")
    return Plan(trains, tests, np.stack(tests), starts[0], disjoint=True, befores=befores)


def check_beside(given: Any, argument: str, keys: Sequence[str]) -> dict[str, np.ndarray]:
    """{task: one value a row} as it is given; its keys are tasks as they are given."""
    if given is None:
        return {}
    cure = "write {'first': values, ...}, one value a row"
    require(isinstance(given, Mapping), argument, "a dict {task: values}", with_article(type(given).__name__), cure)
    for name in map(str, given):
        require(name in keys, argument, "of tasks that are given", f"with {name!r}", nearest(name, keys))
    found = {str(name): np.asarray(one.to_numpy() if hasattr(one, "to_numpy") else one) for name, one in given.items()}
    for name, values in found.items():
        require(values.ndim == 1, argument, f"one value a row of {name}", f"of shape {values.shape}", "pass one column")
        missing = sum(value is None or value != value for value in values.tolist())
        require(missing == 0, argument, f"known for every row of {name}", f"missing in {missing}", "leave those rows out")
    return {name: _in_order(values, name) if argument == "time" else values for name, values in found.items()}


def _in_order(times: np.ndarray, name: str) -> np.ndarray:
    """Times as numbers or dates, which words are where they say so; other words have no order in time."""
    if times.dtype.kind in "biufmM":
        return times
    plain = [one.timestamp() if getattr(one, "tzinfo", None) is not None else one for one in times.tolist()]
    for kind in (float, "datetime64[ns]"):
        try:
            return np.array(plain, kind)
        except (TypeError, ValueError, OverflowError):
            continue
    cure = "pass pandas.to_datetime(values), or numbers; in a table, write 2026-01-31"
    require(False, "time", f"numbers or dates such as 2026-01-31 for {name}", repr(times[0]), cure)
    return times


def beside_of(
    values: np.ndarray | None, times: np.ndarray | None, weights: np.ndarray | None, kept: np.ndarray, n_given: int, name: str
) -> Beside:
    """Groups as numbers from 0, places as ranks, weights of mean one, of the rows of a task that were kept of n_given."""
    for argument, one in (("groups", values), ("time", times), ("weights", weights)):
        fits = one is None or len(one) == n_given
        found = f"of length {0 if one is None else len(one)}"
        require(fits, argument, f"one value for each of the {n_given} rows of {name}", found, "pass the column of the same table")
    try:
        groups = None if values is None else np.unique(values[kept], return_inverse=True)[1]
    except TypeError:
        require(False, "groups", f"of one kind for {name}", "of numbers and words", "pass them as words, values.astype(str)")
    places = None if times is None else np.argsort(np.argsort(times[kept], kind="stable"), kind="stable")
    if weights is not None:
        right = weights.dtype.kind in "biuf" and bool(np.all(np.isfinite(weights)) and np.all(weights > 0))
        require(right, "weights", f"numbers > 0 for {name}", "other ones among them", "leave out rows that count for nothing")
        widest = f"of a ratio up to {WIDEST_WEIGHTS:g} for {name}"
        ratio = float(weights.max()) / float(weights.min())
        require(ratio <= WIDEST_WEIGHTS, "weights", widest, f"of {ratio:.2g}", "leave out rows that count for nothing")
        weights = weights[kept] / weights[kept].mean()
    return Beside(groups, places, weights, None if times is None else times[kept])
