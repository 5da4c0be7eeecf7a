"""Choosing a ridge by leave-one-out error in closed form, alone and together, without refitting row by row.

For a linear smoother with fitted values H y, leaving row i out changes its residual e_i to e_i / (1 - H_ii), exactly
[craven1978smoothing]. Alone (STL) the smoother is ridge regression with an unpenalised intercept. Together (MTL, rank one,
heads 1 for the source and t for the target) the labels are fitted linearly once t is known: with A_i = X_i'X_i + ridge_i I,

    M(t) = A_1 + t^2 A_2,    theta_2 = t M^-1 (b_1 + t b_2),    H_ii(t) = 1/m + t^2 x_i' M^-1 x_i,
    L(t) = const - (b_1 + t b_2)' M^-1 (b_1 + t b_2),           L_-i(t) = L(t) - e_i(t)^2 / (1 - H_ii(t)).

L_-i is the profile of the loss without row i, so its minimum over t is the head ratio that a refit without that row would
choose: the head is refitted too, for every row, by reading one table over t.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mtlsim.core import linalg

N_RATIOS = 141  # head ratios in the table, for each sign
REACH = 7.0  # |log t| that the table covers, beyond the ratio at which both tasks' rows weigh the same


class Spectrum(NamedTuple):
    """The sources as one task with head 1: A_1 = V diag(values) V', ridge included, and V'b_1."""

    values: Float[Array, " p"]
    vectors: Float[Array, "p p"]
    cross: Float[Array, " p"]


def source_spectrum(gram: Float[Array, "p p"], cross: Float[Array, " p"]) -> Spectrum:
    """Spectrum of A_1 (positive definite, ridge included) and its right-hand side b_1."""
    values, vectors = jnp.linalg.eigh(gram)
    return Spectrum(values, vectors, linalg.multiply(vectors.T, cross))


def residuals_alone(X: Float[Array, "m p"], y: Float[Array, " m"], ridges: Float[Array, " L"]) -> Float[Array, "L m"]:
    """Leave-one-out residuals of ridge regression for each ridge > 0, the intercept refitted each time; exact.

    X, y: centred rows and labels. ridges: on the scale of X'X. Works on the smaller of X'X and XX'.
    """
    m, p = X.shape
    if m <= p:
        squares, left = jnp.linalg.eigh(linalg.multiply(X, X.T))
    else:
        squares, right = jnp.linalg.eigh(linalg.multiply(X.T, X))
        left = linalg.multiply(X, right) / jnp.sqrt(jnp.where(squares > 0, squares, 1))
    squares = jnp.where(squares > linalg.rank_tolerance(squares), squares, 0)
    shrink = squares / (squares + ridges[:, None])
    fitted = linalg.multiply(shrink * linalg.multiply(y, left), left.T)
    return (y - fitted) / (1 - 1 / m - linalg.multiply(shrink, left.T**2))


def residuals_together(
    source: Spectrum,
    X: Float[Array, "m p"],
    y: Float[Array, " m"],
    ridges: Float[Array, " L"],
    ratio: Float[Array, ""] | float = 1.0,
) -> Float[Array, "L m"]:
    """Leave-one-out residuals of the target's rows under hard sharing of rank one, for each of the target's ridges > 0.

    The target's head and intercept are refitted for every row left out, up to the table over t (mean squares within 3 in 1000);
    with the head held fixed they would be several per cent too small, the more the fewer rows. Held fixed here: the source's
    ridge, and with several sources their heads relative to each other. source: see
    `source_spectrum`. X, y: centred rows and labels of the target. ratio: source rows per target row, where the table is centred.
    """
    m = X.shape[0]
    rotated = linalg.multiply(X, source.vectors)
    gram, root = linalg.multiply(rotated.T, rotated), jnp.sqrt(source.values)
    shift = jnp.log(jnp.asarray(ratio, X.dtype)) / 2
    low, high = -REACH + jnp.minimum(shift, 0), REACH + jnp.maximum(shift, 0)
    t = jnp.exp(low + (high - low) * jnp.linspace(0, 1, N_RATIOS, dtype=X.dtype))[:, None]

    def one(ridge):
        whitened = (gram + ridge * jnp.eye(gram.shape[0], dtype=X.dtype)) / (root[:, None] * root)
        values, vectors = jnp.linalg.eigh(whitened)
        rows = linalg.multiply(rotated / root, vectors)
        first, second = linalg.multiply(source.cross / root, vectors), linalg.multiply(y, rows)
        inverse = 1 / (1 + t**2 * jnp.maximum(values, 0))
        left = 1 - 1 / m - t**2 * linalg.multiply(inverse, rows.T**2)
        sides = jnp.stack([first + t * second, first - t * second])
        signed = jnp.stack([t, -t])
        errors = y - signed * linalg.multiply(sides * inverse, rows.T)
        profile = -jnp.sum(sides**2 * inverse, -1)
        residuals = errors / left
        return _at_the_minimum(profile[..., None] - errors * residuals, residuals)

    return jax.lax.map(one, ridges)


def _at_the_minimum(losses: Float[Array, "2 T m"], values: Float[Array, "2 T m"]) -> Float[Array, " m"]:
    """`values` where each column of `losses` is least, both interpolated by the parabola through three nodes."""
    n = losses.shape[1]
    best = jnp.argmin(losses.reshape(2 * n, -1), 0)
    sign, node, column = best // n, jnp.clip(best % n, 1, n - 2), jnp.arange(losses.shape[2])
    around = lambda table: tuple(table[sign, node + step, column] for step in (-1, 0, 1))
    below, here, above = around(losses)
    bend = below - 2 * here + above
    place = jnp.where(bend > 0, (below - above) / jnp.where(bend > 0, 2 * bend, 1), 0)
    place = jnp.where(best % n == node, place, (best % n - node).astype(place.dtype))
    below, here, above = around(values)
    return here + place * (above - below) / 2 + place**2 * (below - 2 * here + above) / 2
