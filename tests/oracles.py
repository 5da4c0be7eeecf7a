"""Independent answers in NumPy and SciPy, from raw rows and labels. Nothing here calls mtlsim.

A task is (X, y). Weights and ridges are absorbed into the rows. A regret is the loss above the sum of the tasks' own best
losses; it is a sum of squares of what is fitted, so that it stays accurate where the loss itself drowns in the larger task.
"""

from typing import NamedTuple

import numpy as np
from scipy import optimize


class Pair(NamedTuple):
    """Optimum of rank one for two tasks by brute force."""

    regret: float
    loss: float
    energies: np.ndarray  # what each task explains alone
    parameters: np.ndarray


def absorb(tasks, weights=None, ridge=None):
    """Rows and labels whose plain squared loss is the weighted and penalised one."""
    weights = np.broadcast_to(1.0 if weights is None else weights, len(tasks))
    ridge = np.broadcast_to(0.0 if ridge is None else ridge, len(tasks))
    absorbed = []
    for (X, y), weight, penalty in zip(tasks, weights, ridge, strict=True):
        d = X.shape[1]
        rows = np.concatenate([X, np.sqrt(penalty) * np.eye(d)]) if penalty > 0 else X
        labels = np.concatenate([y, np.zeros(d)]) if penalty > 0 else y
        absorbed.append((np.sqrt(weight) * rows, np.sqrt(weight) * labels))
    return absorbed


def least_squares(X, y):
    """Minimum-norm least squares."""
    return np.linalg.lstsq(X, y, rcond=None)[0]


def loss(tasks, parameters):
    return float(sum(np.sum((X @ theta - y) ** 2) for (X, y), theta in zip(tasks, parameters, strict=True)))


def regret(tasks, parameters):
    """Loss above the sum of the tasks' own best losses."""
    best = [least_squares(X, y) for X, y in tasks]
    return float(sum(np.sum((X @ (theta - own)) ** 2) for (X, _), theta, own in zip(tasks, parameters, best, strict=True)))


def energies(tasks):
    return np.array([np.sum((X @ least_squares(X, y)) ** 2) for X, y in tasks])


def refit(tasks, shared):
    """Best heads for a shared layer (d, r), as parameters (K, d)."""
    return np.stack([shared @ least_squares(X @ shared, y) for X, y in tasks])


def pair(tasks, weights=None, ridge=None) -> Pair:
    """Scan of the regret over the head ratio on the common singular vectors of both tasks, then a bounded refinement."""
    tasks = absorb(tasks, weights, ridge)
    curve, scales = _regret_curve(tasks)
    u = np.arange(-25, 25, 0.01)
    found = []
    for sign in (1.0, -1.0):
        values = curve(sign * np.exp(u))
        minima = np.flatnonzero((values[1:-1] <= values[:-2]) & (values[1:-1] <= values[2:])) + 1
        for i in minima[np.argsort(values[minima])][:4]:
            inside = optimize.minimize_scalar(
                lambda u, sign=sign: curve(sign * np.exp(np.array([u])))[0],
                bounds=(u[i - 1], u[i + 1]),
                method="bounded",
                options={"xatol": 1e-12},
            )
            found.append((inside.fun, sign * np.exp(inside.x)))
        found += [(values[0], sign * np.exp(u[0])), (values[-1], sign * np.exp(u[-1]))]
    _, ratio = min(found)
    # B for the rows divided by their scales: both sides of the ratio are of the size of one
    cosine, sine = 1 / np.hypot(1, ratio), ratio / np.hypot(1, ratio)
    rows = np.concatenate([cosine * tasks[0][0] / scales[0], sine * tasks[1][0] / scales[1]])
    shared = least_squares(rows, np.concatenate([tasks[0][1], tasks[1][1]]))
    parameters = refit(tasks, shared[:, None])
    return Pair(regret(tasks, parameters), loss(tasks, parameters), energies(tasks), parameters)


