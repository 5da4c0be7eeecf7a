"""Branches: hard sharing inside groups of tasks, nothing between them, as fully-adaptive feature sharing ends up [lu2017fully].

    f_k(x) = x'B_g A_k,      g the group of task k,  B_g (d, r) of each group,  A_k (r,) of each task.

One group is `hard`, as many as tasks is every task alone. Which groups are best is `mtlsim.solvers.partitions`: by the affinity of
tasks, as published, or the best of all partitions, of which there are 15 of four tasks and 4140 of eight.
"""

from collections.abc import Iterable, Iterator

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from mtlsim.core.checks import require
from mtlsim.core.extremes import largest_of
from mtlsim.core.keys import stream
from mtlsim.samples.moments import Moments, stack
from mtlsim.sharing._sharing import Answer, Problem, Sharing, gathered
from mtlsim.sharing.hard import own_head_is_near
from mtlsim.solvers.expected_risk import is_near
from mtlsim.solvers.network import Layers
from mtlsim.solvers.solve import solve


def as_groups(value):
    """A tuple of whole numbers, if any are given."""
    if value is None:
        return None
    several = isinstance(value, Iterable) and not isinstance(value, str)
    whole = several and all(np.ndim(group) == 0 and not isinstance(group, str) and int(group) == group for group in value)
    require(whole, "groups", "a whole number for each task", repr(value), "write (0, 0, 1) for two groups of three tasks")
    return tuple(int(group) for group in value)


class Branched(Sharing):
    """groups: a number for each task, the same for those that share a layer; None: all share one."""

    groups: tuple[int, ...] | None = eqx.field(default=None, converter=as_groups, static=True)

    def check(self, n_tasks, rank):
        if self.groups is not None:
            count = len(self.groups)
            require(count == n_tasks, "groups", f"of {n_tasks} numbers, one per task", f"of {count}", "give one per task")

    def members(self, n_tasks: int) -> Iterator[np.ndarray]:
        """The tasks of each group."""
        groups = np.asarray(self.groups if self.groups is not None else [0] * n_tasks)
        return (np.flatnonzero(groups == group) for group in np.unique(groups))

    def route(self, n_tasks, rank, shared_covariates, n_features):
        return self.name

    def exact(self, problem: Problem) -> Answer:
        moments, found, every = problem.moments, [], list(self.members(problem.n_tasks))
        width = len(every) * problem.rank
        heads = jnp.zeros((problem.n_tasks, width), problem.moments.cross.dtype)
        parameters = jnp.zeros_like(moments.cross)
        for i, tasks in enumerate(every):
            key = stream(problem.key, f"group {i}")
            own = solve(take(moments, tasks), problem.rank, problem.weights[tasks], problem.ridge[tasks], key=key)
            columns = jnp.arange(i * problem.rank, (i + 1) * problem.rank)
            heads = heads.at[tasks[:, None], columns].set(own.heads)
            parameters = parameters.at[tasks].set(own.parameters)
            found.append(own)
        layers = Layers(jnp.concatenate([own.shared for own in found], 1), heads)
        return gathered(layers, parameters, found, [1.0] * len(found))  # their weights are in them

    def shares(self, n_tasks, rank):
        return any(len(tasks) > rank for tasks in self.members(n_tasks))

    def infinite_variance(self, tasks, rank, weights, ridge, target):
        d, last = tasks.n_features, range(tasks.n_tasks)[target]
        group = next(tasks_of for tasks_of in self.members(tasks.n_tasks) if last in tasks_of)
        near = is_near(tasks.n_samples[last], d, ridge[last])
        if len(group) > rank:
            near |= own_head_is_near(tasks, rank, ridge, last)
            near |= is_near(jnp.sum(tasks.n_samples[group]), rank * (d + len(group) - rank), largest_of(ridge))
        return near


def take(moments: Moments, tasks: np.ndarray) -> Moments:
    """The moments of some tasks."""
    return stack([moments[int(k)] for k in tasks])


SHARING = Branched
REDUCTIONS = ()
EXAMPLES = (
    (Branched(), {"rank": 1}, [[0.98249, 0.72186], [1.24677, 0.91603]]),
    (Branched((0, 1)), {"rank": 1}, [[4 / 3, 1 / 3], [1.0, 1.0]]),
)
