"""Two tasks, one shared direction, different covariates: the exact global optimum of the shared layer, with a certificate.

With heads (1, t) the best shared direction is B(t) = (S1 + t^2 S2)^-1 (b1 + t b2), and it explains the energy

    G(t) = (b1 + t b2)' (S1 + t^2 S2)^-1 (b1 + t b2),        loss = |y1|^2 + |y2|^2 - max over t of G(t).

On the common eigenbasis of the pencil, with w_j its eigenvalues and x_j = log|t| + log(w_j) / 2, every term of G is a
constant plus a multiple of tanh(x_j) plus a multiple of sech(x_j). So in u = log|t| all derivatives of G are bounded by
what its values and slopes tell (K1, K2 below): a table of values and slopes joined by cubics is an upper bound on G up to
B4 h^4 / 384 between its nodes. Passes over ever narrower tables and a few Newton steps give the global maximum and prove it.
No eigenvectors are needed: the pencil is brought to tridiagonal form, in which a value and a slope of G cost O(d).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from mtlsim.core import linalg

N_NODES = 24  # of a table
N_TABLES = 3
N_NEWTON = 3
UNROLL = 4  # rows of the pencil eliminated per turn of the loop: more are faster and take longer to compile
REACH = 17.0  # |u| up to which directions of the pencil are searched for
REACH_SINGULAR = 9.0  # the same on the side of a singular Gram, where rounding takes missing directions for real ones
MARGIN = 6.0  # how far the first table goes past the last direction that turns over


class Pencil(NamedTuple):
    """S1 + t^2 S2 = L (I + (v^2 - tau) W) L' with v = t * scale, W tridiagonal, and both right-hand sides in its basis.

    tau is 0 where S1 is invertible, and 1 where S1 is singular but S1 + S2 is not. energies are what each task explains alone;
    low and high are the range of log|v| that holds every turning direction with a margin.
    """

    diagonal: Float[Array, " d"]
    off_diagonal: Float[Array, " d"]
    first: Float[Array, " d"]
    second: Float[Array, " d"]
    image: Float[Array, " d"]
    tau: Float[Array, ""]
    scale: Float[Array, ""]
    energies: Float[Array, "2"]
    low: Float[Array, ""]
    high: Float[Array, ""]


class Optimum(NamedTuple):
    """Head ratio t (second over first), G there, the proven upper bound on G, and how far G varies over all ratios."""

    ratio: Float[Array, ""]
    value: Float[Array, ""]
    bound: Float[Array, ""]
    variation: Float[Array, ""]


class Forms(NamedTuple):
    """Quadratic forms of G (or their slopes in u): G - E1 = second - deficit +- 2 cross, by the sign of the head ratio."""

    deficit: Float[Array, "..."]
    cross: Float[Array, "..."]
    second: Float[Array, "..."]

    def over_first(self) -> Float[Array, "2 ..."]:
        own = self.second - self.deficit
        return jnp.stack([own + 2 * self.cross, own - 2 * self.cross])


class Table(NamedTuple):
    """G - E1 at its nodes, its proven bound on each interval between them and past both ends, and its peaks."""

    values: Float[Array, "2 n"]
    bounds: Float[Array, "2 n-1"]
    tails: Float[Array, "2 2"]
    peaks: Float[Array, "2 n-1"]
    places: Float[Array, "2 n-1"]


def make_pencil(
    grams: tuple[Float[Array, "d d"], Float[Array, "d d"]],
    crosses: tuple[Float[Array, " d"], Float[Array, " d"]],
    energies: tuple[Float[Array, ""], Float[Array, ""]],
    singular: tuple[Bool[Array, ""], Bool[Array, ""]],
) -> Pencil:
    """Whiten the second Gram by the first (by their sum where the first is singular) and tridiagonalise it.

    `energies` are what each task explains alone, b_i' S_i^+ b_i; read only where its Gram is singular.
    """
    tau = singular[0].astype(grams[0].dtype)
    factor = linalg.cholesky(grams[0] + tau * grams[1])
    whitened = linalg.solve_lower_right(factor, linalg.solve_lower(factor, grams[1].T))
    sides = linalg.solve_lower(factor, jnp.stack(crosses, 1))
    diagonal, off_diagonal, sides = linalg.tridiagonal_form(whitened, sides)
    mean = jnp.mean(diagonal)
    square = jnp.where(singular[0] | (mean <= 0), 1, mean)
    diagonal, off_diagonal = diagonal / square, off_diagonal / square
    first, second = sides[:, 0], sides[:, 1] / jnp.sqrt(square)
    image = diagonal * first
    image = image.at[1:].add(off_diagonal * first[:-1]).at[:-1].add(off_diagonal * first[1:])
    off_diagonal = jnp.concatenate([jnp.zeros((1,), diagonal.dtype), off_diagonal])
    reach = jnp.where(jnp.stack(singular), REACH_SINGULAR, REACH).astype(diagonal.dtype)
    first_turn, last_turn, own = survey(diagonal, off_diagonal, second, tau, reach)
    energies = jnp.stack([jnp.where(singular[0], energies[0], first @ first), jnp.where(singular[1], energies[1], own)])
    # a task with much more energy than the other moves the optimum past the last turn, by half the log of the ratio at most
    floored = jnp.maximum(energies, jnp.finfo(energies.dtype).tiny)
    lead = jnp.clip(0.5 * jnp.log(floored[0] / floored[1]), -REACH, REACH)
    low, high = first_turn - MARGIN - jnp.maximum(lead, 0), last_turn + MARGIN + jnp.maximum(-lead, 0)
    return Pencil(diagonal, off_diagonal, first, second, image, tau, jnp.sqrt(square), energies, low, high)


def survey(
    diagonal: Float[Array, " d"],
    off_diagonal: Float[Array, " d"],
    side: Float[Array, " d"],
    tau: Float[Array, ""],
    reach: Float[Array, "2"],
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """The first and the last u at which a direction of the pencil turns over, read off Sturm counts, and side' W^-1 side.

    Direction j turns over at u_j = -log(w_j / (1 - tau w_j)) / 2; the last count, at w = 0, eliminates W itself.
    """
    steps = jnp.arange(-REACH, REACH + 1, dtype=diagonal.dtype)
    thresholds = jnp.clip(steps, -reach[0], reach[1])
    weights = jnp.append(1 / (jnp.exp(2 * thresholds) + tau), 0)
    tiny = jnp.finfo(weights.dtype).tiny

    def count(carry, row):
        pivot, below, z, energy = carry
        diagonal, off_diagonal, entry = row
        multiplier = off_diagonal / jnp.where(pivot == 0, tiny, pivot)
        pivot = diagonal - weights - multiplier * off_diagonal
        z = entry - multiplier[-1] * z
        energy = energy + z**2 / jnp.where(pivot[-1] > 0, pivot[-1], jnp.inf)
        return (pivot, below + (pivot < 0), z, energy), None

    zero = jnp.zeros_like(weights)
    (_, below, _, energy), _ = jax.lax.scan(count, (zero + 1, zero, zero[0], zero[0]), (diagonal, off_diagonal, side))
    below = below[:-1]
    some = below[0] > below[-1]
    before_first = jnp.clip(jnp.argmax(below < below[0]) - 1, 0)
    after_last = below.shape[0] - jnp.argmax((below > below[-1])[::-1])
    first_turn = jnp.where(some, thresholds[before_first], -1)
    last_turn = jnp.where(some, thresholds[jnp.clip(after_last, 0, below.shape[0] - 1)], 1)
    return first_turn, last_turn, energy


def evaluate(pencil: Pencil, u: Float[Array, " n"]) -> Forms:
    """The quadratic forms of G at head ratios exp(u), by one forward elimination of the tridiagonal pencil.

    deficit = E1 - b1' M^-1 b1 is found without subtracting from E1, so that 10^9 source rows do not drown the target.
    """
    squared = jnp.exp(2 * u)
    shift = squared - pencil.tau

    def eliminate(carry, row):
        pivot, z1, z2, z3, r13, r12, r22 = carry
        diagonal, off_diagonal, first, second, image = row
        multiplier = shift * off_diagonal / pivot
        pivot = 1 + shift * (diagonal - multiplier * off_diagonal)
        z1, z2, z3 = first - multiplier * z1, second - multiplier * z2, image - multiplier * z3
        inverse = 1 / pivot
        return (pivot, z1, z2, z3, r13 + z1 * z3 * inverse, r12 + z1 * z2 * inverse, r22 + z2 * z2 * inverse), None

    zero = jnp.zeros_like(u)
    rows = (pencil.diagonal, pencil.off_diagonal, pencil.first, pencil.second, pencil.image)
    (*_, r13, r12, r22), _ = jax.lax.scan(eliminate, (zero + 1, *[zero] * 6), rows, unroll=UNROLL)
    offset = pencil.energies[0] - pencil.first @ pencil.first
    return Forms(offset + shift * r13, jnp.exp(u) * r12, squared * r22)


def evaluate_with_slopes(pencil: Pencil, u: Float[Array, " n"]) -> tuple[Forms, Forms]:
    return jax.jvp(lambda u: evaluate(pencil, u), (u,), (jnp.ones_like(u),))


def cubic_maximum(
    left: Float[Array, "..."], right: Float[Array, "..."], left_slope: Float[Array, "..."], right_slope: Float[Array, "..."]
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Maximum over s in [0, 1] of the cubic with these end values and end slopes, and the s at which it is taken."""
    rise = right - left
    c3 = left_slope + right_slope - 2 * rise
    c2 = rise - left_slope - c3
    root = jnp.sqrt(jnp.maximum(c2**2 - 3 * c3 * left_slope, 0))
    # where left_slope + 2 c2 s + 3 c3 s^2 = 0 with negative curvature, written without cancellation for either sign of c2
    inner = jnp.where(
        c2 < 0,
        left_slope / jnp.where(c2 < 0, root - c2, 1),
        -(c2 + root) / jnp.where(c3 == 0, 1, 3 * c3),
    )
    inner = jnp.clip(inner, 0, 1)
    inside = left + inner * (left_slope + inner * (c2 + inner * c3))
    ends = jnp.maximum(left, right)
    return jnp.maximum(inside, ends), jnp.where(inside >= ends, inner, (right > left).astype(inner.dtype))


