"""Convex penalties on the parameters of all tasks that no closed form solves: the trace norm, and unsquared lengths of differences.

    minimise over theta_1..theta_K   sum_k w_k |X_k theta_k - y_k|^2 + strength Omega(W)

by the alternating direction method of multipliers, a fixed number of rounds from moments; a task of o outputs is o of these on the
same rows. Any residuals r_k of which Omega*(2 w_k X_k'r_k) <= strength give a lower bound sum_k w_k (2 r_k'y_k - |r_k|^2); those of
the answer, made shorter until they do, prove how far it is from the optimum.
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
FORMS = {"tasks": (0,), "tensor-train": (0, 2), "tucker": (0, 2, 1)}  # axes of (K, o, d) along which a matrix is made of the rest
WIDE = 1e-3  # of the energy: a gap beyond it has the status not_converged


class Penalised(NamedTuple):
    """Parameters (K o, d), what they have in common (o, d), the objective, its gap over a proven bound, certificate and status."""

    parameters: Float[Array, "N d"]
    common: Float[Array, "o d"]
    loss: Float[Array, ""]
    gap: Float[Array, ""]
    certificate: Int[Array, ""]
    status: Int[Array, ""]


def solve_trace_norm(
    moments: Moments, weights: Float[Array, " K"], strength: Float[Array, ""], n_outputs: int = 1, form: str = "tasks"
) -> Penalised:
    """Omega = the sum of the singular values of W (K, d): common directions are kept, strong ones first.

    Of o outputs W (K, o, d), in K o rows, is unfolded: `FORMS` says which ways, whose sums are added.
    """
    quadratic, linear, pace = _scaled(moments, weights)
    ways = FORMS[form][: max(1, len(FORMS[form]) - (n_outputs == 1))]  # one output is no axis
    shape = (-1, n_outputs, moments.n_features)

    def unfold(rows, way):
        return jnp.moveaxis(rows.reshape(shape), way, 0).reshape(rows.reshape(shape).shape[way], -1)

    def soften(rows, way, size):
        left, values, right = jnp.linalg.svd(unfold(rows, way), full_matrices=False)
        found = multiply(left * jnp.maximum(values - size, 0), right)
        return jnp.moveaxis(found.reshape(jnp.moveaxis(rows.reshape(shape), way, 0).shape), 0, way).reshape(rows.shape)

    inverse = jnp.linalg.inv(quadratic + len(ways) * pace * jnp.eye(moments.n_features))

    def turn(_, state):
        kept, duals = state
        found = jnp.einsum("kde,ke->kd", inverse, linear + pace * jnp.sum(kept - duals, 0), precision="highest")
        kept = jnp.stack([soften(found + dual, way, strength / pace) for way, dual in zip(ways, duals, strict=True)])
        return kept, duals + found - kept

    zero = jnp.zeros((len(ways), *linear.shape), linear.dtype)
    kept, duals = jax.lax.fori_loop(0, ROUNDS, turn, (zero, zero))
    values = lambda rows, way: jnp.linalg.svd(unfold(rows, way), compute_uv=False)
    answer = kept[0]
    penalty = strength * sum(jnp.sum(values(answer, way)) for way in ways)
    slope = linear - _fitted(quadratic, answer)
    parts = pace * duals + (slope - pace * jnp.sum(duals, 0)) / len(ways)  # of the slope, a part for each way
    steepest = largest_of(jnp.stack([largest_of(values(part, way)) for way, part in zip(ways, parts, strict=True)]))
    nothing = jnp.zeros((n_outputs, moments.n_features), answer.dtype)
    return _proven(moments, weights, answer, nothing, penalty, strength, steepest)


def solve_deltas(moments: Moments, weights: Float[Array, " K"], strength: Float[Array, ""], n_outputs: int = 1) -> Penalised:
    """Omega = sum_k |theta_k - b|, with b (d,) free: tasks are the common b exactly, or leave it.

    Of o outputs, in K o rows, the base b (o, d) has one for each, and Omega is the sum of the singular values of the differences
    (o, d).
    """
    quadratic, linear, pace = _scaled(moments, weights)
    inverse = jnp.linalg.inv(quadratic + pace * jnp.eye(moments.n_features))
    per_task = lambda rows: rows.reshape(-1, n_outputs, *rows.shape[1:])
    over_tasks = lambda rows: jnp.sum(per_task(rows), 0)  # outputs of a task have the same rows
    spread = lambda base: jnp.tile(base, (len(linear) // n_outputs, 1))
    own = jnp.einsum("kde,kef->kdf", quadratic, inverse, precision="highest")
    root, _ = inverse_square_root(pace * over_tasks(own)[0])  # of least norm where no row sees the base
    shorten = lambda rows, size: _shorter(per_task(rows), size).reshape(rows.shape)
    values = lambda rows: _values(per_task(rows))

    def turn(_, state):
        kept, dual = state
        wanted = linear + pace * (kept - dual)
        left = over_tasks(linear - jnp.einsum("kde,ke->kd", own, wanted, precision="highest"))
        common = multiply(left, root, root.T)
        delta = jnp.einsum("kde,ke->kd", inverse, wanted - _fitted(quadratic, spread(common)), precision="highest")
        kept = shorten(delta + dual, strength / pace)
        return kept, dual + delta - kept

    zero = jnp.zeros_like(linear)
    kept, _ = jax.lax.fori_loop(0, ROUNDS, turn, (zero, zero))
    common = minimum_norm(over_tasks(quadratic)[0], over_tasks(linear - _fitted(quadratic, kept)).T).T
    common = common + minimum_norm(over_tasks(quadratic)[0], over_tasks(linear - _fitted(quadratic, spread(common) + kept)).T).T
    parameters = spread(common) + kept
    penalty = strength * jnp.sum(values(kept))
    slopes = linear - _fitted(quadratic, parameters)
    sizes = jnp.abs(linear) + _fitted(jnp.abs(quadratic), jnp.abs(spread(common)) + jnp.abs(kept))
    unbalanced = _unbalanced(moments, weights, over_tasks(slopes), over_tasks(sizes), n_outputs)
    # at an optimum sum_k w_k |X_k b|^2 is no larger than this, squared: zero is a solution, too
    energy = jnp.sum(weights * moments.energy)
    reach = 2 * jnp.sqrt(energy) + jnp.sqrt(largest_of(jnp.linalg.eigvalsh(quadratic)) / 2) * energy / strength
    return _proven(moments, weights, parameters, common, penalty, strength, largest_of(values(slopes)), unbalanced * reach)


def _unbalanced(moments: Moments, weights: Float[Array, " K"], slope: Float[Array, "o d"], sizes: Float[Array, "o d"], o: int):
    """How far the residuals are from leaving nothing to the base, |slope| in the inverse of sum_k w_k X_k'X_k, rounding included;
    slope' b is at most this times the length of all X_k b. Columns in units of their own, by the rows where these are known.
    """
    each = lambda part: jnp.broadcast_to(part, (len(weights), *part.shape[-2:]))[::o]  # outputs of a task have the same rows
    w, eps = weights[::o, None, None], jnp.finfo(slope.dtype).eps
    if moments.factor is None:
        gram = jnp.sum(w * each(moments.gram), 0)
        unit = _unit(jnp.sqrt(jnp.diagonal(gram)))
        squares, basis = jnp.linalg.eigh(gram / unit[:, None] / unit)
        values, least = jnp.sqrt(jnp.maximum(squares, 0)), jnp.sqrt(ROUNDINGS * eps)
    else:
        rows = (jnp.sqrt(w) * jnp.swapaxes(each(moments.factor), -1, -2)).reshape(-1, slope.shape[-1])
        unit = _unit(jnp.linalg.norm(rows, axis=0))
        _, values, basis = jnp.linalg.svd(rows / unit, full_matrices=False)
        basis, least = basis.T, ROUNDINGS * eps
    seen = values > least * largest_of(values)
    inverse = jnp.where(seen, 1 / jnp.where(seen, values, 1), 0)
    rounding = ROUNDINGS * eps * jnp.linalg.norm(sizes / unit) * largest_of(inverse)
    return jnp.linalg.norm(multiply(slope / unit, basis) * inverse) + rounding


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


def _shorter(blocks: Float[Array, "K o d"], size: Float[Array, ""]) -> Float[Array, "K o d"]:
    """The singular values of every block less `size`, or zero; of one row that is its length."""
    if blocks.shape[1] == 1:
        lengths = jnp.linalg.norm(blocks, axis=-1, keepdims=True)
        return blocks * jnp.maximum(1 - size / jnp.where(lengths > 0, lengths, 1), 0)
    left, values, right = jnp.linalg.svd(blocks, full_matrices=False)
    return multiply(left * jnp.maximum(values - size, 0)[:, None], right)


def _values(blocks: Float[Array, "K o d"]) -> Float[Array, "K m"]:
    """The singular values of every block."""
    return jnp.linalg.norm(blocks, axis=-1) if blocks.shape[1] == 1 else jnp.linalg.svd(blocks, compute_uv=False)


def _unit(lengths: Float[Array, " d"]) -> Float[Array, " d"]:
    """What columns are divided by; one of nothing becomes nothing."""
    return jnp.where(lengths > 0, lengths, jnp.inf)


def _proven(moments, weights, parameters, common, penalty, strength, steepest, unbalanced=0.0) -> Penalised:
    """The answer with its gap; steepest: Omega* of its residuals. unbalanced: by how much the bound is too high as they stand."""
    losses = penalised_losses(moments, parameters, jnp.zeros_like(weights))
    squares, energy = jnp.sum(weights * losses), jnp.sum(weights * moments.energy)
    along = jnp.sum(weights * (moments.energy - jnp.sum(parameters * moments.cross, -1)))  # r'y
    longest = jnp.minimum(strength / jnp.where(steepest > 0, steepest, 1), 1e6)
    share = jnp.clip(along / jnp.where(squares > 0, squares, 1), 0, longest)
    bound = jnp.maximum(2 * share * along - share**2 * squares - share * unbalanced, 0)
    loss = squares + penalty
    gap = loss - bound + ROUNDINGS * jnp.finfo(loss.dtype).eps * (energy + penalty)
    wide = ~(gap <= WIDE * energy)
    return Penalised(parameters, common, loss, gap, certify(gap, weights * moments.energy), flag(wide, Status.not_converged))
