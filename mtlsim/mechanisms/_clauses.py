"""Five clauses, each with its number, and the verdict that follows: what must hold before "by this mechanism" may be said.

Every number is a mean over seeds of something that is known seed by seed, with an interval of `LEVEL`. A clause holds, fails, or is
open. A mechanism is *confirmed* if all hold: a clause that is false seems to hold at most MISTAKES / 5 of the time, and so a
mechanism with a false clause is confirmed no more often. It is *refuted* if any fails, by chance at most MISTAKES of the time. Else
it is undecided. What is no number leaves a clause open.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from mtlsim.core.verdict import summarise
from mtlsim.mechanisms._mechanism import Mechanism, Point, shown

MISTAKES = 1e-3  # of a verdict
CLAUSES = ("effect", "dose", "control", "opponent", "mediator")
LEVEL = 1 - MISTAKES / len(CLAUSES)
LEFT, BEYOND = 0.1, 0.2  # shares of the effect that may be left under a control, and come by another way than the mediator
HOLDS, OPEN, FAILS = "holds", "open", "fails"
CONFIRMED, REFUTED, UNDECIDED = "confirmed", "refuted", "undecided"

RULES = {
    "effect": "the mean effect at the stated point is positive",
    "dose": "the mean over seeds of Spearman's rank correlation of effect and dose has the stated sign",
    "control": f"of the effect at most {LEFT:.0%} is left, of either sign, under every control",
    "opponent": "the effect is positive against a single task at its best setting, which is chosen on other seeds, and not where "
    "their range ends while it still gets better",
    "mediator": f"the mediator moves as claimed, at most {LEFT:.0%} of that under every control, and at most {BEYOND:.0%} of the "
    "effect comes by another way",
}
Draws = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Clause:
    """One clause: the number that it is about, the interval in which its mean is, and whether it holds, fails or is open.

    number, low, high: of the effect, the mean correlation, the share of the effect that is left, the gain over the opponent, the
    mediator. about: in words, with what was compared.
    """

    name: str
    state: str
    number: float
    low: float
    high: float
    about: str

    def __str__(self) -> str:
        return f"{self.name} {self.state}: {self.about}"


def judge(clauses: Sequence[Clause]) -> str:
    """confirmed, refuted or undecided."""
    states = [clause.state for clause in clauses]
    if FAILS in states:
        return REFUTED
    return CONFIRMED if all(state == HOLDS for state in states) else UNDECIDED


def consider(mechanism: Mechanism, draw: Callable[[Sequence[Point]], list[Draws]]) -> tuple[list[Clause], list[Draws]]:
    """All five clauses and the draws of the harmful points; draw: points -> their draws (S,), of the same seeds at every point."""
    found = draw(list(mechanism.points()))
    sizes = (1, len(mechanism.dose.values), len(mechanism.controls), len(mechanism.opponent[1]))
    (here,), doses, controls, opponents, harmful = (list(part) for part in np.split(np.array(found, object), np.cumsum(sizes)))
    controls = dict(zip(mechanism.controls, controls, strict=True))
    return [
        _effect(here),
        _dose(mechanism, doses),
        _control(here, controls),
        _opponent(mechanism, opponents),
        _mediator(mechanism, here, controls),
    ], harmful


def _mean(values: np.ndarray) -> tuple[float, float, float, str]:
    """Mean, interval, and whether the mean is above zero; an open clause where some draw is no number."""
    if not np.isfinite(values).all():
        return np.nan, -np.inf, np.inf, OPEN
    found = summarise(values, LEVEL)
    mean, low, high = (float(found[name]) for name in ("mean", "low", "high"))
    return mean, low, high, HOLDS if low > 0 else FAILS if high < 0 else OPEN


def _with_ends(mean: float, low: float, high: float) -> str:
    return f"{mean:.3g} ({low:.3g} to {high:.3g})"


def _effect(here: Draws) -> Clause:
    mean, low, high, state = _mean(here["gain"])
    return Clause("effect", state, mean, low, high, f"mean effect {_with_ends(mean, low, high)}")


def _dose(mechanism: Mechanism, doses: Sequence[Draws]) -> Clause:
    dose, gains = mechanism.dose, np.stack([draws["gain"] for draws in doses])
    correlations = np.where(np.isfinite(gains).all(0), rank_correlation(np.arange(len(gains)), gains), np.nan)
    mean, low, high, state = _mean(dose.sign * correlations)
    way = "rises" if dose.sign > 0 else "falls"
    ends = f"{shown(dose.values[0])} to {shown(dose.values[-1])}"
    about = f"it {way} with {dose.name} from {ends}, rank correlation {_with_ends(mean, low, high)}"
    return Clause("dose", state, mean, low, high, about + ("" if dose.sign > 0 else " with the sign turned"))


def rank_correlation(order: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Spearman's correlation of values (n, S) with an order (n,), for each of S; 0 where all values are equal."""
    ranks = stats.rankdata(values, axis=0)
    ranks, order = ranks - ranks.mean(0), stats.rankdata(order) - (len(order) + 1) / 2
    size = np.sqrt((ranks**2).sum(0) * (order**2).sum())
    return (order[:, None] * ranks).sum(0) / np.where(size > 0, size, 1)


