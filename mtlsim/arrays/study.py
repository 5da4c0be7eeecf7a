"""Which of my tasks should be trained together? Every target with every source, sources together, and groups, on held-out rows."""

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import xarray as xr
from jaxtyping import Array, Key

from mtlsim.arrays.gather import Gathered, gather
from mtlsim.arrays.grouping import MOST_GREEDY, best_partition
from mtlsim.arrays.learners import (
    ALONE,
    METHODS,
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
    weights_of,
)
from mtlsim.arrays.resampling import Splits, decide_resampled
from mtlsim.core.checks import is_whole, require, require_choice
from mtlsim.core.containers import column_order, numbers_of
from mtlsim.core.keys import check_key, stream
from mtlsim.core.verdict import UNDECIDED, Verdict, half_width, in_units

FORMAT = "mtlsim study 1"
SHARE_TRAINED = 0.8  # of a target's rows
MOST_PAIRS = 12  # tasks of which every ordered pair is looked at
SIZES = (2, 4, 8)  # of sets of the best sources
MOST_SINGLES = 8  # sources that are tried one by one where there are more tasks
GROUPED_BY = ("layer", "pooled")  # methods by which the worth of every group is found
LEAVE_ALONE = 0.5  # weight of learning alone from which the advice is to leave a task alone
SHARE_NAMED = 0.1  # of all weight that sources have, from which one is named


