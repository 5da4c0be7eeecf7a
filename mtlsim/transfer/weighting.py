"""The weighting cell: one draw of the tasks, learned alone and together under a weighting scheme or the best weights there are."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from mtlsim.core.checks import is_concrete, require, require_choice
from mtlsim.core.keys import check_key, stream
from mtlsim.core.status import Status, worst
from mtlsim.samples.data import draw_rows
from mtlsim.samples.wishart import draw_moments
from mtlsim.solvers.single import solve_single
from mtlsim.solvers.weighted import WeightedTraining, train_weighted
from mtlsim.tasks.linear import LinearTasks
from mtlsim.tasks.recipe import Recipe, Tasks
from mtlsim.tasks.relu import ReluPopulation, ReluTasks
from mtlsim.transfer.network import measured_risk
from mtlsim.transfer.oracle import best_weights
from mtlsim.weighting import Scheme, find_scheme, scheme_names

ORACLES = ("oracle", "oracle-mean")  # least risk on the target, least mean risk over all tasks


class WeightingDraw(eqx.Module):
    """Outcome of one draw. gain = risk_single - risk_multi on the target: positive helps; gain_all: its mean over all tasks.

    Risks are exact excess risks. share_source, share_target: of the first task and the target in the sum of the weights, mean
    over the second half of training. n_floored: floors and caps that fired in all steps.
    """

    gain: Float[Array, ""]
    gain_all: Float[Array, ""]
    risk_single: Float[Array, ""]
    risk_multi: Float[Array, ""]
    share_source: Float[Array, ""]
    share_target: Float[Array, ""]
    n_floored: Int[Array, ""]
    status: Int[Array, ""]
    route: str = eqx.field(static=True)

    def __repr__(self) -> str:
        if not is_concrete(self.gain) or self.gain.ndim:
            return f"WeightingDraw(route={self.route!r}, shape={self.gain.shape})"
        status = Status(int(self.status))
        diagnosis = "" if status == Status.ok else f"\n  {status.name}: {status.sentence}"
        return (
            f"gain {float(self.gain):+.4g} on the target, {float(self.gain_all):+.4g} over all tasks; {self.route}, the first task "
            f"has {float(self.share_source):.3g} of the weight, the target {float(self.share_target):.3g}{diagnosis}"
        )


class Weighting(eqx.Module):
    """A cell: `cell(key=...)` draws tasks and samples, and compares learning each alone (STL) with learning all under weights.

    tasks: `LinearTasks` or `ReluTasks`. scheme: a name of `mtlsim.weighting.scheme_names()`, or "oracle" / "oracle-mean": the
    weights whose exact optimum has the least risk on the target / over all tasks (linear tasks; see `mtlsim.transfer.oracle`).
    rank: columns of the shared layer. target: which task is measured. training: how the shared layer is trained, on mean losses.
    hyperparameters: a scheme object instead of the one named `scheme` with the values of its paper. Alone, linear tasks are
    least squares and ReLU tasks are trained likewise.
    """

    tasks: Recipe
    scheme: str = eqx.field(default="equal", static=True)
    rank: int = eqx.field(default=1, static=True)
    target: int = eqx.field(default=-1, static=True)
    training: WeightedTraining = WeightedTraining()
    hyperparameters: Scheme | None = None

    def __check_init__(self):
        require_choice(self.scheme, [*scheme_names(), *ORACLES], "scheme")
        linear, kind = isinstance(self.tasks, LinearTasks), type(self.tasks).__name__
        require(linear or isinstance(self.tasks, ReluTasks), "tasks", "linear or ReLU tasks", kind, "use LinearTasks")
        require(linear or self.scheme not in ORACLES, "scheme", "no oracle for ReLU tasks", repr(self.scheme), "use LinearTasks")
        d, n_tasks = self.tasks.n_features, self.tasks.n_tasks
        whole = isinstance(self.rank, (int, np.integer)) and not isinstance(self.rank, bool)
        right = whole and 1 <= self.rank <= d
        require(right, "rank", f"a whole number from 1 to n_features = {d}", self.rank, "use 1 to force sharing")
        right = -n_tasks <= self.target < n_tasks
        require(right, "target", f"the index of one of {n_tasks} tasks", self.target, "use -1 for the last")

    def __call__(self, *, key: Key[Array, ""] | None = None) -> WeightingDraw:
        key = check_key(key)
        tasks = self.tasks.draw(key=key)
        learn = self._learn_networks if isinstance(tasks, ReluPopulation) else self._learn_linear
        alone, together, weights, n_floored, status = learn(tasks, key)
        shares = weights / jnp.sum(weights)
        gains = alone - together
        return WeightingDraw(
            gains[self.target],
            jnp.mean(gains),
            alone[self.target],
            together[self.target],
            shares[0],
            shares[self.target],
            n_floored,
            worst(tasks.status, status),
            self.scheme if self.scheme in ORACLES else self.training.optimiser,
        )

    def _learn_linear(self, tasks: Tasks, key: Key[Array, ""]):
        """Risks (K,) alone and together, weights (K,), floors, status."""
        moments, solver_key = draw_moments(tasks, key=stream(key, "samples")), stream(key, "solver")
        risks = lambda parameters: jnp.stack([tasks.excess_risk(one, i) for i, one in enumerate(parameters)])
        alone = risks([solve_single(moments[i]) for i in range(tasks.n_tasks)])
        if self.scheme in ORACLES:
            least = lambda parameters: (jnp.mean if self.scheme == "oracle-mean" else lambda r: r[self.target])(risks(parameters))
            weights, parameters, status = best_weights(least, moments, self.rank, solver_key)
            return alone, risks(parameters), weights, jnp.zeros((), jnp.int32), status
        found = train_weighted(moments, self._scheme(), self.rank, self.training, solver_key)
        return alone, risks(found.heads @ found.shared.T), found.weights_mean, found.n_floored, found.status

    def _learn_networks(self, tasks: ReluPopulation, key: Key[Array, ""]):
        """The same of ReLU units."""
        rows, solver_key = draw_rows(tasks, key=stream(key, "samples")), stream(key, "solver")
        equal = find_scheme("equal")()
        each_alone = jax.tree.map(lambda leaf: leaf[:, None], rows)
        single = jax.lax.map(lambda one: train_weighted(one, equal, self.rank, self.training, solver_key), each_alone)
        found = train_weighted(rows, self._scheme(), self.rank, self.training, solver_key)
        each = range(tasks.n_tasks)
        alone = jnp.stack([measured_risk(tasks, single.shared[i], single.heads[i, 0], i, key) for i in each])
        together = jnp.stack([measured_risk(tasks, found.shared, found.heads[i], i, key) for i in each])
        status = worst(jnp.max(single.status), found.status)
        return alone, together, found.weights_mean, found.n_floored, status

    def _scheme(self) -> Scheme:
        return self.hyperparameters or find_scheme(self.scheme)()
