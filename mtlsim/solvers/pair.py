"""Two tasks with different covariates and one shared direction: the certified global optimum, as a Solution."""

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from mtlsim.core import linalg
from mtlsim.core.extremes import largest_of, smallest_of
from mtlsim.core.status import Status, flag, worst
from mtlsim.samples.moments import Moments
from mtlsim.solvers import secular
from mtlsim.solvers.directions import find_directions, pair_of_rows
from mtlsim.solvers.objective import best_heads, observed_rows, too_few_rows
from mtlsim.solvers.pencil import choose_form, name_route
from mtlsim.solvers.separate import SHORT, explained_alone
from mtlsim.solvers.solution import LOST, Solution, certify

Pair = tuple[Array, Array]
TRUSTED = 3e-7  # of the smaller task's energy: rounding up to which the pencil is trusted
TRUSTED_ROUNDINGS = 64  # or this many last digits of the energies
N_NODES, N_TABLES = 96, 5  # of the tables over the directions, whose turns may lie far apart


class Found(NamedTuple):
    """The optimum by either search, and what rounding leaves unproven of it beside the last digits of the energies.

    direction: B(t) sqrt(1 + t^2), without what neither task sees. missing: that, as columns. energies: what each task explains
    alone. rounding: how far G may be off. lost: whether rounding has the better of a direction. too_few: the data do not
    determine the answer.
    """

    optimum: secular.Optimum
    direction: Float[Array, " d"]
    missing: Float[Array, "d m"]
    energies: Float[Array, "2"]
    rounding: Float[Array, ""]
    lost: Bool[Array, ""]
    too_few: Bool[Array, ""]


def solve_pair(moments: Moments, weights: Float[Array, "2"], ridge: Float[Array, "2"], form: str | None = None) -> Solution:
    """Global optimum of rank one for two tasks by the secular function (see `mtlsim.solvers.secular`).

    form: of the pencil, a name in `mtlsim.solvers.pencil.FORMS`; None is the fastest here. The pencil serves drawn moments; where
    rounding may have hidden a direction from it, and for moments of arrays, the search is over the directions that both tasks
    see, found without squares (see `mtlsim.solvers.directions`).
    Degenerate (too few rows in all, or the same loss at every head ratio) gives a status and NaN for B, heads and parameters:
    there the data do not determine the answer.
    """
    d = moments.n_features
    form = form or choose_form(jax.default_backend(), d)
    rows = observed_rows(moments, ridge)
    fixed = jax.lax.stop_gradient((moments, weights, ridge, rows))
    if moments.rank_known:
        found = _search_pencil(*fixed, form)
        reach = jnp.maximum(TRUSTED * smallest_of(found.energies), TRUSTED_ROUNDINGS * _last_digits(found.energies))
        drawn, *rest = fixed

        def search(factor, scores):
            # its gram nobody reads, and to compute it costs a product
            return _search_directions(replace(drawn, gram=factor, factor=factor, scores=scores), *rest)

        found = linalg.repair(~(found.rounding <= reach), search, found, drawn.factor, drawn.scores)
    else:
        found = _search_directions(*fixed)
    grams = tuple(moments.gram[i] + ridge[i] * jnp.eye(d, dtype=ridge.dtype) for i in range(2))
    # where nobody looks there is nothing to solve for, but a derivative needs a system that has an answer
    nowhere = found.too_few * jnp.eye(d, dtype=ridge.dtype) + linalg.multiply(found.missing, found.missing.T)
    grams = grams[0] + jnp.trace(grams[0]) * nowhere, grams[1]
    crosses = tuple(jnp.sqrt(weights)[:, None] * moments.cross)
    ratio = stationary(found.optimum.ratio, grams, crosses)
    direction = linalg.found_otherwise(_direction, found.direction, ratio, grams, crosses)
    heads, explained = best_heads(moments, weights, ridge, direction)
    return _conclude(direction, heads, explained, jnp.sum(weights * moments.energy), found, form)


