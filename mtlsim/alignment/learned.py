"""Covariance alignment by gradient steps, Algorithm 1 of [wu2020understanding]: one matrix per task before a shared module.

Task k predicts g(X_k R_k B) A_k with its own R_k (d, d) and head A_k (r,), g the identity or ReLU. B is held, and every step
descends

    sum_k L_k + strength * sum_k |R_k - I|_F^2,    L_k the mean squared error of task k,

in all R_k first and in all A_k then. With B held, no task sees another. Before a single layer B of full column rank, free R_k make
R_k B any matrix, and orthogonal ones with one unit make it any direction: long training then ends where each task ends alone, and
what the tasks shared is undone. Early stopping and `strength` keep some of it.
"""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from mtlsim.alignment.covariances import covariances_of, scores_with_last, turn_covariances
from mtlsim.alignment.steps import losses_of, orthogonal_step, start_alignments
from mtlsim.alignment.training import AlignmentTraining
from mtlsim.core.checks import as_array, is_whole, require, require_choice, require_finite, require_kind
from mtlsim.core.keys import check_key
from mtlsim.core.status import Status, flag
from mtlsim.samples.data import Rows
from mtlsim.samples.moments import stack
from mtlsim.solvers.task_gradients import batch_of, mean_moments, require_finite_tasks
from mtlsim.training.engine import check_records, is_broken, make_optimiser, move, unknown_where, walk
from mtlsim.training.weighted import WeightedTraining, train_weighted
from mtlsim.weighting import find_scheme

ACTIVATIONS = ("identity", "relu")
DIVERGED = 10.0  # times the larger of what training began with and what predicting zero costs


class AlignmentPath(eqx.Module):
    """After T equal parts of training, the last one included: losses, normalised scores, layers R_k B, and heads."""

    losses: Float[Array, "*T K"]
    scores: Float[Array, "*T K-1"]
    layers: Float[Array, "*T K d r"]
    heads: Float[Array, "*T K r"]


class Aligned(eqx.Module):
    """R (K, d, d), the layer B (d, r) that was held, heads (K, r), and what training did.

    losses: mean squared errors (K,). scores: covariance similarity of every task but the last with the last, of R_k'S_k R_k,
    over the geometric mean of both self-scores (1 = same); literal: as printed in Eq. 5. All before training (the start's R_k)
    and after. Training that diverged, to ten times what it began with and what predicting zero costs, has a status and NaN.
    """

    alignments: Float[Array, "K d d"]
    shared: Float[Array, "d r"]
    heads: Float[Array, "K r"]
    losses_before: Float[Array, " K"]
    losses_after: Float[Array, " K"]
    scores_before: Float[Array, " K-1"]
    scores_after: Float[Array, " K-1"]
    literal_before: Float[Array, " K-1"]
    literal_after: Float[Array, " K-1"]
    path: AlignmentPath
    status: Int[Array, ""]


