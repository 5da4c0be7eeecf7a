"""`predict`: a statement's numbers over a grid, on the axes of a sweep, without samples."""

import functools
import reprlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Key

from mtlsim.core.checks import is_whole, require, require_bool
from mtlsim.core.compiler import QUICKLY, compile_with_nan
from mtlsim.core.keys import check_key
from mtlsim.results.grid import as_leaves, at_point, make_grid
from mtlsim.sweeps.cheap import may_hold

BATCH_POINTS = 256
MOST_DRAWS = 1_000_000
DRAWS = 4  # at a time, where points outside the assumptions are left out


def predict(
    prediction: Callable,
    grid: Mapping[str, Any],
    n_draws: int = 16,
    key: Key[Array, ""] | None = None,
    *,
    check: bool = True,
    inside: bool = False,
) -> xr.Dataset:
    """What a statement predicts at every point of a grid, such as `predict(theory.plateau(cell), {"tasks.cosine": cosines})`.

    prediction: a statement bound to a cell. grid: dotted parameter names to values, as for `mtlsim.sweep`. n_draws: recipes that
    draw their parameters are averaged over so many draws, those of a sweep with the same key (default jax.random.key(0)). check:
    refuse values that the cell refuses, such as a sample size that is no whole number.
    inside: no number where an assumption fails in some draw, which costs less: such points are left out as soon as that is known,
    and a statement whose cheap assumptions fail everywhere is not compiled.
    The result has the predicted numbers, their spread over draws (`NAME_spread`, a standard deviation), and `margin`: positive
    where all assumptions hold in every draw (inside: NaN elsewhere); elsewhere the numbers are an extrapolation.

    >>> from mtlsim.theory import pooled_least_squares
    >>> tasks = mtl.LinearTasks(n_features=5, n_samples=(50, 20), relation="same", design=mtl.Isotropic())
    >>> exact = pooled_least_squares(mtl.Transfer(tasks, sharing="pooled"))
    >>> predicted = mtl.predict(exact, {"tasks.cosine": [0.0, 0.9]}, n_draws=1)
    >>> (predicted.gain.values > 0).tolist()
    [False, True]
    """
    bound = hasattr(prediction, "statement")
    require(bound, "prediction", "a statement bound to a cell", type(prediction).__name__, "pass theory.NAME(cell)")
    enough = is_whole(n_draws) and 1 <= n_draws <= MOST_DRAWS
    require(enough, "n_draws", f"a whole number from 1 to {MOST_DRAWS}", reprlib.repr(n_draws), "use 16")
    require_bool(check, "check")
    require_bool(inside, "inside")
    axes = make_grid(prediction.cell, grid, check)
    key = jax.random.key(0) if key is None else check_key(key)
    names, values = tuple(axis.name for axis in axes.traced), axes.traced_values()
    blocks: list[dict[str, np.ndarray]] = []
    for static in axes.static_points():
        fixed = dict(zip([axis.name for axis in axes.static], static, strict=True))
        cell = as_leaves(at_point(prediction.cell, fixed, check))
        over_points = _inside if inside else _over_points
        blocks.append(over_points(prediction.statement, cell, names, values, key, n_draws))
    ordered = [*axes.static, *axes.traced]
    shape = [len(axis.values) for axis in ordered]
    dims = [axis.name for axis in ordered]
    variables = {}
    for name in blocks[0]:
        draws = np.stack([block[name] for block in blocks]).reshape(*shape, n_draws)
        if name == "margin":
            variables[name] = (dims, draws.min(-1))
        else:
            variables[name] = (dims, draws.mean(-1))
            variables[f"{name}_spread"] = (dims, draws.std(-1))
    coordinates = {axis.name: list(axis.values) for axis in ordered}
    note = {"statement": prediction.statement.name, "claim": prediction.statement.claim, "n_draws": n_draws}
    return xr.Dataset(variables, coordinates, note).transpose(*(axis.name for axis in axes.axes))


def _over_points(statement, cell, names: tuple[str, ...], values: np.ndarray, key, n_draws: int) -> dict[str, np.ndarray]:
    """{name: (points, draws)}, in batches of one shape."""
    run, size = _compile(statement, names), min(BATCH_POINTS, len(values))
    parts = []
    for start in range(0, len(values), size):
        points = values[np.arange(start, start + size) % len(values)]
        parts.append(run(jnp.asarray(points), cell, key, jnp.arange(n_draws, dtype=jnp.uint32)))
    return {name: np.concatenate([np.asarray(part[name]) for part in parts])[: len(values)] for name in parts[0]}


def _inside(statement, cell, names: tuple[str, ...], values: np.ndarray, key, n_draws: int) -> dict[str, np.ndarray]:
    """The same, where all assumptions hold in every draw: a few draws at a time, of the points that are left."""
    left = np.flatnonzero(may_hold(statement.assume, cell, names, values, jax.random.fold_in(key, np.uint32(0))))
    moved = at_point(cell, dict(zip(names, values[0], strict=True)), check=False)
    made = jax.eval_shape(lambda cell, key: statement(cell)(key=key), moved, key) if len(left) == 0 else {}
    found = {name: np.full((len(values), n_draws), np.nan) for name in made}
    for first in range(0, n_draws if len(left) else 0, DRAWS):
        seeds = np.arange(first, min(first + DRAWS, n_draws))
        run, size, parts = _compile(statement, names), min(BATCH_POINTS, len(values)), []
        for start in range(0, len(left), size):  # of one shape throughout, the last by repetition
            points = values[left[np.arange(start, start + size) % len(left)]]
            padded = jnp.asarray(seeds[np.arange(min(DRAWS, n_draws)) % len(seeds)], jnp.uint32)
            parts.append(run(jnp.asarray(points), cell, key, padded))
        drawn = {name: np.concatenate([np.asarray(part[name]) for part in parts])[: len(left), : len(seeds)] for name in parts[0]}
        for name, numbers in drawn.items():
            found.setdefault(name, np.full((len(values), n_draws), np.nan))[np.ix_(left, seeds)] = numbers
        outside = left[~(drawn["margin"] >= 0).all(1)]
        for numbers in found.values():
            numbers[outside] = np.nan
        left = np.setdiff1d(left, outside)
        if not len(left):
            break
    return found


@functools.cache
def _compile(statement, names: tuple[str, ...]) -> Callable:
    """run(points (P, axes), cell, key, seeds (S,)) -> {name: (P, S)}, compiled once per kind of cell and shape."""

    def one(point, cell, key, seed):
        moved = at_point(cell, dict(zip(names, point, strict=True)), check=False)
        return statement(moved)(key=jax.random.fold_in(key, seed))

    over_points = jax.vmap(jax.vmap(one, (None, None, None, 0)), (0, None, None, None))
    return compile_with_nan(over_points, QUICKLY)  # as fast to run, mostly LAPACK and loops, and a third less to compile