class Study:
    """What several tasks gain from each other: `compare_tasks` makes it.

    data: an xarray.Dataset over `task` (as target), `source`, `way` and `feature`. gain (task) = risk_alone - risk_together,
    held-out squared errors, with low, high and sign at `level`, and sign_joint, decided so that over all tasks no sign is wrong
    but with probability 1 - level; positive helps. pair_gain, pair_low, pair_high, pair_sign, pair_sign_joint (source, task): the
    same with one source, NaN where it was not looked at. weight (way, task), weight_of_source (source, task): what the mixture
    that learns from all rows gives to each. coefficients (task, feature), intercept (task). group (task): numbers of the groups
    of the best grouping, group_gain ... its gains. notes: what else a reader must know.
    """

    def __init__(self, data: xr.Dataset):
        self.data = data

    @property
    def notes(self) -> list[str]:
        return json.loads(self.data.attrs["notes"])

    @property
    def level(self) -> float:
        return float(self.data.attrs["level"])

    @property
    def tasks(self) -> list[str]:
        return [str(name) for name in self.data["task"].values]

    @property
    def matrix(self) -> xr.Dataset:
        """Gains of every ordered pair, (source, task)."""
        return self.data[["pair_gain", "pair_low", "pair_high", "pair_sign", "pair_sign_joint"]]

    def best(self, task: str) -> "Advice":
        """The advice for one target."""
        require_choice(task, self.tasks, "task")
        own = self.data.sel(task=task)
        weights = {str(name): float(own["weight"].sel(way=name)) for name in own["way"].values}
        shares = {str(name): float(own["weight_of_source"].sel(source=name)) for name in own["source"].values if name != task}
        total = sum(shares.values())
        named = sorted((name for name in shares if shares[name] >= SHARE_NAMED * total > 0), key=lambda name: -shares[name])
        alone = weights[ALONE] >= LEAVE_ALONE
        method = ALONE if alone else max((name for name in weights if name != ALONE), key=lambda name: weights[name])
        return Advice(task, () if alone else tuple(named), method, weights, self._verdict(own, ""), float(own["risk_alone"]))

    def grouping(self) -> list[tuple[str, ...]]:
        """The groups that learn together, of one task where it is left alone; all alone where there were too many to search."""
        numbers = self.data["group"].values
        return [tuple(name for name, g in zip(self.tasks, numbers, strict=True) if g == number) for number in np.unique(numbers)]

    def _verdict(self, own: xr.Dataset, prefix: str) -> Verdict:
        numbers = [float(own[f"{prefix}{name}"]) for name in ("gain", "error", "low", "high")]
        return Verdict(*numbers, int(own[f"{prefix}sign"]), int(self.data.attrs["n_splits"]), self.level)

    def predict(self, task: str, X: Any) -> np.ndarray:
        """Labels of rows X (m, d) by what the task learned from all rows; columns of a data frame are matched by name.

        Raises ValueError for an unknown task, and for other columns.
        """
        require_choice(task, self.tasks, "task")
        names = [str(name) for name in self.data["feature"].values]
        rows = np.asarray(numbers_of(X, "X"), float)
        right = rows.ndim == 2 and rows.shape[1] == len(names)
        require(right, "X", f"of shape (m, {len(names)})", f"of shape {rows.shape}", "pass one row per sample")
        if hasattr(X, "columns") and json.loads(self.data.attrs["named"]):
            order = column_order(X, _Named(names), "X", "the study's rows")
            rows = rows if order is None else rows[:, order]
        own = self.data.sel(task=task)
        return rows @ own["coefficients"].values + float(own["intercept"])

    def to_frame(self):
        """One row per task, as a pandas data frame."""
        names = ["risk_alone", "risk_together", "gain", "low", "high", "sign", "sign_joint", "group", "group_gain"]
        frame = self.data[[name for name in names if name in self.data]].to_dataframe()
        return frame.assign(sources=[", ".join(self.best(task).sources) or "leave alone" for task in self.tasks])

    def to_dict(self) -> dict[str, Any]:
        """Everything that is said, as plain JSON types; what is not finite becomes None."""
        plain = lambda value: value if not isinstance(value, float) or np.isfinite(value) else None
        listed = lambda array: [listed(part) for part in array] if isinstance(array, list) else plain(array)
        data = {name: listed(self.data[name].values.tolist()) for name in self.data.data_vars}
        advice = {task: {"sources": list(one.sources), "method": one.method, "sentence": str(one)} for task, one in self._advice()}
        groups = [list(group) for group in self.grouping()]
        return {"tasks": self.tasks, "advice": advice, "groups": groups, "notes": self.notes, "level": self.level} | data

    def save(self, path: Path | str) -> None:
        """Write a .nc file that `Study.load` reads; an existing file is not touched."""
        path = Path(path)
        require(path.suffix == ".nc", "path", "a name that ends in .nc", path, "add that ending")
        require(not path.exists(), "path", "a new file", f"{path}, which is there", "remove it, or choose another name")
        self.data.to_netcdf(path, engine="h5netcdf")

    @classmethod
    def load(cls, path: Path | str) -> "Study":
        """What `save` wrote. Raises ValueError in one sentence for anything else."""
        cure = "pass a file that Study.save or mtlsim compare --out has written"
        require(Path(path).is_file(), "path", "an existing file", f"{path}, which is not there", cure)
        try:
            data = xr.load_dataset(path, engine="h5netcdf")
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"path must be a whole file of one study, but {path} is not ({error}); {cure}.") from None
        require(data.attrs.get("format") == FORMAT, "path", "a file of one study", f"{path}, which is something else", cure)
        return cls(data)

    def _advice(self):
        return [(task, self.best(task)) for task in self.tasks]

    def __str__(self) -> str:
        width = max(len(task) for task in self.tasks)
        level = f"{100 * self.level:.3g} % interval"
        lines = [f"{'':<{width}}  {'alone':>9}{'together':>10}{'gain':>10}  {level:<24}  learn with"]
        for task, one in self._advice():
            own, gain = self.data.sel(task=task), one.gain
            interval = f"{gain.low:+.3g} to {gain.high:+.3g} ({gain.word})"
            errors = f"{float(own['risk_alone']):>9.4g}{float(own['risk_together']):>10.4g}{gain.mean:>+10.3g}"
            lines.append(f"{task:<{width}}  {errors}  {interval:<24}  {one.what}")
        return "\n".join([*lines, *self._on_all(), *self.notes])

    def _on_all(self) -> list[str]:
        signs = self.data["sign_joint"].values
        decided = f"{int(np.sum(signs > 0))} helped and {int(np.sum(signs < 0))} hurt of {len(signs)}, decided jointly"
        low, high, mean = (100 * float(self.data.attrs[name]) for name in ("total_low", "total_high", "total"))
        about = (
            f"all tasks: mean gain {mean:+.3g} % of the error alone ({100 * self.level:.3g} % interval {low:+.3g} to {high:+.3g})"
        )
        lines = [f"{about}; {decided}."]
        groups = [group for group in self.grouping() if len(group) > 1]
        if "group_gain" in self.data:
            shown = "; ".join("{" + ", ".join(group) + "}" for group in groups) if groups else "none: leave every task alone"
            lines.append(f"best groups: {shown}.")
        about = "errors are squared, on held-out rows, of ridge regressions mixed by their leave-one-out errors: a linear learner"
        return [*lines, about]


class _Named:
    """Columns by name, for `column_order`."""

    def __init__(self, names: Sequence[str]):
        self.columns, self.to_numpy = names, None