def bound_pair(moments: Moments, weights: Float[Array, "2"], ridge: Float[Array, "2"]) -> Float[Array, ""]:
    """What two tasks together are proven not to explain more than, with no answer and one search (drawn moments: by the pencil).

    Where that proves nothing, as for two tasks that both have fewer rows than features, it is what each explains alone.
    """
    rows = observed_rows(moments, ridge)
    if moments.rank_known:
        found = _search_pencil(moments, weights, ridge, rows, choose_form(jax.default_backend(), moments.n_features))
        alone = jnp.sum(weights[:, None] * moments.scores**2)
    else:
        found = _search_directions(moments, weights, ridge, rows)
        alone = jnp.sum(found.energies) + found.rounding
    proven = found.optimum.bound + found.rounding + _last_digits(weights * moments.energy)
    return jnp.fmin(jnp.where(found.too_few, alone, proven), alone)


def _search_pencil(moments: Moments, weights: Float[Array, "2"], ridge: Float[Array, "2"], rows, form: str) -> Found:
    """By the pencil of drawn moments, which know their rank from n: fewer rows than features explain all their energy."""
    d = moments.n_features
    singular = rows < d
    too_few = too_few_rows(rows, 1, d)
    # the larger task that sees every direction goes first: the other is measured against it
    swap = jnp.where(singular[0] == singular[1], moments.n_samples[1] > moments.n_samples[0], singular[0])
    order = lambda leaves: tuple(jnp.where(swap, leaves[1 - i], leaves[i]) for i in range(2))
    energies = weights * moments.energy
    crosses = order(jnp.sqrt(weights)[:, None] * moments.cross)
    basis = whiten_factors(order(moments.factor), order(ridge), order(singular)[0], too_few * jnp.eye(d, dtype=ridge.dtype))
    pencil = secular.make_pencil(*basis, crosses, order(energies), order(singular), form)
    optimum = secular.maximize(pencil)
    complete = ~(singular[0] & singular[1]) & (pencil.turning == order(rows)[1])
    rounding = jnp.where(complete, pencil.rounding, jnp.inf) * jnp.sum(pencil.energies)
    rounding = jnp.where(too_few, 0, rounding)
    own = jnp.where(too_few, energies, jnp.stack(order(pencil.energies)))
    direction = pencil.solve(optimum.ratio)
    ratio = jnp.where(swap, 1 / optimum.ratio, optimum.ratio)
    # B(t) sqrt(1 + t^2) is the same for heads (1, t) and (t, 1), but for the sign of t
    direction = direction * jnp.where(swap & (optimum.ratio < 0), -1, 1)
    return Found(optimum._replace(ratio=ratio), direction, jnp.zeros((d, 0), ridge.dtype), own, rounding, jnp.array(False), too_few)


def _search_directions(moments: Moments, weights: Float[Array, "2"], ridge: Float[Array, "2"], rows) -> Found:
    """Over the directions that both tasks see, found from rows."""
    problem = pair_of_rows(moments, weights, ridge, rows)
    directions = find_directions(problem)
    optimum = secular.maximize(directions, N_NODES, N_TABLES)
    seen = jnp.sum(directions.seen, 1)
    n_directions = jnp.sum(jnp.any(directions.seen, 0))
    too_few = too_few_rows(jnp.minimum(rows, seen), 1, n_directions)
    direction = directions.solve(optimum.ratio)
    missing = directions.missing[:, : 0 if moments.rank_known else None]  # what nobody sees is there only where rows are too few
    direction = direction - linalg.multiply(missing, linalg.multiply(missing.T, direction))
    rounding, energies = directions.rounding(problem.lengths), directions.energies
    lost = jnp.any(directions.seen & (directions.noise > LOST))
    if not moments.rank_known:  # what a task sees alone may be rounding beside the rows of the other, as in very different units
        alone, off, _ = explained_alone(moments, weights, ridge, rows)
        short = jnp.maximum(alone - energies, 0)
        rounding, lost = rounding + jnp.sum(short), lost | jnp.any(short > off + SHORT * jnp.sum(alone))
    if problem.squared:  # a direction that was taken for rounding may explain all that is left
        left = jnp.sum(jnp.where(seen < rows, jnp.maximum(problem.lengths**2 - energies, 0), 0))
        rounding, lost = rounding + left, lost | (left > TRUSTED_ROUNDINGS * _last_digits(energies))
    return Found(optimum, direction, missing, energies, rounding, lost, too_few)


