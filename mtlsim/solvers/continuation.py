"""The search for the best network: smoothed units sharpened step by step from several starts, then shaken and sharpened again.

ReLU objectives have many local minima, most of them at kinks. So units are smoothed and sharpened over a geometric sequence of
widths, from every start; then, hop by hop, the labels are shaken, the units smoothed a little, and both brought back, and what
comes out is kept if it is better; at last the best is sharpened to the end. All of it is one sequence of damped Newton steps
(`Plan`), so that the program holds a single one; one more with hardly any damping tells how flat the place is.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from mtlsim.core.extremes import largest_of, smallest_of
from mtlsim.core.keys import normal
from mtlsim.samples.data import Rows
from mtlsim.solvers.network import DAMPING, LEAST_DAMPING, Layers, Network, newton_step

WIDE, ROUGH, SHARP = 1.0, 1e-3, 1e-7  # widths of a smoothed ReLU at a start, at the end of a search, and of the answer
SHAKEN, CALM = 0.3, 0.1  # widths while labels are shaken, and where a hop goes on with the true ones
JUMPS = 0.5, 0.3  # by how much labels are shaken in turn, over the root mean square of the residuals
POLISH = {"squared": 2, "logistic": 6}  # last steps over n_steps; nearly separable labels ask for more
GO_ON, START, SHAKE, SETTLE, SHARPEN, CHECK = range(6)  # what happens before a step


class Plan(NamedTuple):
    """For each of T steps: the width, what happens before it, with which start or shake, and whether the result competes."""

    width: np.ndarray
    event: np.ndarray
    number: np.ndarray
    competes: np.ndarray


class Search(NamedTuple):
    """Where the search is, the labels it sees, and the best so far with its value."""

    layers: Layers
    damping: Float[Array, ""]
    labels: Float[Array, "K m"]
    best: Layers
    best_value: Float[Array, ""]


class Found(NamedTuple):
    """layers: at the end of the plan. fall: see `newton_step`. spread: worst over best value of the starts, minus one."""

    layers: Layers
    fall: Float[Array, ""]
    spread: Float[Array, ""]


def make_plan(activation: str, loss: str, n_steps: int, n_starts: int, n_hops: int) -> Plan:
    """Linear units have no kinks: nothing to smooth, nowhere to hop."""
    if activation == "identity":
        stages = [_stage(START, i, np.zeros(3 * n_steps), competes=True) for i in range(n_starts)]
        stages += [_stage(SHARPEN, 0, np.zeros(1)), _stage(CHECK, 0, np.zeros(1))]
    else:
        few = max(2, n_steps // 3)
        stages = [_stage(START, i, np.geomspace(WIDE, ROUGH, n_steps), competes=True) for i in range(n_starts)]
        for hop in range(n_hops):
            stages += [_stage(SHAKE, hop, np.geomspace(SHAKEN, CALM, few))]
            stages += [_stage(SETTLE, hop, np.geomspace(CALM, ROUGH, few), competes=True)]
        stages += [_stage(SHARPEN, 0, np.geomspace(ROUGH, SHARP, POLISH[loss] * n_steps)), _stage(CHECK, 0, np.full(1, SHARP))]
    return Plan(*(np.concatenate(parts) for parts in zip(*stages, strict=True)))


def _stage(event: int, number: int, widths: np.ndarray, competes: bool = False) -> Plan:
    first = np.arange(len(widths)) == 0
    return Plan(widths, np.where(first, event, GO_ON), np.full(len(widths), number), first[::-1] & competes)


def search(network: Network, rows: Rows, starts: Layers, plan: Plan, key: Key[Array, ""]) -> Found:
    """Follow the plan. starts: balanced layers with a leading axis over starts."""
    dtype, n_shakes = rows.X.dtype, 1 + int(plan.number.max())
    sizes = np.resize(JUMPS, n_shakes).astype(dtype)[:, None, None]
    shakes = sizes * normal(key, (n_shakes, *rows.y.shape), dtype) / jnp.sqrt(jnp.sum(rows.used))

    def step(state: Search, now: Plan):
        happens = lambda *events: jnp.isin(now.event, np.array(events))
        layers = _either(happens(START), jax.tree.map(lambda leaf: leaf[now.number], starts), state.layers)
        layers = _either(happens(SHAKE, SHARPEN), state.best, layers)
        labels = jnp.where(happens(START, SETTLE, SHARPEN), rows.y, state.labels)
        labels = jnp.where(happens(SHAKE), rows.y + jnp.sqrt(state.best_value) * shakes[now.number], labels)
        fresh = jnp.where(happens(CHECK), LEAST_DAMPING, DAMPING)
        damping = jnp.where(happens(GO_ON), state.damping, fresh)
        seen = Rows(rows.X, labels, rows.used)
        layers, damping, value, fall = newton_step(network, seen, layers, damping, jnp.asarray(now.width, dtype))
        wins = now.competes & (value < state.best_value)
        best, best_value = _either(wins, layers, state.best), jnp.where(wins, value, state.best_value)
        return Search(layers, damping, labels, best, best_value), (value, fall)

    first = jax.tree.map(lambda leaf: leaf[0], starts)
    state = Search(first, jnp.asarray(DAMPING, dtype), rows.y, first, jnp.asarray(jnp.inf, dtype))
    state, (values, falls) = jax.lax.scan(step, state, jax.tree.map(jnp.asarray, plan))
    ends = values[np.flatnonzero(plan.competes)[: starts.heads.shape[0]]]
    floor = jnp.finfo(dtype).eps * jnp.sum(jnp.where(rows.used, rows.y**2, 0))
    spread = (largest_of(ends) - smallest_of(ends)) / jnp.maximum(smallest_of(ends), floor)
    return Found(state.layers, falls[-1], spread)


def _either(condition, yes: Layers, no: Layers) -> Layers:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