class Advice(NamedTuple):
    """For one target: sources in the order of their weight (none: leave it alone), the method with most weight, the weights of
    all methods, what learning together is predicted to gain, and the risk alone.
    """

    task: str
    sources: tuple[str, ...]
    method: str
    weights: dict[str, float]
    gain: Verdict
    risk_alone: float

    @property
    def what(self) -> str:
        if not self.sources:
            return "leave alone"
        shown = ", ".join(self.sources[:4]) + (f" and {len(self.sources) - 4} more" if len(self.sources) > 4 else "")
        return f"{shown} ({self.method})"

    def __str__(self) -> str:
        share = 100 * self.gain.mean / self.risk_alone if self.risk_alone > 0 else float("nan")
        interval = f"{100 * self.gain.level:.3g} % interval {self.gain.low:+.3g} to {self.gain.high:+.3g}"
        return f"{self.task}: {self.what}; predicted gain {self.gain.mean:+.3g} ({share:+.3g} % of the error alone, {interval})"


def compare_tasks(
    tasks: Mapping[str, Any],
    *,
    targets: Sequence[str] | None = None,
    methods: Sequence[str] = METHODS,
    target_samples: int | None = None,
    n_splits: int = 20,
    level: float = 0.95,
    duplicates: str = "auto",
    key: Key[Array, ""] | None = None,
) -> Study:
    """Which of these tasks should be trained together, will it help, and by how much? {name: (X (m, d), y)}, the same columns.

    Every target is learned alone by ridge regression and together with the others in the ways of `mtlsim.arrays.learners`: in a
    layer of the sources' solutions, pooled with them, and pulled to their mean; with every source alone, with the best of them
    and with all. No way is chosen: all are mixed by their leave-one-out errors, learning alone among them, so that sources that
    do not fit are left out by the data. n_splits times, 80 % of the target's rows (or `target_samples`) train and the rest test,
    and everything that depends on labels is decided by the training rows: ridges, sources, weights. gain = held-out squared error
    alone less together, positive helps, with the interval of `transfer_between_arrays`. Columns are scaled once, by the root of
    the tasks' mean variance, labels unseen; every task is centred by its own means.

    y: one label per row; several columns are several tasks, words and integers of few values one task per class against the rest,
    missing labels are left out; a note says what was done. targets: whose gain is measured, all if left out; a task that is none
    is a source. duplicates: as for `transfer_between_arrays`; a row of the target teaches nothing as a row of a source.
    grouping: for up to ten tasks the best of all partitions by the errors in fitted groups, up to 24 by joining groups.

    Raises ValueError in one sentence for tasks and options that do not fit. key: of the splits, jax.random.key(0) if left out.
    """
    require(isinstance(level, (int, float)) and 0 < level < 1, "level", "between 0 and 1", level, "use 0.95")
    require(is_whole(n_splits) and n_splits >= 2, "n_splits", "a whole number, at least 2", n_splits, "use 20")
    methods = (methods,) if isinstance(methods, str) else tuple(methods)
    require(len(methods) > 0, "methods", "one or more", "empty", f"choose among {', '.join(METHODS)}")
    for method in methods:
        require_choice(method, METHODS, "methods")
    seed = np.asarray(jax.random.key_data(stream(jax.random.key(0) if key is None else check_key(key), "splits")))
    gathered = gather(tasks, duplicates)
    names = gathered.names
    wanted = [str(name) for name in (names if targets is None else [targets] if isinstance(targets, str) else targets)]
    for name in wanted:
        require_choice(name, names, "targets")
    table = Table(gathered, methods)
    with ThreadPoolExecutor(min(len(wanted), os.cpu_count() or 1)) as pool:  # decompositions do not hold the interpreter
        measured = list(pool.map(lambda name: _Target(table, names.index(name), target_samples, n_splits, seed), wanted))
    return Study(_dataset(table, measured, level))


