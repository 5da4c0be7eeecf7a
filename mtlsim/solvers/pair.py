"""Two tasks with different covariates and one shared direction: the certified global optimum, as a Solution."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from mtlsim.core import linalg
from mtlsim.core.status import Status, flag, worst
from mtlsim.samples.moments import Moments
from mtlsim.solvers import secular
from mtlsim.solvers.objective import absorb, best_heads, observed_rows
from mtlsim.solvers.single import solve_single
from mtlsim.solvers.solution import Solution, certify

SINGULAR_BELOW = 1e-9  # smallest eigenvalue of a Gram, relative to both tasks' sum, that counts as an observed direction


def solve_pair(moments: Moments, weights: Float[Array, "2"], ridge: Float[Array, "2"]) -> Solution:
    """Global optimum of rank one for two tasks by the secular function (see `mtlsim.solvers.secular`).

    Degenerate (too few rows in all, or the same loss at every head ratio) gives a status and NaN for B, heads and parameters:
    there the data do not determine the answer.
    """
    problem = absorb(moments, weights, ridge)
    single = jnp.stack([solve_single(moments[i], ridge[i]) for i in range(2)])
    energies = jnp.sum(problem.cross * single, -1)
    grams, crosses, lift, singular, too_few = _coordinates(moments, problem, ridge)

    # the larger task that sees every direction goes first: the others are measured against it
    swap = jnp.where(singular[0] == singular[1], moments.n_samples[1] > moments.n_samples[0], singular[0])
    order = jnp.where(swap, jnp.array([1, 0]), jnp.array([0, 1]))
    grams, crosses = grams[order], crosses[order]
    safe = jnp.where(too_few, jnp.eye(grams.shape[-1], dtype=grams.dtype), 0)
    pencil = secular.make_pencil(
        (grams[0] + safe, grams[1]), tuple(crosses), tuple(energies[order]), (singular[order[0]], singular[order[1]])
    )
    optimum = secular.maximize(pencil)
    size = jnp.hypot(1, optimum.ratio)
    pair_heads = jnp.stack([1 / size, optimum.ratio / size])
    mixed = linalg.with_missing_directions(jnp.einsum("k,kde->de", pair_heads**2, grams) + safe)
    direction = linalg.solve_positive(mixed, pair_heads @ crosses)
    direction = direction if lift is None else linalg.multiply(lift, direction)
    return _conclude(problem, direction, optimum, energies, too_few)


def _coordinates(moments: Moments, problem: Moments, ridge: Float[Array, "2"]):
    """Grams and crosses in coordinates where their sum is invertible, the way back, which Gram is singular, and too few rows.

    Drawn moments know their rank from n; those of arrays are brought to the common range of both tasks first.
    """
    if moments.factor is not None:
        rows = observed_rows(moments, ridge)
        return problem.gram, problem.cross, None, rows < moments.n_features, jnp.sum(rows) <= moments.n_features
    sizes = jnp.trace(problem.gram, axis1=1, axis2=2)
    sizes = jnp.where(sizes > 0, sizes, 1)
    lift, inside = linalg.inverse_square_root(jnp.sum(problem.gram / sizes[:, None, None], 0))
    grams = jnp.einsum("da,kde,eb->kab", lift, problem.gram, lift, precision="highest")
    shares = jnp.linalg.eigvalsh(grams[0] / sizes[0])  # between 0 (only task 2 sees the direction) and 1 (only task 1)
    missing = jnp.sum(~inside)
    observed = jnp.arange(shares.shape[0]) >= missing
    singular = jnp.stack(
        [jnp.any(observed & (shares < SINGULAR_BELOW)), jnp.any(observed & (shares > 1 - SINGULAR_BELOW))]
    )
    mixed = jnp.any(observed & (shares > SINGULAR_BELOW) & (shares < 1 - SINGULAR_BELOW))
    grams = grams * (inside[:, None] & inside)
    return grams, linalg.multiply(problem.cross, lift), lift, singular, ~mixed


def _conclude(
    problem: Moments,
    direction: Float[Array, " d"],
    optimum: secular.Optimum,
    energies: Float[Array, "2"],
    too_few: Bool[Array, ""],
) -> Solution:
    """Best heads for the direction, the loss they reach, and what the bound proves about it."""
    heads, explained = best_heads(problem, direction)
    total, least = jnp.sum(problem.energy), jnp.min(energies)
    rounding = 16 * jnp.finfo(total.dtype).eps * jnp.sum(energies)
    flat = (optimum.variation <= 1e-9 * least + 4 * rounding) & (least > 0)
    degenerate = too_few | flat
    gap = jnp.where(degenerate, 0, jnp.maximum(optimum.bound - explained, 0)) + rounding
    broken = ~jnp.isfinite(explained)
    status = worst(flag(degenerate, Status.degenerate), flag(broken & ~degenerate, Status.ill_conditioned))
    length = jnp.linalg.norm(direction)
    length = jnp.where(length == 0, 1, length) * jnp.where(heads[-1] < 0, -1, 1)
    unknown = jnp.where(status == Status.ok, 0.0, jnp.nan)
    shared, heads = direction / length + unknown, heads * length + unknown
    return Solution(
        shared[:, None],
        heads[:, None],
        heads[:, None] * shared,
        total - jnp.where(degenerate, jnp.sum(energies), explained),
        gap,
        certify(gap, jnp.maximum(least, 1e7 * rounding)),
        status,
        "secular",
    )
