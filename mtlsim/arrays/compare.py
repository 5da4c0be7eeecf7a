"""`compare_tasks`: which of my tasks should be trained together, will it help, and by how much?"""

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
import xarray as xr
from jaxtyping import Array, Key
from threadpoolctl import threadpool_limits

from mtlsim.arrays.affinity import ALL, check_affinities, score_affinities
from mtlsim.arrays.curve import LEARNERS, check_steps, gain_curves
from mtlsim.arrays.decisions import MEASURES, decisions, paired
from mtlsim.arrays.few_rows import on_outliers
from mtlsim.arrays.gather import Gathered, gather
from mtlsim.arrays.grouping import MOST_EXACT, MOST_GREEDY, best_partition
from mtlsim.arrays.learners import ALONE, METHODS
from mtlsim.arrays.metrics import Compared, base_rate, base_rate_interval, log_losses
from mtlsim.arrays.networks import check_network, networks
from mtlsim.arrays.resampling import decide_jointly, decide_resampled
from mtlsim.arrays.splitting import Beside, beside_of, check_beside
from mtlsim.arrays.study import FORMAT, Study
from mtlsim.arrays.together import MOST_PAIRS, Table, Target, shares_of
from mtlsim.core.checks import is_whole, require, require_choice
from mtlsim.core.keys import check_key, stream
from mtlsim.core.verdict import Verdict, in_units

GROUPED_BY = ("layer", "weighted-rows")  # methods by which the worth of every group is found


