"""More than two tasks on one direction: the optimum against brute force over rows, its proof, and what is proven of a box."""

import adversarial
import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from conftest import untyped
from instances import moments_of, random_tasks
from judged_tasks import judge_tasks, search

import mtlsim as mtl
from mtlsim.core.status import Certificate, Status
from mtlsim.sharing.hard import Hard
from mtlsim.solvers import boxes, newton
from mtlsim.solvers.boxes import Proof, bound
from mtlsim.solvers.heads import Heads, climb

D = 5
KEY = jax.random.key(3)


def tasks_of(seed, n_tasks, condition=30.0, d=D):
    rng = np.random.default_rng(seed)
    return random_tasks(rng, d, rng.integers(d, 4 * d, n_tasks).tolist(), condition)


def loss_at(tasks, heads):
    """The least loss at given heads, by least squares on stacked rows."""
    rows = np.concatenate([head * X for head, (X, _) in zip(heads, tasks, strict=True)])
    return np.linalg.lstsq(rows, np.concatenate([y for _, y in tasks]), rcond=None)[1][0]


@pytest.mark.parametrize("n_tasks", [3, 4, 6])
def test_the_optimum_is_what_brute_force_reaches(n_tasks):
    """By many climbs over rows in NumPy; of three tasks by a grid over the half sphere of heads too."""
    for seed in range(4):
        tasks = tasks_of(seed, n_tasks)
        solution = mtl.solve(moments_of(tasks), 1, certify=True)
        assert solution.status == Status.ok and solution.route == "newton"
        assert (solution.certificate == Certificate.exact) == (n_tasks <= 5)
        np.testing.assert_allclose(solution.loss, float(search(tasks, np.random.default_rng(seed))), rtol=1e-9)
        np.testing.assert_allclose(solution.loss, float(adversarial.loss(tasks, solution.shared[:, 0])), rtol=1e-11)
        if n_tasks == 3:
            sides = np.linspace(-1, 1, 41)
            grid = [np.insert([a, b], one, 1.0) for one in range(3) for a in sides for b in sides]
            assert min(loss_at(tasks, heads) for heads in grid) >= solution.loss - solution.gap - 1e-9


def test_no_certificate_of_more_tasks_lies():
    """Some of what `python tests/benchmarks/certificates.py` searches at length."""
    judged = judge_tasks(10, seed=5, sizes=((3, 3),))
    assert not [one for one in judged if one.wrong or one.missed]
    assert sum(one.exact for one in judged) >= 8  # or there would be nothing to lie about


@pytest.mark.parametrize("lie", ["no box is looked at", "a box is what its centre is"])
def test_a_judge_of_more_tasks_sees_a_lie(lie, monkeypatch):
    """Where heads are left where they started, and the proof looks away."""
    monkeypatch.setattr(newton, "climb", lambda problem, starts, n: (problem.look(starts), jnp.array(0), jnp.array(True)))
    if lie == "no box is looked at":
        monkeypatch.setattr(newton, "prove", lambda problem, heads, value, tolerance: Proof(heads, value, value, jnp.array(0)))
    else:
        monkeypatch.setattr(boxes, "bound", lambda *data: (lambda values, _, widths: (values, values, widths))(*bound(*data)))
    jax.clear_caches()
    judged = judge_tasks(6, seed=5, ways=("rows",), sizes=((3, 3),))
    jax.clear_caches()
    assert [one for one in judged if one.wrong or one.missed]


@pytest.mark.parametrize("rows", [90, 15])
def test_first_steps_among_few_directions_lead_to_the_same_optimum(rows):
    """Of many more features than starts; with more rows of every task than features, and with fewer."""
    d = 40
    for seed in range(3):
        tasks = random_tasks(np.random.default_rng(seed), d, [rows, 60, 20], 30.0)
        solution = mtl.solve(moments_of(tasks), 1)
        assert solution.status == Status.ok
        np.testing.assert_allclose(solution.loss, float(search(tasks, np.random.default_rng(seed))), rtol=1e-9)


