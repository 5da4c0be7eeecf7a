"""Recipes of tasks: the cosine and the alignment that are asked for are met, and a new draw never moves the others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import Z_LIMIT, close, untyped, z_score

import mtlsim as mtl
from mtlsim.core.status import Status
from mtlsim.tasks.relations import RELATIONS, relate

RNG = np.random.default_rng(0)
D = 9
SOME_ROWS = RNG.normal(size=(30, D)) * np.arange(1, D + 1)
DESIGNS = {
    "isotropic": mtl.Isotropic(2.0),
    "spiked": mtl.Spiked(100.0, fraction=0.25),
    "spiked coordinates": mtl.Spiked(50.0, coordinates=(1, 4, 7)),
    "spiked nearly everywhere": mtl.Spiked(30.0, fraction=0.8),
    "power law": mtl.PowerLaw(1.5),
    "from matrix": mtl.FromMatrix(SOME_ROWS.T @ SOME_ROWS / 30),
    "from data": mtl.from_data(SOME_ROWS),
    "from few rows": mtl.from_data(SOME_ROWS[:4]),
    "rotated": mtl.Rotated(mtl.Spiked(20.0, fraction=0.4), seed=3),
    "rotated matrix": mtl.Rotated(mtl.from_data(SOME_ROWS)),
}
KEY = jax.random.key(5)


SQUARED = 1e-12  # tolerance of squared alignments: the root of a zero that was rounded has lost half its digits


def squared_alignment(first, second) -> float:
    """Normalised Eq. 5 with everything kept, written out and squared: tr(C1 C2) / sqrt(tr C1^2 tr C2^2)."""
    first, second = np.asarray(first), np.asarray(second)
    return np.trace(first @ second) / np.sqrt(np.trace(first @ first) * np.trace(second @ second))


def least(design) -> float:
    return float(mtl.lowest_alignment(design.draw(D)))


def source_and_target(key=KEY, **options):
    tasks = mtl.LinearTasks(n_features=D, **options).draw(key=key)
    return [np.asarray(covariance.matrix()) for covariance in tasks.covariances]


@pytest.mark.parametrize("name", DESIGNS)
def test_designs_are_covariances_and_their_pieces_agree(name):
    covariance = DESIGNS[name].draw(D)
    matrix = np.asarray(covariance.matrix())
    close(matrix, matrix.T)
    close(np.sort(np.linalg.eigvalsh(matrix)), np.sort(covariance.eigenvalues))
    v = RNG.normal(size=D)
    close(covariance.quadratic(jnp.asarray(v)), v @ matrix @ v)
    root = np.asarray(covariance.root(jnp.eye(D)))
    close(root @ root.T, matrix)
    close(covariance.root_transpose(jnp.eye(D)), root.T)
    close(covariance.root(jnp.asarray(v)), root @ v)


def check_lower_root(covariance):
    lower, matrix = np.asarray(covariance.lower_root(jnp.eye(D))), np.asarray(covariance.matrix())
    close(lower @ lower.T, matrix)
    assert not np.triu(lower, 1).any() and np.all(np.diagonal(lower) >= 0)
    v = jnp.asarray(RNG.normal(size=D))
    close(covariance.lower_root(v), lower @ v)


@pytest.mark.parametrize("name", DESIGNS)
def test_the_lower_root_is_a_cholesky_factor(name):
    covariance = DESIGNS[name].draw(D)
    check_lower_root(covariance)
    for relation in RELATIONS:
        wanted = (1 + least(DESIGNS[name])) / 2
        check_lower_root(relate(covariance, relation, wanted, KEY)[0])
    if covariance.basis is None:
        np.testing.assert_array_equal(covariance.lower_root(jnp.eye(D)), covariance.root(jnp.eye(D)))


def test_designs_have_the_spectrum_that_they_are_named_for():
    close(mtl.Isotropic(2.0).draw(D).matrix(), 2 * np.eye(D))
    close(np.diag(mtl.Spiked(100.0, fraction=0.25).draw(D).matrix()), [100] * 2 + [1] * 7)
    close(np.diag(mtl.Spiked(50.0, coordinates=(1, 4, 7)).draw(D).matrix()), [1, 50, 1, 1, 50, 1, 1, 50, 1])
    values = np.arange(1, D + 1) ** -1.5
    close(np.diag(mtl.PowerLaw(1.5).draw(D).matrix()), values / values.mean())
    close(mtl.from_data(SOME_ROWS).draw(D).matrix(), SOME_ROWS.T @ SOME_ROWS / 30)
    close(mtl.FromMatrix(np.eye(D)).draw(D).matrix(), np.eye(D))
    rotated = np.asarray(DESIGNS["rotated"].draw(D).matrix())
    close(np.linalg.eigvalsh(rotated), [1] * 5 + [20] * 4)
    assert np.abs(rotated - np.diag(np.diag(rotated))).max() > 1


@pytest.mark.parametrize("relation", ["geodesic", "coordinates"])
@pytest.mark.parametrize("name", DESIGNS)
def test_the_alignment_asked_for_is_met_at_the_same_spectrum(name, relation):
    target = DESIGNS[name].draw(D)
    for wanted in np.linspace(least(DESIGNS[name]), 1, 6):
        source, status = relate(target, relation, float(wanted), KEY)
        first, second = np.asarray(source.matrix()), np.asarray(target.matrix())
        np.testing.assert_allclose(squared_alignment(first, second), wanted**2, rtol=0, atol=SQUARED)
        measured = mtl.covariance_similarity(source, target, kept=1.0, normalized=True)
        np.testing.assert_allclose(measured**2, wanted**2, rtol=0, atol=SQUARED)
        close(np.linalg.eigvalsh(first), np.linalg.eigvalsh(second))
        assert status == Status.ok


def test_an_isotropic_covariance_has_one_alignment_only():
    assert least(DESIGNS["isotropic"]) == 1.0
    assert mtl.LinearTasks(n_features=D, design=mtl.Isotropic()).draw(key=KEY).status == Status.ok
    with pytest.raises(ValueError, match=r"alignment must be at least 1\.0000 for this spectrum, but is 0\.9; "):
        mtl.LinearTasks(n_features=D, design=mtl.Isotropic(), alignment=0.9)


@pytest.mark.parametrize("name", DESIGNS)
def test_disjoint_is_the_lowest_alignment_that_a_rotation_reaches(name):
    target = DESIGNS[name].draw(D)
    matrix = np.asarray(target.matrix())
    disjoint = np.asarray(relate(target, "disjoint", 1.0, KEY)[0].matrix())
    np.testing.assert_allclose(squared_alignment(disjoint, matrix), least(DESIGNS[name]) ** 2, rtol=0, atol=SQUARED)
    close(np.linalg.eigvalsh(disjoint), np.linalg.eigvalsh(matrix))
    for _ in range(50):
        basis = np.linalg.qr(RNG.normal(size=(D, D)))[0]
        assert squared_alignment(basis @ matrix @ basis.T, matrix) >= least(DESIGNS[name]) ** 2 - SQUARED


def test_disjoint_coordinates_swap_places():
    source, target = source_and_target(design=mtl.Spiked(100.0, coordinates=(0, 1)), relation="disjoint")
    close(np.diag(target), [100, 100] + [1] * 7)
    close(np.sort(np.diag(source)), np.sort(np.diag(target)))
    assert source[0, 0] == pytest.approx(1) and source[1, 1] == pytest.approx(1)


def test_an_alignment_below_the_lowest_is_refused_or_flagged_when_traced():
    design = DESIGNS["power law"]
    low = least(design)
    with pytest.raises(ValueError, match=rf"alignment must be at least {low:.4f}"):
        mtl.LinearTasks(n_features=D, design=design, alignment=low - 0.01)
    drawn = jax.jit(lambda a: mtl.LinearTasks(n_features=D, design=design, alignment=a).draw(key=KEY))
    assert drawn(low - 0.01).status == Status.out_of_range
    assert drawn(low + 1e-9).status == Status.ok
    assert drawn(1.0).status == Status.ok


@pytest.mark.parametrize("relation", ["same", "disjoint", "rotated"])
def test_relations_that_do_not_use_the_alignment_do_not_check_it(relation):
    mtl.LinearTasks(n_features=D, relation=relation, alignment=0.0).draw(key=KEY)


def test_only_the_order_rdq_rotates():
    """R Q D has the law of R D because R Q is Gaussian again: the order printed in the paper leaves the covariance as it was."""
    source, target = source_and_target(relation="rotated", order="rqd")
    np.testing.assert_array_equal(source, target)
    source, target = source_and_target(relation="rotated", order="rdq")
    assert np.abs(source - target).max() > 1
    close(np.linalg.eigvalsh(source), np.linalg.eigvalsh(target))
    other, _ = source_and_target(key=jax.random.key(6), relation="rotated")
    assert np.abs(source - other).max() > 1
    first, second, _ = source_and_target(relation="rotated", n_samples=(9, 9, 9))
    assert np.abs(first - second).max() > 1
    same, target = source_and_target(relation="same")
    np.testing.assert_array_equal(same, target)


def test_random_bases_are_uniform():
    draw = jax.vmap(lambda key: mtl.tasks.covariance.random_basis(key, 3))
    bases = np.asarray(draw(jax.random.split(KEY, 2000)))
    close(bases @ bases.transpose(0, 2, 1), np.broadcast_to(np.eye(3), bases.shape))
    assert np.abs(z_score(bases, 0)).max() < Z_LIMIT
    assert np.abs(z_score(bases**2, 1 / 3)).max() < Z_LIMIT
    assert np.abs(z_score(bases**4, 3 / 15)).max() < Z_LIMIT


@pytest.mark.parametrize("relation", RELATIONS)
def test_every_relation_draws_under_jit_as_outside(relation):
    recipe = mtl.LinearTasks(n_features=D, relation=relation, alignment=0.9, n_samples=(5, 6, 7))
    eager, jitted = recipe.draw(key=KEY), jax.jit(lambda recipe: recipe.draw(key=KEY))(recipe)
    jax.tree.map(close, jax.tree.map(jnp.asarray, eager), jitted)


def test_cosines_and_lengths_are_met_exactly():
    cosines, norms = np.array([0.96, -1.0, 0.0, 1.0, -0.3]), np.array([1.0, 2.0, 0.5, 3.0, 1e-3, 1e3])
    recipe = mtl.LinearTasks(n_features=D, n_samples=(5,) * 6, cosine=tuple(cosines), parameter_norm=tuple(norms))
    theta = np.asarray(recipe.draw(key=KEY).parameters)
    close(np.linalg.norm(theta, axis=1), norms)
    directions = theta / norms[:, None]
    close(directions[:-1] @ directions[-1], cosines)
    assert abs(directions[0] @ directions[2]) < 1  # sources are independent beside the target


def test_directions_of_parameters_are_uniform():
    recipe = mtl.LinearTasks(n_features=4, cosine=0.6)
    theta = np.asarray(jax.vmap(lambda key: recipe.draw(key=key).parameters)(jax.random.split(KEY, 4000)))
    for task in theta.transpose(1, 0, 2):
        assert np.abs(z_score(task, 0)).max() < Z_LIMIT
        assert np.abs(z_score(np.einsum("sd,se->sde", task, task), np.eye(4) / 4)).max() < Z_LIMIT
        assert np.abs(z_score(np.einsum("sd,se->sde", task, task), np.diag([1.1, 1, 1, 1]) / 4)).max() > Z_LIMIT


def test_given_parameters_are_used_as_they_are():
    given = RNG.normal(size=(2, D))
    np.testing.assert_array_equal(mtl.LinearTasks(n_features=D, parameters=given).draw(key=KEY).parameters, given)


def test_excess_risk_is_the_quadratic_form_of_the_error():
    tasks = mtl.LinearTasks(n_features=D, alignment=0.8).draw(key=KEY)
    estimate = jnp.asarray(RNG.normal(size=D))
    for i in range(2):
        error = np.asarray(estimate - tasks.parameters[i])
        close(tasks.excess_risk(estimate, i), error @ np.asarray(tasks.covariances[i].matrix()) @ error)


def test_one_task_and_one_feature_are_allowed():
    alone = mtl.LinearTasks(n_features=D, n_samples=(5,)).draw(key=KEY)
    assert alone.n_tasks == 1 and len(alone.covariances) == 1
    line = mtl.LinearTasks(n_features=1, cosine=-1.0).draw(key=KEY).parameters
    close(line[0], -line[1])
    close(np.abs(line), np.ones((2, 1)))


def test_on_a_line_only_the_cosines_plus_and_minus_one_exist():
    with pytest.raises(ValueError, match=r"cosine must be 1 or -1 with one feature, but is 0\.8; "):
        mtl.LinearTasks(n_features=1, cosine=0.8)


def test_adding_a_task_or_changing_a_number_does_not_move_other_draws():
    options = {"n_features": D, "relation": "rotated"}
    two = mtl.LinearTasks(n_samples=(20, 30), cosine=0.5, **options).draw(key=KEY)
    three = mtl.LinearTasks(n_samples=(20, 40, 30), cosine=(0.5, 0.1), **options).draw(key=KEY)
    np.testing.assert_array_equal(two.parameters, np.asarray(three.parameters)[[0, 2]])
    for few, many in ((0, 0), (1, 2)):
        np.testing.assert_array_equal(two.covariances[few].matrix(), three.covariances[many].matrix())
    other = mtl.LinearTasks(n_samples=(21, 30), cosine=0.5, noise=3.0, **options).draw(key=KEY)
    np.testing.assert_array_equal(two.parameters, other.parameters)
    np.testing.assert_array_equal(two.covariances[0].matrix(), other.covariances[0].matrix())


def test_float32_covariances_from_data_are_accepted():
    few = SOME_ROWS[:4].astype(np.float32)
    np.testing.assert_allclose(mtl.from_data(few).draw(D).matrix(), few.T @ few / 4, atol=1e-3)
    mtl.FromMatrix(few.T @ few / 4)


BAD = [
    ({"n_features": 0}, "n_features must be a whole number >= 1, but is 0; use 40"),
    ({"n_features": 2.5}, "n_features must be a whole number >= 1, but is 2.5"),
    ({"n_samples": 100}, r"n_samples must be one number of rows per task, but is 100; pass n_samples=\(100, 100\) for source"),
    ({"n_samples": (0, 5)}, "n_samples must be whole numbers >= 1, but is 0; round it"),
    ({"n_samples": (5, 2.5)}, "n_samples must be whole numbers >= 1, but is 2.5"),
    ({"n_samples": (5, np.nan)}, "n_samples must be whole numbers >= 1, but is nan"),
    ({"n_samples": (5, np.inf)}, "n_samples must be whole numbers >= 1, but is inf"),
    ({"cosine": 1.01}, "cosine must be between -1 and 1, but is 1.01; use 1 for equal directions"),
    ({"cosine": -2}, "cosine must be between -1 and 1, but is -2"),
    ({"cosine": np.nan}, "cosine must be between -1 and 1, but is nan"),
    ({"cosine": (0.1, 0.2)}, "cosine must be one number or 1, but is 2 numbers; give one per task"),
    ({"cosine": "high"}, "cosine must be a number, but is 'high'"),
    ({"noise": -0.1}, "noise must be a standard deviation >= 0, but is -0.1; use 0 for no noise"),
    ({"noise": (1, np.inf)}, "noise must be a standard deviation >= 0, but is inf"),
    ({"noise": (1, 2, 3)}, "noise must be one number or 2, but is 3 numbers; give one per task"),
    ({"parameter_norm": -1}, "parameter_norm must be a length >= 0, but is -1"),
    ({"alignment": 1.5}, r"alignment must be between 0 and 1 \(1 = same\), but is 1.5"),
    ({"relation": "geodesics"}, "relation must be one of the known names, but is 'geodesics'; did you mean 'geodesic'"),
    ({"order": "rdx"}, "order must be one of the known names, but is 'rdx'; did you mean 'rqd'"),
    ({"rows": "normal"}, "rows must be one of the known names, but is 'normal'; .*choices: gaussian"),
    ({"parameters": np.ones((3, 9))}, r"parameters must be of shape \(2, 9\), but is \(3, 9\); pass one row per task"),
    ({"parameters": np.full((2, 9), np.nan)}, "parameters must be finite, but holds NaN or infinity in 2 of 2 rows"),
    ({"shared_covariates": True, "n_samples": (5, 6)}, "n_samples must be the same for all tasks with shared_covariates"),
    ({"design": mtl.FromMatrix(np.eye(3))}, "covariance must be of size n_features = 9, but is of size 3; pass n_features=3"),
    ({"design": mtl.Spiked(2.0, coordinates=(3, 9))}, r"coordinates must be in 0..8, but is \(3, 9\); drop the others"),
]


@pytest.mark.parametrize("options, sentence", BAD)
def test_bad_recipes_are_refused_in_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        mtl.LinearTasks(**{"n_features": D, **options})


BAD_DESIGNS = [
    (lambda: mtl.Spiked(0.5), "condition_number must be at least 1, but is 0.5; use 1 for an isotropic covariance"),
    (lambda: mtl.Spiked(fraction=1.0), "fraction must be strictly between 0 and 1, but is 1.0; use 0.2"),
    (lambda: mtl.Isotropic(-1.0), "scale must be a variance > 0, but is -1.0; use 1"),
    (lambda: mtl.PowerLaw(np.nan), "exponent must be a finite number, but is nan; use 1"),
    (lambda: mtl.FromMatrix(np.ones((2, 3))), r"covariance must be a square matrix, but is of shape \(2, 3\); pass X.T @ X"),
    (lambda: mtl.FromMatrix(np.array([[1, 2], [0, 1.0]])), "covariance must be symmetric, but is off by 2; pass"),
    (lambda: mtl.FromMatrix(np.diag([1, -1.0])), "covariance must be positive semidefinite, but is with an eigenvalue -1; clip"),
    (lambda: mtl.FromMatrix(np.full((2, 2), np.nan)), "covariance must be finite, but holds NaN or infinity in 2 of 2 rows"),
    (lambda: mtl.from_data(np.ones(3)), r"X must be a matrix of rows, but is of shape \(3,\)"),
    (lambda: mtl.from_data(np.ones((0, 3))), r"X must be at least one row, but is of shape \(0, 3\)"),
    (lambda: mtl.from_data(np.array([[np.inf, 1.0]])), "X must be finite, but holds NaN or infinity in 1 of 1 row"),
]


@pytest.mark.parametrize("make, sentence", BAD_DESIGNS)
def test_bad_designs_are_refused_in_one_sentence(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


@pytest.mark.parametrize(
    "key, found", [(None, "missing"), (jax.random.PRNGKey(0), "ArrayImpl"), (0, "int"), (jax.random.split(KEY), r"of shape \(2,\)")]
)
def test_a_key_must_be_one_new_style_key(key, found):
    with pytest.raises(ValueError, match=f"key must be .*but is {found}; pass key"):
        untyped(mtl.LinearTasks.draw)(mtl.LinearTasks(n_features=D), key=key)


def test_an_angle_is_another_word_for_the_cosine():
    tasks = mtl.LinearTasks(D, (30, 20, 20), angle=(60, 180.0))
    assert tasks.cosine == (pytest.approx(0.5, abs=1e-15), -1.0)
    drawn = tasks.draw(key=KEY).parameters
    lengths = jnp.linalg.norm(drawn, axis=1)
    close(jnp.rad2deg(jnp.arccos(drawn[0] @ drawn[-1] / lengths[0] / lengths[-1])), 60.0)
    assert mtl.ReluTasks(D, (30, 20), angle=90).cosine == (pytest.approx(0, abs=1e-15),)
    for bad, said in (({"angle": 181}, "between 0 and 180 degrees"), ({"angle": 3, "cosine": 0.5}, "left out where a cosine")):
        with pytest.raises(ValueError, match=said):
            mtl.LinearTasks(D, (30, 20), **bad)


@pytest.mark.parametrize("x64", [True, False])
@pytest.mark.parametrize("n", [10**10, 10**20])
def test_numbers_of_rows_may_exceed_what_whole_numbers_of_the_machine_hold(n, x64):
    with jax.enable_x64(x64):
        tasks = mtl.LinearTasks(n_features=3, n_samples=(n, 9), parameter_norm=(n, 1)).draw(key=jax.random.key(0))
        np.testing.assert_allclose(tasks.n_samples, [float(n), 9], rtol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(np.asarray(tasks.parameters, float), axis=1), [float(n), 1], rtol=1e-5)
