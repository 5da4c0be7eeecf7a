"""`sweep` and `measure`: from a cell and a grid to a Dataset, in chunks that survive the process."""

import json
import reprlib
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr
from jaxtyping import Array, Key

from mtlsim.core.checks import require, require_bool
from mtlsim.core.keys import check_key
from mtlsim.core.status import IN_FLOAT32
from mtlsim.core.verdict import Verdict, verdict_of
from mtlsim.core.words import counted, verb
from mtlsim.results import dataset as datasets
from mtlsim.results.collect import collect
from mtlsim.results.keep import SUMMARY
from mtlsim.results.plan import Chunk, Plan, parse_shard
from mtlsim.results.settings import facts
from mtlsim.results.store import Parts, accepted_versions, on_source, read_manifest, require_path
from mtlsim.results.watch import Tally, sign_of_life
from mtlsim.sweeps.execute import Job, Runner, programs_of
from mtlsim.sweeps.job import check_memory, draw_bytes, make_job, result_bytes
from mtlsim.sweeps.progress import Progress
from mtlsim.sweeps.remote import Elsewhere, ask
from mtlsim.sweeps.schedule import Here, run_chunks


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
    executor: Executor | None = None,
    keep: str = "draws",
    chunk_draws: int | None = None,
    attributes: Mapping[str, str] | None = None,
    accept_versions: bool = False,
    progress: bool = True,
) -> xr.Dataset:
    """The cell at every point of a grid, over seeds, as a labelled Dataset.

    cell: any `cell(key=...)` whose result has array fields, such as `mtlsim.Transfer`; axes of a field that is no scalar follow
    the seeds, under the names that the cell's `dimensions` gives it. grid: dotted parameter names to values; static parameters
    (rank, n_features, relation) become an outer loop, one compile each. n_seeds: per cell; seed s has the same key in every
    cell (common random numbers). path: a .nc file; chunks are kept beside it while the sweep runs, and the same call goes on
    where a killed one stopped. budget: go on in rounds of n_seeds until the sign of the mean gain is decided or this many seeds
    are spent; each look then has the level at which all looks together keep `level` (`mtlsim.core.verdict.level_of_looks`).
    shard: "i/N" runs the i-th of N parts; `mtlsim.merge` joins them. devices: default all local ones. executor: runs the chunks
    elsewhere: a `DaskExecutor`, or any of `concurrent.futures` whose workers start anew. keep: "draws", all of them, or "cells",
    of each cell means, standard errors and how often each status came, for maps whose draws no memory holds. chunk_draws: draws
    that are saved together.
    attributes: notes to keep in the result. accept_versions: go on with a sweep that other versions of jax or numpy began; the
    result says so. progress: say on stderr what is done, by a bar on a terminal and a line a minute
    elsewhere.

    The result has the per-seed outputs and gain_mean, gain_low, gain_high, gain_sign and so on; settings, versions and device
    are in its attributes. Raises ValueError for unknown names, values out of range, and files made by other settings, and
    `Incomplete` (a RuntimeError) where workers failed, which says what is missing; all else is kept for the next call.

    >>> pair = mtl.LinearTasks(n_features=5, n_samples=(50, 20), cosine=0.9)
    >>> cell, grid = mtl.Transfer(pair, sharing="pooled"), {"tasks.noise": [0.5, 1.0, 2.0]}
    >>> ds = mtl.sweep(cell, grid, n_seeds=10, key=jax.random.key(0), progress=False)
    >>> dict(ds.gain.sizes)
    {'tasks.noise': 3, 'seed': 10}
    """
    key = check_key(key)
    require(devices is None or executor is None, "devices", "left out with an executor", "given", "its workers use all of theirs")
    able = executor is None or hasattr(executor, "submit")
    require(able, "executor", "a DaskExecutor or one of concurrent.futures", repr(executor), "pass mtlsim.DaskExecutor(address)")
    several = isinstance(devices, Sequence) and len(devices) > 0 and all(isinstance(one, jax.Device) for one in devices)
    require(devices is None or several, "devices", "at least one of jax.devices()", reprlib.repr(devices), "leave it out")
    notes = attributes is None or (isinstance(attributes, Mapping) and all(isinstance(name, str) for name in attributes))
    require(notes, "attributes", "a dictionary of notes by name", reprlib.repr(attributes), 'pass {"note": "why"}')
    for name, value in (("accept_versions", accept_versions), ("progress", progress)):
        require_bool(value, name)
    devices = jax.local_devices() if devices is None else list(devices)
    given = facts(devices) | {"n_devices": len(devices)} if executor is None else ask(executor, jax.config.jax_enable_x64)
    n_devices, shard = given.pop("n_devices"), parse_shard(shard)
    cut = {"n_shards": shard[1], "chunk_draws": chunk_draws}
    job, settings = make_job(cell, grid, n_seeds, key, given, n_devices, budget=budget, level=level, keep=keep, **cut)
    check_memory(result_bytes(settings, job.plan), keep)
    if path is not None:
        path = require_path(path, ".nc")
        if path.exists():
            return _finished(path, settings, accept_versions, progress)
    parts = Parts(path, settings, accept_versions)
    mixed = {}
    if parts.folder is not None:
        there = read_manifest(parts.folder)
        if progress:
            _say(on_source(there, settings["source"], f"going on with {parts.folder}", "the result says so"))
        settings = settings | {"versions": there["versions"], "source": there.get("source", "not recorded")}
        mixed = accepted_versions([parts.folder])
        job = replace(job, plan=Plan(**there["plan"]))
    plan = job.plan
    chunks = plan.chunks(shard)
    if progress:
        kind = counted(n_devices, f"{given['device'].split()[0]} device")
        print(_announcement(job, kind + (" a worker" if executor else ""), shard), file=sys.stderr)
    place = Here(Runner(job, devices)) if executor is None else Elsewhere(job, given, executor)
    with sign_of_life(parts.folder):
        _watched(chunks, plan, parts, place, plan.look_level(level), progress)
    if parts.superseded:
        parts.remove()
        return _finished(path, settings, accept_versions, progress)
    result = collect(settings, plan, ((chunk, parts.load(chunk)) for chunk in chunks))
    result.attrs |= dict(attributes or {}) | mixed
    if progress and result.attrs["precision"] == "float32":
        print(IN_FLOAT32, file=sys.stderr)
    trouble = datasets.sentence_on_status(result)
    if trouble and progress:
        print(trouble, file=sys.stderr)
    if shard == (1, 1) and path is not None:
        datasets.save(result, path)
        parts.remove()
    return result


