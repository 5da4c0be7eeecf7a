"""Everything that determines a sweep's numbers, as JSON: what a result file says about itself and a resumed sweep is held to."""

import dataclasses
import functools
import hashlib
import importlib.metadata
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Key

from mtlsim.core.checks import require
from mtlsim.core.registry import file_of, file_of_name
from mtlsim.results.grid import Axis, Grid, at_point
from mtlsim.results.keep import SUMMARY
from mtlsim.results.outputs import describe_outputs
from mtlsim.results.plan import Plan

PACKAGES = ("mtlsim", "jax", "jaxlib", "numpy")
ROOT = Path(__file__).parents[1]
BY_NAME = {"scheme": "SCHEME", "rows": "ROWS"}  # fields that hold a name and not the thing itself
NO_NUMBERS = ("plots", "pages", "commands")  # rooms that only show what was found


def describe_value(value: Any) -> Any:
    """A cell, recipe or parameter as plain JSON; long arrays by their hash."""
    if dataclasses.is_dataclass(value):
        fields = {f.name: describe_value(getattr(value, f.name)) for f in dataclasses.fields(value)}
        own = file_of(type(value))
        where = {} if own is None else {"file": own.path.name, "sha256": own.sha256, "text": own.text}
        return {"type": type(value).__name__, **where, **fields}
    if isinstance(value, (tuple, list)):
        return [describe_value(entry) for entry in value]
    if isinstance(value, (jax.Array, np.ndarray, np.generic)):
        numbers = np.asarray(value)
        if numbers.size > 64:
            return {"shape": list(numbers.shape), "sha256": hashlib.sha256(numbers.tobytes()).hexdigest()[:16]}
        return numbers.tolist()
    return value if isinstance(value, (int, float, str, bool, type(None))) else repr(value)


def own_files(value: Any) -> dict[str, dict[str, str]]:
    """{file name: its hash and text} of all users' files that a cell is made of, with those that a name stands for."""
    if isinstance(value, (tuple, list)):
        return {name: file for entry in value for name, file in own_files(entry).items()}
    if not dataclasses.is_dataclass(value):
        return {}
    fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    found = [file_of(type(value)), *(file_of_name(fields.get(field), kind) for field, kind in BY_NAME.items())]
    here = {own.path.name: {"sha256": own.sha256, "text": own.text} for own in found if own is not None}
    return here | own_files(list(fields.values()))


def version_of(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


@functools.cache
def source_of_package() -> str:
    """Hash of the code of mtlsim that numbers come from, for a version has many states of it while it is written."""
    texts = {file.relative_to(ROOT): file.read_bytes() for file in ROOT.rglob("*.py")}
    kept = [(file.as_posix(), text) for file, text in texts.items() if file.parts[0] not in NO_NUMBERS]
    return hashlib.sha256(repr(sorted(kept)).encode()).hexdigest()[:12]


def facts(devices: Sequence[jax.Device]) -> dict[str, Any]:
    """What numbers depend on besides a sweep's own settings: precision, kind of device, versions, code."""
    return {
        "float64": bool(jax.config.jax_enable_x64),
        "device": f"{devices[0].platform} {devices[0].device_kind}",
        "versions": {package: version_of(package) for package in PACKAGES},
        "source": source_of_package(),
    }


def describe(
    cell: Any, grid: Grid, plan: Plan, key: Key[Array, ""], level: float, facts: dict[str, Any], keep: str
) -> dict[str, Any]:
    """Settings of a sweep. Only `plan` may differ between runs of the same sweep."""
    statics = [dict(zip([axis.name for axis in grid.static], point, strict=True)) for point in grid.static_points()]
    cells = [at_point(cell, static) for static in statics]
    described = [describe_outputs(one) for one in cells]
    shown = json.dumps(describe_value(cell))
    files = {name: file for name, file in own_files(cells).items() if file["sha256"] not in shown}
    shapes = {tuple((name, value.shape) for name, value in arrays.items()) for arrays, _ in described}
    require(len(shapes) == 1, "grid", "one along which every output keeps its shape", shapes, "sweep the values one by one")
    taken = {"seed", "points", *(name for name, _ in SUMMARY.values()), *(axis.name for axis in grid.axes)}
    for name in (name for named in described[0] for name in named):
        require(name not in taken, "the names of the cell's outputs", "others than a result's own", repr(name), "rename it")
    return (
        ({} if keep == "draws" else {"keep": keep})
        | ({"files": files} if files else {})
        | {
            "cell": describe_value(cell),
            "axes": [dataclasses.asdict(axis) | {"values": list(axis.values)} for axis in grid.axes],
            "outputs": {name: value.dtype.name for name, value in described[0][0].items()},
            "dimensions": {name: _dimensions(cell, name, value.shape) for name, value in described[0][0].items() if value.shape},
            "texts": {name: [texts[name] for _, texts in described] for name in described[0][1]},
            "n_seeds": plan.n_seeds,
            "n_rounds": plan.n_rounds,
            "key": {"data": np.asarray(jax.random.key_data(key)).tolist(), "implementation": str(jax.random.key_impl(key))},
            "level": level,
            **facts,
            "plan": dataclasses.asdict(plan),
        }
    )


def _dimensions(cell: Any, name: str, shape: tuple[int, ...]) -> dict[str, int]:
    """Names and lengths of an output's own axes: those that the cell's `dimensions` gives, or numbered ones."""
    numbered = [f"{name}_{i}" for i in range(len(shape))]
    return dict(zip(getattr(cell, "dimensions", {}).get(name, numbered), shape, strict=True))


def grid_of(settings: dict[str, Any]) -> Grid:
    """The grid that the settings describe."""
    return Grid(tuple(Axis(axis["name"], tuple(axis["values"]), axis["static"]) for axis in settings["axes"]))
