"""More than two tasks, one shared direction: Newton's method over the heads from many starts, and what is proven of the end."""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from mtlsim.core import linalg
from mtlsim.core.extremes import largest_of, smallest_of
from mtlsim.core.keys import normal, stream
from mtlsim.core.status import Certificate, Status, flag, worst
from mtlsim.samples.moments import Moments
from mtlsim.solvers.boxes import LARGEST, prove
from mtlsim.solvers.directions import length_of
from mtlsim.solvers.heads import Heads, Place, climb, factorise, unit
from mtlsim.solvers.objective import absorb, best_heads, observed_rows, too_few_rows
from mtlsim.solvers.pair import bound_pair
from mtlsim.solvers.rows import ROUNDINGS, UNSEEN, rows_of
from mtlsim.solvers.rows import look as look_at_rows
from mtlsim.solvers.separate import SHORT, explained_alone
from mtlsim.solvers.solution import EXACT_WITHIN, LOST, Solution, certify

WITHIN = 0.5 * EXACT_WITHIN  # of the smaller task's energy, to which the optimum is proven
IN_GROUPS = 1e-2  # the same, of groups where all tasks together are too many


class View(NamedTuple):
    """The problem seen from the heads, the way back from its directions to parameters, and whether there are too few rows.

    sizes (K,): a head of the problem is this many times the head of the task in units of its own.
    """

    problem: Heads
    lift: Float[Array, "d d"]
    sizes: Float[Array, " K"]
    too_few: Bool[Array, ""]


def solve_by_newton(
    moments: Moments,
    weights: Float[Array, " K"],
    ridge: Float[Array, " K"],
    key: Key[Array, ""],
    n_starts: int,
    max_iterations: int,
    prove_it: bool = False,
) -> Solution:
    """Rank one for K > 2 tasks (see `mtlsim.solvers.heads`); the highest of all tops wins.

    Starts: the heads that suit each task's own solution, the principal heads of tasks that all had the same rows, and `n_starts`
    random ones. Every task is in K - 1 pairs, so the sum of the certified pair optima over K - 1 bounds the explained energy from
    above: the certificate is an interval. prove_it: search all heads (see `mtlsim.solvers.boxes`), of five tasks at most together,
    of more in groups, whose optima together are a bound again.
    """
    fixed = jax.lax.stop_gradient((moments, weights, ridge))
    view = look_at(*fixed)
    energies, starts = _own(view.problem)
    random = normal(stream(key, "starts"), (n_starts, len(energies)), energies.dtype)
    places, best, settled = climb(view.problem, jnp.concatenate([starts, random]), max_iterations)
    top, bound = places.take(best), jnp.sum(energies)
    if prove_it:
        top, settled, bound = _prove(view.problem, top, settled, energies, starts, max_iterations)
        bound = bound + _rounding(*fixed)
    bound = jnp.fmin(bound, _pair_bound(*fixed))
    direction = linalg.multiply(view.lift, view.problem.fit(top.heads[None])[1][0])
    problem = absorb(moments, weights, ridge)
    direction = linalg.found_otherwise(_direction, direction, top.heads / view.sizes, problem.gram, problem.cross)
    heads, explained = best_heads(moments, weights, ridge, direction)
    gap = jnp.maximum(bound - explained, 0) + rounding_of_loss(*fixed, jax.lax.stop_gradient(heads[:, None] * direction))
    loss = jnp.sum(weights * moments.energy) - jnp.where(view.too_few, jnp.sum(energies), explained)
    lost, rounding = _seen_alone(*fixed, energies)
    status = worst(
        flag(~settled & ~view.too_few & jnp.isfinite(explained), Status.not_converged),
        flag(view.too_few, Status.degenerate),
        flag(lost | (~jnp.isfinite(explained) & ~view.too_few), Status.ill_conditioned),
    )
    unknown = jnp.where(view.too_few, jnp.nan, 0.0)
    length = jnp.linalg.norm(direction)
    length = jnp.where(length == 0, 1, length)
    shared, heads = direction / length + unknown, heads * length + unknown
    return Solution(
        shared[:, None],
        heads[:, None],
        heads[:, None] * shared,
        loss,
        jnp.where(lost, loss, jnp.where(view.too_few, rounding, gap)),
        jnp.where(lost, int(Certificate.none), certify(gap, energies, Certificate.interval)).astype(jnp.int32),
        status,
        "newton",
    )


