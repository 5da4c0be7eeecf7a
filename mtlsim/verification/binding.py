"""Which statements speak of a given cell, and why the others do not."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from mtlsim.core.keys import check_key, stream
from mtlsim.theory import find_statement, statement_names

N_KEYS = 4  # draws of the tasks on which assumptions are looked at


class Binding(NamedTuple):
    """Whether a statement applies to a cell; why: the claim where it does, else the first thing that keeps it from applying."""

    statement: str
    applies: bool
    why: str


def statements_for(cell: Any, key: Key[Array, ""] | None = None, names: Iterable[str] = ()) -> list[Binding]:
    """Every statement (or those of these names) bound to a cell such as `Transfer`: those that apply first.

    One applies where the cell is of its kind and all its assumptions hold on four draws of the tasks. Sums of squares are not
    drawn: it takes no longer than tracing. key: of the draws, jax.random.key(0) if left out.

    >>> pair = mtl.LinearTasks(n_features=5, n_samples=(50, 20), cosine=0.9)
    >>> bound = mtl.statements_for(mtl.Transfer(pair, sharing="pooled"), names=["pooled-least-squares", "frozen-layer"])
    >>> [(one.statement, one.applies) for one in bound]
    [('pooled-least-squares', True), ('frozen-layer', False)]
    """
    key = jax.random.key(0) if key is None else check_key(key)
    found = [_bind(find_statement(name), cell, key) for name in (names or statement_names())]
    return sorted(found, key=lambda one: not one.applies)


def _bind(statement: Any, cell: Any, key: Key[Array, ""]) -> Binding:
    try:
        statement(cell)
    except ValueError as error:
        return Binding(statement.name, False, str(error).split(";")[0])
    for i in range(N_KEYS):
        for sentence, margin in statement.assume(cell, stream(key, "binding", i)).items():
            if not bool(jnp.all(jnp.asarray(margin) > 0)):
                return Binding(statement.name, False, f"it assumes {sentence} (margin {float(np.min(np.asarray(margin))):.3g})")
    return Binding(statement.name, True, statement.claim)


def as_text(bindings: list[Binding]) -> str:
    """One line a statement."""
    width = max(len(one.statement) for one in bindings)
    lines = [f"{'applies ' if one.applies else 'does not'}  {one.statement:<{width}}  {one.why}" for one in bindings]
    return "\n".join([*lines, f"{sum(one.applies for one in bindings)} of {len(bindings)} statements apply"])
