"""The transfer cell: one draw of the tasks and their samples, learned alone and together, with exact risks."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from mtlsim.cells.draw import TransferDraw
from mtlsim.cells.network import compare_networks
from mtlsim.cells.tails import compare_with_expectation, without_rounding
from mtlsim.core.checks import as_numbers, is_concrete, is_whole, require, require_all, require_index
from mtlsim.core.keys import check_key, stream
from mtlsim.core.status import Status, flag, worst
from mtlsim.samples.wishart import draw_moments
from mtlsim.sharing import Problem, Sharing, as_sharing
from mtlsim.sharing.hard import Hard
from mtlsim.solvers.objective import check_per_task, check_weights, per_task
from mtlsim.solvers.single import solve_single
from mtlsim.tasks.recipe import Recipe, require_recipe
from mtlsim.training.network import Training


class Transfer(eqx.Module):
    """A cell: `cell(key=...)` draws tasks and samples and compares learning the target alone (STL) with learning all (MTL).

    tasks: a recipe (`LinearTasks`, `ReluTasks`, `ClassificationTasks`). rank: columns of the shared layer. target: which task is
    measured. weights, ridge: per task, as in `mtlsim.solve`; the target's ridge is used by both sides. sharing: what "together"
    means, an architecture of `mtlsim.sharing` or its name. training: how networks of `rank`
    units are fitted, on both sides (ReLU units where the tasks have them, else linear ones); linear tasks are solved
    exactly and take none. loss: of labels -1 and 1, "logistic" (the default) or "squared"; their risk is the share of rows
    decided wrongly. Same data and noise for both sides. A gain that rounding of both risks may have made is zero.
    Source: [wu2020understanding], Sections 2.1 to 2.3.

    >>> pair = mtl.LinearTasks(n_features=5, n_samples=(50, 20), cosine=0.9)
    >>> draw = mtl.Transfer(pair, sharing="pooled")(key=jax.random.key(0))
    >>> bool(draw.gain == draw.risk_single - draw.risk_multi)
    True
    """

    tasks: Recipe
    rank: int = eqx.field(default=1, static=True)
    target: int = eqx.field(default=-1, static=True)
    weights: tuple | Array | None = None
    ridge: tuple | Array | float | None = None
    sharing: Sharing | str | Mapping[str, Any] = eqx.field(default=Hard(), converter=as_sharing)  # a Sharing from then on
    training: Training | None = None
    loss: str | None = eqx.field(default=None, static=True)

    def __check_init__(self):
        tasks, sharing = self.tasks, self.sharing
        require_recipe(tasks)
        require(isinstance(sharing, Sharing), "sharing", "an architecture or its name", repr(sharing), "use 'hard'")
        cure = "left out for linear tasks, which are solved exactly"
        require(tasks.need_rows or self.training is None, "training", cure, "given", "leave it out")
        right = not tasks.need_rows or (sharing.name == "hard" and sharing.flat)
        require(right, "sharing", "'hard' of depth one for ReLU tasks and classification", repr(sharing.name), "leave it out")
        require(sharing.solved, "sharing", "one whose optimum is known", repr(sharing.name), "use TrainingCurve, which trains it")
        require(
            self.loss in (None, *tasks.losses),
            "loss",
            f"{' or '.join(tasks.losses)} for these tasks",
            repr(self.loss),
            "leave it out",
        )
        require_index(self.target, tasks.n_tasks, "target")
        sources = tasks.n_tasks - 1
        require(not sharing.needs_source or sources > 0, "tasks", "two or more", "one", "add a source task")
        last = range(tasks.n_tasks)[self.target] == sources
        require(not sharing.needs_source or last, "target", "the last task for this sharing", self.target, "use -1")
        d, n_tasks = tasks.n_features, tasks.n_tasks
        whole = is_whole(self.rank)
        require(
            whole and 1 <= self.rank <= d, "rank", f"a whole number from 1 to n_features = {d}", self.rank, "use 1 to force sharing"
        )
        for name in ("weights", "ridge"):
            value = getattr(self, name)
            require_all(value, lambda v: (v >= 0) & np.isfinite(v), name, "numbers >= 0", "use 0 to leave a task out of it")
            if value is not None and all(is_concrete(entry) for entry in jax.tree.leaves(value)):
                check_per_task(as_numbers(value, name), n_tasks, name)
        check_weights(self.weights)
        sharing.check(n_tasks, self.rank)

    @property
    def loss_fitted(self) -> str:
        return self.loss or self.tasks.losses[0]

    @property
    def solved(self) -> bool:
        """Whether nothing is trained: then its work is mostly in LAPACK, and sweeps compile it quickly."""
        return not self.tasks.need_rows

    @property
    def route(self) -> str:
        if self.tasks.need_rows:
            return (self.training or Training()).optimiser
        tasks = self.tasks
        return self.sharing.route(tasks.n_tasks, self.rank, tasks.shared_covariates, tasks.n_features)

    def __call__(self, *, key: Key[Array, ""] | None = None) -> TransferDraw:
        key = check_key(key)
        tasks = self.tasks.draw(key=key)
        if self.tasks.need_rows:
            return compare_networks(tasks, self, key)
        moments = draw_moments(tasks, key=stream(key, "samples"))
        ridge = per_task(self.ridge, 0.0, tasks.n_tasks, "ridge", moments.gram.dtype)
        weights = per_task(self.weights, 1.0, tasks.n_tasks, "weights", moments.gram.dtype)
        alone = solve_single(moments[self.target], ridge[self.target])
        together = self.sharing.exact(Problem(moments, self.rank, weights, ridge, stream(key, "solver")))
        risk_single = tasks.excess_risk(alone, self.target)
        risk_multi = tasks.excess_risk(together.parameters[self.target], self.target)
        bends = self.sharing.bends
        control, steep, tails = compare_with_expectation(risk_single, tasks, self.target, ridge[self.target], bends)
        heavy = flag(self.sharing.infinite_variance(tasks, self.rank, weights, ridge, self.target), Status.heavy_tailed)
        if not self.sharing.shares(tasks.n_tasks, self.rank):  # then a gain of zero has no tails
            tails = heavy = jnp.zeros((), jnp.int32)
            steep = jnp.zeros_like(steep)
        energy, gain = moments.energy[self.target], without_rounding(risk_single - risk_multi, tasks, self.target)
        unknown = flag(~jnp.isfinite(gain), Status.ill_conditioned)
        return TransferDraw(
            gain,
            risk_single,
            risk_multi,
            control,
            steep,
            together.gap / jnp.where(energy > 0, energy, 1),
            together.certificate,
            worst(tasks.status, together.status, tails, heavy, unknown),
            self.route,
        )
