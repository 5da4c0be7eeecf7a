"""Random keys: one key per seed, one named stream per purpose, so that a new draw never moves the others."""

import math
import zlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from mtlsim.core.checks import require


def stream(key: Key[Array, ""], name: str, index: int = 0) -> Key[Array, ""]:
    """The key of the stream `name` (and of task `index` in it) that belongs to `key`."""
    return jax.random.fold_in(key, _number(name, index))


def streams(key: Key[Array, ""], *named: tuple[str, int]) -> Key[Array, " n"]:
    """The keys of several streams (name, index); in a loop, which compiles as fast as one."""
    return jax.lax.map(lambda number: jax.random.fold_in(key, number), np.array([_number(*one) for one in named], np.uint32))


def _number(name: str, index: int) -> int:
    return zlib.crc32(f"{name} {index}".encode()) & 0x7FFFFFFF


def normal(key: Key[Array, ""], shape: tuple[int, ...], dtype: Any = float) -> Float[Array, "..."]:
    """The numbers of `jax.random.normal`, drawn flat: on a CPU that compiles eight times faster than in two dimensions."""
    return jax.random.normal(key, (math.prod(shape),), dtype).reshape(shape)


def correlated_normals(key: Key[Array, ""], shape: tuple[int, int], correlation: Any) -> Float[Array, "K d"]:
    """Rows of standard normals, any two of which have this correlation (from 0 to 1) in every column."""
    share = jnp.asarray(correlation, float)
    common, own = normal(stream(key, "common"), (1, shape[1])), normal(stream(key, "own"), shape)
    return jnp.sqrt(share) * common + jnp.sqrt(1 - share) * own


def check_key(key: object) -> Key[Array, ""]:
    """Return `key` if it is a new-style scalar key, else say how to make one."""
    is_key = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    require(is_key, "key", "a new-style key", "missing" if key is None else type(key).__name__, "pass key=jax.random.key(0)")
    require(key.shape == (), "key", "one key, not an array of keys", f"of shape {key.shape}", "pass key[0], or use mtlsim.sweep")
    return key
