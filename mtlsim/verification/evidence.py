"""What was seen of one quantity of one instance, and how far that speaks against a statement of each kind."""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from scipy import stats

from mtlsim.theory.statement import OUTSIDE

TAIL = 25.0  # times skewness^2: draws by which a mean that lies away from a long tail tells something (Cochran's rule)
FEWEST = 20  # draws of which a mean and its error are spoken of: three that are equal by chance look as sure as can be
ROUNDING = 1e-6  # relative difference that an identity may have
NOTHING = np.finfo(float).tiny


@dataclass(frozen=True)
class Evidence:
    """One quantity of one instance: draws of measured and predicted (S,), and what the statement says about them."""

    place: str
    quantity: str
    instance: int
    measured: np.ndarray = field(repr=False)
    predicted: np.ndarray = field(repr=False)
    margin: np.ndarray = field(repr=False)  # of the assumptions, per draw
    allowed: float = 0.0  # relative error (limit) or share of draws (bound)
    trivial: np.ndarray | None = field(default=None, repr=False)
    partner: bool = False  # of a limit: the same instance at another size, which only tells how fast the error falls

    @property
    def counts(self) -> bool:
        """Whether the verdict looks at it."""
        return self.place != OUTSIDE and not self.partner

    @cached_property
    def inside(self) -> "Evidence":
        """The draws on which the assumptions hold; of an instance outside all of them, as they show what happens there."""
        kept = (self.margin >= 0) | np.isnan(self.margin) | (self.place == OUTSIDE)
        if kept.all():
            return self
        columns = {name: getattr(self, name)[kept] for name in ("measured", "predicted", "margin")}
        return replace(self, trivial=None if self.trivial is None else self.trivial[kept], **columns)

    @property
    def share_inside(self) -> float:
        return float(np.mean(self.margin >= 0))

    @cached_property
    def sound(self) -> bool:
        """Whether every number and margin of the draws inside is one: what is no number never helps a statement."""
        inside = self.inside
        finite = np.isfinite(inside.measured) & np.isfinite(inside.predicted) & ~np.isnan(inside.margin)
        return bool(finite.all())

    @property
    def standard_error(self) -> float:
        return _mean_and_error(self.measured - self.predicted)[1]

    def score(self, kind: str, factor: float = 1.0) -> float:
        """How far measured is from `factor` times predicted where the assumptions hold; NaN if a number is none, or too few.

        A z-score (of a sign: positive where measured has the predicted one); for an identity, a share of the allowed difference;
        for a bound, the largest excess over it, relative to it.
        """
        inside = self.inside
        measured, predicted = inside.measured, factor * inside.predicted
        if not self.sound or len(measured) < (1 if kind in ("identity", "bound") else 2):
            return np.nan
        if kind == "identity":
            size = np.maximum(np.abs(measured), np.abs(predicted))
            size = np.where(size > 0, size, 1)
            return float(np.max(np.abs(measured / size - predicted / size)) / ROUNDING)  # their difference may overflow
        if kind == "bound":
            return float(np.max((measured - predicted) / np.where(predicted != 0, np.abs(predicted), 1)))
        draws, size = self.draws(kind, factor), np.abs(measured).mean() + np.abs(predicted).mean()
        mean, error = _mean_and_error(draws)
        if kind == "limit":
            mean = max(abs(mean) - self.allowed * np.abs(predicted).mean(), 0)
        return float(mean / max(error, (1e-12 if kind == "sign" else ROUNDING) * size, NOTHING))

    def draws(self, kind: str, factor: float = 1.0) -> np.ndarray:
        """What a mean is taken of, zero where the statement is true (of a sign: positive)."""
        inside = self.inside
        return inside.measured * np.sign(inside.predicted) if kind == "sign" else inside.measured - factor * inside.predicted

    def against(self, kind: str) -> float:
        """How far this speaks against the statement: the size of the score, of a bound with its sign, of a sign if contrary."""
        score = self.score(kind)
        if kind == "sign":
            return max(-score, 0.0) if np.isfinite(score) else np.nan
        return score if kind == "bound" else abs(score)

    def strain(self, kind: str) -> float:
        """How far this is towards being false: of a limit, the error beyond two standard errors over what is allowed; of other
        kinds, what is against the statement. What is no number is beyond all."""
        if kind != "limit" or not self.allowed:
            strain = self.against(kind)
        else:
            error, deviation = self.relative_error
            strain = (abs(error) - 2 * deviation) / self.allowed
        return strain if np.isfinite(strain) else np.inf

    @property
    def tells(self) -> bool:
        """Whether there are draws enough inside for a mean to be spoken of."""
        return len(self.inside.measured) >= FEWEST

    def p_value(self, kind: str, factor: float = 1.0, tail: float = TAIL) -> float:
        """How likely so much against `factor` times predicted is by chance; one where nothing can be said.

        tail: times skewness^2, how many draws a mean away from a long tail needs to say anything; of none it says what it seems to.
        """
        if kind == "bound":
            held = self.held(factor)
            return float(stats.binom.cdf(held.sum(), len(held), self.allowed) if self.allowed else held.all())
        score = self.score(kind, factor)
        if not np.isfinite(score):
            return 1.0
        if kind == "identity":
            return float(score <= 1)
        if not self.tells:
            return 1.0
        draws = self.draws(kind, factor)
        if kind == "sign":
            if self.inside.predicted.any():
                return by_chance(score, len(draws), pull_of(draws), True, tail)
            kind, draws = "equality", self.inside.measured  # which is predicted to be zero
            mean, error = _mean_and_error(draws)
            score = mean / error if error > 0 else 0.0  # a number that is always the same may be rounding
        below = bool(draws.mean() < 0)
        return (1 + (kind == "equality")) * by_chance(
            float(np.copysign(score, draws.mean())), len(draws), pull_of(draws), below, tail
        )

    def decided(self, n_tests: int, level: float) -> bool:
        """Of a sign: whether it is the predicted one beyond chance, as one of several tests."""
        score, draws = self.score("sign"), self.draws("sign")
        sure = np.isfinite(score) and self.tells
        return bool(sure and n_tests * by_chance(score, len(draws), pull_of(draws), below=False) <= level)

    def held(self, factor: float = 1.0) -> np.ndarray:
        """Of a bound: on which of the draws inside, whose numbers are numbers, it held up to rounding."""
        inside = self.inside
        measured, predicted = inside.measured, factor * inside.predicted
        known = np.isfinite(measured) & np.isfinite(predicted) & ~np.isnan(inside.margin)
        measured, predicted = measured[known], predicted[known]
        return measured <= predicted + ROUNDING * (np.abs(predicted) + np.abs(measured))

    @property
    def tightness(self) -> np.ndarray:
        """Of a bound: predicted over measured on the draws inside."""
        inside = self.inside
        return inside.predicted / np.where(inside.measured != 0, inside.measured, NOTHING)

    @property
    def informative(self) -> np.ndarray:
        """Of a bound: on which draws inside it is below what needs no theorem."""
        inside = self.inside
        return inside.predicted < (np.inf if inside.trivial is None else inside.trivial)

    @property
    def relative_error(self) -> tuple[float, float]:
        """Mean of (measured - predicted) over the mean size of predicted, and its standard error."""
        inside = self.inside
        size = np.abs(inside.predicted).mean() + NOTHING
        mean, error = _mean_and_error(inside.measured - inside.predicted)
        return mean / size, error / size


def _mean_and_error(draws: np.ndarray) -> tuple[float, float]:
    error = np.std(draws, ddof=1) / np.sqrt(len(draws)) if len(draws) > 1 else np.inf
    return float(np.mean(draws)), float(error)


def pull_of(draws: np.ndarray) -> float:
    """Skewness of the mean of draws: that of the draws over the root of their number."""
    spread = np.std(draws)
    return float(np.mean(((draws - np.mean(draws)) / spread) ** 3) / np.sqrt(len(draws))) if spread > NOTHING else 0.0


def by_chance(score: float, n: int, pull: float, below: bool, tail: float = TAIL) -> float:
    """Probability of a z-score so low (or so high) as that of the mean of n draws with this skewness of the mean.

    Student's t, and Hall's transform of it where that makes it larger: the mean of skewed draws is correlated with their spread.
    One where it lies away from a long tail of which fewer than `tail` skewness^2 draws are seen.
    """
    if tail * pull**2 > 1 and (pull > 0) == below:
        return 1.0
    hall = score + pull * score**2 / 3 + pull**2 * score**3 / 27 + pull / 6
    sides = [stats.t.cdf(z if below else -z, n - 1) for z in (score, hall)]
    return float(max(sides))
