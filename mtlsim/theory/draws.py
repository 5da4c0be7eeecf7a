"""What several statements draw alike: the very data that a cell learns from."""

from typing import Any

from jaxtyping import Array, Float, Key

from mtlsim.core.keys import stream
from mtlsim.samples.moments import Moments
from mtlsim.samples.wishart import draw_moments
from mtlsim.solvers.objective import per_task
from mtlsim.theory.statement import tasks_of


def moments_of(cell: Any, key: Key[Array, ""]) -> Moments:
    """The moments of all tasks that `cell(key=key)` learns from."""
    return draw_moments(tasks_of(cell, key), key=stream(key, "samples"))


def weights_of(cell: Any, moments: Moments) -> Float[Array, " K"]:
    """The cell's task weights, one each if it has none."""
    return per_task(cell.weights, 1.0, moments.n_tasks, "weights", moments.gram.dtype)
