"""Two tasks in the directions that both see: the generalised singular value decomposition of their rows.

With rows R_1 and R_2 (R_i'R_i = X_i'X_i) there is a basis B of parameters in which, direction by direction,

    R_1 B = U_1 diag(c),    R_2 B = U_2 diag(s),    c_j^2 + s_j^2 = 1,    U_i with orthonormal columns,

and with p = U_1'y_1, q = U_2'y_2 the energy that heads (1, v) explain is

    G(v) = sum_j (c_j p_j + v s_j q_j)^2 / (c_j^2 + v^2 s_j^2).

Nothing is squared on the way, so that c_j and s_j are right to the rounding of the rows, where a Gram matrix loses every
direction below the root of it. What rounding can do is counted for each direction (`noise`) and belongs into the certificate.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Num

from mtlsim.core import linalg
from mtlsim.core.extremes import largest_of, smallest_of
from mtlsim.samples.moments import Moments
from mtlsim.solvers.pencil import Forms
from mtlsim.solvers.rows import ROUNDINGS, UNSEEN, rows_of, unseen_directions
from mtlsim.solvers.secular import Window, range_of_turns

MARGIN = 10.0  # how far the first table goes past the last direction that turns: nothing is left of it there


class Rows(NamedTuple):
    """Rows R (2, d, d) and labels (2, d) that stand for two tasks, |y_i|, and the most directions that each can see.

    exact_rank: whether each sees just as many, and not fewer. squared: whether the rows were found from X'X, whose rounding is
    that of squares.
    """

    rows: Float[Array, "2 d d"]
    labels: Float[Array, "2 d"]
    lengths: Float[Array, "2"]
    ranks: Num[Array, "2"]
    exact_rank: bool
    squared: bool


class Directions(NamedTuple):
    """The decomposition: c, s, p, q (d,) as above, basis B (d, d) for rows divided by their sizes, and what each task sees.

    noise (2, d): relative error of c_j and s_j that rounding may cause. missing: directions that neither task sees, as
    orthonormal columns.
    """

    first: Float[Array, " d"]
    second: Float[Array, " d"]
    p: Float[Array, " d"]
    q: Float[Array, " d"]
    basis: Float[Array, "d d"]
    noise: Float[Array, "2 d"]
    seen: Bool[Array, "2 d"]
    sizes: Float[Array, "2"]
    missing: Float[Array, "d d"]

    @property
    def turns(self) -> Float[Array, " d"]:
        """u = log v at which each direction turns from the first task to the second; far away where one alone sees it."""
        tiny = jnp.finfo(self.first.dtype).tiny
        return jnp.log(jnp.maximum(self.first, tiny)) - jnp.log(jnp.maximum(self.second, tiny))

    def evaluate(self, u: Float[Array, " n"]) -> tuple[Forms, Forms]:
        """The quadratic forms of G (see `mtlsim.solvers.pencil.Forms`) at v = exp(u), and their slopes in u."""
        x = u[:, None] - self.turns
        own, other = jax.nn.sigmoid(-2 * x), jax.nn.sigmoid(2 * x)  # cos^2 and sin^2 of each direction's angle
        mixed = jnp.sqrt(own) * jnp.sqrt(other)
        of = lambda weights, a, b: linalg.multiply(weights, a * b)
        values = Forms(of(other, self.p, self.p), of(mixed, self.p, self.q), of(other, self.q, self.q))
        rate = 2 * own * other
        return values, Forms(of(rate, self.p, self.p), of(mixed * (own - other), self.p, self.q), of(rate, self.q, self.q))

    @property
    def energies(self) -> Float[Array, "2"]:
        return jnp.stack([jnp.sum(self.p**2), jnp.sum(self.q**2)])

    @property
    def scale(self) -> Float[Array, ""]:
        """v = scale * t for heads (1, t) on the rows as they are."""
        return self.sizes[1] / self.sizes[0]

    def window(self) -> Window:
        """The range of u with every direction that turns, and a margin."""
        both = self.seen[0] & self.seen[1]
        some = jnp.any(both)
        first = jnp.where(some, smallest_of(jnp.where(both, self.turns, jnp.inf)), -1)
        last = jnp.where(some, largest_of(jnp.where(both, self.turns, -jnp.inf)), 1)
        return range_of_turns(first, last, self.energies, MARGIN)

    def solve(self, ratio: Float[Array, ""]) -> Float[Array, " d"]:
        """B(t) sqrt(1 + t^2) as of `mtlsim.solvers.secular`, without what neither task sees."""
        v = ratio * self.scale
        size = jnp.hypot(1, v)
        own, other = self.first / size, self.second * (v / size)
        length = own**2 + other**2
        inner = jnp.where(length > 0, (own * self.p + other * self.q) / jnp.where(length > 0, length, 1), 0)
        return linalg.multiply(self.basis, inner) * (jnp.hypot(1, ratio) / size / self.sizes[0])

    def rounding(self, lengths: Float[Array, "2"]) -> Float[Array, ""]:
        """How far rounding may have moved G: by the part of the labels in a direction, and by where it turns."""
        noise = jnp.where(self.seen, self.noise, 0)
        labels = lengths[0] * jnp.sum(jnp.abs(self.p) * noise[0]) + lengths[1] * jnp.sum(jnp.abs(self.q) * noise[1])
        return ROUNDINGS * (labels + jnp.sum((self.p**2 + self.q**2) * jnp.sum(noise, 0)))


def pair_of_rows(moments: Moments, weights: Float[Array, "2"], ridge: Float[Array, "2"], ranks: Num[Array, "2"]) -> Rows:
    """Rows that stand for both tasks, with the ridges in them and the weights in their labels."""
    found = [rows_of(moments[i], ridge[i]) for i in range(2)]
    rows, labels = (jnp.stack(parts) for parts in zip(*found, strict=True))
    lengths = jnp.sqrt(weights * moments.energy)
    return Rows(rows, jnp.sqrt(weights)[:, None] * labels, lengths, ranks, moments.rank_known, moments.factor is None)


def find_directions(problem: Rows) -> Directions:
    """The decomposition by three singular value decompositions.

    The first is of all rows, each task divided by its size and each column by its own. The second turns its left part for the
    first task, which finds every c_j to rounding, but mixes directions whose c_j are all nearly one; the third, of the second
    task's part of those alone, parts them again.
    """
    d = problem.labels.shape[1]
    eps = jnp.finfo(problem.rows.dtype).eps
    sizes = jnp.stack([length_of(rows) for rows in problem.rows])
    scaled = problem.rows / sizes[:, None, None]
    columns = largest_of(jnp.abs(scaled), (0, 1))
    columns = jnp.where(columns > 0, columns, 1)
    scaled = scaled / columns
    left, values, right = jnp.linalg.svd(scaled.reshape(2 * d, d), full_matrices=False)
    inside = values > UNSEEN * d * eps * values[0]
    left = left * inside
    back = right.T * jnp.where(inside, 1 / jnp.where(inside, values, 1), 0)
    top, bottom = left[:d], left[d:]
    turn = _turn(top, ~inside)
    near = _lengths(top @ turn) >= _lengths(bottom @ turn)
    near = near & (_lengths(left @ turn) > 0.5)
    turn = turn @ _turn((bottom @ turn) * near, ~near)
    images, basis = jnp.stack([top @ turn, bottom @ turn]), back @ turn
    lengths = jnp.sqrt(jnp.sum(images**2, 1))
    some = jnp.sum(lengths**2, 0) > 0.5
    # what a relative change of all rows by one rounding does to each direction, over what each task sees of it
    noise = values[0] * _lengths(basis) / jnp.where(lengths > 0, lengths, 1)
    noise = eps * (noise**2 if problem.squared else noise)
    places = jnp.argsort(jnp.argsort(-lengths * some, axis=1), axis=1)
    seen = some & (places < problem.ranks[:, None])
    if not problem.exact_rank:
        seen = seen & (lengths > 0) & (noise * (UNSEEN * d) < 1)
    lengths = jnp.where(seen, lengths, 0)
    parts = jnp.einsum("kmd,km->kd", images, problem.labels, precision="highest")
    unknown = jnp.where(jnp.all(jnp.isfinite(noise)), 0, jnp.nan)  # or what is no number would count as not seen
    parts = jnp.where(seen, parts / jnp.where(seen, lengths, 1), 0) + unknown
    missing = unseen_directions(right, inside, columns)
    return Directions(*lengths, *parts, basis / columns[:, None], noise, seen, sizes, missing)


def _turn(matrix: Float[Array, "m d"], apart: Bool[Array, " d"]) -> Float[Array, "d d"]:
    """Right singular vectors of a matrix whose columns are no longer than one, each column set apart keeping to itself."""
    d = len(apart)
    own = jnp.diag(jnp.where(apart, 2 + jnp.arange(d, dtype=matrix.dtype), 0))
    return jnp.linalg.svd(jnp.concatenate([matrix, own]), full_matrices=False)[2].T


def _lengths(columns: Float[Array, "m d"]) -> Float[Array, " d"]:
    return jnp.sqrt(jnp.sum(columns**2, 0))


def length_of(rows: Float[Array, "d d"]) -> Float[Array, ""]:
    """Frobenius norm whose squares neither overflow nor vanish; one where all is zero."""
    largest = largest_of(jnp.abs(rows))
    largest = jnp.where(largest > 0, largest, 1)
    length = largest * jnp.sqrt(jnp.sum((rows / largest) ** 2))
    return jnp.where(length > 0, length, 1)
