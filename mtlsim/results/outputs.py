"""What a cell returns: the numbers that a sweep keeps, and the text that says how they were found."""

import inspect
from collections.abc import Mapping
from dataclasses import is_dataclass
from numbers import Real
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from mtlsim.core.checks import require
from mtlsim.core.mean_gain import BESIDE
from mtlsim.core.status import status_of
from mtlsim.core.words import with_article
from mtlsim.results.grid import as_leaves


def outputs(cell: Any, key: Key[Array, ""]) -> dict[str, Array]:
    """The numbers and arrays of what a cell returns, by name, and a status that says where the gain is no finite number."""
    return _with_status(_fields(cell(key=key)))


def describe_outputs(cell: Any) -> tuple[dict[str, jax.ShapeDtypeStruct], dict[str, str]]:
    """Shapes and dtypes of a cell's outputs, and its text outputs (the route), without running it.

    Raises ValueError for a cell that is not called with a key, for what a sweep cannot keep, and for a gain that is not one number.
    """
    _check_called(cell)
    own = as_leaves(cell)  # as a sweep compiles it, so that what is traced here serves there
    fields = _fields(eqx.filter_eval_shape(lambda key: own(key=key), jax.random.key(0)))
    kept = {name: value for name, value in fields.items() if _is_kept(name, value)}
    arrays = {name: jax.eval_shape(jnp.asarray, value) for name, value in kept.items()}
    for name in ("gain", *BESIDE):
        shape = arrays[name].shape if name in arrays else ()
        require(shape == (), f"the cell's output {name!r}", "one number", f"of shape {shape}", "name its parts in other words")
    texts = {name: value for name, value in fields.items() if isinstance(value, str)}
    return jax.eval_shape(lambda kept: _with_status(kept | texts), kept), texts


def _with_status(fields: Mapping[Any, Any]) -> dict[str, Array]:
    """What is kept. Where a draw has a gain that is no finite number, and no other trouble, its status is `out_of_range`: a mean
    over the other draws is another mean."""
    found = {name: jnp.asarray(value) for name, value in fields.items() if _is_kept(name, value)}
    own = found.get("status", jnp.zeros((), jnp.int32)) if "gain" in found and not isinstance(fields.get("status"), str) else None
    if own is not None and own.shape == () and jnp.issubdtype(own.dtype, jnp.integer):
        found["status"] = status_of(found["gain"], own)
    return found


def _check_called(cell: Any) -> None:
    kind, cure = with_article(type(cell).__name__), "give its class a def __call__(self, *, key)"
    require(callable(cell), "cell", "called with a key", f"{kind} that cannot be called", cure)
    try:
        inspect.signature(cell).bind(key=None)
    except TypeError:
        require(False, "cell", "called with a key and nothing else", f"{kind} with __call__{inspect.signature(cell)}", cure)


def _fields(result: Any) -> Mapping[Any, Any]:
    known = isinstance(result, Mapping) or is_dataclass(result)
    found = "an array of no name" if hasattr(result, "dtype") else "None" if result is None else with_article(type(result).__name__)
    cure = 'write return {"gain": ...}'
    require(known, "what the cell returns", "numbers with their names", found, cure)
    return result if isinstance(result, Mapping) else {name: getattr(result, name) for name in result.__dataclass_fields__}


def _is_kept(name: Any, value: Any) -> bool:
    """Whether it is a number or an array; texts and None are not. Raises ValueError for anything else, which nobody would miss."""
    word = isinstance(name, str) and bool(name.strip()) and "/" not in name  # which is a folder in the files of results
    require(word, "the names of the cell's outputs", "words without /", repr(name), "rename it")
    if value is None or isinstance(value, str):
        return False
    dtype = getattr(value, "dtype", None)
    kinds = (jnp.bool_, jnp.integer, jnp.floating)
    real = isinstance(value, Real) if dtype is None else any(jnp.issubdtype(dtype, kind) for kind in kinds)
    found = with_article(type(value).__name__) if dtype is None else f"of dtype {dtype}"
    require(
        real, f"the cell's output {name!r}", "a real number, an array of them or a text", found, "use jnp.asarray, or leave it out"
    )
    return True
