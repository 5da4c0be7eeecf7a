"""ReLU tasks: the kernel, the population optimum against free search, fits against oracles, and the same doors as linear tasks."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import Z_LIMIT, close, z_score
from scipy.integrate import quad
from scipy.optimize import brentq, minimize

import mtlsim as mtl
from mtlsim.cells.network import measured_risk
from mtlsim.core.arc_cosine import angle_between, kappa, kappa_slope, shortfall
from mtlsim.core.status import Certificate, Status
from mtlsim.samples.data import Rows, draw_rows
from mtlsim.solvers.network import Layers, Network, balanced, descend, objective, outputs, predicted_fall
from mtlsim.solvers.relu_population import make_pair, solve_relu_pair
from mtlsim.tasks.relu import ReluPopulation, unit_products
from mtlsim.training.network import Training, solve_network

solve_pair = jax.jit(lambda spectra, parameters, energies: solve_relu_pair(make_pair(spectra, parameters, energies)))


def kernel(c):
    """kappa in NumPy."""
    c = np.clip(c, -1, 1)
    return (np.sqrt(1 - c**2) + c * (np.pi - np.arccos(c))) / np.pi


# ------------------------------------------------------------------------------------------------ kernel
@pytest.mark.parametrize("angle", [0.0, 0.3, np.pi / 2, 2.5, np.pi])
def test_the_kernel_is_the_integral(angle):
    # E relu(r cos t) relu(r cos(t - angle)) over the plane, r^3 exp(-r^2 / 2) dr integrating to 2
    integral = quad(lambda t: max(np.cos(t), 0) * max(np.cos(t - angle), 0), -np.pi, np.pi, points=[-np.pi / 2, np.pi / 2])[0]
    close(kappa(jnp.cos(angle)) / 2, integral / np.pi, 2)


def test_known_values_slopes_and_small_angles():
    close(kappa(jnp.array([1.0, 0.0, -1.0])), [1, 1 / np.pi, 0])
    close(jax.grad(kappa)(jnp.asarray(0.3)), kappa_slope(jnp.asarray(0.3)))
    close(jax.grad(jax.grad(kappa))(jnp.asarray(0.3)), 1 / (np.pi * np.sqrt(1 - 0.09)))
    assert np.isfinite(jax.grad(jax.grad(kappa))(jnp.asarray(1.0))) and np.isfinite(jax.grad(kappa)(jnp.asarray(-1.0)))
    for angle in (1e-9, 1e-4, 0.049, 0.051, 1.0):
        series = angle**2 / 2 - angle**3 / (3 * np.pi) if angle < 0.01 else 1 - kernel(np.cos(angle))
        np.testing.assert_allclose(shortfall(jnp.asarray(angle)), series, rtol=1e-8 if angle > 0.01 or angle < 1e-6 else 1e-7)
    u = jnp.array([1.0, 2.0, 2.0])
    close(angle_between(u, u + 1e-9 * jnp.array([0.0, 1.0, -1.0])), 1e-9 * np.sqrt(2) / 3, 3)
    close(angle_between(u, -u), np.pi)


# ------------------------------------------------------------------------------------------------ population
def free_search(spectra, parameters, energies, rng, n_starts):
    """Best F over directions by quasi-Newton from random starts, in NumPy and SciPy alone."""
    sides = spectra * parameters / np.sqrt((spectra * parameters**2).sum(1, keepdims=True))

    def negative(b):
        sizes = np.sqrt((spectra * b**2).sum(1))
        c = np.clip((sides * b).sum(1) / sizes, -1, 1)
        slopes = -2 * energies * kernel(c) * (np.pi - np.arccos(c)) / np.pi
        gradient = (slopes / sizes)[:, None] * (sides - c[:, None] * spectra * b / sizes[:, None])
        return -(energies * kernel(c) ** 2).sum(), gradient.sum(0)

    starts = rng.normal(size=(n_starts, spectra.shape[1])) / np.sqrt(spectra.mean(0))
    return max(-minimize(negative, start, jac=True, method="BFGS", options={"gtol": 1e-10}).fun for start in starts)


@pytest.mark.parametrize("equal", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_no_search_exceeds_the_population_optimum(seed, equal):
    rng = np.random.default_rng(seed)
    spectra = np.exp(rng.uniform(0, np.log(10.0) * rng.choice([1, 4]), (2, 12)))
    spectra[0] = 3 * spectra[1] if equal else spectra[0]
    parameters = rng.normal(size=(2, 12))
    cosine = rng.uniform(-1, 1)
    parameters[0] = cosine * parameters[1] + np.sqrt(1 - cosine**2) * parameters[0]
    energies = np.exp(rng.normal(size=2))
    found = solve_pair(spectra, parameters, energies)
    best = free_search(spectra, parameters, energies, rng, 20)
    assert best - 1e-8 <= found.explained <= best + 1e-10  # the very optimum
    assert best <= found.explained + found.gap + 1e-12
    assert found.gap < 0.03 * energies.min() and (not equal or found.certificate == Certificate.exact)


def test_two_equal_tasks_stop_sharing_at_the_critical_angle():
    squared = lambda angle: kernel(np.cos(angle)) ** 2
    second = lambda angle: (squared(angle + 1e-4) - 2 * squared(angle) + squared(angle - 1e-4)) / 1e-8
    half = brentq(second, 0.5, 1.0)
    assert abs(np.degrees(2 * half) - 85.406) < 2e-3 and abs(np.cos(2 * half) - 0.0801) < 1e-4

    def explained(degrees):
        angle = np.radians(degrees)
        parameters = np.array([[np.cos(angle), np.sin(angle), 0.0], [1.0, 0.0, 0.0]])
        found = solve_pair(np.ones((2, 3)), parameters, np.ones(2))
        assert found.certificate == Certificate.exact
        return np.sort(kernel(np.asarray(found.cosines)) ** 2)[::-1]

    for degrees in (20.0, 60.0, 85.0):
        close(explained(degrees), [squared(np.radians(degrees / 2))] * 2, 4)
    assert np.ptp(explained(86.5)) > 0.05 > 0.005 > np.ptp(explained(85.3))
    for degrees, wanted in ((90.0, (0.878, 0.272)), (120.0, (0.999, 0.014)), (180.0, (1.0, 0.0))):
        np.testing.assert_allclose(explained(degrees), wanted, atol=6e-4)
    close(explained(0.0), [1.0, 1.0])


def test_the_sign_case_of_a_negative_cosine_is_found():
    """A search over mixtures of positive weights alone ends lower here."""
    rng = np.random.default_rng(0)
    hits = tried = 0
    while (hits < 2 or tried < 12) and tried < 60:
        tried += 1
        spectra, parameters = np.exp(rng.uniform(0, 5, (2, 6))), rng.normal(size=(2, 6))
        energies = np.array([1.0, 0.3])
        found = solve_pair(spectra, parameters, energies)
        hits += bool(jnp.min(found.cosines) < 0)
        assert abs(found.explained - free_search(spectra, parameters, energies, rng, 20)) < 1e-10
    assert hits >= 2, tried


def test_population_cells_of_both_models():
    run = jax.jit(lambda recipe, key: mtl.Population(recipe)(key=key))
    for family, score in ((mtl.ReluTasks, lambda c: kernel(c) ** 2), (mtl.LinearTasks, lambda c: c**2)):
        found = run(family(n_features=6, n_samples=(300, 100), cosine=0.5, design=mtl.Spiked(1.0)), jax.random.key(0))
        angles = np.linspace(0, np.pi / 3, 20_001)  # between the tasks, from the source
        values = 3 * score(np.cos(angles)) + score(np.cos(np.pi / 3 - angles))
        close(found.cosine_source, np.cos(angles[np.argmax(values)]), 5)
        close(found.risk_multi, (1 - found.explained_target) * (0.5 if family is mtl.ReluTasks else 1.0))
        assert found.status == Status.ok and found.gap < 1e-6
    rotated = mtl.ReluTasks(n_features=6, n_samples=(300, 100), cosine=0.8, design=mtl.Spiked(30.0), alignment=0.7)
    found = run(rotated, jax.random.key(1))
    tasks = rotated.draw(key=jax.random.key(1))
    values, factor, vectors = (np.asarray(a) for a in _pencil(*(np.asarray(c.matrix()) for c in tasks.covariances)))
    moved = np.asarray(tasks.parameters) @ factor @ vectors
    energies = np.array([300, 100]) * np.asarray(tasks.energies())
    best = free_search(np.stack([values, np.ones(6)]), moved, energies, np.random.default_rng(0), 20)
    close(energies @ np.array([found.explained_source, found.explained_target]), best, 1)
    with pytest.raises(ValueError, match="tasks must be a source and the target"):
        mtl.Population(mtl.ReluTasks(n_samples=(9, 9, 9)))
    with pytest.raises(ValueError, match="tasks must be with Gaussian rows"):
        mtl.Population(mtl.ReluTasks(rows="student"))


def _pencil(first, second):
    factor = np.linalg.cholesky(second)
    inverse = np.linalg.inv(factor)
    return *np.linalg.eigh(inverse @ first @ inverse.T)[:1], factor, np.linalg.eigh(inverse @ first @ inverse.T)[1]


@pytest.mark.parametrize("case", ["zero target", "zero source", "opposite", "same", "condition 1e4"])
def test_edges_of_the_population(case):
    theta = np.random.default_rng(1).normal(size=(2, 5))
    spectra = np.exp(np.random.default_rng(2).uniform(0, 1, (2, 5)))
    energies = np.ones(2)
    if case.startswith("zero"):
        row = int(case == "zero target")
        theta[row], energies[row] = 0, 0
    theta[0] = {"opposite": -theta[1], "same": 2 * theta[1]}.get(case, theta[0])
    spectra = np.array([[1e4, 1, 1, 1, 1], [1, 1, 1, 1, 1e4]]) if case == "condition 1e4" else spectra
    found = solve_pair(spectra, theta, energies)
    assert np.isfinite(found.direction).all() and np.isfinite(found.gap)
    wanted = {"zero target": 1.0, "zero source": 1.0, "opposite": 1.0, "same": 2.0}
    if case in wanted:
        close(found.explained, wanted[case])


# ------------------------------------------------------------------------------------------------ risk and draws
def test_excess_risk_is_that_of_fresh_rows():
    tasks = mtl.ReluTasks(n_features=4, n_samples=(5, 5), amplitude=(1.0, -2.0), design=mtl.Spiked(9.0)).draw(key=jax.random.key(0))
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400_000, 4)) * np.sqrt(np.asarray(tasks.covariances[1].eigenvalues))
    truth = -2.0 * np.maximum(X @ np.asarray(tasks.parameters[1]), 0)
    for rank in (1, 3):
        shared, head = rng.normal(size=(4, rank)), rng.normal(size=rank)
        losses = (np.maximum(X @ shared, 0) @ head - truth) ** 2
        exact = tasks.excess_risk(jnp.asarray(shared), jnp.asarray(head), 1)
        assert abs(z_score(losses, exact)) < Z_LIMIT < abs(z_score(losses, 1.1 * exact))
    own = tasks.parameters[1][:, None]
    assert tasks.excess_risk(own, jnp.array([-2.0]), 1) == 0
    close(tasks.excess_risk(own, jnp.array([-2.0 + 1e-8]), 1), 0.5e-16 * tasks.covariances[1].quadratic(own[:, 0]), 6)
    close(unit_products(jnp.eye(2)), [[0.5, 0.5 / np.pi], [0.5 / np.pi, 0.5]])


def test_room_moves_no_row():
    small = mtl.ReluTasks(n_features=3, n_samples=(4, 6), noise=0.5)
    large = dataclasses.replace(small, capacity=50)
    assert small.capacity == 6 and large.capacity == 50
    few, many = (draw_rows(recipe.draw(key=jax.random.key(0)), key=jax.random.key(1)) for recipe in (small, large))
    close(many.X[:, :6], few.X)
    close(many.y[:, :6], few.y)
    assert many.used.sum(1).tolist() == [4, 6]


# ------------------------------------------------------------------------------------------------ fits
def random_problem(seed, loss="squared", activation="relu", rank=1):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(2, 15, 4))
    y = rng.normal(size=(2, 15)) if loss == "squared" else rng.choice([-1.0, 1.0], (2, 15))
    used = np.arange(15) < np.array([[15], [9]])
    rows = Rows(jnp.asarray(np.where(used[..., None], X, 0)), jnp.asarray(np.where(used, y, 0)), jnp.asarray(used))
    network = Network(jnp.array([1.0, 0.7]), jnp.array([0.3, 0.0]), activation, loss)
    return network, rows, Layers(jnp.asarray(rng.normal(size=(4, rank))), jnp.asarray(rng.normal(size=(2, rank))))


@pytest.mark.parametrize(("loss", "activation"), [("squared", "relu"), ("logistic", "relu"), ("logistic", "identity")])
def test_the_system_is_that_of_automatic_derivatives(loss, activation):
    from mtlsim.solvers.network import _system

    network, rows, layers = random_problem(0, loss, activation, rank=2)
    width = 0.2 if activation == "relu" else 0.0
    layers = balanced(layers)
    gradient, matrix = _system(network, rows, layers, jnp.asarray(width))
    radial = np.zeros((12, 2))
    radial[:4, 0], radial[4:8, 1] = layers.shared[:, 0], layers.shared[:, 1]
    tangent = np.eye(12) - radial @ radial.T
    flat = lambda layers: jnp.concatenate([layers.shared.T.reshape(-1), layers.heads.reshape(-1)])
    wanted = jax.grad(lambda layers: objective(network, rows, layers, width))(layers)
    close(gradient, tangent @ flat(wanted), 2)
    assert np.linalg.eigvalsh(matrix).min() > -1e-9
    if activation == "identity":  # Gauss-Newton of the fitted values, from their own Jacobian
        unflat = lambda v: Layers(v[:8].reshape(2, 4).T, v[8:].reshape(2, 2))
        jacobian = jax.jacobian(lambda v: outputs(network, rows, unflat(v)))(flat(layers))
        f = outputs(network, rows, layers)
        bend = jax.nn.sigmoid(f) * jax.nn.sigmoid(-f) * rows.used * network.weights[:, None]
        decay = jax.jacobian(lambda v: jnp.sqrt(0.3) * unflat(v).heads[0] * unflat(v).shared)(flat(layers)).reshape(-1, 12)
        whole = jnp.einsum("kmp,km,kmq->pq", jacobian, bend, jacobian) + 2 * decay.T @ decay
        close(tangent @ matrix @ tangent, tangent @ whole @ tangent, 3)


def test_steps_never_raise_the_objective_and_end_flat():
    network, rows, layers = random_problem(1)
    values = [float(objective(network, rows, layers))]
    step = jax.jit(lambda layers: descend(network, rows, layers, jnp.zeros(1)))
    for _ in range(12):
        layers = step(layers)
        values.append(float(objective(network, rows, layers)))
    assert (np.diff(values) <= 1e-12).all() and values[-1] < values[0]
    close(outputs(network, rows, balanced(layers)), outputs(network, rows, layers))
    smooth = jax.jit(lambda layers: descend(network, rows, layers, jnp.full(40, 0.05)))(layers)
    assert predicted_fall(network, rows, smooth, 0.05) < 1e-10 < 1e-6 < predicted_fall(network, rows, random_problem(1)[2], 0.05)


def test_identity_units_have_the_exact_linear_optimum():
    tasks = mtl.LinearTasks(n_features=5, n_samples=(40, 30), cosine=0.7, noise=0.5, design=mtl.Spiked(5.0), relation="disjoint")
    data = mtl.draw_data(tasks.draw(key=jax.random.key(0)), (40, 30), key=jax.random.key(1))
    exact = mtl.solve([mtl.Moments.from_data(one.X, one.y) for one in data], 1)
    pad = lambda a: jnp.pad(a, [(0, 40 - len(a)), *[(0, 0)] * (a.ndim - 1)])
    rows = Rows(
        jnp.stack([pad(one.X) for one in data]), jnp.stack([pad(one.y) for one in data]), jnp.arange(40) < jnp.array([[40], [30]])
    )
    network = Network(jnp.ones(2), jnp.zeros(2), "identity", "squared")
    found = solve_network(network, rows, 1, Training(), jax.random.key(0))
    close(found.loss, exact.loss)
    close(found.heads * found.shared[:, 0], exact.parameters, 5)
    assert found.status == Status.ok and found.fall < 1e-12


N_PROBLEMS, N_RANDOM = 16, 40


def test_fits_are_as_good_as_the_best_of_many_random_starts():
    recipe = mtl.ReluTasks(n_features=8, n_samples=(50, 40), cosine=0.7, noise=0.5, design=mtl.Isotropic())
    network = Network(jnp.ones(2), jnp.zeros(2), "relu", "squared")

    def both(key):
        rows = draw_rows(recipe.draw(key=key), key=key)
        starts = jax.random.normal(key, (N_RANDOM, 8, 1)), jax.random.normal(jax.random.fold_in(key, 1), (N_RANDOM, 2, 1))
        falls = jnp.geomspace(1e-2, 1e-7, 60)
        random = jax.lax.map(lambda start: objective(network, rows, descend(network, rows, Layers(*start), falls)), starts)
        one = solve_network(network, rows, 1, Training(), key)
        lone = solve_network(network, rows, 1, Training(n_hops=0), key)
        return {"random": jnp.min(random), "hopped": one.loss, "plain": lone.loss, "status": one.status}

    found = jax.jit(jax.vmap(both))(jax.random.split(jax.random.key(0), N_PROBLEMS))
    excess = np.asarray(found["hopped"] / found["random"] - 1)
    assert (excess <= 1e-6).mean() >= 0.9, excess
    assert (found["hopped"] <= found["plain"] * (1 + 1e-12)).all() and (found["hopped"] < found["plain"] * (1 - 1e-6)).any()
    assert (np.asarray(found["status"]) == Status.ok).mean() >= 0.9


def test_many_rows_lead_to_the_population_optimum():
    """Two tasks at 50 degrees, energies four to one: the shared unit is at 5.989 degrees from the heavier task's."""
    angle = np.radians(50)
    parameters = np.array([[2.0, 0, 0], [np.cos(angle), np.sin(angle), 0]])
    recipe = mtl.ReluTasks(n_features=3, n_samples=(4000, 4000), parameters=parameters, noise=0.1, design=mtl.Isotropic())
    found = mtl.Population(recipe)(key=jax.random.key(0))
    assert abs(np.degrees(np.arccos(found.cosine_source)) - 5.989) < 1e-3
    network = Network(jnp.ones(2), jnp.zeros(2), "relu", "squared")

    def fitted(key):
        solution = solve_network(network, draw_rows(recipe.draw(key=key), key=key), 1, Training(n_hops=0, n_steps=20), key)
        return jnp.degrees(jnp.arctan2(solution.shared[1, 0], solution.shared[0, 0]))

    angles = jax.jit(jax.vmap(fitted))(jax.random.split(jax.random.key(1), 24))
    assert abs(z_score(angles, 5.989)) < Z_LIMIT < abs(z_score(angles, 1.1 * 5.989)) and angles.std() < 0.5


