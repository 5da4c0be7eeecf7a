"""Rows that stand for moments, and what one task sees of its directions: without squares, and with the rounding counted.

X'X holds half of the digits of X. Where moments carry a factor, R = factor' has R'R = X'X and costs none of them.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Num

from mtlsim.core import linalg
from mtlsim.core.extremes import largest_of
from mtlsim.samples.moments import Moments
from mtlsim.solvers.solution import LOST

UNSEEN = 16  # times d * rounding: a direction that a task sees no better than this, it does not see
ROUNDINGS = 16  # of a backward stable factorisation, per direction


class Sight(NamedTuple):
    """Directions of one set of rows: R back = U with orthonormal columns where seen, and sides = U'y for labels y.

    back (d, d), sides (K, d). ahead (d, d): from parameters to U'R of them. noise (d,): relative error that rounding may cause in
    each direction. missing (d, d): directions that the rows do not see, as orthonormal columns.
    """

    back: Float[Array, "d d"]
    ahead: Float[Array, "d d"]
    sides: Float[Array, "K d"]
    seen: Bool[Array, " d"]
    noise: Float[Array, " d"]
    missing: Float[Array, "d d"]

    def energies(self) -> Float[Array, " K"]:
        """What each task's labels explain."""
        return jnp.sum(self.sides**2, 1)

    def solve(self, inner: Float[Array, "d *n"]) -> Float[Array, "d *n"]:
        """The parameters of least norm that are `inner` in the seen directions."""
        found = linalg.multiply(self.back, inner)
        found = found - linalg.multiply(self.missing, linalg.multiply(self.missing.T, found))
        return found + linalg.multiply(self.back, inner - linalg.multiply(self.ahead, found))  # what rounding of `missing` took

    def rounding(self, lengths: Float[Array, " K"]) -> Float[Array, " K"]:
        """How far the energies may be off, for labels of these lengths."""
        return ROUNDINGS * lengths * jnp.sum(jnp.abs(self.sides) * jnp.where(self.seen, self.noise, 0), 1)


def is_lost(sight: Sight, left: Float[Array, " K"]) -> Bool[Array, ""]:
    """Whether rounding has the better of a direction, seen or (with this energy left to it) dropped."""
    return jnp.any(sight.seen & (sight.noise > LOST)) | jnp.any(left > 0) | ~jnp.all(jnp.isfinite(sight.noise))


def rows_of(moments: Moments, ridge: Float[Array, ""]) -> tuple[Float[Array, "d d"], Float[Array, "*K d"]]:
    """R (d, d) with R'R = X'X + ridge, and labels s with R's = X'y, of one task or of several on shared rows."""
    d = moments.n_features
    eye = jnp.eye(d, dtype=moments.cross.dtype)
    if moments.factor is None:
        gram = moments.gram + ridge * eye
        sizes = jnp.sqrt(jnp.diagonal(gram))
        safe = jnp.where(sizes > 0, sizes, 1)
        values, vectors = jnp.linalg.eigh(gram / safe / safe[:, None])
        kept = values > linalg.rank_tolerance(values)
        roots = jnp.sqrt(jnp.where(kept, values, 1))
        labels = jnp.where(kept, linalg.multiply(moments.cross / safe, vectors) / roots, 0)
        unknown = jnp.where(jnp.all(jnp.isfinite(values)), 0, jnp.nan)
        return jnp.where(kept[:, None], roots[:, None] * vectors.T * sizes, 0) + unknown, labels + unknown
    rows = moments.factor.T
    basis, triangle = jnp.linalg.qr(jnp.concatenate([rows, jnp.sqrt(ridge) * eye]))
    return jnp.where(ridge > 0, triangle, rows), jnp.where(ridge > 0, linalg.multiply(moments.scores, basis[:d]), moments.scores)


def look(moments: Moments, ridge: Float[Array, ""], rank: Num[Array, ""]) -> Sight:
    """What one set of rows sees, of `rank` directions at most (of just as many, where moments know their rank)."""
    rows, labels = rows_of(moments, ridge)
    d, eps = moments.n_features, jnp.finfo(rows.dtype).eps
    largest = largest_of(jnp.abs(rows))
    rows = rows / jnp.where(largest > 0, largest, 1)
    columns = largest_of(jnp.abs(rows), 0)
    columns = jnp.where(columns > 0, columns, 1)
    scaled = rows / columns
    left, values, right = jnp.linalg.svd(scaled)
    nonzero = values > 0
    back = right.T / jnp.where(nonzero, values, 1)
    spread = values[0] / jnp.where(nonzero, values, 1)
    noise = eps * (spread**2 if moments.factor is None else spread)
    seen = nonzero & (jnp.arange(d) < rank)
    if not moments.rank_known:
        seen = seen & (noise * (UNSEEN * d) < 1)
    missing = unseen_directions(right, seen, columns)
    unknown = jnp.where(jnp.all(jnp.isfinite(noise)), 0, jnp.nan)  # or what is no number would count as not seen
    sides = jnp.where(seen, linalg.multiply(jnp.atleast_2d(labels), left), 0) + unknown
    sizes = columns * jnp.where(largest > 0, largest, 1)
    ahead = jnp.where(seen, values, 0)[:, None] * right * sizes
    return Sight(jnp.where(seen, back, 0) / sizes[:, None], ahead, sides, seen, noise, missing)


