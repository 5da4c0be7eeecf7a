"""Classification: what labels are, errors known exactly, fits against convex and certified oracles, bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import Z_LIMIT, close, z_score
from scipy.optimize import minimize
from scipy.special import expit

import mtlsim as mtl
from mtlsim.cells.network import N_HELD_OUT, measured_risk
from mtlsim.samples.data import Rows, draw_rows
from mtlsim.solvers.network import Network
from mtlsim.theory.statements import classification_least_squares
from mtlsim.training.network import Training, solve_network

N = 200_000


def labels_of(**recipe):
    """Scores and labels of many rows of the target of one recipe."""
    tasks = mtl.ClassificationTasks(n_features=3, n_samples=(1, N), parameter_norm=1.5, **recipe).draw(key=jax.random.key(0))
    rows = draw_rows(tasks, key=jax.random.key(1))
    return np.asarray(rows.X[1] @ tasks.parameters[1]), np.asarray(rows.y[1]), tasks


def test_labels_are_what_they_are_said_to_be():
    scores, labels, _ = labels_of()
    assert (labels == np.sign(scores)).all() and set(labels) == {-1.0, 1.0}
    scores, labels, _ = labels_of(flip=0.1)
    assert abs(z_score(labels != np.sign(scores), 0.1)) < Z_LIMIT < abs(z_score(labels != np.sign(scores), 0.11))
    scores, labels, _ = labels_of(labels="logistic")
    bins = np.digitize(scores, [-1, 0, 1])
    for part in range(4):
        chosen = bins == part
        wanted = expit(scores[chosen]).mean()
        assert abs(z_score(labels[chosen] > 0, wanted)) < Z_LIMIT < abs(z_score(labels[chosen] > 0, 1.1 * wanted))
    noisy = labels_of(noise=1.0)
    wrong = noisy[1] != np.sign(noisy[0])
    # the score and the score with noise are Gaussian at an angle: they differ in sign on its share of the half circle
    share = np.arctan2(1.0, float(jnp.sqrt(noisy[2].covariances[1].quadratic(noisy[2].parameters[1])))) / np.pi
    assert abs(z_score(wrong, share)) < Z_LIMIT < abs(z_score(wrong, 1.1 * share))


def test_rows_drawn_alone_have_the_labels_of_their_family():
    recipes = mtl.ClassificationTasks(3, (20, 20)), mtl.ReluTasks(3, (20, 20), noise=0.0)
    for recipe, signal in zip(recipes, (np.sign, lambda scores: np.maximum(scores, 0)), strict=True):
        tasks = recipe.draw(key=jax.random.key(0))
        data = mtl.draw_data(tasks, (20, 20), key=jax.random.key(1))
        close(data[1].y, signal(np.asarray(data[1].X @ tasks.parameters[1])))


def test_the_error_is_an_angle():
    scores, _, tasks = labels_of(design=mtl.Spiked(9.0))
    rows = draw_rows(tasks, key=jax.random.key(1))
    direction = np.array([1.0, -0.5, 2.0])
    differ = np.sign(np.asarray(rows.X[1]) @ direction) != np.sign(scores)
    exact = tasks.excess_error(jnp.asarray(direction), 1)
    assert abs(z_score(differ, exact)) < Z_LIMIT < abs(z_score(differ, 1.1 * exact))
    assert tasks.excess_error(3 * tasks.parameters[1], 1) < 1e-15 and tasks.excess_error(-tasks.parameters[1], 1) == 1


def test_a_relu_unit_labels_by_coin_where_it_is_off():
    for labels, chance in (("sign", lambda s: np.ones_like(s)), ("logistic", expit)):
        scores, found, tasks = labels_of(activation="relu", labels=labels)
        on = scores > 0
        assert abs(z_score(found[~on] > 0, 0.5)) < Z_LIMIT < abs(z_score(found[~on] > 0, 0.55))
        wanted = chance(scores[on]).mean()
        assert abs(found[on].mean() - (2 * wanted - 1)) < Z_LIMIT * 2 / np.sqrt(on.sum())
    rows = draw_rows(tasks, key=jax.random.key(1))
    direction = jnp.array([1.0, -0.5, 2.0])
    missed = (scores > 0) & (np.asarray(rows.X[1] @ direction) <= 0)
    exact = measured_risk(tasks, direction[:, None], jnp.ones(1), 1, jax.random.key(2))
    assert abs(z_score(missed, exact)) < Z_LIMIT < abs(z_score(missed, 1.1 * exact))
    assert measured_risk(tasks, direction[:, None], -jnp.ones(1), 1, jax.random.key(2)) == 0.5
    pair = jnp.stack([direction, -direction], 1)  # the first decides where it is on, the second says no where the first is off
    held_out = measured_risk(tasks, pair, jnp.array([1.0, -1.0]), 1, jax.random.key(2))
    assert abs(held_out - exact) < 4 * np.sqrt(exact / N_HELD_OUT)


def test_a_relu_unit_learns_classes():
    recipe = mtl.ClassificationTasks(4, (200, 40), cosine=0.95, labels="logistic", parameter_norm=4.0, activation="relu")
    data = mtl.sweep(mtl.Transfer(recipe), {"tasks.cosine": [0.97, -0.97]}, 12, jax.random.key(0), progress=False)
    assert data.gain_sign.values.tolist() == [1, -1]  # a linear unit would be turned round by its head
    assert data.risk_single.values.mean() < 0.25 and (data.status.values == mtl.Status.ok).mean() > 0.9


def test_one_task_is_logistic_regression():
    tasks = mtl.ClassificationTasks(n_features=4, n_samples=(60,), cosine=(), labels="logistic", parameter_norm=2.0)
    rows = draw_rows(tasks.draw(key=jax.random.key(0)), key=jax.random.key(1))
    X, y = np.asarray(rows.X[0]), np.asarray(rows.y[0])
    network = Network(jnp.ones(1), jnp.full(1, 0.3), "identity", "logistic")
    found = solve_network(network, rows, 1, Training(), jax.random.key(0))
    loss = lambda w: np.logaddexp(0, -y * (X @ w)).sum() + 0.3 * w @ w
    oracle = minimize(
        loss, np.zeros(4), jac=lambda w: -(y * expit(-y * (X @ w))) @ X + 0.6 * w, method="BFGS", options={"gtol": 1e-10}
    )
    close(found.loss, oracle.fun)
    close(found.shared[:, 0] * found.heads[0, 0], oracle.x, 5)
    assert found.status == mtl.Status.ok


def test_squared_loss_has_the_certified_optimum():
    recipe = mtl.ClassificationTasks(n_features=5, n_samples=(40, 30), cosine=0.5, flip=0.1)
    network = Network(jnp.ones(2), jnp.zeros(2), "identity", "squared")

    def both(key):
        rows = draw_rows(recipe.draw(key=key), key=key)
        gram = jnp.einsum("kmd,kme->kde", rows.X, rows.X)
        moments = mtl.Moments(gram, jnp.einsum("kmd,km->kd", rows.X, rows.y), jnp.sum(rows.y**2, -1), jnp.array([40.0, 30.0]))
        return {"fitted": solve_network(network, rows, 1, Training(), key).loss, "exact": mtl.solve(moments, 1).loss}

    found = jax.jit(jax.vmap(both))(jax.random.split(jax.random.key(0), 20))
    excess = np.asarray(found["fitted"] / found["exact"] - 1)
    assert (excess > -1e-9).all() and (excess < 1e-8).mean() >= 0.9, excess


def test_known_errors_of_least_squares():
    """100 features and 150 rows alone: predicted 0.2605, measured 0.2563(14) elsewhere; and here."""
    tasks = mtl.ClassificationTasks(n_features=100, n_samples=(50, 150), design=mtl.Isotropic(), relation="same")
    case = classification_least_squares.PooledLabels(tasks, (0.0, 1.0))
    predicted = classification_least_squares.predict(case, jax.random.key(0))["error"]
    assert abs(predicted - 0.2605) < 6e-5
    measure = jax.jit(jax.vmap(lambda key: classification_least_squares.measure(case, key)["error"]))
    errors = np.asarray(measure(jax.random.split(jax.random.key(0), 100)))
    assert (
        abs(errors.mean() / predicted - 1) < classification_least_squares.trust(case) and abs(z_score(errors, 1.1 * predicted)) > 4
    )


QUICK = Training(n_steps=12)
LOGISTIC = Network(jnp.ones(1), jnp.zeros(1), "identity", "logistic")
ZERO_ONE = Rows(jnp.ones((1, 4, 2)), jnp.array([[0.0, 1.0, 1.0, 0.0]]), jnp.ones((1, 4), bool))
SMALL = mtl.ClassificationTasks(n_features=4, n_samples=(40, 12), cosine=0.95)


@pytest.fixture(scope="module")
def swept():
    grid = {"tasks.cosine": [0.0, 0.98], "tasks.n_samples[0]": [10, 200]}
    return mtl.sweep(mtl.Transfer(SMALL, training=QUICK), grid, 40, jax.random.key(0), progress=False)


def test_classification_cells_are_swept_like_linear_ones(swept):
    assert (swept.risk_single.values >= 0).all() and (swept.risk_single.values <= 1).all()
    assert swept.gain_mean.values[1, 1] > max(0, swept.gain_mean.values[0, 1])
    assert swept.gain_sign.values[1, 1] == 1  # many rows of nearly the same boundary help, separable labels or not


def test_separable_and_one_sided_labels_have_bounded_answers(swept):
    assert (swept.risk_single < 0.5).all() and swept.status.isin([mtl.Status.ok, mtl.Status.not_converged]).all()
    rows = Rows(jnp.ones((2, 6, 3)), jnp.ones((2, 6)), jnp.ones((2, 6), bool))
    network = Network(jnp.ones(2), jnp.full(2, 1e-3), "identity", "logistic")
    found = solve_network(network, rows, 1, QUICK, jax.random.key(0))
    assert np.isfinite(found.shared).all() and np.abs(found.heads).max() < 1e3 and (found.heads * found.shared.sum() > 0).all()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: mtl.ClassificationTasks(flip=0.5), "flip must be a share of labels from 0 to 1/2"),
        (lambda: mtl.ClassificationTasks(labels="probit"), "labels must be one of the known names"),
        (lambda: mtl.Transfer(mtl.ReluTasks(), loss="logistic"), "loss must be squared for these tasks"),
        (lambda: mtl.Transfer(mtl.LinearTasks(), loss="logistic"), "loss must be squared for these tasks"),
        (lambda: mtl.Transfer(mtl.ClassificationTasks(), loss="hinge"), "loss must be logistic or squared"),
        (lambda: mtl.Transfer(mtl.ClassificationTasks(), sharing="soft"), "sharing must be 'hard'"),
        (lambda: mtl.ClassificationTasks(activation="tanh"), "activation must be one of"),
        (lambda: solve_network(LOGISTIC, ZERO_ONE, 1, QUICK, jax.random.key(0)), "labels must be -1 and 1, but is"),
        (lambda: mtl.ClassificationTasks(capacity=0), "capacity must be a whole number of rows"),
        (
            lambda: mtl.draw_moments(mtl.ClassificationTasks().draw(key=jax.random.key(0)), key=jax.random.key(1)),
            "tasks must be linear",
        ),
        (lambda: mtl.Decomposition(mtl.ReluTasks())(key=jax.random.key(0)), "tasks must be linear"),
        (lambda: mtl.Population(mtl.ClassificationTasks()), "tasks must be linear or ReLU"),
    ],
)
def test_bad_input_is_one_sentence(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


def test_configurations_name_the_family(tmp_path):
    from mtlsim.configuration import build, read

    (tmp_path / "a.toml").write_text(
        '[tasks]\nfamily = "classification"\nflip = 0.1\n[cell]\nloss = "squared"\ntraining = {n_steps = 5}\n'
    )
    cell, _ = build(read(tmp_path / "a.toml"))
    assert isinstance(cell.tasks, mtl.ClassificationTasks) and cell.loss == "squared" and cell.training.n_steps == 5
    with pytest.raises(ValueError, match="did you mean 'relu'"):
        build(read(tmp_path / "a.toml", ["tasks.family=rel"]))
    with pytest.raises(ValueError, match="made of entries of relu tasks.*flip"):
        build(read(tmp_path / "a.toml", ["tasks.family=relu"]))
