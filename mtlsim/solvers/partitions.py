"""Partitions of tasks into groups, and the two ways to choose one: by the affinity of tasks, and the best of all.

A partition of K tasks is a tuple of group numbers, (0, 0, 1) for {1, 2}, {3}, groups numbered as they come. Fully-adaptive feature
sharing [lu2017fully] branches a trained net by what its tasks find hard together,

    A_kl = P(k and l find an example hard) + P(both find it easy),      hard: the error is at least its mean,

layer by layer from the outputs to the input. At each layer the branches above it, at first the tasks themselves, join in the
C groups that make least

    (C - 1) cost + sum over groups of (1 - mean_j min_j' A_jj') / C,

A_jj' of branches the mean over the tasks of j of their least affinity to one of j', and the mean of both directions. The groups of
all layers are a tree, a partition for every layer from the input on. `grow_tree` takes the best groups of one layer after another,
as published (there by spectral clustering, here by trying all); `best_tree` is the tree whose losses have the least sum.
"""

from collections.abc import Sequence
from functools import cache

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from mtlsim.core.checks import require
from mtlsim.core.extremes import smallest_of
from mtlsim.core.linalg import multiply

MOST_TASKS = 8  # of which there are 4140 partitions
Groups = tuple[int, ...]


@cache
def partitions(n_tasks: int) -> tuple[Groups, ...]:
    """All partitions of up to eight tasks, that of one group first and that of K groups last."""
    fits = isinstance(n_tasks, int | np.integer) and 1 <= n_tasks <= MOST_TASKS
    require(fits, "n_tasks", f"a whole number from 1 to {MOST_TASKS}", n_tasks, "group some tasks beforehand")
    grown = [(0,)]
    for _ in range(n_tasks - 1):
        grown = [(*groups, new) for groups in grown for new in range(max(groups) + 2)]
    return tuple(sorted(grown, key=lambda groups: (max(groups), groups)))


def affinities(errors: Float[Array, "K m"]) -> Float[Array, "K K"]:
    """A (K, K) of errors |label - output| on m examples that all tasks see."""
    hard = jnp.where(errors >= jnp.mean(errors, 1, keepdims=True), 1.0, 0.0)
    return (multiply(hard, hard.T) + multiply(1 - hard, 1 - hard.T)) / errors.shape[1]


def branching_losses(affinity: Float[Array, "*N K K"], cost) -> Float[Array, "*N P"]:
    """What branching into each of `partitions(K)` costs, K tasks or branches."""
    groups = np.asarray(partitions(affinity.shape[-1]))
    together = jnp.asarray(groups[:, :, None] == groups[:, None, :])
    least = smallest_of(jnp.where(together, affinity[..., None, :, :], jnp.inf), -1)  # of a branch, in its group
    counts, sizes = groups.max(1) + 1, np.sum(groups[:, :, None] == groups[:, None, :], -1)
    return (counts - 1) * cost + jnp.sum((1 - least) / sizes, -1) / counts


def choose_partition(affinity: Float[Array, "K K"], cost) -> Int[Array, ""]:
    """The number of the partition into which fully-adaptive sharing branches, the first of equals."""
    return jnp.argmin(branching_losses(affinity, cost))


def branch_affinities(affinity: Float[Array, "K K"], groups: Int[np.ndarray, "*N K"] | Groups) -> Float[np.ndarray, "*N C C"]:
    """Affinity of the branches that groups of tasks are, itself included; N partitions into the same number of groups."""
    groups = np.asarray(groups)
    inside = groups[..., None, :] == np.arange(groups.max() + 1)[:, None]  # (N, C, K)
    least = np.where(inside[..., None, :, :], np.asarray(affinity)[:, None, :], np.inf).min(-1)  # of a task in a branch, (N, K, C)
    mean = inside @ least / inside.sum(-1, keepdims=True)
    return (mean + np.swapaxes(mean, -1, -2)) / 2


def grow_tree(affinity: Float[Array, "K K"], costs: Sequence[float]) -> tuple[Groups, ...]:
    """The groups of every layer, chosen one after the other from the outputs down. costs: of each layer, from the input."""
    groups, tree = partitions(len(affinity))[-1], []
    for cost in reversed(costs):
        groups = join(affinity, groups, cost)
        tree.insert(0, groups)
    return tuple(tree)


def join(affinity: Float[Array, "K K"], branches: Groups, cost: float) -> Groups:
    """The groups in which the branches join at one layer."""
    among = branch_affinities(affinity, branches)
    chosen = partitions(len(among))[int(choose_partition(jnp.asarray(among), cost))]
    return tuple(chosen[branch] for branch in branches)


def best_tree(affinity: Float[Array, "K K"], costs: Sequence[float]) -> tuple[Groups, ...]:
    """The tree of least `tree_loss`, of all there are: layer by layer the best way to every partition."""
    every = partitions(len(affinity))
    above, below, losses, counts = _joinings(affinity)
    least, steps = np.where(np.arange(len(every)) == len(every) - 1, 0, np.inf), []
    for cost in reversed(costs):
        reached = least[above] + losses + (counts - 1) * cost
        order = np.lexsort((reached, below))
        first = order[np.unique(below[order], return_index=True)[1]]  # the best way to each partition, all of which have one
        least, steps = reached[first], [above[first], *steps]
    tree = [int(np.argmin(least))]
    for step in steps[:-1]:
        tree.append(int(step[tree[-1]]))
    return tuple(every[one] for one in tree)


def tree_loss(affinity: Float[Array, "K K"], tree: Sequence[Groups], costs: Sequence[float]) -> float:
    """The branching losses of all layers, added up."""
    branches, total = partitions(len(affinity))[-1], 0.0
    for groups, cost in zip(reversed(tree), reversed(costs), strict=True):
        joined = dict(zip(branches, groups, strict=True))
        among = branch_affinities(affinity, branches)
        number = partitions(len(among)).index(tuple(joined[branch] for branch in range(len(among))))
        total += float(branching_losses(jnp.asarray(among), cost)[number])
        branches = groups
    return total


def _joinings(affinity: Float[Array, "K K"]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of every pair of a partition and one that joins groups of it: their numbers, the loss at cost zero, and its groups."""
    every = np.asarray(partitions(len(affinity)))
    places = {groups: i for i, groups in enumerate(partitions(len(affinity)))}
    found = []
    for count in range(1, len(affinity) + 1):
        numbers = np.flatnonzero(every.max(1) + 1 == count)
        joins = np.asarray(partitions(count))
        losses = branching_losses(jnp.asarray(branch_affinities(affinity, every[numbers])), 0.0)
        joined = joins[:, every[numbers]].transpose(1, 0, 2).reshape(-1, every.shape[1])  # numbered as they come, too
        below = np.asarray([places[tuple(groups)] for groups in joined.tolist()])
        found.append((np.repeat(numbers, len(joins)), below, np.ravel(losses), np.tile(joins.max(1) + 1, len(numbers))))
    return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))