def test_early_stopping_and_start_size_are_knobs():
    recipe = mtl.ReluTasks(n_features=6, n_samples=(30, 4), cosine=1.0, noise=0.0, design=mtl.Isotropic())
    train = lambda size, steps: mtl.Transfer(recipe, rank=3, training=Training("adam", steps, start_size=size, learning_rate=0.02))
    keys = jax.random.split(jax.random.key(0), 32)
    draw_all = lambda cell: jax.jit(jax.vmap(lambda key: cell(key=key).risk_multi))(keys)
    short, small, large = (np.asarray(draw_all(train(*knobs))) for knobs in ((0.1, 20), (0.1, 1500), (3.0, 1500)))
    assert train(0.1, 20)(key=keys[0]).route == "adam"
    # risks of heavy tails: some start from where nothing is left to learn, or where nothing is learned
    assert z_score(short - small, 0) > Z_LIMIT and np.median(small) < 0.1 * np.median(short)
    assert (large > 3 * small).mean() > 0.5


# ------------------------------------------------------------------------------------------------ the same doors
QUICK = Training(n_steps=12, n_hops=1)  # one shape for all that follows, which is compiled once
SMALL = mtl.ReluTasks(n_features=5, n_samples=(30, 20), cosine=0.9, noise=0.5)


