"""Rank at least the number of tasks: every task keeps its own solution (Proposition 1 [wu2020understanding])."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from mtlsim.core.status import Certificate
from mtlsim.samples.moments import Moments
from mtlsim.solvers.objective import absorb
from mtlsim.solvers.single import solve_single
from mtlsim.solvers.solution import Solution, penalised_loss


def solve_separately(moments: Moments, rank: int, weights: Float[Array, " K"], ridge: Float[Array, " K"]) -> Solution:
    """B = [theta_1 .. theta_K 0 .. 0] and A_i = e_i reach the sum of the single-task losses, which nothing can beat.

    For n_i < d this is the optimum made of minimum-norm solutions; others exist, and small-start training may find them.
    """
    n_tasks = moments.n_tasks
    single = jnp.stack([solve_single(moments[i], ridge[i]) for i in range(n_tasks)])
    loss = jnp.sum(weights * penalised_loss(absorb(moments, jnp.ones_like(weights), ridge), single))
    exact = jnp.full((), int(Certificate.exact), jnp.int32)
    return Solution(
        jnp.pad(single.T, ((0, 0), (0, rank - n_tasks))),
        jnp.eye(n_tasks, rank, dtype=single.dtype),
        single,
        loss,
        jnp.zeros_like(loss),
        exact,
        jnp.zeros((), jnp.int32),
        "separate",
    )
