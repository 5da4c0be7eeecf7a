"""Fitting a network: which starts, how many steps, and what is reported about them."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key

from mtlsim.core.checks import require, require_all, require_choice
from mtlsim.core.keys import stream
from mtlsim.core.linalg import multiply
from mtlsim.core.status import Status, flag, worst
from mtlsim.samples.data import Rows
from mtlsim.solvers.network import Layers, Network, activate, balanced, descend, objective, predicted_fall

OPTIMISERS = {"newton": None, "sgd": optax.sgd, "adam": optax.adam}
WIDE, ROUGH, SHARP = 1.0, 1e-3, 1e-7  # widths of a smoothed ReLU at a start, at the end of a search, and of the answer
SHAKEN, CALM = 0.3, 0.1  # widths while labels are shaken, and where a hop goes on with the true ones
JUMP = 0.5  # by how much labels are shaken, over the root mean square of the residuals
SETTLED = 1e-6  # relative fall that one more step would bring, below which a fit has converged


class Training(eqx.Module):
    """How a network is trained; all of it is recorded in a sweep's settings.

    "newton" looks for the optimum. With ReLU the objective has many local minima, most of them at kinks; so the units are
    smoothed first and sharpened over n_steps steps, from starts chosen for it (the tasks' own least-squares directions and
    their mixture) and n_starts random ones; then n_hops times the labels are shaken, the units smoothed a little, and both
    brought back, and the result is kept if better. (Linear units take 3 n_steps steps and no hops.) "sgd" and "adam" run
    n_steps full-batch steps of the loss per row from one random start of B and A with entries
    start_size * N(0, 1) / sqrt(fan-in), and stop there: start size, learning rate and the number of steps then decide what is
    found among many answers.
    """

    optimiser: str = eqx.field(default="newton", static=True)
    n_steps: int = eqx.field(default=25, static=True)
    n_starts: int = eqx.field(default=0, static=True)
    n_hops: int = eqx.field(default=8, static=True)
    learning_rate: Array | float = 0.05
    start_size: Array | float = 1.0

    def __check_init__(self):
        require_choice(self.optimiser, OPTIMISERS, "optimiser")
        for name in ("n_steps", "n_starts", "n_hops"):
            whole = isinstance(getattr(self, name), (int, np.integer))
            require(whole, name, "a whole number", repr(getattr(self, name)), "leave it out")
        require(self.n_steps >= 1, "n_steps", "at least 1", self.n_steps, "use 25, or some thousands for sgd")
        require(self.n_starts >= 0, "n_starts", "at least 0", self.n_starts, "use 0")
        require(self.n_hops >= 0, "n_hops", "at least 0", self.n_hops, "use 8")
        for name in ("learning_rate", "start_size"):
            require_all(getattr(self, name), lambda s: (s > 0) & np.isfinite(s), name, "a number > 0", "use 0.05")


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


@partial(jax.jit, static_argnames="rank")
def solve_network(network: Network, rows: Rows, rank: int, training: Training, key: Key[Array, ""]) -> NetworkSolution:
    """Fit by `training`. A fit that has not settled says so in its status (sgd and adam are not asked to settle)."""
    if training.optimiser != "newton":
        layers = _train(network, rows, rank, training, key)
        loss, spread = objective(network, rows, layers), jnp.zeros((), rows.X.dtype)
        fall = predicted_fall(network, rows, layers)
        return NetworkSolution(*layers, loss, fall, spread, flag(~jnp.isfinite(loss), Status.not_converged))
    if network.activation == "identity":  # no kinks: nothing to smooth, nowhere to hop
        first, last = jnp.zeros(3 * training.n_steps), jnp.zeros(1)
    else:
        first, last = jnp.geomspace(WIDE, ROUGH, training.n_steps), jnp.geomspace(ROUGH, SHARP, 2 * training.n_steps)
    shaken, calm = (jnp.geomspace(*ends, max(2, training.n_steps // 3)) for ends in ((SHAKEN, CALM), (CALM, ROUGH)))
    starts = _starts(network, rows, rank, training.n_starts, key)

    def follow(shared, widths):
        layers = descend(network, rows, _with_heads(network, rows, shared), widths)
        return layers, objective(network, rows, layers, widths[-1])

    found, losses = jax.lax.map(lambda shared: follow(shared, first), starts)
    best = jnp.argmin(losses)
    floor = jnp.finfo(losses.dtype).eps * jnp.sum(jnp.where(rows.used, rows.y**2, 0))
    spread = (jnp.max(losses) - losses[best]) / jnp.maximum(losses[best], floor)

    def hop(state, key):
        size = JUMP * jnp.sqrt(state[1] / jnp.sum(rows.used))
        noisy = Rows(rows.X, rows.y + size * jax.random.normal(key, rows.y.shape, rows.y.dtype), rows.used)
        tried = follow(descend(network, noisy, state[0], shaken).shared, calm)
        return jax.tree.map(lambda a, b: jnp.where(tried[1] < state[1], a, b), tried, state), None

    state = jax.tree.map(lambda leaf: leaf[best], (found, losses))
    if network.activation == "relu" and training.n_hops > 0:
        state, _ = jax.lax.scan(hop, state, jax.random.split(stream(key, "hops"), training.n_hops))
    layers = descend(network, rows, state[0], last)
    loss, fall = objective(network, rows, layers), predicted_fall(network, rows, layers, last[-1])
    status = worst(flag(fall > SETTLED, Status.not_converged), flag(~jnp.isfinite(loss), Status.ill_conditioned))
    return NetworkSolution(*layers, loss, fall, spread, status)


def _starts(network: Network, rows: Rows, rank: int, n_random: int, key: Key[Array, ""]) -> Float[Array, "s d r"]:
    """Shared layers: of rank one the tasks' own directions and their weighted sum; else their span."""
    n_tasks, _, d = rows.X.shape
    own = jnp.stack([_own_direction(network, rows[i : i + 1]) for i in range(n_tasks)])
    random = jax.random.normal(stream(key, "starts"), (n_random, d, rank), own.dtype)
    if rank == 1:
        amounts = jnp.sqrt(network.weights * jnp.sum(jnp.where(rows.used, rows.y**2, 0), -1))
        mixed = multiply(amounts, own)[None] if n_tasks > 1 else own[:0]
        chosen = jnp.concatenate([own, mixed])[:, :, None]
    else:
        span = jnp.linalg.svd(own.T, full_matrices=False)[0][:, :rank] if rank < n_tasks else own.T
        filler = jax.random.normal(stream(key, "filler"), (d, rank - span.shape[1]), own.dtype) / jnp.sqrt(d)
        chosen = jnp.concatenate([span, filler], 1)[None]
    return jnp.concatenate([chosen, random])


