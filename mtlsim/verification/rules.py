"""How evidence becomes a verdict. Every rule is written down here, and every report prints the one it used.

A rule looks at instances inside a statement's assumptions and on their edge, and of these at the draws on which the assumptions
hold; instances outside show where it breaks. A statement is confirmed only if its power twins are refuted by the same data, for
every quantity: the same formula 10 % too low, 10 % too high, and off on those instances alone which tell least, up and down in
turn: by 10 % on half of them, 20 % on a quarter, 40 % on an eighth (of the median of their sizes, where their own is smaller). And
on no instance alone may noise hide an error as large as that which is predicted, or a contrary sign of the median size. What is no
number never confirms and never refutes, nor do fewer than 20 draws tell anything of a mean.

A mean of few draws of a skewed law mostly lies away from its long tail, and looks surer than it is. So a z-score on that side tells
nothing while there are fewer than 25 skewness^2 draws (Cochran's rule; 5 of an error as large as all that is predicted), and what
some draws refute, as many others must refute alone. What happens so rarely that no draw shows it no such rule can see: a mean that
rests on it looks sure and is not. So a verdict says how rare that is, and does not speak of it.

Levels: a verdict that stands alone is taken at `ALONE`. Those of a whole run share `FAMILY`: every statement is tested at
FAMILY / (number of statements), its k-th look at the draws at 1 / (k (k + 1)) of that, which sum to one however many looks there
are, and every instance and quantity at an equal share of it. So the probability that any true statement of a run is refuted, at
any look, is at most FAMILY; the p-values that are left are tried by Holm's rule at the same level.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from mtlsim.core.words import counted
from mtlsim.theory.statement import EDGE, INSIDE, KINDS, TWINS
from mtlsim.verification.chance import (
    AGREES,
    Mean,
    against,
    by_other_half,
    no_heavier_than_half,
    quantities_of,
    scatter_p_value,
    weighed,
)
from mtlsim.verification.evidence import FEWEST, NOTHING, ROUNDING, Evidence, by_chance

FAMILY = 1e-3  # of wrong refutations in a whole run, and of wrong confirmations
ALONE = 1e-6  # of a verdict that stands alone: about five standard errors
DECIDED = 0.75  # of the instances inside whose sign must be sure
FAR_TAIL = 5.0  # in place of `TAIL`, where a mean lies away from a long tail by all of its size
VANISHES = 0.5  # of a limit's error: how much of what is allowed at the smaller size may stay as the size grows

UNSURE = (  # twins that are off on the rows which tell least: the fewer these are, the more
    ("10 % off on the half of the instances that tell least", 1 / 2, 0.1),
    ("20 % off on the quarter that tells least", 1 / 4, 0.2),
    ("40 % off on the eighth that tells least", 1 / 8, 0.4),
)

CONFIRMED, REFUTED, VACUOUS, UNDECIDED = "confirmed", "refuted", "vacuous", "undecided"
NOT_APPLICABLE = "not applicable"
VERDICTS = (CONFIRMED, REFUTED, VACUOUS, NOT_APPLICABLE, UNDECIDED)
_SIDES = "for every quantity the same formula 10 % too low and the one 10 % too high"
_REFUTED = "are refuted by the same rule on the same draws"
_TWINS = (
    f"{_SIDES}, and those {', '.join(said for said, *_ in UNSURE)}, each up and down in turn, {_REFUTED}, and noise hides on no "
    "instance whether it is off by all that is predicted; undecided otherwise"
)
_TWICE = (
    f" Fewer than {FEWEST} draws inside say nothing of a mean, and a refutation counts once as many other draws repeat it alone: "
    "few draws of a skewed law deceive a z-score. A mean that rests on events that no draw shows deceives it still."
)
_ALWAYS = " Draws on which an assumption does not hold count for nothing; if none is left, the statement is not applicable."
RULES = {
    "equality": "Per instance, and over all instances by the slope of measured on predicted, z = mean of (measured - predicted) "
    "over its standard error; and the sum of squares of all z, as instances scatter. Refuted if one of these is beyond chance at "
    f"the level of the run; confirmed if none is beyond chance at {AGREES:g} and {_TWINS}.{_TWICE}{_ALWAYS}",
    "limit": "As for an equality, with z = (|mean of (measured - predicted)| - allowed) over its standard error, where allowed is "
    "the stated share of the prediction. Where the statement resizes its instances, they are drawn at two sizes besides, at least "
    "half of them with draws enough at both, and the relative error that stays as the size grows (2 b(2d) - b(d) where "
    f"the error must halve) must be below {VANISHES:g} of what is allowed at the smaller one: "
    "refuted if its mean over instances is beyond, confirmed only if that is below and instances do not scatter beyond, of "
    f"either sign, all at the level of the run.{_TWICE}{_ALWAYS}",
    "identity": f"Confirmed if measured and predicted differ by at most {ROUNDING:g} of their size on every draw and "
    f"{_SIDES} {_REFUTED}; refuted if they differ by more on any.{_ALWAYS}",
    "bound": "Refuted if measured exceeds predicted by more than rounding on any draw (with a claimed share: if the draws on which "
    "it holds are fewer beyond chance, and confirmed only if breaking it twice as often as claimed is beyond chance); vacuous if "
    "on most draws the bound is not below the value that needs no theorem; confirmed "
    f"otherwise. How tight it is, predicted / measured, is reported.{_ALWAYS}",
    "sign": "z = mean of measured times the predicted sign, over its standard error; where that sign is none, measured must be "
    "none. Refuted if some z is contrary beyond chance at the level of the run, or all those together which are not sure one by "
    f"one; confirmed if none is at {AGREES:g}, for every quantity at least {DECIDED:.0%} of the instances inside are sure, noise "
    "hides on none of these whether it is contrary by their median size and, where there is a threshold, one instance on either "
    "side of it, 10 % away, is sure; undecided otherwise."
    f"{_TWICE}{_ALWAYS}",
}
assert RULES.keys() == KINDS.keys()


@dataclass(frozen=True)
class Judgement:
    """A verdict with its reasons.

    worst: the worst score among instances that count (for a bound the largest relative excess over it). p_value: how likely so much
    against the statement is by chance, over all its instances and quantities. lacks: what keeps it from being confirmed.
    notes: what else was seen, one sentence each: tightness, errors at two sizes, instances to which it does not apply.
    """

    verdict: str
    worst: float
    p_value: float
    lacks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def judge(kind: str, evidence: Sequence[Evidence], level: float = ALONE) -> tuple[str, float]:
    """The verdict at a level and the worst score; see `consider` for its reasons."""
    found = consider(kind, evidence, level)
    return found.verdict, found.worst


def consider(kind: str, evidence: Sequence[Evidence], level: float = ALONE) -> Judgement:
    """Judge a statement of this kind. level: the probability by chance below which evidence decides, over all of it."""
    places = [one for one in evidence if one.counts]
    counted = [one for one in places if len(one.inside.measured)]
    left_out = [one for one in places if not len(one.inside.measured)]
    notes = [_counted(left_out, places)] if left_out and places else []
    if not counted:
        return Judgement(NOT_APPLICABLE if places else UNDECIDED, np.nan, 1.0, ("a draw inside the assumptions",), tuple(notes))
    scores = [one.against(kind) for one in counted]
    worst = float(np.nanmax(scores)) if np.isfinite(scores).any() else np.nan
    p_value = against(kind, counted)
    lacks = [] if p_value >= AGREES else ["evidence against it that chance explains"]
    if not all(one.sound for one in counted):
        lacks.append("numbers on every draw")
    if kind in ("equality", "limit", "sign"):
        lacks += _unheard(kind, counted)
    sizes = [one for one in evidence if one.partner]
    if kind in ("equality", "limit", "identity"):
        lacks += _twins_left(kind, counted, level)
    elif kind == "sign":
        lacks += _undecided_signs(counted, level)
    elif any(one.allowed for one in counted):
        lacks += _shares_left(counted, level)
    if sizes:
        sized = [_what_stays(quantity, counted, sizes, level) for quantity in quantities_of(counted)]
        p_value = min(1.0, 2 * min([p_value, *(len(sized) * p for p, _, _ in sized)]))
        lacks += [lack for _, lack, _ in sized if lack]
        notes += [note for _, _, note in sized]
    if kind == "bound":
        notes.append(_tightness(counted))
    notes.append(_rarest(kind, counted, level))
    if p_value <= level:
        return Judgement(REFUTED, worst, p_value, (), tuple(notes))
    if kind == "bound" and not lacks and np.concatenate([one.informative for one in counted]).mean() < 0.5:
        return Judgement(VACUOUS, worst, p_value, (), tuple(notes))
    return Judgement(UNDECIDED if lacks else CONFIRMED, worst, p_value, tuple(lacks), tuple(notes))


def _unheard(kind: str, counted: Sequence[Evidence]) -> list[str]:
    """What keeps rows from being heard: few draws inside, and of a long tail too few where they now speak against the statement."""
    few = sum(not one.tells for one in counted)
    lacks = [f"{FEWEST} draws inside on all of {len(counted)} rows, {few} of which have fewer"] if few else []
    unheard = [one.p_value(kind, tail=0.0) for one in counted if one.p_value(kind) >= 1]
    if unheard and len(counted) * min(unheard) < AGREES:
        lacks.append("draws enough of a long tail, of which those that are there lie on one side")
    return lacks


def _twins_left(kind: str, counted: Sequence[Evidence], level: float) -> list[str]:
    """The twins that these draws do not refute, per quantity."""
    lacks = []
    for quantity in quantities_of(counted):
        rows = [one for one in counted if one.quantity == quantity]
        twins = {f"10 % too {side}": (rows, factor) for side, factor in zip(("low", "high"), TWINS, strict=True)}
        if kind != "identity" and len(rows) > 1:
            twins |= {f"{said}, up and down in turn,": (_off_where_unsure(rows, share, off), 1.0) for said, share, off in UNSURE}
        passing = [said for said, twin in twins.items() if against(kind, *twin) > level]
        lacks += [f"power on {quantity}: a formula {said} would pass" for said in passing]
        if kind != "identity" and (far := _may_be_far_off(kind, rows, len(counted), level)):
            lacks.append(f"power on {quantity}: noise hides whether an instance is off by all of it ({far} of {len(rows)})")
    return lacks


def _may_be_far_off(kind: str, rows: Sequence[Evidence], n_tests: int, level: float) -> int:
    """How many of these rows may, by chance, be off by as much as they, or half of the others, are large."""
    twins = lambda one, scale: [replace(one, predicted=one.predicted + off) for off in (-scale, scale)]
    passes = lambda twin: n_tests * twin.p_value(kind, tail=FAR_TAIL) > level
    return sum(any(map(passes, twins(one, scale))) for one, scale in zip(rows, _scales_of(rows), strict=True))


def _scales_of(rows: Sequence[Evidence]) -> np.ndarray:
    """Sizes of what is predicted, or of most where its own is smaller (of all, where most are zero)."""
    sizes = np.array([np.abs(one.inside.predicted).mean() for one in rows])
    return np.maximum(sizes, np.median(sizes) or np.mean(sizes)) + NOTHING


def _off_where_unsure(rows: Sequence[Evidence], share: float, off: float) -> list[Evidence]:
    """The rows with predictions that are off on this share of them, those with the largest error relative to what is predicted: by
    so much of it, or of most where it is less, as no draws tell 10 % of nothing."""
    errors, scales = np.array([one.inside.standard_error for one in rows]), _scales_of(rows)
    order = np.argsort(-np.where(np.isfinite(errors), errors / scales, np.inf), kind="stable")
    unsure, twin = order[: int(np.ceil(share * len(order)))], list(rows)
    for i, way in zip(unsure, np.resize([-off, off], len(unsure)), strict=True):
        twin[i] = replace(rows[i], predicted=rows[i].predicted + way * scales[i])
    return twin


def _shares_left(counted: Sequence[Evidence], level: float) -> list[str]:
    """The quantities whose bounds may be broken twice as often as claimed, over all instances together."""
    lacks = []
    for quantity in quantities_of(counted):
        rows = [(one.held(), one.allowed) for one in counted if one.quantity == quantity and 0 < one.allowed < 1]
        n, broken = sum(len(held) for held, _ in rows), sum((~held).sum() for held, _ in rows)
        twice = sum(len(held) * min(1.0, 2 * (1 - share)) for held, share in rows)
        if rows and (n == 0 or stats.binom.cdf(broken, n, twice / n) > level):
            lacks.append(f"power on {quantity}: a bound that is broken twice as often as claimed would pass")
    return lacks


def _undecided_signs(counted: Sequence[Evidence], level: float) -> list[str]:
    """Whether signs are decided, per quantity: most of those inside and, on the edge of a threshold, one on either side."""
    lacks = []
    for quantity in quantities_of(counted):
        rows = [one for one in counted if one.quantity == quantity]
        decided = {id(one): one.decided(len(counted), level) for one in rows}
        inside = [decided[id(one)] for one in rows if one.place == INSIDE]
        if inside and np.mean(inside) < DECIDED:
            of_all = f"{sum(inside)} of {len(inside)}"
            lacks.append(f"a decided sign of {quantity} on {DECIDED:.0%} of the instances inside ({of_all})")
        elif open_ := _may_be_contrary([one for one in rows if one.place == INSIDE], len(counted), level):
            lacks.append(f"certainty that no instance inside is contrary in {quantity} by the median size ({open_} may be)")
        edge = [one for one in rows if one.place == EDGE]
        for side, where in ((1, "above"), (-1, "below")):
            if edge and not any(decided[id(one)] for one in edge if np.sign(one.inside.predicted.mean()) == side):
                lacks.append(f"a decided sign of {quantity} near the threshold, {where} zero")
    return lacks


def _may_be_contrary(rows: Sequence[Evidence], n_tests: int, level: float) -> int:
    """How many of these may, by chance, be contrary by as much as half of them are right, or as large where the sign is none."""
    is_signed = [bool(one.inside.predicted.any()) for one in rows]
    size = np.median([abs(one.draws("sign").mean()) for one, signed in zip(rows, is_signed, strict=True) if signed] or [0.0])

    def is_told(one: Evidence, signed: bool) -> bool:
        if signed:
            return replace(one, measured=one.measured + size * np.sign(one.predicted)).decided(n_tests, level)
        twins = [replace(one, measured=one.measured + away) for away in (-size, size)]
        return all(n_tests * twin.p_value("sign") <= level for twin in twins)

    return sum(not is_told(one, signed) for one, signed in zip(rows, is_signed, strict=True))


def _what_stays(quantity: str, counted: Sequence[Evidence], sizes: Sequence[Evidence], level: float) -> tuple[float, str, str]:
    """Of a limit: the part of its relative error that stays as the size grows, extrapolated from two sizes.

    With errors b and b' and allowed errors a > a' at the smaller and the larger size, c = (b' - r b) / (1 - r), r = a' / a. What is
    judged is c / a, as a mean over instances by their precision, up to that of the middle one; where it scatters beyond chance,
    with either sign, it does not vanish. Returns the probability by chance of so much, what is lacking, and a note.
    """
    rows, others = ({one.instance: one for one in every if one.quantity == quantity} for every in (counted, sizes))
    pairs = [sorted((rows[i], others[i]), key=lambda one: -one.allowed) for i in rows if i in others]
    is_seen = lambda one: one.sound and one.tells and bool(one.inside.predicted.any())  # of nothing no error is relative
    usable = [pair for pair in pairs if all(map(is_seen, pair)) and pair[0].allowed > pair[1].allowed]
    unsound = any(not one.sound for pair in pairs for one in pair)
    if unsound or 2 * len(usable) < max(len(rows), 1):
        seen = f"{len(usable)} of {len(rows)}"
        return 1.0, f"{quantity} at two sizes, with less allowed at the larger", f"{quantity}: seen at two sizes on {seen}."
    pairs = usable
    halves = [[_stays(small, large, slice(start, None, 2)) for start in (0, 1)] for small, large in pairs]
    parts = no_heavier_than_half([part for both in halves for part in by_other_half(both)])
    whole, weight = weighed(parts), sum(weight for weight, _ in parts)
    share, error = whole.mean / weight, np.sqrt(whole.variance) / weight
    small, large = (np.mean([(one.relative_error[0], one.allowed) for one in side], 0) for side in zip(*pairs, strict=True))
    note = (
        f"{quantity}: relative error {small[0]:+.2%} where {small[1]:.2%} is allowed, and {large[0]:+.2%} at the larger size, over "
        f"{len(pairs)} of {len(rows)} instances; {share:+.2f} +- {1.96 * error:.2f} of what is allowed would stay."
    )
    numbers = [min(len(one.inside.measured) for one in pair) // 2 for pair in pairs]
    alone = [_beyond(_stays(*pair, slice(None)), n)[0] for pair, n in zip(pairs, numbers, strict=True)]
    beyond, within = _beyond(Mean(share, error**2, whole.pull), min(numbers))
    sure = within <= level < scatter_p_value(np.array(alone))
    return beyond, "" if sure else f"certainty that the error of {quantity} vanishes", note


def _stays(small: Evidence, large: Evidence, part: slice) -> Mean:
    """c / a of one instance (see `_what_stays`), by these of its draws."""
    ratio = large.allowed / small.allowed
    weights = np.array([-ratio, 1.0]) / (1 - ratio) / small.allowed
    of_size = [one.draws("limit") / (np.abs(one.inside.predicted).mean() + NOTHING) for one in (small, large)]
    return weighed([(weight, Mean.of(draws[part], ROUNDING)) for weight, draws in zip(weights, of_size, strict=True)])


def _beyond(share: Mean, n: int) -> tuple[float, float]:
    """Probabilities by chance of a share so far beyond what may stay, and of one so far within it, on the nearer side."""
    side = np.copysign(1, share.mean)
    score = float((share.mean - side * VANISHES) / np.sqrt(share.variance))
    beyond, within = (by_chance(score, n, share.pull, below=bool(away * side < 0)) for away in (1, -1))
    return beyond, within


def _rarest(kind: str, counted: Sequence[Evidence], level: float) -> str:
    """How rare is what no draw of an instance may have shown, but for the probability `level`; means need twice as many."""
    n, often = min(len(one.inside.measured) for one in counted), 1 if kind in ("identity", "bound") else 2
    rare = max(1, int(n / -np.log(level) / often))
    return f"It does not speak of what happens on fewer than one in {rare} draws of an instance."


def _tightness(counted: Sequence[Evidence]) -> str:
    tight = np.concatenate([one.tightness for one in counted])
    informative = np.concatenate([one.informative for one in counted])
    twin = "refuted" if min(one.p_value("bound", TWINS[0]) for one in counted) < ALONE else "not refuted"
    return (
        f"The bound is {np.median(tight):.3g} times what is measured (median; {np.min(tight):.3g} to {np.max(tight):.3g}), and on "
        f"{np.mean(informative):.2%} of the draws below what needs no theorem; a bound 10 % lower is {twin}."
    )


def _counted(left_out: Sequence[Evidence], places: Sequence[Evidence]) -> str:
    lost, every = (len({one.instance for one in group}) for group in (left_out, places))
    return f"Not applicable to {lost} of {counted(every, 'instance')}, on no draw of which the assumptions hold."


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Adjusted p-values (n,): those below a level may be refuted with that probability of any mistake among all n."""
    p_values = np.asarray(p_values, float)
    order = np.argsort(p_values)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate((len(p_values) - np.arange(len(p_values))) * p_values[order]), 1)
    return adjusted
