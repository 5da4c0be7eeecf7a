"""Gain by target rows: what a target gains from the others where it has few rows, where it has all, and where the sign turns."""

from typing import Any, NamedTuple

import numpy as np

from mtlsim.arrays.learners import fit_ways, mixed, see
from mtlsim.arrays.resampling import Splits, decide_jointly, decide_resampled
from mtlsim.arrays.together import Target, mixture
from mtlsim.core.checks import is_whole, require
from mtlsim.core.verdict import in_units

LEARNERS = ("mixture", "pooled")
LEAST, N_STEPS = 8, 5  # rows of the first step, and steps, where the caller does not say


class Crossing(NamedTuple):
    """Where the sign of a gain turns as the target's rows grow; all signs are right together with the study's level.

    first: the sign on the left, 0 where none is decided. at: rows at which the mean gain crosses zero, NaN where it does not,
    or more than once; low and high the rows beside it with opposite decided signs, NaN where there are none. sentence: all of it
    in words. On 288 made-up targets where pooling turns a turn was found in 282, within a factor of two in 274
    (`python tests/benchmarks/study.py --curve 24`).
    """

    first: int
    at: float
    low: float
    high: float
    sentence: str


def check_steps(curve: Any) -> tuple[int, ...] | None:
    """The numbers of rows that were asked for, () for those of our choice, None for no curve."""
    if isinstance(curve, bool):
        return () if curve else None
    steps = tuple(curve) if isinstance(curve, (list, tuple, np.ndarray)) else (curve,)
    sound = len(steps) > 0 and all(is_whole(n) and n >= 3 for n in steps) and len(set(steps)) == len(steps)
    cure = "use True, or a list such as [10, 30, 100]"
    require(sound, "curve", "True, False or different whole numbers from 3", list(steps), cure)
    return tuple(sorted(int(n) for n in steps))


def gain_curves(measured: list[Target], units: np.ndarray, asked: tuple[int, ...], level: float) -> dict[str, Any]:
    """Errors alone and gains by the rows that train, the others testing, of the mixture and of all rows pooled as one task's.

    mixture: the study's learner. pooled: every source row counts as one of the target's, with no way out. Both train on the same
    rows as learning alone; the first rows of a split's order are those of all its steps.
    """
    steps = [[n for n in asked if n < len(one.y)] or _chosen(one, asked) for one in measured]
    shape = len(measured), max(map(len, steps))
    numbers = {name: np.full(shape, np.nan) for name in ("rows", "alone")}
    found = {name: np.full((2, *shape), np.nan) for name in ("gain", "low", "high")}
    signs = {name: np.zeros((2, *shape), int) for name in ("sign", "sign_joint")}
    for i, (one, own, unit) in enumerate(zip(measured, steps, units, strict=True)):
        errors = [_errors(one, n) for n in own]
        splits = [[_splits(one, n, level, at) for n, at in zip(own, errors, strict=True)]]
        splits += [[split._replace(unresolved=0.0, variance_above=0.0, of_rows=False) for split in splits[0]]]  # nothing to choose
        numbers["rows"][i, : len(own)] = own
        numbers["alone"][i, : len(own)] = [unit**2 * at.alone.mean() for at in errors]
        for k, learner in enumerate(LEARNERS):
            differences = [at.alone - getattr(at, learner) for at in errors]
            signs["sign_joint"][k, i, : len(own)] = decide_jointly(differences, splits[k], level)
            for j, (difference, split) in enumerate(zip(differences, splits[k], strict=True)):
                verdict = in_units(decide_resampled(difference, split), unit**2)
                for name, value in zip(found, (verdict.mean, verdict.low, verdict.high), strict=True):
                    found[name][k, i, j] = value
                signs["sign"][k, i, j] = verdict.sign
    fields: dict[str, Any] = {f"curve_{name}": (("task", "step"), values) for name, values in numbers.items()}
    return fields | {f"curve_{name}": (("learner", "task", "step"), values) for name, values in (found | signs).items()}


