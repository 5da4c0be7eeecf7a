"""From what a user asks for to a job: all checks, the cut into chunks, and what it needs of memory."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Key

from mtlsim.core.checks import is_number, is_whole, require, require_choice
from mtlsim.results.grid import make_grid, with_room
from mtlsim.results.keep import KEEP, width_of
from mtlsim.results.plan import Plan, bytes_per_draw, make_plan
from mtlsim.results.settings import describe
from mtlsim.sweeps.execute import Job
from mtlsim.sweeps.memory import host_bytes


def make_job(
    cell: Any,
    grid: Mapping[str, Any],
    n_seeds: int,
    key: Key[Array, ""],
    facts: dict[str, Any],
    n_devices: int,
    *,
    budget: int | None = None,
    level: float = 0.95,
    keep: str = "draws",
    n_shards: int = 1,
    chunk_draws: int | None = None,
) -> tuple[Job, dict[str, Any]]:
    """What `sweep` will run, and the settings that determine its numbers, after all checks. facts: of the processes that run it."""
    whole = is_whole(n_seeds) and n_seeds >= 1
    require(whole, "n_seeds", "a whole number >= 1", n_seeds, "use 200")
    most = "at most 2^32, as many as there are seeds"
    for name, count in (("n_seeds", n_seeds), ("budget", budget)):
        require(not is_number(count) or count <= 2**32, name, most, count, "use another key for more")
    budget = n_seeds if budget is None else budget
    require(is_number(budget) and budget >= n_seeds, "budget", f"at least n_seeds = {n_seeds}", budget, "raise it, or leave it out")
    require(is_number(level) and 0 < level < 1, "level", "between 0 and 1", level, "use 0.95")
    require_choice(keep, KEEP, "keep")
    fine = chunk_draws is None or (is_whole(chunk_draws) and chunk_draws >= 1)
    require(fine, "chunk_draws", "a whole number >= 1", chunk_draws, "leave it out")
    n_seeds, budget, chunk_draws = int(n_seeds), int(budget), None if chunk_draws is None else int(chunk_draws)
    axes = make_grid(cell, grid)
    cell = with_room(cell, axes)
    platform = facts["device"].split()[0]
    plan = make_plan(axes, draw_bytes(cell), n_seeds, -(-budget // n_seeds), n_devices, chunk_draws, n_shards, platform)
    settings = describe(cell, axes, plan, key, level, facts, keep)
    return Job(cell, axes, plan, (np.asarray(jax.random.key_data(key)), str(jax.random.key_impl(key))), keep), settings


def result_bytes(settings: dict[str, Any], plan: Plan) -> int:
    """Memory of the finished Dataset's outputs."""
    own = {name: tuple(axes.values()) for name, axes in settings["dimensions"].items()}
    if settings.get("keep") == "cells":
        a_cell = sum(8 * math.prod(width_of(name, own.get(name, ()))) for name in settings["outputs"])
    else:
        lengths = {name: math.prod(axes) for name, axes in own.items()}
        a_draw = sum(np.dtype(kind).itemsize * lengths.get(name, 1) for name, kind in settings["outputs"].items())
        a_cell = plan.n_seeds * plan.n_rounds * a_draw
    return plan.n_points * plan.n_static * a_cell


def check_memory(n_bytes: int, keep: str) -> None:
    """A result that no memory holds is refused before anything is run."""
    free = host_bytes()
    cure = (
        "pass keep='cells', which keeps means, errors and statuses of each cell" if keep == "draws" else "sweep parts of the grid"
    )
    room = f"{n_bytes / 2**30:.3g} GiB of a result in memory, of which {free / 2**30:.3g} GiB are free"
    require(n_bytes < free, "keep", f"'cells' for {room}", repr(keep), cure)


def draw_bytes(cell: Any) -> int:
    """Working memory of a draw, roughly, before anything is compiled; rows that a cell keeps and goes over again and again are
    counted many times, since they should stay in the caches."""
    tasks, itemsize = getattr(cell, "tasks", None), 8 if jax.config.jax_enable_x64 else 4
    n_features, n_tasks = getattr(tasks, "n_features", 20), getattr(tasks, "n_tasks", 2)
    return bytes_per_draw(n_features, n_tasks, itemsize) + 16 * getattr(tasks, "capacity", 0) * n_features * n_tasks * itemsize
