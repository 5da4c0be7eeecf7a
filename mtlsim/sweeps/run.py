"""`sweep`, `measure` and `merge`: from a cell and a grid to a Dataset, in chunks that survive the process."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr
from jaxtyping import Array, Key
from tqdm import tqdm

from mtlsim.core.checks import require
from mtlsim.core.keys import check_key
from mtlsim.sweeps import dataset as datasets
from mtlsim.sweeps.execute import as_leaves, compile_batch, run_points
from mtlsim.sweeps.grid import Grid, at_point, make_grid, with_room
from mtlsim.sweeps.plan import Chunk, Plan, bytes_per_draw, make_plan, parse_shard
from mtlsim.sweeps.settings import describe, grid_of
from mtlsim.sweeps.store import (
    Parts,
    check_complete,
    check_writable,
    differences,
    fingerprint,
    read_chunk,
    read_manifest,
    require_path,
)
from mtlsim.transfer.verdict import Verdict, decide, summarise


def sweep(
    cell: Any,
    grid: Mapping[str, Any],
    n_seeds: int,
    key: Key[Array, ""],
    path: str | Path | None = None,
    *,
    budget: int | None = None,
    level: float = 0.95,
    shard: str | tuple[int, int] | None = None,
    devices: Sequence[jax.Device] | None = None,
    chunk_draws: int | None = None,
    attributes: Mapping[str, str] | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """The cell at every point of a grid, over seeds, as a labelled Dataset.

    cell: any `cell(key=...)` whose result has array fields, such as `mtlsim.Transfer`; axes of a field that is no scalar follow
    the seeds, under the names that the cell's `dimensions` gives it. grid: dotted parameter names to
    values; static parameters (rank, n_features, relation) become an outer loop, one compile each. n_seeds: per cell; seed s
    has the same key in every cell (common random numbers). path: a .nc file; chunks are kept beside it while the sweep runs,
    and the same call goes on where a killed one stopped. budget: go on in rounds of n_seeds until the sign of the mean gain is
    decided or this many seeds are spent; each look then uses the level 1 - (1 - level) / looks (Bonferroni). shard: "i/N" runs
    the i-th of N parts; `mtlsim.merge` joins them. devices: default all local ones. chunk_draws: draws that are saved together.
    attributes: notes to keep in the result.

    The result has the per-seed outputs and gain_mean, gain_low, gain_high, gain_sign and so on; settings, versions and device
    are in its attributes. Raises ValueError for unknown names, values out of range, and files made by other settings.
    """
    key = check_key(key)
    whole = isinstance(n_seeds, (int, np.integer)) and n_seeds >= 1
    require(whole, "n_seeds", "a whole number >= 1", n_seeds, "use 200")
    budget = n_seeds if budget is None else budget
    require(budget >= n_seeds, "budget", f"at least n_seeds = {n_seeds}", budget, "raise it, or leave it out")
    require(0 < level < 1, "level", "between 0 and 1", level, "use 0.95")
    axes, shard = make_grid(cell, grid), parse_shard(shard)
    cell = with_room(cell, axes)
    devices = jax.local_devices() if devices is None else list(devices)
    draw_bytes = bytes_per_draw(*_sizes(cell)) + _rows_bytes(cell)
    plan = make_plan(axes, draw_bytes, int(n_seeds), -(-budget // n_seeds), len(devices), chunk_draws, shard[1])
    settings = describe(cell, axes, plan, key, level, devices)
    if path is not None:
        path = require_path(path, ".nc")
        if path.exists():
            return datasets.load_same(path, settings)
    parts = Parts(path, settings)
    if parts.folder is not None:
        plan = Plan(**read_manifest(parts.folder)["plan"])
        require(
            plan.batch_points % len(devices) == 0,
            "devices",
            f"a divisor of {plan.batch_points}, as the sweep began",
            len(devices),
            "use fewer",
        )
    chunks = plan.chunks(shard)
    if progress:
        print(_announcement(axes, plan, draw_bytes, devices, shard), file=sys.stderr)
        if stored := sum(parts.holds(chunk) for chunk in chunks):
            print(f"going on: {stored} of {len(chunks)} chunks are there already", file=sys.stderr)
    _run_chunks(cell, axes, plan, chunks, parts, key, _look_level(level, plan), devices, progress)
    result = _collect(settings, plan, {chunk: parts.load(chunk) for chunk in chunks})
    result.attrs |= dict(attributes or {})
    trouble = datasets.sentence_on_status(result)
    if trouble and progress:
        print(trouble, file=sys.stderr)
    if shard == (1, 1) and path is not None:
        datasets.save(result, path)
        parts.remove()
    return result


def measure(cell: Any, n_seeds: int, key: Key[Array, ""], *, budget: int | None = None, level: float = 0.95) -> Verdict:
    """The verdict on one cell: mean gain with interval and sign; with a budget, seeds are added until it is decided."""
    result = sweep(cell, {}, n_seeds, key, budget=budget, level=level, progress=False)
    return decide(result["gain"].values, float(result.attrs["level"]))


def merge(pieces: Sequence[str | Path], path: str | Path) -> xr.Dataset:
    """Join the shards of one sweep, given as their `.parts` folders (or the .nc names beside them), into `path`.

    Raises ValueError where the folders are of different sweeps, and where chunks are missing (which ones are named).
    The folders are left as they are.
    """
    path = require_path(path, ".nc")
    require(len(pieces) > 0, "pieces", "at least one folder of parts", "empty", "give RESULT.nc.parts of every shard")
    folders = [Path(p) if Path(p).is_dir() or Path(p).suffix == ".parts" else Path(f"{p}.parts") for p in pieces]
    settings = read_manifest(folders[0])
    for folder in folders[1:]:
        other = read_manifest(folder)
        if fingerprint(other) != fingerprint(settings):
            what = "; ".join(differences(other, settings)[:4])
            require(
                False,
                "pieces",
                f"of one sweep, that of {folders[0]}",
                f"joined by {folder} of other settings ({what})",
                "leave it out",
            )
    if path.exists():
        return datasets.load_same(path, settings)
    check_writable(path.parent, "path")
    plan = Plan(**settings["plan"])
    found = {}
    for chunk in plan.chunks():
        candidates = (read_chunk(folder / chunk.name) for folder in folders)
        found[chunk] = next((arrays for arrays in candidates if arrays is not None), None)
    check_complete([chunk for chunk, arrays in found.items() if arrays is None], len(found))
    result = _collect(settings, plan, found)
    datasets.save(result, path)
    return result


def _sizes(cell: Any) -> tuple[int, int, int]:
    """Features, tasks and bytes per number, for the memory estimate; cells without tasks count as small."""
    tasks = getattr(cell, "tasks", None)
    return getattr(tasks, "n_features", 20), getattr(tasks, "n_tasks", 2), 8 if jax.config.jax_enable_x64 else 4


def _rows_bytes(cell: Any) -> int:
    """Bytes of the rows that a draw keeps, counted for what goes over them again and again: they should stay in the caches."""
    n_features, n_tasks, itemsize = _sizes(cell)
    return 16 * getattr(getattr(cell, "tasks", None), "capacity", 0) * n_features * n_tasks * itemsize


def _look_level(level: float, plan: Plan) -> float:
    return 1 - (1 - level) / plan.n_rounds


def _announcement(grid: Grid, plan: Plan, draw_bytes: int, devices: Sequence[jax.Device], shard: tuple[int, int]) -> str:
    cells = plan.n_points * plan.n_static
    compiles = f"{plan.n_static} compiles, one per {' x '.join(a.name for a in grid.static)}" if grid.static else "1 compile"
    rounds = f" in up to {plan.n_rounds} rounds" if plan.n_rounds > 1 else ""
    part = f", shard {shard[0]} of {shard[1]}" if shard != (1, 1) else ""
    memory = draw_bytes * plan.batch_points * plan.batch_seeds / 2**20
    kind = f"{len(devices)} {devices[0].platform} device{'s' if len(devices) > 1 else ''}"
    return (
        f"{cells} cells x {plan.n_seeds} seeds{rounds} in {len(plan.chunks(shard))} chunks{part}; {compiles}; "
        f"about {memory:.0f} MiB at a time on {kind}"
    )


def _run_chunks(
    cell, grid: Grid, plan: Plan, chunks: list[Chunk], parts: Parts, key, level: float, devices, progress: bool
) -> None:
    """Run what is not stored yet, one compiled batch per static combination."""
    values, statics = grid.traced_values(), grid.static_points()
    names = tuple(axis.name for axis in grid.traced)
    batches: dict[int, Any] = {}
    earlier: dict[tuple[int, int], list[dict[str, np.ndarray]]] = {}
    total = sum((chunk.stop - chunk.start) * plan.n_seeds for chunk in chunks)
    with tqdm(total=total, unit=" draws", unit_scale=True, disable=not progress, mininterval=0.5) as bar:
        for chunk in chunks:
            rounds = earlier.setdefault((chunk.static, chunk.block), [])
            arrays = parts.load(chunk)
            if arrays is None:
                if chunk.static not in batches:
                    fixed = dict(zip([axis.name for axis in grid.static], statics[chunk.static], strict=True))
                    batches[chunk.static] = (as_leaves(at_point(cell, fixed)), compile_batch(names, tuple(devices)))
                leaves, batch = batches[chunk.static]
                points = _undecided(chunk, rounds, level)
                arrays = {"points": points}
                if len(points):
                    seeds = range(chunk.round * plan.n_seeds, (chunk.round + 1) * plan.n_seeds)
                    arrays |= run_points(batch, leaves, values[points], key, seeds, plan.batch_points, plan.batch_seeds)
                parts.save(chunk, arrays)
            rounds.append(arrays)
            bar.update((chunk.stop - chunk.start) * plan.n_seeds)


def _undecided(chunk: Chunk, rounds: list[dict[str, np.ndarray]], level: float) -> np.ndarray:
    """Points of the chunk whose sign the earlier rounds left open (all of them in the first round)."""
    every = np.arange(chunk.start, chunk.stop)
    if not rounds or "gain" not in rounds[0]:
        return every if not rounds else every[:0]
    gains = {int(point): [row] for point, row in zip(rounds[0]["points"], rounds[0]["gain"], strict=True)}
    for later in rounds[1:]:
        for point, row in zip(later["points"], later.get("gain", ()), strict=False):
            gains[int(point)].append(row)
    ran_last = rounds[-1]["points"]
    return np.array([p for p in ran_last if summarise(np.concatenate(gains[int(p)]), level)["sign"] == 0], int)


def _collect(settings: dict[str, Any], plan: Plan, found: Mapping[Chunk, dict[str, np.ndarray] | None]) -> xr.Dataset:
    """Results of all chunks in one Dataset: NaN, or -1 for whole numbers, where a point was not run."""
    shape = (plan.n_static, plan.n_points, plan.n_seeds * plan.n_rounds)
    results = {}
    for name, dtype in settings["outputs"].items():
        own = tuple(settings.get("dimensions", {}).get(name, {}).values())
        results[name] = np.full(shape + own, np.nan if np.dtype(dtype).kind == "f" else -1, dtype)
    for chunk, arrays in found.items():
        if arrays is None or not len(arrays["points"]):
            continue
        seeds = slice(chunk.round * plan.n_seeds, (chunk.round + 1) * plan.n_seeds)
        for name, values in results.items():
            values[chunk.static, arrays["points"], seeds] = arrays[name]
    level = _look_level(settings["level"], plan)
    return datasets.assemble(grid_of(settings), results, settings["texts"], settings, level)