def _within(part: np.ndarray, whole: np.ndarray, share: float) -> tuple[str, float, float, float]:
    """Whether the mean part is at most that share of the mean whole, of either sign; and its share with an interval.

    The state is that of two linear contrasts, share * whole - part and share * whole + part, both of which must be positive; of a
    whole that is negative beyond chance, where nothing may be left either, its size takes its place.
    """
    extent = -whole if _mean(whole)[3] == FAILS else whole
    sides = [_mean(share * extent - sign * part)[3] for sign in (1, -1)]
    state = FAILS if FAILS in sides else HOLDS if sides == [HOLDS, HOLDS] else OPEN
    size = abs(float(np.mean(whole))) or np.nan
    mean, low, high, _ = _mean(part)
    return state, mean / size, low / size, high / size


def _worst_of(parts: Mapping[str, tuple[str, float, float, float]]) -> tuple[str, str, float, float, float]:
    """The one that fails, else one that is open, else that of the largest share: (name, state, share, low, high)."""
    severity = {FAILS: 2, OPEN: 1, HOLDS: 0}
    name = max(parts, key=lambda one: (severity[parts[one][0]], np.nan_to_num(abs(parts[one][1]))))
    return name, *parts[name]


def _control(here: Draws, controls: Mapping[str, Draws]) -> Clause:
    parts = {name: _within(draws["gain"], here["gain"], LEFT) for name, draws in controls.items()}
    name, state, share, low, high = _worst_of(parts)
    seen = "; ".join(f"{one}: {_percent(part[1])} %" for one, part in parts.items())
    about = f"share of the effect left, at worst {_percent(share)} % ({_percent(low)} to {_percent(high)}) with {name} [{seen}]"
    return Clause("control", state, share, low, high, about)


def _opponent(mechanism: Mechanism, opponents: Sequence[Draws]) -> Clause:
    """The single task's setting is chosen on the first quarter of the seeds, and it is judged on the others."""
    name, values = mechanism.opponent
    gains = np.stack([draws["gain"] for draws in opponents])
    chosen = gains.shape[1] // 4
    best = int(np.argmin(gains[:, :chosen].mean(1)))
    mean, low, high, state = _mean(gains[best, chosen:])
    about = f"{_with_ends(mean, low, high)} over a single task at its best, {name} = {shown(values[best])}"
    if state == HOLDS and best in (0, len(values) - 1):
        inner = gains[1 if best == 0 else -2, chosen:]
        if _mean(inner - gains[best, chosen:])[3] == HOLDS:
            state, about = OPEN, about + ", where its range ends and it still gets better"
    return Clause("opponent", state, mean, low, high, about)


def _mediator(mechanism: Mechanism, here: Draws, controls: Mapping[str, Draws]) -> Clause:
    moved = here[mechanism.mediator]
    mean, low, high, state = _mean(moved)
    states, about = [state], f"{mechanism.mediator.replace('_', ' ')} moves by {_with_ends(mean, low, high)}"
    parts = {name: _within(draws[mechanism.mediator], moved, LEFT) for name, draws in controls.items()}
    name, state, share, *_ = _worst_of(parts)
    states.append(state)
    about += f" ({_percent(share)} % of that with {name})"
    if mechanism.beyond is not None:
        rest, gain = here[mechanism.beyond], here["gain"]
        states.append(_mean(BEYOND * gain - rest)[3])
        about += f"; {_percent(1 - rest.mean() / gain.mean())} % of the effect comes by it"
    state = FAILS if FAILS in states else HOLDS if set(states) == {HOLDS} else OPEN
    return Clause("mediator", state, mean, low, high, about)


def _percent(share: float) -> str:
    """With one digit, and no minus before a zero."""
    return f"{round(100 * share, 1) + 0.0:.1f}"