def hidden(
    moments: Moments, rows: Float[Array, "d d"], labels: Float[Array, " d"], parameters: Float[Array, " d"]
) -> Float[Array, ""]:
    """How much of one task's loss may be due to directions that its sums have lost in rounding, given equivalent rows of these."""
    if moments.factor is not None:
        return jnp.zeros_like(moments.energy)
    n_kept = jnp.sum(jnp.any(rows != 0, 1))
    left = jnp.maximum(moments.energy - jnp.sum(labels**2), 0)
    d, eps = moments.n_features, jnp.finfo(left.dtype).eps
    least = UNSEEN * d**2 * eps * jnp.sum(jnp.diagonal(moments.gram) * parameters**2)  # what they may make of these parameters
    return jnp.where(n_kept < jnp.minimum(moments.n_samples, d), (jnp.sqrt(left) + jnp.sqrt(least)) ** 2, 0)


def unseen_directions(right: Float[Array, "d d"], seen: Bool[Array, " d"], columns: Float[Array, " d"]) -> Float[Array, "d d"]:
    """Orthonormal columns that span what rows do not see, from right singular vectors of the rows over the sizes of their columns.

    What rounding put into these vectors, a column in smaller units would make the whole of them.
    """
    eps = jnp.finfo(right.dtype).eps
    hidden = jnp.where(seen | (jnp.abs(right.T) < eps**0.75), 0, right.T) / columns[:, None]
    sizes = largest_of(jnp.abs(hidden), 0)
    hidden = jax.lax.stop_gradient(hidden / jnp.where(sizes > 0, sizes, 1))
    return linalg.repair(~jnp.all(seen), _orthonormal, jnp.zeros_like(hidden), hidden)


def _orthonormal(columns: Float[Array, "d d"]) -> Float[Array, "d d"]:
    """Orthonormal columns with the span of columns that are zero or, but for a scale of each coordinate, orthogonal; else zero."""
    left, values, _ = jnp.linalg.svd(columns)
    return jnp.where(values > UNSEEN * len(values) * jnp.finfo(values.dtype).eps * values[0], left, 0)


def unexplained(moments: Moments, sight: Sight, rank: Num[Array, ""], lengths: Float[Array, " K"]) -> Float[Array, " K"]:
    """What directions may explain that were taken for rounding: nothing for rows, all that is left for squares.

    Rows in float64 take a direction for rounding only beyond condition numbers of 10^13, and then as columns that depend on each
    other. In less precision such columns and directions that are there cannot be told apart, and it is all that is left too.
    """
    if moments.factor is not None:
        if is_double(lengths):
            return jnp.zeros_like(lengths)
        rank = jnp.minimum(rank, jnp.sum(jnp.any(moments.factor != 0, 1)))  # columns that are not all zero
    return jnp.where(jnp.sum(sight.seen) < rank, jnp.maximum(lengths**2 - sight.energies(), 0), 0)


def taken_for_rounding(moments: Moments, weights: Float[Array, " K"], ridge: Float[Array, " K"]) -> Float[Array, ""]:
    """What directions may explain that rows of arrays take for rounding (see `unexplained`), of all tasks together."""
    left = jnp.zeros((), weights.dtype)
    if moments.rank_known or moments.factor is None or is_double(weights):
        return left
    shared = moments.shared_covariates
    for i in range(1 if shared else moments.n_tasks):
        own = moments if shared else moments[i]
        n_samples = jnp.atleast_1d(own.n_samples)[0]
        rank = jnp.where(ridge[i] > 0, moments.n_features, jnp.minimum(n_samples, moments.n_features))
        rest = unexplained(own, look(own, ridge[i], rank), rank, jnp.sqrt(jnp.atleast_1d(own.energy)))
        left += jnp.sum((weights if shared else weights[i]) * rest)
    return jax.lax.stop_gradient(left)


def is_double(numbers: Float[Array, "..."]) -> bool:
    return jnp.finfo(numbers.dtype).bits >= 64
