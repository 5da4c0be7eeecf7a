"""The alignment cell: one draw of the tasks, learned together without and with a matrix before the shared module of each."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from mtlsim.alignment.covariances import covariances_of, scores_with_last, turn_covariances, turn_tasks
from mtlsim.alignment.learned import align_covariances
from mtlsim.alignment.training import AlignmentTraining
from mtlsim.alignment.whitening import whiten_and_recolour
from mtlsim.cells.draw import AlignmentDraw
from mtlsim.cells.network import measured_risk
from mtlsim.cells.oracle import solve_mean_losses
from mtlsim.cells.tails import compare_with_expectation, without_rounding
from mtlsim.core.checks import is_whole, require, require_all, require_choice
from mtlsim.core.keys import check_key, stream
from mtlsim.core.linalg import minimum_norm, multiply
from mtlsim.core.status import status_of, worst
from mtlsim.samples.data import Rows, draw_rows, moments_of_rows
from mtlsim.samples.moments import Moments, stack
from mtlsim.samples.wishart import draw_moments
from mtlsim.solvers.network import Layers
from mtlsim.solvers.single import solve_single
from mtlsim.tasks.linear import LinearTasks
from mtlsim.tasks.recipe import Recipe, require_recipe
from mtlsim.tasks.relu import ReluTasks
from mtlsim.training.weighted import WeightedTraining, train_weighted
from mtlsim.weighting import find_scheme

METHODS = {
    "none": "no alignment",
    "coral": "rows whitened and recoloured in closed form, then learned as before",
    "learned": "matrices and heads by gradient steps before the module that was learned without them, which is held",
}
MODES = {
    "multi-task": "the module is learned from all tasks",
    "transfer": "the module is learned from the sources alone, and held while the target's matrix and head are found",
}


class Alignment(eqx.Module):
    """A cell: `cell(key=...)` draws tasks and samples, and compares learning together without and with covariance alignment.

    tasks: `LinearTasks` or `ReluTasks`, the target last. rank: columns of the shared module B. method: a name in `METHODS`.
    mode: a name in `MODES`. training: of the learned matrices. joint: how ReLU tasks are trained before; the B of linear tasks
    is the exact optimum of their mean losses. n_records: T, points kept along the alignment, a divisor of its steps.
    capacity: of linear tasks: None draws moments, at a cost that no number of rows changes; a number draws rows, with room for so
    many of each task, which a `training` in batches needs.
    Sources: Algorithm 1 of [wu2020understanding]; coral: [sun2016return].

    >>> tasks = mtl.LinearTasks(n_features=3, n_samples=(30, 20), alignment=0.9)
    >>> cell = mtl.Alignment(tasks, method="coral")  # then cell(key=...), or mtl.sweep(cell, ...)
    >>> cell.method, cell.mode, cell.rank
    ('coral', 'multi-task', 1)
    """

    tasks: Recipe
    rank: int = eqx.field(default=1, static=True)
    method: str = eqx.field(default="learned", static=True)
    mode: str = eqx.field(default="multi-task", static=True)
    training: AlignmentTraining = AlignmentTraining()
    joint: WeightedTraining = WeightedTraining()
    n_records: int = eqx.field(default=1, static=True)
    capacity: int | None = eqx.field(default=None, static=True)

    @property
    def dimensions(self) -> dict[str, tuple[str]]:
        return dict.fromkeys(("path_score", "path_risk"), ("record",))

    def __check_init__(self):
        require_choice(self.method, METHODS, "method")
        require_choice(self.mode, MODES, "mode")
        require_recipe(self.tasks)
        kind, d, n_tasks = type(self.tasks).__name__, self.tasks.n_features, self.tasks.n_tasks
        right = isinstance(self.tasks, (LinearTasks, ReluTasks))
        require(right, "tasks", "linear or ReLU tasks", kind, "use LinearTasks")
        require(n_tasks > 1, "tasks", "two or more", "one", "add a source task")
        whole = is_whole(self.rank)
        right = whole and 1 <= self.rank <= d
        require(right, "rank", f"a whole number from 1 to n_features = {d}", self.rank, "use 1 to force sharing")
        divides = self.n_records >= 1 and self.training.n_steps % self.n_records == 0
        require(divides, "n_records", f"a divisor of n_steps = {self.training.n_steps}", self.n_records, "use 1 for the end alone")
        right = self.capacity is None or self.is_linear
        require(right, "capacity", "left out for ReLU tasks", self.capacity, "give it to ReluTasks")
        right = self.capacity is not None or not self.is_linear or self.training.batch is None
        require(right, "capacity", "given where linear tasks are learned in batches", None, "pass the largest n_samples")
        if self.capacity is not None:
            fits = lambda n: n <= self.capacity
            require_all(self.tasks.n_samples, fits, "n_samples", f"at most capacity = {self.capacity}", "raise capacity")

    @property
    def is_linear(self) -> bool:
        return isinstance(self.tasks, LinearTasks)

    def __call__(self, *, key: Key[Array, ""] | None = None) -> AlignmentDraw:
        key = check_key(key)
        tasks, solver_key = self.tasks.draw(key=key), stream(key, "solver")
        if self.is_linear and self.capacity is None:
            rows, seen = None, draw_moments(tasks, key=stream(key, "samples"))
        else:
            rows = draw_rows(tasks, self.capacity, key=stream(key, "samples"))
            seen = moments_of_rows(rows) if self.is_linear else rows
        last, activation = tasks.n_tasks - 1, "identity" if self.is_linear else "relu"

        def risk(layer, head):
            return tasks.excess_risk(multiply(layer, head)) if self.is_linear else measured_risk(tasks, layer, head, last, key)

        before, status = self._learn(seen, solver_key)
        covariances = covariances_of(seen)
        of = lambda covariances, normalized: jnp.mean(scores_with_last(covariances, normalized))
        scores = lambda covariances: (of(covariances, True), of(covariances, False))
        layer, head = before.shared, before.heads[last]
        scores_before = scores_after = scores(covariances)
        without = with_alignment = risk(layer, head)
        if self.method == "coral":
            alignments = whiten_and_recolour(seen, 0 if self.mode == "transfer" else -1)
            after, more = self._learn(turn_tasks(seen, alignments), solver_key)
            with_alignment = risk(multiply(alignments[last], after.shared), after.heads[last])
            scores_after, status = scores(turn_covariances(covariances, alignments)), worst(status, more)
        if self.method == "learned":
            known = jax.tree.map(jnp.nan_to_num, before)  # of rows that do not determine B: a status says so
            some = seen if self.training.batch is None else rows
            found = align_covariances(some, *known, self.training, solver_key, activation, self.n_records)
            path_risk = jax.lax.map(lambda at: risk(*at), (found.path.layers[:, last], found.path.heads[:, last]))
            scores_after, status = (jnp.mean(found.scores_after), jnp.mean(found.literal_after)), worst(status, found.status)
            path_risk = path_risk + 0 * without
            path_score, with_alignment = jnp.mean(found.path.scores, -1), path_risk[-1]
        else:
            path_score, path_risk = (jnp.broadcast_to(end, (self.n_records,)) for end in (scores_after[0], with_alignment))
        alone, gain = self._risk_alone(seen, risk, solver_key), without - with_alignment
        control, tails = jnp.zeros_like(alone), jnp.zeros((), jnp.int32)
        if self.is_linear:
            control, _, tails = compare_with_expectation(alone, tasks, last)
            gain = without_rounding(gain, tasks, last)
        return AlignmentDraw(
            gain,
            without,
            with_alignment,
            alone,
            control,
            scores_before[0],
            scores_after[0],
            scores_before[1],
            scores_after[1],
            path_score,
            path_risk,
            status_of(gain, tasks.status, status, tails),
            self.method,
        )

    def _learn(self, seen: Moments | Rows, key: Key[Array, ""]) -> tuple[Layers, Int[Array, ""]]:
        """B and the heads of all tasks without any alignment, and a status."""
        n_tasks, transfer = len(seen.y if isinstance(seen, Rows) else seen.cross), self.mode == "transfer"
        first = n_tasks - 1 if transfer else n_tasks
        if self.is_linear:
            some = stack([seen[i] for i in range(first)]) if transfer else seen
            found = solve_mean_losses(some, self.rank, jnp.ones(first, seen.cross.dtype), key)
        else:
            found = train_weighted(seen[:first], find_scheme("equal")(), self.rank, self.joint, key)
        heads = found.heads
        if transfer:
            heads = jnp.concatenate([heads, _best_head(seen, found.shared, n_tasks - 1)[None]])
        return Layers(found.shared, heads), found.status

    def _risk_alone(self, seen: Moments | Rows, risk, key: Key[Array, ""]) -> Float[Array, ""]:
        if self.is_linear:
            return risk(solve_single(seen[seen.n_tasks - 1])[:, None], jnp.ones(1, seen.cross.dtype))
        found = train_weighted(seen[-1:], find_scheme("equal")(), self.rank, self.joint, key)
        return risk(found.shared, found.heads[0])


def _best_head(seen: Moments | Rows, shared: Float[Array, "d r"], task: int) -> Float[Array, " r"]:
    """Least squares of one task's head on a layer that is held."""
    if isinstance(seen, Moments):
        own = seen[task]
        return minimum_norm(multiply(shared.T, own.gram, shared), multiply(shared.T, own.cross))
    units = jnp.where(seen.used[task][:, None], jax.nn.relu(multiply(seen.X[task], shared)), 0)
    return minimum_norm(multiply(units.T, units), multiply(units.T, seen.y[task]))
