"""Bad input becomes one sentence: which argument, what it must be, what it is, and the cure."""

import datetime
import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Number

import jax
import jax.numpy as jnp
import numpy as np

from mtlsim.core.words import counted


def require(condition: bool | np.bool_, argument: str, must_be: str, found: object, cure: object) -> None:
    """Raise the ValueError of this house unless the condition holds."""
    if not condition:
        raise ValueError(f"{argument} must be {must_be}, but is {found}; {cure}.")


def is_concrete(value: object) -> bool:
    """Whether a leaf can be looked at now (not a tracer, not a placeholder)."""
    return isinstance(value, (Number, np.ndarray, np.generic)) or (
        isinstance(value, jax.Array)
        and not isinstance(value, jax.core.Tracer)
        and not jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key)
    )


def require_all(values: object, test, argument: str, must_be: str, cure: str) -> None:
    """Check each number of `values` that can be looked at now; tracers pass, and what is no number does not."""
    for value in jax.tree.leaves(values):
        require(not _is_word(value), argument, must_be, repr(value), cure)
        if is_concrete(value):
            numbers = np.asarray(value)
            numbers = numbers.astype(float) if numbers.dtype == object else numbers  # whole numbers may exceed 64 bits
            require(bool(np.all(test(numbers))), argument, must_be, _shown(numbers), cure)


def require_one(value: object, test, argument: str, must_be: str, cure: str) -> None:
    """The same of one number, where several would be spread over something else, and none is needed."""
    require(not isinstance(value, (tuple, list, dict, type(None))), argument, must_be, repr(value), cure)
    require(not is_concrete(value) or np.ndim(value) == 0, argument, must_be, f"of shape {np.shape(value)}", cure)
    require_all(value, test, argument, must_be, cure)


def require_bool(value: object, argument: str) -> None:
    """Refuse words and numbers, all but one of which would count as true."""
    require(isinstance(value, (bool, np.bool_)), argument, "True or False", repr(value), "write it without quotes")


def require_index(value: object, n_tasks: int, argument: str) -> None:
    """Refuse what is not the index of a task, from either end."""
    known = is_whole(value) and -n_tasks <= value < n_tasks
    require(known, argument, f"the index of one of {n_tasks} tasks", repr(value), "use -1 for the last")


def as_numbers(value: object, argument: str) -> np.ndarray:
    """An array of floats from nested sequences. Raises ValueError where they are ragged, or hold words."""
    try:
        return np.asarray(value, float)
    except (TypeError, ValueError):
        raise ValueError(
            f"{argument} must be made of numbers, all rows equally long, but is {value!r}; mend those entries."
        ) from None


def as_array(values: object, argument: str):
    """Nested sequences of numbers, of a TOML file say, as an array of jax; what is no sequence stays."""
    return jnp.asarray(as_numbers(values, argument), float) if isinstance(values, (str, list, tuple, np.ndarray)) else values


def is_number(value: object) -> bool:
    """Whether it is one number, and no bool."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def is_whole(value: object) -> bool:
    """Whether it is one whole number, and no bool."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_word(value: object) -> bool:
    return isinstance(value, (str, bytes, datetime.date, datetime.time))


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

    def __str__(self) -> str:
        close = difflib.get_close_matches(self.name, self.choices, n=1, cutoff=0.4)
        hint = f"did you mean {close[0]!r}? " if close else ""
        return f"{hint}choices: {', '.join(self.choices)}"


def nearest(name: str, choices: Iterable[str]) -> Nearest:
    """The cure of a message about an unknown name."""
    return Nearest(name, tuple(choices))


def require_choice(value: str, choices: Iterable[str], argument: str) -> None:
    choices = list(choices)
    require(value in choices, argument, "one of the known names", repr(value), nearest(str(value), choices))


def _shown(numbers: np.ndarray) -> str:
    return str(numbers.item()) if numbers.size == 1 else np.array2string(numbers, threshold=6, precision=4)
