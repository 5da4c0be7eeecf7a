"""One ReLU unit shared by two tasks, without samples: the global optimum over the shared direction.

With p_i = w_i E[label_i^2], c_i(B) the cosine of B and theta_i in Sigma_i and the best heads, the loss is

    sum_i p_i - F(B),    F(B) = sum_i p_i kappa(c_i(B))^2.

Scale g_i = Sigma_i theta_i / |theta_i|. **The optimum lies on a curve that is known in closed form.** For t > 0 let
B = (t Sigma_1 + Sigma_2)^-1 (g_2 + eta g_1) with eta > 0 the root of t |B|_1 = eta c_1(B), a quadratic equation. By the
inequality of Cauchy and Schwarz, for any B',

    eta g_1'B' + g_2'B' = t <B, B'>_1 + <B, B'>_2 <= t |B|_1 |B'|_1 + |B|_2 |B'|_2,

so that no direction has both cosines above those of B: the curve is the whole frontier of cosines that are not negative, and F
rises in both. Where one cosine is negative, stationary directions solve the same quadratic with t < 0, from either task. F is
searched along all of these curves.

Upper bound: between two points of the frontier, no direction has c_1 > c_1(right) and c_2 > c_2(left); where the problem of
largest c_2^2 at given c_1 has no duality gap, its dual D(c_1^2) >= c_2^2 at fixed multiplier is log-convex in c_1^2, and convexity
of kappa^2 then bounds F between the points by chords, with an error of second order. A point of the curve with t < 0 and
Sigma_2 + t Sigma_1 positive definite has c_1 < 0 < c_2, and g_1 g_1' + m (c_2^2 Sigma_2 - g_2 g_2') - c_1^2 Sigma_1 with
m = -c_1^2 / (t c_2^2) is singular and nowhere negative, so that c_1 is at least as negative wherever c_2 is at least as large:
a staircase for directions with a negative cosine. With equal covariances the cosines are those of a plane, and F is a function
of one angle whose second derivative is at most 2 (p_1 + p_2).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from mtlsim.core.arc_cosine import kappa
from mtlsim.core.extremes import largest_of, smallest_of
from mtlsim.core.linalg import diagonalise_pair, multiply, solve_upper
from mtlsim.core.status import Certificate
from mtlsim.solvers.solution import certify
from mtlsim.tasks.covariance import Covariance

N_INTERVALS = 96  # of a bound, in each of its rounds
N_MIXED = 48  # points of a search on either half of a curve
N_STAIRS = 256  # points of each staircase below zero
N_GOLDEN = 24
GOLDEN = (np.sqrt(5) - 1) / 2
EQUAL = 1e-9  # relative spread of the generalised eigenvalues below which two covariances count as proportional


class ReluOptimum(eqx.Module):
    """direction (d,): the shared unit. cosines (2,): c_i. explained: F. gap: an upper bound on F minus F. certificate."""

    direction: Float[Array, " d"]
    cosines: Float[Array, "2"]
    explained: Float[Array, ""]
    gap: Float[Array, ""]
    certificate: Int[Array, ""]


class Pair(eqx.Module):
    """Two tasks where both covariances are diagonal: spectra (2, d), g (2, d) with g_i = Sigma_i theta_i / |theta_i|, p (2,)."""

    spectra: Float[Array, "2 d"]
    sides: Float[Array, "2 d"]
    energies: Float[Array, "2"]

    def cosines(self, direction: Float[Array, "*n d"]) -> Float[Array, "*n 2"]:
        lengths = jnp.sqrt(multiply(direction**2, self.spectra.T))
        return jnp.clip(multiply(direction, self.sides.T) / jnp.where(lengths > 0, lengths, 1), -1, 1)

    def explained(self, cosines: Float[Array, "*n 2"]) -> Float[Array, "*n"]:
        return multiply(kappa(cosines) ** 2, self.energies)

    def swapped(self) -> "Pair":
        return Pair(self.spectra[::-1], self.sides[::-1], self.energies[::-1])


def make_pair(spectra: Float[Array, "2 d"], parameters: Float[Array, "2 d"], energies: Float[Array, "2"]) -> Pair:
    """From eigenvalues (2, d) in common coordinates, parameters (2, d) there, and p (2,). Scales of Sigma_i do not matter."""
    scale = jnp.mean(spectra, -1, keepdims=True)
    spectra = spectra / jnp.where(scale > 0, scale, 1)
    lengths = jnp.sqrt(jnp.sum(spectra * parameters**2, -1, keepdims=True))
    return Pair(spectra, spectra * parameters / jnp.where(lengths > 0, lengths, 1), energies)


@jax.jit
def solve_relu_population(
    covariances: tuple[Covariance, ...], parameters: Float[Array, "2 d"], energies: Float[Array, "2"]
) -> ReluOptimum:
    """The best shared unit for two tasks with parameters (2, d) and p (2,); the direction is in the features' own coordinates."""
    if all(covariance.rotation is None and covariance.basis is None for covariance in covariances):
        spectra = jnp.stack([covariance.eigenvalues for covariance in covariances])
        return solve_relu_pair(make_pair(spectra, parameters, energies))
    values, factor, vectors = diagonalise_pair(*(covariance.matrix() for covariance in covariances))
    spectra = jnp.stack([values, jnp.ones_like(values)])
    found = solve_relu_pair(make_pair(spectra, multiply(parameters, factor, vectors), energies))
    return eqx.tree_at(lambda o: o.direction, found, solve_upper(factor, multiply(vectors, found.direction)))


