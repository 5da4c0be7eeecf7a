"""Training with task weights: gradients, where every scheme ends, trouble as status, the weighting cell and its oracle."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import close
from instances import moments_of, random_tasks

import mtlsim as mtl
from mtlsim.cells.oracle import best_weights, solve_mean_losses
from mtlsim.cells.weighting import Weighting
from mtlsim.configuration import build, read
from mtlsim.core.keys import stream
from mtlsim.core.status import Status
from mtlsim.samples.data import Rows, draw_rows
from mtlsim.samples.wishart import draw_moments
from mtlsim.solvers.network import Layers
from mtlsim.solvers.task_gradients import batch_of, facts_of, linear_gradients, mean_moments, relu_gradients
from mtlsim.tasks.covariance import Isotropic
from mtlsim.training.weighted import WeightedTraining, train_weighted
from mtlsim.weighting import find_scheme, scheme_names

KEY = jax.random.key(3)
TASKS = random_tasks(np.random.default_rng(0), 5, (30, 12, 50), noise=0.5)
LONG = WeightedTraining(n_steps=3000, learning_rate=0.05)
STOPPED = {"mgda", "nash-mtl", "inverse-gradient-norm", "dynamic-task-prioritization"}  # schemes whose weights may vanish


def rows_of_tasks(tasks, room=60):
    """The tasks as padded rows; what is beyond a task's rows is not to be read."""
    X, y, used = np.full((len(tasks), room, 5), 7.0), np.full((len(tasks), room), 7.0), np.zeros((len(tasks), room), bool)
    for i, (rows, labels) in enumerate(tasks):
        X[i, : len(rows)], y[i, : len(rows)], used[i, : len(rows)] = rows, labels, True
    return Rows(jnp.asarray(X), jnp.asarray(y), jnp.asarray(used))


@jax.jit
def optimum(moments, weights):
    """The exact optimum of rank one, one program for all two tasks of five features."""
    return solve_mean_losses(moments, 1, weights, KEY)


def some_layers(rank=2):
    rng = np.random.default_rng(5)
    return Layers(jnp.asarray(rng.normal(size=(5, rank))), jnp.asarray(rng.normal(size=(3, rank))))


@pytest.mark.parametrize("activation", ["identity", "relu"])
def test_gradients_against_autodiff(activation):
    bend = jax.nn.relu if activation == "relu" else lambda scores: scores

    @jax.jit
    def losses(layers):
        return jnp.stack([jnp.mean((bend(X @ layers.shared) @ a - y) ** 2) for (X, y), a in zip(TASKS, layers.heads, strict=True)])

    layers = some_layers()
    relu = activation == "relu"
    seen = relu_gradients(rows_of_tasks(TASKS), layers) if relu else linear_gradients(mean_moments(moments_of(TASKS)), layers)
    slopes = jax.jit(jax.jacobian(losses))(layers)
    close(seen.losses, losses(layers))
    close(seen.gram, jnp.einsum("kdr,ldr->kl", slopes.shared, slopes.shared))
    close(seen.mix(jnp.array([1.0, 2.0, 3.0])), jnp.einsum("k,kdr->dr", jnp.array([1.0, 2.0, 3.0]), slopes.shared))
    close(seen.heads, jnp.stack([slopes.heads[k, k] for k in range(3)]))


def test_shared_rows_are_the_same_as_equal_rows():
    rng = np.random.default_rng(1)
    X, Y = rng.normal(size=(20, 5)), rng.normal(size=(20, 3))
    once, thrice = mtl.Moments.from_shared_rows(X, Y), moments_of([(X, y) for y in Y.T])
    for one, other in zip(*(linear_gradients(mean_moments(m), some_layers()) for m in (once, thrice)), strict=True):
        if not callable(one):
            close(one, other)


def test_batches_come_from_the_rows_that_are_there():
    rows = rows_of_tasks(TASKS)
    batch = batch_of(rows, 500, KEY, 3)
    assert bool(jnp.all(batch.used)) and not bool(jnp.any(batch.y == 7.0))
    for i, (_, y) in enumerate(TASKS):
        assert set(np.unique(batch.y[i])) == set(y)
    facts = facts_of(rows, relu_gradients(rows, some_layers()), 2)
    close(facts.variances, [y.var() for _, y in TASKS])
    jax.tree.map(
        close, facts.moments, mtl.Moments(*(getattr(moments_of(TASKS), f) for f in ("gram", "cross", "energy", "n_samples")))
    )