def measure(cell: Any, n_seeds: int, key: Key[Array, ""], *, budget: int | None = None, level: float = 0.95) -> Verdict:
    """The verdict on one cell: mean gain with interval and sign; with a budget, seeds are added until it is decided.

    >>> pair = mtl.LinearTasks(n_features=5, n_samples=(50, 20), cosine=0.9)
    >>> verdict = mtl.measure(mtl.Transfer(pair, sharing="pooled"), n_seeds=30, key=jax.random.key(0))
    >>> verdict.word, verdict.n_seeds
    ('undecided', 30)
    """
    result = sweep(cell, {}, n_seeds, key, budget=budget, level=level, progress=False)
    require(
        "gain" in result, "cell", "one that returns a gain", f"one of {sorted(result.data_vars)}", "use sweep, which needs none"
    )
    return verdict_of({part: result[name].values for part, (name, _) in SUMMARY.items()}, float(result.attrs["level"]))


def _finished(path: Path, settings: dict[str, Any], accept_versions: bool, progress: bool) -> xr.Dataset:
    """What was stored there, if these settings made it; that other code did is said."""
    found = datasets.load_same(path, settings, accept_versions)
    if progress:
        there, cure = json.loads(found.attrs["settings"]), "move it away to have it made anew"
        _say(on_source(there, settings["source"], f"{path} is taken as it is", cure))
    return found


def _say(sentences: list[str]) -> None:
    for sentence in sentences:
        print(sentence, file=sys.stderr)


def _announcement(job: Job, kind: str, shard: tuple[int, int]) -> str:
    grid, plan = job.grid, job.plan
    cells = plan.n_points * plan.n_static
    n_programs = len(set(programs_of(job.cell, grid)))
    per = f", one per {' x '.join(axis.name for axis in grid.static)}" if 1 < n_programs == plan.n_static else ""
    compiles = f"{counted(n_programs, 'compile')}{per}"
    rounds = f" in up to {plan.n_rounds} rounds" if plan.n_rounds > 1 else ""
    part = f", shard {shard[0]} of {shard[1]}" if shard != (1, 1) else ""
    memory = draw_bytes(job.cell) * plan.batch_points * plan.batch_seeds / 2**20
    return (
        f"{counted(cells, 'cell')} x {counted(plan.n_seeds, 'seed')}{rounds} "
        f"in {counted(len(plan.chunks(shard)), 'chunk')}{part}; {compiles}; "
        f"about {memory:.0f} MiB at a time on {kind}"
    )


def _watched(chunks: list[Chunk], plan: Plan, parts: Parts, place: Any, level: float, progress: bool) -> None:
    """Run the chunks behind a bar that also says how many cells are undecided and how many draws have a bad status."""
    stored = [chunk for chunk in chunks if parts.holds(chunk)]
    if progress and stored:
        print(
            f"going on: {len(stored)} of {counted(len(chunks), 'chunk')} {verb(len(stored), 'is')} there already", file=sys.stderr
        )
    sizes = {chunk: (chunk.stop - chunk.start) * plan.n_seeds for chunk in chunks}
    tally, known = Tally(), set(stored)
    with Progress(sum(sizes.values()), sum(sizes[chunk] for chunk in known), progress) as bar:

        def tell(chunk: Chunk, arrays: dict[str, np.ndarray], undecided: int) -> None:
            tally.add(chunk, arrays, undecided)
            bar.add(0 if chunk in known else sizes[chunk], str(tally))

        run_chunks(chunks, plan.n_rounds, parts, place, level, tell)
