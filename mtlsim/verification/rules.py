"""How evidence becomes a verdict. Every rule is written down here, and every report prints the one it used.

A rule looks at instances inside a statement's assumptions and on their edge; those outside show where it breaks. A statement is
confirmed only if its power twin, the same formula 10 % off (or of the other sign), is refuted by the same data.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from mtlsim.theory.statement import KINDS, OUTSIDE

AGREES, DIFFERS = 4.0, 5.0  # |z| below which a mean agrees, and from which it differs
ROUNDING = 1e-6  # relative difference that an identity may have
TWIN = 1.1
LEVEL = 0.999  # of the interval of the share of draws on which a bound held

CONFIRMED, REFUTED, VACUOUS, UNDECIDED = "confirmed", "refuted", "vacuous", "undecided"
RULES = {
    "equality": f"Per instance z = mean of (measured - predicted) over its standard error. Confirmed if every |z| < {AGREES:g} and "
    f"a formula 10 % off has some |z| >= {DIFFERS:g} on the same draws; refuted if some |z| >= {DIFFERS:g}; undecided otherwise.",
    "limit": "As for an equality, with z = (|mean of (measured - predicted)| - allowed) over its standard error, where allowed is "
    "the stated share of the prediction.",
    "identity": f"Confirmed if measured and predicted differ by at most {ROUNDING:g} of their size on every draw, and a formula "
    "10 % off does not; refuted otherwise.",
    "bound": "Refuted if the share of draws on which measured <= predicted is, with its 99.9 % interval, below the claimed share; "
    "vacuous if the bound is never below the trivial value on draws that satisfy the assumptions, or none satisfies them; "
    "confirmed otherwise.",
    "sign": f"z = mean of measured over its standard error. Refuted if some decided sign (|z| >= {DIFFERS:g}) is not the predicted "
    f"one; confirmed if none with |z| >= {AGREES:g} is, and at least half of all instances are decided; undecided otherwise.",
}
assert RULES.keys() == KINDS.keys()


@dataclass(frozen=True)
class Evidence:
    """One quantity of one instance: draws of measured and predicted (S,), and what the statement says about them."""

    place: str
    quantity: str
    instance: int
    measured: np.ndarray
    predicted: np.ndarray
    margin: np.ndarray  # of the assumptions, per draw
    allowed: float = 0.0  # relative error (limit) or share of draws (bound)
    trivial: np.ndarray | None = None

    @property
    def counts(self) -> bool:
        """Whether the verdict looks at it."""
        return self.place != OUTSIDE

    @property
    def standard_error(self) -> float:
        return float(np.std(self.measured - self.predicted, ddof=1) / np.sqrt(len(self.measured)))

    def score(self, kind: str, factor: float = 1.0) -> float:
        """How far measured is from `factor` times predicted: a z-score, or for an identity a share of the allowed difference."""
        measured, predicted = self.measured, factor * self.predicted
        if not (np.isfinite(measured).all() and np.isfinite(predicted).all()):
            return np.nan
        if kind == "identity":
            size = np.maximum(np.abs(measured), np.abs(predicted))
            return float(np.max(np.abs(measured - predicted) / np.where(size > 0, size, 1)) / ROUNDING)
        if kind == "bound":
            return float(np.max((measured - predicted) / np.where(predicted != 0, np.abs(predicted), 1)))
        difference = measured if kind == "sign" else measured - predicted
        mean, error = difference.mean(), difference.std(ddof=1) / np.sqrt(len(difference))
        error = max(error, 1e-12 * (np.abs(measured).mean() + np.abs(predicted).mean()), np.finfo(float).tiny)
        if kind == "limit":
            return float(max(np.abs(mean) - self.allowed * np.abs(predicted).mean(), 0) / error)
        return float(mean / error)

    def against(self, kind: str) -> float:
        """How far this speaks against the statement: the size of the score, of a bound with its sign, of a sign if contrary."""
        score = self.score(kind)
        if kind == "sign":
            return 0.0 if np.sign(score) == np.sign(self.predicted.mean()) else abs(score)
        return score if kind == "bound" else abs(score)


def judge(kind: str, evidence: list[Evidence]) -> tuple[str, float]:
    """The verdict and the worst score among instances that count (for a bound: the largest relative excess over it)."""
    counted = [one for one in evidence if one.counts]
    if not counted:
        return UNDECIDED, np.nan
    if kind == "bound":
        return _judge_bound(counted)
    scores = np.array([one.score(kind) for one in counted])
    if kind == "sign":
        return _judge_sign(scores, np.array([one.against(kind) for one in counted]))
    worst = float(np.nanmax(np.abs(scores))) if np.isfinite(scores).any() else np.nan
    twins = [abs(one.score(kind, TWIN)) for one in counted]
    powerful = np.nanmax(twins) >= (1 if kind == "identity" else DIFFERS) if np.isfinite(twins).any() else False
    agrees, differs = (1.0, 1.0) if kind == "identity" else (AGREES, DIFFERS)
    if not worst < differs:
        return REFUTED if np.isfinite(worst) else UNDECIDED, worst
    return CONFIRMED if worst < agrees and powerful and np.isfinite(scores).all() else UNDECIDED, worst


def _judge_sign(scores: np.ndarray, against: np.ndarray) -> tuple[str, float]:
    worst = float(np.nanmax(against))
    if worst >= DIFFERS:
        return REFUTED, worst
    decided = np.mean(np.abs(scores) >= AGREES)
    return CONFIRMED if worst < AGREES and decided >= 0.5 else UNDECIDED, worst


def _judge_bound(counted: list[Evidence]) -> tuple[str, float]:
    worst, useful, verdict = -np.inf, False, CONFIRMED
    for one in counted:
        inside = one.margin >= 0
        if not inside.any():
            continue
        measured, predicted = one.measured[inside], one.predicted[inside]
        held = measured <= predicted * (1 + ROUNDING) + ROUNDING * np.abs(measured)
        worst = max(worst, float(np.max((measured - predicted) / np.maximum(np.abs(predicted), np.finfo(float).tiny))))
        useful |= bool((predicted < (np.inf if one.trivial is None else one.trivial[inside])).any())
        if share_above(int(held.sum()), len(held)) < (one.allowed or 1.0) or (not one.allowed and not held.all()):
            verdict = REFUTED
    if verdict == REFUTED:
        return REFUTED, worst
    return CONFIRMED if useful else VACUOUS, worst


def share_above(held: int, drawn: int) -> float:
    """Upper end of the Clopper-Pearson interval of a share at `LEVEL`."""
    return 1.0 if held == drawn else float(stats.beta.ppf(0.5 + LEVEL / 2, held + 1, drawn - held))