@pytest.mark.parametrize("weights", [None, (3.0, 0.5)])
def test_fixed_weights_end_at_the_optimum_of_the_exact_solver(weights):
    moments, scheme = moments_of(TASKS[:2]), find_scheme("equal")() if weights is None else Chosen(weights)
    found = train_weighted(moments, scheme, 1, LONG, KEY)
    share = normalised(weights or (1.0, 1.0))
    wanted = optimum(moments, share)
    close(found.heads @ found.shared.T, wanted.parameters, 5)
    close(jnp.sum(share * found.losses), wanted.loss, 3)
    close(found.weights, share)
    close(found.weights_mean, found.weights)


class Chosen(type(find_scheme("equal")()).__mro__[1]):
    """Weights as given."""

    given: tuple

    def decide(self, facts):
        return jnp.array(self.given), jnp.zeros((), jnp.int32)


def normalised(weights):
    return jnp.array(weights) / np.mean(weights)


@pytest.mark.parametrize("name", scheme_names())
def test_with_room_for_every_task_each_ends_alone(name):
    """Proposition 1, but for schemes whose weights vanish: those stop early, and never above where they began."""
    moments = moments_of(TASKS)
    single = jnp.stack([mtl.solve_single(moments[i]) for i in range(3)])
    least = jnp.stack([jnp.mean((X @ theta - y) ** 2) for (X, y), theta in zip(TASKS, single, strict=True)])
    found = train_weighted(moments, find_scheme(name)(), 3, LONG, KEY)
    assert found.status == Status.ok and bool(jnp.all(found.losses >= least - 1e-9))
    if name in STOPPED:
        assert bool(jnp.all(found.losses <= moments.energy / moments.n_samples))
    else:
        np.testing.assert_allclose(found.losses, least, rtol=5e-3 if name == "gradnorm" else 1e-4)


def test_one_task_learns_as_if_alone():
    moments, training = moments_of(TASKS[:1]), WeightedTraining("sgd", 300, 0.05)
    runs = [train_weighted(moments, find_scheme(name)(), 1, training, KEY) for name in ("equal", "mgda", "gradnorm")]
    for run in runs[1:]:
        close(run.losses, runs[0].losses)
        close(run.weights, [1.0])


@pytest.mark.parametrize("name", scheme_names())
def test_solved_and_constant_tasks_never_give_nan(name):
    """One noiseless task, one with labels of zero, one ordinary task."""
    (X, _), (Z, _), third = TASKS
    moments = moments_of([(X, X @ np.ones(5)), (Z, np.zeros(len(Z))), third])
    found = train_weighted(moments, find_scheme(name)(), 3, LONG, KEY)
    assert found.status == Status.ok or (name in STOPPED and found.status == Status.not_converged)
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in (found.shared, found.heads, found.losses, found.weights_mean))
    if name in ("prior", "dynamic-task-prioritization", "inverse-gradient-norm"):
        assert found.n_floored > 0


def test_nan_is_a_sentence_and_inside_a_program_a_status():
    moments, training = moments_of(TASKS), WeightedTraining(n_steps=3)
    bad = mtl.Moments(moments.gram, moments.cross.at[1, 0].set(jnp.nan), moments.energy, moments.n_samples)
    train = lambda tasks: train_weighted(tasks, find_scheme("algorithm-2")(), 2, training, KEY)
    with pytest.raises(ValueError, match=r"tasks must be of finite moments, but is NaN or infinite for tasks \[1\]; drop"):
        train(bad)
    found = jax.jit(train)(bad)
    assert found.status == Status.not_converged
    for part in (found.shared, found.heads, found.losses, found.weights, found.weights_mean):
        assert np.isnan(part).all()


def test_rows_with_nan_and_a_rank_of_zero_are_sentences():
    rows, scheme = rows_of_tasks(TASKS), find_scheme("equal")()
    for bad, sentence in (
        (Rows(rows.X, rows.y.at[0, 3].set(jnp.nan), rows.used), "tasks.y must be finite, but holds NaN or infinity in 1 of 92"),
        (Rows(rows.X.at[2].set(jnp.inf), rows.y, rows.used), "tasks.X must be finite, but holds NaN or infinity in 50 of 92"),
    ):
        with pytest.raises(ValueError, match=sentence):
            train_weighted(bad, scheme, 1, LONG, KEY)
    with pytest.raises(ValueError, match="rank must be a whole number >= 1, but is 0; use 1 to force sharing"):
        train_weighted(rows, scheme, 0, LONG, KEY)


