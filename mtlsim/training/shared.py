"""Training any architecture: gradient steps of what it declares, from moments where it is linear in x, else from rows."""

from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from mtlsim.core.checks import is_concrete, require, require_choice
from mtlsim.core.keys import stream
from mtlsim.core.status import Status, flag
from mtlsim.core.words import with_article
from mtlsim.samples.data import Rows
from mtlsim.samples.moments import Moments
from mtlsim.sharing import Sharing
from mtlsim.sharing._sharing import Params, Shape, identity
from mtlsim.solvers.task_gradients import batch_of
from mtlsim.training.engine import check_records, is_broken, make_optimiser, move, unknown_where, walk
from mtlsim.training.weighted import AT_REST, WeightedTraining
from mtlsim.weighting import Facts, Scheme, Signals, normalise

SETTLED = 1e-5  # of the objective: more than this must not be gained by one more step against the gradient
STEPS = 2.0 ** -np.arange(0, 40)  # of the length of the parameters
UNITS: dict[str, Callable] = {"identity": identity, "relu": jax.nn.relu}
LOSSES: dict[str, Callable] = {"squared": lambda f, y: (f - y) ** 2, "logistic": lambda f, y: jax.nn.softplus(-y * f)}


class Trained(eqx.Module):
    """The parameters at the end, the tasks' losses summed over rows (K,), the objective, and the losses, objective and parameters
    after T equal parts of training. Training that diverged has a status and NaN, and one whose objective still fell is not
    converged.
    """

    params: Params
    losses: Float[Array, " K"]
    loss: Float[Array, ""]
    path: tuple[Float[Array, "T K"], Float[Array, " T"], Params]
    status: Int[Array, ""]


def losses_of(
    tasks: Moments | Rows, sharing: Sharing, params: Params, activation: str, loss: str = "squared"
) -> Float[Array, " K"]:
    """Sums over rows of every task, of |f_k(X_k) - y_k|^2 or of log(1 + exp(-y_k f_k(X_k)))."""
    if isinstance(tasks, Moments):
        parameters = sharing.linear(params)
        grams = jnp.broadcast_to(tasks.gram, (len(parameters), *tasks.gram.shape[-2:]))
        fitted = jnp.einsum("kd,kde->ke", parameters, grams, precision="highest")
        return tasks.energy + jnp.sum(parameters * (fitted - 2 * tasks.cross), -1)
    unit = UNITS[activation]
    outputs = jnp.stack([sharing.outputs(params, tasks.X[k], k, unit) for k in range(len(tasks.y))])
    return jnp.sum(jnp.where(tasks.used, LOSSES[loss](outputs, tasks.y), 0), -1)


def train_shared(
    tasks: Moments | Rows,
    sharing: Sharing,
    rank: int,
    weights: Float[Array, " K"],
    training: WeightedTraining,
    key: Key[Array, ""],
    activation: str = "identity",
    n_records: int = 1,
    scheme: Scheme | None = None,
    start: Params | None = None,
    loss: str = "squared",
) -> Trained:
    """Descend (sum_k w_k |f_k(X_k) - y_k|^2 + penalty) / rows of all tasks, from `start` or the one that the architecture declares.

    loss: "squared", or "logistic" in its place, of labels -1 and 1 on rows. scheme: chooses w at every step from the mean losses
    and the inner products of their gradients in what the architecture declares as shared; `weights` then only say what the
    objective at the end is.
    Raises ValueError for records, batches and units that do not fit.
    """
    check_records(n_records, training.n_steps)
    require(sharing.trains, "training", f"left out for {sharing.name}, which is solved", "given", "leave it out")
    has_rows = isinstance(tasks, Rows)
    require(has_rows or training.batch is None, "batch", "left out for moments", training.batch, "pass rows, or leave it out")
    right = has_rows or not sharing.needs_rows
    require(right, "tasks", f"rows for {sharing.name}, which looks at each", "Moments", "pass a pair (X, y) per task")
    right = has_rows or activation == "identity"
    require(right, "activation", "'identity' for moments", repr(activation), "pass rows of the tasks, (X, y)")
    require_choice(loss, LOSSES, "loss")
    require(has_rows or loss == "squared", "loss", "'squared' for moments", repr(loss), "pass rows of the tasks, (X, y)")
    if loss == "logistic" and is_concrete(tasks.y):
        labels = np.asarray(tasks.y)[np.asarray(tasks.used)]
        require(np.isin(labels, (-1, 1)).all(), "y", "-1 and 1", np.unique(labels)[:4], "use 2 * y - 1 for labels 0 and 1")
    require(
        sharing.on_networks or activation == "identity",
        "activation",
        f"'identity' for {sharing.name}",
        repr(activation),
        "leave it out",
    )
    if start is not None:
        _check_start(start, sharing, Shape(*_across(tasks).shape, rank))
    return _train(tasks, sharing, rank, weights, training, key, activation, n_records, scheme, start, loss)


def _across(tasks: Moments | Rows) -> Float[Array, "K d"]:
    return tasks.cross if isinstance(tasks, Moments) else tasks.X[:, 0]


