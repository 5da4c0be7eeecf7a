"""What a sweep will cost: its size, and time and memory from a few batches of it that are run on the spot."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Key

from mtlsim.core.checks import require, require_choice
from mtlsim.core.keys import check_key
from mtlsim.core.words import counted
from mtlsim.results.settings import facts
from mtlsim.results.watch import duration
from mtlsim.sweeps.execute import Runner, programs_of
from mtlsim.sweeps.job import make_job, result_bytes

PROGRAMS = 3  # static combinations that are compiled and timed, at most: the first, the last, and one between
SECONDS = 2.0  # of timed batches for each of them, at least


@dataclass(frozen=True)
class Estimate:
    """Cost of a sweep on this machine. Times in seconds, memory in bytes.

    compile_first: of one program where nothing is kept from earlier runs (NaN where all were kept already); compile_again: of one
    that is kept. draw: of one draw of a cell. memory: of one compiled call on all devices. result: of the finished Dataset.
    start: of a new process, until it compiles. At least 1 and at most n_rounds rounds of seeds are run for each cell, as long as
    its sign is open.
    """

    cells: int
    n_seeds: int
    n_rounds: int
    compiles: int
    chunks: int
    devices: str
    compile_first: float
    compile_again: float
    draw: float
    memory: int
    result: int
    start: float = 0.0

    def seconds(self, workers: int = 1, n_rounds: int | None = None) -> float:
        """Time in all with so many workers like this machine, each of which compiles for itself; chunks are not divided."""
        require(workers >= 1, "workers", "a whole number >= 1", workers, "use 10")
        n_rounds = self.n_rounds if n_rounds is None else n_rounds
        draws = self.cells * self.n_seeds * n_rounds
        share = -(-self.chunks // min(workers, self.chunks)) / self.chunks
        return self.start + self.compiles * self.compile_again + draws * self.draw * share

    def report(self, workers: tuple[int, ...] = ()) -> str:
        """Sentences for reading; workers: numbers of workers to say the time for."""
        few = [n for n in workers if not isinstance(n, int) or n < 1]
        require(not few, "workers", "whole numbers >= 1", few, "use 10 100")
        rounds = f" in 1 to {self.n_rounds} rounds" if self.n_rounds > 1 else ""
        chunk = self.cells * self.n_seeds * self.draw / self.chunks
        lines = [
            f"size: {counted(self.cells, 'cell')} x {counted(self.n_seeds, 'seed')}{rounds} in {counted(self.chunks, 'chunk')}; "
            f"{counted(self.compiles, 'program')} to compile",
            f"compiling: {self.compile_again:.2g} s each{self._first()}",
            f"running: {1e6 * self.draw:.3g} us a draw, {duration(chunk)} a chunk, on {self.devices}",
            f"memory: {_size(self.memory)} at a time, {_size(self.result)} for the result",
            f"in all: {self._span(1)} on this machine",
        ]
        more = [f"with {counted(n, 'worker')} like it: {self._span(n)}" for n in workers]
        if workers and max(workers) > self.chunks:
            more.append(f"no more than {counted(self.chunks, 'worker')} can help; chunk_draws makes chunks smaller")
        return "\n".join([*lines, *more])

    def _first(self) -> str:
        return "" if np.isnan(self.compile_first) else f" ({self.compile_first:.2g} s the first time, which is over now)"

    def _span(self, workers: int) -> str:
        ends = [duration(self.seconds(workers, n)) for n in sorted({1, self.n_rounds})]
        return " to ".join(dict.fromkeys(ends))


def estimate(cell: Any, grid: Mapping[str, Any], n_seeds: int, key: Key[Array, ""] | None = None, **options: Any) -> Estimate:
    """What `sweep` with the same arguments will cost, by running batches at points spread over the grid; nothing is saved.

    options: those of `sweep` that change its cost: budget, level, keep, chunk_draws. Raises ValueError as `sweep` does.

    >>> from mtlsim.cells.orthonormal_rows import OrthonormalRows
    >>> cost = mtl.estimate(OrthonormalRows(20.0), {"cosine": [0.0, 0.5, 1.0]}, n_seeds=10)
    >>> print(cost.report().splitlines()[0])
    size: 3 cells x 10 seeds in 1 chunk; 1 program to compile
    """
    for name in options:
        require_choice(name, ("budget", "level", "keep", "chunk_draws"), "estimate's options")
    devices = jax.local_devices()
    key = check_key(jax.random.key(0) if key is None else key)
    job, settings = make_job(cell, grid, n_seeds, key, facts(devices), len(devices), **options)
    plan = job.plan
    statics = np.unique(np.linspace(0, plan.n_static - 1, min(PROGRAMS, plan.n_static)).round().astype(int))
    programs = sorted(set(programs_of(job.cell, job.grid)))
    compiled = [programs[i] for i in np.unique(np.linspace(0, len(programs) - 1, min(PROGRAMS, len(programs))).round().astype(int))]
    runner = Runner(job, devices)
    first = [_seconds(runner.program, static) for static in compiled]
    again = first
    if kept := jax.config.jax_compilation_cache_dir is not None:
        # what is inside a program is traced once in a process; to drop that would drop all programs of the user too
        traced, anew = runner.tracing / len(compiled), Runner(job, devices, anew=True)
        again = [_seconds(anew.program, static) for static in compiled]
        again = [seconds + max(traced - anew.tracing / len(compiled), 0) for seconds in again]
    draws = [_seconds_a_draw(runner, int(static)) for static in statics]
    return Estimate(
        cells=plan.n_points * plan.n_static,
        n_seeds=plan.n_seeds,
        n_rounds=plan.n_rounds,
        compiles=len(programs),
        chunks=len(plan.chunks()) // plan.n_rounds,
        devices=counted(len(devices), f"{settings['device'].split()[0]} device"),
        compile_first=float(np.mean(first)) if kept and sum(first) > 1.5 * sum(again) else np.nan,
        compile_again=float(np.mean(again)),
        draw=float(np.mean(draws)),
        memory=runner.needed_bytes,
        result=result_bytes(settings, plan),
    )


def _seconds(function: Callable, *arguments: Any) -> float:
    begun = time.perf_counter()
    jax.block_until_ready(function(*arguments))
    return time.perf_counter() - begun


def _seconds_a_draw(runner: Runner, static: int) -> float:
    """Mean over calls at random points of the grid, with what padding costs in the blocks and rounds of the plan."""
    plan = runner.job.plan
    batch, cell, batch_seeds = runner.program(static)
    seeds = np.arange(batch_seeds, dtype=np.uint32)
    rng, times = np.random.default_rng(0), []
    while len(times) < 2 or (sum(times) < SECONDS and len(times) < 64):
        values = runner.values[rng.integers(plan.n_points, size=runner.batch_points)]
        times.append(_seconds(batch, cell, values, runner.key, seeds))
        if times[0] > SECONDS:
            break
    blocks = [chunk.stop - chunk.start for chunk in plan.chunks() if chunk.static == static and chunk.round == 0]
    calls = sum(-(-points // runner.batch_points) for points in blocks) * -(-plan.n_seeds // batch_seeds)
    return float(np.mean(times[1:] or times)) * calls / (plan.n_points * plan.n_seeds)  # the first call of a program is slower


def _size(n_bytes: int) -> str:
    power = min(max(n_bytes, 1).bit_length() // 10, 4)
    return f"{n_bytes / 2 ** (10 * power):.3g} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"