def curve(pair: Pair, alpha: Float[Array, " n"], root: Float[Array, ""] | float = 1.0) -> Float[Array, "n d"]:
    """Points of the curve at t = tan(alpha); for t < 0 the quadratic has two roots, named 1 and -1, or none (then zero)."""
    co, si = jnp.cos(alpha), jnp.sin(alpha)
    system = co[:, None] * pair.spectra[1] + si[:, None] * pair.spectra[0]
    inverse = jnp.where(jnp.abs(system) > 1e-14, 1 / jnp.where(jnp.abs(system) > 1e-14, system, 1), 0)
    first, second = pair.sides[0] * inverse, pair.sides[1] * inverse
    a = co * multiply(first**2, pair.spectra[1])
    b = co * multiply(first * second, pair.spectra[1]) - si * multiply(first * second, pair.spectra[0])
    c = si * multiply(second**2, pair.spectra[0])
    inside = b**2 + 4 * a * c
    spread = root * jnp.sqrt(jnp.maximum(inside, 0))
    # eta = rise / run, from the form of the quadratic formula that does not cancel
    direct = (b <= 0) == (root > 0)
    rise, run = jnp.where(direct, spread - b, 2 * c), jnp.where(direct, 2 * a, b + spread)
    sign = jnp.where(run < 0, -1, 1)
    rise, run = rise * sign, run * sign
    size = jnp.hypot(rise, run)
    valid = (inside >= 0) & (rise >= 0) & (size > 0)
    rise, run = (jnp.where(valid, one / jnp.where(size > 0, size, 1), 0) for one in (rise, run))
    return run[:, None] * second + rise[:, None] * first


def solve_relu_pair(pair: Pair) -> ReluOptimum:
    """The best shared direction in the pair's coordinates, with an upper bound; see the module."""
    swapped = pair.swapped()
    mixed, other = _mixed_places(pair), _mixed_places(swapped)
    places = jnp.stack([jnp.linspace(0, np.pi / 2, 2 * N_MIXED - 1), mixed, mixed, other, other])
    families = jax.tree.map(lambda one, other: jnp.stack([one, one, one, other, other]), pair, swapped)
    # one after the other, so that the search is compiled once
    found, points = jax.lax.map(lambda family: _search(*family), (families, places, jnp.array([1.0, 1.0, -1.0, 1.0, -1.0])))
    ends = _ends(pair)
    values, directions = jnp.append(found, pair.explained(pair.cosines(ends))), jnp.concatenate([points, ends])
    chosen = jnp.argmax(values)
    direction, explained = directions[chosen], values[chosen]
    total = jnp.sum(pair.energies)
    ratios = pair.spectra[0] * jnp.mean(pair.spectra[1]) - pair.spectra[1] * jnp.mean(pair.spectra[0])
    equal = largest_of(jnp.abs(ratios)) <= EQUAL * largest_of(pair.spectra)
    upper = jnp.where(equal, _plane_bound(pair), _frontier_bound(pair))
    gap = jnp.clip(jnp.minimum(upper, total) - explained, 0)
    smaller = smallest_of(jnp.where(pair.energies > 0, pair.energies, jnp.inf))
    certificate = certify(gap, jnp.where(jnp.isfinite(smaller), smaller, 1), Certificate.interval)
    return ReluOptimum(direction, pair.cosines(direction), explained, gap, certificate)


