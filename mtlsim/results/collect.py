"""From chunks to one Dataset: of a sweep that is done, and of shards that ran apart."""

import reprlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mtlsim.core.checks import as_path, require
from mtlsim.results import dataset as datasets
from mtlsim.results.keep import CODES, describe_cells, describe_draws, join, sums_of, width_of
from mtlsim.results.plan import Chunk, Plan
from mtlsim.results.settings import grid_of
from mtlsim.results.store import (
    accepted_versions,
    check_complete,
    check_writable,
    differences,
    fingerprint,
    other_versions,
    read_chunk,
    read_manifest,
    require_path,
)


def merge(pieces: Sequence[str | Path], path: str | Path, *, accept_versions: bool = False) -> xr.Dataset:
    """Join the shards of one sweep, given as their `.parts` folders (or the .nc names beside them), into `path`.

    accept_versions: join shards that other versions of jax or numpy ran; the result says so.
    Raises ValueError where the folders are of different sweeps, and where chunks are missing (which ones are named).
    The folders are left as they are.

    >>> from mtlsim.cells.orthonormal_rows import OrthonormalRows
    >>> cell, grid = OrthonormalRows(20.0), {"cosine": [0.0, 0.5, 1.0]}
    >>> for shard in ("1/2", "2/2"):
    ...     _ = mtl.sweep(cell, grid, 10, jax.random.key(0), "map.nc", shard=shard, progress=False)
    >>> mtl.merge(["map.nc.parts"], "whole.nc").gain.shape
    (3, 10)
    """
    path = require_path(path, ".nc")
    several = isinstance(pieces, Sequence) and not isinstance(pieces, (str, bytes))
    require(several, "pieces", "a list of folders of parts", reprlib.repr(pieces), "write [...] about them")
    require(len(pieces) > 0, "pieces", "at least one folder of parts", "empty", "give RESULT.nc.parts of every shard")
    pieces = [as_path(piece, "pieces") for piece in pieces]
    folders = [Path(p) if Path(p).is_dir() or Path(p).suffix == ".parts" else Path(f"{p}.parts") for p in pieces]
    settings = read_manifest(folders[0])
    for folder in folders[1:]:
        other = read_manifest(folder)
        versions = other_versions(other, settings)
        what = f"joined by {folder} of other settings ({'; '.join((versions or differences(other, settings))[:4])})"
        knowingly = ", or join it with accept_versions=True (--accept-versions), which the result will say"
        cure = "leave it out" + (knowingly if versions else "")
        same = fingerprint(other) == fingerprint(settings) or bool(versions and accept_versions)
        require(same, "pieces", f"of one sweep, that of {folders[0]}", what, cure)
    if path.exists():
        return datasets.load_same(path, settings, accept_versions)
    check_writable(path.parent, "path")
    plan = Plan(**settings["plan"])
    candidates = ((chunk, (read_chunk(folder, chunk) for folder in folders)) for chunk in plan.chunks())
    found = ((chunk, next((arrays for arrays in several if arrays is not None), None)) for chunk, several in candidates)
    result = collect(settings, plan, found)
    result.attrs |= accepted_versions(folders)
    datasets.save(result, path)
    return result


def collect(settings: dict[str, Any], plan: Plan, found: Iterable[tuple[Chunk, dict[str, np.ndarray] | None]]) -> xr.Dataset:
    """The chunks' results in one Dataset, one chunk at a time: NaN, or -1 for whole numbers, where a point was not run.

    Raises ValueError that names those that are missing (None).
    """
    cells = settings.get("keep") == "cells"
    n_draws = plan.n_seeds * plan.n_rounds
    results = {}
    for name, dtype in settings["outputs"].items():
        own = tuple(settings.get("dimensions", {}).get(name, {}).values())
        if cells:
            shape = plan.n_static, plan.n_points, *width_of(name, own)
            results[name] = np.zeros(shape, int if name in CODES else float)
        else:
            nothing = np.nan if np.dtype(dtype).kind == "f" else -1
            results[name] = np.full((plan.n_static, plan.n_points, n_draws, *own), nothing, dtype)
    missing, total = [], 0
    for chunk, arrays in found:
        total += 1
        if arrays is None:
            missing.append(chunk)
        elif len(points := arrays["points"]):
            seeds = slice(chunk.round * plan.n_seeds, (chunk.round + 1) * plan.n_seeds)
            for name, values in results.items():
                if cells:
                    values[chunk.static, points] = join(name, values[chunk.static, points], sums_of(name, arrays))
                else:
                    values[chunk.static, points, seeds] = arrays[name]
    check_complete(missing, total)
    level = plan.look_level(settings["level"])
    variables = (describe_cells if cells else describe_draws)(results, settings.get("dimensions", {}), level)
    return datasets.assemble(grid_of(settings), variables, settings["texts"], settings, level)