def test_relu_cells_are_swept_like_linear_ones():
    cell = mtl.Transfer(SMALL, training=QUICK)
    data = mtl.sweep(cell, {"tasks.cosine": [-0.5, 0.95], "tasks.n_samples[0]": [10, 60]}, 8, jax.random.key(0), progress=False)
    assert data.gain.shape == (2, 2, 8) and np.isfinite(data.gain).all()
    at = dataclasses.replace(cell, tasks=dataclasses.replace(SMALL, cosine=(0.95,), n_samples=(10, 20)))
    alone = at(key=jax.random.fold_in(jax.random.key(0), 3))  # with less room: the same rows
    close(data.gain.values[1, 0, 3], alone.gain, 4)
    assert data.gain_mean.values[1, 1] > data.gain_mean.values[0, 1]  # an opposite unit is no help to a ReLU
    assert "newton" in repr(alone)


def test_other_rows_are_measured_on_held_out_ones():
    draws = [
        mtl.Transfer(dataclasses.replace(SMALL, rows=rows), training=QUICK)(key=jax.random.key(0))
        for rows in ("gaussian", "sphere")
    ]
    assert all(0 < draw.risk_single < 1 and np.isfinite(draw.gain) for draw in draws)
    tasks = SMALL.draw(key=jax.random.key(0))
    solution = jnp.ones((5, 1)), jnp.ones(1)
    held_out = [measured_risk(dataclasses.replace(tasks, rows="sphere"), *solution, 1, jax.random.key(i)) for i in range(20)]
    # rows on a sphere of five dimensions are not Gaussian: their risk is near, and not the same
    assert 0.9 < np.mean(held_out) / tasks.excess_risk(*solution, 1) < 1.1


