"""Layers of several ReLU units without samples: risks and gradients against rows, best heads, training curves, dead units."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import Z_LIMIT, close, z_score

import mtlsim as mtl
from mtlsim.cells.training_curve import TrainingCurve
from mtlsim.samples.data import draw_rows
from mtlsim.solvers.network import Layers
from mtlsim.solvers.task_gradients import linear_gradients, population_gradients, population_moments, relu_gradients
from mtlsim.training.weighted import WeightedTraining

RECIPE = mtl.ReluTasks(4, (60, 40, 50), cosine=(0.7, -0.3), amplitude=(1.0, -2.0, 0.5), noise=0.3, design=mtl.Spiked(6.0))
TASKS = RECIPE.draw(key=jax.random.key(0))
N_ROWS = 100_000


def random_layers(rank: int) -> Layers:
    rng = np.random.default_rng(rank)
    return Layers(jnp.asarray(rng.normal(size=(4, rank))), jnp.asarray(rng.normal(size=(3, rank))))


@pytest.fixture(scope="module")
def many():
    """Many rows of the same tasks."""
    tasks = dataclasses.replace(TASKS, capacity=N_ROWS, n_samples=jnp.full(3, float(N_ROWS)))
    return draw_rows(tasks, key=jax.random.key(1))


def look(view, tasks, layers, weights=(1.0, 1.0, 1.0)):
    """Losses, gram, mixed gradient of the shared layer, gradients of the heads."""
    seen = jax.jit(lambda tasks, layers: (lambda s: (s.losses, s.gram, s.mix(jnp.asarray(weights)), s.heads))(view(tasks, layers)))
    return seen(tasks, layers)


@pytest.mark.parametrize("rank", [1, 3])
def test_risks_are_those_of_endless_rows(rank, many):
    layers = random_layers(rank)
    losses, _, *gradients = look(population_gradients, TASKS, layers)
    fitted = np.maximum(np.asarray(many.X) @ np.asarray(layers.shared), 0) @ np.asarray(layers.heads)[..., None]
    squares = (fitted[..., 0] - np.asarray(many.y)) ** 2
    for task in range(3):
        assert abs(z_score(squares[task], losses[task])) < Z_LIMIT < abs(z_score(squares[task], 1.1 * losses[task]))
    for known, drawn in zip(gradients, look(relu_gradients, many, layers)[2:], strict=True):
        np.testing.assert_allclose(known, drawn, atol=0.03 * np.abs(drawn).max())


def test_population_gradients_are_derivatives():
    layers, step = random_layers(2), 1e-6
    weights = jnp.array([0.5, 2.0, 1.0])
    total = jax.jit(lambda layers: jnp.sum(weights * population_gradients(TASKS, layers).losses))
    _, gram, mixed, _ = look(population_gradients, TASKS, layers, weights)
    for index in np.ndindex(4, 2):
        moved = [total(Layers(layers.shared.at[index].add(side * step), layers.heads)) for side in (1, -1)]
        np.testing.assert_allclose((moved[0] - moved[1]) / (2 * step), mixed[index], rtol=1e-5, atol=1e-7)
    close(jnp.sqrt(gram[1, 1]), jnp.linalg.norm(look(population_gradients, TASKS, layers, (0.0, 1.0, 0.0))[2]))


def test_best_heads_are_least_squares_on_endless_rows(many):
    shared = random_layers(3).shared
    heads = TASKS.best_heads(shared)
    risks = lambda heads: jnp.stack([TASKS.excess_risk(shared, heads[i], i) for i in range(3)])
    assert np.abs(jax.grad(lambda heads: jnp.sum(risks(heads)))(heads)).max() < 1e-12
    for task in range(3):
        units = np.maximum(np.asarray(many.X[task]) @ np.asarray(shared), 0)
        np.testing.assert_allclose(heads[task], np.linalg.lstsq(units, np.asarray(many.y[task]), rcond=None)[0], atol=0.05)
    twice = TASKS.best_heads(jnp.concatenate([shared, shared[:, :1]], 1))  # units that coincide share their head
    close(twice[:, 0], twice[:, 3], 3)
    close(twice[:, 0] + twice[:, 3], heads[:, 0], 5)
    exact = TASKS.best_heads(TASKS.parameters.T)
    close(exact, jnp.diag(TASKS.amplitude), 5)


def test_dead_units_have_finite_gradients_and_stay():
    layers = random_layers(2)
    dead = Layers(layers.shared.at[:, 1].set(0), layers.heads)
    seen = look(population_gradients, TASKS, dead)
    assert all(np.isfinite(leaf).all() for leaf in seen) and (seen[-1][:, 1] == 0).all()


def test_moments_of_the_population_are_those_of_its_rows(many):
    moments = population_moments(TASKS)
    of_rows = jnp.einsum("kmd,km->kd", many.X, many.y) / N_ROWS
    np.testing.assert_allclose(moments.cross, of_rows, atol=0.05)
    np.testing.assert_allclose(moments.energy, jnp.mean(many.y**2, -1), rtol=0.03)
    assert linear_gradients(moments, random_layers(1)).losses.shape == (3,)


TRAINING = WeightedTraining("sgd", 200, 0.05, decay=False)


def test_training_curves_follow_the_flow_of_the_population():
    cell = TrainingCurve(mtl.ReluTasks(3, (50, 50), noise=0.5, design=mtl.Isotropic()), 2, training=TRAINING, n_points=10)
    data = mtl.sweep(cell, {"population": [False, True], "tasks.n_samples": [10, 8000]}, 6, jax.random.key(0), progress=False)
    assert data["risk"].dims == ("population", "tasks.n_samples", "seed", "point")
    few, rows = (data["risk"].sel(population=False).isel({"tasks.n_samples": i}).values for i in range(2))
    flow = data["risk"].sel(population=True).values
    close(flow[0], flow[1])  # it knows no rows
    assert np.abs(rows / flow[1] - 1).mean() < 0.1 < 0.5 < np.abs(few / flow[1] - 1).mean()
    assert (np.diff(data["loss"].sel(population=True).values, axis=-1) < 1e-12).all()  # gradient flow never rises
    close(data["steps"].values[0, 0, 0], np.arange(20, 201, 20))


def test_smaller_steps_come_to_the_flow_at_first_order():
    cell = TrainingCurve(RECIPE, 2, population=True, n_points=10)
    run = jax.jit(lambda cell, key: cell(key=key).loss)
    rates = [(WeightedTraining("sgd", 100 * fine, 0.02 / fine, decay=False)) for fine in (2, 8, 32)]
    coarse, fine, finest = (run(dataclasses.replace(cell, training=training), jax.random.key(3)) for training in rates)
    ratio = np.abs(coarse - fine).max() / np.abs(fine - finest).max()
    assert 3.5 < ratio < 4.5 and np.abs(fine - finest).max() < 0.03 * finest.max()


def test_training_that_diverges_says_so():
    cell = TrainingCurve(mtl.ReluTasks(4, (20, 20)), 2, training=WeightedTraining("sgd", 100, 50.0, decay=False), n_points=2)
    curve = jax.jit(lambda key: cell(key=key))(jax.random.key(0))
    assert curve.status == mtl.Status.not_converged and not np.isfinite(curve.risk[-1])


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: TrainingCurve(mtl.ReluTasks(rows="student"), population=True), "tasks must be with Gaussian rows"),
        (lambda: TrainingCurve(mtl.ReluTasks(), rank=0), "rank must be a whole number >= 1"),
        (lambda: TrainingCurve(mtl.ReluTasks(), target=2), "target must be the index of one of 2 tasks"),
        (lambda: TrainingCurve(mtl.ReluTasks(), n_points=7), "n_points must be a divisor of n_steps = 2000"),
        (lambda: TASKS.best_heads(jnp.zeros((3, 2))), "shared must be of shape"),
    ],
)
def test_bad_input_is_one_sentence(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