def test_what_few_directions_explain_is_no_more_and_as_much_where_they_were_found():
    problem, rng = random_problem(0, 3, d=24), np.random.default_rng(0)
    found, others = (jnp.asarray(rng.normal(size=(n, 3))) for n in (6, 50))
    few = problem.among(found)
    assert few.sides.shape == (3, 6)
    np.testing.assert_allclose(few.fit(found)[2], problem.fit(found)[2], rtol=1e-10)
    less = few.fit(others)[2] / problem.fit(others)[2]
    assert less.max() <= 1 + 1e-12 and less.min() < 0.999
    small = random_problem(0, 3)
    assert problem.among(found[:4]) is problem and small.among(found) is small  # nothing to save


def random_problem(seed, n_tasks, d=D):
    moments = moments_of(tasks_of(seed, n_tasks, d=d))
    return Heads(moments.gram, moments.cross)


@pytest.mark.parametrize("n_tasks", [2, 3, 5])
def test_nothing_in_a_box_exceeds_its_bound(n_tasks):
    """And its error is of third order: a tenth of the width leaves a thousandth of it, where a slope's would leave a tenth."""
    rng = np.random.default_rng(n_tasks)
    errors, most = [], jax.jit(lambda *box: bound(*box)[1])
    value, top = jax.jit(lambda problem, heads: problem.fit(heads)[2]), jax.jit(lambda *start: climb(*start, 100)[0].heads)
    for seed in range(20):
        problem = random_problem(seed, n_tasks)
        centre = rng.normal(size=(1, n_tasks))
        halves = np.abs(centre) * rng.uniform(0.02, 1.5, (1, n_tasks))
        halves[0, rng.integers(n_tasks)] = 0
        upper = most(problem, jnp.asarray(centre), jnp.asarray(halves))
        corners = rng.choice([-1, 1], (100, n_tasks)) * halves
        inside = centre + np.concatenate([corners, corners * rng.uniform(0, 1, corners.shape)])
        assert value(problem, jnp.asarray(inside)).max() <= upper[0] * (1 + 1e-10)
        heads = top(problem, jnp.asarray(centre))  # narrow boxes around a top, where the slope is none
        widths = 0.03 * jnp.abs(heads), 0.003 * jnp.abs(heads)
        errors.append([float(most(problem, heads, width)[0] - value(problem, heads)[0]) for width in widths])
    wide, narrow = np.array(errors).T
    assert (wide >= -1e-9).all() and np.median(narrow / wide) < 0.02


@pytest.mark.parametrize("n_tasks", [3, 5])
def test_default_draws_are_proven(n_tasks):
    """At least 95 of 100 to 10^-6 of the smaller task's energy; what is not proven says so."""
    recipe = mtl.LinearTasks(n_features=8, n_samples=(40,) * (n_tasks - 1) + (20,))
    cell = mtl.Transfer(recipe, sharing=Hard(certify=True))
    keys = jax.random.split(KEY, 100 if n_tasks == 3 else 20)
    proven = jax.jit(jax.vmap(lambda key: cell(key=key)))(keys)
    assert np.mean(proven.certificate == Certificate.exact) >= 0.95
    if n_tasks == 3:
        usual = jax.jit(jax.vmap(lambda key: mtl.Transfer(recipe)(key=key)))(keys)
        assert (usual.certificate == Certificate.interval).all()
        np.testing.assert_allclose(usual.gain, proven.gain, rtol=1e-6, atol=1e-9)


def test_several_columns_reach_what_brute_force_reaches():
    """Least squares in turn from many random layers, in NumPy; and with room for every task, or one column, the other routes."""
    for seed in range(3):
        tasks = tasks_of(seed, 4, 1000.0)
        solution = mtl.solve(moments_of(tasks), 2)
        assert solution.route == "newton-columns" and solution.status == Status.ok
        assert float(solution.loss) <= oracles.descend(tasks, 2, 15, np.random.default_rng(seed)) * (1 + 1e-9)
        np.testing.assert_allclose(solution.loss, oracles.loss(tasks, solution.parameters), rtol=1e-9)
        one, columns = (mtl.solve(moments_of(tasks), 1, route=route) for route in ("newton", "newton-columns"))
        np.testing.assert_allclose(columns.loss, one.loss, rtol=1e-9)


