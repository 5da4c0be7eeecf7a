"""`explain`: what a stored result can and cannot say, in sentences."""

import json
import reprlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mtlsim.core.checks import require
from mtlsim.core.status import IN_FLOAT32, Certificate, Status
from mtlsim.core.verdict import half_width
from mtlsim.core.words import counted
from mtlsim.results.dataset import counts
from mtlsim.results.settings import source_of_package
from mtlsim.results.store import made_by, on_source

if TYPE_CHECKING:
    import xarray as xr


def explain(data: "xr.Dataset") -> str:
    """Signs, statuses, certificates and gaps of a result of `mtlsim.sweep`, and how many more seeds would decide the open cells.

    >>> pair = mtl.LinearTasks(n_features=5, n_samples=(50, 20), cosine=0.9)
    >>> cell, grid = mtl.Transfer(pair, sharing="pooled"), {"tasks.noise": [0.5, 1.0, 2.0]}
    >>> ds = mtl.sweep(cell, grid, n_seeds=10, key=jax.random.key(0), progress=False)
    >>> print(mtl.explain(ds).splitlines()[0])
    3 cells x 10 seeds: tasks.noise 0.5 to 2 (3)
    """
    found = f"with {list(data)}" if isinstance(data, Mapping) else reprlib.repr(data)
    known = isinstance(data, Mapping) and "gain_sign" in data
    require(known, "data", "a result of mtlsim.sweep with a gain", found, "sweep a Transfer")
    facts = [_on_axes(data), *_on_precision(data), *_on_code(data), *_on_versions(data), *_on_tasks(data)]
    return "\n".join([*facts, _on_signs(data), _on_seeds(data), *_on_status(data), *_on_optima(data)])


def _on_axes(data: "xr.Dataset") -> str:
    axes = data["gain_sign"].dims
    ranges = [f"{name} {_ends(data[name].values)} ({data.sizes[name]})" for name in axes]
    seeds = data.sizes.get("seed", int(data["gain_n_seeds"].max()) if "gain_n_seeds" in data else 0)
    return f"{counted(data['gain_sign'].size, 'cell')} x {counted(seeds, 'seed')}: " + ("; ".join(map(str, ranges)) or "one cell")


def _on_precision(data: "xr.Dataset") -> list[str]:
    wide = json.loads(data.attrs.get("settings", "{}")).get("float64", True)
    return [] if wide else [f"precision: {IN_FLOAT32}; other draws than in float64"]


def _on_code(data: "xr.Dataset") -> list[str]:
    cure = "move it away and run its command again, if its numbers may be others now"
    return on_source(json.loads(data.attrs.get("settings", "{}")), source_of_package(), "code: this is what was stored", cure)


def _on_versions(data: "xr.Dataset") -> list[str]:
    first = made_by(json.loads(data.attrs.get("settings", "{}")))
    others = json.loads(data.attrs.get("accepted_versions", "[]"))
    return [
        "other versions went on with it: " + ", ".join(f"{name} {new}" for name, new in own.items() if new != first.get(name))
        for own in others
    ]


def _on_tasks(data: "xr.Dataset") -> list[str]:
    tasks = json.loads(data.attrs.get("settings", "{}")).get("cell", {}).get("tasks") or {}
    alone = len(tasks.get("n_samples", (0, 0))) == 1
    return ["tasks: one alone, so that there is nothing to transfer; give n_samples a source's rows first"] if alone else []


def _ends(values: np.ndarray) -> str:
    if values.dtype.kind not in "iuf":
        return ", ".join(map(str, values))
    return f"{values.min():.4g}" if values.size == 1 else f"{values.min():.4g} to {values.max():.4g}"


def _on_signs(data: "xr.Dataset") -> str:
    sign = data["gain_sign"].values
    shares = [100 * float((sign == s).mean()) for s in (1, -1, 0)]
    level = 100 * float(data.attrs["level"])
    return (
        f"gain: helps in {shares[0]:.3g} % of cells, hurts in {shares[1]:.3g} %, undecided in {shares[2]:.3g} % (at {level:.3g} %)"
    )


def seeds_to_decide(data: "xr.Dataset") -> np.ndarray:
    """Seeds in all after which the interval would leave zero out, if mean and spread stayed; 0 where the sign is decided.

    The half width of the interval falls as 1 / sqrt(seeds). Infinite where the mean is zero or the spread unknown.
    """
    mean, error = data["gain_mean"].values, data["gain_standard_error"].values
    used = data["gain_n_seeds"].values if "gain_n_seeds" in data else np.full(mean.shape, data.sizes["seed"])
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = used * (half_width(error, np.full_like(used, 10**6), float(data.attrs["level"])) / np.abs(mean)) ** 2
    needed = np.where(np.isfinite(needed), np.ceil(needed), np.inf)
    return np.where(data["gain_sign"].values != 0, 0, np.maximum(needed, used + 1))


def _on_seeds(data: "xr.Dataset") -> str:
    needed = seeds_to_decide(data)
    left = needed[needed > 0]
    if not left.size:
        return "seeds: every cell is decided"
    countable = left[np.isfinite(left)]
    parts = []
    if countable.size:
        half, most = np.quantile(countable, [0.5, 0.9], method="inverted_cdf")
        those = f"half of the {countable.size} open cells and {most:.0f} nine tenths of them"
        parts.append(
            f"at the present means, {counted(half, 'seed', '.0f')} a cell would decide "
            f"{those if countable.size > 1 else 'the open cell'}; raise n_seeds, or give a budget so that only open cells go on"
        )
    if countable.size < left.size:
        parts.append(
            f"in {counted(left.size - countable.size, 'cell')} the gain is exactly zero or unknown, and no seeds decide that"
        )
    return "seeds: " + "; ".join(parts)


def _on_status(data: "xr.Dataset") -> list[str]:
    found = counts(data, "status").sum(0)
    lines = [
        f"status: {kind.name} on {100 * found[kind] / found.sum():.3g} % of the draws: {kind.sentence}"
        for kind in Status
        if kind != Status.ok and found[kind]
    ]
    return lines or (["status: every draw is ok"] if found.any() else [])


def _on_optima(data: "xr.Dataset") -> list[str]:
    lines, found = [], counts(data, "certificate").sum(0)
    if found.any():
        shares = [f"{kind.name} on {100 * found[kind] / found.sum():.4g} %" for kind in Certificate if found[kind]]
        lines.append(f"optima: {', '.join(shares)} of the draws")
    if "gap" in data:
        fine = np.isfinite(data["gap"].values)
        if "status" in data:
            fine &= np.isin(data["status"].values, (Status.ok, Status.heavy_tailed))
        gap = data["gap"].values[fine]
        if gap.size:
            lines.append(f"gap over the target's label energy: median {np.median(gap):.1e}, largest {gap.max():.1e}")
    return lines