@pytest.mark.parametrize(("normalized", "status"), [(False, Status.degenerate), (True, Status.not_converged)])
def test_raw_weights_of_zero_for_all_tasks_are_a_status(normalized, status):
    """Labels of zero have no direction for Algorithm 2; divided by their mean, its weights are equal ones, and counted.

    These train, and three steps are not enough.
    """
    moments = moments_of([(X, 0 * y) for X, y in TASKS])
    found = train_weighted(moments, find_scheme("algorithm-2")(), 2, WeightedTraining(n_steps=3, normalized=normalized), KEY)
    assert found.status == status and found.n_floored == 3
    close(found.weights_mean, np.ones(3) * normalized)


def test_divergence_is_a_status():
    found = train_weighted(moments_of(TASKS), find_scheme("equal")(), 2, WeightedTraining("sgd", 500, 50.0, decay=False), KEY)
    assert found.status == Status.not_converged and bool(jnp.all(jnp.isnan(found.losses)))


def test_paths_heads_and_raw_weights():
    moments, scheme = moments_of(TASKS), find_scheme("inverse-loss")()
    short = WeightedTraining("sgd", 60, 0.01)
    path, coarse = (train_weighted(moments, scheme, 2, short, KEY, n_records).path for n_records in (60, 6))
    assert path.losses.shape == path.weights.shape == (60, 3)
    for part in ("losses", "weights", "shared", "heads"):
        close(getattr(coarse, part), getattr(path, part)[9::10])
    seen = path.weights[1:] * path.losses[:-1]  # a step sees what the one before has left
    close(seen, jnp.broadcast_to(seen[:, :1], (59, 3)))
    close(jnp.mean(path.weights, 1), np.ones(60))
    raw = train_weighted(moments, scheme, 2, WeightedTraining("sgd", 60, 0.01, normalized=False), KEY, 60).path
    close(raw.weights[1:] * raw.losses[:-1], np.ones((59, 3)))
    own = train_weighted(moments, Chosen((1e-9, 1.0, 1.0)), 2, WeightedTraining("sgd", 200, 0.05, heads="unweighted"), KEY)
    weighted = train_weighted(moments, Chosen((1e-9, 1.0, 1.0)), 2, WeightedTraining("sgd", 200, 0.05), KEY)
    assert own.losses[0] < 0.99 * weighted.losses[0]
    with pytest.raises(ValueError, match="n_records must be a divisor of n_steps = 60, but is 7; use 1 for the last step alone"):
        train_weighted(moments, scheme, 2, short, KEY, 7)
    with pytest.raises(ValueError, match="batch must be left out for moments and populations, but is 5; pass rows"):
        train_weighted(moments, scheme, 2, WeightedTraining(batch=5), KEY)
    with pytest.raises(ValueError, match="n_steps must be a whole number >= 1, but is 0; leave it out"):
        WeightedTraining(n_steps=0)


@pytest.fixture(scope="module")
def relu_rows():
    tasks = mtl.ReluTasks(n_features=5, n_samples=(200, 100), cosine=0.95, noise=0.1, design=Isotropic())
    return jax.jit(lambda key: draw_rows(tasks.draw(key=key), key=key))(KEY)


@pytest.mark.parametrize("batch", [None, 8])
def test_relu_tasks_are_learned_from_rows(batch, relu_rows):
    found = train_weighted(relu_rows, find_scheme("gradnorm")(), 2, WeightedTraining(n_steps=1500, batch=batch), KEY)
    # what is left is noise 0.01 and the angle between the tasks; zero predictions lose a half
    assert found.status == Status.ok and bool(jnp.all(found.losses < 0.08))


# ------------------------------------------------------------------------------------------------ cell, oracle
PAIR = mtl.LinearTasks(n_features=6, n_samples=(40, 20), cosine=0.9, noise=(2.0, 0.5), design=Isotropic())
SHORT = WeightedTraining(n_steps=400, learning_rate=0.05)


def on_shared_rows(*noise):
    n = (30,) * len(noise)
    return mtl.LinearTasks(n_features=6, n_samples=n, cosine=0.9, noise=noise, design=Isotropic(), shared_covariates=True)


SHARED = on_shared_rows(2.0, 0.5)
RATE, ALPHA = "training.learning_rate", "hyperparameters.alpha"
EQUAL, INVERSE = 0.0, -2.0


