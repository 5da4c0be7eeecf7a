"""Bad input becomes one sentence: which argument, what it must be, what it is, and the cure."""

import difflib
from collections.abc import Iterable
from numbers import Number

import jax
import numpy as np


def require(condition: bool | np.bool_, argument: str, must_be: str, found: object, cure: str) -> None:
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
    """Check each number of `values` that can be looked at now; tracers pass."""
    for value in jax.tree.leaves(values):
        if is_concrete(value):
            numbers = np.asarray(value)
            require(bool(np.all(test(numbers))), argument, must_be, _shown(numbers), cure)


def require_finite(array: object, argument: str) -> None:
    """Refuse NaN and infinity, and say in how many rows they stand."""
    if not is_concrete(array):
        return
    numbers = np.asarray(array)
    numbers = numbers.reshape(len(numbers) if numbers.ndim else 1, -1)
    require_finite_rows(int(np.sum(~np.isfinite(numbers).all(1))), len(numbers), argument)


def require_finite_rows(n_bad: int, n_rows: int, argument: str) -> None:
    """The same, where the rows have been counted already."""
    if n_bad:
        raise ValueError(
            f"{argument} must be finite, but holds NaN or infinity in {n_bad} of {n_rows} rows; drop or impute those rows."
        )


def nearest(name: str, choices: Iterable[str]) -> str:
    """A hint that names the closest choice, for messages about unknown names."""
    choices = list(choices)
    close = difflib.get_close_matches(name, choices, n=1, cutoff=0.4)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}choices: {', '.join(choices)}"


def require_choice(value: str, choices: Iterable[str], argument: str) -> None:
    choices = list(choices)
    require(value in choices, argument, "one of the known names", repr(value), nearest(str(value), choices))


def _shown(numbers: np.ndarray) -> str:
    return str(numbers.item()) if numbers.size == 1 else np.array2string(numbers, threshold=6, precision=4)