def _own_direction(network: Network, rows: Rows) -> Float[Array, " d"]:
    """Unit direction of the task's least squares, turned to the side on which one unit fits better."""
    X, y = rows.X[0], rows.y[0]
    gram = multiply(X.T, X)
    tiny = 1e-6 * jnp.trace(gram) / len(gram) + jnp.finfo(gram.dtype).tiny
    direction = jnp.linalg.solve(gram + tiny * jnp.eye(len(gram)), multiply(X.T, y))
    length = jnp.linalg.norm(direction)
    direction = direction / jnp.where(length > 0, length, 1)
    alone = Network(jnp.ones(1, y.dtype), jnp.zeros(1, y.dtype), network.activation, "squared")
    losses = [objective(alone, rows, _with_heads(alone, rows, side * direction[:, None])) for side in (1, -1)]
    return jnp.where(losses[0] <= losses[1], direction, -direction)


def _with_heads(network: Network, rows: Rows, shared: Float[Array, "d r"]) -> Layers:
    """The layer with each task's least-squares heads; a unit that no row reaches gets none."""
    layers = balanced(Layers(shared, jnp.zeros((rows.X.shape[0], shared.shape[1]), shared.dtype)))
    units = jnp.where(rows.used[..., None], activate(network, multiply(rows.X, layers.shared)), 0)
    grams = jnp.einsum("kmr,kms->krs", units, units, precision="highest")
    sides = jnp.einsum("kmr,km->kr", units, rows.y, precision="highest")
    tiny = 1e-9 * jnp.trace(grams, axis1=1, axis2=2) + jnp.finfo(grams.dtype).tiny
    heads = jnp.linalg.solve(grams + tiny[:, None, None] * jnp.eye(shared.shape[1]), sides[..., None])[..., 0]
    return Layers(layers.shared, heads)


def _train(network: Network, rows: Rows, rank: int, training: Training, key: Key[Array, ""]) -> Layers:
    n_tasks, _, d = rows.X.shape
    size = jnp.asarray(training.start_size, rows.X.dtype)
    shared = size * jax.random.normal(stream(key, "start"), (d, rank), rows.X.dtype) / np.sqrt(d)
    heads = size * jax.random.normal(stream(key, "start", 1), (n_tasks, rank), rows.X.dtype) / np.sqrt(rank)
    method = OPTIMISERS[training.optimiser](training.learning_rate)
    count = jnp.sum(rows.used)

    def step(_, state):
        layers, memory = state
        gradient = jax.grad(lambda layers: objective(network, rows, layers) / count)(layers)
        moves, memory = method.update(gradient, memory, layers)
        return optax.apply_updates(layers, moves), memory

    layers = Layers(shared, heads)
    return jax.lax.fori_loop(0, training.n_steps, step, (layers, method.init(layers)))[0]
