"""Linear algebra that every room above relies on: products, symmetric solves, the tridiagonal form of a pencil."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.lax import linalg as lax_linalg
from jaxtyping import Array, Bool, Float

from mtlsim.core.extremes import largest_of

FEW = 8  # unknowns whose elimination is written out: of more LAPACK is as fast, and a loop of it compiles sooner
SURE = 10.0  # times `rank_tolerance`: an eigenvalue above it is none of rounding


def multiply(*factors: Float[Array, "..."]) -> Float[Array, "..."]:
    """Matrix product at the highest precision the device offers (accelerators round to bfloat16 or tf32 otherwise)."""
    product, *rest = factors
    for factor in rest:
        product = jnp.matmul(product, factor, precision="highest")
    return product


def quadratic(matrix: Float[Array, "d d"], vector: Float[Array, " d"]) -> Float[Array, ""]:
    """v' M v."""
    return multiply(vector, matrix, vector)


def cholesky(matrix: Float[Array, "*b d d"]) -> Float[Array, "*b d d"]:
    """Lower Cholesky factor of a symmetric matrix."""
    # transposed it is the same matrix, and LAPACK's column-major order without a copy
    return lax_linalg.cholesky(jnp.swapaxes(matrix, -1, -2), symmetrize_input=False)


def solve_lower(factor: Float[Array, "*b d d"], right: Float[Array, "..."]) -> Float[Array, "..."]:
    """L^-1 R for lower triangular L and R of shape (*b, d, n), or (d,)."""
    columns = right if right.ndim == factor.ndim else right[..., None]
    return lax_linalg.triangular_solve(factor, columns, left_side=True, lower=True).reshape(right.shape)


def solve_upper(factor: Float[Array, "*b d d"], right: Float[Array, "..."]) -> Float[Array, "..."]:
    """L'^-1 R for lower triangular L."""
    columns = right if right.ndim == factor.ndim else right[..., None]
    # the transposed factor is in LAPACK's column-major order without a copy
    upper = jnp.swapaxes(factor, -1, -2)
    return lax_linalg.triangular_solve(upper, columns, left_side=True, lower=False).reshape(right.shape)


def solve_lower_beside(factor: Float[Array, "*b d d"], right: Float[Array, "..."]) -> Float[Array, "..."]:
    """`solve_lower` where `solve_upper` reads the same factor: in the order of the transpose, so that one copy serves both."""
    columns = right if right.ndim == factor.ndim else right[..., None]
    upper = jnp.swapaxes(factor, -1, -2)
    return lax_linalg.triangular_solve(upper, columns, left_side=True, lower=False, transpose_a=True).reshape(right.shape)


def solve_lower_right(factor: Float[Array, "d d"], left: Float[Array, "n d"]) -> Float[Array, "n d"]:
    """R L'^-1 for lower triangular L."""
    return lax_linalg.triangular_solve(factor, left, left_side=False, lower=True, transpose_a=True)


def solve_positive(matrix: Float[Array, "*b d d"], right: Float[Array, "..."]) -> Float[Array, "..."]:
    """M^-1 R for symmetric positive definite M, by Cholesky."""
    factor = cholesky(matrix)
    return solve_upper(factor, solve_lower(factor, right))


def solver_of_few(matrix: Float[Array, "*b n n"]) -> Callable[[Float[Array, "..."]], Float[Array, "..."]]:
    """R -> M^-1 R for symmetric positive M of a handful of unknowns; R of shape (..., n), as many M's or one for all.

    M = L D L', in plain products: calls of LAPACK cost more than they do, and those of one device wait for those of another.
    """
    n = matrix.shape[-1]
    if n > FEW:
        return lambda right: jnp.linalg.solve(matrix, right[..., None])[..., 0]
    below, pivots, left = [], [], matrix
    for k in range(n):
        pivots.append(left[..., k, k])
        below.append(jnp.where(jnp.arange(n) > k, left[..., k] / pivots[k][..., None], 0))
        left = left - below[k][..., None] * left[..., k, None, :]
    scales = jnp.stack(pivots, -1)
    rows = jnp.stack(below, -1)

    def solve(right):
        for k in range(n):
            right = right - right[..., k, None] * below[k]
        right = right / scales
        for k in reversed(range(n)):
            right = right - right[..., k, None] * rows[..., k, :]
        return right

    return solve


def with_missing_directions(matrix: Float[Array, "d d"]) -> Float[Array, "d d"]:
    """Put a one on the diagonal where a whole row is zero, so that a coordinate nobody observes solves to zero."""
    diagonal = jnp.diagonal(matrix)
    return matrix + jnp.diag(jnp.where(diagonal == 0, 1, 0).astype(matrix.dtype))


def diagonalise_pair(
    first: Float[Array, "d d"], second: Float[Array, "d d"]
) -> tuple[Float[Array, " d"], Float[Array, "d d"], Float[Array, "d d"]]:
    """values (d,), L and V with P'MP = diag(values) and P'NP = identity for P = L'^-1 V; coordinates of v are V'L'v."""
    factor = cholesky(second)
    values, vectors = jnp.linalg.eigh(solve_lower_right(factor, solve_lower(factor, first.T)))
    return values, factor, vectors


