"""The transfer cell: one draw of the tasks and their samples, learned alone and together, with exact risks."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from mtlsim.cells.draw import TransferDraw
from mtlsim.cells.network import compare_networks
from mtlsim.cells.tails import HEAD_ROWS, LEAD, compare_with_expectation, is_near
from mtlsim.core.checks import is_concrete, require, require_all, require_choice
from mtlsim.core.keys import check_key, stream
from mtlsim.core.status import Certificate, Status, flag, worst
from mtlsim.samples.moments import Moments, stack
from mtlsim.samples.wishart import draw_moments
from mtlsim.solvers.gradient import Training
from mtlsim.solvers.objective import check_per_task, check_weights, per_task
from mtlsim.solvers.pooled import solve_around, solve_mean_regularised, solve_pooled
from mtlsim.solvers.single import solve_single, solve_within
from mtlsim.solvers.solve import choose_route, solve
from mtlsim.tasks.classification import ClassificationTasks
from mtlsim.tasks.recipe import Recipe, Tasks
from mtlsim.tasks.relu import ReluTasks

METHODS = {
    "hard": "a shared layer of the given rank with free heads",
    "pooled": "one parameter vector for all tasks: every head fixed to one",
    "frozen": "the shared layer of the sources alone, of the given rank, on which only the target's head is fitted",
    "soft": "the target's rows with the ridge `strength` around the first source's own estimate",
    "mean-regularised": "every task's rows with the ridge `strength` around the mean of all tasks",
}


class Transfer(eqx.Module):
    """A cell: `cell(key=...)` draws tasks and samples and compares learning the target alone (STL) with learning all (MTL).

    tasks: a recipe (`LinearTasks`, `ReluTasks`, `ClassificationTasks`). rank: columns of the shared layer. target: which task is
    measured. weights, ridge: per task, as in `mtlsim.solve`; the target's ridge is used by both sides. method: what "together"
    means, a name in `METHODS`. strength: of the methods that have one, on the scale of X'X. training: how networks of `rank`
    units are fitted, on both sides (ReLU units where the tasks have them, else linear ones); linear tasks are solved
    exactly and take none. loss: of labels -1 and 1, "logistic" (the default) or "squared"; their risk is the share of rows
    decided wrongly. Same data and noise for both sides.
    Source: [wu2020understanding], Sections 2.1 to 2.3.
    """

    tasks: Recipe
    rank: int = eqx.field(default=1, static=True)
    target: int = eqx.field(default=-1, static=True)
    weights: tuple | Array | None = None
    ridge: tuple | Array | float | None = None
    method: str = eqx.field(default="hard", static=True)
    strength: Array | float = 1.0
    training: Training | None = None
    loss: str | None = eqx.field(default=None, static=True)

    def __check_init__(self):
        given, labels = self.training is not None, isinstance(self.tasks, ClassificationTasks)
        cure = "left out for linear tasks, which are solved exactly"
        require(self.fits_networks or not given, "training", cure, "given", "leave it out")
        hard = self.method == "hard" or not self.fits_networks
        require(hard, "method", "'hard' for ReLU tasks and classification", repr(self.method), "leave it out")
        losses = ("logistic", "squared") if labels else ("squared",)
        require(self.loss in (None, *losses), "loss", f"{' or '.join(losses)} for these tasks", repr(self.loss), "leave it out")
        require_choice(self.method, METHODS, "method")
        require_all(self.strength, lambda s: (s > 0) & np.isfinite(s), "strength", "a number > 0", "use 1")
        sources = self.tasks.n_tasks - 1
        require(self.method not in ("frozen", "soft") or sources > 0, "tasks", "two or more", "one", "add a source task")
        last = range(self.tasks.n_tasks)[self.target] == sources if -sources - 1 <= self.target <= sources else True
        require(self.method not in ("frozen", "soft") or last, "target", "the last task for this method", self.target, "use -1")
        d, n_tasks = self.tasks.n_features, self.tasks.n_tasks
        whole = isinstance(self.rank, (int, np.integer)) and not isinstance(self.rank, bool)
        require(
            whole and 1 <= self.rank <= d, "rank", f"a whole number from 1 to n_features = {d}", self.rank, "use 1 to force sharing"
        )
        require(
            -n_tasks <= self.target < n_tasks, "target", f"the index of one of {n_tasks} tasks", self.target, "use -1 for the last"
        )
        for name in ("weights", "ridge"):
            value = getattr(self, name)
            if value is not None and all(is_concrete(entry) for entry in jax.tree.leaves(value)):
                check_per_task(np.asarray(value, float), n_tasks, name)
        check_weights(self.weights)

    @property
    def fits_networks(self) -> bool:
        """Whether the optimum is searched for, and not known in closed form or by a certified search."""
        return isinstance(self.tasks, (ReluTasks, ClassificationTasks))

    @property
    def loss_fitted(self) -> str:
        return self.loss or ("logistic" if isinstance(self.tasks, ClassificationTasks) else "squared")

    @property
    def route(self) -> str:
        if self.fits_networks:
            return (self.training or Training()).optimiser
        if self.method != "hard":
            return self.method
        return choose_route(self.tasks.n_tasks, self.rank, self.tasks.shared_covariates, self.tasks.n_features)

    def __call__(self, *, key: Key[Array, ""] | None = None) -> TransferDraw:
        key = check_key(key)
        tasks = self.tasks.draw(key=key)
        if self.fits_networks:
            return compare_networks(tasks, self, key)
        moments = draw_moments(tasks, key=stream(key, "samples"))
        ridge = per_task(self.ridge, 0.0, tasks.n_tasks, "ridge", moments.gram.dtype)
        alone = solve_single(moments[self.target], ridge[self.target])
        parameters, gap, certificate, status = self._learn_together(moments, ridge, stream(key, "solver"))
        risk_single = tasks.excess_risk(alone, self.target)
        risk_multi = tasks.excess_risk(parameters, self.target)
        control, tails = compare_with_expectation(risk_single, tasks, self.target, ridge[self.target])
        energy = moments.energy[self.target]
        return TransferDraw(
            risk_single - risk_multi,
            risk_single,
            risk_multi,
            control,
            gap / jnp.where(energy > 0, energy, 1),
            certificate,
            worst(tasks.status, status, self._tails(tails, tasks, ridge)),
            self.route,
        )

    def _tails(self, alone: Int[Array, ""], tasks: Tasks, ridge: Float[Array, " K"]) -> Int[Array, ""]:
        """`heavy_tailed` where the risk alone is, or that together is so near to interpolation that its variance is infinite."""
        n, d, n_tasks = tasks.n_samples, tasks.n_features, tasks.n_tasks
        own, own_ridge = n[self.target], ridge[self.target]
        if self.method == "pooled":
            near = is_near(own if tasks.shared_covariates else jnp.sum(n), d, jnp.max(ridge))  # equal rows see no more together
        elif self.method == "soft":
            near = is_near(n[0], d, ridge[0])
        elif self.method == "mean-regularised":
            near = jnp.zeros((), bool)
        elif n_tasks <= self.rank and self.method == "hard":  # nothing is shared, and the gain is zero in every draw
            return jnp.zeros((), jnp.int32)
        else:
            near = (own <= self.rank + HEAD_ROWS) & (own_ridge == 0)
            if self.method == "hard":
                near |= is_near(jnp.sum(n), self.rank * (d + n_tasks - self.rank), jnp.max(ridge))
                near |= is_near(own, d, own_ridge) & ~self._sources_lead(tasks)
        return worst(alone, flag(near, Status.heavy_tailed))

    def _sources_lead(self, tasks: Tasks) -> Bool[Array, ""]:
        """Whether the sources' signal is so much larger than the target's noise that the layer never turns to the latter."""
        weights = per_task(self.weights, 1.0, tasks.n_tasks, "weights", tasks.parameters.dtype)
        signals = [covariance.quadratic(own) for covariance, own in zip(tasks.covariances, tasks.parameters, strict=True)]
        energies = weights * tasks.n_samples * jnp.stack(signals)
        noise = weights[self.target] * tasks.n_samples[self.target] * tasks.noise[self.target] ** 2
        return jnp.sum(energies) - energies[self.target] >= LEAD * noise

    def _learn_together(self, moments: Moments, ridge: Float[Array, " K"], key: Key[Array, ""]):
        """The target's parameters, and the gap, certificate and status of how they were found."""
        weights = per_task(self.weights, 1.0, moments.n_tasks, "weights", moments.gram.dtype)
        if self.method == "hard":
            solution = solve(moments, self.rank, self.weights, ridge, key=key)
            return solution.parameters[self.target], solution.gap, solution.certificate, solution.status
        zero, exact = jnp.zeros((), moments.gram.dtype), jnp.full((), int(Certificate.exact), jnp.int32)
        fine = jnp.zeros((), jnp.int32)
        if self.method == "pooled":
            return solve_pooled(moments, weights, ridge), zero, exact, fine
        if self.method == "mean-regularised":
            return solve_mean_regularised(moments, self.strength)[self.target], zero, exact, fine
        if self.method == "soft":
            return solve_around(moments[-1], solve_single(moments[0], ridge[0]), self.strength), zero, exact, fine
        sources = stack([moments[i] for i in range(moments.n_tasks - 1)])
        solution = solve(sources, self.rank, weights[:-1], ridge[:-1], key=key)
        return solve_within(moments[-1], solution.shared, ridge[-1]), solution.gap, solution.certificate, solution.status
