"""Which points of a grid a statement can speak of at all, told by its cheap assumptions before anything long is compiled.

An assumption is cheap if what leads to its margin holds no loop and no call of LAPACK: a number of rows, a noise, a choice. It is
cut out of the traced assumptions and compiled alone, in a tenth of a second; what needs an optimum or a spectrum is left.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun
from jaxtyping import Array, Bool, Key

from mtlsim.core.compiler import QUICKLY, compile_with_nan
from mtlsim.results.grid import at_point

LONG = {"while", "scan", "cond", "eigh", "eig", "svd", "cholesky", "lu", "geqrf", "householder_product", "triangular_solve"}
MOST = 200  # operations


def cheap_margins(
    assume: Callable[[Any, Key[Array, ""]], Mapping[str, Any]], cell: Any, names: tuple[str, ...], values: np.ndarray, key
) -> dict[str, np.ndarray]:
    """{assumption: margin (points,)} of those that are cheap, on the draw of one key.

    cell: its numbers as arrays. names, values (points, names): parameters that are moved.
    """
    sentences: list[str] = []

    def margins(point, cell, key):
        found = assume(at_point(cell, dict(zip(names, point, strict=True)), check=False), key)
        sentences[:] = found
        return [jnp.asarray(margin, float) for margin in found.values()]

    points = jnp.asarray(values, float)
    traced = jax.make_jaxpr(margins)(points[0], cell, key)
    program, kept, cheap = traced.jaxpr, set(), []
    for i, out in enumerate(program.outvars):
        needed = _leading_to(program, out)
        if _length(program.eqns[j] for j in needed) <= MOST:
            cheap.append(i)
            kept |= needed
    part = program.replace(
        eqns=[program.eqns[j] for j in sorted(kept)],
        outvars=[program.outvars[i] for i in cheap],
        debug_info=program.debug_info._replace(result_paths=None),
    )
    found_of = jaxpr_as_fun(ClosedJaxpr(part, traced.consts))

    def run(point, cell, key):
        return found_of(*jax.tree.leaves((point, cell, key)))

    over_points = jax.vmap(run, (0, None, None))
    found = compile_with_nan(over_points, QUICKLY)(points, cell, key) if cheap else []
    return {sentences[i]: np.asarray(margin) for i, margin in zip(cheap, found, strict=True)}


def may_hold(assume, cell: Any, names: tuple[str, ...], values: np.ndarray, key) -> Bool[np.ndarray, " points"]:
    """At which points no cheap assumption fails on the draw of this key."""
    holds = [margin >= 0 for margin in cheap_margins(assume, cell, names, values, key).values()]
    return np.all(holds, 0) if holds else np.ones(len(values), bool)


def _leading_to(program: Any, out: Any) -> set[int]:
    """The numbers of the operations that lead to one output."""
    wanted, found = {id(out)}, set()
    for j in reversed(range(len(program.eqns))):
        if any(id(made) in wanted for made in program.eqns[j].outvars):
            found.add(j)
            wanted |= {id(taken) for taken in program.eqns[j].invars}
    return found


def _length(operations: Iterable[Any]) -> float:
    """How many there are, those inside of others too; without end where one is long."""
    count = 0.0
    for one in operations:
        count += np.inf if one.primitive.name in LONG else 1
        for inner in _inner(one):
            count += _length(inner.eqns)
    return count


def _inner(operation: Any) -> Iterator[Any]:
    """The programs inside of an operation."""
    for parameter in operation.params.values():
        for one in parameter if isinstance(parameter, (tuple, list)) else (parameter,):
            program = getattr(one, "jaxpr", one)
            if hasattr(program, "eqns"):
                yield program
