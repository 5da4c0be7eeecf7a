"""Bad input becomes one sentence: which argument, what it must be, what it is, and the cure."""

import difflib
import os
import reprlib
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from numbers import Number
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from mtlsim.core.words import counted

LONGEST = 600  # letters of what was found


def require(condition: bool | np.bool_, argument: str, must_be: str, found: object, cure: object) -> None:
    """Raise the ValueError of this house unless the condition holds; of what is found as much as fits a sentence is shown."""
    if not condition:
        found = str(found)
        found = found if len(found) <= LONGEST else f"{found[: LONGEST // 2]}...{found[-20:]}"
        raise ValueError(f"{argument} must be {must_be}, but is {found}; {cure}.")


def require_float64(what: str) -> None:
    """Refuse to judge in float32, where an identity fails by its rounding and other draws are made."""
    wide = jnp.zeros(()).dtype == jnp.float64
    cure = "call mtlsim.launcher.prepare() before jax is imported, in a notebook in the first cell after a restart"
    require(wide, what, "run in float64, in which statements are judged", "run in float32", cure)


def is_concrete(value: object) -> bool:
    """Whether a leaf can be looked at now (not a tracer, not a placeholder)."""
    return isinstance(value, (Number, np.ndarray, np.generic)) or (
        isinstance(value, jax.Array)
        and not isinstance(value, jax.core.Tracer)
        and not jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key)
    )


def is_number_to_be(value: object) -> bool:
    """Whether it is a number or an array, or will be one: a tracer, or the shape of what is to come; no random key."""
    to_be = isinstance(value, (jax.Array, jax.core.Tracer, jax.ShapeDtypeStruct))
    return is_concrete(value) or (to_be and not jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key))


def require_all(values: object, test, argument: str, must_be: str, cure: str) -> None:
    """Check each number of `values` that can be looked at now; tracers pass, and what is no number does not."""
    for value in jax.tree.leaves(values):
        require(is_number_to_be(value), argument, must_be, reprlib.repr(value), cure)
        if is_concrete(value):
            numbers = _as_reals(value)
            require(numbers is not None and bool(np.all(test(numbers))), argument, must_be, _shown(value), cure)


def _as_reals(value: object) -> np.ndarray | None:
    """An array of real numbers, None where it is none; whole numbers may exceed 64 bits, but no float."""
    numbers = np.asarray(value)
    try:
        numbers = numbers.astype(float) if numbers.dtype == object else numbers
    except (OverflowError, TypeError, ValueError):
        return None
    return numbers if any(jnp.issubdtype(numbers.dtype, kind) for kind in (jnp.bool_, jnp.integer, jnp.floating)) else None


def require_one(value: object, test, argument: str, must_be: str, cure: str) -> None:
    """The same of one number, where several would be spread over something else, and none is needed."""
    require(not isinstance(value, (tuple, list, dict, type(None))), argument, must_be, repr(value), cure)
    require(not is_concrete(value) or np.ndim(value) == 0, argument, must_be, f"of shape {np.shape(value)}", cure)
    require_all(value, test, argument, must_be, cure)


def require_bool(value: object, argument: str) -> None:
    """Refuse words and numbers, all but one of which would count as true."""
    require(isinstance(value, (bool, np.bool_)), argument, "True or False", repr(value), "write it without quotes")


def require_kind(value: object, kind: type, argument: str) -> None:
    """Refuse what is no object of this class."""
    name = f"{kind.__name__}()"
    require(isinstance(value, kind), argument, f"options such as {name}", reprlib.repr(value), f"pass {name}, or leave it out")


def require_index(value: object, n_tasks: int, argument: str) -> None:
    """Refuse what is not the index of a task, from either end."""
    known = is_whole(value) and -n_tasks <= value < n_tasks
    require(known, argument, f"the index of one of {n_tasks} tasks", repr(value), "use -1 for the last")


def as_numbers(value: object, argument: str) -> np.ndarray:
    """An array of floats from nested sequences. Raises ValueError where they are ragged, hold words, or are masked in part."""
    masked = isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value)
    require(not masked, argument, "without masked entries", "masked in some", "fill them, or leave their rows out")
    try:
        numbers = np.asarray(value)
        if numbers.dtype.kind not in "cmM":
            return numbers.astype(float)
    except (OverflowError, TypeError, ValueError):
        pass
    found = reprlib.repr(value)
    raise ValueError(f"{argument} must be made of numbers, all rows equally long, but is {found}; mend those entries.")


def as_array(values: object, argument: str):
    """Nested sequences of numbers, of a TOML file say, as an array of jax; arrays of jax and what is traced stay.

    Raises ValueError for anything else.
    """
    parts = jax.tree.leaves(values) if isinstance(values, (list, tuple)) else [values]
    stays = any(not is_concrete(part) and is_number_to_be(part) for part in parts)
    stays = stays or (isinstance(values, jax.Array) and is_number_to_be(values))
    return values if stays else jnp.asarray(as_numbers(values, argument), float)


def is_number(value: object) -> bool:
    """Whether it is one number, and no bool."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def is_whole(value: object) -> bool:
    """Whether it is one whole number, and no bool."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def require_finite(array: object, argument: str) -> None:
    """Refuse NaN and infinity, and say in how many rows they stand."""
    if not is_concrete(array):
        return
    numbers = np.asarray(array)
    numbers = numbers.reshape(len(numbers) if numbers.ndim else 1, -1)
    require_finite_rows(int(np.sum(~np.isfinite(numbers).all(1))), len(numbers), argument)


def require_finite_rows(n_bad: int, n_rows: int, argument: str, where: str = "") -> None:
    """The same, where the rows have been counted already. where: what is known of their place."""
    if n_bad:
        raise ValueError(
            f"{argument} must be finite, but holds NaN or infinity in {n_bad} of {counted(n_rows, 'row')}{where}; "
            "drop or impute those rows."
        )


@dataclass(frozen=True)
class Nearest:
    """A hint that names the closest choice, looked for only if it is said: that takes a millisecond or more."""

    name: str
    choices: tuple[str, ...]
    more: str = ""

    def __str__(self) -> str:
        close = difflib.get_close_matches(self.name, self.choices, n=1, cutoff=0.4)
        hint = f"did you mean {close[0]!r}? " if close else ""
        return f"{hint}choices: {', '.join(self.choices)}{self.more}"


def nearest(name: str, choices: Iterable[str]) -> Nearest:
    """The cure of a message about an unknown name."""
    return Nearest(name, tuple(choices))


def require_choice(value: str, choices: Iterable[str], argument: str, more: str = "") -> None:
    """more: what else may be written, at the end of the message."""
    choices = list(choices)
    known = isinstance(value, Hashable) and value in choices  # an array is no name, nor equal to one
    require(known, argument, "one of the known names", reprlib.repr(value), Nearest(str(value), tuple(choices), more))


def as_path(value: object, argument: str = "path") -> Path:
    """A path from words. Raises ValueError for anything else."""
    named = isinstance(value, (str, os.PathLike))
    require(named, argument, "the name of a file or folder", reprlib.repr(value), "write it in quotes")
    return Path(value)


def _shown(value: object) -> str:
    numbers = np.asarray(value)
    if numbers.size != 1:
        return np.array2string(numbers, threshold=6, precision=4)
    one = numbers.item()
    return reprlib.repr(one) if isinstance(one, int) else str(one)
