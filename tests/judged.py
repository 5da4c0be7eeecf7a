"""Certificates of adversarial pairs (see `adversarial`), judged by what a scan of their rows reaches."""

import itertools
from typing import NamedTuple

import adversarial
import jax
import jax.numpy as jnp
import numpy as np

import mtlsim as mtl
from mtlsim.core.status import Certificate, Status
from mtlsim.samples.moments import stack

HOW = {
    "rows": "moments of rows",
    "drawn": "moments with a factor whose rank is known, as drawn ones have",
    "grams": "moments of sums alone, without a factor",
    "shared": "both tasks on the first one's rows",
}
KINDS = tuple(HOW)
BANDS = (1, 1e3, 1e6, 1e9, np.inf)  # of the condition number of the rows
DIMENSIONS = (2, 3, 5, 10)
HIGHEST = 1e8  # condition number of the rows


class Judged(NamedTuple):
    """One pair: its family, condition, and what its certificate says against what a scan reached.

    wrong: said exact, and a direction is better by more than exact allows, or the loss is not reached. missed: a loss below the
    proven bound was reached. flagged: the status is not ok.
    """

    family: str
    condition: float
    exact: bool
    wrong: bool
    missed: bool
    flagged: bool
    excess: float  # loss above the scan's, over the energy of all labels
    gap: float  # the same of the gap
    tasks: list


def judge_pairs(kind: str, n_pairs: int, seed: int = 0, dimensions: tuple[int, ...] = DIMENSIONS) -> list[Judged]:
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    problems = {d: [] for d in dimensions}
    for i in range(n_pairs):
        d = dimensions[i % len(dimensions)]
        family = adversarial.FAMILIES[(i // len(dimensions)) % len(adversarial.FAMILIES)]
        if kind == "drawn" and family in ("collinear", "zero columns", "units"):
            family = "rows"
        tasks = adversarial.pair(rng, family, d, HIGHEST ** rng.uniform())
        if kind == "grams" and family == "scales":  # squares of 10^150 are no numbers
            tasks = [(X / np.abs(X).max(), y) for X, y in tasks]
        if kind == "shared":
            tasks = [tasks[0], (tasks[0][0], rng.normal(size=len(tasks[0][0])))]
        problems[d].append((family, tasks))
    judged = []
    for found in problems.values():
        if not found:
            continue
        moments = [moments_of(kind, tasks) for _, tasks in found]
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *moments)
        solved = jax.tree.map(np.asarray, jax.jit(jax.vmap(lambda m: mtl.solve(m, 1)))(stacked))
        for i, (family, tasks) in enumerate(found):
            judged.append(judge(family, tasks, jax.tree.map(lambda leaf: leaf[i], solved)))  # noqa: B023
    return judged


def moments_of(kind: str, tasks) -> mtl.Moments:
    if kind == "shared":
        return mtl.Moments.from_shared_rows(tasks[0][0], np.stack([y for _, y in tasks], 1))
    moments = stack([mtl.Moments.from_data(X, y) for X, y in tasks])
    if kind == "drawn":
        return mtl.Moments(*jax.tree.leaves(moments), rank_known=True)
    return moments.without_factor() if kind == "grams" else moments


def judge(family: str, tasks, solution: mtl.Solution, reached=None) -> Judged:
    """reached: the least loss that is known; left out, what a scan of two tasks finds."""
    total = float(sum((y**2).sum() for _, y in tasks))
    reached = adversarial.scan(tasks)[0] if reached is None else reached
    own = adversarial.energies(tasks)
    status, exact = Status(int(solution.status)), solution.certificate == Certificate.exact
    condition, rounding = adversarial.condition_of(tasks), 1e-14 * total
    nothing = status == Status.degenerate
    excess = float(solution.loss - reached)
    off = 0.0 if nothing else abs(float(solution.loss - adversarial.loss(tasks, solution.shared[:, 0])))
    allowed = max(2e-6 * own.min(), 2e-12 * total) + rounding
    missed = solution.loss - solution.gap > reached + rounding
    wrong = exact and (excess > allowed or off > allowed)
    found = bool(exact), bool(wrong), bool(missed), status != Status.ok
    return Judged(family, condition, *found, excess / total, float(solution.gap / total), tasks)


def table(judged: list[Judged]) -> str:
    lines = ["condition          pairs  exact  wrong  interval  missed  flagged"]
    for low, high in itertools.pairwise(BANDS):
        band = [one for one in judged if low <= one.condition < high]
        count = lambda what: sum(bool(getattr(one, what)) for one in band)  # noqa: B023
        row = (len(band), count("exact"), count("wrong"), len(band) - count("exact"), count("missed"), count("flagged"))
        lines.append(f"{low:7.0e} to {high:5.0e}" + "".join(f"{n:>{w}}" for n, w in zip(row, (9, 7, 7, 10, 8, 9), strict=True)))
    return "\n".join(lines)
