"""Linear algebra against NumPy: triangular and symmetric solves, minimum norm, the tridiagonal form, shortcuts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import close

from mtlsim.core import linalg
from mtlsim.core.compiler import jit_hastily
from mtlsim.core.extremes import largest_of, smallest_of

RNG = np.random.default_rng(4)


def positive(d, rank=None):
    rows = RNG.normal(size=(rank or 2 * d, d))
    return rows.T @ rows


@pytest.mark.parametrize("shape", [(5,), (5, 3)])
def test_solves(shape):
    matrix, right = positive(5), RNG.normal(size=shape)
    factor = np.linalg.cholesky(matrix)
    close(linalg.cholesky(jnp.asarray(matrix)), factor)
    close(linalg.solve_lower(jnp.asarray(factor), jnp.asarray(right)), np.linalg.solve(factor, right), 1)
    close(linalg.solve_lower_beside(jnp.asarray(factor), jnp.asarray(right)), np.linalg.solve(factor, right), 1)
    close(linalg.solve_upper(jnp.asarray(factor), jnp.asarray(right)), np.linalg.solve(factor.T, right), 1)
    close(linalg.solve_positive(jnp.asarray(matrix), jnp.asarray(right)), np.linalg.solve(matrix, right), 1)


@pytest.mark.parametrize("n", [1, 2, 5, linalg.FEW, linalg.FEW + 1])
@pytest.mark.parametrize("exponent", [0, 6, 12])
def test_few_unknowns_are_those_of_numpy(n, exponent):
    """One matrix for several right sides, and one for each; with diagonals far apart, as interior points have them."""
    rng = np.random.default_rng(n)
    rows = rng.standard_normal((3, n, 2 * n))
    matrices = rows @ rows.mT + 10.0 ** rng.uniform(-exponent, exponent, (3, n, 1)) * np.eye(n)
    right = rng.standard_normal((3, n))
    expected = [np.linalg.solve(matrix, side) for matrix, side in zip(matrices, right, strict=True)]
    np.testing.assert_allclose(linalg.solver_of_few(jnp.asarray(matrices))(jnp.asarray(right)), expected, rtol=1e-9)
    np.testing.assert_allclose(
        linalg.solver_of_few(jnp.asarray(matrices[0]))(jnp.asarray(right)), np.linalg.solve(matrices[0], right.T).T, rtol=1e-9
    )


def test_few_unknowns_of_a_system_that_is_nearly_singular_leave_little_over():
    """Gradients that cancel: a pivot is rounding, and what is solved still fits, as it does by a factorisation with pivots."""
    unit = np.random.default_rng(0).standard_normal((5, 3))
    matrix = unit @ unit.T + 1e-12 * np.eye(5)
    right = matrix @ np.ones(5)
    left = matrix @ np.asarray(linalg.solver_of_few(jnp.asarray(matrix))(jnp.asarray(right))) - right
    assert np.abs(left).max() < 1e-9 * np.abs(matrix).max()


def test_products_and_forms():
    a, b, c = RNG.normal(size=(3, 4)), RNG.normal(size=(4, 2)), RNG.normal(size=2)
    close(linalg.multiply(*map(jnp.asarray, (a, b, c))), a @ b @ c)
    matrix, v = positive(4), RNG.normal(size=4)
    close(linalg.quadratic(jnp.asarray(matrix), jnp.asarray(v)), v @ matrix @ v)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32])
@pytest.mark.parametrize("shape", [(3, 4), (300, 18), (1000, 100)], ids=str)
def test_extremes_are_those_of_numpy_nan_included(shape, dtype):
    """What a compiled program says of many rows, some with a NaN, where some releases leave it out."""
    values = (10 * RNG.normal(size=shape)).astype(dtype)
    if dtype != np.int32:
        values[::2, shape[1] // 2] = np.nan
        values[-1, 0], values[1, 0] = np.inf, -np.inf
    for ours, numpys in ((largest_of, np.max), (smallest_of, np.min)):
        np.testing.assert_array_equal(jax.jit(jax.vmap(ours))(values), numpys(values, -1))
        np.testing.assert_array_equal(jax.jit(ours, static_argnums=1)(values, 0), numpys(values, 0))
        np.testing.assert_array_equal(jax.jit(ours)(values), numpys(values))


def test_products_ask_for_the_highest_precision():
    """An accelerator rounds products of float32 to 10 bits or fewer unless it is told not to."""
    text = str(jax.make_jaxpr(lambda a: linalg.multiply(a, a))(jnp.ones((2, 2))))
    assert text.count("HIGHEST") == 2


@pytest.mark.parametrize("rank", [1, 3, 5])
def test_minimum_norm_is_the_pseudoinverse(rank):
    matrix = positive(5, rank)
    right = matrix @ RNG.normal(size=5)
    close(linalg.minimum_norm(jnp.asarray(matrix), jnp.asarray(right)), np.linalg.pinv(matrix, rcond=1e-12) @ right, 2)
    root, inside = linalg.inverse_square_root(jnp.asarray(matrix))
    assert int(inside.sum()) == rank
    close(root.T @ matrix @ root, np.diag(np.asarray(inside).astype(float)), 2)


def test_minimum_norm_of_a_mapped_batch_is_that_of_each():
    """Of full rank, without it, and numerically singular with pivots that are all one, where Cholesky would go on."""
    d = 40
    factor = np.eye(d) - np.tri(d, k=-1)
    matrices = [positive(d), positive(d, 30), factor @ factor.T]
    rights = [matrix @ RNG.normal(size=d) for matrix in matrices]
    found = jax.jit(jax.vmap(linalg.minimum_norm))(jnp.asarray(matrices), jnp.asarray(rights))
    for one, matrix, right in zip(found, matrices, rights, strict=True):
        values, vectors = np.linalg.eigh(matrix)
        kept = values > d * np.finfo(float).eps * values[-1]
        wanted = vectors[:, kept] @ (vectors[:, kept].T @ right / values[kept])
        np.testing.assert_allclose(one, wanted, rtol=1e-6, atol=1e-6 * np.abs(wanted).max())


def test_a_zero_matrix_has_no_range():
    assert not np.any(linalg.minimum_norm(jnp.zeros((3, 3)), jnp.ones(3)))


def test_missing_directions_solve_to_zero():
    matrix, right = np.zeros((4, 4)), np.array([1.0, 0, 2, 0])
    matrix[np.ix_([0, 2], [0, 2])] = positive(2)
    solved = linalg.solve_positive(linalg.with_missing_directions(jnp.asarray(matrix)), jnp.asarray(right))
    close(solved, np.linalg.pinv(matrix) @ right, 2)


@pytest.mark.parametrize("d", [1, 2, 3, 8])
def test_krylov_form_is_a_rotation_of_the_matrix(d):
    """T = Q' M Q, Q' c = length e_1, and Q applied to every unit vector is the rotation itself."""
    matrix, start = positive(d), RNG.normal(size=d)
    diagonal, links, length, basis = linalg.krylov_form(jnp.asarray(matrix), jnp.asarray(start))
    assert diagonal.shape == links.shape == (d,) and links[-1] == 0
    form = np.diag(diagonal) + np.diag(links[:-1], 1) + np.diag(links[:-1], -1)
    rotation = np.stack([basis.apply(unit) for unit in jnp.eye(d)], 1)
    close(rotation.T @ rotation, np.eye(d))
    close(rotation.T @ matrix @ rotation, form)
    close(rotation.T @ start, float(length) * np.eye(d)[0])
    close(np.stack([basis.apply_transpose(unit) for unit in jnp.eye(d)], 1), rotation.T)


def test_a_krylov_form_from_no_direction_is_still_one():
    matrix = positive(4)
    diagonal, links, length, _ = linalg.krylov_form(jnp.asarray(matrix), jnp.zeros(4))
    assert length == 0
    form = np.diag(diagonal) + np.diag(links[:-1], 1) + np.diag(links[:-1], -1)
    close(np.linalg.eigvalsh(form), np.linalg.eigvalsh(matrix))


def test_repair_is_for_what_is_broken_alone():
    value, data = jnp.arange(4.0), jnp.arange(4.0) + 10
    mapped = jax.vmap(lambda broken, value, data: linalg.repair(broken, lambda data: 2 * data, value, data))
    np.testing.assert_array_equal(mapped(jnp.array([False, True, False, True]), value, data), [0, 22, 2, 26])
    np.testing.assert_array_equal(mapped(jnp.zeros(4, bool), value, data), value)


def test_what_was_found_otherwise_has_the_derivatives_of_its_function():
    f = lambda a, b: jnp.sin(a) * b
    shortcut = lambda a, b: linalg.found_otherwise(f, jax.lax.stop_gradient(f(a, b)) + 1, a, b)
    assert shortcut(0.3, 2.0) == f(0.3, 2.0) + 1
    for mode in (jax.jacfwd, jax.jacrev):
        close(np.stack(mode(shortcut, (0, 1))(0.3, 2.0)), np.array([2 * np.cos(0.3), np.sin(0.3)]))


def test_what_is_compiled_in_haste_is_computed_at_once_where_it_can_be():
    """Of numbers also while another program is traced, of what is traced there as the function itself; of one or of many."""
    traced = []

    @jit_hastily
    def largest(matrix, scale):
        traced.append(matrix)
        return scale * jnp.linalg.eigvalsh(matrix)[-1]

    matrix = positive(4)
    wanted = 3 * np.linalg.eigvalsh(matrix)[-1]
    close(largest(matrix, 3.0), wanted)
    close(largest(matrix, 3.0), wanted)
    assert len(traced) == 1  # compiled once
    within = jax.jit(lambda x: x * largest(matrix, 3.0))
    close(within(2.0), 2 * wanted)
    assert "eigh" not in within.lower(2.0).as_text()  # a number there
    close(jax.jit(lambda scale: largest(matrix, scale))(3.0), wanted)
    close(jax.vmap(largest, (0, None))(jnp.stack([matrix, 2 * matrix]), 3.0), np.array([wanted, 2 * wanted]))
    close(jax.grad(largest, 1)(matrix, 3.0), wanted / 3)