def tabulate(pencil: Pencil, low: Float[Array, ""], high: Float[Array, ""]) -> Table:
    """Tabulate G - E1 from u = low to high and bound it everywhere.

    Between nodes, a cubic through values and slopes errs by B4 h^4 / 384, and B4 <= 16 (K1 + K2) + 10 sqrt(K_i E_j), where
    K_i = sum_j a_ij sin^2 cos^2 over the energies a_ij of task i along direction j; K_i grows by e^(2h) at most over an
    interval and is half a slope of the forms. Past an end beyond which no direction turns over, G is smooth in t (or in
    1/t), so that its slope at the end and 1.34 (K1 + K2) bound what is left.
    """
    step = (high - low) / (N_NODES - 1)
    u = low + step * jnp.arange(N_NODES, dtype=low.dtype)
    forms, slopes = evaluate_with_slopes(pencil, u)
    values, rates = forms.over_first(), slopes.over_first()
    peaks, places = cubic_maximum(values[:, :-1], values[:, 1:], step * rates[:, :-1], step * rates[:, 1:])
    k1, k2 = jnp.maximum(slopes.deficit, 0) / 2, jnp.maximum(slopes.second, 0) / 2
    mixed = 2 * jnp.minimum(jnp.sqrt(k1 * pencil.energies[1]), jnp.sqrt(k2 * pencil.energies[0]))
    fourth = 16 * (k1 + k2) * jnp.exp(2 * step) + 5 * mixed * jnp.exp(step)
    bounds = peaks + jnp.minimum(fourth[:-1], fourth[1:]) * step**4 / 384
    ends = jnp.array([0, -1])
    towards = jnp.array([-1, 1], low.dtype) * rates[:, ends]
    tails = values[:, ends] + jnp.maximum(towards, 0) + 1.34 * (k1 + k2)[ends]
    return Table(values, bounds, tails, peaks, u[:-1] + places * step)


