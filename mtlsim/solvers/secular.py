"""Two tasks, one shared direction, different covariates: the exact global optimum of the shared layer, with a certificate.

With heads (1, t) the best shared direction is B(t) = (S1 + t^2 S2)^-1 (b1 + t b2), and it explains the energy

    G(t) = (b1 + t b2)' (S1 + t^2 S2)^-1 (b1 + t b2),        loss = |y1|^2 + |y2|^2 - max over t of G(t).

On the common eigenbasis of the pencil, with w_j its eigenvalues and x_j = log|t| + log(w_j) / 2, every term of G is a
constant plus a multiple of tanh(x_j) plus a multiple of sech(x_j). So in u = log|t| all derivatives of G are bounded by
what its values and slopes tell (K1, K2 below): a table of values and slopes joined by cubics is an upper bound on G up to
B4 h^4 / 384 between its nodes. Passes over ever narrower tables and a few secant steps give the global maximum and prove it.
No eigenvectors are needed: in tridiagonal form (see `mtlsim.solvers.pencil`) a value and a slope of G cost O(d).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from mtlsim.core import linalg
from mtlsim.core.extremes import largest_of, smallest_of
from mtlsim.solvers.pencil import REACH, Dense, Diagonal, Forms, Tridiagonal, choose_form, make_form

N_NODES = 24  # of a table
N_TABLES = 3
N_SECANT = 4
REACH_SINGULAR = 9.0  # REACH on the side of a singular Gram, where rounding takes missing directions for real ones
N_PROBES = 4  # vectors by which the condition of a factor is estimated
SAFETY = 100.0  # by how much all probes may miss it together, but once in 10^8 factors
MARGIN = 6.0  # how far the first table goes past the last direction that turns over


class Window(NamedTuple):
    """The range of u = log|v| that holds every turning direction, with a margin."""

    low: Float[Array, ""]
    high: Float[Array, ""]


def range_of_turns(first: Float[Array, ""], last: Float[Array, ""], energies: Float[Array, "2"], margin: float = MARGIN) -> Window:
    """From the first and the last turn and what each task explains alone.

    A task with much more energy than the other moves the optimum past the last turn, by half the log of the ratio at most.
    """
    floored = jnp.maximum(energies, jnp.finfo(energies.dtype).tiny)
    lead = jnp.clip(0.5 * jnp.log(floored[0] / floored[1]), -REACH, REACH)
    return Window(first - margin - jnp.maximum(lead, 0), last + margin + jnp.maximum(-lead, 0))


class Pencil(NamedTuple):
    """S1 + t^2 S2 = L (I + (v^2 - tau) W) L' with v = t * scale, and W with both right-hand sides in one of its forms.

    tau is 0 where S1 is invertible, and 1 where S1 is singular but S1 + S2 is not. energies are what each task explains alone;
    beside is what the first has over |c1|^2; range holds the directions that turn, and turning says how many they are.
    rounding: relative error of G that the rounding of all this may cause. Directions may have been lost where it is large or
    where fewer turn than the second task sees: then nothing is proven (see `mtlsim.solvers.directions` for those).
    """

    form: Tridiagonal | Diagonal | Dense
    factor: Float[Array, "d d"]
    tau: Float[Array, ""]
    scale: Float[Array, ""]
    energies: Float[Array, "2"]
    beside: Float[Array, ""]
    range: Window
    turning: Int[Array, ""]
    rounding: Float[Array, ""]

    def evaluate(self, u: Float[Array, " n"]) -> tuple[Forms, Forms]:
        """The quadratic forms of G at v = exp(u), and their slopes in u."""
        values, slopes = self.form.evaluate(u, self.tau)
        return values._replace(deficit=self.beside + values.deficit), slopes

    def window(self) -> Window:
        return self.range

    def solve(self, ratio: Float[Array, ""]) -> Float[Array, " d"]:
        """B(t) sqrt(1 + t^2)."""
        size = jnp.hypot(1, ratio)
        own, other = 1 / size, ratio * self.scale / size
        whitened = self.form.solve(own**2, other**2 - self.tau * own**2, jnp.stack([own, other]))
        return linalg.solve_upper(self.factor, whitened)


class Optimum(NamedTuple):
    """Head ratio t (second over first), G there, the proven upper bound on G, and how far G varies over all ratios."""

    ratio: Float[Array, ""]
    value: Float[Array, ""]
    bound: Float[Array, ""]
    variation: Float[Array, ""]


class Table(NamedTuple):
    """G - E1 at its nodes, its proven bound on each interval between them and past both ends, and its peaks."""

    values: Float[Array, "2 n"]
    bounds: Float[Array, "2 n-1"]
    tails: Float[Array, "2 2"]
    peaks: Float[Array, "2 n-1"]
    places: Float[Array, "2 n-1"]
    curvatures: Float[Array, "2 n-1"]


def whiten(
    grams: tuple[Float[Array, "d d"], Float[Array, "d d"]], singular: Bool[Array, ""]
) -> tuple[Float[Array, "d d"], Float[Array, "d d"]]:
    """L and W = L^-1 S2 L'^-1, with LL' = S1, or S1 + S2 where S1 is singular."""
    factor = linalg.cholesky(grams[0] + singular.astype(grams[0].dtype) * grams[1])
    return factor, linalg.solve_lower_right(factor, linalg.solve_lower(factor, grams[1].T))


def make_pencil(
    factor: Float[Array, "d d"],
    whitened: Float[Array, "d d"],
    crosses: tuple[Float[Array, " d"], Float[Array, " d"]],
    energies: tuple[Float[Array, ""], Float[Array, ""]],
    singular: tuple[Bool[Array, ""], Bool[Array, ""]],
    form: str | None = None,
) -> Pencil:
    """The pencil of L and W (see `whiten`) in the named form, or in the one that is fastest here.

    `energies` are what each task explains alone, b_i' S_i^+ b_i; read only where its Gram is singular.
    """
    tau = singular[0].astype(factor.dtype)
    mean = jnp.mean(jnp.diagonal(whitened))
    square = jnp.where(singular[0] | (mean <= 0), 1, mean)
    d = len(factor)
    # |L^-1 D g| for rows of L of the lengths D and fixed signs g: a condition number that no scaling of rows changes
    signs = jnp.asarray(np.random.default_rng(0).choice([-1.0, 1.0], (d, N_PROBES)), factor.dtype)
    sides = linalg.solve_lower(factor, jnp.column_stack([*crosses, signs * jnp.sqrt(jnp.sum(factor**2, 1))[:, None]]))
    condition = jnp.sqrt(largest_of(jnp.sum(sides[:, 2:] ** 2, 0)))
    form = form or choose_form(jax.default_backend(), len(factor))
    form = make_form(form, whitened / square, sides[:, 0], sides[:, 1] / jnp.sqrt(square))
    turns = form.turns(tau, jnp.where(jnp.stack(singular), REACH_SINGULAR, REACH).astype(tau.dtype))
    length = jnp.sum(sides[:, 0] ** 2)
    energies = jnp.stack([jnp.where(singular[0], energies[0], length), jnp.where(singular[1], energies[1], turns.energy)])
    window = range_of_turns(turns.first, turns.last, energies)
    # directions of no weight are known to rounding of the largest, and grow with v up to where the table ends
    end = jnp.where(singular[1], window.high, turns.last)
    rounding = jnp.finfo(factor.dtype).eps * (SAFETY * condition + 4 * len(factor) * jnp.exp(2 * end))
    return Pencil(form, factor, tau, jnp.sqrt(square), energies, energies[0] - length, window, turns.n_found, rounding)


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
    place = jnp.where(inside >= ends, inner, (right > left).astype(inner.dtype))
    return jnp.maximum(inside, ends), place


def tabulate(pencil, low: Float[Array, ""], high: Float[Array, ""], n_nodes: int = N_NODES) -> Table:
    """Tabulate G - E1 from u = low to high and bound it everywhere.

    Between nodes, a cubic through values and slopes errs by B4 h^4 / 384, and B4 <= 16 (K1 + K2) + 10 sqrt(K_i E_j), where
    K_i = sum_j a_ij sin^2 cos^2 over the energies a_ij of task i along direction j; K_i grows by e^(2h) at most over an
    interval and is half a slope of the forms. Past an end beyond which no direction turns over, G is smooth in t (or in
    1/t), so that its slope at the end and 1.34 (K1 + K2) bound what is left.
    """
    step = (high - low) / (n_nodes - 1)
    u = low + step * jnp.arange(n_nodes, dtype=low.dtype)
    forms, slopes = pencil.evaluate(u)
    values, rates = forms.over_first(), slopes.over_first()
    peaks, places = cubic_maximum(values[:, :-1], values[:, 1:], step * rates[:, :-1], step * rates[:, 1:])
    k1, k2 = jnp.maximum(slopes.deficit, 0) / 2, jnp.maximum(slopes.second, 0) / 2
    mixed = 2 * jnp.minimum(jnp.sqrt(k1 * pencil.energies[1]), jnp.sqrt(k2 * pencil.energies[0]))
    fourth = 16 * (k1 + k2) * jnp.exp(2 * step) + 5 * mixed * jnp.exp(step)
    bounds = peaks + jnp.minimum(fourth[:-1], fourth[1:]) * step**4 / 384
    ends = jnp.array([0, -1])
    towards = jnp.array([-1, 1], low.dtype) * rates[:, ends]
    tails = values[:, ends] + jnp.maximum(towards, 0) + 1.34 * (k1 + k2)[ends]
    # of slopes: second differences of values are rounding where a table is narrow
    return Table(values, bounds, tails, peaks, u[:-1] + places * step, (rates[:, 1:] - rates[:, :-1]) / step)


class Search(NamedTuple):
    """State of the search: the range still open, the best value met, the bound on all that was closed, and the peak to polish.

    reach: width of the last table, anywhere in which rounding of its values may have put the peak.
    """

    low: Float[Array, ""]
    high: Float[Array, ""]
    best: Float[Array, ""]
    least: Float[Array, ""]
    closed: Float[Array, ""]
    bound: Float[Array, ""]
    sign: Float[Array, ""]
    place: Float[Array, ""]
    curvature: Float[Array, ""]
    peak: Float[Array, ""]
    reach: Float[Array, ""]


def maximize(pencil, n_nodes: int = N_NODES, n_tables: int = N_TABLES) -> Optimum:
    """Global maximum of G over both signs of the head ratio, of a `Pencil` or of anything else that evaluates G likewise."""
    low, high = pencil.window()
    nothing = jnp.full_like(low, -jnp.inf)

    def zoom(search: Search, is_first) -> tuple[Search, None]:
        table = tabulate(pencil, search.low, search.high, n_nodes)
        best = jnp.maximum(search.best, largest_of(table.values))
        alive = (table.bounds >= best).any(0)
        step = (search.high - search.low) / (n_nodes - 1)
        beyond = jnp.where(is_first, largest_of(table.tails), -jnp.inf)
        closed = jnp.maximum(search.closed, jnp.maximum(beyond, largest_of(jnp.where(alive, -jnp.inf, table.bounds))))
        negative, interval = jnp.unravel_index(jnp.argmax(table.peaks), table.peaks.shape)
        return Search(
            search.low + step * jnp.argmax(alive),
            search.high - step * jnp.argmax(alive[::-1]),
            best,
            jnp.minimum(search.least, smallest_of(table.values)),
            closed,
            jnp.maximum(closed, largest_of(table.bounds)),
            1 - 2 * negative.astype(low.dtype),
            table.places[negative, interval],
            table.curvatures[negative, interval],
            largest_of(table.peaks),
            search.high - search.low,
        ), None

    start = Search(low, high, nothing, -nothing, nothing, nothing, jnp.ones_like(low), low, nothing, nothing, high - low)
    found, _ = jax.lax.scan(zoom, start, jnp.arange(n_tables) == 0)
    u = polish(pencil, found.sign, found.place, found.curvature, found.reach)
    value, bound = pencil.energies[0] + found.peak, pencil.energies[0] + found.bound
    return Optimum(found.sign * jnp.exp(u) / pencil.scale, value, bound, found.best - found.least)


def polish(
    pencil, sign: Float[Array, ""], start: Float[Array, ""], curvature: Float[Array, ""], reach: Float[Array, ""]
) -> Float[Array, ""]:
    """Zero of the slope of G by secant steps from the cubic's peak and the curvature there, no further than `reach` from there."""
    resolved = jnp.sqrt(jnp.finfo(start.dtype).eps)

    def step(_, state):
        u, before, rate_before, curvature = state
        slopes = pencil.evaluate(u[None])[1]
        rate = (slopes.second - slopes.deficit + 2 * sign * slopes.cross)[0]
        moved = u - before
        secant = (rate - rate_before) / jnp.where(moved == 0, 1, moved)
        curvature = jnp.where((jnp.abs(moved) > resolved) & (secant < 0), secant, curvature)
        move = jnp.where(curvature < 0, -rate / jnp.where(curvature < 0, curvature, -1), 0)
        return jnp.clip(u + move, start - reach, start + reach), u, rate, curvature

    return jax.lax.fori_loop(0, N_SECANT, step, (start, start, jnp.zeros_like(start), curvature))[0]