class Table:
    """All tasks in common coordinates, and each as a source."""

    def __init__(self, gathered: Gathered, methods: tuple[str, ...]):
        self.gathered, self.methods, self.names = gathered, methods, gathered.names
        centred = [X - X.mean(0) for X, _ in gathered.tasks]
        variances = np.mean([np.mean(X**2, 0) for X in centred], 0)
        self.scale = np.where(variances > 0, np.sqrt(variances), 1)
        self.rows = [X / self.scale for X, _ in gathered.tasks]
        spread = [float(y.std()) for _, y in gathered.tasks]
        self.spread = np.array([one if one > 0 else 1.0 for one in spread])
        self.labels = [y / one for (_, y), one in zip(gathered.tasks, self.spread, strict=True)]
        self.size = float(np.mean([mean_square(X / self.scale) for X in centred]))
        self._sources: dict[Any, Source] = {}
        self.d = len(self.scale)

    def source(self, s: int, target: int) -> Source:
        """Task s as a source of a target, without the rows that are the target's."""
        copies = self.gathered.dropped.get((s, target))
        name = s if copies is None else (s, target)
        if name not in self._sources:
            kept = slice(None) if copies is None else ~copies
            X, y = self.rows[s][kept], self.labels[s][kept]
            self._sources[name] = make_source(X - X.mean(0), y - y.mean())
        return self._sources[name]

    def ways(self, target: int, methods: Sequence[str]) -> Ways:
        others = [s for s in range(len(self.names)) if s != target]
        return Ways({s: self.source(s, target) for s in others}, self.size, methods)


class Together:
    """What the rows of one target learn, alone and with the other tasks as sources."""

    def __init__(self, table: "Table", target: int):
        self.others = [s for s in range(len(table.names)) if s != target]
        self.ways = table.ways(target, table.methods)
        self.screened = len(table.names) > MOST_PAIRS

    def on(self, X: np.ndarray) -> "_Rows":
        """Ready to learn from some of these rows."""
        return _Rows(self, X)


