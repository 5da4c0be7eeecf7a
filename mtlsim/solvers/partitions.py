"""Partitions of tasks into groups, and the two ways to choose one: by the affinity of tasks, and the best of all.

A partition of K tasks is a tuple of group numbers, (0, 0, 1) for {1, 2}, {3}, groups numbered as they come. Fully-adaptive feature
sharing [lu2017fully] branches a trained net by what its tasks find hard together,

    A_kl = P(k and l find an example hard) + P(both find it easy),      hard: the error is at least its mean,

into the groups that make least (C - 1) cost + sum over groups of (1 - mean_i min_j A_ij) / C, for C groups.
"""

from functools import cache

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from mtlsim.core.checks import require
from mtlsim.core.extremes import smallest_of
from mtlsim.core.linalg import multiply

MOST_TASKS = 8  # of which there are 4140 partitions


@cache
def partitions(n_tasks: int) -> tuple[tuple[int, ...], ...]:
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


def branching_losses(affinity: Float[Array, "K K"], cost) -> Float[Array, " P"]:
    """What branching into each of `partitions(K)` costs."""
    groups = np.asarray(partitions(len(affinity)))
    together = jnp.asarray(groups[:, :, None] == groups[:, None, :])
    least = smallest_of(jnp.where(together, affinity, jnp.inf), -1)  # of a task, in its group
    counts, sizes = groups.max(1) + 1, np.sum(groups[:, :, None] == groups[:, None, :], -1)
    return (counts - 1) * cost + jnp.sum((1 - least) / sizes, -1) / counts


def choose_partition(affinity: Float[Array, "K K"], cost) -> Int[Array, ""]:
    """The number of the partition into which fully-adaptive sharing branches, the first of equals."""
    return jnp.argmin(branching_losses(affinity, cost))