def _check_start(start: Params, sharing: Sharing, shape: Shape) -> None:
    """Refuse parameters of another architecture, or of other sizes."""
    wanted = jax.eval_shape(lambda: sharing.init(jax.random.key(0), shape))
    kind = lambda params: (jax.tree.structure(params), [np.shape(leaf) for leaf in jax.tree.leaves(params)])
    cure = "pass the params of a fit of the same sharing, rank and tasks"
    found = f"of shapes {kind(start)[1]} in {with_article(type(start).__name__)}"
    require(kind(start) == kind(wanted), "start", f"{with_article(type(wanted).__name__)} of shapes {kind(wanted)[1]}", found, cure)


@partial(jax.jit, static_argnames=("rank", "activation", "n_records", "loss"))
def _train(tasks, sharing, rank, weights, training, key, activation, n_records, scheme, start, loss) -> Trained:
    across = _across(tasks)
    params = start
    if start is None:
        params = sharing.init(stream(key, "start"), Shape(*across.shape, rank), training.start_size)
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, across.dtype), params)
    counts = tasks.n_samples if isinstance(tasks, Moments) else jnp.sum(tasks.used, -1).astype(across.dtype)
    total, is_own = jnp.sum(counts), sharing.owned(params)
    sums = lambda params, part=tasks: losses_of(part, sharing, params, activation, loss)
    objective = lambda params: jnp.sum(weights * sums(params)) + sharing.penalty(params)
    horizon = training.n_steps if training.decay else None
    method = make_optimiser(training.optimiser, training.learning_rate, horizon, sharing.rates(params))

    def plain(params, opinion, part, share, t):
        mean = lambda params: (jnp.sum(weights * sums(params, part)) / share + sharing.penalty(params)) / total
        return jax.grad(mean)(params), opinion

    def weighted(params, opinion, part, share, t):
        means = lambda params: sums(params, part) / counts / share
        slopes, pull = jax.jacrev(means)(params), jax.grad(lambda params: jnp.asarray(sharing.penalty(params)) / total)(params)
        shared = [leaf.reshape(len(counts), -1) for leaf, own in _pairs(slopes, is_own) if not own]
        gram = sum(jnp.einsum("kp,lp->kl", leaf, leaf, precision="highest") for leaf in shared)
        chosen, opinion, _ = scheme.weights(Signals(means(params), gram, t), opinion)
        chosen = jax.lax.stop_gradient(normalise(chosen) if training.normalized else chosen)
        factor = lambda own: jnp.ones_like(chosen) if own and training.heads == "unweighted" else chosen
        mixed = jax.tree.map(lambda leaf, own: jnp.tensordot(factor(own), leaf, 1), slopes, is_own)
        return jax.tree.map(jnp.add, mixed, pull), opinion

    def step(state, t):
        params, memory, opinion = state
        part, share = tasks, 1.0
        if training.batch is not None:
            part, share = batch_of(tasks, training.batch, key, t), (training.batch / counts)
        slopes, opinion = (plain if scheme is None else weighted)(params, opinion, part, share, t)
        return (*move(method, slopes, memory, params), opinion), None

    facts = _facts(tasks, sums(params) / counts, rank)._replace(key=stream(key, "weights"))
    opinion = () if scheme is None else scheme.init(facts)
    look = lambda state, _: (sums(state[0]), objective(state[0]), state[0])
    (params, _, _), path = walk(step, (params, method.init(params), opinion), training.n_steps, n_records, look)
    losses, reached = path[0][-1], path[1][-1]
    broken = is_broken(reached)
    energies = tasks.energy if isinstance(tasks, Moments) else jnp.sum(jnp.where(tasks.used, tasks.y, 0) ** 2, -1)
    moving = _fall(objective, params, sharing.rates(params)) > jnp.maximum(SETTLED * reached, AT_REST * jnp.sum(weights * energies))
    unknown = unknown_where(broken)
    params = jax.tree.map(lambda leaf: leaf + unknown, params)
    return Trained(params, losses + unknown, reached + unknown, path, flag(broken | moving, Status.not_converged))


def _fall(objective: Callable, params: Params, rates: Params | None) -> Float[Array, ""]:
    """By how much the best of many steps against the gradient lowers the objective."""
    slopes = jax.grad(objective)(params)
    if rates is not None:
        slopes = jax.tree.map(lambda slope, rate: jnp.where(rate > 0, slope, 0), slopes, rates)
    sizes = [sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree)) for tree in (params, slopes)]
    longest = jnp.sqrt(sizes[0] / jnp.where(sizes[1] > 0, sizes[1], 1))  # a step as long as the parameters themselves
    after = lambda share: objective(jax.tree.map(lambda p, s: p - share * longest * s, params, slopes))
    return objective(params) - jnp.nanmin(jax.lax.map(after, jnp.append(jnp.asarray(STEPS), 0.0)))


def _pairs(slopes: Any, is_own: Any):
    """Every leaf of the gradients, and whether each task has its own."""
    return zip(jax.tree.leaves(slopes), jax.tree.leaves(is_own), strict=True)


def _facts(tasks: Moments | Rows, losses: Float[Array, " K"], rank: int) -> Facts:
    if isinstance(tasks, Moments):
        return Facts(losses, tasks.energy / tasks.n_samples, tasks, rank)
    counts = jnp.maximum(jnp.sum(tasks.used, -1), 1)
    return Facts(losses, jnp.sum(jnp.where(tasks.used, tasks.y, 0) ** 2, -1) / counts, None, rank)