class _Rows:
    """The ways on the rows of a target, computed once for all splits of them."""

    def __init__(self, together: Together, X: np.ndarray):
        self.together, self.X, self._seen = together, X, {}

    def seen(self, chosen: tuple[int, ...]) -> list[Seen]:
        """The ways with these sources; alone for none."""
        if chosen not in self._seen:
            ways = self.together.ways
            self._seen[chosen] = see(ways.of(chosen) if chosen else [ways.alone()], self.X)
        return self._seen[chosen]

    def fits(self, y: np.ndarray, train: np.ndarray) -> tuple[list[Fit], dict[int, list[Fit]], list[Fit]]:
        """Alone; with every single source, or those that the training rows like best; with the best two, four, eight, and all."""
        others = self.together.others
        own = fit_ways(self.seen(()), y, train)
        singles = {s: fit_ways(self.seen((s,)), y, train) for s in (self._screen(y, train) if self.together.screened else others)}
        ranked = sorted(singles, key=lambda s: free_error(own + singles[s], own[0].error))
        sets = [tuple(sorted(ranked[:size])) for size in SIZES if size < len(others) and size <= len(ranked)]
        sets += [tuple(others)] if len(others) > 1 else []
        return own, singles, [fit for chosen in sets for fit in fit_ways(self.seen(chosen), y, train)]

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
        left = np.stack([left_out(known, one - one.mean(), strengths[best : best + 1])[0] for one in said.T])
        squares = np.sum(left**2, 1)
        explained = (left @ errors[best]) ** 2 / np.where(squares > 0, squares, 1)
        return [others[i] for i in np.argsort(-explained)[:MOST_SINGLES]]

    def predict(self, theta: np.ndarray, y: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Labels of the test rows; the intercept is that of the training rows."""
        return y[train].mean() + (self.X[test] - self.X[train].mean(0)) @ theta


class _Target:
    """One target on its splits: squared errors alone, with every single source, and together; and what all its rows learn."""

    def __init__(self, table: Table, target: int, target_samples: int | None, n_splits: int, seed: np.ndarray):
        self.table, self.target, self.y = table, target, table.labels[target]
        n, name = len(self.y), table.names[target]
        wanted = f"a whole number from 3 to {n - 1}, the rows of {name} less one"
        inside = target_samples is None or (is_whole(target_samples) and 3 <= target_samples < n)
        require(inside, "target_samples", wanted, target_samples, "leave it out")
        self.n_train = min(max(3, round(SHARE_TRAINED * n)), n - 1) if target_samples is None else int(target_samples)
        rng = np.random.default_rng([*seed.ravel().tolist(), target])
        orders = np.stack([rng.permutation(n) for _ in range(n_splits)])
        self.trains, self.tests = orders[:, : self.n_train], orders[:, self.n_train :]
        self.together = Together(table, target)
        self.rows = self.together.on(table.rows[target])
        self._measure()
        self.fits = self.rows.everything(self.y, np.arange(n))
        self.weights = weights_of(self.fits)
        self.theta = mixed(self.fits, self.weights)

    def _measure(self) -> None:
        alone, every, singles = [], [], {}
        for train, test in zip(self.trains, self.tests, strict=True):
            own, by_source, sets = self.rows.fits(self.y, train)
            error = lambda theta, train=train, test=test: (self.rows.predict(theta, self.y, train, test) - self.y[test]) ** 2
            alone.append(error(own[0].theta))
            for s, fits in by_source.items():
                if not self.together.screened:
                    singles.setdefault(s, []).append(error(mixture(own + fits)))
            every.append(error(mixture(own + [fit for fits in by_source.values() for fit in fits] + sets)))
        self.alone, self.multi = np.stack(alone), np.stack(every)
        self.singles = {s: np.stack(parts) for s, parts in singles.items()}

    def in_group(self, others: tuple[int, ...]) -> np.ndarray:
        """Squared errors on all splits with just these sources."""
        found = []
        for train, test in zip(self.trains, self.tests, strict=True):
            fits = [fit for chosen in {(), others} for fit in fit_ways(self.rows.seen(chosen), self.y, train)]
            found.append((self.rows.predict(mixture(fits), self.y, train, test) - self.y[test]) ** 2)
        return np.stack(found)

    def worth(self, others: tuple[int, ...], methods: Sequence[str], known: dict) -> float:
        """The share of the error alone that these sources take away, by leave-one-out errors on all rows."""
        every = np.arange(len(self.y))
        if () not in known:
            known[()] = fit_ways(self.rows.seen(()), self.y, every)
        own, plain = known[()], self.together.ways
        ways = Ways(plain.sources, plain.size, methods)
        fits = fit_ways(see(ways.of(others), self.rows.X), self.y, every)
        return 1 - free_error(own + fits, own[0].error) / own[0].error if own[0].error > 0 else 0.0


def mixture(fits: list[Fit]) -> np.ndarray:
    """theta of all ways by their weights."""
    return mixed(fits, weights_of(fits))


def _jointly(differences: list[np.ndarray], splits: list[Splits], level: float) -> list[int]:
    """Signs that are all right with probability `level`: Holm's steps, the clearest first, each at the level of those left."""
    n = len(differences)
    found = [decide_resampled(d, s) for d, s in zip(differences, splits, strict=True)]
    clear = [abs(v.mean) / v.standard_error if v.standard_error > 0 else 0.0 for v in found]
    signs = [UNDECIDED] * n
    for step, i in enumerate(np.argsort(-np.asarray(clear))):
        sign = decide_resampled(differences[i], splits[i]._replace(level=1 - (1 - level) / (n - step))).sign
        if sign == UNDECIDED:
            break
        signs[i] = sign
    return signs


def _dataset(table: Table, measured: list[_Target], level: float) -> xr.Dataset:
    gathered, names = table.gathered, table.names
    tasks, K = [names[one.target] for one in measured], len(names)
    units = np.array([gathered.units[one.target] * table.spread[one.target] for one in measured])
    splits = [Splits(one.n_train, one.tests, level) for one in measured]
    verdicts = [decide_resampled(one.alone - one.multi, own) for one, own in zip(measured, splits, strict=True)]
    total, total_low, total_high = _total(measured, verdicts, level)
    fields: dict[str, Any] = {
        **_told("", [in_units(v, unit**2) for v, unit in zip(verdicts, units, strict=True)]),
        "sign_joint": ("task", _jointly([one.alone - one.multi for one in measured], splits, level)),
        "risk_alone": ("task", [one.alone.mean() * unit**2 for one, unit in zip(measured, units, strict=True)]),
        "risk_together": ("task", [one.multi.mean() * unit**2 for one, unit in zip(measured, units, strict=True)]),
        "n_rows": ("task", [len(one.y) for one in measured]),
        **_pairs(measured, splits, units, K, level),
        **_weights(measured, table.methods, K),
    }
    theta = np.stack([one.theta * unit / (table.scale * gathered.columns) for one, unit in zip(measured, units, strict=True)])
    means = [gathered.origins[one.target] for one in measured]
    intercepts = [own.y.mean() - own.X.mean(0) @ row for own, row in zip(means, theta, strict=True)]
    fields |= {"coefficients": (("task", "feature"), theta), "intercept": ("task", intercepts)}
    notes, complete = list(gathered.notes), len(measured) == K
    if complete and K <= MOST_GREEDY:
        fields |= _grouped(measured, splits, units, K)
    else:
        why = "not all tasks are targets" if not complete else f"there are more than {MOST_GREEDY}"
        notes.append(f"groups were not searched, as {why}")
        fields["group"] = ("task", list(range(len(measured))))
    if K > MOST_PAIRS:
        notes.append(f"pairs were not looked at one by one, as there are more than {MOST_PAIRS} tasks")
    coordinates = {"task": tasks, "source": names, "way": [ALONE, *table.methods], "feature": gathered.features}
    attributes = {
        "format": FORMAT,
        "level": level,
        "n_splits": len(measured[0].tests),
        "notes": json.dumps(notes),
        "named": json.dumps(any(task.names is not None for task in gathered.origins)),
        "total": total,
        "total_low": total_low,
        "total_high": total_high,
        "convention": "gain = risk_alone - risk_together; positive helps",
    }
    return xr.Dataset(fields, coordinates, attributes)


def _told(prefix: str, verdicts: list[Verdict]) -> dict[str, Any]:
    parts = {"gain": "mean", "error": "standard_error", "low": "low", "high": "high", "sign": "sign"}
    return {f"{prefix}{name}": ("task", [getattr(v, field) for v in verdicts]) for name, field in parts.items()}


def _pairs(measured: list[_Target], splits: list[Splits], units: np.ndarray, K: int, level: float) -> dict[str, Any]:
    numbers = {name: np.full((K, len(measured)), np.nan) for name in ("pair_gain", "pair_low", "pair_high")}
    signs = {name: np.zeros((K, len(measured)), int) for name in ("pair_sign", "pair_sign_joint")}
    places = [(s, i) for i, one in enumerate(measured) for s in one.singles]
    differences = [measured[i].alone - measured[i].singles[s] for s, i in places]
    joint = _jointly(differences, [splits[i] for _, i in places], level)
    for (s, i), difference, sign in zip(places, differences, joint, strict=True):
        verdict = in_units(decide_resampled(difference, splits[i]), units[i] ** 2)
        for name, value in zip(numbers, (verdict.mean, verdict.low, verdict.high), strict=True):
            numbers[name][s, i] = value
        signs["pair_sign"][s, i], signs["pair_sign_joint"][s, i] = verdict.sign, sign
    return {name: (("source", "task"), values) for name, values in (numbers | signs).items()}


def _weights(measured: list[_Target], methods: tuple[str, ...], K: int) -> dict[str, Any]:
    by_method, by_source = np.zeros((1 + len(methods), len(measured))), np.zeros((K, len(measured)))
    rows = {name: i for i, name in enumerate([ALONE, *methods])}
    for i, one in enumerate(measured):
        for weight, fit in zip(one.weights, one.fits, strict=True):
            by_method[rows[fit.way.method], i] += weight
            for s in fit.way.sources:
                by_source[s, i] += weight / len(fit.way.sources)
    return {"weight": (("way", "task"), by_method), "weight_of_source": (("source", "task"), by_source)}


def _grouped(measured: list[_Target], splits: list[Splits], units: np.ndarray, K: int) -> dict[str, Any]:
    """The best partition, and what every task gains in its group on held-out rows."""
    known: dict[Any, float] = {}
    fitted: list[dict] = [{} for _ in measured]
    methods = [method for method in GROUPED_BY if method in measured[0].table.methods] or measured[0].table.methods[:1]

    def worth(t: int, others: tuple[int, ...]) -> float:
        if (t, others) not in known:
            known[t, others] = measured[t].worth(others, methods, fitted[t])
        return known[t, others]

    groups = best_partition(K, worth)
    number = {t: g for g, group in enumerate(groups) for t in group}
    verdicts = []
    for t, one in enumerate(measured):
        others = tuple(s for s in groups[number[t]] if s != t)
        verdicts.append(in_units(decide_resampled(one.alone - one.in_group(others), splits[t]), units[t] ** 2))
    return {"group": ("task", [number[t] for t in range(K)]), **_told("group_", verdicts)}


def _total(measured: list[_Target], verdicts: list[Verdict], level: float) -> tuple[float, float, float]:
    """Mean over tasks of the gain over the error alone, with an interval that takes the targets' own rows to be independent."""
    risks = np.array([one.alone.mean() for one in measured])
    gains = np.array([v.mean for v in verdicts]) / risks
    errors = np.array([v.standard_error for v in verdicts]) / risks
    error = float(np.sqrt(np.sum(errors**2))) / len(risks)
    half = half_width(error, len(measured[0].tests), level)
    return float(gains.mean()), float(gains.mean() - half), float(gains.mean() + half)
