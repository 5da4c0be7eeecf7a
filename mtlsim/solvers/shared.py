"""Shared covariates, any rank and any task weights: the reduced-rank regression of Proposition 3 [wu2020understanding]."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from mtlsim.core import linalg
from mtlsim.core.status import Status, flag
from mtlsim.samples.moments import Moments
from mtlsim.solvers.solution import Solution, certify


def solve_shared(moments: Moments, rank: int, weights: Float[Array, " K"], ridge: Float[Array, ""]) -> Solution:
    """With S + ridge = P^-1' P^-1 and c_i = P' b_i, the best B is P U_r, U_r the top left singular vectors of [sqrt(w_i) c_i].

    moments: one gram (d, d), cross (K, d). Weights only scale columns here, so the single-task solutions are combined within
    the span of the strongest r of them. A tie between the r-th and the next singular value is degenerate: B is not unique.
    """
    d = moments.n_features
    root, _ = linalg.inverse_square_root(moments.gram + ridge * jnp.eye(d, dtype=moments.gram.dtype))
    sides = linalg.multiply(root.T, moments.cross.T)
    left, strengths, _ = jnp.linalg.svd(sides * jnp.sqrt(weights), full_matrices=False)
    kept = left[:, :rank]
    heads = linalg.multiply(sides.T, kept)
    shared = linalg.multiply(root, kept)
    strengths = jnp.concatenate([strengths, jnp.zeros(1, strengths.dtype)])
    energy = jnp.sum(weights * moments.energy)
    loss = energy - jnp.sum(strengths[:rank] ** 2)
    scale = jnp.sum(strengths**2)
    gap = 16 * jnp.finfo(loss.dtype).eps * energy
    tie = strengths[rank - 1] - strengths[rank] <= 1e-9 * strengths[0]
    tie = tie & (strengths[rank - 1] > 1e-9 * strengths[0])
    unknown = jnp.where(tie, jnp.nan, 0.0)
    return Solution(
        shared + unknown,
        heads + unknown,
        linalg.multiply(heads, shared.T) + unknown,
        loss,
        gap,
        certify(gap, scale),
        flag(tie, Status.degenerate),
        "shared_covariates",
    )
