"""The best partition of tasks into groups that learn together, when every task's worth in every group is known."""

from collections.abc import Callable

import numpy as np

MOST_EXACT = 10  # tasks, of which there are 3^10 = 59 049 pairs of a set and a part of it
MOST_GREEDY = 24


def best_partition(n_tasks: int, worth: Callable[[int, tuple[int, ...]], float]) -> list[tuple[int, ...]]:
    """Groups of greatest total worth, worth(t, others) of task t beside its group's others; 0 alone.

    Exact for up to ten tasks, by dynamic programming over all subsets; beyond, groups are joined for as long as the total rises.
    """
    if n_tasks <= MOST_EXACT:
        return _exact(n_tasks, worth)
    return _greedy(n_tasks, worth)


def _total(group: tuple[int, ...], worth: Callable) -> float:
    return sum(worth(t, tuple(s for s in group if s != t)) for t in group) if len(group) > 1 else 0.0


def _members(mask: int) -> tuple[int, ...]:
    return tuple(k for k in range(mask.bit_length()) if mask >> k & 1)


def _exact(n_tasks: int, worth: Callable) -> list[tuple[int, ...]]:
    full = 1 << n_tasks
    totals = np.array([0.0] + [_total(_members(mask), worth) for mask in range(1, full)])
    best, last = np.zeros(full), np.zeros(full, int)
    for mask in range(1, full):
        lowest = mask & -mask  # stands in some group; its group is one of the parts that hold it
        rest, part, most, chosen = mask ^ lowest, mask ^ lowest, -np.inf, lowest
        while True:
            found = totals[part | lowest] + best[rest ^ part]
            if found > most + 1e-12:
                most, chosen = found, part | lowest
            if part == 0:
                break
            part = (part - 1) & rest
        best[mask], last[mask] = most, chosen
    groups, mask = [], full - 1
    while mask:
        groups.append(_members(int(last[mask])))
        mask ^= int(last[mask])
    return sorted(groups)


def _greedy(n_tasks: int, worth: Callable) -> list[tuple[int, ...]]:
    groups = [(k,) for k in range(n_tasks)]
    totals = dict.fromkeys(groups, 0.0)
    while len(groups) > 1:
        pairs = [(a, b) for i, a in enumerate(groups) for b in groups[i + 1 :]]
        for a, b in pairs:
            joined = tuple(sorted(a + b))
            if joined not in totals:
                totals[joined] = _total(joined, worth)
        gains = [totals[tuple(sorted(a + b))] - totals[a] - totals[b] for a, b in pairs]
        most = int(np.argmax(gains))
        if gains[most] <= 0:
            break
        a, b = pairs[most]
        groups = [group for group in groups if group not in (a, b)] + [tuple(sorted(a + b))]
    return sorted(groups)
