"""Two tasks, rank one, where it is delicate: degenerate, identical, opposite, proportional, empty; and its invariances."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from conftest import close
from instances import moments_of, random_tasks, rows_of

import mtlsim as mtl
from mtlsim.core.status import Certificate, Status

D = 4
RNG = np.random.default_rng(8)
TASKS = random_tasks(RNG, D, (9, 7), 100.0)
(X1, Y1), (X2, Y2) = TASKS
KEEP = np.array([1.0, 1.0, 0.0, 1.0])  # all columns but one


def twice(X, column):
    """One column replaced by a copy of another."""
    return np.column_stack([X[:, :3], X[:, column]])


def orthogonal_labels(X, sizes):
    """Labels whose single-task directions are orthogonal in X'X, of the given energies, without noise."""
    left = np.linalg.svd(X, full_matrices=False)[0]
    return [np.sqrt(size) * left[:, i] for i, size in enumerate(sizes)]


ORTHOGONAL = orthogonal_labels(X1, (4.0, 1.0))
CASES = {
    "plain": TASKS,
    "identical": [(X1, Y1), (X1, Y1)],
    "opposite": [(X1, Y1), (X1, -Y1)],
    "identical without noise": [(X1, X1 @ KEEP), (X1, X1 @ KEEP)],
    "same direction, no noise, other rows and lengths": [(X1, X1 @ KEEP), (X2, -3 * X2 @ KEEP)],
    "no noise": [(X1, X1 @ KEEP), (X2, X2 @ np.array([1, 2, -1, 0.5]))],
    "proportional grams": [(X1, Y1), (3 * X1, RNG.normal(size=9))],
    "equal grams": [(X1, Y1), (X1, RNG.normal(size=9))],
    "equal and isotropic grams": [(np.eye(4), Y1[:4]), (np.eye(4), Y2[:4])],
    "negative head ratio": [(X1, X1 @ KEEP + 0.1 * Y1), (X2, -X2 @ KEEP + 0.1 * Y2)],
    "no labels in the source": [(X1, 0 * Y1), (X2, Y2)],
    "no labels in the target": [(X1, Y1), (X2, 0 * Y2)],
    "no labels at all": [(X1, 0 * Y1), (X2, 0 * Y2)],
    "a column is missing in both": [(X1 * KEEP, Y1), (X2 * KEEP, Y2)],
    "a column is missing in the source": [(X1 * KEEP, Y1), (X2, Y2)],
    "a column is missing in the target": [(X1, Y1), (X2 * KEEP, Y2)],
    "a column is doubled in both": [(twice(X1, 0), Y1), (twice(X2, 0), Y2)],
    "a column is doubled in the source": [(twice(X1, 0), Y1), (X2, Y2)],
    "fewer rows than features in one": [(X1, Y1), (X2[:2], Y2[:2])],
    "fewer rows than features in both": [(X1[:3], Y1[:3]), (X2[:2], Y2[:2])],
    "one row": [(X1, Y1), (X2[:1], Y2[:1])],
    "a million times larger": [(1e3 * X1, 1e3 * Y1), (X2, Y2)],
    "all rows zero in one": [(X1, Y1), (0 * X2, Y2)],
}


@pytest.mark.parametrize("name", CASES)
def test_delicate_problems_are_solved_exactly(name):
    tasks = CASES[name]
    solution, truth = mtl.solve(moments_of(tasks), 1), oracles.pair(tasks)
    scale = 1e-9 * sum(truth.energies) + 1e-13 * sum(y @ y for _, y in tasks)
    assert solution.status == Status.ok
    assert solution.certificate == Certificate.exact
    assert abs(oracles.regret(tasks, solution.parameters) - truth.regret) <= scale
    assert abs(solution.loss - truth.loss) <= scale
    assert solution.loss - solution.gap <= truth.loss + 1e-14 * sum(y @ y for _, y in tasks)


@pytest.mark.parametrize("name, sign", [("identical", 1), ("opposite", -1), ("negative head ratio", -1)])
def test_the_head_ratio_has_the_right_sign(name, sign):
    heads = mtl.solve(moments_of(CASES[name]), 1).heads[:, 0]
    assert heads[1] > 0 and np.sign(heads[0]) == sign
    if name != "negative head ratio":
        close(heads[0], sign * heads[1])


