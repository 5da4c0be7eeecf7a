"""The transfer cell: one draw of the tasks and their samples, learned alone and together, with exact risks."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from mtlsim.core.checks import is_concrete, require
from mtlsim.core.keys import check_key, stream
from mtlsim.core.status import Certificate, Status, worst
from mtlsim.samples.wishart import draw_moments
from mtlsim.solvers.objective import check_per_task, check_weights, per_task
from mtlsim.solvers.single import solve_single
from mtlsim.solvers.solve import choose_route, solve
from mtlsim.tasks.linear import LinearTasks


class TransferDraw(eqx.Module):
    """Outcome of one draw. gain = risk_single - risk_multi on the target: positive helps.

    Risks are exact excess risks under the population covariance. gap: the multi-task loss minus its proven lower bound, over
    the target's label energy. Where the data do not determine the multi-task answer, status says so and risk_multi and gain
    are NaN.
    """

    gain: Float[Array, ""]
    risk_single: Float[Array, ""]
    risk_multi: Float[Array, ""]
    gap: Float[Array, ""]
    certificate: Int[Array, ""]
    status: Int[Array, ""]
    route: str = eqx.field(static=True)

    def __repr__(self) -> str:
        if not is_concrete(self.gain) or self.gain.ndim:
            return f"TransferDraw(route={self.route!r}, shape={self.gain.shape})"
        status = Status(int(self.status))
        helps = "undetermined" if status == Status.degenerate else "helps" if self.gain > 0 else "hurts"
        diagnosis = "" if status == Status.ok else f"\n  {status.name}: {status.sentence}"
        return (
            f"gain {float(self.gain):+.4g} ({helps}): risk {float(self.risk_single):.4g} alone, "
            f"{float(self.risk_multi):.4g} together; "
            f"{Certificate(int(self.certificate)).name} by {self.route}{diagnosis}"
        )


class Transfer(eqx.Module):
    """A cell: `cell(key=...)` draws tasks and samples and compares learning the target alone (STL) with learning all (MTL).

    tasks: a recipe (`LinearTasks`). rank: columns of the shared layer. target: which task is measured. weights, ridge: per
    task, as in `mtlsim.solve`; the target's ridge is used by both sides. Same data and noise for both sides.
    Source: [wu2020understanding], Sections 2.1 to 2.3.
    """

    tasks: LinearTasks
    rank: int = eqx.field(default=1, static=True)
    target: int = eqx.field(default=-1, static=True)
    weights: tuple | Array | None = None
    ridge: tuple | Array | float | None = None

    def __check_init__(self):
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
    def route(self) -> str:
        return choose_route(self.tasks.n_tasks, self.rank, self.tasks.shared_covariates)

    def __call__(self, *, key: Key[Array, ""] | None = None) -> TransferDraw:
        key = check_key(key)
        tasks = self.tasks.draw(key=key)
        moments = draw_moments(tasks, key=stream(key, "samples"))
        ridge = per_task(self.ridge, 0.0, tasks.n_tasks, "ridge", moments.gram.dtype)
        alone = solve_single(moments[self.target], ridge[self.target])
        solution = solve(moments, self.rank, self.weights, ridge, key=stream(key, "solver"))
        risk_single = tasks.excess_risk(alone, self.target)
        risk_multi = tasks.excess_risk(solution.parameters[self.target], self.target)
        energy = moments.energy[self.target]
        return TransferDraw(
            risk_single - risk_multi,
            risk_single,
            risk_multi,
            solution.gap / jnp.where(energy > 0, energy, 1),
            solution.certificate,
            worst(tasks.status, solution.status),
            solution.route,
        )
