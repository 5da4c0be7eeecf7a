"""More than two tasks, one shared direction: coordinate ascent over the heads, each coordinate solved globally."""

import itertools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from mtlsim.core import linalg
from mtlsim.core.extremes import largest_of
from mtlsim.core.keys import normal, stream
from mtlsim.core.status import Certificate, Status, flag, worst
from mtlsim.samples.moments import Moments
from mtlsim.solvers import secular
from mtlsim.solvers.objective import absorb, best_heads, observed_rows, too_few_rows
from mtlsim.solvers.pair import solve_pair
from mtlsim.solvers.separate import explained_alone
from mtlsim.solvers.single import solve_single
from mtlsim.solvers.solution import Solution, certify

UNSEEN = 8  # times d * rounding: a task that sees a smaller share of a direction does not see it
SETTLED = 1e-13  # relative rise of the explained energy in a round below which a start is settled (4 roundings if more)


def solve_by_ascent(
    moments: Moments,
    weights: Float[Array, " K"],
    ridge: Float[Array, " K"],
    key: Key[Array, ""],
    n_starts: int,
    max_iterations: int,
) -> Solution:
    """Rank one for K > 2 tasks, from every task's own solution and from `n_starts` random heads; the best start wins.

    With all heads but one fixed, the other tasks act as one and the free head is the secular problem of two tasks, whose
    global optimum is taken, round after round. Every task is in K - 1 pairs, so the sum of the certified pair optima over
    K - 1 bounds the explained energy from above: the certificate is an interval.
    """
    n_tasks = moments.n_tasks
    single = jnp.stack([solve_single(moments[i], ridge[i]) for i in range(n_tasks)])
    energies, _, _ = explained_alone(moments, weights, ridge, observed_rows(moments, ridge))
    problem, lift, singular, too_few = _look_at(moments, weights, ridge)
    settled = max(SETTLED, 4 * jnp.finfo(energies.dtype).eps)

    def improve(state):
        heads, value, _, iteration = state
        one = lambda i, heads: _best_head(problem, heads, i, energies, singular)
        heads = _unit(jax.lax.fori_loop(0, n_tasks, one, heads))
        new = _direction(problem, heads)[1]
        return heads, new, new - value, iteration + 1

    def climb(heads):
        state = (heads, _direction(problem, heads)[1], jnp.asarray(jnp.inf, heads.dtype), 0)
        rising = lambda state: (state[2] > settled * state[1]) & (state[3] < max_iterations)
        return jax.lax.while_loop(rising, improve, state)

    own = jnp.stack([_unit(jnp.sqrt(weights) * best_heads(moments, weights, ridge, theta)[0]) for theta in single])
    random = normal(stream(key, "starts"), (n_starts, n_tasks), own.dtype)
    starts = jnp.concatenate([own, random / jnp.linalg.norm(random, axis=1, keepdims=True)])
    heads, values, rises, _ = jax.lax.map(climb, starts)
    best = jnp.argmax(jnp.where(jnp.isfinite(values), values, -jnp.inf))
    direction, _ = _direction(problem, heads[best])
    direction = direction if lift is None else linalg.multiply(lift, direction)
    heads, explained = best_heads(moments, weights, ridge, direction)
    gap = jnp.maximum(_pair_bound(moments, weights, ridge) - explained, 0)
    status = worst(
        flag(rises[best] > settled * values[best], Status.not_converged),
        flag(too_few, Status.degenerate),
        flag(~jnp.isfinite(explained) & ~too_few, Status.ill_conditioned),
    )
    unknown = jnp.where(too_few, jnp.nan, 0.0)
    length = jnp.linalg.norm(direction)
    length = jnp.where(length == 0, 1, length)
    shared, heads = direction / length + unknown, heads * length + unknown
    return Solution(
        shared[:, None],
        heads[:, None],
        heads[:, None] * shared,
        jnp.sum(problem.energy) - jnp.where(too_few, jnp.sum(energies), explained),
        jnp.where(too_few, 0, gap),
        certify(gap, energies, Certificate.interval),
        status,
        "coordinate_ascent",
    )


