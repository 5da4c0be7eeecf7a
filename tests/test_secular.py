"""The certified optimum of two tasks against brute force on raw rows, and its edge cases."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

import mtlsim as mtl
from mtlsim.core.status import Certificate, Status
from mtlsim.solvers import secular

KEY = jax.random.key(5)


@functools.cache
def compiled(rank):
    return jax.jit(lambda moments, weights, ridge: mtl.solve(moments, rank, weights, ridge))


def solve(tasks, weights=None, ridge=None, rank=1):
    moments = [mtl.Moments.from_data(X, y) for X, y in tasks]
    ones = np.ones(len(tasks))
    weights = ones if weights is None else np.asarray(weights, float)
    ridge = 0 * ones if ridge is None else np.asarray(ridge, float)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *moments)
    return compiled(rank)(stacked, weights, ridge)


def random_tasks(rng, d):
    """Two tasks with spectra, sizes, scales, noises and angles all over the place, m1 + m2 > d."""
    while True:
        sizes = rng.integers(1, 4 * d + 3, 2)
        if sizes.sum() > d + 1:
            break
    kappa = 10 ** rng.uniform(0, 2)
    base = rng.standard_normal(d)
    tasks = []
    for m in sizes:
        X = rng.standard_normal((m, d)) * np.exp(rng.uniform(0, np.log(kappa), d))
        theta = rng.choice([-1, 1]) * (base + rng.uniform(0, 3) * rng.standard_normal(d)) * 10 ** rng.uniform(-1, 1)
        tasks.append((X, X @ theta + rng.uniform(0, 5) * rng.standard_normal(m)))
    return tasks


@pytest.mark.parametrize("d", [1, 2, 5, 20])
def test_never_above_brute_force_and_the_bound_never_below_it(d):
    rng = np.random.default_rng(d)
    exact = 0
    for _ in range(40):
        tasks = random_tasks(rng, d)
        weights, ridge = 10 ** rng.uniform(-1, 1, 2), rng.choice([0.0, 1.0], 2) * 10 ** rng.uniform(-2, 1, 2)
        best = oracles.pair(tasks, weights, ridge)
        solution = solve(tasks, weights, ridge)
        least = best.energies.min()
        assert solution.status == Status.ok
        assert float(solution.loss) <= best.loss + 1e-7 * least
        assert float(solution.loss - solution.gap) <= best.loss + 1e-9 * best.energies.sum()
        direct = oracles.loss(oracles.absorb(tasks, weights, ridge), np.asarray(solution.parameters))
        np.testing.assert_allclose(solution.loss, direct, rtol=1e-8, atol=1e-9 * best.energies.sum())
        exact += int(solution.certificate == Certificate.exact)
    assert exact >= 38


def test_the_bound_would_notice_a_missed_optimum(monkeypatch):
    """A table without its error term, far too coarse, closes intervals that hold the optimum: the proof must rest on the term."""
    rng = np.random.default_rng(3)
    tasks = [random_tasks(rng, 20) for _ in range(40)]
    monkeypatch.setattr(secular, "N_NODES", 4)
    coarse = jax.jit(lambda moments: mtl.solve(moments, 1))
    for pair in tasks:
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[mtl.Moments.from_data(X, y) for X, y in pair])
        solution, best = coarse(stacked), oracles.pair(pair)
        assert float(solution.loss - solution.gap) <= best.loss + 1e-9 * best.energies.sum()
        if solution.certificate == Certificate.exact:
            assert float(solution.loss) <= best.loss + 1e-5 * best.energies.min()


def test_gradient_descent_finds_nothing_better_and_often_less():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(12):
        tasks = random_tasks(rng, 5)
        loss = float(solve(tasks).loss)
        runs = [oracles.descend(tasks, 1, 1, rng) for _ in range(4)]
        assert min(runs) >= loss - 1e-8 * abs(loss) - 1e-8
        found += [run <= loss * (1 + 1e-6) + 1e-6 for run in runs]
    assert not all(found)  # bad local optima exist where the covariates differ


@pytest.mark.parametrize("n_source", [10**3, 10**9])
def test_a_source_of_any_size_does_not_drown_the_target(n_source):
    """At infinite source the direction is the source's, and the target's head is refitted to its own rows."""
    tasks = mtl.LinearTasks(n_features=10, n_samples=(n_source, 15), cosine=0.9).draw(key=KEY)
    moments = mtl.draw_moments(tasks, key=KEY)
    solution = mtl.solve(moments, 1)
    assert solution.certificate == Certificate.exact and solution.status == Status.ok
    if n_source == 10**9:
        source = mtl.solve_single(moments[0])
        head = moments.cross[1] @ source / (source @ moments.gram[1] @ source)
        np.testing.assert_allclose(solution.parameters[1], head * source, rtol=1e-5, atol=1e-6)


def test_drawn_moments_and_arrays_agree():
    tasks = mtl.LinearTasks(n_features=12, n_samples=(30, 8), alignment=0.7).draw(key=KEY)
    moments = mtl.draw_moments(tasks, key=KEY)
    bare = mtl.Moments(moments.gram, moments.cross, moments.energy, moments.n_samples)
    with_factor, without = mtl.solve(moments, 1), mtl.solve(bare, 1)
    np.testing.assert_allclose(with_factor.parameters, without.parameters, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(with_factor.loss, without.loss, rtol=1e-9)


def test_swapping_the_tasks_swaps_the_answer():
    tasks = random_tasks(np.random.default_rng(8), 5)
    one, other = solve(tasks), solve(tasks[::-1])
    np.testing.assert_allclose(one.parameters, other.parameters[::-1], rtol=1e-6, atol=1e-9)


def make(rng, m, theta, noise=0.0, scale=1.0):
    X = rng.standard_normal((m, len(theta))) * scale
    return X, X @ theta + noise * rng.standard_normal(m)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_identical_and_opposite_tasks_share_perfectly(sign):
    X, y = make(np.random.default_rng(0), 20, np.arange(1.0, 6.0), 0.5)
    solution = solve([(X, y), (X, sign * y)])
    np.testing.assert_allclose(solution.parameters[1], sign * solution.parameters[0], atol=1e-9)
    np.testing.assert_allclose(solution.parameters[0], oracles.least_squares(X, y), atol=1e-8)
    assert float(solution.heads[0, 0] * solution.heads[1, 0]) * sign > 0
    assert solution.certificate == Certificate.exact


def test_equal_grams_reduce_to_the_shared_covariates_route():
    rng = np.random.default_rng(1)
    X, y1 = make(rng, 30, rng.standard_normal(5), 0.3)
    y2 = X @ rng.standard_normal(5) * 2
    separate = solve([(X, y1), (X, y2)])
    one = mtl.Moments.from_data(X, y1), mtl.Moments.from_data(X, y2)
    shared = mtl.Moments(one[0].gram, jnp.stack([m.cross for m in one]), jnp.stack([m.energy for m in one]), jnp.full(2, 30.0))
    svd = mtl.solve(shared, 1)
    assert svd.route == "shared_covariates" and separate.route == "secular"
    np.testing.assert_allclose(separate.loss, svd.loss, rtol=1e-10)
    np.testing.assert_allclose(separate.parameters, svd.parameters, atol=1e-6)


def test_columns_nobody_sees_get_zero():
    rng = np.random.default_rng(2)
    tasks = random_tasks(rng, 5)
    wider = [(np.insert(X, 2, 0.0, axis=1), y) for X, y in tasks]
    narrow, wide = solve(tasks), solve(wider)
    np.testing.assert_allclose(wide.loss, narrow.loss, rtol=1e-9)
    np.testing.assert_allclose(np.delete(wide.parameters, 2, axis=1), narrow.parameters, atol=1e-7)
    assert np.abs(wide.parameters[:, 2]).max() < 1e-9


@pytest.mark.parametrize("drawn", [False, True])
def test_too_few_rows_are_degenerate_and_never_an_answer(drawn):
    rng = np.random.default_rng(4)
    if drawn:
        tasks = mtl.LinearTasks(n_features=9, n_samples=(5, 4)).draw(key=KEY)
        solution = mtl.solve(mtl.draw_moments(tasks, key=KEY), 1)
    else:
        solution = solve([make(rng, 5, rng.standard_normal(9), 1.0), make(rng, 4, rng.standard_normal(9), 1.0)])
    assert solution.status == Status.degenerate
    assert np.isnan(solution.parameters).all() and np.isnan(solution.shared).all()
    with_ridge = solve([make(rng, 5, rng.standard_normal(9), 1.0), make(rng, 4, rng.standard_normal(9), 1.0)], ridge=[1.0, 1.0])
    assert with_ridge.status == Status.ok and np.isfinite(with_ridge.parameters).all()


def test_a_task_without_signal_leaves_the_other_alone():
    rng = np.random.default_rng(5)
    X, y = make(rng, 20, rng.standard_normal(5), 0.1)
    solution = solve([(X, y), (rng.standard_normal((20, 5)), np.zeros(20))])
    np.testing.assert_allclose(solution.parameters[0], oracles.least_squares(X, y), atol=1e-4)
    np.testing.assert_allclose(solution.parameters[1], 0, atol=1e-12)
    nothing = solve([(X, np.zeros(20)), (X, np.zeros(20))])
    assert nothing.status in (Status.ok, Status.degenerate) and float(nothing.loss) == 0


def test_batched_equals_one_by_one():
    rng = np.random.default_rng(6)
    pairs = [random_tasks(rng, 5) for _ in range(3)]
    stacked = [jax.tree.map(lambda *leaves: jnp.stack(leaves), *[mtl.Moments.from_data(X, y) for X, y in tasks]) for tasks in pairs]
    batched = jax.vmap(lambda m: mtl.solve(m, 1))(jax.tree.map(lambda *leaves: jnp.stack(leaves), *stacked))
    for i, moments in enumerate(stacked):
        np.testing.assert_allclose(batched.parameters[i], mtl.solve(moments, 1).parameters, rtol=1e-7, atol=1e-9)


def test_the_cubic_maximum_is_the_maximum():
    rng = np.random.default_rng(7)
    ends = rng.standard_normal((4, 200))
    best, where = secular.cubic_maximum(*jnp.asarray(ends))
    s = np.linspace(0, 1, 2001)[:, None]
    left, right, left_slope, right_slope = ends
    c3 = left_slope + right_slope - 2 * (right - left)
    c2 = right - left - left_slope - c3
    curve = left + s * (left_slope + s * (c2 + s * c3))
    assert (curve.max(0) <= best + 1e-12).all() and (best <= curve.max(0) + 1e-5).all()
    np.testing.assert_allclose(left + where * (left_slope + where * (c2 + where * c3)), best, atol=1e-12)