def test_identical_tasks_lose_nothing_by_sharing():
    close(mtl.solve(moments_of(CASES["identical"]), 1).parameters, np.stack([oracles.least_squares(X1, Y1)] * 2), 2)


def test_the_ratio_of_heads_is_right_to_rounding_where_values_are_equal():
    """Near the optimum the explained energy is the same in all of its digits, and only its slope tells: identical tasks without
    noise have equal heads, which were off by up to 2e-7 where their covariances are far apart."""
    design = mtl.PowerLaw(float(np.log(1e4) / np.log(8)))
    tasks = mtl.LinearTasks(8, (100, 100), cosine=1.0, noise=0.0, design=design, relation="disjoint")

    def ratio(key):
        heads = mtl.solve(mtl.draw_moments(tasks.draw(key=key), key=key), 1).heads[:, 0]
        return heads[1] / heads[0] - 1

    found = jax.jit(lambda keys: jax.lax.map(ratio, keys))(jax.random.split(jax.random.key(1), 100))
    assert np.abs(np.asarray(found)).max() < 1e-9 and np.median(np.abs(found)) < 1e-12


def test_on_equal_grams_the_better_of_two_orthogonal_tasks_wins():
    """The optimum is at the end of the range of head ratios, where the smaller task gets no head."""
    tasks = [(X1, labels) for labels in ORTHOGONAL]
    solution = mtl.solve(moments_of(tasks), 1)
    np.testing.assert_allclose(solution.loss, 1.0, rtol=1e-6)
    np.testing.assert_allclose(solution.parameters[1], 0, atol=1e-3 * np.abs(solution.parameters[0]).max())
    assert solution.loss - solution.gap <= 1.0 + 1e-12


