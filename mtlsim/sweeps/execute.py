"""Running chunks of draws: compiled calls over points and seeds, their seeds (or points) spread over all devices."""

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Key

from mtlsim.core.compiler import FULLY, QUICKLY, compile_with_nan
from mtlsim.results.grid import Grid, as_leaves, at_point
from mtlsim.results.keep import condense
from mtlsim.results.outputs import outputs
from mtlsim.results.plan import Chunk, Plan
from mtlsim.sweeps.memory import available_bytes

SEEDS, POINTS = "seeds", "points"


@functools.cache
def compile_batch(names: tuple[str, ...], devices: tuple[jax.Device, ...], split: str = SEEDS, quickly: bool = False) -> Callable:
    """run(cell, values (points, axes), key, seeds (S,)) -> {output: (S, points)}, compiled once per kind of cell and shape.

    Seed s has the key fold_in(key, s), in every cell and every sweep of this key. Seeds are the outer axis: what a draw takes
    from its key alone (the normals) is drawn once for all points of the batch. split: `SEEDS` or `POINTS`, what the devices share
    among them, of which there must be a multiple of their number. quickly: as `QUICKLY` says.
    """
    mesh, whole = Mesh(np.asarray(devices), ("devices",)), PartitionSpec()
    of_points, of_seeds = (PartitionSpec("devices") if split == axis else whole for axis in (POINTS, SEEDS))

    def run(cell, values, key, seeds):
        def one(seed, point):
            draw_key = jax.random.fold_in(key, seed)
            return outputs(at_point(cell, dict(zip(names, point, strict=True)), check=False), draw_key)

        return jax.vmap(lambda seed: jax.vmap(lambda point: one(seed, point))(values))(seeds)

    if devices == tuple(jax.devices()[:1]):  # nothing to spread: what was traced for the outputs' shapes serves again
        return compile_with_nan(run, QUICKLY if quickly else FULLY, devices[0].platform)
    found = PartitionSpec(*of_seeds or (None,), *of_points)
    spread = jax.shard_map(run, mesh=mesh, in_specs=(whole, of_points, whole, of_seeds), out_specs=found, check_vma=False)
    return compile_with_nan(spread, QUICKLY if quickly else FULLY, devices[0].platform)


def is_solved(cell: Any) -> bool:
    """Whether the cell says that it trains nothing (`Transfer.solved`); of a cell that means something else by it, False."""
    return getattr(cell, "solved", False) is True


def _cell_at(cell: Any, grid: Grid, point: tuple) -> Any:
    """The cell at a static point as it is compiled: as one of those along each axis, where it says which of them share a program
    (`Weighting.among`)."""
    cell = at_point(cell, dict(zip([axis.name for axis in grid.static], point, strict=True)))
    for axis in grid.static:
        cell = cell.among(axis.name, axis.values) if hasattr(cell, "among") else cell
    return as_leaves(cell)


def programs_of(cell: Any, grid: Grid) -> list[int]:
    """For every static point the first one whose program it runs."""
    first: dict[Any, int] = {}
    points = enumerate(grid.static_points())
    return [first.setdefault(jax.tree.structure(_cell_at(cell, grid, point)), i) for i, point in points]


def run_points(
    batch: Callable, cell: Any, values: np.ndarray, key: Key[Array, ""], seeds: range, batch_points: int, batch_seeds: int
) -> dict[str, np.ndarray]:
    """All points x seeds in batches of one shape (the last ones padded by repetition): {output: (points, seeds, ...)}."""
    every = np.asarray(seeds, np.uint32)
    rows = []
    for start in range(0, len(values), batch_points):
        points = np.arange(start, start + batch_points) % len(values)
        firsts = range(0, len(every), batch_seeds)
        # all are on their way before the first is waited for
        columns = [batch(cell, values[points], key, every[np.arange(f, f + batch_seeds) % len(every)]) for f in firsts]
        kept = min(batch_points, len(values) - start)
        joined = {name: np.concatenate([np.asarray(column[name]) for column in columns])[: len(every)] for name in columns[0]}
        rows.append({name: value.swapaxes(0, 1)[:kept] for name, value in joined.items()})
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


