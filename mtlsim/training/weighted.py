"""Training with task weights: gradient steps of a shared layer and heads under any scheme, as one scan."""

from collections.abc import Sequence
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from mtlsim.core.checks import is_whole, require, require_bool, require_choice, require_one
from mtlsim.core.keys import stream
from mtlsim.core.status import Status, flag, worst
from mtlsim.samples.data import Rows
from mtlsim.samples.moments import Moments, stack
from mtlsim.solvers.network import Layers
from mtlsim.solvers.task_gradients import (
    TaskGradients,
    batch_of,
    facts_of,
    linear_gradients,
    mean_moments,
    population_gradients,
    relu_gradients,
    require_finite_tasks,
)
from mtlsim.tasks.relu import ReluPopulation
from mtlsim.training.engine import OPTIMISERS, check_records, is_broken, make_optimiser, move, unknown_where, walk
from mtlsim.weighting import FLOOR, Scheme, Signals, normalise

HEADS = ("weighted", "unweighted")
MOVING = 0.02  # relative slope from which training has not settled: below, losses are within 0.4 % of the optimum (measured)
AT_KINKS = 0.1  # the same of ReLU units, whose slopes need not vanish at an optimum
AT_REST = 1e-9  # the same over all energies


class WeightedTraining(eqx.Module):
    """How tasks are trained under weights; all of it is recorded in a sweep's settings.

    optimiser: "sgd" or "adam". n_steps, learning_rate: with `decay` the rate falls to zero along a half cosine, without which
    schemes that fix the length of a step do not settle. start_size: entries of B and A start at start_size * N(0, 1) /
    sqrt(fan-in); zero heads would leave no gradient in B. heads: "weighted" heads descend the weighted losses (the papers'
    form), "unweighted" ones their own (released code of MGDA and GradNorm). normalized: divide weights by their mean, so that
    one learning rate serves all schemes. batch: rows of each task in a step, drawn with replacement; None means all. Moments
    have no rows to draw.

    >>> mtl.WeightedTraining("sgd", n_steps=1000, learning_rate=0.1).n_steps
    1000
    """

    optimiser: str = eqx.field(default="adam", static=True)
    n_steps: int = eqx.field(default=2000, static=True)
    learning_rate: Array | float = 0.02
    start_size: Array | float = 0.3
    decay: bool = eqx.field(default=True, static=True)
    heads: str = eqx.field(default="weighted", static=True)
    normalized: bool = eqx.field(default=True, static=True)
    batch: int | None = eqx.field(default=None, static=True)

    def __check_init__(self):
        require_choice(self.optimiser, OPTIMISERS, "optimiser")
        require_choice(self.heads, HEADS, "heads")
        require_bool(self.decay, "decay")
        require_bool(self.normalized, "normalized")
        for name, value in (("n_steps", self.n_steps), ("batch", 1 if self.batch is None else self.batch)):
            whole = is_whole(value) and value >= 1
            require(whole, name, "a whole number >= 1", repr(value), "leave it out")
        for name in ("learning_rate", "start_size"):
            require_one(getattr(self, name), lambda s: (s > 0) & np.isfinite(s), name, "a number > 0", "use 0.02")


class Path(eqx.Module):
    """Layers after T equally spaced steps, the last one included, their unweighted losses, and the weights of those steps."""

    losses: Float[Array, "*T K"]
    weights: Float[Array, "*T K"]
    shared: Float[Array, "*T d r"]
    heads: Float[Array, "*T K r"]


class WeightedSolution(eqx.Module):
    """B (d, r), A (K, r), the unweighted losses (K,) there, and what the scheme did: its last weights (K,), their mean over the
    second half of training, how many floors fired in all, and the path. Training that diverged, or saw NaN, has a status and NaN,
    training whose losses still fell at its end has the status `not_converged`;
    raw weights that are zero for every task while there is something to learn have the status `degenerate`.
    """

    shared: Float[Array, "d r"]
    heads: Float[Array, "K r"]
    losses: Float[Array, " K"]
    weights: Float[Array, " K"]
    weights_mean: Float[Array, " K"]
    n_floored: Int[Array, ""]
    path: Path
    status: Int[Array, ""]