DEGENERATE = {
    "as many rows in all as features": [(X1[:2], Y1[:2]), (X2[:2], Y2[:2])],
    "fewer rows in all than features": [(X1[:1], Y1[:1]), (X2[:2], Y2[:2])],
    "no direction that both see": [(X1 * [1, 1, 0, 0], Y1), (X2 * [0, 0, 1, 1], Y2)],
    "many copies of one row each": [(np.tile(X1[:2], (5, 1)), Y1.repeat(2)[:10]), (np.tile(X2[:2], (5, 1)), Y2.repeat(2)[:10])],
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_too_few_rows_are_flagged_and_their_answer_is_not_made_up(name):
    """Every head ratio reaches the sum of both tasks' own best losses, and each predicts differently."""
    tasks = DEGENERATE[name]
    solution = mtl.solve(moments_of(tasks), 1)
    assert solution.status == Status.degenerate
    for leaf in (solution.parameters, solution.shared, solution.heads):
        assert np.isnan(leaf).all()
    own = sum(np.sum((X @ oracles.least_squares(X, y) - y) ** 2) for X, y in tasks)
    np.testing.assert_allclose(solution.loss, own, atol=1e-12 * sum(y @ y for _, y in tasks))


def test_a_flat_objective_is_flagged_too():
    """Equal grams, orthogonal tasks of equal energy: every combination of both explains the same."""
    solution = mtl.solve(moments_of([(X1, labels) for labels in orthogonal_labels(X1, (1.0, 1.0))]), 1)
    assert solution.status == Status.degenerate
    assert np.isnan(solution.parameters).all()
    np.testing.assert_allclose(solution.loss, 1.0)


@pytest.mark.parametrize("ridge", [0.3, (0.3, 0.0), (0.0, 1e-4)])
def test_a_ridge_makes_a_degenerate_problem_definite(ridge):
    tasks = DEGENERATE["as many rows in all as features"]
    solution, truth = mtl.solve(moments_of(tasks), 1, ridge=ridge), oracles.pair(tasks, ridge=ridge)
    assert solution.status == Status.ok
    np.testing.assert_allclose(solution.loss, truth.loss, rtol=1e-6, atol=1e-10)


DRAWN = {
    n: mtl.LinearTasks(n_features=D, n_samples=n, alignment=0.8, noise=0.5)
    for n in [(9, 7), (3, 3), (2, 9), (9, 1), (2, 2), (1, 3)]
}


@pytest.mark.parametrize("n", DRAWN)
def test_drawn_moments_and_the_same_without_their_factor_agree(n):
    for seed in range(5):
        drawn = mtl.draw_moments(DRAWN[n].draw(key=jax.random.key(seed)), key=jax.random.key(seed + 50))
        plain = mtl.Moments(drawn.gram, drawn.cross, drawn.energy, drawn.n_samples)
        one, other = mtl.solve(drawn, 1), mtl.solve(plain, 1)
        assert one.status == other.status == (Status.ok if sum(min(m, D) for m in n) > D else Status.degenerate)
        if one.status == Status.ok:
            tasks, rest = rows_of(drawn)
            truth = oracles.pair(tasks)
            for solution in (one, other):
                assert abs(oracles.regret(tasks, solution.parameters) - truth.regret) <= 1e-8 * truth.energies.min()
                np.testing.assert_allclose(solution.loss, truth.loss + rest.sum(), rtol=1e-7, atol=1e-9)


def test_swapping_the_tasks_swaps_the_answer():
    for tasks in [TASKS, CASES["fewer rows than features in both"], CASES["a million times larger"]]:
        one, other = mtl.solve(moments_of(tasks), 1), mtl.solve(moments_of(tasks[::-1]), 1)
        np.testing.assert_allclose(one.loss, other.loss, rtol=1e-9, atol=1e-13 * sum(y @ y for _, y in tasks))
        np.testing.assert_allclose(one.parameters, other.parameters[::-1], rtol=1e-5, atol=1e-5 * np.abs(other.parameters).max())


def test_scaling_and_turning_the_problem_scales_and_turns_the_answer():
    base = mtl.solve(moments_of(TASKS), 1)
    turn = np.linalg.qr(RNG.normal(size=(D, D)))[0]
    turned = mtl.solve(moments_of([(X @ turn.T, y) for X, y in TASKS]), 1)
    close(turned.parameters, np.asarray(base.parameters) @ turn.T, 4)
    louder = mtl.solve(moments_of([(X, 7 * y) for X, y in TASKS]), 1)
    close(louder.parameters, 7 * np.asarray(base.parameters), 4)
    close(louder.loss, 49 * base.loss, 2)
    own_units = mtl.solve(moments_of([(X1, Y1), (X2, -100 * Y2)]), 1, weights=(1, 1e-4))  # labels of one task in other units
    close(own_units.parameters, np.asarray(base.parameters) * [[1], [-100]], 4)
    close(own_units.loss, base.loss, 2)


def test_a_weight_is_a_number_of_copies_and_all_weights_together_do_not_matter():
    weighted = mtl.solve(moments_of(TASKS), 1, weights=(3, 1), ridge=(0.0, 0.4))
    copies = mtl.solve(moments_of([(np.tile(X1, (3, 1)), np.tile(Y1, 3)), TASKS[1]]), 1, ridge=(0.0, 0.4))
    close(weighted.parameters, copies.parameters, 4)
    close(weighted.loss, copies.loss, 2)
    larger = mtl.solve(moments_of(TASKS), 1, weights=(300, 100), ridge=(0.0, 0.4))
    close(larger.parameters, weighted.parameters, 4)
    close(larger.loss, 100 * weighted.loss, 2)


@pytest.mark.parametrize("left_out", [0, 1])
@pytest.mark.parametrize("drawn", [False, True])
def test_a_task_of_weight_zero_has_no_say_but_gets_its_head(left_out, drawn):
    moments = mtl.draw_moments(DRAWN[9, 7].draw(key=jax.random.key(0)), key=jax.random.key(1)) if drawn else moments_of(TASKS)
    tasks = rows_of(moments)[0] if drawn else TASKS
    solution = mtl.solve(moments, 1, weights=[1.0 * (i != left_out) for i in range(2)])
    assert solution.status == Status.ok
    own = oracles.least_squares(*tasks[1 - left_out])
    close(solution.parameters[1 - left_out], own, 4)
    np.testing.assert_allclose(solution.parameters[left_out], oracles.refit(tasks, own[:, None])[left_out], rtol=1e-5, atol=1e-5)
    wanted = moments.energy[1 - left_out] - oracles.energies(tasks)[1 - left_out]
    np.testing.assert_allclose(solution.loss, wanted, rtol=1e-8)


def test_a_covariance_without_some_directions_is_no_trouble():
    """A design from fewer rows than features: the drawn rows see only part of the space, however many they are."""
    few = mtl.from_data(RNG.normal(size=(3, D)))
    for relation, n in (("same", (9, 7)), ("geodesic", (9, 7)), ("same", (3, 2)), ("geodesic", (2, 9))):
        recipe = mtl.LinearTasks(n_features=D, n_samples=n, design=few, relation=relation, alignment=0.8)
        drawn = mtl.draw_moments(recipe.draw(key=jax.random.key(2)), key=jax.random.key(3))
        assert not drawn.rank_known
        # the oracle works in the range of the covariances: it would take a rounding error outside of it for a direction
        range_ = np.linalg.eigh(np.asarray(few.matrix))[1][:, 1:] if relation == "same" else np.eye(D)
        tasks = []
        for i in range(2):
            values, vectors = np.linalg.eigh(range_.T @ np.asarray(drawn.gram[i]) @ range_)
            kept = values > 1e-10 * values.max()
            assert kept.sum() == min(n[i], 3)
            rows = (np.sqrt(values[kept]) * vectors[:, kept]).T
            tasks.append((rows, np.linalg.lstsq(rows.T, range_.T @ np.asarray(drawn.cross[i]), rcond=None)[0]))
            close(mtl.solve_single(drawn[i]), range_ @ oracles.least_squares(*tasks[i]), 3)
        solution, truth = mtl.solve(drawn, 1), oracles.pair(tasks)
        assert solution.status == Status.ok
        close(solution.parameters, np.asarray(solution.parameters) @ range_ @ range_.T, 4)
        excess = oracles.regret(tasks, np.asarray(solution.parameters) @ range_) - truth.regret
        assert abs(excess) <= 1e-8 * truth.energies.min()


def test_the_solver_is_the_same_mapped_and_traced():
    many = [random_tasks(RNG, D, (9, 7), 10.0) for _ in range(6)] + [DEGENERATE["as many rows in all as features"]]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[moments_of(tasks) for tasks in many])
    mapped = jax.jit(jax.vmap(lambda m: mtl.solve(m, 1)))(stacked)
    for i, tasks in enumerate(many):
        one = mtl.solve(moments_of(tasks), 1)
        close(mapped.loss[i], one.loss, 1) if one.loss > 1e-9 else np.testing.assert_allclose(mapped.loss[i], one.loss, atol=1e-9)
        np.testing.assert_allclose(mapped.parameters[i], one.parameters, rtol=1e-6, atol=1e-6)
        assert mapped.status[i] == one.status and mapped.certificate[i] == one.certificate
    with jax.disable_jit():
        eager = mtl.solve(moments_of(TASKS), 1)
    close(mtl.solve(moments_of(TASKS), 1).loss, eager.loss)