def _look_at(moments: Moments, weights: Float[Array, " K"], ridge: Float[Array, " K"]):
    """The problem without weights and ridges, the way back, which grams are singular, and whether there are too few rows.

    Drawn moments know their rank from n; those of arrays are brought to the common range of all tasks first.
    """
    problem, d = absorb(moments, weights, ridge), moments.n_features
    rows = observed_rows(moments, ridge)
    if moments.factor is not None:
        return problem, None, rows < d, too_few_rows(rows, 1, d)
    sizes = jnp.trace(problem.gram, axis1=1, axis2=2)
    scaled = problem.gram / jnp.where(sizes > 0, sizes, 1)[:, None, None]
    lift, inside = linalg.inverse_square_root(jnp.sum(scaled, 0))
    shares = jnp.linalg.eigvalsh(linalg.multiply(lift.T, scaled, lift))
    seen = jnp.sum(shares > UNSEEN * d * jnp.finfo(shares.dtype).eps * largest_of(jnp.sum(lift**2, 0)), -1)
    # a coordinate that stands for no direction gets a one, so that it solves to zero
    grams = linalg.multiply(lift.T, problem.gram, lift) + jnp.diag(~inside).astype(lift.dtype)
    lifted = Moments(grams, linalg.multiply(problem.cross, lift), problem.energy, problem.n_samples)
    return lifted, lift, seen < jnp.sum(inside), too_few_rows(jnp.minimum(rows, seen), 1, jnp.sum(inside))


def _unit(heads: Float[Array, " K"]) -> Float[Array, " K"]:
    length = jnp.linalg.norm(heads)
    return heads / jnp.where(length > 0, length, 1)


def _direction(problem: Moments, heads: Float[Array, " K"]) -> tuple[Float[Array, " d"], Float[Array, ""]]:
    """The best shared direction (sum a_i^2 S_i)^-1 sum a_i b_i for given heads, and the energy it explains with them."""
    gram = jnp.einsum("k,kde->de", heads**2, problem.gram, precision="highest")
    cross = linalg.multiply(heads, problem.cross)
    direction = linalg.solve_positive(linalg.with_missing_directions(gram), cross)
    return direction, linalg.multiply(cross, direction)


def _best_head(problem: Moments, heads, i: Int[Array, ""], energies, singular) -> Float[Array, " K"]:
    """The heads with the i-th replaced by its global optimum, the others fixed."""
    others = jnp.where(jnp.arange(heads.shape[0]) == i, 0, heads)
    gram = jnp.einsum("k,kde->de", others**2, problem.gram, precision="highest")
    first_singular = jnp.all(singular | (others == 0))
    pencil = secular.make_pencil(
        *secular.whiten((gram, problem.gram[i]), first_singular),
        (linalg.multiply(others, problem.cross), problem.cross[i]),
        (jnp.sum(energies), energies[i]),
        (first_singular, singular[i]),
    )
    return others.at[i].set(secular.maximize(pencil).ratio)


def _pair_bound(moments: Moments, weights: Float[Array, " K"], ridge: Float[Array, " K"]) -> Float[Array, ""]:
    """Upper bound on the explained energy: the certified optima of all pairs, each task counted once."""

    def of_pair(chosen):
        two = jax.tree.map(lambda leaf: leaf[chosen], moments)
        solution = solve_pair(two, weights[chosen], ridge[chosen])
        return jnp.sum(weights[chosen] * two.energy) - solution.loss + solution.gap

    pairs = jnp.array(list(itertools.combinations(range(moments.n_tasks), 2)))
    return jnp.sum(jax.lax.map(of_pair, pairs)) / (moments.n_tasks - 1)  # one after the other, so that it is compiled once
