"""The weighting cell: one draw of the tasks, learned alone and together under a weighting scheme or the best weights there are."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from mtlsim.cells.draw import WeightingDraw
from mtlsim.cells.network import measured_risk
from mtlsim.cells.oracle import best_weights, solve_mean_losses
from mtlsim.cells.tails import compare_with_expectation, without_rounding
from mtlsim.core.checks import is_whole, require, require_index
from mtlsim.core.extremes import largest_of
from mtlsim.core.keys import check_key, stream
from mtlsim.core.linalg import multiply
from mtlsim.core.status import status_of, worst
from mtlsim.samples.data import draw_rows
from mtlsim.samples.wishart import draw_moments
from mtlsim.solvers.network import Layers
from mtlsim.solvers.objective import check_weights, per_task
from mtlsim.solvers.single import solve_single
from mtlsim.solvers.task_gradients import linear_gradients, mean_moments, relu_gradients
from mtlsim.tasks.linear import LinearTasks
from mtlsim.tasks.recipe import Recipe, Tasks
from mtlsim.tasks.relu import ReluPopulation, ReluTasks
from mtlsim.training.weighted import WeightedTraining, train_weighted
from mtlsim.weighting import OneOf, Scheme, find_scheme, require_scheme
from mtlsim.weighting.mgda import shortest_mixture

EXACT = ("oracle", "oracle-mean", "given")  # weights of least risk on the target, of least mean risk over all tasks, as given


class Weighting(eqx.Module):
    """A cell: `cell(key=...)` draws tasks and samples, and compares learning each alone (STL) with learning all under weights.

    tasks: `LinearTasks` or `ReluTasks`. scheme: a name of `mtlsim.weighting.scheme_names()`, a file of your own, or "oracle" /
    "oracle-mean": the weights whose exact optimum has the least risk on the target / over all tasks (see `mtlsim.cells.oracle`), or
    "given": the exact optimum under `weights`, which sweeps along the Pareto front; these three need linear tasks.
    rank: columns of the shared layer. target: which task is measured. training: how the shared layer is trained, on mean losses.
    hyperparameters: a scheme object instead of the one named `scheme` with the values of its paper. Alone, linear tasks are
    least squares and ReLU tasks are trained likewise. n_records: losses kept along training, a divisor of its steps.

    >>> tasks = mtl.LinearTasks(n_features=3, n_samples=(30, 20), cosine=0.9, noise=(2.0, 0.5))
    >>> training = mtl.WeightedTraining(n_steps=20)
    >>> draw = mtl.Weighting(tasks, "equal", training=training)(key=jax.random.key(0))
    >>> float(draw.share_source)
    0.5
    """

    tasks: Recipe
    scheme: str = eqx.field(default="equal", static=True)
    rank: int = eqx.field(default=1, static=True)
    target: int = eqx.field(default=-1, static=True)
    training: WeightedTraining = WeightedTraining()
    hyperparameters: Scheme | None = None
    weights: tuple | Array | None = None
    n_records: int = eqx.field(default=1, static=True)

    @property
    def dimensions(self) -> dict[str, tuple[str]]:
        return dict.fromkeys(("path_source", "path_target"), ("record",))

    def __check_init__(self):
        require_scheme(self.scheme, EXACT)
        linear, kind = isinstance(self.tasks, LinearTasks), type(self.tasks).__name__
        require(linear or isinstance(self.tasks, ReluTasks), "tasks", "linear or ReLU tasks", kind, "use LinearTasks")
        require(linear or self.scheme not in EXACT, "scheme", "trained for ReLU tasks", repr(self.scheme), "use LinearTasks")
        given = self.weights is not None or self.scheme != "given"
        require(given, "weights", "given where scheme='given'", None, "pass one number >= 0 per task")
        d, n_tasks = self.tasks.n_features, self.tasks.n_tasks
        whole = is_whole(self.rank)
        right = whole and 1 <= self.rank <= d
        require(right, "rank", f"a whole number from 1 to n_features = {d}", self.rank, "use 1 to force sharing")
        require_index(self.target, n_tasks, "target")
        check_weights(self.weights)
        whole = is_whole(self.n_records) and self.n_records >= 1
        require(whole, "n_records", "a whole number >= 1", repr(self.n_records), "use 1 for the end alone")

    def __call__(self, *, key: Key[Array, ""] | None = None) -> WeightingDraw:
        key = check_key(key)
        tasks = self.tasks.draw(key=key)
        learn = self._learn_networks if isinstance(tasks, ReluPopulation) else self._learn_linear
        alone, together, seen, weights, n_floored, path, status = learn(tasks, key)
        shares, gains, longest = weights / jnp.sum(weights), alone - together, largest_of(jnp.diagonal(seen.gram))
        mixture, _ = shortest_mixture(seen.gram)
        length = jnp.maximum(mixture @ seen.gram @ mixture, 0)
        control, tails = jnp.zeros_like(gains[0]), jnp.zeros((), jnp.int32)
        if type(tasks) is Tasks:
            control, _, tails = compare_with_expectation(alone[self.target], tasks, self.target)
            gains = jnp.stack([without_rounding(gain, tasks, i) for i, gain in enumerate(gains)])
        return WeightingDraw(
            gains[self.target],
            jnp.mean(gains),
            alone[self.target],
            together[self.target],
            control,
            shares[0],
            shares[self.target],
            seen.losses[0],
            seen.losses[self.target],
            path[:, 0],
            path[:, self.target],
            jnp.sqrt(length / jnp.where(longest > 0, longest, 1)),
            n_floored,
            status_of(gains[self.target], tasks.status, status, tails),
            self.scheme if self.scheme in EXACT else self.training.optimiser,
        )

    def _learn_linear(self, tasks: Tasks, key: Key[Array, ""]):
        """Risks (K,) alone and together, losses and gradients at the end, weights (K,), floors, losses (T, K) before, status."""
        moments, solver_key = draw_moments(tasks, key=stream(key, "samples")), stream(key, "solver")
        risks = lambda parameters: jnp.stack([tasks.excess_risk(one, i) for i, one in enumerate(parameters)])
        alone, n_floored = risks([solve_single(moments[i]) for i in range(tasks.n_tasks)]), jnp.zeros((), jnp.int32)
        if self.scheme == "given":
            weights = per_task(self.weights, 1.0, tasks.n_tasks, "weights", moments.cross.dtype)
            found = solve_mean_losses(moments, self.rank, weights, solver_key)
            layers, status = Layers(found.shared, found.heads), found.status
        elif self.scheme in EXACT:
            score = jnp.mean if self.scheme == "oracle-mean" else lambda each: each[self.target]
            weights, layers, status = best_weights(lambda found: score(risks(found)), moments, self.rank, solver_key)
        else:
            found = train_weighted(moments, self._scheme(), self.rank, self.training, solver_key, self.n_records)
            layers, status = Layers(found.shared, found.heads), found.status
            weights, n_floored = found.weights_mean, found.n_floored
        seen = linear_gradients(mean_moments(moments), layers)
        ends = jnp.broadcast_to(seen.losses, (self.n_records, tasks.n_tasks))
        path = ends if self.scheme in EXACT else found.path.losses
        return alone, risks(multiply(layers.heads, layers.shared.T)), seen, weights, n_floored, path, status

    def _learn_networks(self, tasks: ReluPopulation, key: Key[Array, ""]):
        """The same of ReLU units."""
        rows, solver_key = draw_rows(tasks, key=stream(key, "samples")), stream(key, "solver")
        equal = find_scheme("equal")()
        each_alone = jax.tree.map(lambda leaf: leaf[:, None], rows)
        single = jax.lax.map(lambda one: train_weighted(one, equal, self.rank, self.training, solver_key), each_alone)
        found = train_weighted(rows, self._scheme(), self.rank, self.training, solver_key, self.n_records)
        each = range(tasks.n_tasks)
        alone = jnp.stack([measured_risk(tasks, single.shared[i], single.heads[i, 0], i, key) for i in each])
        together = jnp.stack([measured_risk(tasks, found.shared, found.heads[i], i, key) for i in each])
        status = worst(largest_of(single.status), found.status)
        seen = relu_gradients(rows, Layers(found.shared, found.heads))
        return alone, together, seen, found.weights_mean, found.n_floored, found.path.losses, status

    def among(self, name: str, values: tuple) -> "Weighting":
        """This cell as one of those of other schemes over which a sweep goes: all that train share a program."""
        trained = [value for value in values if value not in EXACT]
        if name != "scheme" or self.scheme not in trained or self.hyperparameters is not None:
            return self
        schemes = tuple(find_scheme(value)() for value in trained)
        return dataclasses.replace(self, scheme=trained[0], hyperparameters=OneOf(schemes, trained.index(self.scheme)))

    def _scheme(self) -> Scheme:
        return self.hyperparameters or find_scheme(self.scheme)()