def crossing(rows: np.ndarray, gains: np.ndarray, signs: np.ndarray) -> Crossing:
    """Of gains at rising numbers of rows (n,), with the signs that are decided jointly; NaN rows are left out."""
    kept = np.isfinite(rows)
    rows, gains, signs = rows[kept], gains[kept], signs[kept]
    nothing, (decided,) = float("nan"), np.nonzero(signs)
    turned = np.flatnonzero(np.diff(signs[decided]))
    first = int(signs[decided[0]]) if len(decided) else 0
    if len(turned) > 1:
        return Crossing(first, nothing, nothing, nothing, "the sign turns more than once")
    before, after = ("hurts", "helps") if first < 0 else ("helps", "hurts")
    if len(turned) == 1:
        left, right = decided[turned[0]], decided[turned[0] + 1]
        at, low, high = _zero(rows[left : right + 1], first * gains[left : right + 1]), float(rows[left]), float(rows[right])
        return Crossing(first, at, low, high, f"{before} below about {at:.3g} rows and {after} above ({low:.0f} to {high:.0f})")
    changes = np.flatnonzero(np.diff(np.sign(gains)))
    at = _zero(rows, np.sign(gains[0]) * gains) if len(changes) == 1 and gains[0] != 0 else nothing
    if not len(decided):
        found = f"undecided from {rows[0]:.0f} to {rows[-1]:.0f} rows"
    else:
        ends = " to ".join(f"{rows[j]:.0f}" for j in sorted({int(decided[0]), int(decided[-1])}))
        found = f"{before} {'from' if len(decided) > 1 else 'at'} {ends} rows"
        found += "" if len(decided) == len(rows) else ", undecided elsewhere"
    return Crossing(first, at, nothing, nothing, found if at != at else f"{found}; the mean gain turns at about {at:.3g} rows")


def _zero(rows: np.ndarray, gains: np.ndarray) -> float:
    """Where gains that start above zero first reach it, on straight lines over the logarithm of the rows."""
    j = int(np.argmax(gains <= 0)) - 1
    share = gains[j] / (gains[j] - gains[j + 1])
    return float(np.exp(np.log(rows[j]) + share * np.log(rows[j + 1] / rows[j])))


def _chosen(one: Target, asked: tuple[int, ...]) -> list[int]:
    name, n = one.table.names[one.target], len(one.y)
    wanted = f"numbers below the {n} rows of {name}, at least one of them"
    require(not asked, "curve", wanted, list(asked), "give smaller numbers, or True for ours")
    return np.unique(np.geomspace(min(LEAST, one.plan.n_train), one.plan.n_train, N_STEPS).round().astype(int)).tolist()


class _Errors(NamedTuple):
    """Squared errors (J, n - n_train) on the rows that do not train, and how far the mixture is from learning alone there."""

    alone: np.ndarray
    mixture: np.ndarray
    pooled: np.ndarray
    apart: float


def _splits(one: Target, n_train: int, level: float, found: _Errors) -> Splits:
    """The rows that do not train test: those of the plan and others, which chance draws, so that all are tested about as often."""
    tests, few = _orders(one)[:, n_train:], 2 * n_train <= len(one.y)
    return one.splits(level, found.mixture, found.apart, n_train)._replace(tests=tests, of_rows=few)


def _orders(one: Target) -> np.ndarray:
    """Of the rows in every split, those that train first."""
    return np.stack([np.concatenate(parts) for parts in zip(one.plan.trains, one.plan.tests, strict=True)])


def _errors(one: Target, n_train: int) -> _Errors:
    """Alone, by the mixture, and pooled as one."""
    (way,) = one.table.ways(one.target, ("weighted-rows",)).of(tuple(one.together.others))
    seen = see([way._replace(strengths=np.ones(1))], one.rows.X)
    said: list[list[np.ndarray]] = [[], [], []]
    for order in _orders(one):
        train, test = order[:n_train], order[n_train:]
        fits = one.rows.everything(one.y, train)
        (pooled,) = fit_ways(seen, one.y, train)
        for parts, theta in zip(said, (fits[0].theta, mixture(fits), mixed([pooled], np.ones(1))), strict=True):
            parts.append(one.rows.predict(theta, one.y, train, test))
    alone, together, as_one = map(np.stack, said)
    labels = one.y[_orders(one)[:, n_train:]]
    return _Errors(*((part - labels) ** 2 for part in (alone, together, as_one)), float(np.mean((alone - together) ** 2)))
