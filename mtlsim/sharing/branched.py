"""Branches: hard sharing inside groups of tasks, nothing between them, as fully-adaptive feature sharing ends up [lu2017fully].

    f_k(x) = g(x'B_j) A_k,      j the group of task k,  B_j (d, r) of each group,  A_k (r,) of each task,

    of depth L a tree:      f_k(x) = g(.. g(x'B_1j1) .. B_LjL) A_k,      jl the group of task k in layer l.

Tasks that share a layer share all layers before it. One group is `hard`, as many as tasks is every task alone; with linear units
the groups of the first layer decide, as more layers reach the same functions. Which groups are best is
`mtlsim.solvers.partitions`: by the affinity of tasks, as published, or the best of all partitions, of which there are 15 of four
tasks and 4140 of eight. `mtlsim.fit_adaptive` trains, grows and trains again, as published.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mtlsim.core.checks import require
from mtlsim.core.extremes import largest_of
from mtlsim.core.keys import stream
from mtlsim.core.linalg import multiply
from mtlsim.samples.moments import Moments, stack
from mtlsim.sharing._sharing import Answer, Problem, Shape, Sharing, gathered, identity
from mtlsim.sharing.hard import Hard, own_head_is_near
from mtlsim.solvers.expected_risk import is_near
from mtlsim.solvers.network import Layers
from mtlsim.solvers.solve import solve


class Tree(NamedTuple):
    """The columns of every layer's groups, from the input on, and heads A (K, r)."""

    columns: list[Float[Array, "_ _ r"]]
    heads: Float[Array, "K r"]


def as_groups(value: Any) -> tuple[int, ...] | tuple[tuple[int, ...], ...] | None:
    """Group numbers as they come, one a task, or one such tuple for each layer."""
    if value is None:
        return None
    several = isinstance(value, Iterable) and not isinstance(value, str)
    value = tuple(value) if several else value
    if several and value and all(np.ndim(layer) == 1 for layer in value):
        rows = tuple(as_groups(layer) for layer in value)
        return rows if len(rows) > 1 else rows[0]
    whole = several and value and all(np.ndim(group) == 0 and not isinstance(group, str) and int(group) == group for group in value)
    cure = "write (0, 0, 1) for two groups of three tasks, ((0, 0, 0), (0, 0, 1)) for such a branch above a common layer"
    require(bool(whole), "groups", "a whole number for each task, or such a row for each layer", repr(value), cure)
    numbers = {group: number for number, group in enumerate(dict.fromkeys(value))}
    return tuple(numbers[group] for group in value)


class Branched(Sharing):
    """groups: a number for each task, the same for those that share a layer; of more layers a row of numbers for each, from the
    input on; None: all share one.
    """

    groups: tuple[int, ...] | tuple[tuple[int, ...], ...] | None = eqx.field(default=None, converter=as_groups, static=True)

    on_networks = True

    def __check_init__(self):
        if self.depth > 1:
            for before, after in zip(self.groups, self.groups[1:], strict=False):
                pairs = set(zip(after, before, strict=len(after) == len(before)))
                inside = len(before) == len(after) and len(pairs) == len(set(after))
                cure = "let tasks that share a layer share all layers before it"
                require(inside, "groups", "a tree, all groups inside those of the row before", f"{before}, then {after}", cure)

    def check(self, n_tasks, rank):
        for groups in self.tree(n_tasks):
            count = len(groups)
            require(count == n_tasks, "groups", f"of {n_tasks} numbers, one per task", f"of {count}", "give one per task")

    @property
    def depth(self) -> int:
        """L, of the rows of `groups`."""
        return len(self.groups) if self.groups and isinstance(self.groups[0], tuple) else 1

    @property
    def flat(self):
        return self.depth == 1

    def tree(self, n_tasks: int) -> tuple[tuple[int, ...], ...]:
        """The groups of the tasks in every layer."""
        groups = (0,) * n_tasks if self.groups is None else self.groups
        return (groups,) if self.flat else groups

    def members(self, n_tasks: int) -> list[np.ndarray]:
        """The tasks of each group of the first layer."""
        groups = np.asarray(self.tree(n_tasks)[0])
        return [np.flatnonzero(groups == group) for group in range(groups.max() + 1)]

    def route(self, n_tasks, rank, shared_covariates, n_features):
        return self.name

    def exact(self, problem: Problem) -> Answer:
        moments, found, dtype = problem.moments, [], problem.moments.cross.dtype
        heads, parameters = jnp.zeros((problem.n_tasks, problem.rank), dtype), jnp.zeros_like(moments.cross)
        for i, tasks in enumerate(self.members(problem.n_tasks)):
            key = stream(problem.key, f"group {i}")
            own = solve(take(moments, tasks), problem.rank, problem.weights[tasks], problem.ridge[tasks], key=key)
            heads, parameters = heads.at[tasks].set(own.heads), parameters.at[tasks].set(own.parameters)
            found.append(own)
        hand_on = jnp.eye(problem.rank, dtype=dtype)
        onward = [jnp.stack([hand_on] * (max(groups) + 1)) for groups in self.tree(problem.n_tasks)[1:]]
        params = Tree([jnp.stack([own.shared for own in found]), *onward], heads)
        return gathered(params, parameters, found, [1.0] * len(found))  # their weights are in them

    def init(self, key, shape: Shape, size=0.3) -> Tree:
        """That of hard sharing: branches are copies of one another at first."""
        columns, heads = Hard(self.depth).init(key, shape, size)
        return self.of(columns if self.depth > 1 else [columns], heads)

    def of(self, columns: list[Array], heads: Float[Array, "K r"]) -> Tree:
        """The tree whose branches are copies of the layers that all tasks shared."""
        tree = self.tree(len(heads))
        return Tree([jnp.stack([one] * (max(groups) + 1)) for one, groups in zip(columns, tree, strict=True)], heads)

    def layers(self, params: Tree) -> Layers:
        """The columns of all groups side by side, of which every task reads those of its own."""
        (columns,), heads = params
        groups, n_groups = jnp.asarray(self.tree(len(heads))[0]), len(columns)
        own = (groups[:, None] == jnp.arange(n_groups)).astype(heads.dtype)
        return Layers(jnp.concatenate(list(columns), 1), (own[:, :, None] * heads[:, None]).reshape(len(heads), -1))

    def outputs(self, params: Tree, X, task, unit=identity):
        for columns, groups in zip(params.columns, self.tree(len(params.heads)), strict=True):
            X = unit(multiply(X, columns[groups[task]]))
        return multiply(X, params.heads[task])

    def rebuild(self, leaves) -> Tree:
        return Tree(list(leaves[:-1]), leaves[-1])

    def owned(self, params: Tree) -> Tree:
        return Tree([False] * self.depth, True)

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
    (Branched(((0, 0), (0, 1))), {"rank": 1}, [[0.98249, 0.72186], [1.24677, 0.91603]]),
)