def align_covariances(
    tasks,
    shared: Float[Array, "d r"] | int,
    heads: Float[Array, "K r"] | None = None,
    training: AlignmentTraining | None = None,
    key: Key[Array, ""] | None = None,
    activation: str = "identity",
    n_records: int = 1,
) -> Aligned:
    """Train an alignment matrix R_k and a head A_k for each of K tasks before a module B that is held (see the module's top).

    tasks: K tasks, the target last, as `Moments` (stacked or in a sequence; linear units, at a cost that no number of rows
    changes) or `Rows`. shared: B, or its rank r: then B and heads are trained together first, by 2000 steps of Adam.
    heads: where A_k begin; None is zero for a given B. key: of batches and random starts, jax.random.key(0) if left out.
    activation: "identity" or "relu", which needs rows. n_records: T, a divisor of n_steps.
    Raises ValueError for shapes and options that do not fit, NaN or infinity. Source: Algorithm 1 of [wu2020understanding].

    >>> rng = np.random.default_rng(0)
    >>> X1, X2 = rng.normal(size=(50, 3)), rng.normal(size=(20, 3))
    >>> source, target = mtl.Moments.from_data(X1, X1.sum(1)), mtl.Moments.from_data(X2, X2.sum(1))
    >>> start = mtl.solve([source, target], rank=1)
    >>> training = mtl.AlignmentTraining(n_steps=5)
    >>> mtl.align_covariances([source, target], start.shared, start.heads, training).alignments.shape
    (2, 3, 3)
    """
    training is None or require_kind(training, AlignmentTraining, "training")
    training, key = training or AlignmentTraining(), jax.random.key(0) if key is None else check_key(key)
    tasks = tasks if isinstance(tasks, Rows) else stack(tasks)
    has_rows = isinstance(tasks, Rows)
    require_finite_tasks(tasks)
    require_choice(activation, ACTIVATIONS, "activation")
    require(has_rows or activation == "identity", "activation", "'identity' for moments", repr(activation), "pass rows")
    require(has_rows or training.batch is None, "batch", "left out for moments", training.batch, "pass rows, or leave it out")
    check_records(n_records, training.n_steps)
    (n_tasks, d), dtype = (tasks.X[:, 0] if has_rows else tasks.cross).shape, tasks.y.dtype if has_rows else tasks.cross.dtype
    if is_whole(shared):
        require(1 <= shared <= d, "shared", f"a layer or a rank from 1 to n_features = {d}", shared, "use 1 to force sharing")
        require(has_rows == (activation == "relu"), "shared", "a layer for linear units on rows", shared, "pass moments, or B")
        found = train_weighted(tasks, find_scheme("equal")(), int(shared), WeightedTraining(), key)
        shared, heads = found.shared, found.heads if heads is None else heads
    shared, heads = (one if one is None else as_array(one, name) for name, one in (("shared", shared), ("heads", heads)))
    shape = np.shape(shared)
    require(len(shape) == 2 and shape[0] == d, "shared", f"of shape ({d}, r)", f"of shape {shape}", "pass B with a row per feature")
    heads = jnp.zeros((n_tasks, shape[1]), dtype) if heads is None else heads
    wanted = (n_tasks, shape[1])
    require(np.shape(heads) == wanted, "heads", f"of shape {wanted}", f"of shape {np.shape(heads)}", "pass one row per task")
    require_finite(shared, "shared")
    require_finite(heads, "heads")
    return _align(tasks, jnp.asarray(shared, dtype), jnp.asarray(heads, dtype), training, key, activation, n_records)


@partial(jax.jit, static_argnames=("activation", "n_records"))
def _align(tasks, shared, heads, training: AlignmentTraining, key, activation: str, n_records: int) -> Aligned:
    covariances = covariances_of(tasks)
    seen = tasks if isinstance(tasks, Rows) else mean_moments(tasks)
    identity = jnp.eye(len(shared), dtype=shared.dtype)
    losses = lambda state, part: losses_of(part, *state, shared, activation)
    pull = lambda alignments: training.strength * jnp.sum((alignments - identity) ** 2)
    objective = lambda alignments, heads, part: jnp.sum(losses((alignments, heads), part)) + pull(alignments)
    method = make_optimiser(training.optimiser, training.learning_rate)
    landing = {} if training.constraint == "free" else {"land": orthogonal_step}

    def step(state, t):
        (alignments, heads), (first, second) = state
        part = seen if training.batch is None else batch_of(seen, training.batch, key, t)
        alignments, first = move(method, jax.grad(objective, 0)(alignments, heads, part), first, alignments, **landing)
        heads, second = move(method, jax.grad(objective, 1)(alignments, heads, part), second, heads)
        return ((alignments, heads), (first, second)), None

    def look(state, _):
        alignments, heads = state[0]
        layers = jnp.einsum("kde,er->kdr", alignments, shared, precision="highest")
        return AlignmentPath(losses(state[0], seen), score(alignments), layers, heads)

    score = lambda alignments, normalized=True: scores_with_last(turn_covariances(covariances, alignments), normalized)
    start = start_alignments(training.start, len(covariances), identity, key)
    state = ((start, heads), (method.init(start), method.init(heads)))
    ((alignments, found), _), path = walk(step, state, training.n_steps, n_records, look)
    worst = jnp.maximum(objective(start, heads, seen), jnp.sum(losses((start, 0 * heads), seen)))
    broken = is_broken(path.losses[-1], alignments) | (objective(alignments, found, seen) > DIVERGED * worst)
    unknown = unknown_where(broken)
    return Aligned(
        alignments + unknown,
        shared,
        found + unknown,
        losses((start, heads), seen),
        path.losses[-1] + unknown,
        score(start),
        path.scores[-1] + unknown,
        score(start, False),
        score(alignments, False) + unknown,
        path,
        flag(broken, Status.not_converged),
    )
