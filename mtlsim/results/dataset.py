"""From chunks to a labelled Dataset with its settings inside, and back from a file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mtlsim.core.checks import require
from mtlsim.core.status import Status
from mtlsim.core.words import counted
from mtlsim.results.grid import Grid
from mtlsim.results.keep import CODES, Variables
from mtlsim.results.store import check_same, write_whole

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
STUDY = "mtlsim study"  # how the format of a study of `mtlsim.arrays` begins
CONVENTION = "gain = risk_single - risk_multi; positive helps"
OF_THE_CELL = "gain as the cell defines it; positive helps"
OF_ALIGNMENT = "gain = risk_without - risk_with, the gain from alignment; positive helps"


def assemble(grid: Grid, variables: Variables, texts: dict[str, list[str]], settings: dict[str, Any], level: float) -> xr.Dataset:
    """variables: values (static points, points, ...), names of their further axes, and notes. texts: per static point."""
    static_shape = tuple(len(axis.values) for axis in grid.static)
    order = [axis.name for axis in grid.static] + [axis.name for axis in grid.traced]
    coordinates = {axis.name: (axis.name, list(axis.values), {"units": axis.unit} if axis.unit else {}) for axis in grid.axes}
    dataset = xr.Dataset(coords=coordinates)
    outputs = settings["outputs"]
    of_risks = CONVENTION if "risk_single" in outputs and "risk_multi" in outputs else OF_THE_CELL
    convention = OF_ALIGNMENT if "risk_without" in outputs else of_risks
    known = DESCRIPTIONS | ({"gain": convention} if convention != CONVENTION else {})
    for name, (values, axes, notes) in variables.items():
        shaped = np.asarray(values).reshape((*static_shape, *grid.shape, *np.shape(values)[2:]))
        dataset[name] = (*order, *axes), shaped, {"long_name": known.get(name, name.replace("_", " "))} | notes
    named = {f"{name}_name": [code.name for code in codes] for name, codes in CODES.items() if f"{name}_draws" in dataset}
    dataset = dataset.assign_coords(named | ({"seed": np.arange(dataset.sizes["seed"])} if "seed" in dataset.dims else {}))
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
        "precision": "float64" if settings.get("float64", True) else "float32",
    }
    return dataset


def table(columns: dict[str, Any], rows: dict[str, list[str]], settings: dict[str, Any], **attributes: str) -> xr.Dataset:
    """Arrays over named rows, such as findings, as a Dataset that is saved and loaded as that of a sweep; columns: name -> array,
    whose axes are those of rows, in their order."""
    named = {name: (tuple(rows)[: np.ndim(values)], np.asarray(values)) for name, values in columns.items()}
    return xr.Dataset(named, rows, {"settings": json.dumps(settings), "convention": OF_THE_CELL, **attributes})


def save(dataset: xr.Dataset, path: Path) -> None:
    n_bytes = dataset.nbytes + sum(len(str(text)) for text in dataset.attrs.values()) + 2**15  # and the file's own tables
    write_whole(path, lambda temporary: dataset.to_netcdf(temporary, engine="h5netcdf"), n_bytes)


def load(path: Path | str) -> xr.Dataset:
    """A result of `mtlsim.sweep`. Raises ValueError for a file that is truncated or was not made by a sweep."""
    path = Path(path)
    if path.is_dir() or (not path.exists() and path.with_name(path.name + ".parts").is_dir()):
        raise ValueError(
            f"path must be a finished result, but the sweep of {path} is not done; run the same command again, which goes on, or "
            "look at it with `mtlsim status`."
        )
    if not path.exists():
        raise ValueError(f"path must be an existing result of a sweep, but {path} does not exist; run the sweep first.")
    cure = f"it is a {path.suffix} file; " + ("mtlsim sweep it first" if path.suffix == ".toml" else "name the .nc file")
    require(path.suffix in (".nc", ""), "path", "a .nc file made by `mtlsim sweep` or `mtlsim figure`", path, cure)
    try:
        with xr.open_dataset(path, engine="h5netcdf") as file:
            dataset = file.load()
        of_study = _says_study(dataset)
        json.loads("{}" if of_study else dataset.attrs["settings"])
    except (OSError, KeyError, ValueError, RuntimeError, TypeError):
        raise ValueError(
            f"path must be a whole result of mtlsim.sweep, but {path} is truncated or something else; "
            "choose another path, or move that file away and run the sweep again."
        ) from None
    cure = "look at it with `mtlsim plot` or `mtlsim explore`"
    require(not of_study, "path", "a result of a sweep", f"{path}, a study of `mtlsim compare`", cure)
    return dataset


def _says_study(data: xr.Dataset) -> bool:
    return str(data.attrs.get("format", "")).startswith(STUDY)


def is_study(path: Path | str) -> bool:
    """Whether a file is one that `Study.save` wrote, found without loading what makes studies."""
    try:
        with xr.open_dataset(path, engine="h5netcdf") as data:
            return _says_study(data)
    except (OSError, ValueError, KeyError):
        return False


def load_same(path: Path, settings: dict[str, Any], accept_versions: bool = False) -> xr.Dataset:
    """The finished result at `path` if it was made by these very settings; refused otherwise."""
    dataset = load(path)
    check_same(json.loads(dataset.attrs["settings"]), settings, path, accept_versions)
    return dataset


def counts(dataset: xr.Dataset, name: str) -> np.ndarray:
    """How many draws of each cell have each code of `name`, "status" or "certificate", as (cells, codes); none that did not run."""
    if f"{name}_draws" in dataset:
        return dataset[f"{name}_draws"].transpose(..., f"{name}_name").values.reshape(-1, len(CODES[name]))
    if name not in dataset:
        return np.zeros((0, len(CODES[name])), int)
    values = dataset[name].transpose(..., "seed").values
    return np.stack([(values == code).sum(-1) for code in CODES[name]], -1).reshape(-1, len(CODES[name]))


def has_heavy_tails(dataset: xr.Dataset) -> xr.DataArray:
    """Which cells have draws whose mean no interval would cover, the status `heavy_tailed`."""
    if "status_draws" in dataset:
        return dataset["status_draws"].sel(status_name=Status.heavy_tailed.name, drop=True) > 0
    if "status" in dataset:
        return (dataset["status"] == Status.heavy_tailed).any("seed")
    return xr.zeros_like(dataset["gain_mean"], bool)


def sentence_on_status(dataset: xr.Dataset) -> str | None:
    """'12 of 1271 cells: not_converged; see ds.where(ds.status == 3)', for what went wrong anywhere."""
    found = counts(dataset, "status")
    where = "ds.status == {}" if "status" in dataset else "ds.status_draws[..., {}] > 0"
    parts = [
        f"{(found[:, code] > 0).sum()} of {counted(len(found), 'cell')}: {code.name} in {found[:, code].sum()} of "
        f"{counted(found.sum(), 'draw')}; see ds.where({where.format(code.value)})"
        for code in Status
        if code != Status.ok and found[:, code].any()
    ]
    return "\n".join(parts) or None
