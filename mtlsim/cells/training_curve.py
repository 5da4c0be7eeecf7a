"""Training curves: what a network knows after so many steps, on rows or on the whole population."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from mtlsim.cells.network import measured_risk
from mtlsim.core.checks import require
from mtlsim.core.keys import check_key, stream
from mtlsim.core.status import worst
from mtlsim.samples.data import draw_rows
from mtlsim.tasks.relu import ReluTasks
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
    """A cell: `cell(key=...)` draws ReLU tasks and descends their mean losses, all tasks together, from one random start.

    population: descend the exact losses of endless Gaussian rows in place of those of the rows drawn; the start is the same, so
    that the two differ by sampling alone. With sgd and a small learning_rate the steps follow the gradient flow, and time is
    learning_rate times steps. n_points: T, a divisor of training.n_steps. rank, target: as for `Transfer`.
    """

    tasks: ReluTasks
    rank: int = eqx.field(default=1, static=True)
    target: int = eqx.field(default=-1, static=True)
    training: WeightedTraining = WeightedTraining("sgd", 2000, 0.05, decay=False)
    population: bool = eqx.field(default=False, static=True)
    n_points: int = eqx.field(default=50, static=True)

    def __check_init__(self):
        tasks, kind = self.tasks, type(self.tasks).__name__
        require(isinstance(tasks, ReluTasks), "tasks", "ReLU tasks", kind, "use ReluTasks, or Weighting for linear tasks")
        whole = isinstance(self.rank, (int, np.integer)) and not isinstance(self.rank, bool) and self.rank >= 1
        require(whole, "rank", "a whole number >= 1", self.rank, "use 1 for a single unit")
        known = -tasks.n_tasks <= self.target < tasks.n_tasks
        require(known, "target", f"the index of one of {tasks.n_tasks} tasks", self.target, "use -1 for the last")
        divides = self.n_points >= 1 and self.training.n_steps % self.n_points == 0
        require(divides, "n_points", f"a divisor of n_steps = {self.training.n_steps}", self.n_points, "use 1 for the end alone")
        right = tasks.rows == "gaussian" or not self.population
        require(right, "tasks", "with Gaussian rows for a population", repr(tasks.rows), "use rows='gaussian'")

    @property
    def dimensions(self) -> dict[str, tuple[str]]:
        return dict.fromkeys(("steps", "loss", "risk"), ("point",))

    def __call__(self, *, key: Key[Array, ""] | None = None) -> Curve:
        key = check_key(key)
        tasks = self.tasks.draw(key=key)
        seen = tasks if self.population else draw_rows(tasks, key=stream(key, "samples"))
        found = train_weighted(seen, find_scheme("equal")(), self.rank, self.training, stream(key, "solver"), self.n_points)
        target = range(tasks.n_tasks)[self.target]
        risks = jax.lax.map(
            lambda layers: measured_risk(tasks, layers[0], layers[1][target], target, key), (found.path.shared, found.path.heads)
        )
        steps = jnp.linspace(0, self.training.n_steps, self.n_points + 1)[1:]
        return Curve(steps, jnp.mean(found.path.losses, -1), risks, worst(tasks.status, found.status))
