"""A function of (instance, key) over many instances and seeds: one compile per kind and shape of instance."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from mtlsim.core.compiler import QUICKLY, compile_with_nan
from mtlsim.results.grid import as_leaves

BATCH_DRAWS = 512


def _split(instance: Any) -> tuple[Any, Any]:
    """The numbers of an instance, and all else."""
    return eqx.partition(instance, eqx.is_array_like)


def shape_of(instance: Any) -> Any:
    """What decides the program: structure, static fields and shapes. Instances that agree in it share one compile."""
    numbers, rest = _split(instance)
    return jax.tree.structure(numbers), tuple(np.shape(leaf) for leaf in jax.tree.leaves(numbers)), jax.tree.structure(rest)


def over_instances(
    function: Callable[[Any, Key[Array, ""]], Any],
    instances: Sequence[Any],
    key: Key[Array, ""],
    n_seeds: int,
    common: bool = False,
) -> list[dict[str, np.ndarray]]:
    """function(instance, key) -> {name: number}, for each instance as {name: (n_seeds, ...)}; draws are independent.

    common: seed s has the same key in every instance (common random numbers), so that instances can be compared seed by seed.
    """
    numbers, rest = zip(*(_split(instance) for instance in instances), strict=True)
    leaves = [as_leaves(own) for own in numbers]
    groups: dict[Any, list[int]] = {}
    for i, instance in enumerate(instances):
        groups.setdefault(shape_of(instance), []).append(i)
    found: list[dict[str, np.ndarray]] = [{} for _ in instances]
    for members in groups.values():
        run = _compile(function, rest[members[0]], common)
        batch = max(1, min(n_seeds, BATCH_DRAWS // len(members)))
        stacked = jax.tree.map(lambda *several: jnp.stack(several), *(leaves[i] for i in members))
        # the last batch is padded by repetition, so that all have one shape
        starts = range(0, n_seeds, batch)
        numbers = np.uint32(0) if common else np.asarray(members, np.uint32)
        parts = [run(stacked, numbers, key, np.arange(start, start + batch, dtype=np.uint32) % n_seeds) for start in starts]
        for name in parts[0]:
            joined = np.concatenate([np.asarray(part[name]) for part in parts], 1)[:, :n_seeds]
            for row, i in zip(joined, members, strict=True):
                found[i][name] = row
    return found


class Drawing:
    """The same, a range of seeds at a time for as long as they are wanted: every program compiles once.

    Draw (i, s) of instance i and seed s is that of `over_instances`. batch: seeds that are drawn at once. options: of the compiler,
    one for each instance, the same for those of one shape.
    """

    def __init__(
        self,
        function: Callable[[Any, Key[Array, ""]], Any],
        instances: Sequence[Any],
        key: Key[Array, ""],
        batch: int,
        options: Sequence[Mapping[str, Any]],
    ):
        self.key, self.batch = key, batch
        numbers, rest = zip(*(_split(instance) for instance in instances), strict=True)
        self.leaves = [as_leaves(own) for own in numbers]
        self.shapes = [shape_of(instance) for instance in instances]
        programs = zip(self.shapes, rest, options, strict=True)
        self.programs = {shape: _compile_alone(function, own, chosen) for shape, own, chosen in programs}

    def __call__(self, i: int, seeds: range) -> dict[str, np.ndarray]:
        """{name: (len(seeds), ...)} of one instance."""
        key, parts = jax.random.fold_in(self.key, np.uint32(i)), []
        for start in range(seeds.start, seeds.stop, self.batch):
            part = self.programs[self.shapes[i]](self.leaves[i], key, np.arange(start, start + self.batch, dtype=np.uint32))
            parts.append({name: np.asarray(values) for name, values in part.items()})
        return {name: np.concatenate([part[name] for part in parts])[: len(seeds)] for name in parts[0]}


def _compile(function: Callable, rest: Any, common: bool) -> Callable:
    """run(instances, their numbers, key, seeds) -> {name: (instances, seeds, ...)}.

    common: one number for all, so that what a draw takes from its key alone is drawn once.
    """
    run = _over_seeds(function, rest)

    def of_each(stacked, members, key, seeds):
        of_one = lambda leaves, member: run(leaves, jax.random.fold_in(key, member), seeds)
        return jax.vmap(of_one, (0, None if common else 0))(stacked, members)

    return compile_with_nan(of_each, QUICKLY)


def _compile_alone(function: Callable, rest: Any, options: Mapping[str, Any]) -> Callable:
    """run(instance, its key, seeds) -> {name: (seeds, ...)}; a second axis would double the time to compile."""
    return compile_with_nan(_over_seeds(function, rest), options)


def _over_seeds(function: Callable, rest: Any) -> Callable:
    def run(leaves, key, seeds):
        return jax.vmap(lambda seed: dict(function(eqx.combine(leaves, rest), jax.random.fold_in(key, seed))))(seeds)

    return run
