"""Shared covariates, any rank and any task weights: the reduced-rank regression of Proposition 3 [wu2020understanding]."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mtlsim.core import linalg
from mtlsim.core.status import Status, flag, worst
from mtlsim.samples.moments import Moments
from mtlsim.solvers.objective import observed_rows
from mtlsim.solvers.rows import is_lost, look, unexplained
from mtlsim.solvers.solution import Solution, certify


def solve_shared(moments: Moments, rank: int, weights: Float[Array, " K"], ridge: Float[Array, ""]) -> Solution:
    """With rows R = U P^-1 (R'R = S + ridge) and c_i = U'y_i, the best B is P V_r, V_r the top left singular vectors of
    [sqrt(w_i) c_i].

    moments: one gram (d, d), cross (K, d). Weights only scale columns here, so the single-task solutions are combined within
    the span of the strongest r of them. A tie between the r-th and the next singular value is degenerate: B is not unique.
    """
    rows = observed_rows(moments, jnp.broadcast_to(ridge, weights.shape))[0]
    sight = look(moments, ridge, rows)
    lengths = jnp.sqrt(moments.energy)
    sides = sight.sides.T
    left, strengths, _ = jnp.linalg.svd(sides * jnp.sqrt(weights), full_matrices=False)
    kept = left[:, :rank]
    heads = linalg.multiply(sides.T, kept)
    shared = sight.solve(kept)
    strengths = jnp.concatenate([strengths, jnp.zeros(1, strengths.dtype)])
    energy = jnp.sum(weights * moments.energy)
    loss = energy - jnp.sum(strengths[:rank] ** 2)
    last_digits = 16 * jnp.finfo(loss.dtype).eps * energy
    left = unexplained(moments, sight, rows, lengths)
    # what B is off by, where its columns cancel in what the rows see
    off = linalg.multiply(heads, (linalg.multiply(sight.ahead, shared) - kept).T)
    off = jnp.sqrt(jnp.sum(jax.lax.stop_gradient(off) ** 2, 1))
    gap = jnp.sum(weights * (sight.rounding(lengths) + left + off * (off + 2 * lengths))) + last_digits
    tie = strengths[rank - 1] - strengths[rank] <= 1e-9 * strengths[0]
    tie = tie & (strengths[rank - 1] > 1e-9 * strengths[0])
    unknown = jnp.where(tie, jnp.nan, 0.0)
    return Solution(
        shared + unknown,
        heads + unknown,
        linalg.multiply(heads, shared.T) + unknown,
        loss,
        gap,
        certify(gap, weights * sight.energies()),
        worst(flag(tie, Status.degenerate), flag(is_lost(sight, left), Status.ill_conditioned)),
        "shared_covariates",
    )
