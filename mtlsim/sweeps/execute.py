"""Running batches of draws: one compiled call over points and seeds, its points spread over all devices."""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Key

from mtlsim.sweeps.grid import at_point


def outputs(cell: Any, key: Key[Array, ""]) -> dict[str, Array]:
    """The array fields of what a cell returns, by name."""
    result = cell(key=key)
    fields = result if isinstance(result, dict) else {name: getattr(result, name) for name in result.__dataclass_fields__}
    return {name: value for name, value in fields.items() if eqx.is_array(value)}


def describe_outputs(cell: Any) -> tuple[dict[str, jax.ShapeDtypeStruct], dict[str, str]]:
    """Shapes and dtypes of a cell's array outputs, and its text outputs (the route), without running it."""
    result = eqx.filter_eval_shape(lambda key: cell(key=key), jax.random.key(0))
    fields = result if isinstance(result, dict) else {name: getattr(result, name) for name in result.__dataclass_fields__}
    arrays = {name: value for name, value in fields.items() if hasattr(value, "dtype")}
    return arrays, {name: value for name, value in fields.items() if isinstance(value, str)}


@functools.cache
def compile_batch(names: tuple[str, ...], devices: tuple[jax.Device, ...]) -> Callable:
    """run(cell, values (points, axes), key, seeds (S,)) -> {output: (S, points)}, compiled once per kind of cell and shape.

    Seed s has the key fold_in(key, s), in every cell and every sweep of this key. Seeds are the outer axis: what a draw takes
    from its key alone (the normals) is drawn once for all points of the batch.
    """
    mesh = Mesh(np.asarray(devices), ("points",))
    split, whole = PartitionSpec("points"), PartitionSpec()

    def run(cell, values, key, seeds):
        def one(seed, point):
            draw_key = jax.random.fold_in(key, seed)
            return outputs(at_point(cell, dict(zip(names, point, strict=True)), check=False), draw_key)

        return jax.vmap(lambda seed: jax.vmap(lambda point: one(seed, point))(values))(seeds)

    specs = (whole, split, whole, whole)
    return jax.jit(jax.shard_map(run, mesh=mesh, in_specs=specs, out_specs=PartitionSpec(None, "points"), check_vma=False))


def as_leaves(cell: Any) -> Any:
    """The cell with its numbers as arrays of the default float, so that no value is compiled in."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, float), cell)


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