def _ends(pair: Pair) -> Float[Array, "2 d"]:
    """The tasks' own directions theta_i."""
    return jnp.where(pair.spectra > 0, pair.sides / jnp.where(pair.spectra > 0, pair.spectra, 1), 0)


def _definite(pair: Pair) -> Float[Array, ""]:
    """Largest -alpha up to which Sigma_2 + tan(alpha) Sigma_1 is positive definite."""
    return jnp.arctan(smallest_of(pair.spectra[1] / jnp.maximum(pair.spectra[0], jnp.finfo(pair.spectra.dtype).tiny)))


def _mixed_places(pair: Pair) -> Float[Array, " n"]:
    """Places for t < 0: as many where the system is definite as beyond."""
    limit = _definite(pair)
    return jnp.concatenate([jnp.linspace(-np.pi / 2, -limit, N_MIXED), -limit * jnp.linspace(1, 0, N_MIXED)[1:]])


def _search(pair: Pair, places: Float[Array, " n"], root: Float[Array, ""]):
    """Largest F on one curve and its direction: a grid and golden sections around its best point."""

    def value(alpha):
        return pair.explained(pair.cosines(curve(pair, alpha, root)))

    best = jnp.argmax(value(places))
    middle = places[best]
    left, right = places[jnp.maximum(best - 1, 0)], places[jnp.minimum(best + 1, len(places) - 1)]

    def narrow(_, ends):
        left, right = ends
        inner = jnp.stack([right - GOLDEN * (right - left), left + GOLDEN * (right - left)])
        lower, upper = value(inner)
        return jnp.where(lower > upper, left, inner[0]), jnp.where(lower > upper, inner[1], right)

    left, right = jax.lax.fori_loop(0, N_GOLDEN, narrow, (left, right))
    # the bend of F at a grid point can leave the section with less than the grid had
    direction = curve(pair, jnp.stack([middle, (left + right) / 2]), root)
    values = pair.explained(pair.cosines(direction))
    chosen = jnp.argmax(values)
    return values[chosen], direction[chosen]


