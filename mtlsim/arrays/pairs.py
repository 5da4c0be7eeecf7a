"""Will this task help that one? Two tasks given as arrays, the target learned alone and with the source, on held-out rows."""

import dataclasses
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from mtlsim.arrays.decisions import compared, decisions, paired
from mtlsim.arrays.few_rows import CURVE_FITTED, length_factor, on_outliers, variance_above, with_few_rows
from mtlsim.arrays.intake import make_ready, sources_of
from mtlsim.arrays.metrics import Compared, base_rate, divergences, log_losses, logistic_curve
from mtlsim.arrays.resampling import Splits
from mtlsim.arrays.splits import Outcome, compare, describe
from mtlsim.core.checks import is_whole, require
from mtlsim.core.containers import numbers_of
from mtlsim.core.files import load_task
from mtlsim.core.keys import check_key, stream
from mtlsim.core.status import Certificate, Status
from mtlsim.core.verdict import Verdict, in_units
from mtlsim.core.words import counted, verb
from mtlsim.solvers.objective import per_task

SHARE_TRAINED = 0.8  # of the target's rows, where the caller does not say


@dataclass(frozen=True, eq=False)
class ArraysTransfer:
    """Held-out errors of the target learned alone (single) and together with the sources (multi), and what follows from them.

    gain = risk_single - risk_multi, in squared label units; positive helps. For two-valued labels, else None: accuracy_*, with
    accuracy_gain = accuracy_multi - accuracy_single; balanced and area, the mean of both labels' shares of right decisions and
    the area under the curve; log_loss in nats, of a logistic curve of what is said of training rows that are left out (None where
    ridges are given), whose gain is the loss alone less together; base_rate, the accuracy of always giving the more frequent
    label. tuned: where ridges were given, the target alone with a ridge of its own choice in place of `single`, else None. risks
    and accuracies are means over the splits whose predictions are finite; gains has one entry per split, NaN where they are not.
    similarity, similarity_normalized, cosine: one per source, from all rows. ridge_*: median over splits of the target's ridge,
    on the scale on which `ridge` is given. statuses: how many splits ended in each status other than ok. n_exact: splits whose
    optimum is certified exact. notes: what else a reader must know: rows of the target among the sources', columns matched by
    position, labels that look like class codes.
    """

    gain: Verdict
    risk_single: float
    risk_multi: float
    accuracy_gain: Verdict | None
    accuracy_single: float | None
    accuracy_multi: float | None
    balanced: Compared | None
    area: Compared | None
    log_loss: Compared | None
    base_rate: float | None
    tuned: Compared | None
    similarity: tuple[float, ...]
    similarity_normalized: tuple[float, ...]
    cosine: tuple[float, ...]
    ridge_single: float
    ridge_multi: float
    rank: int
    n_features: int
    n_sources: tuple[int, ...]
    n_train: int
    n_test: int
    n_splits: int
    n_exact: int
    statuses: dict[str, int]
    precision: str
    gains: np.ndarray
    notes: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """positive, undecided or negative.

        Where ridges were given nobody tuned learning together: then it is positive only where the target alone with a ridge of its
        own choice is beaten too, and else undecided, since another ridge may turn the comparison.
        """
        if self.tuned is None:
            return self.gain.word
        return "positive" if self.gain.sign > 0 and self.tuned.gain.sign > 0 else "undecided"

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        gain, who = self.gain, "the source" if len(self.n_sources) == 1 else "the sources"
        if not np.isfinite(gain.mean):
            return "undecided: no split gave a finite answer."
        if self.tuned is not None:
            return self._sentence_on_given_ridges(who)
        effect = {1: "lowers", 0: "neither clearly lowers nor raises", -1: "raises"}[gain.sign]
        interval = f"{100 * gain.level:.3g} % interval {gain.low:+.3g} to {gain.high:+.3g}"
        return (
            f"{self.word} transfer: learning with {who} {effect} the target's held-out squared error "
            f"({self.risk_single:.4g} alone, {self.risk_multi:.4g} together, gain {gain.mean:+.3g}, {interval})."
        )

    def _sentence_on_given_ridges(self, who: str) -> str:
        tuned, level = self.tuned, 100 * self.gain.level
        found = f"a held-out squared error of {self.risk_multi:.4g} together against {tuned.single:.4g} alone with its own ridge"
        interval = f"gain {tuned.gain.mean:+.3g}, {level:.3g} % interval {tuned.gain.low:+.3g} to {tuned.gain.high:+.3g}"
        if self.word == "positive":
            return f"positive transfer at the ridges given: learning with {who} helps, {found} ({interval})."
        cure = "use ridge='loo'" if self.rank == 1 else "use rank 1 and ridge='loo'"
        return f"undecided: at the ridges given, {found} ({interval}), and together was not tuned; {cure}, which tunes both."

    def __str__(self) -> str:
        lines = [f"{'':<14}{'alone':>10}{'together':>10}{'gain':>11}   {100 * self.gain.level:.3g} % interval"]
        lines.append(_row("squared error", self.risk_single, self.risk_multi, self.gain))
        if self.accuracy_gain is not None:
            lines.append(_row("accuracy", self.accuracy_single, self.accuracy_multi, self.accuracy_gain))
            rows = ("balanced acc.", self.balanced), ("AUC", self.area), ("log loss", self.log_loss)
            lines += [_row(name, one.single, one.multi, one.gain) for name, one in rows if one is not None]
            lines.append(f"always the more frequent label: accuracy {self.base_rate:.4g}")
        alike = zip(self.n_sources, self.similarity, self.similarity_normalized, self.cosine, strict=True)
        for i, (rows, literal, normalized, cosine) in enumerate(alike):
            name = "source" if len(self.n_sources) == 1 else f"source {i + 1}"
            similar = f"covariance similarity {literal:.3f} (normalised {normalized:.3f})"
            lines.append(f"{name}: {counted(rows, 'row')}, {similar}, cosine of the parameters {cosine:+.3f}")
        sizes = (
            f"{counted(self.n_train, 'row')} to train, {self.n_test} to test, {counted(self.n_splits, 'split')}, "
            f"{counted(self.n_features, 'feature')}, rank {self.rank}"
        )
        lines.append(f"target: {sizes}; median ridge {self.ridge_single:.3g} alone, {self.ridge_multi:.3g} together, on X'X")
        if self.tuned is not None:
            lines.insert(2, _row("alone tuned", self.tuned.single, self.tuned.multi, self.tuned.gain))
        for name, count in self.statuses.items():
            lines.append(f"{count} of {counted(self.n_splits, 'split')}: {name}: {Status[name].sentence}")
        if self.n_exact < self.gain.n_seeds:
            lines.append(f"the shared layer is proven optimal in {self.n_exact} of {counted(self.n_splits, 'split')}")
        if self.gain.n_seeds < self.n_splits:
            lines.append(
                f"{(lost := self.n_splits - self.gain.n_seeds)} of {counted(self.n_splits, 'split')} {verb(lost, 'has')} "
                f"no finite answer and {verb(lost, 'is')} left out"
            )
        if self.precision != "float64":
            cure = "add jax.config.update('jax_enable_x64', True) before the first array is made"
            lines.append(f"computed in {self.precision}: {cure}")
        return "\n".join([*lines, *self.notes, self.sentence])

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON types, the word and the sentence included; what is not finite becomes None."""
        return _plain(dataclasses.asdict(self) | {"word": self.word, "sentence": self.sentence})


def transfer_between_arrays(
    source,
    target,
    rank: int = 1,
    target_samples: int | None = None,
    n_splits: int = 50,
    key: Key[Array, ""] | None = None,
    level: float = 0.95,
    ridge="loo",
    duplicates: str = "auto",
) -> ArraysTransfer:
    """Does `source` help to learn `target`? Both are a pair (X (m, d), y (m,)); source may also be a list of such pairs.

    The target's rows are split at random `n_splits` times: `target_samples` of them train (None: 80 %), the rest test. Each time
    the target is learned alone by ridge regression (STL) and together with all rows of the sources by hard sharing
    (`mtlsim.solve`), from the same rows, and both predict the same test rows. gain = STL less MTL held-out mean squared error:
    positive helps.

    Preparation, from training rows only: every task is centred by its own means (an intercept per task, never shared); features
    are divided by one scale for all tasks, because what is shared is a direction in the features' units; labels are divided by
    their own standard deviation, so units of a source's labels do not weigh it. Both sides see the same prepared rows.

    ridge: "loo" chooses from one grid by leave-one-out error in closed form: for each source alone, and for the target once
    alone and once together, by the error on its own rows, its head refitted for every row left out (see
    `mtlsim.solvers.leave_one_out`), so that neither side is handicapped. Scales stay fixed while a row is left out, and with
    several sources also their heads relative to each other. Or one number >= 0, or one per task with the target last, on the
    scale of X'X of the prepared rows, for both sides. Rank above 1 needs numbers. As nobody then tunes learning together, the
    word is "positive" only where it also beats the target alone with a ridge that the target's rows choose, and else "undecided".

    Splits overlap, so the plain standard error over splits is too small (measured: 95 % intervals that cover 29 to 88 %). The
    interval takes the corrected resampled variance of [nadeau2003inference], or a bound that parts training from test rows where
    that is smaller, which is where few rows train (see `mtlsim.arrays.resampling`). It speaks of the mean gain over target rows
    drawn anew with these source rows given, and assumes independent rows: no time series, no groups.

    Columns of data frames are matched by name. duplicates: what becomes of a source's rows that are rows of the target, label
    included: they show what the target is tested on. "drop" leaves them out, "keep" does not, and "auto" leaves them out unless
    rows repeat by chance, as those of few distinct values do; a note says what was done.

    Raises ValueError in one sentence for wrong shapes, other columns, masked entries, NaN, constant labels, and sizes that do not
    fit. Trouble in a split is counted in `statuses`. key: defaults to jax.random.key(0).

    >>> rng = np.random.default_rng(0)
    >>> X1, X2 = rng.normal(size=(60, 4)), rng.normal(size=(30, 4))
    >>> found = mtl.transfer_between_arrays((X1, X1.sum(1)), (X2, X2.sum(1) + rng.normal(size=30)), n_splits=5)
    >>> found.gain.n_seeds
    5
    """
    tasks, unit, notes = make_ready(sources_of(source), target, jnp.result_type(float), duplicates)
    (n, d), n_tasks = tasks[-1][0].shape, len(tasks)
    n_train = _check_sizes(rank, target_samples, n_splits, n_tasks, n, d)
    require(isinstance(level, (int, float)) and 0 < level < 1, "level", "between 0 and 1", level, "use 0.95")
    key = jax.random.key(0) if key is None else check_key(key)
    strengths = None if _is_loo(ridge, rank) else per_task(ridge, 0.0, n_tasks, "ridge", jnp.result_type(float))

    *sources, whole = [(jnp.asarray(X), jnp.asarray(y)) for X, y in tasks]
    outcomes, trains, tests = [], [], []
    for split in range(n_splits):
        order = jax.random.permutation(jax.random.fold_in(stream(key, "splits"), split), n)
        train, test = order[:n_train], order[n_train:]
        outcomes.append(jax.device_get(compare(tuple(sources), whole, train, test, strengths, rank=int(rank))))
        trains.append(np.asarray(train))
        tests.append(np.asarray(test))
    outcome, splits = Outcome(*(np.stack(part) for part in zip(*outcomes, strict=True))), Splits(n_train, np.stack(tests), level)
    labels, values = tasks[-1][1][splits.tests], np.unique(tasks[-1][1])
    description = describe(tuple(sources), whole, strengths)

    squares = [(predicted - labels) ** 2 for predicted in (outcome.alone, outcome.together)]
    careful = with_few_rows(splits, outcome.alone, outcome.together, labels, tasks[-1][0])
    gain, risk_single, risk_multi = paired(*squares, careful)
    return ArraysTransfer(
        gain=in_units(gain, unit**2),
        risk_single=risk_single * unit**2,
        risk_multi=risk_multi * unit**2,
        **_two_valued(outcome, labels, tasks[-1][1][np.stack(trains)], values, splits, tasks[-1][0]),
        tuned=None if strengths is None else compared((outcome.tuned - labels) ** 2, squares[1], careful, unit**2),
        **{name: tuple(float(value) for value in values) for name, values in description._asdict().items()},
        ridge_single=float(np.median(outcome.ridge_alone)),
        ridge_multi=float(np.median(outcome.ridge_together)),
        rank=int(rank),
        n_features=d,
        n_sources=tuple(len(X) for X, _ in sources),
        n_train=n_train,
        n_test=n - n_train,
        n_splits=int(n_splits),
        n_exact=int(np.sum(outcome.certificate == Certificate.exact)),
        statuses=dict(Counter(Status(int(code)).name for code in outcome.status if code != Status.ok)),
        precision=str(labels.dtype),
        gains=np.mean(squares[0] - squares[1], axis=1).astype(float) * unit**2,
        notes=(*notes, *on_outliers(squares[0], "target")),
    )


def compare_files(
    source: Path | str,
    target: Path | str,
    rank: int = 1,
    target_samples: int | None = None,
    n_splits: int = 50,
    seed: int = 0,
    level: float = 0.95,
    duplicates: str = "auto",
) -> ArraysTransfer:
    """`transfer_between_arrays` of two .npz files. Raises ValueError as that and `load_task` do."""
    tasks = [load_task(path) for path in (source, target)]
    key = jax.random.key(seed)
    return transfer_between_arrays(*tasks, rank, target_samples, n_splits, key, level, duplicates=duplicates)


def run_files(source: Path | str, target: Path | str, *options, as_json: bool = False, **named) -> str:
    """`compare_files` as the text (or JSON) to print."""
    result = compare_files(source, target, *options, **named)
    return json.dumps(result.to_dict(), indent=1, allow_nan=False) if as_json else str(result)


def _two_valued(
    outcome: Outcome, labels: np.ndarray, trained: np.ndarray, values: np.ndarray, splits: Splits, X: np.ndarray
) -> dict[str, Any]:
    """What stands beside the squared error for labels of two values; else None. trained: labels of the rows that train. X: rows."""
    if len(values) != 2:
        return dict.fromkeys(("accuracy_gain", "accuracy_single", "accuracy_multi", "balanced", "area", "log_loss", "base_rate"))
    positive = labels > values.mean()
    found = decisions(outcome.alone, outcome.together, positive, values.mean(), splits)
    accuracy = found["accuracy"]
    parts = {"accuracy_gain": accuracy.gain, "accuracy_single": accuracy.single, "accuracy_multi": accuracy.multi}
    more = {"balanced": found["balanced accuracy"], "area": found["AUC"], "base_rate": base_rate(positive)}
    return parts | more | {"log_loss": _log_loss(outcome, positive, trained > values.mean(), splits, X)}


def _log_loss(outcome: Outcome, positive: np.ndarray, trained: np.ndarray, splits: Splits, X: np.ndarray) -> Compared | None:
    """Of both sides' log odds, a logistic curve for each split from its training rows that are left out."""
    if np.isnan(outcome.left).all():
        return None
    losses, odds = [], []
    for side, scores in enumerate((outcome.alone, outcome.together)):
        each = zip(scores, outcome.left[:, side], trained, strict=True)
        fine = lambda left, said: np.isfinite(left).all() and np.isfinite(said).all()
        curves = [logistic_curve(left, t) if fine(left, s) else np.full(2, np.nan) for s, left, t in each]
        losses.append(np.stack([log_losses(*three) for three in zip(scores, positive, curves, strict=True)]).astype(float))
        odds.append(np.stack([slope * s + offset for s, (slope, offset) in zip(scores, curves, strict=True)]))
    apart = divergences(*odds)
    apart = float(apart[np.isfinite(apart)].mean()) if np.isfinite(apart).any() else 0.0
    above = variance_above(apart, splits.n_train, *X.shape, length_factor(np.asarray(X, float)))
    gain, *means = paired(*losses, splits._replace(n_fitted=CURVE_FITTED, variance_above=above))
    return Compared(gain, *means)


