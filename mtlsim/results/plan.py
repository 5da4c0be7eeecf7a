"""How a sweep is cut: chunks that are saved whole, batches that one compiled call runs, and what they cost in memory."""

from dataclasses import dataclass

import numpy as np

from mtlsim.core.checks import require
from mtlsim.core.verdict import level_of_looks
from mtlsim.results.grid import Grid

BATCH_BYTES = 28 * 2**20  # working memory of one call on one core: from 32 MiB on, the C library gives it back after each call
BATCH_POINTS = 8
ACCELERATOR = 2 * 2**30, 256  # the same two on a GPU or TPU, which wants many small problems at once; chosen, not measured
CHUNK_DRAWS = 20_000
CHUNKS = 5_000  # of a large sweep, about: its chunks are larger, since a folder of many files is slow
MATRICES, VECTORS = 6, 130  # (d, d) and (d,) arrays alive at once per task and draw, as reported for the exact pair solver


@dataclass(frozen=True)
class Chunk:
    """Points [start, stop) of one static combination, for the seeds of one round."""

    static: int
    block: int
    round: int
    start: int
    stop: int

    @property
    def name(self) -> str:
        return f"chunk-{self.static:03d}-{self.block:05d}-{self.round:03d}.npz"


@dataclass(frozen=True)
class Plan:
    """Sizes of blocks (points), rounds (seeds) and batches (points x seeds on each device)."""

    n_points: int
    n_static: int
    n_seeds: int
    n_rounds: int
    block_points: int
    batch_points: int
    batch_seeds: int

    def look_level(self, level: float) -> float:
        """Level of the interval at each of n_rounds looks, so that all together keep `level`."""
        return level_of_looks(level, self.n_rounds)

    def chunks(self, shard: tuple[int, int] = (1, 1)) -> list[Chunk]:
        """All chunks in order, or those of one shard: block b belongs to shard b mod N."""
        blocks = range(0, self.n_points, self.block_points)
        return [
            Chunk(static, block, round, start, min(start + self.block_points, self.n_points))
            for static in range(self.n_static)
            for block, start in enumerate(blocks)
            for round in range(self.n_rounds)
            if (static * len(blocks) + block) % shard[1] == shard[0] - 1
        ]


def bytes_per_draw(n_features: int, n_tasks: int, itemsize: int) -> int:
    """Estimated working memory of one (point, seed) pair."""
    return n_tasks * (MATRICES * n_features + VECTORS) * n_features * itemsize


def make_plan(
    grid: Grid,
    draw_bytes: int,
    n_seeds: int,
    n_rounds: int,
    n_devices: int,
    chunk_draws: int | None,
    n_shards: int = 1,
    platform: str = "cpu",
) -> Plan:
    """Cut a sweep, so that every shard has something to do. Numbers do not depend on the cut, up to rounding."""
    n_static = len(grid.static_points())
    fair = max(1, grid.n_points // -(-n_shards // n_static))
    n_bytes, at_once = (BATCH_BYTES, BATCH_POINTS) if platform == "cpu" else ACCELERATOR
    batch = max(1, n_bytes // draw_bytes)
    if chunk_draws is None:  # whole batches, so that none is padded
        draws = max(CHUNK_DRAWS, grid.n_points * n_static * n_seeds // CHUNKS)
        points = -(-min(fair, at_once * n_devices) // n_devices) * n_devices
        block = min(points * max(1, round(draws / (n_seeds * points))), fair)
    else:
        block = int(np.clip(chunk_draws // n_seeds, 1, fair))
        points = -(-min(block, at_once * n_devices) // n_devices) * n_devices
    seeds = int(np.clip(batch * n_devices // points, 1, n_seeds))
    return Plan(grid.n_points, n_static, n_seeds, n_rounds, block, points, seeds)


def parse_shard(shard: str | tuple[int, int] | None) -> tuple[int, int]:
    """'2/4' -> (2, 4); None -> (1, 1)."""
    if shard is None:
        return (1, 1)
    parts = tuple(shard.split("/")) if isinstance(shard, str) else tuple(shard) if isinstance(shard, (tuple, list)) else ()
    good = len(parts) == 2 and all(str(p).isdigit() for p in parts) and 1 <= int(parts[0]) <= int(parts[1])
    require(good, "shard", "i/N with 1 <= i <= N", repr(shard), "use 1/4, 2/4, 3/4 and 4/4 for four processes")
    return int(parts[0]), int(parts[1])