class Search(NamedTuple):
    """State of the search: the range still open, the best value met, the bound on all that was closed, and the peak to polish."""

    low: Float[Array, ""]
    high: Float[Array, ""]
    best: Float[Array, ""]
    least: Float[Array, ""]
    closed: Float[Array, ""]
    bound: Float[Array, ""]
    sign: Float[Array, ""]
    place: Float[Array, ""]
    peak: Float[Array, ""]


def maximize(pencil: Pencil) -> Optimum:
    """Global maximum of G over both signs of the head ratio."""
    low, high = pencil.low, pencil.high
    nothing = jnp.full_like(low, -jnp.inf)

    def zoom(search: Search, is_first) -> tuple[Search, None]:
        table = tabulate(pencil, search.low, search.high)
        best = jnp.maximum(search.best, table.values.max())
        alive = (table.bounds >= best).any(0)
        step = (search.high - search.low) / (N_NODES - 1)
        beyond = jnp.where(is_first, table.tails.max(), -jnp.inf)
        closed = jnp.maximum(search.closed, jnp.maximum(beyond, jnp.where(alive, -jnp.inf, table.bounds).max()))
        negative, interval = jnp.unravel_index(jnp.argmax(table.peaks), table.peaks.shape)
        return Search(
            search.low + step * jnp.argmax(alive),
            search.high - step * jnp.argmax(alive[::-1]),
            best,
            jnp.minimum(search.least, table.values.min()),
            closed,
            jnp.maximum(closed, table.bounds.max()),
            1 - 2 * negative.astype(low.dtype),
            table.places[negative, interval],
            table.peaks.max(),
        ), None

    start = Search(low, high, nothing, -nothing, nothing, nothing, jnp.ones_like(low), low, nothing)
    found, _ = jax.lax.scan(zoom, start, jnp.arange(N_TABLES) == 0)
    u = polish(pencil, found.sign, found.place, found.high - found.low)
    value, bound = pencil.energies[0] + found.peak, pencil.energies[0] + found.bound
    return Optimum(found.sign * jnp.exp(u) / pencil.scale, value, bound, found.best - found.least)


def polish(pencil: Pencil, sign: Float[Array, ""], start: Float[Array, ""], reach: Float[Array, ""]) -> Float[Array, ""]:
    """Newton steps on the slope of G, no further than `reach` from the start."""

    def slope(u):
        return (lambda forms: forms.second - forms.deficit + 2 * sign * forms.cross)(evaluate_with_slopes(pencil, u)[1])

    def step(_, u):
        rate, curvature = jax.jvp(slope, (u,), (jnp.ones_like(u),))
        move = jnp.where(curvature < 0, -rate / jnp.where(curvature < 0, curvature, -1), 0)
        return jnp.clip(u + move, start - reach, start + reach)

    return jax.lax.fori_loop(0, N_NEWTON, step, start[None])[0]