def test_groups_prove_more_than_pairs():
    tasks = mtl.LinearTasks(n_features=8, n_samples=(40,) * 7).draw(key=KEY)
    moments = mtl.draw_moments(tasks, key=KEY)
    pairs, groups = (mtl.solve(moments, 1, certify=certify) for certify in (False, True))
    assert groups.certificate == Certificate.interval and 0 < groups.gap < 0.6 * pairs.gap
    np.testing.assert_allclose(groups.loss, pairs.loss, rtol=1e-12)


def test_known_answers():
    """Tasks alike share at no cost; one without weight has no say; of orthogonal ones the strongest is kept; units do not count."""
    rng = np.random.default_rng(0)
    theta = rng.normal(size=D)
    alike = [(X, X @ theta * size) for X, size in zip(rng.normal(size=(4, 12, D)), (1, -2, 3, 0.1), strict=True)]
    solution = mtl.solve(moments_of(alike), 1, certify=True)
    assert solution.loss + solution.gap < 1e-10
    np.testing.assert_allclose(solution.parameters, np.outer([1, -2, 3, 0.1], theta), rtol=1e-9, atol=1e-12)
    tasks = tasks_of(1, 3)
    weightless, pair = mtl.solve(moments_of(tasks), 1, (1, 0, 1)), mtl.solve(moments_of([tasks[0], tasks[2]]), 1)
    np.testing.assert_allclose(weightless.loss, pair.loss, rtol=1e-12)
    np.testing.assert_allclose(weightless.parameters[::2], pair.parameters, rtol=1e-7, atol=1e-9)
    orthogonal = [(np.eye(D), size * row) for row, size in zip(np.eye(D), (1, 3, 2), strict=False)]
    np.testing.assert_allclose(mtl.solve(moments_of(orthogonal), 1, certify=True).loss, 1 + 4, rtol=1e-12)
    scaled = [(X * size, y / size) for (X, y), size in zip(tasks, (1, 1e6, 1e-4), strict=True)]
    plain, other = mtl.solve(moments_of(tasks), 1), mtl.solve(moments_of(scaled), 1, (1, 1e12, 1e-8))
    np.testing.assert_allclose(other.loss, plain.loss, rtol=1e-9)


def test_too_few_rows_in_all_are_degenerate():
    rng = np.random.default_rng(0)
    few = [(rng.normal(size=(m, 8)), rng.normal(size=m)) for m in (3, 2, 3)]
    for certify in (False, True):
        solution = mtl.solve(moments_of(few), 1, certify=certify)
        assert solution.status == Status.degenerate and np.isnan(solution.parameters).all()
        np.testing.assert_allclose(solution.loss, 0, atol=1e-10)


@pytest.mark.parametrize("rank", [1, 2])
def test_derivatives_are_those_of_the_optimum(rank):
    moments = moments_of(tasks_of(2, 4))

    def value(cross):
        solution = mtl.solve(mtl.Moments(moments.gram, cross, moments.energy, moments.n_samples), rank)
        return jnp.sum(jnp.sin(solution.parameters)) + solution.loss

    step = jnp.asarray(np.random.default_rng(1).normal(size=moments.cross.shape))
    wanted = (value(moments.cross + 1e-5 * step) - value(moments.cross - 1e-5 * step)) / 2e-5
    np.testing.assert_allclose(jnp.sum(jax.grad(value)(moments.cross) * step), wanted, rtol=1e-6)


def test_certify_must_be_true_or_false():
    with pytest.raises(ValueError, match="certify must be True or False, but is 'yes'"):
        untyped(mtl.solve)(moments_of(tasks_of(0, 3)), 1, certify="yes")


@pytest.mark.parametrize("rank", [1, 2])
def test_nan_is_a_status_and_has_no_certificate(rank):
    """And not that of iterations that were too few, which more of them would not mend."""
    moments = moments_of(tasks_of(0, 3))
    bad = mtl.Moments(moments.gram, moments.cross.at[0, 0].set(jnp.nan), moments.energy, moments.n_samples)
    solution = mtl.solve(bad, rank)
    assert solution.status == Status.ill_conditioned and solution.certificate == Certificate.none


def test_more_columns_than_tasks_are_another_route():
    with pytest.raises(ValueError, match=r"it needs rank <= 3 tasks; use 'separate'"):
        mtl.solve(moments_of(tasks_of(0, 3)), 4, route="newton-columns")
