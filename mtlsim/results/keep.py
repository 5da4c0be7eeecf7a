"""What a sweep keeps of its draws: all of them, or of each cell only sums, so that its size does not grow with the seeds."""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

import numpy as np

from mtlsim.core import mean_gain
from mtlsim.core.mean_gain import BESIDE, has_heavy_tails
from mtlsim.core.status import Certificate, Status
from mtlsim.core.verdict import summarise_sums
from mtlsim.results.plan import Chunk

KEEP = ("draws", "cells")
GAIN = "gain"
KEPT_AS, KEPT_BEFORE = "_totals", "_sums"  # ends of the names of sums, and of those of another form in earlier releases
CODES: dict[str, type[IntEnum]] = {"status": Status, "certificate": Certificate}
SUMMARY = {
    "mean": ("gain_mean", "mean gain, from the seeds and the known expectation of the risk alone; positive helps"),
    "standard_error": ("gain_standard_error", "standard error of the mean gain"),
    "low": ("gain_low", "lower end of the interval of the mean gain"),
    "high": ("gain_high", "upper end of the interval of the mean gain"),
    "sign": ("gain_sign", "1 positive, 0 undecided, -1 negative"),
    "n_seeds": ("gain_n_seeds", "seeds with a finite gain"),
}
Arrays = dict[str, np.ndarray]
Variables = dict[str, tuple[np.ndarray, tuple[str, ...], dict[str, Any]]]


def condense(draws: Arrays) -> Arrays:
    """{output: (points, seeds, ...)} -> {output_totals: its sums over the seeds}, see `sums_of`."""
    return {f"{name}{KEPT_AS}": _add_up(name, draws) for name in draws}


def sums_of(name: str, arrays: Arrays) -> np.ndarray | None:
    """Sums over the seeds of an output of a chunk, which keeps them or all draws; None where it has no such output.

    Of statuses and certificates how often each code came, (points, codes); of the gain what its interval needs, with the outputs
    beside it (`mtlsim.core.mean_gain`); of all else how many are finite, their mean, and the root of the sum of their squared
    distances from it, (points, 3, ...).
    """
    if f"{name}{KEPT_AS}" in arrays:
        return arrays[f"{name}{KEPT_AS}"]
    return _add_up(name, arrays) if name in arrays else None


def width_of(name: str, own: Sequence[int] = ()) -> tuple[int, ...]:
    """Shape of the sums of one cell; own: axes of the output."""
    return (len(CODES[name]),) if name in CODES else (mean_gain.WIDTH,) if name == GAIN else (3, *own)


def can_be_joined(arrays: Arrays) -> bool:
    """Whether the sums of a chunk are of the form that is joined here; those of an earlier release are to be added up again."""
    return not any(name.endswith(KEPT_BEFORE) for name in arrays)


def _add_up(name: str, draws: Arrays) -> np.ndarray:
    values = draws[name]
    if name in CODES:
        return np.stack([(values == code).sum(1) for code in CODES[name]], 1)
    if name == GAIN:
        return _sums_of_gain(draws)
    finite = np.isfinite(values)
    count = finite.sum(1)
    mean = np.sum(values, 1, dtype=float, where=finite) / np.maximum(count, 1)
    away = np.where(finite, values - mean[:, None], 0)
    size = np.abs(away).max(1)
    root = size * np.sqrt(np.sum((away / np.where(size > 0, size, 1)[:, None]) ** 2, 1))  # whose squares may be no number
    return np.stack([count, mean, root], 1)


def _sums_of_gain(draws: Arrays) -> np.ndarray:
    return mean_gain.add_up(draws[GAIN], **{name: draws[name] for name in BESIDE if name in draws})


def join(name: str, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Sums over the seeds of both (Chan's formula)."""
    if name in CODES:
        return first + second
    if name == GAIN:
        return mean_gain.join(first, second)
    (n, mean, root), (m, other, more) = np.moveaxis(first, 1, 0), np.moveaxis(second, 1, 0)
    both, step = np.maximum(n + m, 1), other - mean
    return np.stack([n + m, mean + step * m / both, np.hypot(np.hypot(root, more), np.abs(step) * np.sqrt(n * m / both))], 1)


def describe_draws(results: Arrays, dimensions: Mapping[str, Mapping], level: float) -> Variables:
    """Variables of a Dataset from outputs (static points, points, seeds, ...): all draws, and the summary of the gain."""
    found: Variables = {name: (values, ("seed", *dimensions.get(name, ())), {}) for name, values in results.items()}
    return found | (_of_gain(_sums_of_gain(results), level) if GAIN in results else {})


def describe_cells(results: Arrays, dimensions: Mapping[str, Mapping], level: float) -> Variables:
    """The same from sums (static points, points, sums, ...): how many draws have each code, means and standard errors."""
    found: Variables = {}
    for name, sums in results.items():
        if name in CODES:
            found[f"{name}_draws"] = sums, (f"{name}_name",), {"long_name": f"draws with each {name}"}
            continue
        if name == GAIN:
            found |= _of_gain(sums, level)
            continue
        count, mean, root = np.moveaxis(sums, 2, 0)
        error = np.where(count > 1, root / np.sqrt(np.maximum(count - 1, 1) * np.maximum(count, 1)), np.inf)
        for part, values in (("mean", np.where(count > 0, mean, np.nan)), ("standard_error", error)):
            words = f"{part.replace('_', ' ')} over seeds of {name.replace('_', ' ')}"
            found[f"{name}_{part}"] = values, tuple(dimensions.get(name, ())), {"long_name": words}
    return found


def _of_gain(sums: np.ndarray, level: float) -> Variables:
    summary = summarise_sums(sums, level)
    return {SUMMARY[part][0]: (values, (), {"long_name": SUMMARY[part][1], "level": level}) for part, values in summary.items()}


def still_open(chunk: Chunk, rounds: Sequence[Arrays], level: float) -> np.ndarray:
    """Points of the chunk whose sign the earlier rounds left open and seeds may decide (all of them in the first round)."""
    if not rounds:
        return np.arange(chunk.start, chunk.stop)
    if sums_of(GAIN, rounds[0]) is None:
        return np.arange(0)
    total = np.zeros((chunk.stop - chunk.start, *width_of(GAIN)))
    for arrays in rounds:
        if len(points := arrays["points"] - chunk.start):
            total[points] = join(GAIN, total[points], sums_of(GAIN, arrays))
    undecided = (summarise_sums(total, level)["sign"] == 0) & ~has_heavy_tails(total)  # which no seeds would decide
    ran_last = rounds[-1]["points"]
    return ran_last[undecided[ran_last - chunk.start]]
