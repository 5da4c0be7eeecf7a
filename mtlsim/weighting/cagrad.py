"""Conflict-averse steps: near the mean gradient, the direction in which the worst task gains most."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.core.checks import require_one
from mtlsim.core.extremes import smallest_of
from mtlsim.core.linalg import multiply, solver_of_few
from mtlsim.weighting._quadratic import LEAST, nonnegative_minimum
from mtlsim.weighting._scheme import FLOOR, Example, Facts, Scheme, Signals
from mtlsim.weighting.mgda import shortest_mixture

N_STEPS = 20
WITHIN = 1e-10  # of the radius
STILL = 1e-6  # of the mean gradient's length: with so short a mixture of gradients there is no direction in which all tasks gain


class CAGrad(Scheme):
    """d = argmax of min_k g_k'd over |d - g_0| <= c |g_0|, g_0 the mean gradient [liu2021conflict].

    d = g_0 + sum_k z_k g_k is the point nearest to g_0 where every task gains s: z >= 0 is the least of z'Mz / 2 + (M 1/K - s)'z,
    and s the highest level that is so near. It is found from an upper bound, by the distance that the tasks with z > 0 make of a
    level. Where some mixture of the gradients is zero, no task can gain but at another's cost, s is zero at most, and d may be
    nearer than it has to be; the paper's form, g_0 + c |g_0| g_v / |g_v|, has no answer there. Such steps are counted.
    c (`reach`): 0.4 (the paper's, to be verified); 0 is equal weights, from 1 on d goes to Pareto stationary points as `mgda` does.
    """

    reach: Array | float = 0.4

    def __check_init__(self):
        require_one(self.reach, lambda c: (c >= 0) & np.isfinite(c), "reach", "a number >= 0", "use 0.4")

    def weights(self, signals, state):
        gram = signals.gram
        n, eps = len(gram), jnp.finfo(gram.dtype).eps
        eye, mean = jnp.eye(n, dtype=gram.dtype), jnp.full(n, 1 / n, gram.dtype)
        gains = multiply(gram, mean)
        size = jnp.sqrt(jnp.maximum(jnp.mean(gains), 0))
        radius = self.reach * size
        norms = jnp.sqrt(jnp.diagonal(gram))
        none = norms < FLOOR
        norms = jnp.where(none, 1, norms)
        matrix = gram / (norms[:, None] * norms) + jnp.diag(jnp.where(none, 1.0, LEAST))

        # every mixture v bounds the level by g_v'g_0 + radius |g_v|
        shortest = shortest_mixture(gram)[0]
        mixtures = jnp.concatenate([eye, mean[None], shortest[None]])
        squares = jnp.sum(multiply(mixtures, gram) * mixtures, 1)
        squares = jnp.where(squares > n * eps * jnp.trace(gram), squares, 0)
        most = smallest_of(multiply(mixtures, gains) + radius * jnp.sqrt(squares))

        def reached(level):
            """z in units of each gradient, and how far from the mean gradient it leads."""
            z = nonnegative_minimum(matrix, ((gains - level) / norms)[None])[0]
            return z, jnp.sqrt(jnp.maximum(multiply(z, matrix, z), 0))

        def step(state):
            level, z, length, low, high, iteration = state
            used = z > 0
            inner = jnp.where(used[:, None] & used, matrix, 0) + jnp.diag(jnp.where(used, 0.0, 1.0))
            sides = jnp.where(used, jnp.stack([1 / norms, gains / norms]), 0)
            (a, b), (_, c) = multiply(sides, solver_of_few(inner)(sides).T)
            # z = level x - y, whose length is the radius
            onward = (b + jnp.sqrt(jnp.maximum(b**2 - a * (c - radius**2), 0))) / jnp.where(a > 0, a, 1)
            low, high = jnp.where(length < radius, level, low), jnp.where(length < radius, high, level)
            level = jnp.where((onward > low) & (onward < high), onward, (low + high) / 2)
            return level, *reached(level), low, high, iteration + 1

        def is_far(state):
            _, _, length, low, high, iteration = state
            too_short = (length < radius * (1 - WITHIN)) & (iteration > 0)  # at the bound no more can be gained
            resolved = high - low > n * eps * jnp.trace(gram)  # by the gains themselves
            return ((length > radius * (1 + WITHIN)) | too_short) & resolved & (iteration < N_STEPS)

        begin = (most, *reached(most), smallest_of(gains), most, 0)  # at the worst gain of the mean gradient z is zero
        _, z, length, *_ = jax.lax.while_loop(is_far, step, begin)
        shrink = jnp.where(length > radius, radius / jnp.where(length > radius, length, 1), 1)
        still = jnp.sqrt(squares[-1]) <= jnp.maximum(STILL * size, FLOOR)
        return mean + shrink * jnp.where(none, 0, z / norms), state, (still & (self.reach > 0)).astype(jnp.int32)


SCHEME = CAGrad
FACTS = Facts([1.0, 1.0], [1.0, 1.0])
CONFORMANCE = (
    # alike: (1 + c) / K each; without reach the mean
    Example(CAGrad(0.4), FACTS, [Signals([1.0, 1.0], [[1.0, 0.0], [0.0, 1.0]], 0)], [[0.7, 0.7]]),
    Example(CAGrad(0.0), FACTS, [Signals([1.0, 1.0], [[1.0, 0.2], [0.2, 9.0]], 0)], [[0.5, 0.5]]),
)