def _check_sizes(rank, target_samples, n_splits, n_tasks: int, n: int, d: int) -> int:
    """How many of the target's rows train."""
    most = min(n_tasks - 1, d)
    cure = "use 1: with a rank of the number of tasks nothing is shared"
    require(_whole(rank) and 1 <= rank <= most, "rank", f"a whole number from 1 to {most} for {n_tasks} tasks", rank, cure)
    require(_whole(n_splits) and n_splits >= 2, "n_splits", "a whole number, at least 2", n_splits, "use 50")
    if target_samples is None:
        return min(max(2, round(SHARE_TRAINED * n)), n - 1)
    wanted, inside = f"a whole number from 2 to {n - 1}", _whole(target_samples) and 2 <= target_samples < n
    require(inside, "target_samples", wanted, target_samples, f"leave some of the target's {n} rows to test on, or load more")
    return int(target_samples)


def _whole(value) -> bool:
    return is_whole(value)


def _is_loo(ridge, rank: int) -> bool:
    if not isinstance(ridge, str):
        numbers_of(ridge, "ridge")
        return False
    require(ridge == "loo", "ridge", "'loo', one number, or one per task", repr(ridge), "use 'loo' to have it chosen")
    require(rank == 1, "ridge", "numbers with rank above 1", "'loo'", "pass one number per task, the target last")
    return True


def _row(name: str, alone: float, together: float, gain: Verdict) -> str:
    return f"{name:<14}{alone:>10.4g}{together:>10.4g}{gain.mean:>+11.3g}   {gain.low:+.3g} to {gain.high:+.3g} ({gain.word})"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, (tuple, list, np.ndarray)):
        return [_plain(part) for part in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return value