def test_dead_units_and_one_sided_tasks_have_finite_answers():
    opposite = dataclasses.replace(SMALL, cosine=(-1.0,), noise=(0.0, 0.0))
    silent = dataclasses.replace(SMALL, parameter_norm=(1.0, 0.0), noise=(0.0, 0.0))
    few = dataclasses.replace(SMALL, n_samples=(2, 1))
    for tasks in (opposite, silent, few):
        draw = mtl.Transfer(tasks, training=QUICK)(key=jax.random.key(0))
        known = np.isfinite([draw.gain, draw.risk_single, draw.risk_multi]).all()
        assert known if tasks is not few else known == (draw.status != Status.degenerate)
    assert mtl.Transfer(silent, training=QUICK)(key=jax.random.key(0)).risk_single < 1e-12


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: mtl.Transfer(mtl.LinearTasks(), training=Training()), "training must be left out for linear tasks"),
        (lambda: mtl.Transfer(mtl.ReluTasks(), sharing="pooled"), "sharing must be 'hard' of depth one for ReLU tasks"),
        (lambda: mtl.ReluTasks(amplitude=(1.0, 2.0, 3.0)), "amplitude must be one number or 2"),
        (lambda: mtl.ReluTasks(amplitude=np.nan), "amplitude must be a finite number"),
        (lambda: Training("newtn"), "did you mean 'newton'"),
        (lambda: Training(n_steps=0), "n_steps must be at least 1"),
        (lambda: Training(learning_rate=0.0), "learning_rate must be a number > 0"),
    ],
)
def test_bad_input_is_one_sentence(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


def test_a_population_keeps_its_type():
    assert isinstance(mtl.ReluTasks(n_samples=(9, 9)).draw(key=jax.random.key(0)), ReluPopulation)


SHORT = Training(n_hops=2)
EDGES = {  # of one static shape
    "no signal and no noise": mtl.ReluTasks(5, (30, 20), amplitude=0.0, noise=0.0, design=mtl.Spiked(1.0), capacity=100),
    "same": mtl.ReluTasks(5, (80, 80), cosine=1.0, noise=0.0, design=mtl.Spiked(1.0), capacity=100),
    "condition 1e4": mtl.ReluTasks(5, (100, 60), cosine=1.0, noise=0.1, design=mtl.Spiked(1e4), capacity=100),
    "one row": mtl.ReluTasks(5, (30, 1), noise=0.5, design=mtl.Spiked(1.0), capacity=100),
}


def test_edges_of_fits():
    run = jax.jit(jax.vmap(lambda cell, key: cell(key=key), in_axes=(None, 0)))
    keys = jax.random.split(jax.random.key(0), 3)
    draws = {name: run(mtl.Transfer(recipe, training=SHORT), keys) for name, recipe in EDGES.items()}
    for name in ("no signal and no noise", "same"):
        assert (draws[name].status == Status.ok).all() and np.abs(draws[name].gain).max() < 1e-9
    assert (draws["condition 1e4"].status == Status.ok).all() and (draws["condition 1e4"].risk_multi < 0.01).all()
    # the row is held at its kink and the head grows without end: no answer, and no number in its place
    off = draws["one row"].status == Status.degenerate
    assert off.any() and (off == ~np.isfinite(draws["one row"].gain)).all()


def test_more_units_than_rows():
    cell = mtl.Transfer(mtl.ReluTasks(6, (4, 3), noise=0.1), 6, training=SHORT)
    wide = jax.jit(jax.vmap(lambda key: cell(key=key)))(jax.random.split(jax.random.key(0), 3))
    assert np.isfinite(wide.risk_single).all() and (wide.status == Status.ok).all()