def test_the_oracle_is_the_best_of_a_dense_scan_of_weights():
    tasks = SHARED.draw(key=KEY)
    moments = draw_moments(tasks, key=KEY)
    risk = lambda parameters: tasks.excess_risk(parameters[-1])
    weights, layers, status = best_weights(risk, moments, 1, KEY)
    parameters = layers.heads @ layers.shared.T

    def exact(u):
        found = solve_mean_losses(moments, 1, jnp.array([jnp.exp(u), 1.0]), KEY).parameters
        return risk(found), found

    logs = jnp.append(jnp.linspace(-8, 8, 801), jnp.log(weights[0] / weights[1]))
    risks, scan = jax.lax.map(exact, logs)
    assert float(risk(parameters)) <= float(jnp.nanmin(risks[:-1])) * (1 + 1e-3) and status == 0
    close(jnp.mean(weights), 1.0)
    close(scan[-1], parameters, 4)


def test_the_oracle_of_three_tasks_is_as_good_as_any_of_many_weights():
    """Of labels on the same rows, by their reduced-rank regression; one weight at a time ends 3 % above."""
    tasks = on_shared_rows(2.0, 0.5, 1.0).draw(key=jax.random.key(5))
    moments, truth = draw_moments(tasks, key=jax.random.key(5)), np.asarray(tasks.parameters)
    search = jax.jit(lambda tasks, moments: best_weights(lambda found: tasks.excess_risk(found[-1]), moments, 1, KEY))
    weights, layers, status = search(tasks, moments)
    rows, labels, rng = np.asarray(moments.factor).T, np.asarray(moments.scores).T, np.random.default_rng(0)

    def risk(weights):
        left = np.linalg.svd(labels * np.sqrt(weights))[0][:, :1]
        return np.sum((np.linalg.solve(rows, left) @ (left.T @ labels[:, -1]) - truth[-1]) ** 2)

    assert status == 0
    np.testing.assert_allclose(risk(np.asarray(weights)), np.sum((layers.heads[-1] @ layers.shared.T - truth[-1]) ** 2), rtol=1e-9)
    assert risk(np.asarray(weights)) < min(risk(np.exp(2 * rng.normal(size=3))) for _ in range(4000)) * (1 + 1e-3)


@pytest.fixture(scope="module")
def bench():
    """The best weights, and one scheme with weights (L / L(0))^alpha: equal ones, and ones that fall with a loss."""
    scheme = find_scheme("loss-balanced")(alpha=0.0)
    cell = Weighting(SHARED, training=SHORT, n_records=8, hyperparameters=scheme)
    grid = {"scheme": ["oracle", "loss-balanced"], ALPHA: [EQUAL, INVERSE], RATE: [0.05, 1e-5]}  # the last rate moves nothing
    return mtl.sweep(cell, grid, 12, KEY, progress=False)


@pytest.fixture(scope="module")
def front():
    cell = Weighting(SHARED, "given", weights=(1.0, 1.0))
    return mtl.sweep(cell, {"weights[0]": [0.01, 0.1, 1.0, 10.0, 100.0]}, 12, KEY, progress=False)


@pytest.mark.parametrize("name", ["equal", "gradnorm", "mgda"])
def test_training_that_was_cut_short_says_so(name):
    """Labels times 10 000 are further away than the default steps reach; labels of size one are not. More steps get there.

    Between them, training under weights that do not move has settled if and only if it is at the optimum under them.
    """

    def train(key, size, rate):
        moments = draw_moments(SHARED.draw(key=key), key=key)
        scaled = mtl.Moments(moments.gram, size * moments.cross, size**2 * moments.energy, moments.n_samples)
        found = mtl.train_weighted(scaled, find_scheme(name)(), 1, WeightedTraining(learning_rate=rate), key)
        least = solve_mean_losses(scaled, 1, found.weights, key).loss
        return found.status == Status.ok, jnp.sum(found.weights * found.losses) / least - 1

    run, keys = jax.jit(jax.vmap(train, (0, None, None))), jax.random.split(KEY, 12)
    found = {size: [np.asarray(part) for part in run(keys, size, 0.02)] for size in (1.0, 100.0, 300.0, 1000.0, 10_000.0)}
    assert all(np.isfinite(over).all() for _, over in found.values())
    assert found[1.0][0].all() and found[10_000.0][0].mean() < (0.5 if name == "mgda" else 0.05)  # MGDA rests where a task is done
    if name == "equal":
        settled, over = (np.concatenate(parts) for parts in zip(*found.values(), strict=True))
        assert (over[settled] < 0.01).all() and (over[~settled] > 1e-6).all()
    if name != "gradnorm":
        assert run(keys, 1000.0, 1.0)[0].mean() > 0.9


