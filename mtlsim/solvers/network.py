"""A shared layer of r units with a head for each task, fitted to rows by damped Gauss-Newton steps from several starts.

Task i's output is g(x'B) A_i with B (d, r), A_i (r,), and g the identity or ReLU. The objective is

    sum_i w_i [ sum_n loss(g(x_n'B) A_i, y_n) + ridge_i sum_k A_ik^2 |B_k|^2 ],

with the squared loss (f - y)^2 or the logistic loss log(1 + exp(-y f)) for labels -1 and 1. Every step solves the Gauss-Newton
system of B and all heads with a damping that falls after a success and rises after a failure; the number of steps is fixed, so
that batched problems do not wait for the slowest. A step never raises the objective.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mtlsim.core.extremes import largest_of
from mtlsim.core.linalg import multiply, solve_positive
from mtlsim.samples.data import Rows

DAMPING, LEAST_DAMPING = 1e-2, 1e-12
FALL, RISE = 0.1, 8.0
NOTHING = 1e-9  # of the labels' energy: less than this counts as fitted


class Network(eqx.Module):
    """What is fitted: the unit, the loss, and per task the weights w (K,) and ridges (K,)."""

    weights: Float[Array, " K"]
    ridge: Float[Array, " K"]
    activation: str = eqx.field(static=True)  # "identity" or "relu"
    loss: str = eqx.field(static=True)  # "squared" or "logistic"


class Layers(NamedTuple):
    """B (d, r) and A (K, r)."""

    shared: Float[Array, "d r"]
    heads: Float[Array, "K r"]


def activate(network: Network, scores: Float[Array, "..."], width: Float[Array, ""] | float = 0.0) -> Float[Array, "..."]:
    """g of the scores; a ReLU of positive width is width * softplus(score / width)."""
    if network.activation == "identity":
        return scores
    safe = jnp.where(width > 0, width, 1)
    return jnp.where(width > 0, safe * jax.nn.softplus(scores / safe), jax.nn.relu(scores))


def outputs(network: Network, rows: Rows, layers: Layers, width: Float[Array, ""] | float = 0.0) -> Float[Array, "K m"]:
    """g(XB) A of every row."""
    units = activate(network, multiply(rows.X, layers.shared), width)
    return jnp.einsum("kmr,kr->km", units, layers.heads, precision="highest")


def _losses(network: Network, f, y):
    return (f - y) ** 2 if network.loss == "squared" else jax.nn.softplus(-y * f)


def objective(network: Network, rows: Rows, layers: Layers, width: Float[Array, ""] | float = 0.0) -> Float[Array, ""]:
    """The objective at the head of this module."""
    losses = jnp.sum(jnp.where(rows.used, _losses(network, outputs(network, rows, layers, width), rows.y), 0), -1)
    sizes = multiply(layers.heads**2, jnp.sum(layers.shared**2, 0))
    return jnp.sum(network.weights * (losses + network.ridge * sizes))


def _system(network: Network, rows: Rows, layers: Layers, width: Float[Array, ""]):
    """Gradient (P,) and matrix (P, P) of a step in (B, A) at balanced layers, P = r d + K r."""
    (n_tasks, n_rows, d), rank = rows.X.shape, layers.shared.shape[1]
    scores = multiply(rows.X, layers.shared)
    units = activate(network, scores, width)
    active, sharp = jnp.ones_like(scores), jnp.zeros_like(scores)
    if network.activation == "relu":
        safe = jnp.where(width > 0, width, 1)
        active = jnp.where(width > 0, jax.nn.sigmoid(scores / safe), scores > 0)
        sharp = jnp.where(width > 0, active * (1 - active) / safe, 0)
    f = jnp.einsum("kmr,kr->km", units, layers.heads, precision="highest")
    if network.loss == "squared":
        slope, bend = 2 * (f - rows.y), jnp.full_like(f, 2.0)
    else:
        odds = jax.nn.sigmoid(-rows.y * f)
        slope, bend = -rows.y * odds, odds * (1 - odds)
    importance = jnp.where(rows.used, network.weights[:, None], 0)
    slope, bend = (slope * importance)[..., None], (bend * importance)[..., None]
    decay, lengths = 2 * (network.weights * network.ridge)[:, None], jnp.sum(layers.shared**2, 0)
    heads = layers.heads[:, None, :]
    gates = active * heads
    corner = jnp.maximum(slope * heads * sharp, 0)  # of the kinks that hold the optimum
    flat = lambda array: array.reshape(n_tasks * n_rows, -1)
    shrink = jnp.sum(decay * layers.heads**2, 0)  # (r,)
    across = _curvature(flat(rows.X), flat(gates), flat(bend), flat(corner)) + jnp.diag(jnp.repeat(shrink, d))
    pull = multiply(rows.X.mT, slope * gates).sum(0) + shrink * layers.shared  # (d, r)
    # how B and the heads of a task bend together: (K, r of B, d, r of A)
    bent = bend * units
    cross = jnp.einsum("kmi,kma,kmj->kiaj", gates, rows.X, bent, precision="highest")
    units_of = jnp.arange(rank)
    cross = cross.at[:, units_of, :, units_of].add((decay * layers.heads).T[..., None] * layers.shared.T[:, None])
    own = multiply(units.mT, bent) + decay[..., None] * jnp.diag(lengths)
    push = jnp.sum(slope * units, 1) + decay * layers.heads * lengths
    cross = jnp.moveaxis(cross, 0, 2).reshape(rank * d, n_tasks * rank)
    matrix = jnp.block([[across, cross], [cross.T, jax.scipy.linalg.block_diag(*own)]])
    return _along_sphere(layers.shared, jnp.concatenate([pull.T.ravel(), push.ravel()]), matrix)


def _curvature(X: Float[Array, "n d"], gates: Float[Array, "n r"], bend: Float[Array, "n 1"], corner: Float[Array, "n r"]):
    """Second derivatives in B, unit by unit: sum_n x_n x_n' (bend_n gates_n gates_n' + diag(corner_n)), (r d, r d)."""
    rank = gates.shape[1]
    if rank == 1:
        return multiply(X.T, (bend * gates**2 + corner) * X)
    moved = (gates[:, :, None] * X[:, None]).reshape(len(X), -1)
    own = jnp.einsum("na,ni,nb->iab", X, corner, X, precision="highest")
    return multiply(moved.T, bend * moved) + jax.scipy.linalg.block_diag(*own)


def _along_sphere(shared: Float[Array, "d r"], gradient: Float[Array, " p"], matrix: Float[Array, "p p"]):
    """Both with the directions taken out that only lengthen a column of B: its head does that as well."""
    (d, rank), size = shared.shape, gradient.shape[0]
    radial = jnp.zeros((size, rank), shared.dtype)
    for k in range(rank):
        radial = radial.at[k * d : (k + 1) * d, k].set(shared[:, k])
    pressed = multiply(matrix, radial)
    inner = multiply(radial.T, pressed)
    outer = multiply(radial, pressed.T)
    held = jnp.trace(matrix) / size
    matrix = matrix - outer - outer.T + multiply(radial, inner + held * jnp.eye(rank), radial.T)
    return gradient - multiply(radial, multiply(radial.T, gradient)), matrix


def balanced(layers: Layers) -> Layers:
    """The same function with columns of B of length one; a unit of length zero is left alone."""
    lengths = jnp.linalg.norm(layers.shared, axis=0)
    lengths = jnp.where(lengths > 0, lengths, 1)
    return Layers(layers.shared / lengths, layers.heads * lengths)


def newton_step(network: Network, rows: Rows, layers: Layers, damping: Float[Array, ""], width: Float[Array, ""]):
    """One damped step from balanced layers: the layers that are better, the next damping, their objective, and the fall.

    fall: what the step promised, g'(H + damping)^-1 g / 2, over the objective (or `NOTHING` of the labels' energy, if that is
    more): 0 at an optimum.
    """
    (n_tasks, _, d), rank = rows.X.shape, layers.shared.shape[1]
    value = objective(network, rows, layers, width)
    gradient, matrix = _system(network, rows, layers, width)
    move = solve_positive(_raised(matrix, damping), gradient)
    energy = jnp.sum(network.weights[:, None] * jnp.where(rows.used, rows.y**2, 0))
    size = jnp.maximum(value, NOTHING * energy)
    fall = multiply(gradient, move) / 2 / jnp.where(size > 0, size, 1)
    shared = layers.shared - move[: rank * d].reshape(rank, d).T
    tried = balanced(Layers(shared, layers.heads - move[rank * d :].reshape(n_tasks, rank)))
    reached = objective(network, rows, tried, width)
    better = reached < value
    layers = jax.tree.map(lambda a, b: jnp.where(better, a, b), tried, layers)
    damping = jnp.maximum(damping * jnp.where(better, FALL, RISE), LEAST_DAMPING)
    return layers, damping, jnp.where(better, reached, value), fall


def descend(network: Network, rows: Rows, layers: Layers, widths: Float[Array, " n"]) -> Layers:
    """A damped Newton step for each width in turn."""

    def step(state, width):
        layers, damping, _, _ = newton_step(network, rows, *state, width)
        return (layers, damping), None

    start = (balanced(layers), jnp.asarray(DAMPING, layers.shared.dtype))
    (layers, _), _ = jax.lax.scan(step, start, widths)
    return layers


def predicted_fall(network: Network, rows: Rows, layers: Layers, width: Float[Array, ""] | float = 0.0) -> Float[Array, ""]:
    """The fall of `newton_step` with hardly any damping."""
    least, width = (jnp.asarray(value, layers.shared.dtype) for value in (LEAST_DAMPING, width))
    return newton_step(network, rows, balanced(layers), least, width)[3]


def _raised(matrix: Float[Array, "p p"], damping: Float[Array, ""] | float) -> Float[Array, "p p"]:
    """The matrix with its diagonal raised by a share; directions that change nothing get a little."""
    diagonal = jnp.diagonal(matrix)
    return matrix + jnp.diag(damping * jnp.maximum(diagonal, 1e-8 * largest_of(diagonal) + jnp.finfo(diagonal.dtype).tiny))