def whiten_factors(
    factors: Pair, ridge: Pair, singular: Bool[Array, ""], safe: Float[Array, "d d"]
) -> tuple[Float[Array, "d d"], Float[Array, "d d"]]:
    """L and W as of `secular.whiten`, from factors of both grams: the first is L unless a ridge or missing rows forbid it."""

    def factorise(*factors):
        eye = jnp.eye(len(safe), dtype=safe.dtype)
        grams = [linalg.multiply(factors[i], factors[i].T) + ridge[i] * eye for i in range(2)]
        first = linalg.cholesky(grams[0] + safe + singular.astype(safe.dtype) * grams[1])
        return first, jnp.where(ridge[1] > 0, linalg.cholesky(grams[1]), factors[1])

    first, second = linalg.repair(singular | (ridge[0] > 0) | (ridge[1] > 0), factorise, factors, *factors)
    half = linalg.solve_lower_right(first, second.T)
    return first, linalg.multiply(half.T, half)


def _direction(ratio: Float[Array, ""], grams: Pair, crosses: Pair) -> Float[Array, " d"]:
    """B(t) up to its length, (S1 + t^2 S2)^-1 (b1 + t b2) sqrt(1 + t^2)."""
    size = jnp.hypot(1, ratio)
    mixed = (grams[0] + ratio**2 * grams[1]) / size**2
    return linalg.solve_positive(mixed, (crosses[0] + ratio * crosses[1]) / size)


@jax.custom_jvp
def stationary(ratio: Float[Array, ""], grams: Pair, crosses: Pair) -> Float[Array, ""]:
    """The optimal head ratio, which was found by a search, with the derivative that the implicit function theorem gives.

    At the optimum dG/dt = 0, and this stays so: dt = -(dG/dt moved by the data) / (d2G/dt2).
    """
    return ratio


@stationary.defjvp
def _(primals, tangents):
    ratio, grams, crosses = primals

    def slope(ratio, grams, crosses):
        """Half of dG/dt = B'(b2 - t S2 B), B not normalised."""
        direction = _direction(ratio, grams, crosses) / jnp.hypot(1, ratio)
        return linalg.multiply(direction, crosses[1] - ratio * linalg.multiply(grams[1], direction))

    curvature = jax.grad(slope)(ratio, grams, crosses)
    _, moved = jax.jvp(lambda *data: slope(ratio, *data), (grams, crosses), tangents[1:])
    return ratio, -moved / jnp.where(curvature == 0, 1, curvature)


def _last_digits(energies: Float[Array, "2"]) -> Float[Array, ""]:
    """Rounding of sums of the size of the energies."""
    return 16 * jnp.finfo(energies.dtype).eps * jnp.sum(energies)


def _conclude(
    direction: Float[Array, " d"],
    heads: Float[Array, "2"],
    explained: Float[Array, ""],
    total: Float[Array, ""],
    found: Found,
    form: str,
) -> Solution:
    """The loss that the direction and its best heads reach, and what the bound proves about it."""
    optimum, energies, too_few = found.optimum, found.energies, found.too_few
    least, rounding = smallest_of(energies), _last_digits(energies)
    flat = (optimum.variation <= 1e-9 * least + 4 * rounding) & (least > 0)
    degenerate = too_few | flat
    gap = jnp.where(degenerate, 0, jnp.maximum(optimum.bound - explained, 0) + jnp.abs(optimum.value - explained))
    gap = gap + rounding + found.rounding
    broken = ~jnp.isfinite(explained)
    status = worst(flag(degenerate, Status.degenerate), flag(broken | found.lost, Status.ill_conditioned))
    largest = largest_of(jnp.abs(direction))
    largest = jnp.where(largest > 0, largest, 1)
    length = largest * jnp.linalg.norm(direction / largest)
    length = jnp.where(length == 0, 1, length) * jnp.where(heads[-1] < 0, -1, 1)
    unknown = jnp.where(degenerate | broken, jnp.nan, 0.0)
    shared, heads = direction / length + unknown, heads * length + unknown
    return Solution(
        shared[:, None],
        heads[:, None],
        heads[:, None] * shared,
        total - jnp.where(too_few, jnp.sum(energies), explained),
        gap,
        certify(gap, energies),
        status,
        name_route(form),
    )