def repair(broken: Bool[Array, ""], mend: Callable, value: Any, *data: Any) -> Any:
    """mend(*data) where broken, else the value. Of a mapped batch none pays for it unless some are broken."""

    def turn(state):
        # what does not depend on the state, and be it by a barrier, the compiler computes before the loop, and for all
        own = jax.tree.map(lambda leaf: jnp.where(state[0], leaf, jnp.zeros_like(leaf)), data)
        return jnp.zeros_like(broken), mend(*own)

    return jax.lax.while_loop(lambda state: state[0], turn, (broken, value))[1]


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def found_otherwise(function: Callable, value: Any, *arguments: Any) -> Any:
    """`value`, which is function(*arguments) found in a cheaper way, with the derivatives of that function."""
    return value


@found_otherwise.defjvp
def _(function, primals, tangents):
    value, *arguments = primals
    return value, jax.jvp(function, tuple(arguments), tuple(tangents[1:]))[1]


def rank_tolerance(values: Float[Array, " d"]) -> Float[Array, ""]:
    """Eigenvalues of a Gram matrix at or below this are rounding: d * eps * largest."""
    return values.shape[0] * jnp.finfo(values.dtype).eps * largest_of(values)


def inverse_square_root(
    matrix: Float[Array, "d d"],
) -> tuple[Float[Array, "d d"], Bool[Array, " d"]]:
    """P (d, d) with P' M P = identity on the range of M and zero elsewhere, and which of its columns are in the range."""
    values, vectors = jnp.linalg.eigh(matrix)
    inside = values > rank_tolerance(values)
    return vectors * jnp.where(inside, jax.lax.rsqrt(jnp.where(inside, values, 1)), 0), inside


def minimum_norm(matrix: Float[Array, "d d"], right: Float[Array, "d *n"]) -> Float[Array, "d *n"]:
    """M^+ R for symmetric positive semidefinite M: the least-squares solution of smallest norm.

    By Cholesky where no eigenvalue is near rounding, in a fraction of the time of eigenvectors, and by these elsewhere.
    """
    held, d = jax.lax.stop_gradient((matrix, right)), len(matrix)
    root = solve_lower(cholesky(held[0]), jnp.eye(d, dtype=matrix.dtype)).T
    # 1 / tr M^-1 is at most the least eigenvalue, and the trace at least the largest; pivots may all be large where there is none
    whole = 1 / jnp.sum(root**2) > SURE * d * jnp.finfo(matrix.dtype).eps * jnp.trace(held[0])  # false of NaN, too
    found = repair(~whole, _by_eigenvectors, multiply(root, multiply(root.T, held[1])), *held)
    return found_otherwise(_by_eigenvectors, found, matrix, right)


def _by_eigenvectors(matrix: Float[Array, "d d"], right: Float[Array, "d *n"]) -> Float[Array, "d *n"]:
    root, _ = inverse_square_root(matrix)
    return multiply(root, multiply(root.T, right))


class Reflections(NamedTuple):
    """Q = H_1 ... H_d (d, d), a product of Householder reflections H_i = I - scales_i v_i v_i'. rows[i] holds v_i (d,)."""

    rows: Float[Array, "d d"]
    scales: Float[Array, " d"]

    def apply(self, vector: Float[Array, " d"]) -> Float[Array, " d"]:
        """Q c."""
        d = vector.shape[0]
        return jax.lax.fori_loop(0, d, lambda i, vector: self._reflect(d - 1 - i, vector), vector)

    def apply_transpose(self, vector: Float[Array, " d"]) -> Float[Array, " d"]:
        """Q' c."""
        return jax.lax.fori_loop(0, vector.shape[0], self._reflect, vector)

    def _reflect(self, i, vector):
        place = jnp.arange(vector.shape[0])
        mirror = jnp.where(place > i, self.rows[i], 0) + (place == i)
        return vector - self.scales[i] * jnp.sum(mirror * vector) * mirror


def krylov_form(
    matrix: Float[Array, "d d"], start: Float[Array, " d"]
) -> tuple[Float[Array, " d"], Float[Array, " d"], Float[Array, ""], Reflections]:
    """Tridiagonal form of a symmetric M in the basis Q with Q'c = length e_1 for a given c (no eigenvectors needed).

    Returns the diagonal of Q'MQ, its links (the last is 0) between one row and the next, the length, and Q.
    """
    bordered = jnp.pad(matrix, ((1, 0), (1, 0))).at[0, 1:].set(start).at[1:, 0].set(start)
    packed, diagonal, off_diagonal, scales = lax_linalg.tridiagonal(bordered, lower=True)
    links = jnp.append(off_diagonal[1:], 0)
    # transposed, since LAPACK writes columns and a reflection is read at a time
    return diagonal[1:], links, off_diagonal[0], Reflections(jnp.swapaxes(packed, -1, -2)[:-1, 1:], scales)