def _seen_alone(moments: Moments, weights: Float[Array, " K"], ridge: Float[Array, " K"], energies: Float[Array, " K"]):
    """Whether tasks see directions alone that are rounding beside the rows of others, as in very different units; and how far
    rounding may have moved what they explain alone.
    """
    if moments.rank_known:
        return jnp.zeros((), bool), 0.0
    alone, rounding, _ = explained_alone(moments, weights, ridge, observed_rows(moments, ridge))
    return ~jnp.all(alone - energies <= rounding + SHORT * jnp.sum(alone)), jnp.sum(rounding)


def look_at(moments: Moments, weights: Float[Array, " K"], ridge: Float[Array, " K"]) -> View:
    """Drawn moments know their rank from n; those of arrays are brought to what all tasks see together first, without squares."""
    rows, d = observed_rows(moments, ridge), moments.n_features
    if moments.rank_known:
        columns = largest_of(jnp.abs(moments.factor), 2)
        sizes, few = _nonzero(largest_of(columns, 1)), too_few_rows(rows, 1, d)
        units = 1 / _nonzero(largest_of(columns / sizes[:, None], 0))
        factor = moments.factor / sizes[:, None, None] * units[:, None]
        grams = linalg.multiply(factor, jnp.swapaxes(factor, 1, 2)) + (ridge / sizes / sizes)[:, None, None] * jnp.diag(units**2)
        sides = jnp.sqrt(weights)[:, None] * jnp.einsum("kdm,km->kd", factor, moments.scores, precision="highest")
        lift = jnp.diag(units)
    else:
        stacked, labels = (
            jnp.stack(part) for part in zip(*(rows_of(moments[i], ridge[i]) for i in range(len(ridge))), strict=True)
        )
        sizes = jnp.stack([length_of(part) for part in stacked])
        stacked = stacked / sizes[:, None, None]
        columns = _nonzero(largest_of(jnp.abs(stacked), (0, 1)))
        left, values, right = jnp.linalg.svd((stacked / columns).reshape(-1, d), full_matrices=False)
        inside = values > UNSEEN * d * jnp.finfo(values.dtype).eps * values[0]
        left = (left * inside).reshape(-1, d, d)
        grams = jnp.einsum("kmd,kme->kde", left, left, precision="highest")
        sides = jnp.einsum("kmd,km->kd", left, jnp.sqrt(weights)[:, None] * labels, precision="highest")
        lift = right.T * jnp.where(inside, 1 / jnp.where(inside, values, 1), 0) / columns[:, None]
        seen = jnp.sum(jnp.linalg.svd(left, compute_uv=False) > UNSEEN * d * jnp.finfo(values.dtype).eps, 1)
        few = too_few_rows(jnp.minimum(rows, seen), 1, jnp.sum(inside))
    scales = _nonzero(jnp.sqrt(jnp.trace(grams, axis1=1, axis2=2) / d))
    return View(Heads(grams / scales[:, None, None] ** 2, sides / scales[:, None]), lift, sizes * scales, few)


def _nonzero(sizes):
    return jnp.where(sizes > 0, sizes, 1)


def _own(problem: Heads) -> tuple[Float[Array, " K"], Float[Array, "n K"]]:
    """What each task explains alone, and the starts that follow from that: from each task's solution, and the principal heads."""
    factors = problem.factorise(jnp.eye(len(problem.sides), dtype=problem.sides.dtype))
    halves = linalg.solve_lower(factors, problem.sides)
    p, q, _ = problem.overlaps(linalg.solve_upper(factors, halves))
    whole = factorise(jnp.sum(problem.grams, 0, keepdims=True))[0]
    sides = linalg.solve_lower(whole, problem.sides.T)
    principal = jnp.linalg.eigh(linalg.multiply(sides.T, sides))[1].T
    return jnp.sum(halves**2, 1), jnp.concatenate([unit(jnp.where(q > 0, p / _nonzero(q), 0)), principal])


def _direction(heads: Float[Array, " K"], grams: Float[Array, "K d d"], sides: Float[Array, "K d"]) -> Float[Array, " d"]:
    """The best direction at heads that were found, after a last step of Newton's: its derivatives are those of the optimum."""
    problem, length = Heads(grams, sides), jnp.linalg.norm(heads)
    again, _ = problem.look(jax.lax.stop_gradient(heads)[None]).onward()
    return problem.fit(unit(again))[1][0] / length