def train_weighted(
    tasks: Moments | Sequence[Moments] | Rows | ReluPopulation,
    scheme: Scheme,
    rank: int,
    training: WeightedTraining,
    key: Key[Array, ""],
    n_records: int = 1,
) -> WeightedSolution:
    """Minimise sum_k w_k L_k, L_k the mean squared error of task k, while `scheme` chooses w from what it sees at every step.

    tasks: K tasks as `Moments`, stacked or in a sequence (linear units; the cost does not depend on the number of rows), as `Rows`
    (ReLU units), or the population of ReLU tasks with Gaussian rows itself. rank: r.
    n_records: T, a divisor of n_steps. Weights pass through stop_gradient.
    Raises ValueError for options that do not fit, and for NaN or infinity in tasks that are not traced.

    >>> rng = np.random.default_rng(0)
    >>> X1, X2 = rng.normal(size=(50, 3)), rng.normal(size=(20, 3))
    >>> source, target = mtl.Moments.from_data(X1, X1.sum(1)), mtl.Moments.from_data(X2, X2.sum(1))
    >>> from mtlsim.weighting import find_scheme
    >>> training = mtl.WeightedTraining(n_steps=20)
    >>> found = mtl.train_weighted([source, target], find_scheme("equal")(), 1, training, jax.random.key(0))
    >>> found.weights.shape
    (2,)
    """
    tasks = tasks if isinstance(tasks, (Rows, ReluPopulation)) else stack(tasks)
    whole = is_whole(rank) and rank >= 1
    require(whole, "rank", "a whole number >= 1", repr(rank), "use 1 to force sharing")
    check_records(n_records, training.n_steps)
    has_rows = isinstance(tasks, Rows) or training.batch is None
    require(has_rows, "batch", "left out for moments and populations", training.batch, "pass rows, or leave it out")
    require_finite_tasks(tasks)
    return _train(tasks, scheme, int(rank), training, key, n_records)


@partial(jax.jit, static_argnames=("rank", "n_records"))
def _train(tasks, scheme: Scheme, rank: int, training: WeightedTraining, key, n_records: int) -> WeightedSolution:
    see = _view(tasks)
    layers = _start(tasks, rank, training, key)
    method = make_optimiser(training.optimiser, training.learning_rate, training.n_steps if training.decay else None)

    def step(state, t):
        layers, memory, opinion, total, n_floored = state
        seen = see(layers) if training.batch is None else relu_gradients(batch_of(tasks, training.batch, key, t), layers)
        weights, opinion, fired = scheme.weights(Signals(seen.losses, seen.gram, t), opinion)
        weights = jax.lax.stop_gradient(normalise(weights) if training.normalized else weights)
        heads = seen.heads * weights[:, None] if training.heads == "weighted" else seen.heads
        layers, memory = move(method, Layers(seen.mix(weights), heads), memory, layers)
        total = total + jnp.where(2 * t >= training.n_steps - 1, weights, 0)
        n_floored = n_floored + jnp.asarray(fired, jnp.int32)
        return (layers, memory, opinion, total, n_floored), weights

    facts = facts_of(tasks, see(layers), rank)._replace(key=stream(key, "weights"))
    none = jnp.zeros((), jnp.int32)
    state = (layers, method.init(layers), scheme.init(facts), jnp.zeros_like(facts.losses), none)
    look = lambda state, weights: Path(see(state[0]).losses, weights, *state[0])
    (layers, _, _, total, n_floored), path = walk(step, state, training.n_steps, n_records, look)
    losses = path.losses[-1]
    broken = is_broken(losses)
    unknown = unknown_where(broken)
    seen = see(layers)
    learned = jnp.all(jnp.diagonal(seen.gram) <= FLOOR**2)
    stuck = jnp.all(total == 0) & ~learned
    moving = _is_moving(seen, layers, path.weights[-1], see, MOVING if isinstance(tasks, Moments) else AT_KINKS)
    mean = total / (training.n_steps - training.n_steps // 2)
    return WeightedSolution(
        layers.shared + unknown,
        layers.heads + unknown,
        losses + unknown,
        path.weights[-1] + unknown,
        mean + unknown,
        n_floored,
        path,
        worst(flag(broken | moving, Status.not_converged), flag(stuck, Status.degenerate)),
    )


def _is_moving(seen: TaskGradients, layers: Layers, weights: Float[Array, " K"], see, share: float) -> Bool[Array, ""]:
    """Whether the last weighted losses still fall: their slopes times the size of the layers, over a share of those of zero layers.

    A scheme that has given all weight to a task without a signal is at rest.
    """
    slopes = Layers(seen.mix(weights), weights[:, None] * seen.heads)
    fall = sum(jnp.linalg.norm(slope) * jnp.linalg.norm(layer) for slope, layer in zip(slopes, layers, strict=True))
    energies = see(jax.tree.map(jnp.zeros_like, layers)).losses
    return fall > jnp.maximum(share * jnp.sum(weights * energies), AT_REST * jnp.sum(weights) * jnp.mean(energies))


def _view(tasks: Moments | Rows | ReluPopulation):
    """Losses and gradients of these tasks, as a function of the layers."""
    if isinstance(tasks, Moments):
        return partial(linear_gradients, mean_moments(tasks))
    return partial(relu_gradients if isinstance(tasks, Rows) else population_gradients, tasks)


def _start(tasks: Moments | Rows | ReluPopulation, rank: int, training: WeightedTraining, key: Key[Array, ""]) -> Layers:
    across = tasks.cross if isinstance(tasks, Moments) else tasks.X[:, 0] if isinstance(tasks, Rows) else tasks.parameters
    (n_tasks, d), dtype = across.shape, across.dtype
    drawn = jax.random.normal(stream(key, "start"), ((d + n_tasks) * rank,), dtype).reshape(-1, rank)
    size = jnp.asarray(training.start_size, dtype)
    return Layers(size * drawn[:d] / np.sqrt(d), size * drawn[d:] / np.sqrt(rank))
