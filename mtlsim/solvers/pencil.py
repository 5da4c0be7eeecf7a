"""The pencil of two tasks in one of three forms: what the secular function is computed from.

With M(u) = I + (e^(2u) - tau) W and both right-hand sides c1, c2, a form gives the quadratic forms of G and their slopes in u,
where the directions of W turn over, and the solution of one system. Which form is fastest depends on the machine (`choose_form`).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.lax import linalg as lax_linalg
from jaxtyping import Array, Float, Int

from mtlsim.core import linalg
from mtlsim.core.extremes import largest_of, smallest_of

REACH = 17.0  # |u| up to which directions of the pencil are searched for
UNROLL = 4  # rows of the pencil eliminated per turn of the loop: more are faster and take longer to compile
FORMS = {
    "tridiagonal": "one tridiagonalisation, then O(d) a value",
    "eigh": "one eigendecomposition, then O(d) a value without a loop over rows",
    "jacobi": "the same by Jacobi rotations, which accelerators alone offer",
    "cholesky": "a Cholesky factorisation for every value",
}


def choose_form(platform: str, n_features: int) -> str:
    """The form for a backend: batched tridiagonalisation exists on CPUs alone, a fast batched eigh on GPUs, Cholesky everywhere."""
    return {"cpu": "tridiagonal", "gpu": "eigh"}.get(platform, "cholesky")


def name_route(form: str) -> str:
    """How a solution says by which form it was found."""
    return "secular" if form == "tridiagonal" else f"secular-{form}"


class Forms(NamedTuple):
    """Quadratic forms of G (or their slopes in u): G - E1 = second - deficit +- 2 cross, by the sign of the head ratio."""

    deficit: Float[Array, "..."]
    cross: Float[Array, "..."]
    second: Float[Array, "..."]

    def over_first(self) -> Float[Array, "2 ..."]:
        own = self.second - self.deficit
        return jnp.stack([own + 2 * self.cross, own - 2 * self.cross])


class Turns(NamedTuple):
    """The range of u in which directions of W turn over, u_j = -log(w_j / (1 - tau w_j)) / 2, one wider at most; c2' W^-1 c2.

    n_found: how many turn within the reach; a form that cannot count them says all or none.
    """

    first: Float[Array, ""]
    last: Float[Array, ""]
    energy: Float[Array, ""]
    n_found: Int[Array, ""]


class Tridiagonal(NamedTuple):
    """W in the basis Q that c1 and its images under W span: c1 = length e_1, and rows j and j + 1 joined by links_j."""

    diagonal: Float[Array, " d"]
    links: Float[Array, " d"]
    length: Float[Array, ""]
    second: Float[Array, " d"]
    basis: linalg.Reflections

    def evaluate(self, u: Float[Array, " n"], tau: Float[Array, ""]) -> tuple[Forms, Forms]:
        """By one elimination from the last row to the first, each quantity with its derivative in u.

        With p the pivot of the first row and z its right-hand side, c1' M^-1 c1 = length^2 / p and c1' M^-1 c2 = length z / p;
        p - 1 = shift * rest is not rounded to p first, so that 10^9 source rows do not drown the target.
        """
        growth, squared = jnp.exp(u), jnp.exp(2 * u)
        shift, shift_rate = squared - tau, 2 * squared

        def eliminate(carry, row):
            _, inverse, pivot_rate, z, z_rate, energy, energy_rate = carry
            diagonal, link, side = row
            multiplier = shift * link * inverse
            multiplier_rate = (shift_rate * link - multiplier * pivot_rate) * inverse
            rest = diagonal - link * multiplier
            inverse = 1 / (1 + shift * rest)
            pivot_rate = shift_rate * (rest - link * multiplier) + multiplier**2 * pivot_rate
            z_rate = -multiplier_rate * z - multiplier * z_rate
            z = side - multiplier * z
            part = z * inverse
            energy_rate = energy_rate + part * (2 * z_rate - part * pivot_rate)
            return (rest, inverse, pivot_rate, z, z_rate, energy + part * z, energy_rate), None

        zero = jnp.zeros_like(u)
        start = (zero, zero + 1, *[zero] * 5)
        rows = (self.diagonal, self.links, self.second)
        found, _ = jax.lax.scan(eliminate, start, rows, reverse=True, unroll=UNROLL)
        rest, inverse, pivot_rate, z, z_rate, energy, energy_rate = found
        cross = self.length * z * inverse
        values = Forms(self.length**2 * shift * rest * inverse, growth * cross, squared * energy)
        cross_rate = self.length * inverse * (z_rate - z * inverse * pivot_rate)
        second_rate = squared * (2 * energy + energy_rate)
        return values, Forms(self.length**2 * pivot_rate * inverse**2, growth * (cross + cross_rate), second_rate)

    def turns(self, tau: Float[Array, ""], reach: Float[Array, "2"]) -> Turns:
        """Read off Sturm counts; the last count, at w = 0, eliminates W itself."""
        steps = jnp.arange(-REACH, REACH + 1, dtype=self.diagonal.dtype)
        thresholds = jnp.clip(steps, -reach[0], reach[1])
        weights = jnp.append(1 / (jnp.exp(2 * thresholds) + tau), 0)
        tiny = jnp.finfo(weights.dtype).tiny

        def count(carry, row):
            pivot, below, z, energy = carry
            diagonal, link, side = row
            multiplier = link / jnp.where(pivot == 0, tiny, pivot)
            pivot = diagonal - weights - multiplier * link
            z = side - multiplier[-1] * z
            energy = energy + z**2 / jnp.where(pivot[-1] > 0, pivot[-1], jnp.inf)
            return (pivot, below + (pivot < 0), z, energy), None

        zero = jnp.zeros_like(weights)
        rows = (self.diagonal, self.links, self.second)
        (_, below, _, energy), _ = jax.lax.scan(count, (zero + 1, zero, zero[0], zero[0]), rows, reverse=True)
        below = below[:-1]
        some = below[0] > below[-1]
        before_first = jnp.clip(jnp.argmax(below < below[0]) - 1, 0)
        after_last = below.shape[0] - jnp.argmax((below > below[-1])[::-1])
        first = jnp.where(some, thresholds[before_first], -1)
        last = jnp.where(some, thresholds[jnp.clip(after_last, 0, below.shape[0] - 1)], 1)
        return Turns(first, last, energy, (below[0] - below[-1]).astype(jnp.int32))

    def solve(self, own: Float[Array, ""], other: Float[Array, ""], heads: Float[Array, "2"]) -> Float[Array, " d"]:
        """(own I + other W)^-1 (heads_1 c1 + heads_2 c2)."""
        sides = (heads[1] * self.second).at[0].add(heads[0] * self.length)
        below = jnp.roll(self.links, 1)  # of each row with the one before it; the last link, and so the first of these, is 0
        solved = lax_linalg.tridiagonal_solve(other * below, own + other * self.diagonal, other * self.links, sides[:, None])
        return self.basis.apply(solved[:, 0])


class Diagonal(NamedTuple):
    """W in its eigenbasis: no loop over rows, at the price of eigenvectors."""

    values: Float[Array, " d"]
    first: Float[Array, " d"]
    second: Float[Array, " d"]
    vectors: Float[Array, "d d"]

    def evaluate(self, u: Float[Array, " n"], tau: Float[Array, ""]) -> tuple[Forms, Forms]:
        growth, squared = jnp.exp(u), jnp.exp(2 * u)
        shift = squared - tau
        inverse = 1 / (1 + shift[:, None] * self.values)
        images = inverse * self.values
        of = lambda weights, a, b: linalg.multiply(weights, a * b)
        cross = of(inverse, self.first, self.second)
        cross_rate = cross - 2 * squared * of(inverse * images, self.first, self.second)
        second_rate = 2 * squared * of(inverse**2 * (1 - tau * self.values), self.second, self.second)
        return (
            Forms(shift * of(images, self.first, self.first), growth * cross, squared * of(inverse, self.second, self.second)),
            Forms(2 * squared * of(inverse * images, self.first, self.first), growth * cross_rate, second_rate),
        )

    def turns(self, tau: Float[Array, ""], reach: Float[Array, "2"]) -> Turns:
        seen = self.values > 0
        energy = jnp.sum(jnp.where(seen, self.second**2 / jnp.where(seen, self.values, 1), 0))
        turns = turn_of(self.values, tau)
        within = (turns > -reach[0]) & (turns < reach[1])
        some = jnp.any(within)
        first, last = smallest_of(jnp.where(within, turns, jnp.inf)), largest_of(jnp.where(within, turns, -jnp.inf))
        return Turns(jnp.where(some, first, 0) - 1, jnp.where(some, last, 0) + 1, energy, jnp.sum(within))

    def solve(self, own: Float[Array, ""], other: Float[Array, ""], heads: Float[Array, "2"]) -> Float[Array, " d"]:
        sides = heads[0] * self.first + heads[1] * self.second
        return linalg.multiply(self.vectors, sides / (own + other * self.values))


class Dense(NamedTuple):
    """W itself, with a Cholesky factorisation of M for every value: no other decomposition, all values of a table at once.

    Where both Grams are singular it searches a wide range, at whose ends rounding leaves an interval for a certificate.
    """

    matrix: Float[Array, "d d"]
    first: Float[Array, " d"]
    second: Float[Array, " d"]

    def evaluate(self, u: Float[Array, " n"], tau: Float[Array, ""]) -> tuple[Forms, Forms]:
        """With x_i = M^-1 c_i, the slope of a form c_i' M^-1 c_j is -2 e^(2u) x_i' W x_j."""
        growth, squared = jnp.exp(u), jnp.exp(2 * u)
        shift = squared - tau
        mixed = jnp.eye(len(self.first), dtype=u.dtype) + shift[:, None, None] * self.matrix
        sides = jnp.stack([self.first, self.second], 1)
        solved = linalg.solve_positive(mixed, jnp.broadcast_to(sides, (*u.shape, *sides.shape)))
        images = linalg.multiply(self.matrix, solved)
        of = lambda a, b: jnp.sum(a * b, -1)
        x1, x2, w1, w2 = solved[..., 0], solved[..., 1], images[..., 0], images[..., 1]
        cross = of(self.first, x2)
        return (
            Forms(shift * of(self.first, w1), growth * cross, squared * of(self.second, x2)),
            Forms(2 * squared * of(x1, w1), growth * (cross - 2 * squared * of(x1, w2)), 2 * squared * of(x2, x2 - tau * w2)),
        )

    def turns(self, tau: Float[Array, ""], reach: Float[Array, "2"]) -> Turns:
        """From bounds: no eigenvalue is above the trace, or below one over the trace of the inverse."""
        factor = linalg.cholesky(self.matrix)
        half = linalg.solve_lower(factor, jnp.column_stack([jnp.eye(len(self.first), dtype=factor.dtype), self.second]))
        least, energy = 1 / jnp.sum(half[:, :-1] ** 2), jnp.sum(half[:, -1] ** 2)
        first = turn_of(jnp.trace(self.matrix), tau)
        last = turn_of(jnp.where(jnp.isfinite(least), least, 0), tau)
        inside = lambda turn: jnp.clip(turn, -reach[0], reach[1])
        every = (inside(first) == first) & (inside(last) == last)
        n_found = jnp.where(every, len(self.first), 0)
        return Turns(inside(first), inside(last), jnp.where(jnp.isfinite(energy), energy, 0), n_found)

    def solve(self, own: Float[Array, ""], other: Float[Array, ""], heads: Float[Array, "2"]) -> Float[Array, " d"]:
        mixed = own * jnp.eye(len(self.first), dtype=own.dtype) + other * self.matrix
        return linalg.solve_positive(mixed, heads[0] * self.first + heads[1] * self.second)


def turn_of(eigenvalues: Float[Array, "..."], tau: Float[Array, ""]) -> Float[Array, "..."]:
    """u at which directions of W turn over, -log(w / (1 - tau w)) / 2; far away for w = 0."""
    tiny = jnp.finfo(eigenvalues.dtype).tiny
    return -0.5 * jnp.log(jnp.maximum(eigenvalues, tiny) / jnp.maximum(1 - tau * eigenvalues, tiny))


def make_form(name: str, matrix: Float[Array, "d d"], first: Float[Array, " d"], second: Float[Array, " d"]):
    """The named form of a symmetric W (d, d) with right-hand sides c1 and c2 (d,); "diagonal" where W is so already."""
    if name == "tridiagonal":
        diagonal, links, length, basis = linalg.krylov_form(matrix, first)
        return Tridiagonal(diagonal, links, length, basis.apply_transpose(second), basis)
    if name == "cholesky":
        return Dense(matrix, first, second)
    if name == "diagonal":
        return Diagonal(jnp.diagonal(matrix), first, second, jnp.eye(len(matrix), dtype=matrix.dtype))
    implementation = lax_linalg.EighImplementation.JACOBI if name == "jacobi" else None
    vectors, values = lax_linalg.eigh(matrix, implementation=implementation)
    return Diagonal(values, linalg.multiply(first, vectors), linalg.multiply(second, vectors), vectors)