def test_a_bench_of_schemes_is_one_sweep(bench):
    data = bench.sel({RATE: 0.05})
    best, trained = data.sel(scheme="oracle"), data.sel(scheme="loss-balanced")
    equal, inverse = (trained.sel({ALPHA: alpha}) for alpha in (EQUAL, INVERSE))
    assert np.isfinite(data.gain).all() and (data.status == 0).all()
    assert (best.gain >= trained.gain - 1e-6).all()  # nothing beats the oracle on its own criterion
    assert inverse.share_source.median() < 0.1 and np.allclose(equal.share_source, 0.5)
    assert data.path_target.sizes["record"] == 8
    close(data.path_target.isel(record=-1), data.loss_target)
    sums = equal.path_source + equal.path_target
    assert (sums.isel(record=0) > sums.isel(record=-1)).all()
    assert inverse.gain_mean > equal.gain_mean
    key = jax.random.fold_in(KEY, 0)
    tasks = SHARED.draw(key=key)
    moments = draw_moments(tasks, key=stream(key, "samples"))
    close(equal.risk_single[0], tasks.excess_risk(mtl.solve_single(moments[1])))
    close(data.gain, data.risk_single - data.risk_multi)


def test_given_weights_run_along_the_pareto_front(bench, front):
    """Every point is Pareto stationary, no point beats another in both losses, and training under equal weights ends on it."""
    assert (np.diff(front.loss_source, axis=0) < 0).all() and (np.diff(front.loss_target, axis=0) > 0).all()
    assert (front.stationarity < 1e-5).all() and (front.status == 0).all()
    trained, still = (bench.sel({"scheme": "loss-balanced", ALPHA: EQUAL, RATE: rate}) for rate in (0.05, 1e-5))
    middle = front.sel({"weights[0]": 1.0})
    for name, tolerance in (("loss_source", 1e-4), ("loss_target", 1e-4), ("risk_multi", 1e-3)):
        np.testing.assert_allclose(trained[name], middle[name], rtol=tolerance)
    assert (trained.stationarity < 1e-2).all() and (still.stationarity > 1e-2).mean() > 0.5


def test_more_tasks_on_shared_rows():
    tasks = on_shared_rows(2.0, 0.5, 0.5)
    best, equal = (Weighting(tasks, name, 2, training=SHORT)(key=KEY) for name in ("oracle-mean", "equal"))
    assert best.gain_all >= equal.gain_all and best.status == equal.status == 0 and "oracle" in repr(best)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"scheme": "gradnrm"}, "did you mean 'gradnorm'"),
        ({"rank": 9}, "rank must be a whole number from 1 to n_features = 6, but is 9"),
        ({"target": 2}, "target must be the index of one of 2 tasks, but is 2"),
        ({"tasks": mtl.ReluTasks(6, (9, 9)), "scheme": "oracle"}, "scheme must be trained for ReLU tasks, but is 'oracle'"),
        ({"scheme": "given"}, "weights must be given where scheme='given'"),
        ({"tasks": mtl.ClassificationTasks(6, (9, 9))}, "tasks must be linear or ReLU tasks, but is ClassificationTasks"),
    ],
)
def test_bad_cells_are_refused_in_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        Weighting(**{"tasks": PAIR, **options})


def test_a_bench_from_toml(tmp_path):
    text = '[tasks]\nn_features = 6\nn_samples = [40, 20]\n[cell]\ntraining = {n_steps = 7}\n[grid]\nscheme = ["equal", "mgda"]\n'
    (tmp_path / "bench.toml").write_text(text)
    cell, grid = build(read(tmp_path / "bench.toml"))
    assert isinstance(cell, Weighting) and cell.training.n_steps == 7 and grid == {"scheme": ["equal", "mgda"]}
    with pytest.raises(ValueError, match="entries of a Weighting must be one of the known names, but is 'ridge'"):
        build(read(tmp_path / "bench.toml", ["cell.ridge=1.0"]))


def test_a_relu_cell():
    tasks = mtl.ReluTasks(n_features=5, n_samples=(200, 30), cosine=0.98, noise=0.5, design=Isotropic())
    cell = Weighting(tasks, "uncertainty", 4, training=WeightedTraining(n_steps=500))
    draws = jax.jit(jax.vmap(lambda key: cell(key=key)))(jax.random.split(KEY, 12))
    assert np.isin(draws.status, (Status.ok, Status.not_converged)).all()  # slopes at kinks may stay
    for risk in (draws.risk_multi, draws.risk_single):  # zero predictions have a half
        assert np.min(risk) > 0 and np.median(risk) < 0.5