def _refined(bound, high: Float[Array, ""] | float, kept: int, rounds: int) -> Float[Array, ""]:
    """Largest of bound(left, right) over intervals that cover [0, high]; in each round the `kept` largest are cut again."""
    places, cuts = high * jnp.linspace(0, 1, N_INTERVALS + 1), jnp.linspace(0, 1, N_INTERVALS // kept + 1)

    def again(i, state):
        left, right, settled = state
        bounds = bound(left, right)
        order = jnp.argsort(-bounds)
        settled = jnp.maximum(settled, bounds[jnp.where(i == rounds, order[0], order[kept])])
        left, right = left[order[:kept]], right[order[:kept]]
        parts = left[:, None] + (right - left)[:, None] * cuts
        return parts[:, :-1].reshape(-1), parts[:, 1:].reshape(-1), settled

    return jax.lax.fori_loop(0, rounds + 1, again, (places[:-1], places[1:], -jnp.inf * jnp.ones(())))[2]


def _plane_bound(pair: Pair) -> Float[Array, ""]:
    """Upper bound on F for proportional covariances: the angle runs from one task's direction to the other's."""
    angle = jnp.arccos(pair.cosines(_ends(pair)[0])[1])

    def value(phi):
        return pair.explained(jnp.stack([jnp.cos(phi), jnp.cos(angle - phi)], -1))

    def bound(left, right):
        return jnp.maximum(value(left), value(right)) + jnp.sum(pair.energies) * (right - left) ** 2 / 4

    return _refined(bound, angle, kept=24, rounds=5)  # flat at the critical angle


def _frontier_bound(pair: Pair) -> Float[Array, ""]:
    """Upper bound on F for any covariances; see the module."""
    toward_second, toward_first = (pair.cosines(end) for end in _ends(pair)[::-1])
    # directions with c_1 <= 0, and with c_2 <= 0; where the other task's own direction has not that sign, it does better itself
    mixed = jax.lax.map(_mixed_bound, jax.tree.map(lambda one, other: jnp.stack([one, other]), pair, pair.swapped()))
    negative = jnp.stack([toward_second[0], toward_first[1]]) < 0
    both = jnp.stack([pair.explained(toward_second), pair.explained(toward_first), *jnp.where(negative, mixed, -jnp.inf)])
    inner = _refined(lambda left, right: _between(pair, left, right), np.pi / 2, kept=8, rounds=2)
    return jnp.maximum(largest_of(both), inner)


def _mixed_bound(pair: Pair) -> Float[Array, ""]:
    """Upper bound on F over directions with c_1 <= 0: a staircase below points of the curve with t < 0."""
    places = -_definite(pair) * jnp.linspace(1e-6, 1 - 1e-6, N_STAIRS)
    points = jnp.concatenate(jax.lax.map(lambda root: curve(pair, places, root), jnp.array([1.0, -1.0])))
    behind, ahead = pair.cosines(points).T
    valid = (largest_of(jnp.abs(points), -1) > 0) & (ahead > 0) & (behind < 0)
    ahead, behind = jnp.where(valid, ahead, 1), jnp.where(valid, behind, 0)
    order = jnp.argsort(ahead)
    steps = jnp.concatenate([jnp.zeros(1), jax.lax.cummin(behind[order])])
    ends = jnp.concatenate([ahead[order], jnp.ones(1)])
    return largest_of(pair.explained(jnp.stack([steps, ends], -1)))


def _between(pair: Pair, left: Float[Array, " n"], right: Float[Array, " n"]) -> Float[Array, " n"]:
    """Upper bound on F over directions with c_1 between those of two points of the frontier."""
    point = curve(pair, left)
    cosines, ends = jnp.maximum(pair.cosines(point), 0), jnp.maximum(pair.cosines(curve(pair, right)), 0)
    x, y = cosines[:, 0], cosines[:, 1]
    x_end = jnp.maximum(ends[:, 0], x)
    staircase = pair.explained(jnp.stack([x_end, y], -1))
    # the dual at the left point's multiplier: D(u) = g_2' (Sigma_2 + m u Sigma_1 - m g_1 g_1')^-1 g_2 at u = c_1^2
    slope = jnp.tan(left)
    multiplier = slope / jnp.where(x > 0, x, 1) ** 2

    def dual(u):
        inverse = 1 / (pair.spectra[1] + (multiplier * u)[:, None] * pair.spectra[0])
        one, two = multiply(inverse, pair.sides[0] ** 2), multiply(inverse, pair.sides[1] ** 2)
        cross, room = multiply(inverse, pair.sides[0] * pair.sides[1]), 1 - multiplier * one
        convex = (room > 1e-9) & (x > 0) & jnp.isfinite(multiplier)
        return jnp.where(convex, two + multiplier * cross**2 / jnp.where(convex, room, 1), jnp.inf)

    start, stop = (_beyond(jnp.sqrt(dual(one**2))) * pair.energies[1] for one in (x, x_end))
    rise = (kappa(x_end) ** 2 - kappa(x) ** 2) * pair.energies[0] / jnp.where(x_end > x, x_end - x, 1)
    fall = (stop - start) / jnp.where(x_end > x, x_end**2 - x**2, 1)
    top = jnp.clip(-rise / (2 * jnp.where(fall < 0, fall, -1)), x, x_end)
    top = jnp.where(fall < 0, top, x_end)
    chord = kappa(x) ** 2 * pair.energies[0] + rise * (top - x) + start + fall * (top**2 - x**2)
    return jnp.where(jnp.isfinite(chord), jnp.minimum(chord, staircase), staircase)


def _beyond(cosine: Float[Array, " n"]) -> Float[Array, " n"]:
    """kappa^2, continued as a straight line above 1 so that it stays convex."""
    return kappa(cosine) ** 2 + 2 * jnp.maximum(cosine - 1, 0)
