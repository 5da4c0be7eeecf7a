"""Rank at least the number of tasks: every task keeps its own solution (Proposition 1 [wu2020understanding])."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Num

from mtlsim.core.status import Status, flag
from mtlsim.samples.moments import Moments
from mtlsim.solvers.objective import observed_rows
from mtlsim.solvers.rows import is_lost, look, unexplained
from mtlsim.solvers.single import penalised_losses, solve_single
from mtlsim.solvers.solution import Solution, certify

SHORT = 1e-9  # of what all tasks explain alone, by which their parts of one problem may fall short of it


def solve_separately(moments: Moments, rank: int, weights: Float[Array, " K"], ridge: Float[Array, " K"]) -> Solution:
    """B = [theta_1 .. theta_K 0 .. 0] and A_i = e_i reach the sum of the single-task losses, which nothing can beat.

    For n_i < d this is the optimum made of minimum-norm solutions; others exist, and small-start training may find them.
    """
    n_tasks = moments.n_tasks
    single = jnp.stack([solve_single(moments[i], ridge[i]) for i in range(n_tasks)])
    losses = weights * penalised_losses(moments, single, ridge)
    rows = observed_rows(moments, ridge)
    energies, rounding, lost = explained_alone(moments, weights, ridge, rows)
    last_digits = 16 * jnp.finfo(rounding.dtype).eps * jnp.sum(weights * moments.energy)
    gap = jnp.maximum(jnp.sum(losses - weights * moments.energy + energies), 0) + jnp.sum(rounding) + last_digits
    return Solution(
        jnp.pad(single.T, ((0, 0), (0, rank - n_tasks))),
        jnp.eye(n_tasks, rank, dtype=single.dtype),
        single,
        jnp.sum(losses),
        gap,
        certify(gap, energies),
        flag(lost | ~(gap <= jnp.sum(weights * moments.energy)), Status.ill_conditioned),
        "separate",
    )


def explained_alone(
    moments: Moments, weights: Float[Array, " K"], ridge: Float[Array, " K"], rows: Num[Array, " K"]
) -> tuple[Float[Array, " K"], Float[Array, " K"], Bool[Array, ""]]:
    """What each task explains of its own weighted labels at best, how far rounding may have moved it, whether digits are lost."""

    def of_task(i):
        length = jnp.sqrt(weights[i] * moments.energy[i])[None]
        sight = look(moments[i], ridge[i], rows[i])
        sight = sight._replace(sides=jnp.sqrt(weights[i]) * sight.sides)
        left = unexplained(moments[i], sight, rows[i], length)
        return sight.energies()[0], (sight.rounding(length) + left)[0], is_lost(sight, left)

    energies, rounding, lost = zip(*(of_task(i) for i in range(moments.n_tasks)), strict=True)
    return jax.lax.stop_gradient((jnp.stack(energies), jnp.stack(rounding), jnp.any(jnp.stack(lost))))
