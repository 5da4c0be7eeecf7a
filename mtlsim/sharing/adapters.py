"""Adapters: a common base for all tasks, and a difference of each that decays [hu2022lora].

    f_k(x) = x'(b + u_k v_k),      penalty decay sum_k (|u_k|^2 + v_k^2),      b free, of one output.

Whatever u_k and v_k make, their decay is 2 decay |u_k v_k|, a length that is not squared: the best differences solve

    minimise over b, delta_k   sum_k w_k |X_k (b + delta_k) - y_k|^2 + 2 decay sum_k |delta_k|,

convex, and a task's difference is exactly zero or not at all small. All tasks are pooled, exactly, from
decay = max_k w_k |S_k p - X_k'y_k| on, p the pooled solution. decay -> 0 is every task alone.

Of o outputs, labels (m, o), the base is B (d, o) and the differences U_k V_k', d x q and q x o; their decay is
2 decay sum_j sigma_j(Delta_k), so that differences have few directions, as few as decay says, for any q that is no smaller.

One after the other (sequential), the base is what the first task learns alone, and is held; the last task's difference has q
directions, the columns of the layer, and no decay: reduced-rank regression of what the base leaves of its labels. q >= min(d, o)
is its own least squares, which is why one output is nothing to adapt. Its risk is known (`sequential-adapter`).
"""

from dataclasses import replace
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mtlsim.core.checks import require_bool, require_one
from mtlsim.samples.moments import stack
from mtlsim.sharing._sharing import Answer, Problem, Sharing, gathered, require_no_ridge, rows_together
from mtlsim.solvers.expected_risk import is_near
from mtlsim.solvers.mixed import solve_ridge
from mtlsim.solvers.network import Layers
from mtlsim.solvers.penalised import solve_deltas
from mtlsim.solvers.solve import solve


class Adapted(NamedTuple):
    """The common base b (d,) and the differences (K, d); of o outputs (o, d) and (K, o, d)."""

    base: Float[Array, "*o d"]
    deltas: Float[Array, "K *o d"]


class Adapters(Sharing):
    """decay: of both factors of every difference, > 0, on the scale of X'y. sequential: whether the base is the first task's, and
    held; then rank, and no decay, keeps the last task's difference small, and tasks between are alone.
    """

    decay: Array | float = 1.0
    sequential: bool = eqx.field(default=False, static=True)

    several_outputs = True

    @property
    def needs_source(self):
        return self.sequential

    def __check_init__(self):
        require_bool(self.sequential, "sequential")
        require_one(self.decay, lambda s: (s > 0) & np.isfinite(s), "decay", "a number > 0", "use 1")

    def exact(self, problem: Problem) -> Answer:
        require_no_ridge(problem)
        if self.sequential:
            return _adapted(problem)
        o, decay = problem.n_outputs, jnp.asarray(self.decay, problem.ridge.dtype)
        found = solve_deltas(problem.moments, problem.weights, 2 * decay, o)
        base = found.common if o > 1 else found.common[0]
        params = Adapted(base, found.parameters.reshape(-1, *base.shape) - base)
        return Answer(params, found.parameters, found.loss, found.gap, found.certificate, found.status)

    def shares(self, n_tasks, rank):
        return not self.sequential  # but for several outputs, which no cell has

    def infinite_variance(self, tasks, rank, weights, ridge, target):
        """The base is least squares on all rows, however strong the decay."""
        return is_near(rows_together(tasks, target), tasks.n_features)

    def layers(self, params: Adapted) -> Layers:
        each = jnp.eye(len(params.deltas), dtype=params.base.dtype)
        return Layers(jnp.concatenate([params.base[None], params.deltas]).T, jnp.concatenate([jnp.ones_like(each[:, :1]), each], 1))

    def rebuild(self, leaves) -> Adapted:
        return Adapted(*leaves)


def _adapted(problem: Problem) -> Answer:
    """The first task's own parameters, and the last task's by a difference of `rank` directions."""
    o, moments = problem.n_outputs, problem.moments
    alone = [solve_ridge(moments[i], 0.0) for i in range(moments.n_tasks - o)]
    own = jnp.concatenate([one.parameters for one in alone])
    left = stack([moments[i - o].less(own[i]) for i in range(o)])
    first = lambda part: None if part is None else part[0]
    shared = replace(left, gram=left.gram[0], factor=first(left.factor))  # all outputs have the same rows
    found = solve(shared, min(problem.rank, o), key=problem.key)
    base, shape = own[:o], (-1, o, moments.n_features)
    parameters = jnp.concatenate([own, base + found.parameters])
    adapted = Adapted(base, parameters.reshape(shape) - base)
    if o == 1:
        adapted = Adapted(base[0], adapted.deltas[:, 0])
    return gathered(adapted, parameters, [*alone, found], [*problem.weights[: len(alone)], problem.weights[-1]])


SHARING = Adapters
REDUCTIONS = ("single when weak", "pooled when strong")
EXAMPLES = (
    (Adapters(0.73), {}, [[18 / 17, 14 / 17]] * 2),
    (Adapters(0.3), {}, [[1.18365, 0.55275], [1.07996, 0.92771]]),
    (Adapters(sequential=True), {}, [[4 / 3, 1 / 3], [1.0, 1.0]]),
)