@dataclass(frozen=True)
class Job:
    """All that a process must know to run any chunk of a sweep. key: the key's data and the name of its implementation; keep: what
    of the draws, see `keep`."""

    cell: Any
    grid: Grid
    plan: Plan
    key: tuple[np.ndarray, str]
    keep: str = "draws"


class Runner:
    """Runs chunks of a job on the devices of this process; a program is compiled when it is first needed, and kept.

    The devices share the seeds of a batch, or its points where fewer draws are then repeated to fill them. Batches are cut where
    the memory that the compiler reports for the program is more than half of what is free: no number depends on it, up to rounding.
    needed_bytes: largest so reported, over all devices. tracing: seconds that tracing took in all. anew: trace and compile again,
    whatever programs this process has.
    """

    def __init__(self, job: Job, devices: Sequence[jax.Device], anew: bool = False):
        self.job, self.devices = job, tuple(devices)
        self.compile_batch = compile_batch.__wrapped__ if anew else compile_batch
        self.key = jax.random.wrap_key_data(jnp.asarray(job.key[0]), impl=job.key[1])
        self.values = job.grid.traced_values()
        plan, n_devices = job.plan, len(self.devices)
        points = min(plan.batch_points, plan.block_points)
        seeds = min(plan.batch_seeds * plan.batch_points // points, plan.n_seeds)
        if n_devices <= seeds < plan.n_seeds:
            seeds -= seeds % n_devices
        filled = lambda count: -(-count // n_devices) * n_devices
        self.split = SEEDS if filled(seeds) * points <= seeds * filled(points) else POINTS
        self.batch_points, self.batch_seeds = (points, filled(seeds)) if self.split == SEEDS else (filled(points), seeds)
        self.needed_bytes, self.tracing = 0, 0.0
        self.programs: dict[int, tuple[Callable, Any, int]] = {}

    def __call__(self, chunk: Chunk, points: np.ndarray) -> dict[str, np.ndarray]:
        """{"points": the points, output: (points, seeds, ...) or its sums} for those points of the chunk that are still open."""
        if not len(points):
            return {"points": points}
        batch, cell, batch_seeds = self.program(chunk.static)
        seeds = range(chunk.round * self.job.plan.n_seeds, (chunk.round + 1) * self.job.plan.n_seeds)
        rows = run_points(batch, cell, self.values[points], self.key, seeds, self.batch_points, batch_seeds)
        return {"points": points} | (condense(rows) if self.job.keep == "cells" else rows)

    def program(self, static: int) -> tuple[Callable, Any, int]:
        """The compiled batch of a static combination, its cell, and how many seeds it takes at a time."""
        if static not in self.programs:
            grid, n_seeds, step = self.job.grid, self.batch_seeds, len(self.devices) if self.split == SEEDS else 1
            cell = _cell_at(self.job.cell, grid, grid.static_points()[static])
            names = tuple(axis.name for axis in grid.traced)
            batch = self.compile_batch(names, self.devices, self.split, is_solved(cell))
            needed, room = self._compile(batch, cell, n_seeds), available_bytes(self.devices) // 2
            if needed > room and n_seeds > step:
                n_seeds = max(1, n_seeds * room // needed // step) * step
                needed = self._compile(batch, cell, n_seeds)
            self.needed_bytes = max(self.needed_bytes, needed)
            self.programs[static] = batch, cell, n_seeds
        return self.programs[static]

    def _compile(self, batch: Callable, cell: Any, n_seeds: int) -> int:
        """Compile for these seeds (the call that follows finds it) and return the bytes that it will need on all devices."""
        values = np.zeros((self.batch_points, self.values.shape[1]))
        begun = time.perf_counter()
        lowered = batch.lower(cell, values, self.key, np.arange(n_seeds, dtype=np.uint32))
        self.tracing += time.perf_counter() - begun
        compiled = lowered.compile()
        report = compiled.memory_analysis()
        return (report.temp_size_in_bytes + report.output_size_in_bytes) * len(self.devices) if report else 0
