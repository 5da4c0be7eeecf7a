"""A function of (instance, key) for instances of one shape, compiled once however many instances and draws are asked for."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from mtlsim.core.compiler import QUICKLY, compile_with_nan
from mtlsim.results.grid import as_leaves

BATCH = 256  # pairs of an instance and a seed in one call


def for_shape(function: Callable[[Any, Key[Array, ""]], Any], like: Any) -> Callable[..., list[dict[str, np.ndarray]]]:
    """run(instances, key, n_seeds) -> [{name: (n_seeds,)}], for instances of the shape of `like`; draws are independent."""
    rest = eqx.filter(like, eqx.is_array_like, inverse=True)

    def one(leaves, key, member, seed):
        own = jax.random.fold_in(jax.random.fold_in(key, member), seed)
        return dict(function(eqx.combine(leaves, rest), own))

    program = compile_with_nan(jax.vmap(one, in_axes=(0, None, 0, 0)), QUICKLY)

    def run(instances: Sequence[Any], key: Key[Array, ""], n_seeds: int) -> list[dict[str, np.ndarray]]:
        numbers = [jax.tree.map(np.asarray, as_leaves(eqx.filter(one, eqx.is_array_like))) for one in instances]
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *numbers)
        members, seeds = (pair.ravel() for pair in np.mgrid[: len(instances), :n_seeds].astype(np.uint32))
        parts = []
        for start in range(0, len(seeds), BATCH):
            # the last batch is padded by repetition, so that all have one shape
            at = np.arange(start, start + BATCH) % len(seeds)
            of = members[at]
            parts.append(program(jax.tree.map(lambda leaf: jnp.asarray(leaf[of]), stacked), key, of, seeds[at]))  # noqa: B023
        joined = {name: np.concatenate([np.asarray(part[name]) for part in parts])[: len(seeds)] for name in parts[0]}
        rows = {name: values.reshape(len(instances), n_seeds) for name, values in joined.items()}
        return [{name: values[i] for name, values in rows.items()} for i in range(len(instances))]

    return run