def _regret_curve(tasks):
    """D(t) = sum_j (t s_j p_j - c_j q_j)^2 / (c_j^2 + t^2 s_j^2) from the generalised singular value decomposition."""
    scales = [np.linalg.norm(X, 2) or 1.0 for X, _ in tasks]
    reduced = []
    for (X, y), scale in zip(tasks, scales, strict=True):
        left, values, right = np.linalg.svd(X / scale, full_matrices=False)
        kept = values > 1e-11
        reduced.append(((values[:, None] * right)[kept], left.T[kept] @ y))
    (R1, z1), (R2, z2) = reduced
    left, values, _ = np.linalg.svd(np.concatenate([R1, R2]), full_matrices=False)
    left = left[:, values > 1e-11]
    top, bottom = left[: len(R1)], left[len(R1) :]
    turned = np.linalg.svd(top, full_matrices=True)[2].T
    first, second = top @ turned, bottom @ turned
    c, s = np.linalg.norm(first, axis=0), np.linalg.norm(second, axis=0)
    mixed = (c > 1e-9) & (s > 1e-9)
    p, q = (z1 @ first)[mixed] / c[mixed], (z2 @ second)[mixed] / s[mixed]
    c, s = c[mixed], s[mixed]

    def curve(t):
        t = t[:, None]
        return np.sum((t * s * p - c * q) ** 2 / (c**2 + t**2 * s**2), 1)

    return curve, scales


def descend(tasks, rank, n_starts, rng, weights=None, ridge=None):
    """Best loss of L-BFGS over B (heads refitted exactly) from random starts, on raw rows."""
    tasks = absorb(tasks, weights, ridge)
    d = tasks[0][0].shape[1]

    def value_and_slope(flat):
        shared = flat.reshape(d, rank)
        value, slope = 0.0, np.zeros((d, rank))
        for X, y in tasks:
            head = least_squares(X @ shared, y)
            left = X @ (shared @ head) - y
            value += left @ left
            slope += 2 * np.outer(X.T @ left, head)
        return value, slope.ravel()

    runs = [
        optimize.minimize(
            value_and_slope,
            rng.normal(size=d * rank),
            jac=True,
            method="L-BFGS-B",
            options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 2000},
        )
        for _ in range(n_starts)
    ]
    return min(run.fun for run in runs)


def alternate(X, labels, rank, n_starts, rng, weights=None, ridge=0.0, n_rounds=500):
    """Best loss of alternating least squares on shared rows X (m, d) with labels (m, K)."""
    n_tasks = labels.shape[1]
    tasks = absorb([(X, labels[:, i]) for i in range(n_tasks)], weights, [ridge] * n_tasks)
    best = np.inf
    for _ in range(n_starts):
        shared = rng.normal(size=(X.shape[1], rank))
        for _ in range(n_rounds):
            shared = np.linalg.qr(shared)[0]
            heads = np.stack([least_squares(rows @ shared, y) for rows, y in tasks])
            system = np.concatenate([np.kron(rows, head) for (rows, _), head in zip(tasks, heads, strict=True)])
            shared = least_squares(system, np.concatenate([y for _, y in tasks])).reshape(-1, rank)
        best = min(best, loss(tasks, refit(tasks, shared)))
    return best


def mixing_weights(errors, prior):
    """Weights w (p,) on the simplex of least (mean square of w'E + w'(mean squares of E)) / 2 + 4 s KL(w, prior) / m for errors
    E (p, m), s the least mean square: the fixed point of its stationarity, by short steps."""
    products = errors @ errors.T / errors.shape[1]
    squares, weights = np.diag(products), prior
    temperature = 4 * squares.min() / errors.shape[1]
    for _ in range(100_000):
        logs = np.log(prior) - squares / (2 * temperature) - products @ weights / temperature
        wanted = np.exp(logs - logs.max())
        step = wanted / wanted.sum() - weights
        weights = weights + 0.05 * step
        if np.abs(step).max() < 1e-14:
            return weights
    raise AssertionError("no fixed point")