@pytest.mark.parametrize("output", ["loss", "parameters"])
def test_gradients_are_those_of_finite_differences(output):
    """Of the loss, as if the optimum stood still, and of the parameters, which move with the data."""
    moments = moments_of(TASKS)
    coefficients = jnp.asarray(np.random.default_rng(7).normal(size=(2, D)))

    @jax.jit
    def value(gram, cross):
        solution = mtl.solve(mtl.Moments(gram, cross, moments.energy, moments.n_samples), 1)
        return solution.loss if output == "loss" else jnp.sum(coefficients * solution.parameters)

    for seed in range(3):
        rng = np.random.default_rng(seed)
        step = rng.normal(size=(2, D, D)), rng.normal(size=(2, D))
        step = jnp.asarray(step[0] + step[0].swapaxes(1, 2)), jnp.asarray(step[1])
        _, slope = jax.jvp(value, (moments.gram, moments.cross), step)
        along = lambda h, step=step: value(moments.gram + h * step[0], moments.cross + h * step[1])
        slopes = [(8 * (along(h) - along(-h)) - (along(2 * h) - along(-2 * h))) / (12 * h) for h in (3e-4, 5e-4, 7e-4, 1e-3, 2e-3)]
        gradient = jax.grad(value, (0, 1))(moments.gram, moments.cross)
        terms = sum(jnp.sum(jnp.abs(g * s)) for g, s in zip(gradient, step, strict=True))  # which may cancel, their errors do not
        # a search that rests where the loss is level to its last digit leaves a rare one of them far off: their median is not
        np.testing.assert_allclose(slope, np.median(slopes), atol=1e-6 * terms)
        close(sum(jnp.sum(g * s) for g, s in zip(gradient, step, strict=True)), slope, 2)
