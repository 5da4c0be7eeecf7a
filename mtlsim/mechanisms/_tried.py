"""A mechanism is tried: every point drawn with the same seeds in one program, five clauses judged, and where it hurts."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import jax
import numpy as np

from mtlsim.core.checks import require
from mtlsim.core.status import Status
from mtlsim.core.verdict import summarise
from mtlsim.core.words import counted
from mtlsim.mechanisms._clauses import LEVEL, Clause, Draws, consider, judge
from mtlsim.mechanisms._mechanism import Mechanism, Point, shown
from mtlsim.results.grid import at_point
from mtlsim.sweeps.instances import over_instances


@dataclass(frozen=True)
class Effect:
    """The mean effect at one point with its interval, and the mean of the mediator there as `moved`.

    kind: effect, dose, control or opponent; label: which of them.
    """

    kind: str
    label: str
    mean: float
    low: float
    high: float
    moved: float = np.nan


@dataclass(frozen=True)
class Trial:
    """What came of trying a mechanism: the verdict, its five clauses, the points that hurt (effect negative beyond chance), how
    many were looked at, and at how many of these some draw is no number, so that nothing is said of them. effects: at all other
    points."""

    mechanism: Mechanism
    verdict: str
    clauses: tuple[Clause, ...]
    hurts: tuple[tuple[Point, float], ...] = field(repr=False)
    n_harmful: int
    n_lost: int
    n_seeds: int
    seconds: float
    effects: tuple[Effect, ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        return self.mechanism.name

    @property
    def as_expected(self) -> bool:
        return self.verdict == self.mechanism.expected

    def __str__(self) -> str:
        note = "" if self.as_expected else f" (expected: {self.mechanism.expected})"
        lines = [
            f"{self.mechanism.name}: {self.verdict}{note}; {counted(self.n_seeds, 'seed')}",
            *map(str, self.clauses),
            self.harm,
            *([f"known of it: {', '.join(self.mechanism.known)}"] if self.mechanism.known else []),
        ]
        return "\n  ".join(lines)

    @property
    def harm(self) -> str:
        """One sentence on where it hurts."""
        if not self.n_harmful:
            return "no points were looked at for harm"
        lost = f" ({self.n_lost} undecided for lost numbers)" if self.n_lost else ""
        if not self.hurts:
            return f"it hurts at none of {counted(self.n_harmful, 'point')}{lost}"
        worst, effect = min(self.hurts, key=lambda one: one[1])
        where = ", ".join(f"{name} = {shown(value)}" for name, value in worst.items() if name in self.mechanism.harm)
        return f"it hurts at {len(self.hurts)} of {counted(self.n_harmful, 'point')}{lost}, most ({effect:.3g}) at {where}"


def try_mechanism(mechanism: Mechanism, n_seeds: int | None = None, seed: int = 0) -> Trial:
    """Draw every point with the same keys, and judge. n_seeds: of every point; by default what the mechanism says."""
    n_seeds = mechanism.n_seeds if n_seeds is None else n_seeds
    require(n_seeds >= 16, "n_seeds", "at least 16, a quarter of which chooses the opponent", n_seeds, "use 2000")
    start = time.perf_counter()

    def draw(points: Sequence[Point]) -> list[Draws]:
        cells = [at_point(mechanism.cell, dict(point)) for point in points]
        found = over_instances(lambda cell, key: cell(key=key), cells, jax.random.key(seed), n_seeds, common=True)
        seen.extend(_sound(draws) for draws in found)
        return seen

    seen: list[Draws] = []
    clauses, harmful = consider(mechanism, draw)
    points, hurts, n_lost = mechanism.harmful_points(), [], 0
    level = 1 - (1 - LEVEL) / max(len(points), 1)
    for point, draws in zip(points, harmful, strict=True):
        if not np.isfinite(draws["gain"]).all():
            n_lost += 1
            continue
        found = summarise(draws["gain"], level)
        if found["high"] < 0:
            hurts.append((point, float(found["mean"])))
    counts = len(points), n_lost, n_seeds
    effects = _effects(mechanism, seen)
    return Trial(mechanism, judge(clauses), tuple(clauses), tuple(hurts), *counts, time.perf_counter() - start, effects)


def _effects(mechanism: Mechanism, draws: Sequence[Draws]) -> tuple[Effect, ...]:
    """The effect at every point that is not looked at for harm alone."""
    name, values = mechanism.opponent
    points = [("effect", ""), *(("dose", shown(value)) for value in mechanism.dose.values)]
    points += [*(("control", one) for one in mechanism.controls), *(("opponent", f"{name} = {shown(one)}") for one in values)]
    found = []
    for (kind, label), one in zip(points, draws, strict=False):
        numbers = summarise(one["gain"], LEVEL) if np.isfinite(one["gain"]).all() else {}
        ends = (float(numbers.get(part, np.nan)) for part in ("mean", "low", "high"))
        found.append(Effect(kind, label, *ends, float(one[mechanism.mediator].mean())))
    return tuple(found)


def _sound(draws: Draws) -> Draws:
    """Draws whose status is not fine, heavy tails too, are no numbers: they leave every clause that needs them open."""
    bad = draws.get("status", np.zeros(1)) != Status.ok
    return {name: np.where(bad, np.nan, np.asarray(values, float)) for name, values in draws.items() if np.ndim(values) == 1}
