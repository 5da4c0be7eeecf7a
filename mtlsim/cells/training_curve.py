"""Training curves: what several tasks know after so many steps, on rows, on sums over them or on the whole population."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from mtlsim.cells.network import held_out_risk, measured_risk
from mtlsim.core.checks import is_whole, require, require_bool, require_index
from mtlsim.core.keys import check_key, stream
from mtlsim.core.status import Status, worst
from mtlsim.samples.data import draw_rows
from mtlsim.samples.wishart import draw_moments
from mtlsim.sharing import Sharing, as_sharing
from mtlsim.sharing._sharing import Params
from mtlsim.sharing.hard import Hard
from mtlsim.solvers.network import Layers
from mtlsim.solvers.objective import check_weights, per_task
from mtlsim.tasks.linear import LinearTasks
from mtlsim.tasks.recipe import Recipe, check_capacity
from mtlsim.tasks.relu import ReluTasks
from mtlsim.training.shared import UNITS, train_shared
from mtlsim.training.weighted import WeightedTraining, train_weighted
from mtlsim.weighting import find_scheme


class Curve(eqx.Module):
    """steps (T,) taken, and then: loss (T,), the mean over tasks of what is descended; risk (T,), the target's excess risk.

    status: not_converged where training diverged, from which step on loss and risk are not finite.
    """

    steps: Float[Array, " T"]
    loss: Float[Array, " T"]
    risk: Float[Array, " T"]
    status: Int[Array, ""]


class TrainingCurve(eqx.Module):
    """A cell: `cell(key=...)` draws tasks and descends their mean losses, all tasks together, from the start of the architecture.

    tasks: linear ones, learned from sums over their rows, or ReLU. sharing: an architecture that can be trained (of units that bend
    for ReLU tasks), of rank `rank`. weights: per task; (0, 2) is the second of two tasks alone, in the same model at the same
    rate. population: of ReLU units and hard sharing, descend the exact losses of endless Gaussian rows in place of those of the
    rows drawn; the start is the same, so that the two differ by sampling alone. With sgd and a small learning_rate the steps follow
    the gradient flow, and time is learning_rate times steps. n_points: T, a divisor of training.n_steps. target: as for `Transfer`.
    capacity: of linear tasks whose architecture sees rows (gates, masks): how many of each task there is room for, the largest of
    n_samples if left out. Their risk, and that of more than one layer of ReLU units, is measured on rows held out.

    >>> pair = mtl.LinearTasks(n_features=5, n_samples=(50, 20), cosine=0.9)
    >>> training = mtl.WeightedTraining("sgd", n_steps=20, learning_rate=0.05, decay=False)
    >>> curve = mtl.TrainingCurve(pair, training=training, n_points=4)(key=jax.random.key(0))
    >>> curve.steps.tolist()
    [5.0, 10.0, 15.0, 20.0]
    """

    tasks: Recipe
    rank: int = eqx.field(default=1, static=True)
    target: int = eqx.field(default=-1, static=True)
    training: WeightedTraining = WeightedTraining("sgd", 2000, 0.05, decay=False)
    population: bool = eqx.field(default=False, static=True)
    n_points: int = eqx.field(default=50, static=True)
    sharing: Sharing | str | Mapping[str, Any] = eqx.field(default=Hard(), converter=as_sharing)  # a Sharing from then on
    weights: tuple | Array | None = None
    capacity: int | None = eqx.field(default=None, static=True)

    def __check_init__(self):
        require_bool(self.population, "population")
        tasks, kind, sharing = self.tasks, type(self.tasks).__name__, self.sharing
        known = isinstance(tasks, (ReluTasks, LinearTasks))
        require(known, "tasks", "linear or ReLU tasks", kind, "use LinearTasks or ReluTasks")
        require(isinstance(sharing, Sharing), "sharing", "an architecture or its name", repr(sharing), "use 'hard'")
        require(sharing.trains, "sharing", "one that can be trained", repr(sharing.name), "use Transfer, which solves it")
        bends = sharing.on_networks or isinstance(tasks, LinearTasks)
        require(bends, "sharing", "one of units that bend, for ReLU tasks", repr(sharing.name), "use 'hard' or 'cross-stitch'")
        sharing.check(tasks.n_tasks, self.rank)
        right = self._plain or not self.population
        require(right, "population", "False but for ReLU tasks that all share alike", True, "leave it out")
        check_weights(self.weights)
        whole = is_whole(self.rank) and self.rank >= 1
        require(whole, "rank", "a whole number >= 1", self.rank, "use 1 for a single unit")
        require_index(self.target, tasks.n_tasks, "target")
        divides = is_whole(self.n_points) and self.n_points >= 1 and self.training.n_steps % self.n_points == 0
        require(divides, "n_points", f"a divisor of n_steps = {self.training.n_steps}", self.n_points, "use 1 for the end alone")
        right = self.capacity is None or self.has_room
        require(right, "capacity", "left out where no rows of linear tasks are drawn", self.capacity, "leave it out")
        right = tasks.rows == "gaussian" or not self.population
        require(right, "tasks", "with Gaussian rows for a population", repr(tasks.rows), "use rows='gaussian'")

    @property
    def dimensions(self) -> dict[str, tuple[str]]:
        return dict.fromkeys(("steps", "loss", "risk"), ("point",))

    def __call__(self, *, key: Key[Array, ""] | None = None) -> Curve:
        key = check_key(key)
        tasks = self.tasks.draw(key=key)
        target = range(tasks.n_tasks)[self.target]
        losses, path, status = self._train(tasks, key)
        stopped = (status == Status.not_converged) & jnp.isfinite(losses[-1])  # a curve may end before training has settled
        status = jnp.where(stopped, int(Status.ok), status)

        def risk(params: Params) -> Float[Array, ""]:
            if self.sharing.flat and self._bends:
                layers = self.sharing.layers(params)
                return measured_risk(tasks, layers.shared, layers.heads[target], target, key)
            if self._bends or self.sharing.needs_rows:
                return held_out_risk(tasks, lambda X: self.sharing.outputs(params, X, target, UNITS[self._units]), target, key)
            return tasks.excess_risk(self.sharing.linear(params)[target], target)

        steps = jnp.linspace(0, self.training.n_steps, self.n_points + 1)[1:]
        return Curve(steps, losses, jax.lax.map(risk, path), worst(tasks.status, status))

    @property
    def has_room(self) -> bool:
        """Whether rows of linear tasks are drawn, into `capacity`."""
        return self.sharing.needs_rows and not self._bends

    @property
    def _bends(self) -> bool:
        return isinstance(self.tasks, ReluTasks)

    @property
    def _units(self) -> str:
        return "relu" if self._bends else "identity"

    @property
    def _plain(self) -> bool:
        """Whether it is what `train_weighted` trains, population included."""
        return self._bends and self.sharing.name == "hard" and self.sharing.flat and self.weights is None

    def _train(self, tasks, key) -> tuple[Float[Array, " T"], Params, Int[Array, ""]]:
        """What is descended and the parameters after each part of training."""
        start, samples = stream(key, "solver"), stream(key, "samples")
        if self._plain:
            seen = tasks if self.population else draw_rows(tasks, key=samples)
            found = train_weighted(seen, find_scheme("equal")(), self.rank, self.training, start, self.n_points)
            return jnp.mean(found.path.losses, -1), Layers(found.path.shared, found.path.heads), found.status
        if self._bends:
            seen = draw_rows(tasks, key=samples)
        elif self.has_room:
            seen = draw_rows(tasks, check_capacity(self.tasks.n_samples, self.capacity), key=samples)
        else:
            seen = draw_moments(tasks, key=samples)
        weights = per_task(self.weights, 1.0, tasks.n_tasks, "weights", tasks.noise.dtype)
        found = train_shared(seen, self.sharing, self.rank, weights, self.training, start, self._units, self.n_points)
        _, objective, params = found.path
        return objective / jnp.sum(tasks.n_samples), params, found.status
