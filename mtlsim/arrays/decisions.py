"""Losses alone and together on the same held-out rows, and for labels of two values every measure of decisions."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mtlsim.arrays.metrics import Compared, areas_under_the_curve, balanced_decisions, right_decisions
from mtlsim.arrays.resampling import Splits, decide_resampled
from mtlsim.core.verdict import Verdict, in_units

Rows = Sequence[NDArray] | NDArray
ROUNDING = 1e3  # times eps times the larger mean loss: a mean difference within it has no sign
SHARES = {"accuracy": right_decisions, "balanced accuracy": balanced_decisions}
MEASURES = (*SHARES, "AUC", "log loss")


def paired(alone: NDArray, together: NDArray, splits: Splits) -> tuple[Verdict, float, float]:
    """Verdict on losses alone less losses together, (J, n_test) each, and both means over the splits where both are finite."""
    kept = np.isfinite(alone - together).all(1)
    means = [float(losses[kept].mean()) if kept.any() else float("nan") for losses in (alone, together)]
    rounding = ROUNDING * float(np.finfo(alone.dtype).eps) * max(means) if kept.any() else 0.0
    return decide_resampled(alone - together, splits, rounding), *means


def compared(alone: NDArray, together: NDArray, splits: Splits, unit: float) -> Compared:
    """The same in units of which one of the losses' is `unit`."""
    gain, *errors = paired(alone, together, splits)
    return Compared(in_units(gain, unit), *(error * unit for error in errors))


def decisions(
    alone: Rows, together: Rows, positive: Rows, threshold: float, splits: Splits, by_unit: Callable[..., NDArray] = np.stack
) -> dict[str, Compared]:
    """Accuracy, balanced accuracy and area under the curve of scores on the rows of J splits, labelled `positive`: more is better.

    by_unit: from numbers of rows to (J, n_test) of what the splits count, rows or groups. On few rows both sides may decide all
    alike, and an interval of no width would say that they always do: as if one row more differed [agresti2005simple].
    """
    metrics = {name: partial(metric, threshold=threshold) for name, metric in SHARES.items()} | {"AUC": areas_under_the_curve}
    found, n, share = {}, len(np.unique(splits.tests)), float(np.mean(np.concatenate([np.ravel(p) for p in positive])))
    for name, metric in metrics.items():
        rows = n if name == "accuracy" else 2 * n * min(share, 1 - share)  # which count: of each label, half
        losses = [
            1 - by_unit([metric(s[None], p[None])[0].astype(s.dtype) for s, p in zip(scores, positive, strict=True)])
            for scores in (alone, together)
        ]
        gain, *errors = paired(*losses, splits._replace(unresolved=float(np.hypot(splits.unresolved, 1 / max(rows, 1)))))
        found[name] = Compared(gain, *(1 - error for error in errors))
    return found
