"""Affinities of two tasks from their rows: what people look at to say whether a source will help, before anybody has tried.

Of a source and a target with mean losses L_k(theta) = (y_k'y_k - 2 theta' X_k'y_k + theta' S_k theta) / n_k, S_k = X_k'X_k:

    cross cosine           of X_s'y_s and X_t'y_t, which is also that of both gradients at theta = 0
    solution cosine        of both ridge regressions
    gradient cosine        of both gradients, averaged over a joint descent of L_s + L_t from zero
    first lookahead        1 - L_t(theta - rate grad L_s) / L_t(theta) at theta = 0: what a step on the source does for the target
                           [fifty2021efficiently]
    lookahead              the same, averaged over the descent
    gain estimate          the unbiased estimate of what pooling both gains over the target's own least squares, within the
                           directions given, and of the target's rows: 2 s^2 tr Sigma (S_t^-1 - (S_s + S_t)^-1) -
                           |theta_pooled - theta_own|_Sigma^2, s^2 the target's residual variance

The same code serves arrays of NumPy and traced ones.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mtlsim.core import linalg

N_STEPS = 100  # of the descent, at the largest rate that is stable over the mean curvature
NAMES = ("cross cosine", "solution cosine", "gradient cosine", "first lookahead", "lookahead", "gain estimate")
Sums = tuple[Any, Any, Any, Any]  # X'X (d, d), X'y (d,), y'y, n


def affinities(source: Sums, target: Sums, solutions: tuple[Any, Any], directions: Any) -> dict[str, Any]:
    """All of them. solutions: both tasks' ridge regressions (d,). directions (d, q), orthonormal, fewer than the target's rows
    less one; the gain estimate is NaN for others.
    """
    xp, multiply = (jnp, linalg.multiply) if isinstance(target[1], jax.Array) else (np, _multiply)
    path, rate = _descent(source, target, xp, multiply)
    slopes = [(multiply(path, gram) - cross) / n for gram, cross, _, n in (source, target)]
    before, after = _loss(path, target, multiply), _loss(path - 2 * rate * slopes[0], target, multiply)
    ahead = 1 - after / xp.where(before > 0, before, 1)
    found = (
        _cosine(source[1], target[1], xp),
        _cosine(*solutions, xp),
        xp.mean(_cosine(*slopes, xp)),
        ahead[0],
        xp.mean(ahead),
        _gain_estimate(source, target, directions, xp, multiply),
    )
    return dict(zip(NAMES, found, strict=True))


def _multiply(*factors: Any) -> Any:
    return np.linalg.multi_dot(factors) if len(factors) > 2 else factors[0] @ factors[1]


def _cosine(first: Any, second: Any, xp: Any) -> Any:
    """Along the last axis; zero where one of both is zero."""
    size = xp.sqrt(xp.sum(first**2, -1) * xp.sum(second**2, -1))
    return xp.where(size > 0, xp.sum(first * second, -1) / xp.where(size > 0, size, 1), 0)


def _loss(path: Any, task: Sums, multiply: Any) -> Any:
    gram, cross, energy, n = task
    return (energy - 2 * multiply(path, cross) + (multiply(path, gram) * path).sum(-1)) / n


def _descent(source: Sums, target: Sums, xp: Any, multiply: Any) -> tuple[Any, Any]:
    """theta (T, d) after 0, ..., T - 1 steps on the sum of both mean losses, in the eigenbasis of its curvature, and their rate."""
    curvature, slope = (source[i] / source[3] + target[i] / target[3] for i in (0, 1))
    values, vectors = xp.linalg.eigh(curvature)
    rate = 1 / (2 * xp.where(values[-1] > 0, values[-1], 1))
    left = xp.clip(1 - 2 * rate * values, 0, 1) ** xp.arange(N_STEPS)[:, None]  # of the way to the optimum
    ratio = xp.where(values > 0, (1 - left) / xp.where(values > 0, values, 1), 2 * rate * xp.arange(N_STEPS)[:, None])
    return multiply(ratio * multiply(vectors.T, slope), vectors.T), rate


def _gain_estimate(source: Sums, target: Sums, directions: Any, xp: Any, multiply: Any) -> Any:
    (first, second), q = [multiply(directions.T, task[0], directions) for task in (source, target)], directions.shape[1]
    crosses = [multiply(directions.T, task[1]) for task in (source, target)]
    enough = xp.asarray(target[3] > q)
    second = xp.where(enough, second, xp.eye(q))  # whose inverse exists
    own, pooled = xp.linalg.solve(second, crosses[1]), xp.linalg.solve(first + second, crosses[0] + crosses[1])
    sigma, freedom = second / target[3], target[3] - q
    variance = (target[2] - multiply(crosses[1], own)) / xp.where(enough, freedom, 1)
    saved = (q - xp.trace(xp.linalg.solve(first + second, second))) / target[3]
    moved = pooled - own
    return xp.where(enough, 2 * variance * saved - multiply(moved, sigma, moved), xp.nan)
