"""Convex penalties on the parameters of all tasks that no closed form solves: the trace norm, and unsquared lengths of differences.

    minimise over theta_1..theta_K   sum_k w_k |X_k theta_k - y_k|^2 + strength Omega(W)

by the alternating direction method of multipliers, a fixed number of rounds from moments. Any residuals r_k of which
Omega*(2 w_k X_k'r_k) <= strength give a lower bound sum_k w_k (2 r_k'y_k - |r_k|^2); those of the answer, made shorter until they
do, prove how far it is from the optimum.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from mtlsim.core.extremes import largest_of, smallest_of
from mtlsim.core.linalg import inverse_square_root, minimum_norm, multiply
from mtlsim.core.status import Status, flag
from mtlsim.samples.moments import Moments
from mtlsim.solvers.rows import ROUNDINGS
from mtlsim.solvers.single import penalised_losses
from mtlsim.solvers.solution import certify

ROUNDS = 2000
LEAST_SHARE = 1e-4  # of the largest eigenvalue: smaller ones do not set the pace
WIDE = 1e-3  # of the energy: a gap beyond it has the status not_converged


class Penalised(NamedTuple):
    """Parameters (K, d), what they have in common (d,), the objective, its gap over a proven bound, certificate and status."""

    parameters: Float[Array, "K d"]
    common: Float[Array, " d"]
    loss: Float[Array, ""]
    gap: Float[Array, ""]
    certificate: Int[Array, ""]
    status: Int[Array, ""]


def solve_trace_norm(moments: Moments, weights: Float[Array, " K"], strength: Float[Array, ""]) -> Penalised:
    """Omega = the sum of the singular values of W (K, d): common directions are kept, strong ones first."""
    quadratic, linear, pace = _scaled(moments, weights)

    def prox(W, size):
        left, values, right = jnp.linalg.svd(W, full_matrices=False)
        return multiply(left * jnp.maximum(values - size, 0), right)

    inverse = jnp.linalg.inv(quadratic + pace * jnp.eye(moments.n_features))

    def turn(_, state):
        kept, dual = state
        found = jnp.einsum("kde,ke->kd", inverse, linear + pace * (kept - dual), precision="highest")
        kept = prox(found + dual, strength / pace)
        return kept, dual + found - kept

    zero = jnp.zeros_like(linear)
    kept, _ = jax.lax.fori_loop(0, ROUNDS, turn, (zero, zero))
    penalty = strength * jnp.sum(jnp.linalg.svd(kept, compute_uv=False))
    steepest = largest_of(jnp.linalg.svd(linear - _fitted(quadratic, kept), compute_uv=False))
    return _proven(moments, weights, kept, jnp.zeros(moments.n_features, kept.dtype), penalty, strength, steepest)


def solve_deltas(moments: Moments, weights: Float[Array, " K"], strength: Float[Array, ""]) -> Penalised:
    """Omega = sum_k |theta_k - b|, with b (d,) free: tasks are the common b exactly, or leave it."""
    quadratic, linear, pace = _scaled(moments, weights)
    inverse = jnp.linalg.inv(quadratic + pace * jnp.eye(moments.n_features))
    own = jnp.einsum("kde,kef->kdf", quadratic, inverse, precision="highest")
    root, _ = inverse_square_root(pace * jnp.sum(own, 0))  # of least norm where no row sees the base

    def turn(_, state):
        kept, dual = state
        wanted = linear + pace * (kept - dual)
        left = jnp.sum(linear - jnp.einsum("kde,ke->kd", own, wanted, precision="highest"), 0)
        common = multiply(root, multiply(root.T, left))
        delta = jnp.einsum("kde,ke->kd", inverse, wanted - multiply(quadratic, common), precision="highest")
        kept = _shorter(delta + dual, strength / pace)
        return kept, dual + delta - kept

    zero = jnp.zeros_like(linear)
    kept, _ = jax.lax.fori_loop(0, ROUNDS, turn, (zero, zero))
    common = minimum_norm(jnp.sum(quadratic, 0), jnp.sum(linear - _fitted(quadratic, kept), 0))
    parameters = common + kept
    penalty = strength * jnp.sum(jnp.linalg.norm(kept, axis=-1))
    steepest = largest_of(jnp.linalg.norm(linear - _fitted(quadratic, parameters), axis=-1))
    return _proven(moments, weights, parameters, common, penalty, strength, steepest)


def _scaled(moments: Moments, weights: Float[Array, " K"]):
    """2 w_k S_k, 2 w_k b_k, and the pace of the multipliers, between the least and the largest eigenvalue."""
    grams = jnp.broadcast_to(moments.gram, (len(weights), *moments.gram.shape[-2:]))
    quadratic = 2 * weights[:, None, None] * grams
    values = jnp.linalg.eigvalsh(quadratic)
    largest = largest_of(values)
    least = jnp.maximum(smallest_of(values), LEAST_SHARE * largest)
    return quadratic, 2 * weights[:, None] * moments.cross, jnp.sqrt(least * largest)


def _fitted(quadratic, parameters):
    return jnp.einsum("kde,ke->kd", quadratic, parameters, precision="highest")


def _shorter(rows: Float[Array, "K d"], size: Float[Array, ""]) -> Float[Array, "K d"]:
    """Every row by `size` shorter, or zero."""
    lengths = jnp.linalg.norm(rows, axis=-1, keepdims=True)
    return rows * jnp.maximum(1 - size / jnp.where(lengths > 0, lengths, 1), 0)


def _proven(moments, weights, parameters, common, penalty, strength, steepest) -> Penalised:
    """The answer with its gap; steepest: Omega* of its residuals."""
    losses = penalised_losses(moments, parameters, jnp.zeros_like(weights))
    squares, energy = jnp.sum(weights * losses), jnp.sum(weights * moments.energy)
    along = jnp.sum(weights * (moments.energy - jnp.sum(parameters * moments.cross, -1)))  # r'y
    longest = jnp.minimum(strength / jnp.where(steepest > 0, steepest, 1), 1e6)
    share = jnp.clip(along / jnp.where(squares > 0, squares, 1), 0, longest)
    bound = jnp.maximum(2 * share * along - share**2 * squares, 0)
    loss = squares + penalty
    gap = loss - bound + ROUNDINGS * jnp.finfo(loss.dtype).eps * (energy + penalty)
    wide = ~(gap <= WIDE * energy)
    return Penalised(parameters, common, loss, gap, certify(gap, weights * moments.energy), flag(wide, Status.not_converged))
