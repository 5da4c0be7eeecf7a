"""Fitting a network: which starts, how many steps, and what is reported about them."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from mtlsim.core.checks import is_concrete, is_whole, require, require_choice, require_one
from mtlsim.core.keys import normal, stream
from mtlsim.core.linalg import multiply
from mtlsim.core.status import Status, flag, worst
from mtlsim.samples.data import Rows
from mtlsim.solvers.continuation import make_plan, search
from mtlsim.solvers.network import Layers, Network, activate, balanced, objective, predicted_fall
from mtlsim.training.engine import OPTIMISERS, make_optimiser, move, walk

WAYS = ("newton", *OPTIMISERS)
HUGE = 1e4  # outputs over labels, beyond which a head runs off
SETTLED = 1e-6  # relative fall that one more step would bring, below which a fit has converged


class Training(eqx.Module):
    """How a network is trained; all of it is recorded in a sweep's settings.

    "newton" looks for the optimum (`mtlsim.solvers.continuation`): with ReLU, n_steps steps from each of the starts chosen for it
    (the tasks' own least-squares directions and their mixture) and of n_starts random ones, n_hops hops, and 2 n_steps steps
    to the end (6 for the logistic loss). Linear units take 3 n_steps steps from each start and no hops. "sgd" and "adam" run
    n_steps full-batch steps of the loss per row from one random start of B and A with entries
    start_size * N(0, 1) / sqrt(fan-in), and stop there: start size, learning rate and the number of steps then decide what is
    found among many answers.

    >>> training = mtl.Training("adam", n_steps=200, start_size=0.1)
    >>> mtl.Transfer(mtl.ReluTasks(3, (40, 20)), rank=2, training=training).rank
    2
    """

    optimiser: str = eqx.field(default="newton", static=True)
    n_steps: int = eqx.field(default=25, static=True)
    n_starts: int = eqx.field(default=0, static=True)
    n_hops: int = eqx.field(default=8, static=True)
    learning_rate: Array | float = 0.05
    start_size: Array | float = 1.0

    def __check_init__(self):
        require_choice(self.optimiser, WAYS, "optimiser")
        for name in ("n_steps", "n_starts", "n_hops"):
            whole = is_whole(getattr(self, name))
            require(whole, name, "a whole number", repr(getattr(self, name)), "leave it out")
        require(self.n_steps >= 1, "n_steps", "at least 1", self.n_steps, "use 25, or some thousands for sgd")
        require(self.n_starts >= 0, "n_starts", "at least 0", self.n_starts, "use 0")
        require(self.n_hops >= 0, "n_hops", "at least 0", self.n_hops, "use 8")
        for name in ("learning_rate", "start_size"):
            require_one(getattr(self, name), lambda s: (s > 0) & np.isfinite(s), name, "a number > 0", "use 0.05")


class NetworkSolution(eqx.Module):
    """B (d, r) and A (K, r) of the best start, and what is known: no proof, but how flat the place is and how starts agree.

    fall: see `mtlsim.solvers.network.predicted_fall`. spread: worst over best objective of the starts, minus one.
    """

    shared: Float[Array, "d r"]
    heads: Float[Array, "K r"]
    loss: Float[Array, ""]
    fall: Float[Array, ""]
    spread: Float[Array, ""]
    status: Int[Array, ""]


def solve_network(network: Network, rows: Rows, rank: int, training: Training, key: Key[Array, ""]) -> NetworkSolution:
    """Fit by `training`. A fit that has not settled says so in its status (sgd and adam are not asked to settle).

    Raises ValueError for labels other than -1 and 1 with the logistic loss.
    """
    if network.loss == "logistic" and is_concrete(rows.y):
        labels = np.asarray(rows.y)[np.asarray(rows.used)]
        require(np.isin(labels, (-1, 1)).all(), "labels", "-1 and 1", np.unique(labels)[:4], "use 2 * y - 1 for labels 0 and 1")
    return _solve(network, rows, rank, training, key)


@partial(jax.jit, static_argnames="rank")
def _solve(network: Network, rows: Rows, rank: int, training: Training, key: Key[Array, ""]) -> NetworkSolution:
    if training.optimiser != "newton":
        layers = _train(network, rows, rank, training, key)
        loss, spread = objective(network, rows, layers), jnp.zeros((), rows.X.dtype)
        fall = predicted_fall(network, rows, layers)
        return NetworkSolution(*layers, loss, fall, spread, flag(~jnp.isfinite(loss), Status.not_converged))
    starts = _starts(network, rows, rank, training.n_starts, key)
    n_starts = starts.heads.shape[0]
    plan = make_plan(network.activation, network.loss, training.n_steps, n_starts, training.n_hops)
    layers, fall, spread = search(network, rows, starts, plan, stream(key, "hops"))
    loss = objective(network, rows, layers)
    status = worst(flag(fall > SETTLED, Status.not_converged), flag(~jnp.isfinite(loss), Status.ill_conditioned))
    status = jnp.where(_runs_off(network, rows, layers), int(Status.degenerate), status)  # and then nothing can settle
    return NetworkSolution(*layers, loss, fall, spread, status)


def _runs_off(network: Network, rows: Rows, layers: Layers) -> Bool[Array, ""]:
    """Whether a head fits rows on which its unit is hardly on: with ever larger ones the squared loss falls on, to no end."""
    count = jnp.maximum(jnp.sum(rows.used, 1), 1)
    scores = jnp.sqrt(jnp.sum(multiply(rows.X, layers.shared) ** 2, 1) / count[:, None])
    labels = jnp.sqrt(jnp.sum(jnp.where(rows.used, rows.y**2, 0), 1) / count)
    return jnp.any(jnp.abs(layers.heads) * scores > HUGE * labels[:, None]) & (network.loss == "squared")


def _starts(network: Network, rows: Rows, rank: int, n_random: int, key: Key[Array, ""]) -> Layers:
    """Shared layers with their heads: of rank one the tasks' own directions and their weighted sum; else their span."""
    n_tasks, _, d = rows.X.shape
    own = _own_directions(network, rows)
    random = normal(stream(key, "starts"), (n_random, d, rank), own.dtype)
    if rank == 1:
        amounts = jnp.sqrt(network.weights * jnp.sum(jnp.where(rows.used, rows.y**2, 0), -1))
        mixed = multiply(amounts, own)[None] if n_tasks > 1 else own[:0]
        chosen = jnp.concatenate([own, mixed])[:, :, None]
    else:
        span = jnp.linalg.svd(own.T, full_matrices=False)[0][:, :rank] if rank < n_tasks else own.T
        filler = normal(stream(key, "filler"), (d, rank - span.shape[1]), own.dtype) / jnp.sqrt(d)
        chosen = jnp.concatenate([span, filler], 1)[None]
    return jax.lax.map(lambda shared: _with_heads(network, rows, shared), jnp.concatenate([chosen, random]))


def _own_directions(network: Network, rows: Rows) -> Float[Array, "K d"]:
    """Unit directions of the tasks' least squares, each turned to the side on which one unit fits better."""
    grams, sides = multiply(rows.X.mT, rows.X), multiply(rows.X.mT, rows.y[..., None])
    tiny = 1e-6 * jnp.trace(grams, axis1=1, axis2=2) / grams.shape[-1] + jnp.finfo(grams.dtype).tiny
    directions = jnp.linalg.solve(grams + tiny[:, None, None] * jnp.eye(grams.shape[-1]), sides)[..., 0]
    lengths = jnp.linalg.norm(directions, axis=1, keepdims=True)
    directions = directions / jnp.where(lengths > 0, lengths, 1)
    scores = multiply(rows.X, directions[..., None])[..., 0]
    explained = []
    for side in (1, -1):  # rows that are not used have score 0 and label 0
        units = activate(network, side * scores)
        energy = jnp.sum(units**2, 1)
        explained.append(jnp.sum(units * rows.y, 1) ** 2 / jnp.where(energy > 0, energy, 1))
    return jnp.where(explained[0] >= explained[1], 1, -1)[:, None] * directions


def _with_heads(network: Network, rows: Rows, shared: Float[Array, "d r"]) -> Layers:
    """The layer, balanced, with each task's least-squares heads; a unit that no row reaches gets none."""
    layers = balanced(Layers(shared, jnp.zeros((rows.X.shape[0], shared.shape[1]), shared.dtype)))
    units = jnp.where(rows.used[..., None], activate(network, multiply(rows.X, layers.shared)), 0)
    grams, sides = multiply(units.mT, units), multiply(units.mT, rows.y[..., None])
    tiny = 1e-9 * jnp.trace(grams, axis1=1, axis2=2) + jnp.finfo(grams.dtype).tiny
    return Layers(layers.shared, jnp.linalg.solve(grams + tiny[:, None, None] * jnp.eye(shared.shape[1]), sides)[..., 0])


@partial(jax.jit, static_argnames="rank")
def train_layers(network: Network, rows: Rows, rank: int, training: Training, key: Key[Array, ""]) -> Layers:
    """The layers that "sgd" or "adam" reach, without what `solve_network` says of them, which takes long with many features."""
    return _train(network, rows, rank, training, key)


def _train(network: Network, rows: Rows, rank: int, training: Training, key: Key[Array, ""]) -> Layers:
    n_tasks, _, d = rows.X.shape
    size = jnp.asarray(training.start_size, rows.X.dtype)
    shared = size * normal(stream(key, "start"), (d, rank), rows.X.dtype) / np.sqrt(d)
    heads = size * normal(stream(key, "start", 1), (n_tasks, rank), rows.X.dtype) / np.sqrt(rank)
    method = make_optimiser(training.optimiser, training.learning_rate)
    count = jnp.sum(rows.used)

    def step(state, _):
        layers, memory = state
        slopes = jax.grad(lambda layers: objective(network, rows, layers) / count)(layers)
        return move(method, slopes, memory, layers), None

    layers = Layers(shared, heads)
    (layers, _), _ = walk(step, (layers, method.init(layers)), training.n_steps, 1, lambda state, shown: None)
    return layers
