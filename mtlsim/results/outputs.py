"""What a cell returns: the array fields that a sweep keeps, and the text that says how they were found."""

from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Key


def outputs(cell: Any, key: Key[Array, ""]) -> dict[str, Array]:
    """The array fields of what a cell returns, by name."""
    return {name: value for name, value in _fields(cell(key=key)).items() if eqx.is_array(value)}


def describe_outputs(cell: Any) -> tuple[dict[str, jax.ShapeDtypeStruct], dict[str, str]]:
    """Shapes and dtypes of a cell's array outputs, and its text outputs (the route), without running it."""
    fields = _fields(eqx.filter_eval_shape(lambda key: cell(key=key), jax.random.key(0)))
    arrays = {name: value for name, value in fields.items() if hasattr(value, "dtype")}
    return arrays, {name: value for name, value in fields.items() if isinstance(value, str)}


def _fields(result: Any) -> dict[str, Any]:
    return result if isinstance(result, dict) else {name: getattr(result, name) for name in result.__dataclass_fields__}
