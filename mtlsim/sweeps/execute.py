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


def describe_outputs(cell: Any) -> tuple[dict[str, np.dtype], dict[str, str]]:
    """Names and dtypes of a cell's array outputs, and its text outputs (the route), without running it."""
    result = eqx.filter_eval_shape(lambda key: cell(key=key), jax.random.key(0))
    fields = result if isinstance(result, dict) else {name: getattr(result, name) for name in result.__dataclass_fields__}
    arrays = {name: np.dtype(value.dtype) for name, value in fields.items() if hasattr(value, "dtype")}
    return arrays, {name: value for name, value in fields.items() if isinstance(value, str)}


@functools.cache
def compile_batch(names: tuple[str, ...], devices: tuple[jax.Device, ...]) -> Callable:
    """run(cell, values (points, axes), keys (seeds,)) -> {output: (seeds, points)}, compiled once per kind of cell and shape.

    Seeds are the outer axis: what a draw takes from its key alone (the normals) is drawn once for all points of the batch.
    """
    mesh = Mesh(np.asarray(devices), ("points",))
    split, whole = PartitionSpec("points"), PartitionSpec()

    def run(cell, values, keys):
        def one(key, point):
            return outputs(at_point(cell, dict(zip(names, point, strict=True)), check=False), key)

        return jax.vmap(lambda key: jax.vmap(lambda point: one(key, point))(values))(keys)

    sharded = jax.shard_map(run, mesh=mesh, in_specs=(whole, split, whole), out_specs=PartitionSpec(None, "points"), check_vma=False)
    return jax.jit(sharded)


def seed_keys(key: Key[Array, ""], first: int, count: int) -> Key[Array, " S"]:
    """Keys of seeds first..first + count - 1: seed s has the same key in every cell and every sweep of this key."""
    return jax.vmap(lambda seed: jax.random.fold_in(key, seed))(jnp.arange(first, first + count))


def as_leaves(cell: Any) -> Any:
    """The cell with its numbers as arrays of the default float, so that no value is compiled in."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, float), cell)


def run_points(
    batch: Callable, cell: Any, values: np.ndarray, keys: Key[Array, " S"], batch_points: int, batch_seeds: int
) -> dict[str, np.ndarray]:
    """All points x seeds in batches of one shape (the last ones padded by repetition): {output: (points, seeds)}."""
    n_points, n_seeds = len(values), len(keys)
    rows = []
    for start in range(0, n_points, batch_points):
        points = np.arange(start, start + batch_points) % n_points
        columns = []
        for first in range(0, n_seeds, batch_seeds):
            seeds = np.arange(first, first + batch_seeds) % n_seeds
            result = batch(cell, values[points], keys[seeds])
            kept = min(batch_seeds, n_seeds - first)
            columns.append({name: np.asarray(value)[:kept] for name, value in result.items()})
        kept = min(batch_points, n_points - start)
        rows.append({name: np.concatenate([c[name] for c in columns]).T[:kept] for name in columns[0]})
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