@threadpool_limits.wrap(limits=1, user_api="blas")  # it has threads of its own, and small decompositions
def compare_tasks(
    tasks: Mapping[str, Any],
    *,
    targets: Sequence[str] | None = None,
    methods: Sequence[str] = METHODS,
    target_samples: int | None = None,
    n_splits: int = 20,
    level: float = 0.95,
    duplicates: str = "auto",
    curve: bool | Sequence[int] = False,
    affinities: bool = False,
    network: bool = False,
    groups: Mapping[str, Any] | None = None,
    time: Mapping[str, Any] | None = None,
    weights: Mapping[str, Any] | None = None,
    key: Key[Array, ""] | None = None,
) -> Study:
    """Which of these tasks should be trained together, will it help, and by how much? {name: (X (m, d), y)}, the same columns.

    Every target is learned alone by ridge regression and together with the others in the ways of `mtlsim.arrays.learners`: in a
    layer of the sources' solutions, with their rows at a weight, and pulled to their mean; with every source alone, with the best
    of them and with all. Nothing is chosen: strengths of ridges, and then the ways, are mixed by their leave-one-out errors,
    learning alone among them and mixed alike, so that sources that do not fit are left out by the data. n_splits times, 80 % of
    the target's rows (or `target_samples`) train and the rest test, all equally often, and everything that depends on labels is
    decided by the training rows: weights of strengths, sources and ways. gain = held-out squared error alone less together,
    positive helps, with an interval over the splits for its mean over targets of as many rows, and counts what so few do not show
    (`mtlsim.arrays.resampling`, `mtlsim.arrays.few_rows`). Columns are scaled once, by the root of the tasks' mean variance, labels
    unseen; every task is centred by its own means.

    y: one label per row; several columns are several tasks, words and integers of few values one task per class against the rest,
    missing labels are left out; a note says what was done. targets: whose gain is measured, all if left out; a task that is none
    is a source. duplicates: as for `transfer_between_arrays`; a row of the target teaches nothing as a row of a source. labels of
    two values: beside the squared error, which decides, stand accuracy, balanced accuracy, area under the curve and log loss,
    each with its interval, and how often the more frequent label comes: with rare labels accuracy alone says nothing. curve:
    gains by the target's rows too, at these numbers of training rows, or at five of our choice (True): `Study.crossing`.
    affinities: how well eight affinities of pairs tell the gain on rows held out, for three to twelve tasks (`Study.affinities`).
    network: what a network of ReLU units gains with the sources that the training rows name, on some of the same splits, and
    whether it agrees (`mtlsim.arrays.networks`). groups: {task: the group of each row}: rows of one group train or test together
    and are left out together, and intervals count groups. time: {task: when each row was}: later rows test what earlier ones have
    learned, of the target and of the sources that have a time too, block after block, which are taken to be independent, and
    stretches of time are left out together. weights: {task: numbers > 0, one a row}, by which its squared errors count, learning
    and testing; measures of two-valued labels count all rows alike. None goes with curve, affinities or network. grouping: for up
    to ten tasks the best of all partitions by the errors in fitted groups, up to 24 by joining groups.

    Raises ValueError in one sentence for tasks and options that do not fit. key: of the splits, jax.random.key(0) if left out.

    >>> rng = np.random.default_rng(0)
    >>> tasks = {}
    >>> for name in ("first", "second"):
    ...     X = rng.normal(size=(30, 4))
    ...     tasks[name] = X, X.sum(1) + rng.normal(size=30)
    >>> study = mtl.compare_tasks(tasks, n_splits=3)
    >>> study.data.sizes["task"], sorted(len(group) for group in study.grouping())
    (2, [2])
    """
    require(isinstance(level, (int, float)) and 0 < level < 1, "level", "between 0 and 1", level, "use 0.95")
    require(is_whole(n_splits) and n_splits >= 2, "n_splits", "a whole number, at least 2", n_splits, "use 20")
    methods = (methods,) if isinstance(methods, str) else tuple(methods)
    once = 0 < len(methods) == len(set(methods))
    require(once, "methods", "one or more, each once", list(methods), f"choose among {', '.join(METHODS)}")
    for method in methods:
        require_choice(method, METHODS, "methods")
    steps = check_steps(curve)
    dependent = any(one is not None for one in (groups, time, weights))
    cure = "leave one of both out"
    require(not dependent or steps is None, "curve", "False where rows have groups, a time or weights", curve, cure)
    require(not (dependent and network), "network", "False where rows have groups, a time or weights", network, cure)
    require(not (dependent and affinities), "affinities", "False where rows have groups, a time or weights", affinities, cure)
    seed = np.asarray(jax.random.key_data(stream(jax.random.key(0) if key is None else check_key(key), "splits")))
    gathered = gather(tasks, duplicates)
    names = gathered.names
    if affinities:
        check_affinities(len(names))
    wanted = [str(name) for name in (names if targets is None else [targets] if isinstance(targets, str) else targets)]
    for name in wanted:
        require_choice(name, names, "targets")
    require(0 < len(wanted) == len(set(wanted)), "targets", "names of one task or more, each once", wanted, "leave it out for all")
    wanted = [name for name in names if name in wanted]
    if network:
        check_network([len(gathered.tasks[names.index(name)][1]) for name in wanted], gathered)
    table = Table(gathered, methods, _beside(gathered, groups, time, weights))
    with ThreadPoolExecutor(min(len(wanted), os.cpu_count() or 1)) as pool:  # decompositions do not hold the interpreter
        try:
            measured = list(pool.map(lambda name: Target(table, names.index(name), target_samples, n_splits, seed), wanted))
        except np.linalg.LinAlgError:
            cure = "look for rows that are far too large, numpy.abs(X).max(1), and leave them out"
            require(False, "tasks", "of rows beside which float64 sees the others", "with some that hide all others", cure)
    found = Study(_dataset(table, measured, level, steps))
    if affinities:
        more = {"learner": list(LEARNERS), "affinity": list(ALL)}
        found = Study(found.data.assign_coords(more).assign(score_affinities(table, measured)))
    if network:
        fields, cost = networks(table, measured, level)
        found = Study(found.data.assign(fields).assign_attrs(cost))
    return found


def _beside(gathered: Gathered, groups: Any, time: Any, weights: Any) -> list[Beside]:
    """What is known of the rows of every task, those that were kept."""
    given = list(dict.fromkeys(gathered.keys))
    by_argument = [
        check_beside(one, argument, given) for one, argument in ((groups, "groups"), (time, "time"), (weights, "weights"))
    ]
    both = sorted(set(by_argument[0]) & set(by_argument[1]))
    require(not both, "time", "of tasks without groups", f"of {both}", "give one of both for each task")
    each = zip(gathered.keys, gathered.kept, gathered.n_given, gathered.names, strict=True)
    return [beside_of(*(one.get(key) for one in by_argument), kept, n, name) for key, kept, n, name in each]


