"""Every route of `solve` against independent answers, against each other, and its refusals."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

import mtlsim as mtl
from mtlsim.core.status import Certificate, Status
from mtlsim.solvers.mixed import solve_ridge
from mtlsim.solvers.pencil import choose_form, name_route
from mtlsim.solvers.solve import choose_route

KEY = jax.random.key(9)
USUAL = name_route(choose_form(jax.default_backend(), 9))
D = 5


def random_tasks(seed, sizes, noise=0.5, d=D):
    rng = np.random.default_rng(seed)
    tasks = []
    for m in sizes:
        X = rng.standard_normal((m, d)) * np.exp(rng.uniform(0, 2, d))
        tasks.append((X, X @ rng.standard_normal(d) + noise * rng.standard_normal(m)))
    return tasks


def moments_of(tasks):
    return [mtl.Moments.from_data(X, y) for X, y in tasks]


def shared_moments(X, labels):
    each = [mtl.Moments.from_data(X, y) for y in labels.T]
    crosses, energies = jnp.stack([m.cross for m in each]), jnp.stack([m.energy for m in each])
    return mtl.Moments(each[0].gram, crosses, energies, jnp.full(len(each), float(len(X))))


def test_the_route_table():
    assert choose_route(2, 2, False, 9) == choose_route(3, 5, True, 9) == "separate"
    assert choose_route(3, 2, True, 9) == "shared_covariates"
    assert choose_route(2, 1, False, 9) == USUAL
    assert choose_route(3, 1, False, 9) == "newton"
    assert choose_route(4, 2, False, 9) == "newton-columns"


@pytest.mark.parametrize("m", [3, 5, 30])
@pytest.mark.parametrize("ridge", [0.0, 0.7])
def test_one_task_is_least_squares_of_minimum_norm(m, ridge):
    (X, y), *_ = random_tasks(m, [m])
    rows, labels = oracles.absorb([(X, y)], ridge=ridge)[0]
    np.testing.assert_allclose(mtl.solve_single(mtl.Moments.from_data(X, y), ridge), oracles.least_squares(rows, labels), atol=1e-8)
    tasks = mtl.LinearTasks(n_features=D, n_samples=(9, m)).draw(key=KEY)
    drawn = mtl.draw_moments(tasks, key=KEY)[1]
    root = np.asarray(drawn.factor).T
    rows, labels = oracles.absorb([(root, np.asarray(drawn.scores))], ridge=ridge)[0]
    np.testing.assert_allclose(mtl.solve_single(drawn, ridge), oracles.least_squares(rows, labels), atol=1e-8)


@pytest.mark.parametrize("rank", [2, 4])
def test_enough_columns_keep_every_task_to_itself(rank):
    tasks = random_tasks(0, [20, 3])
    solution = mtl.solve(moments_of(tasks), rank)
    assert solution.route == "separate" and solution.certificate == Certificate.exact and solution.shared.shape == (D, rank)
    np.testing.assert_allclose(solution.parameters, [oracles.least_squares(X, y) for X, y in tasks], atol=1e-8)
    np.testing.assert_allclose(solution.loss, oracles.loss(tasks, solution.parameters), rtol=1e-9)
    np.testing.assert_allclose(solution.heads @ solution.shared.T, solution.parameters, atol=1e-12)


@pytest.mark.parametrize(("rank", "weighted", "ridge"), [(1, False, 0.0), (2, True, 0.0), (2, True, 2.0), (3, False, 0.5)])
def test_shared_covariates_are_the_best_of_many_alternations(rank, weighted, ridge):
    rng = np.random.default_rng(rank)
    X, labels = rng.standard_normal((25, D)), rng.standard_normal((25, 4))
    labels += X @ rng.standard_normal((D, 4))
    weights = np.array([0.2, 1.0, 3.0, 1.0]) if weighted else np.ones(4)
    solution = mtl.solve(shared_moments(X, labels), rank, weights, ridge)
    best = oracles.alternate(X, labels, rank, 4, rng, weights, ridge, n_rounds=300)
    assert solution.route == "shared_covariates" and solution.certificate == Certificate.exact
    np.testing.assert_allclose(solution.loss, best, rtol=1e-6)
    assert float(solution.loss) <= best * (1 + 1e-9)
    absorbed = oracles.absorb([(X, y) for y in labels.T], weights, [ridge] * 4)
    np.testing.assert_allclose(solution.loss, oracles.loss(absorbed, solution.parameters), rtol=1e-8)


def test_raising_the_clean_task_s_weight_turns_the_layer_to_it():
    rng = np.random.default_rng(0)
    X, theta = rng.standard_normal((60, 8)), rng.standard_normal(8)
    labels = np.stack([X @ theta, X @ theta + 30 * rng.standard_normal(60)], 1)
    cosines = []
    for weight in (0.01, 0.1, 1.0, 10.0, 100.0, 1e4):
        shared = np.asarray(mtl.solve(shared_moments(X, labels), 1, (weight, 1.0)).shared[:, 0])
        cosines.append(abs(shared @ theta) / np.linalg.norm(shared) / np.linalg.norm(theta))
    assert (np.diff(cosines) > 0).all() and cosines[-1] > 0.9999 > 0.9 > cosines[0]


@pytest.mark.parametrize("n_tasks", [3, 4])
def test_newton_matches_many_gradient_starts_inside_its_interval(n_tasks):
    for seed in range(2):
        tasks = random_tasks(seed, [12, 9, 15, 7][:n_tasks])
        solution = mtl.solve(moments_of(tasks), 1)
        best = oracles.descend(tasks, 1, 40, np.random.default_rng(seed))
        assert solution.route == "newton" and solution.status == Status.ok
        assert float(solution.loss) <= best * (1 + 1e-7)
        assert float(solution.loss - solution.gap) <= best * (1 + 1e-9)
        np.testing.assert_allclose(solution.loss, oracles.loss(tasks, solution.parameters), rtol=1e-8)


@pytest.mark.parametrize("route", ["secular-eigh", "secular-cholesky"])
@pytest.mark.parametrize("n", [(40, 9), (40, 3), (4, 3)], ids=str)
def test_every_form_of_the_secular_function_finds_the_same(route, n):
    """Of tasks with enough rows, with too few in one, and with too few in each."""
    tasks = mtl.LinearTasks(n_features=D, n_samples=n, alignment=0.8, noise=0.5).draw(key=KEY)
    for seed in range(5):
        moments = mtl.draw_moments(tasks, key=jax.random.key(seed))
        for given in (moments, mtl.Moments(moments.gram, moments.cross, moments.energy, moments.n_samples)):
            usual, other = mtl.solve(given, 1), mtl.solve(given, 1, route=route)
            assert (usual.route, other.route) == (USUAL, route)
            assert usual.status == other.status == Status.ok
            assert usual.certificate == other.certificate or (route, n) == ("secular-cholesky", (4, 3))
            assert other.loss - other.gap <= usual.loss + 1e-11
            np.testing.assert_allclose(other.loss, usual.loss, rtol=1e-9, atol=1e-11)
            np.testing.assert_allclose(other.parameters, usual.parameters, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("n", "ridge"), [((40, 9), 0.0), ((40, 3), (0.3, 0.0)), ((40, 3), (0.0, 0.3))], ids=str)
def test_gradients_of_drawn_moments_are_those_of_finite_differences(n, ridge):
    """Of the parameters of both tasks, alone and together, where factors are used and where a ridge forbids it."""
    tasks = mtl.LinearTasks(n_features=D, n_samples=n, alignment=0.8).draw(key=KEY)
    noise, step, ridge = jnp.array([0.7, 0.4]), jnp.array([0.6, -0.8]), jnp.broadcast_to(jnp.asarray(ridge), (2,))
    wanted = (value_of_drawn(noise + 1e-5 * step, tasks, ridge) - value_of_drawn(noise - 1e-5 * step, tasks, ridge)) / 2e-5
    np.testing.assert_allclose(slope_of_drawn(noise, tasks, ridge) @ step, wanted, rtol=1e-5)
    np.testing.assert_allclose(slope_along_step(noise, step, tasks, ridge), wanted, rtol=1e-5)


@jax.jit
def value_of_drawn(noise, tasks, ridge):
    moments = mtl.draw_moments(eqx.tree_at(lambda t: t.noise, tasks, noise), key=KEY)
    together = mtl.solve(moments, 1, ridge=ridge).parameters
    alone = jnp.stack([mtl.solve_single(moments[i], ridge[i]) for i in range(2)])
    return jnp.sum(jnp.sin(together) + alone**2)


slope_of_drawn = jax.jit(jax.grad(value_of_drawn))


@jax.jit
def slope_along_step(noise, step, tasks, ridge):
    return jax.jvp(lambda noise: value_of_drawn(noise, tasks, ridge), (noise,), (step,))[1]


def test_newton_of_two_tasks_is_the_secular_optimum():
    moments = moments_of(random_tasks(1, [12, 9]))
    exact, ascent = mtl.solve(moments, 1), mtl.solve(moments, 1, route="newton")
    np.testing.assert_allclose(ascent.loss, exact.loss, rtol=1e-9)


def test_alternation_reaches_what_gradient_descent_reaches():
    tasks = random_tasks(3, [12, 9, 15])
    solution = mtl.solve(moments_of(tasks), 2)
    best = oracles.descend(tasks, 2, 20, np.random.default_rng(0))
    assert solution.route == "newton-columns" and float(solution.loss) <= best * (1 + 1e-6)
    np.testing.assert_allclose(solution.loss, oracles.loss(tasks, solution.parameters), rtol=1e-8)


def test_permuting_the_tasks_permutes_the_answer():
    tasks = random_tasks(5, [12, 9, 15])
    reference = mtl.solve(moments_of(tasks), 1)
    for order in itertools.islice(itertools.permutations(range(3)), 1, 3):
        solution = mtl.solve(moments_of([tasks[i] for i in order]), 1)
        np.testing.assert_allclose(solution.parameters, reference.parameters[np.array(order)], rtol=1e-5, atol=1e-6)


def test_float32_stays_float32_and_says_when_it_is_not_enough():
    tasks = random_tasks(6, [12, 9])
    moments = [jax.tree.map(lambda leaf: leaf.astype(jnp.float32), m) for m in moments_of(tasks)]
    solution = mtl.solve(moments, 1)
    assert solution.parameters.dtype == jnp.float32 and solution.status == Status.ok
    np.testing.assert_allclose(solution.parameters, mtl.solve(moments_of(tasks), 1).parameters, rtol=2e-2, atol=2e-2)
    stretched = [(X * np.r_[1e3, np.ones(D - 1)], y) for X, y in tasks]  # units of columns cost no digits
    moments = [jax.tree.map(lambda leaf: leaf.astype(jnp.float32), m) for m in moments_of(stretched)]
    np.testing.assert_allclose(mtl.solve(moments, 1).loss, mtl.solve(moments_of(stretched), 1).loss, rtol=1e-3)
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(D, D)))[0]
    turned = [(X * np.r_[1e6, np.ones(D - 1)] @ turn, y) for X, y in tasks]
    moments = [jax.tree.map(lambda leaf: leaf.astype(jnp.float32), m) for m in moments_of(turned)]
    solution = mtl.solve(moments, 1)
    assert solution.status == Status.ill_conditioned and "jax_enable_x64" in repr(solution)


@pytest.mark.parametrize("size", [1e5, 1e6, 1e7, 1e-6])
@pytest.mark.parametrize(("n_tasks", "rank"), [(2, 1), (2, 2), (3, 1)])
def test_directions_that_float32_takes_for_rounding_leave_no_certificate(n_tasks, rank, size):
    """They may be there all the same: the losses named exact were up to a hundred times those that rows in float64 reach."""
    tasks = random_tasks(2, [12, 9, 15][:n_tasks])
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(D, D)))[0]
    turned = moments_of([(X * np.r_[size, np.ones(D - 1)] @ turn, y) for X, y in tasks])
    solution = mtl.solve([jax.tree.map(lambda leaf: leaf.astype(jnp.float32), m) for m in turned], rank)
    assert solution.status == Status.ill_conditioned and solution.certificate == Certificate.none
    alone = solve_ridge(jax.tree.map(lambda leaf: leaf.astype(jnp.float32), turned[0]), 0.0)
    assert alone.status == Status.ill_conditioned and alone.certificate == Certificate.none
    fewer = [jax.tree.map(lambda leaf: leaf.astype(jnp.float32), m) for m in moments_of([(X[:3], y[:3]) for X, y in tasks])]
    fine = mtl.solve(fewer, n_tasks)  # rows that are too few to see all directions, and an empty column, hide none
    assert fine.status == Status.ok and fine.certificate != Certificate.none
    empty = moments_of([(X * np.r_[0, np.ones(D - 1)], y) for X, y in tasks])
    fine = mtl.solve([jax.tree.map(lambda leaf: leaf.astype(jnp.float32), m) for m in empty], n_tasks)
    assert fine.status == Status.ok and fine.certificate != Certificate.none


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"rank": 0}, "rank must be a whole number from 1 to n_features = 5, but is 0"),
        ({"rank": -1}, "rank must be a whole number"),
        ({"rank": 6}, "rank must be a whole number from 1 to n_features = 5, but is 6"),
        ({"rank": 1, "weights": (-1.0, 1.0)}, "weights must be numbers >= 0"),
        ({"rank": 1, "weights": (0.0, 0.0)}, "weights must be positive for some task"),
        ({"rank": 1, "weights": (1.0, 1.0, 1.0)}, "weights must be one number or 2"),
        ({"rank": 1, "ridge": -1.0}, "ridge must be numbers >= 0"),
        ({"rank": 1, "route": "secula"}, "did you mean 'secular'"),
        ({"rank": 2, "route": "secular"}, "it needs two tasks and rank 1"),
        ({"rank": 1, "route": "separate"}, "it needs rank >= 2 tasks"),
        ({"rank": 1, "route": "shared_covariates"}, "it needs one gram for all tasks"),
    ],
)
def test_refusals_are_one_sentence(arguments, sentence):
    moments = moments_of(random_tasks(0, [9, 9]))
    with pytest.raises(ValueError) as error:
        mtl.solve(moments, **arguments)
    assert sentence in str(error.value)


def test_tasks_of_different_width_are_refused():
    moments = [mtl.Moments.from_data(*random_tasks(0, [9])[0]), mtl.Moments.from_data(*random_tasks(0, [9], d=4)[0])]
    with pytest.raises(ValueError, match="of one number of features"):
        mtl.solve(moments, 1)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="an accelerator has Jacobi rotations")
def test_a_form_that_this_backend_does_not_have():
    with pytest.raises(ValueError, match="Jacobi rotations need an accelerator"):
        mtl.solve(
            mtl.draw_moments(mtl.LinearTasks(n_features=D, n_samples=(40, 9)).draw(key=KEY), key=KEY), 1, route="secular-jacobi"
        )


@pytest.mark.parametrize("design", [mtl.Isotropic(), mtl.Spiked(1e3, fraction=0.2)], ids=["isotropic", "spiked"])
def test_shared_rows_fewer_than_features_give_parameters_of_least_norm(design):
    """Drawn, under jit, and as rows: what no row sees has no part in the parameters, or the risk is that of another layer."""
    tasks = mtl.LinearTasks(8, (5, 5, 5), noise=0.3, shared_covariates=True, design=design).draw(key=KEY)
    drawn = mtl.draw_moments(tasks, key=KEY)
    rows = np.asarray(drawn.factor).T[:5]
    arrays = mtl.Moments.from_shared_rows(rows, np.asarray(drawn.scores)[:, :5].T)
    for moments in (drawn, arrays):
        for found in (mtl.solve(moments, 1), jax.jit(mtl.solve, static_argnums=1)(moments, 2)):
            parameters = np.asarray(found.parameters)
            nowhere = np.linalg.svd(rows)[2][5:]
            assert np.abs(parameters @ nowhere.T).max() < 1e-10 * np.abs(parameters).max()
