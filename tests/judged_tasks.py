"""Certificates of three to six tasks on one direction, judged by what many climbs over their rows reach."""

import adversarial
import jax
import jax.numpy as jnp
import numpy as np
from judged import HIGHEST, Judged, judge, moments_of

import mtlsim as mtl

WAYS = ("rows", "drawn", "grams")
FAMILIES = (*adversarial.FAMILIES, "alike", "crossed", "turned")
N_STARTS, N_ROUNDS, N_REFINED, N_MORE = 96, 12, 4, 300
WIDTHS = (0.5, 3.0, 10.0)  # of the log of the heads at a start


def draw(rng, family, n_tasks, d, condition):
    """Tasks (X, y) of a family of `adversarial`, or of three more, whose optima are many or flat."""
    if family == "alike":  # the same rows turned: no direction is better for one of them than for the others
        rows = adversarial.spectrum(rng, 2 * d, d, condition)
        theta = rng.normal(size=d)
        return [(adversarial.rotated(rng, 2 * d) @ rows, rows @ theta * rng.choice([-1, 1])) for _ in range(n_tasks)]
    if family == "crossed":  # each task has a direction of its own, and sees those of the others badly
        tasks = []
        for k in range(n_tasks):
            sizes = np.full(d, condition**-0.5)
            sizes[k % d] = 1
            X = adversarial.rotated(rng, 2 * d)[:, :d] * sizes
            tasks.append((X, X[:, k % d] * 10.0 ** rng.uniform(-2, 2) + 1e-3 * rng.normal(size=2 * d)))
        return tasks
    if family == "turned":  # parameters spread evenly in a plane: as many tops as tasks
        basis = adversarial.rotated(rng, d)[:2]
        angles = np.pi * np.arange(n_tasks) / n_tasks
        X = [adversarial.spectrum(rng, d + 2, d, min(condition, 1e3)) for _ in angles]
        return [(rows, rows @ (np.cos(angle) * basis[0] + np.sin(angle) * basis[1])) for rows, angle in zip(X, angles, strict=True)]
    tasks = []
    while len(tasks) < n_tasks:
        tasks += adversarial.pair(rng, family, d, condition)
    return tasks[:n_tasks]


def search(tasks, rng):
    """The least loss that alternation reaches from heads of many sizes and signs: least squares on stacked rows, in NumPy."""
    sizes = [np.abs(X).max() for X, _ in tasks]
    columns = np.max([np.abs(X / size).max(0) for (X, _), size in zip(tasks, sizes, strict=True)], axis=0)
    columns = np.where(columns > 0, columns, 1)
    scaled = [(X / size / columns, y) for (X, y), size in zip(tasks, sizes, strict=True)]

    def turn(heads):
        rows = np.concatenate([heads[:, k, None, None] * X for k, (X, _) in enumerate(scaled)], 1)
        right = np.concatenate([y for _, y in scaled])
        lengths = np.linalg.norm(rows, axis=1)
        lengths = np.where(lengths > 0, lengths, 1)
        left, values, turned = np.linalg.svd(rows / lengths[:, None], full_matrices=False)
        kept = values > 1e-15 * values[:, :1]
        inner = np.where(kept, np.einsum("nmk,m->nk", left, right) / np.where(kept, values, 1), 0)
        directions = np.einsum("nkd,nk->nd", turned, inner) / lengths
        new, explained = [], 0
        for X, y in scaled:
            fitted = directions @ X.T
            squares = np.maximum((fitted**2).sum(1), 1e-300)
            new.append(fitted @ y / squares)
            explained = explained + (fitted @ y) ** 2 / squares
        heads = np.stack(new, 1)
        return heads / np.maximum(np.linalg.norm(heads, axis=1, keepdims=True), 1e-300), explained, directions

    shape = (N_STARTS, len(tasks))
    heads = rng.choice([-1, 1], shape) * np.exp(rng.normal(size=shape) * np.resize(WIDTHS, N_STARTS)[:, None])
    for _ in range(N_ROUNDS):
        heads, explained, directions = turn(heads)
    heads = heads[np.argsort(-explained)[:N_REFINED]]
    for _ in range(N_MORE):
        heads, _, directions = turn(heads)
    return min(adversarial.loss(tasks, direction / columns) for direction in directions)


def judge_tasks(n_sets: int, seed: int = 0, ways=WAYS, sizes=((3, 3), (3, 5), (4, 2), (6, 3))) -> list[Judged]:
    """n_sets problems of each size (K, d), in turn of every family and as moments of every kind."""
    judged = []
    for n_tasks, d in sizes:
        rng = np.random.default_rng([seed, n_tasks, d])
        for way in ways:
            found = []
            for i in range(n_sets):
                family = FAMILIES[i % len(FAMILIES)]
                if (way, family) in (("drawn", "collinear"), ("drawn", "zero columns"), ("drawn", "units"), ("grams", "scales")):
                    family = "rows"
                found.append((family, draw(rng, family, n_tasks, d, HIGHEST ** rng.uniform())))
            stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[moments_of(way, tasks) for _, tasks in found])
            solved = jax.jit(jax.vmap(lambda m: mtl.solve(m, 1, certify=True)))(stacked)
            solved = jax.tree.map(np.asarray, solved)
            for i, (family, tasks) in enumerate(found):
                one = jax.tree.map(lambda leaf: leaf[i], solved)  # noqa: B023
                judged.append(judge(f"{family}, {way}", tasks, one, search(tasks, rng)))
    return judged