def _dataset(table: Table, measured: list[Target], level: float, steps: tuple[int, ...] | None) -> xr.Dataset:
    gathered, names = table.gathered, table.names
    tasks, K = [names[one.target] for one in measured], len(names)
    units = gathered.units[[one.target for one in measured]]
    splits = [one.splits(level, one.multi, one.apart) for one in measured]
    verdicts = [decide_resampled(one.alone - one.multi, own) for one, own in zip(measured, splits, strict=True)]
    total, total_low, total_high = _total(measured, verdicts)
    fields: dict[str, Any] = {
        **_told("", [in_units(v, unit**2) for v, unit in zip(verdicts, units, strict=True)]),
        "sign_joint": ("task", decide_jointly([one.alone - one.multi for one in measured], splits, level)),
        "risk_alone": ("task", [one.alone.mean() * unit**2 for one, unit in zip(measured, units, strict=True)]),
        "risk_together": ("task", [one.multi.mean() * unit**2 for one, unit in zip(measured, units, strict=True)]),
        "n_rows": ("task", [len(one.y) for one in measured]),
        **_pairs(measured, units, K, level),
        **_weights(measured, table.methods, K),
    }
    decided = _decided(measured, level)
    fields |= decided
    theta = np.stack([one.theta * unit / (table.scale * gathered.columns) for one, unit in zip(measured, units, strict=True)])
    means = [(gathered.origins[one.target], table.beside[one.target].weights) for one in measured]
    intercepts = [np.average(own.y, weights=w) - np.average(own.X, 0, w) @ row for (own, w), row in zip(means, theta, strict=True)]
    fields |= {"coefficients": (("task", "feature"), theta), "intercept": ("task", intercepts)}
    notes, complete = list(gathered.notes), len(measured) == K
    notes += [note for one, name in zip(measured, tasks, strict=True) for note in on_outliers(one.alone, name)]
    if complete and K <= MOST_GREEDY:
        fields |= _grouped(measured, units, K)
    else:
        why = "not all tasks are targets" if not complete else f"there are more than {MOST_GREEDY}"
        notes.append(f"groups were not searched, as {why}")
        fields["group"] = ("task", list(range(len(measured))))
    if K > MOST_PAIRS:
        notes.append(f"pairs were not looked at one by one, as there are more than {MOST_PAIRS} tasks")
    coordinates = {"task": tasks, "source": names, "way": [ALONE, *table.methods], "feature": gathered.features}
    coordinates |= {"measure": list(MEASURES)} if decided else {}
    if steps is not None:
        fields |= gain_curves(measured, units, steps, level)
        coordinates |= {"learner": list(LEARNERS)}
    attributes = {
        "format": FORMAT,
        "level": level,
        "n_splits": min(len(one.plan.tests) for one in measured),
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


def _pairs(measured: list[Target], units: np.ndarray, K: int, level: float) -> dict[str, Any]:
    numbers = {name: np.full((K, len(measured)), np.nan) for name in ("pair_gain", "pair_low", "pair_high")}
    signs = {name: np.zeros((K, len(measured)), int) for name in ("pair_sign", "pair_sign_joint")}
    places = [(s, i) for i, one in enumerate(measured) for s in one.singles]
    differences = [measured[i].alone - measured[i].singles[s] for s, i in places]
    splits = [measured[i].splits(level, measured[i].singles[s], measured[i].singles_apart[s]) for s, i in places]
    joint = decide_jointly(differences, splits, level)
    for (s, i), difference, own, sign in zip(places, differences, splits, joint, strict=True):
        verdict = in_units(decide_resampled(difference, own), units[i] ** 2)
        for name, value in zip(numbers, (verdict.mean, verdict.low, verdict.high), strict=True):
            numbers[name][s, i] = value
        signs["pair_sign"][s, i], signs["pair_sign_joint"][s, i] = verdict.sign, sign
    return {name: (("source", "task"), values) for name, values in (numbers | signs).items()}


def _decided(measured: list[Target], level: float) -> dict[str, Any]:
    """Measures of decisions for targets whose labels have two values, NaN for others; nothing where there are none."""
    if all(one.middle is None for one in measured):
        return {}
    shape = len(MEASURES), len(measured)
    found = {name: np.full(shape, np.nan) for name in ("alone", "together", "gain", "low", "high")} | {"sign": np.zeros(shape, int)}
    base = np.full((3, len(measured)), np.nan)
    for i, one in enumerate(measured):
        if one.middle is None:
            continue
        own = one.plan.splits(level)
        positive = [labels > one.middle for labels in one.labels]
        compared = decisions(*one.scores, positive, one.middle, own, one.plan.by_unit)
        losses = [
            one.plan.by_unit([log_losses(*three) for three in zip(scores, positive, one.curves[:, side], strict=True)])
            for side, scores in enumerate(one.scores)
        ]
        gain, *means = paired(*losses, one.splits_of_log_loss(level))
        for row, each in enumerate([*compared.values(), Compared(gain, *means)]):
            numbers = each.single, each.multi, each.gain.mean, each.gain.low, each.gain.high, each.gain.sign
            for name, value in zip(found, numbers, strict=True):
                found[name][row, i] = value
        base[:, i] = base_rate(one.y > one.middle), *base_rate_interval(one.y > one.middle, level)
    fields: dict[str, Any] = {f"measure_{name}": (("measure", "task"), values) for name, values in found.items()}
    return fields | dict(zip(("base_rate", "base_low", "base_high"), [("task", row) for row in base], strict=True))


def _weights(measured: list[Target], methods: tuple[str, ...], K: int) -> dict[str, Any]:
    by_method, by_source = np.zeros((1 + len(methods), len(measured))), np.zeros((K, len(measured)))
    rows = {name: i for i, name in enumerate([ALONE, *methods])}
    for i, one in enumerate(measured):
        by_source[:, i] = shares_of(one.fits, one.weights, K)
        for weight, fit in zip(one.weights, one.fits, strict=True):
            by_method[rows[fit.way.method], i] += weight
    return {"weight": (("way", "task"), by_method), "weight_of_source": (("source", "task"), by_source)}


def _grouped(measured: list[Target], units: np.ndarray, K: int) -> dict[str, Any]:
    """The best partition, and what every task gains in its group: without an interval, as all rows have chosen the groups."""
    known: dict[Any, float] = {}
    fitted: list[dict] = [{} for _ in measured]
    methods = [method for method in GROUPED_BY if method in measured[0].table.methods] or measured[0].table.methods[:1]

    def worth(t: int, others: tuple[int, ...]) -> float:
        if (t, others) not in known:
            known[t, others] = measured[t].worth(others, methods, fitted[t])
        return known[t, others]

    if K <= MOST_EXACT:  # which asks for every group of every task
        sets = [tuple(s for s in range(K) if mask >> s & 1) for mask in range(1, 1 << K)]
        with ThreadPoolExecutor(min(K, os.cpu_count() or 1)) as pool:
            list(pool.map(lambda t: [worth(t, others) for others in sets if t not in others], range(K)))
    groups = best_partition(K, worth)
    number = {t: g for g, group in enumerate(groups) for t in group}
    beside = [tuple(s for s in groups[number[t]] if s != t) for t in range(K)]
    gains = [np.mean(one.alone - one.in_group(beside[t])) * units[t] ** 2 for t, one in enumerate(measured)]
    return {"group": ("task", [number[t] for t in range(K)]), "group_gain": ("task", gains)}


def _total(measured: list[Target], verdicts: list[Verdict]) -> tuple[float, float, float]:
    """Mean over tasks of the gain over the error alone, with an interval that takes the targets' own rows to be independent: each
    end is as far from it as the root of the sum of squares of how far the tasks' ends are from theirs.
    """
    risks = np.array([one.alone.mean() for one in measured])
    gains, lows, highs = (np.array([getattr(v, name) for v in verdicts]) / risks for name in ("mean", "low", "high"))
    below, above = (float(np.sqrt(np.sum((gains - ends) ** 2))) / len(risks) for ends in (lows, highs))
    return float(gains.mean()), float(gains.mean()) - below, float(gains.mean()) + above
