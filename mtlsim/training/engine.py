"""The engine of all training: optimisers, one step of some parameters, and a walk of many steps with records on the way.

Whoever trains says what a step is, from what it sees; nothing here knows of tasks.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

from mtlsim.core.checks import is_whole, require

OPTIMISERS = {"sgd": optax.sgd, "adam": optax.adam}
Params = Any  # a pytree


def check_records(n_records: int, n_steps: int) -> None:
    """Refuse a number of records that does not divide the number of steps."""
    divides = is_whole(n_records) and n_records >= 1 and n_steps % n_records == 0
    require(divides, "n_records", f"a divisor of n_steps = {n_steps}", n_records, "use 1 for the last step alone")


def make_optimiser(
    name: str, rate: Array | float, n_steps: int | None = None, rates: Params | None = None
) -> optax.GradientTransformation:
    """The optimiser of that name; with n_steps its rate falls to zero along a half cosine. rates: factors of each leaf's rate."""
    method = OPTIMISERS[name](rate if n_steps is None else optax.cosine_decay_schedule(rate, n_steps))
    if rates is None:
        return method
    scale = lambda moves, state, params=None: (jax.tree.map(lambda move, factor: move * factor, moves, rates), state)
    return optax.chain(method, optax.GradientTransformation(lambda params: optax.EmptyState(), scale))


def move(method: optax.GradientTransformation, slopes: Params, memory: Any, params: Params, land: Callable = optax.apply_updates):
    """(params, memory) after one step against these slopes; land(params, moves) says where a move leads, by default their sum."""
    moves, memory = method.update(slopes, memory, params)
    return land(params, moves), memory


def walk(step: Callable, state: Any, n_steps: int, n_records: int, look: Callable) -> tuple[Any, Any]:
    """n_steps of step(state, t) -> (state, shown), and n_records times look(state, what was shown last), stacked."""

    def record(state, steps):
        state, shown = jax.lax.scan(step, state, steps)
        return state, look(state, jax.tree.map(lambda leaf: leaf[-1], shown) if steps.size else shown)

    steps = jnp.arange(n_steps).reshape(n_records, n_steps // n_records)
    return jax.lax.scan(record, state, steps)


def is_broken(*arrays: Float[Array, "..."]) -> Bool[Array, ""]:
    """Whether training has left the numbers behind."""
    return ~jnp.all(jnp.stack([jnp.all(jnp.isfinite(array)) for array in arrays]))


def unknown_where(broken: Bool[Array, ""]) -> Float[Array, ""]:
    """NaN where broken, else 0: what is added to a result that is none."""
    return jnp.where(broken, jnp.nan, 0.0)
