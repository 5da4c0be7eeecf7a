"""Random problems as raw rows: many shapes, scales, conditions. Nothing here calls mtlsim but `moments_of` and `rows_of`."""

import numpy as np

import mtlsim as mtl
from mtlsim.samples import stack


def random_tasks(rng, d, sizes, condition=1.0, scales=None, noise=0.5):
    """Tasks (X, y) of the given numbers of rows, each with its own spectrum in its own basis; parameters at random angles."""
    tasks, theta = [], rng.normal(size=d)
    for m, scale in zip(sizes, scales or [1.0] * len(sizes), strict=True):
        roots = np.exp(rng.uniform(0, 0.5 * np.log(condition), d))
        basis = np.linalg.qr(rng.normal(size=(d, d)))[0]
        X = scale * rng.normal(size=(m, d)) * roots @ basis.T
        cosine = rng.uniform(-1, 1)
        own = cosine * theta + np.sqrt(1 - cosine**2) * rng.normal(size=d)
        tasks.append((X, X @ own + noise * scale * rng.normal(size=m)))
    return tasks


def random_sizes(rng, d):
    """Rows of two tasks, below and above d, but more than d in all."""
    while True:
        sizes = rng.integers(1, 3 * d + 3, 2).tolist()
        if sum(min(m, d) for m in sizes) > d:
            return sizes


def random_pair(rng, d):
    """Two tasks with weights and ridges: condition numbers of X'X to 10^3, one task to 10^6 times the other, any noise."""
    scales = [10.0 ** rng.choice([0, 0, 1, 3]), 1.0]
    tasks = random_tasks(rng, d, random_sizes(rng, d), 10 ** rng.uniform(0, 3), scales, rng.choice([0, 0.3, 3, 30]))
    weights = 10 ** rng.uniform(-2, 2, 2) if rng.random() < 0.5 and scales[0] < 100 else np.ones(2)
    ridge = 10 ** rng.uniform(-5, 0, 2) * [np.linalg.norm(X, 2) ** 2 for X, _ in tasks] * (rng.random(2) < 0.7)
    order = rng.permutation(2)
    return [tasks[i] for i in order], weights[order], ridge[order] if rng.random() < 0.4 else np.zeros(2)


def moments_of(tasks) -> mtl.Moments:
    return stack([mtl.Moments.from_data(X, y) for X, y in tasks])


def rows_of(moments):
    """Equivalent rows and labels of drawn moments, and the label energy of each task that no direction holds."""
    tasks = [(np.asarray(factor).T, np.asarray(scores)) for factor, scores in zip(moments.factor, moments.scores, strict=True)]
    return tasks, np.asarray(moments.energy) - [y @ y for _, y in tasks]