def _prove(problem: Heads, top: Place, settled, energies: Float[Array, " K"], starts: Float[Array, "n K"], max_iterations: int):
    """The highest top after a search of all heads, whether it had settled, and what V does not exceed, rounding apart."""
    n_tasks = len(energies)
    last_digits = ROUNDINGS * jnp.finfo(energies.dtype).eps * jnp.sum(energies)
    if n_tasks <= LARGEST:
        proof = prove(problem, top.heads, top.value, jnp.maximum(WITHIN * smallest_of(energies), last_digits))
        places, best, found = climb(problem, proof.heads[None], max_iterations)
        higher = proof.value > top.value + last_digits
        top = jax.tree.map(lambda new, old: jnp.where(higher, new, old), places.take(best), top)
        return top, jnp.where(higher, found, settled), proof.bound
    # those that the shared direction suits and those that it does not, in every group
    order = jnp.argsort(problem.overlaps(problem.fit(top.heads[None])[1])[0][0] * top.heads / energies)
    n_groups = -(-n_tasks // LARGEST)
    order = jnp.concatenate([order[group::n_groups] for group in range(n_groups)])

    def of_group(chosen):
        part = Heads(problem.grams[chosen], problem.sides[chosen])
        own, starts = _own(part)
        places, best, _ = climb(part, starts, max_iterations)
        return prove(part, places.heads[best], places.value[best], IN_GROUPS * smallest_of(own)).bound

    whole = n_tasks // LARGEST * LARGEST
    bound = jnp.sum(jax.lax.map(of_group, order[:whole].reshape(-1, LARGEST)))
    rest = order[whole:]
    if len(rest) > 1:
        bound += of_group(rest)
    return top, settled, bound + (jnp.sum(energies[rest]) if len(rest) == 1 else 0)


def _rounding(moments: Moments, weights: Float[Array, " K"], ridge: Float[Array, " K"]) -> Float[Array, ""]:
    """How far rounding may have moved V at any heads.

    A change of each task's rows that is small beside what the task itself sees of every direction changes V by no larger share, as
    G is a sum of grams. Of squares it is the rounding over the least eigenvalue of a gram with a diagonal of ones; rows of arrays
    had a rounding of their own. Where a task does not see every direction, nothing is known.
    """
    d, eps = moments.n_features, jnp.finfo(weights.dtype).eps
    problem = look_at(moments, weights, ridge).problem
    sizes = jnp.sqrt(jnp.diagonal(problem.grams, axis1=1, axis2=2))
    least = smallest_of(jnp.linalg.eigvalsh(problem.grams / _nonzero(sizes[:, :, None] * sizes[:, None])))
    noise = d**2 * eps / jnp.where(least > 0, least, 0)
    if not moments.rank_known:
        sights = [look_at_rows(moments[i], ridge[i], jnp.asarray(d)) for i in range(len(weights))]
        noise += largest_of(jnp.stack([largest_of(jnp.where(sight.seen, sight.noise, jnp.inf)) for sight in sights]))
    noise = jnp.where(ROUNDINGS * noise < LOST, ROUNDINGS * noise, jnp.inf)
    return noise * jnp.sum(weights * moments.energy)


def rounding_of_loss(
    moments: Moments, weights: Float[Array, " K"], ridge: Float[Array, " K"], parameters: Float[Array, "K d"]
) -> Float[Array, ""]:
    """How far rounding may have moved the loss at these parameters: that of rows, or of squares, and of the sum of all energies."""
    eps = ROUNDINGS * jnp.finfo(parameters.dtype).eps
    # fitted labels would be so long if nothing cancelled
    lengths = jnp.sum(jnp.sqrt(moments.squares + ridge[:, None]) * jnp.abs(parameters), 1)
    labels = jnp.sqrt(moments.energy)
    fitted = lengths if moments.factor is None else jnp.minimum(lengths, labels)
    return eps * jnp.sum(weights * ((2 * labels + fitted) * lengths + moments.energy))


def _pair_bound(moments: Moments, weights: Float[Array, " K"], ridge: Float[Array, " K"]) -> Float[Array, ""]:
    """Upper bound on the explained energy: what pairs of tasks are proven not to exceed, each task counted once."""

    def of_pair(chosen):
        return bound_pair(jax.tree.map(lambda leaf: leaf[chosen], moments), weights[chosen], ridge[chosen])

    pairs = jnp.array(list(itertools.combinations(range(moments.n_tasks), 2)))
    return jnp.sum(jax.lax.map(of_pair, pairs)) / (moments.n_tasks - 1)  # one after the other, so that it is compiled once
