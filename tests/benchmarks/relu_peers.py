"""Peers of the ReLU fits: what one would write in PyTorch for one problem, and batched NumPy, with the same steps."""

import time

import numpy as np
from scipy.special import expit

from mtlsim.solvers.continuation import CHECK, GO_ON, JUMPS, SETTLE, SHAKE, SHARPEN, START
from mtlsim.solvers.network import DAMPING, FALL, LEAST_DAMPING, RISE


def restart_until(X, y, wanted, limit, seed):
    """Least loss and seconds of a PyTorch loop over random starts of L-BFGS, until it is `wanted` or `limit` seconds are over."""
    import torch

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    X, y = torch.tensor(X), torch.tensor(y)
    best, started = np.inf, time.perf_counter()
    while best > wanted * (1 + 1e-6) and time.perf_counter() - started < limit:
        layer = torch.randn(X.shape[-1], 1, dtype=torch.float64, requires_grad=True)
        heads = torch.randn(len(X), 1, dtype=torch.float64, requires_grad=True)
        optimiser = torch.optim.LBFGS([layer, heads], max_iter=300, tolerance_grad=1e-9, line_search_fn="strong_wolfe")

        def closure(layer=layer, heads=heads, optimiser=optimiser):
            optimiser.zero_grad()
            loss = ((torch.relu(X @ layer) @ heads[:, :, None] - y[..., None]) ** 2).sum()
            loss.backward()
            return loss

        optimiser.step(closure)
        best = min(best, float(closure().detach()))
    return best, time.perf_counter() - started


def batched_search(X, y, starts, plan, shakes):
    """Least losses (P,) by damped Newton steps on smoothed units, all problems at once. X (P, K, m, d), starts (P, S, d)."""
    n_problems, n_tasks, m, d = X.shape
    flat = X.reshape(n_problems, n_tasks * m, d)

    def scores(b):
        return np.matmul(flat, b[..., None])[..., 0].reshape(y.shape)

    def soften(s, width):
        return width * np.logaddexp(0, s / width)

    def fit_heads(b):
        u = np.maximum(scores(b), 0)
        return (u * y).sum(-1) / np.maximum((u**2).sum(-1), 1e-300)

    b, a = starts[:, 0], fit_heads(starts[:, 0])
    damping, labels = np.full(n_problems, DAMPING), y
    best_b, best_a, best = b, a, np.full(n_problems, np.inf)
    for width, event, number, competes in zip(*plan, strict=True):
        if event == START:
            b = starts[:, number]
            a = fit_heads(b)
        if event in (SHAKE, SHARPEN):
            b, a = best_b, best_a
        if event in (START, SETTLE, SHARPEN):
            labels = y
        if event == SHAKE:
            labels = y + JUMPS[number % 2] * np.sqrt(best / (n_tasks * m))[:, None, None] * shakes[number]
        if event != GO_ON:
            damping = np.full(n_problems, LEAST_DAMPING if event == CHECK else DAMPING)
        s = scores(b)
        active, units = expit(s / width), soften(s, width)
        misses = a[..., None] * units - labels
        value = (misses**2).sum((1, 2))
        gates = a[..., None] * active
        corner = np.maximum(2 * misses * gates * (1 - active) / width, 0)
        curvature = (2 * gates**2 + corner).reshape(n_problems, -1, 1)
        H = np.zeros((n_problems, d + n_tasks, d + n_tasks))
        H[:, :d, :d] = np.matmul((flat * curvature).transpose(0, 2, 1), flat)
        H[:, :d, d:] = np.matmul(X.transpose(0, 1, 3, 2), (2 * gates * units)[..., None])[..., 0].transpose(0, 2, 1)
        H[:, d:, :d] = H[:, :d, d:].transpose(0, 2, 1)
        tasks = np.arange(d, d + n_tasks)
        H[:, tasks, tasks] = 2 * (units**2).sum(-1)
        g = np.zeros((n_problems, d + n_tasks))
        g[:, :d] = np.matmul(flat.transpose(0, 2, 1), (2 * misses * gates).reshape(n_problems, -1, 1))[..., 0]
        g[:, d:] = 2 * (misses * units).sum(-1)
        # without the direction that only lengthens b
        along = np.concatenate([b, np.zeros((n_problems, n_tasks))], 1)
        pressed = np.matmul(H, along[..., None])[..., 0]
        inner = (along * pressed).sum(1) + np.trace(H, axis1=1, axis2=2) / H.shape[1]
        outer = along[:, :, None] * pressed[:, None]
        H += inner[:, None, None] * along[:, :, None] * along[:, None] - outer - outer.transpose(0, 2, 1)
        g -= (along * g).sum(1, keepdims=True) * along
        diagonal = np.arange(d + n_tasks)
        H[:, diagonal, diagonal] *= 1 + damping[:, None]
        move = np.linalg.solve(H, g[..., None])[..., 0]
        new_b, new_a = b - move[:, :d], a - move[:, d:]
        length = np.linalg.norm(new_b, axis=1)
        new_b, new_a = new_b / length[:, None], new_a * length[:, None]
        reached = ((new_a[..., None] * soften(scores(new_b), width) - labels) ** 2).sum((1, 2))
        better = reached < value
        b, a = np.where(better[:, None], new_b, b), np.where(better[:, None], new_a, a)
        damping = np.maximum(damping * np.where(better, FALL, RISE), LEAST_DAMPING)
        value = np.where(better, reached, value)
        if competes:
            wins = value < best
            best_b, best_a, best = (
                np.where(wins[:, None], b, best_b),
                np.where(wins[:, None], a, best_a),
                np.where(wins, value, best),
            )
    return ((a[..., None] * np.maximum(scores(b), 0) - y) ** 2).sum((1, 2))
