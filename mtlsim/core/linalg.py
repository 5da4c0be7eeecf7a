"""Linear algebra that every room above relies on: products, symmetric solves, the tridiagonal form of a pencil."""

import jax
import jax.numpy as jnp
from jax.lax import linalg as lax_linalg
from jaxtyping import Array, Bool, Float


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


def solve_lower(factor: Float[Array, "d d"], right: Float[Array, "d *n"]) -> Float[Array, "d *n"]:
    """L^-1 R for lower triangular L."""
    columns = right if right.ndim == 2 else right[:, None]
    return lax_linalg.triangular_solve(factor, columns, left_side=True, lower=True).reshape(right.shape)


def solve_upper(factor: Float[Array, "d d"], right: Float[Array, "d *n"]) -> Float[Array, "d *n"]:
    """L'^-1 R for lower triangular L."""
    columns = right if right.ndim == 2 else right[:, None]
    return lax_linalg.triangular_solve(factor, columns, left_side=True, lower=True, transpose_a=True).reshape(right.shape)


def solve_lower_right(factor: Float[Array, "d d"], left: Float[Array, "n d"]) -> Float[Array, "n d"]:
    """R L'^-1 for lower triangular L."""
    return lax_linalg.triangular_solve(factor, left, left_side=False, lower=True, transpose_a=True)


def solve_positive(matrix: Float[Array, "d d"], right: Float[Array, "d *n"]) -> Float[Array, "d *n"]:
    """M^-1 R for symmetric positive definite M, by Cholesky."""
    factor = cholesky(matrix)
    return solve_upper(factor, solve_lower(factor, right))


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


def rank_tolerance(values: Float[Array, " d"]) -> Float[Array, ""]:
    """Eigenvalues of a Gram matrix at or below this are rounding: d * eps * largest."""
    return values.shape[0] * jnp.finfo(values.dtype).eps * jnp.max(values)


def inverse_square_root(
    matrix: Float[Array, "d d"],
) -> tuple[Float[Array, "d d"], Bool[Array, " d"]]:
    """P (d, d) with P' M P = identity on the range of M and zero elsewhere, and which of its columns are in the range."""
    values, vectors = jnp.linalg.eigh(matrix)
    inside = values > rank_tolerance(values)
    return vectors * jnp.where(inside, jax.lax.rsqrt(jnp.where(inside, values, 1)), 0), inside


def minimum_norm(matrix: Float[Array, "d d"], right: Float[Array, "d *n"]) -> Float[Array, "d *n"]:
    """M^+ R for symmetric positive semidefinite M: the least-squares solution of smallest norm."""
    root, _ = inverse_square_root(matrix)
    return multiply(root, multiply(root.T, right))


def tridiagonal_form(
    matrix: Float[Array, "d d"], columns: Float[Array, "d n"]
) -> tuple[Float[Array, " d"], Float[Array, " d-1"], Float[Array, "d n"]]:
    """Diagonal and off-diagonal of T and Q'C, where M = Q T Q' by Householder reflections (no eigenvectors needed)."""
    if matrix.shape[0] == 1:
        return jnp.diagonal(matrix), jnp.zeros((0,), matrix.dtype), columns
    packed, diagonal, off_diagonal, scales = lax_linalg.tridiagonal(matrix, lower=True)
    rows = jnp.arange(matrix.shape[0])

    def reflect(i, columns):
        vector = jnp.where(rows > i + 1, packed[:, i], 0) + (rows == i + 1)
        return columns - scales[i] * vector[:, None] * multiply(vector, columns)[None]

    return diagonal, off_diagonal, jax.lax.fori_loop(0, matrix.shape[0] - 1, reflect, columns)
