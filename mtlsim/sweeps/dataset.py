"""From chunks to a labelled Dataset with its settings inside, and back from a file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mtlsim.core.status import Status
from mtlsim.sweeps.grid import Grid
from mtlsim.sweeps.store import check_same, write_whole
from mtlsim.transfer.verdict import summarise

DESCRIPTIONS = {
    "gain": "transfer gain: excess risk alone minus together; positive helps",
    "risk_single": "excess risk of the target learned alone",
    "risk_multi": "excess risk of the target learned together",
    "gain_all": "mean over all tasks of the risk alone minus together; positive helps",
    "stationarity": "shortest mixture of the tasks' gradients over the longest gradient; 0 = Pareto stationary",
    "risk_without": "excess risk of the target learned together without alignment",
    "risk_with": "the same with alignment",
    "risk_alone": "excess risk of the target learned alone",
    "gap": "multi-task loss minus its proven lower bound, over the target's label energy",
    "certificate": "0 exact, 1 interval, 2 none",
    "status": ", ".join(f"{status.value} {status.name}" for status in Status) + ", -1 not run",
}
CONVENTION = "gain = risk_single - risk_multi; positive helps"
OF_ALIGNMENT = "gain = risk_without - risk_with, the gain from alignment; positive helps"
SUMMARY = {
    "mean": ("gain_mean", "mean gain over seeds; positive helps"),
    "standard_error": ("gain_standard_error", "standard error of the mean gain"),
    "low": ("gain_low", "lower end of the interval of the mean gain"),
    "high": ("gain_high", "upper end of the interval of the mean gain"),
    "sign": ("gain_sign", "1 positive, 0 undecided, -1 negative"),
    "n_seeds": ("gain_n_seeds", "seeds with a finite gain"),
}


def assemble(
    grid: Grid, results: dict[str, np.ndarray], texts: dict[str, list[str]], settings: dict[str, Any], level: float
) -> xr.Dataset:
    """results: per output (static points, points, seeds, ...). texts: per text output, one per static point."""
    static_shape = tuple(len(axis.values) for axis in grid.static)
    order = [axis.name for axis in grid.static] + [axis.name for axis in grid.traced]
    coordinates = {axis.name: (axis.name, list(axis.values), {"units": axis.unit} if axis.unit else {}) for axis in grid.axes}
    dataset = xr.Dataset(coords=coordinates)
    n_seeds = next(iter(results.values())).shape[2]
    dataset = dataset.assign_coords(seed=("seed", np.arange(n_seeds)))
    for name, values in results.items():
        shaped = values.reshape(*static_shape, *grid.shape, *values.shape[2:])
        dataset[name] = (
            (*order, "seed", *settings.get("dimensions", {}).get(name, ())),
            shaped,
            {"long_name": DESCRIPTIONS.get(name, name.replace("_", " "))},
        )
    convention = OF_ALIGNMENT if "risk_without" in dataset else CONVENTION
    if "gain" in dataset:
        if convention != CONVENTION:
            dataset["gain"].attrs["long_name"] = convention
        for part, values in summarise(dataset["gain"].values, level).items():
            name, text = SUMMARY[part]
            dataset[name] = (tuple(order), values, {"long_name": text, "level": level})
    for name, per_static in texts.items():
        if grid.static:
            dataset[name] = (tuple(a.name for a in grid.static), np.array(per_static, dtype=object).reshape(static_shape))
        else:
            dataset.attrs[name] = per_static[0]
    dataset = dataset.transpose(*(axis.name for axis in grid.axes), "seed", ..., missing_dims="ignore")
    dataset.attrs |= {
        "settings": json.dumps(settings),
        "level": level,
        "convention": convention,
    }
    return dataset


def save(dataset: xr.Dataset, path: Path) -> None:
    n_bytes = dataset.nbytes + sum(len(str(text)) for text in dataset.attrs.values()) + 2**15  # and the file's own tables
    write_whole(path, lambda temporary: dataset.to_netcdf(temporary, engine="h5netcdf"), n_bytes)


def load(path: Path | str) -> xr.Dataset:
    """A result of `mtlsim.sweep`. Raises ValueError for a file that is truncated or was not made by a sweep."""
    path = Path(path)
    if not path.exists():
        raise ValueError(f"path must be an existing result of a sweep, but {path} does not exist; run the sweep first.")
    try:
        with xr.open_dataset(path, engine="h5netcdf") as file:
            dataset = file.load()
        json.loads(dataset.attrs["settings"])
    except (OSError, KeyError, ValueError, RuntimeError, TypeError):
        raise ValueError(
            f"path must be a whole result of mtlsim.sweep, but {path} is truncated or something else; "
            "choose another path, or move that file away and run the sweep again."
        ) from None
    return dataset


def load_same(path: Path, settings: dict[str, Any]) -> xr.Dataset:
    """The finished result at `path` if it was made by these very settings; refused otherwise."""
    dataset = load(path)
    check_same(json.loads(dataset.attrs["settings"]), settings, path)
    return dataset


def sentence_on_status(dataset: xr.Dataset) -> str | None:
    """'12 of 1271 cells: not_converged; see ds.where(ds.status == 3)', for what went wrong anywhere."""
    if "status" not in dataset:
        return None
    status = dataset["status"].values
    cells = status.reshape(-1, status.shape[-1])
    parts = [
        f"{(cells == code).any(1).sum()} of {len(cells)} cells: {code.name} in {(cells == code).sum()} of "
        f"{(cells >= 0).sum()} draws; see ds.where(ds.status == {code.value})"
        for code in Status
        if code != Status.ok and (cells == code).any()
    ]
    return "\n".join(parts) or None
