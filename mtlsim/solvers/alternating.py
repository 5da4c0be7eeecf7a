"""Any tasks, any rank: alternating least squares from several starts."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from mtlsim.core import linalg
from mtlsim.core.keys import normal, stream
from mtlsim.core.status import Certificate, Status, flag, worst
from mtlsim.samples.moments import Moments
from mtlsim.solvers.objective import absorb, observed_rows, too_few_rows
from mtlsim.solvers.separate import explained_alone
from mtlsim.solvers.single import solve_single
from mtlsim.solvers.solution import Solution, certify, penalised_loss

SETTLED = 1e-11  # relative fall of the loss over one round below which a start is settled


def solve_by_alternation(
    moments: Moments,
    rank: int,
    weights: Float[Array, " K"],
    ridge: Float[Array, " K"],
    key: Key[Array, ""],
    n_starts: int,
    max_iterations: int,
) -> Solution:
    """Shared layer given heads, then heads given the shared layer, each exactly, until the loss settles; the best start wins.

    Starts: the top directions of the single-task solutions, then `n_starts` random layers. The only lower bound is the sum
    of the tasks' own losses, so the certificate is none unless that bound is met. Cost O((d r)^3) a round.
    """
    problem = absorb(moments, weights, ridge)
    n_tasks, d = problem.cross.shape
    single = jnp.stack([solve_single(moments[i], ridge[i]) for i in range(n_tasks)])
    energies, rounding, _ = explained_alone(moments, weights, ridge, observed_rows(moments, ridge))
    spectral = jnp.linalg.svd(single.T * jnp.sqrt(weights), full_matrices=False)[0][:, :rank]
    spectral = jnp.pad(spectral, ((0, 0), (0, rank - spectral.shape[1])))
    random = normal(stream(key, "starts"), (n_starts, d, rank), single.dtype)

    def round(state):
        shared, value, _, iteration = state
        heads = _best_heads(problem, shared)
        shared = jnp.linalg.qr(best_shared(problem, heads))[0]
        new = jnp.sum(penalised_loss(problem, _best_heads(problem, shared) @ shared.T))
        return shared, new, value - new, iteration + 1

    floor = jnp.finfo(single.dtype).eps * jnp.sum(problem.energy)

    def falls_on(state):
        _, value, fall, iteration = state
        return (iteration == 0) | ((fall > SETTLED * jnp.abs(value) + floor) & (iteration < max_iterations))

    def descend(shared):
        shared = jnp.linalg.qr(shared)[0]
        state = (shared, jnp.sum(problem.energy), jnp.asarray(jnp.inf, single.dtype), 0)
        return jax.lax.while_loop(falls_on, round, state)

    layers, losses, falls, _ = jax.lax.map(descend, jnp.concatenate([spectral[None], random]))
    best = jnp.nanargmin(losses)
    shared = layers[best]
    heads = _best_heads(absorb(moments, jnp.ones_like(weights), ridge), shared)
    lower = jnp.sum(problem.energy) - jnp.sum(energies)
    gap = jnp.maximum(losses[best] - lower, 0) + jnp.sum(rounding)
    few = too_few_rows(observed_rows(moments, ridge), rank, d)
    status = worst(
        flag(falls[best] > SETTLED * jnp.abs(losses[best]) + floor, Status.not_converged),
        flag(few, Status.degenerate),
        flag(~jnp.isfinite(losses[best]), Status.ill_conditioned),
    )
    unknown = jnp.where(few, jnp.nan, 0.0)
    return Solution(
        shared + unknown,
        heads + unknown,
        linalg.multiply(heads, shared.T) + unknown,
        losses[best],
        gap,
        certify(gap, energies, Certificate.none),
        status,
        "alternating",
    )


def _best_heads(problem: Moments, shared: Float[Array, "d r"]) -> Float[Array, "K r"]:
    """a_i = (B'S_i B)^-1 B'b_i, a direction nobody sees getting no head."""
    grams = jnp.einsum("dr,kde,es->krs", shared, problem.gram, shared, precision="highest")
    sides = linalg.multiply(problem.cross, shared)
    return jnp.stack([linalg.minimum_norm(gram, side) for gram, side in zip(grams, sides, strict=True)])


def best_shared(problem: Moments, heads: Float[Array, "K r"]) -> Float[Array, "d r"]:
    """B from the normal equations sum_i (a_i a_i' (x) S_i) vec B = sum_i a_i (x) b_i."""
    rank, d = heads.shape[1], problem.n_features
    system = jnp.einsum("kr,ks,kde->rdse", heads, heads, problem.gram, precision="highest").reshape(rank * d, rank * d)
    side = jnp.einsum("kr,kd->rd", heads, problem.cross, precision="highest").reshape(-1)
    tiny = 4 * jnp.finfo(system.dtype).eps * jnp.trace(system)
    system = linalg.with_missing_directions(system + tiny * jnp.eye(rank * d, dtype=system.dtype))
    return linalg.solve_positive(system, side).reshape(rank, d).T
