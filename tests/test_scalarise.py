"""Tuned scalarisation against grids of weights, by least squares on the rows, and against closed forms."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import close
from scipy import optimize

import mtlsim as mtl
from mtlsim.core.status import Certificate, Status
from mtlsim.experiments import optimiser_bench
from mtlsim.solvers.scalarise import Scalarised, WorstLoss, least_scaled_loss
from mtlsim.theory.statements.scalarisation_gap import Alike, balanced_loss, weighted_loss

KEY = jax.random.key(0)
SCALES = np.array([1.0, 0.4, 2.0])
tuned_worst = jax.jit(lambda moments, scales: mtl.tune_weights(moments, 2, WorstLoss(scales), KEY, 12))


def some_rows(seed, n_tasks=3, correlation=0.7):
    """Rows, and labels that have much in common."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(40, 5)) @ np.diag([1, 2, 1, 0.5, 1])
    common, own = rng.normal(size=(5, 1)), rng.normal(size=(5, n_tasks))
    return X, X @ (correlation * common + (1 - correlation) * own) + 0.3 * rng.normal(size=(40, n_tasks))


def optimum_on_rows(X, Y, weights, rank):
    """Parameters (K, d) and mean losses of reduced-rank regression, from the rows."""
    Q, R = np.linalg.qr(X)
    left = np.linalg.svd(Q.T @ Y * np.sqrt(weights))[0][:, :rank]
    fitted = Q @ left @ left.T @ Q.T @ Y
    return np.linalg.solve(R, Q.T @ fitted).T, ((Y - fitted) ** 2).mean(0)


def least_on_grid(X, Y, rank, criterion):
    """The least criterion over a grid of logarithms of weights, and what SciPy makes of its best points."""
    K = Y.shape[1]
    at = lambda logs: np.max(criterion(*optimum_on_rows(X, Y, np.exp([0, *logs]), rank)))
    grid = np.stack(np.meshgrid(*[np.linspace(-12, 12, 50 if K == 3 else 400)] * (K - 1)), -1).reshape(-1, K - 1)
    best = grid[np.argsort([at(logs) for logs in grid])[:6]]
    options = {"xatol": 1e-9, "fatol": 1e-13, "maxiter": 1000}
    return min(optimize.minimize(at, logs, method="Nelder-Mead", options=options).fun for logs in best)


def is_clear(tuned, n_starts=12):
    """What more than one start ends at, and none left. All else may be missed: where weights vanish no search ends."""
    return tuned.status == Status.ok and float(tuned.agreement) * n_starts > 1.5


def clear_rows(**options):
    """Rows and labels of the first problem that is clear."""
    problems = (some_rows(seed, **options) for seed in range(1, 13))
    return next(rows for rows in problems if is_clear(tuned_worst(mtl.Moments.from_shared_rows(*rows), jnp.asarray(SCALES))))


def test_the_best_weights_for_the_worst_loss_against_a_grid_on_the_rows():
    n_clear = 0
    for seed in range(6):
        X, Y = some_rows(seed)
        tuned = tuned_worst(mtl.Moments.from_shared_rows(X, Y), jnp.asarray(SCALES))
        parameters, losses = optimum_on_rows(X, Y, np.asarray(tuned.weights), 2)
        np.testing.assert_allclose((losses / SCALES).max(), tuned.value, rtol=1e-8)
        np.testing.assert_allclose(tuned.solution.parameters, parameters, rtol=1e-6, atol=1e-8)
        wanted = least_on_grid(X, Y, 2, lambda _, losses: (losses / SCALES).max())
        assert float(tuned.value) <= wanted * (1 + 1e-6 if is_clear(tuned) else 1.1)
        assert float(tuned.bound) <= float(tuned.value) and tuned.certificate < 2
        n_clear += is_clear(tuned)
    assert n_clear > 0


@pytest.mark.parametrize("cosine", [-0.4, -0.1, 0.2, 0.5, 0.9])
def test_three_tasks_alike_reach_what_theory_says_and_no_more(cosine):
    moments = Alike(cosine, jnp.full(3, 8.0)).draw(key=KEY)  # mean losses of one
    tuned = tuned_worst(moments, jnp.ones(3))
    close(tuned.value, weighted_loss(cosine), 2)
    close(tuned.bound, balanced_loss(cosine), 2)
    assert int(tuned.certificate) == (cosine > 0)  # exact, or an interval
    # a tenth more energy of two is another problem
    other = tuned_worst(Alike(cosine, jnp.array([8.0, 8.8, 8.8])).draw(key=KEY), jnp.ones(3))
    assert abs(float(other.value / tuned.value) - 1) > 1e-3


@pytest.mark.parametrize("rank", [1, 2])
def test_the_best_weights_for_a_risk(rank):
    """Of one task, and the mean: against a grid on the rows; the criterion sees parameters and losses."""
    truth, n_clear = np.random.default_rng(9).normal(size=5), 0
    risk = lambda parameters, losses: ((parameters[-1] - truth) ** 2).sum() + losses[0]
    tune = jax.jit(lambda moments: mtl.tune_weights(moments, rank, risk, KEY, 16, 100))
    for seed in range(5, 9):
        X, Y = some_rows(seed, 2 if rank == 1 else 3)
        tuned = tune(mtl.Moments.from_shared_rows(X, Y))
        clear = is_clear(tuned, 4)  # three eighths of the starts and more: two of eight agreed on what was 7 % off
        if clear:
            assert float(tuned.value) <= least_on_grid(X, Y, rank, risk) * (1 + 1e-6)
        close(risk(*optimum_on_rows(X, Y, np.asarray(tuned.weights), rank)), tuned.value, 3)
        assert np.isneginf(tuned.bound) and tuned.certificate == 2
        n_clear += clear
    assert n_clear > 0


def test_directions_that_float32_takes_for_rounding_leave_no_exact_weights():
    """The bound was that of rows without them: exact, at twelve times what rows in float64 reach."""
    rng = np.random.default_rng(1)
    X, turn = rng.normal(size=(15, 4)), np.linalg.qr(rng.normal(size=(4, 4)))[0]
    Y = X @ rng.normal(size=(4, 3)) + 0.1 * rng.normal(size=(15, 3))
    moments = mtl.Moments.from_shared_rows((X * np.r_[1e7, 1, 1, 1]) @ turn, Y)
    tune = lambda moments: mtl.tune_weights(moments, 2, n_starts=4, n_steps=20)
    single, double = tune(jax.tree.map(lambda leaf: leaf.astype(jnp.float32), moments)), tune(moments)
    assert single.status == Status.ill_conditioned and single.certificate != 0
    assert single.bound < double.value < 0.2 * single.value


def test_two_tasks_on_rows_of_their_own():
    """Against a grid over weights and head ratios, on the rows."""
    rng = np.random.default_rng(4)
    pairs = [(X := rng.normal(size=(n, 3)), X @ rng.normal(size=3) + 0.1 * rng.normal(size=n)) for n in (12, 20)]
    tuned = mtl.tune_weights([mtl.Moments.from_data(*pair) for pair in pairs], 1, n_starts=4, n_steps=30)
    grams, sides = [X.T @ X / len(X) for X, _ in pairs], [X.T @ y / len(X) for X, y in pairs]
    ratios = np.tan(np.linspace(-np.pi / 2, np.pi / 2, 4001)[1:-1])

    def worst(weight):
        G = weight * grams[0] + ratios[:, None, None] ** 2 * grams[1]
        c = weight * sides[0] + ratios[:, None] * sides[1]
        B = np.linalg.solve(G, c[..., None])[..., 0]
        best = np.argmax((c * B).sum(1))
        heads = [(side @ B[best]) / (B[best] @ gram @ B[best]) for gram, side in zip(grams, sides, strict=True)]
        return max(np.mean((y - X @ B[best] * a) ** 2) for (X, y), a in zip(pairs, heads, strict=True))

    wanted = min(worst(weight) for weight in np.exp(np.linspace(-4, 4, 400)))
    assert float(tuned.value) <= wanted * (1 + 1e-6)
    np.testing.assert_allclose(worst(tuned.weights[0] / tuned.weights[1]), tuned.value, rtol=1e-3)  # which the weights do reach
    assert 0 < float(tuned.bound) <= float(tuned.value) and tuned.solution.route == "secular"


@pytest.mark.parametrize("n_tasks", [2, 3, 4])
def test_what_one_direction_left_out_must_cost(n_tasks):
    """Against a search of SciPy's over all directions that a layer of one column less than tasks may leave out."""
    X, Y = some_rows(n_tasks, n_tasks)
    scales = np.exp(np.random.default_rng(n_tasks).normal(size=n_tasks) / 2)
    problem = Scalarised.of(mtl.Moments.from_shared_rows(X, Y), n_tasks - 1)
    found = float(least_scaled_loss(problem, jnp.asarray(scales)))
    Q = np.linalg.qr(X)[0]
    U, fixed = Y.T @ Q, ((Y - Q @ (Q.T @ Y)) ** 2).sum(0)
    span = np.linalg.qr(U.T)[0]

    def worst(v):
        n = span @ v / np.linalg.norm(v)
        return ((fixed + (U @ n) ** 2) / 40 / scales).max()

    rng = np.random.default_rng(0)
    options = {"xatol": 1e-10, "fatol": 1e-12, "maxiter": 4000}
    starts = sorted(rng.normal(size=(400, n_tasks)), key=worst)[:12]
    least = min(optimize.minimize(worst, v, method="Nelder-Mead", options=options).fun for v in starts)
    assert found <= least * (1 + 1e-9)
    np.testing.assert_allclose(found, least, rtol=1e-6)


def test_with_a_column_for_each_task_weights_change_nothing():
    X, Y = some_rows(0)
    tuned = mtl.tune_weights(mtl.Moments.from_shared_rows(X, Y), 3)
    residual = Y - X @ np.linalg.lstsq(X, Y, rcond=None)[0]
    close(tuned.value, (residual**2).mean(0).max())
    assert tuned.certificate == 0 and 0 < tuned.value - tuned.bound < 1e-11 * tuned.value
    one = mtl.tune_weights(mtl.Moments.from_shared_rows(X, Y[:, :1]), 1)
    close(one.value, (residual[:, 0] ** 2).mean())


@pytest.mark.parametrize("unit", [1e-100, 1e100])
def test_units_of_labels_change_the_value_and_nothing_else(unit):
    X, Y = clear_rows()
    scales = jnp.asarray(SCALES)
    plain, scaled = (tuned_worst(mtl.Moments.from_shared_rows(X, unit**p * Y), scales) for p in (0, 1))
    np.testing.assert_allclose([scaled.value / unit**2, scaled.bound / unit**2], [plain.value, plain.bound], rtol=1e-5)


def test_tasks_in_another_order_and_a_silent_one():
    X, Y = clear_rows()
    order = np.array([2, 0, 1])
    first = tuned_worst(mtl.Moments.from_shared_rows(X, Y), jnp.asarray(SCALES))
    second = tuned_worst(mtl.Moments.from_shared_rows(X, Y[:, order]), jnp.asarray(SCALES[order]))
    close(second.value, first.value, 4)
    silent = tuned_worst(mtl.Moments.from_shared_rows(X, Y * [1, 1, 0]), jnp.asarray(SCALES))
    residual = Y - X @ np.linalg.lstsq(X, Y, rcond=None)[0]
    close(silent.value, ((residual**2).mean(0) / SCALES)[:2].max(), 4)  # two columns for two tasks
    assert silent.agreement > 0.5


def test_labels_of_fewer_directions_than_columns_leave_nothing_to_weights():
    X, Y = some_rows(4)
    Y = Y[:, :1] * np.array([1.0, 2.0, -3.0])
    found = tuned_worst(mtl.Moments.from_shared_rows(X, Y), jnp.asarray(SCALES))
    residual = Y - X @ np.linalg.lstsq(X, Y, rcond=None)[0]
    close(found.value, ((residual**2).mean(0) / SCALES).max(), 9)
    assert found.certificate == Certificate.exact and found.status == Status.ok


def test_labels_of_units_far_apart_are_weighed_as_those_of_one_unit():
    X, Y = some_rows(5)
    units = np.array([1e-7, 1.0, 1e7])
    apart = tuned_worst(mtl.Moments.from_shared_rows(X, Y * units), jnp.asarray(SCALES * units**2))
    close(apart.value, tuned_worst(mtl.Moments.from_shared_rows(X, Y), jnp.asarray(SCALES)).value, 5)


def test_in_float32_the_search_ends_where_it_does_in_float64():
    X, Y = some_rows(0, 4)
    exact = mtl.tune_weights(mtl.Moments.from_shared_rows(X, Y), 3, n_starts=4)
    with jax.enable_x64(False):
        found = mtl.tune_weights(mtl.Moments.from_shared_rows(X, Y), 3, n_starts=4)
    np.testing.assert_allclose(float(found.value), float(exact.value), rtol=1e-3)


def least_by_corners(X, Y, scales):
    """The least max_k L_k / scales_k of layers of K - 1 columns, by halving in NumPy, from rows."""
    Q = np.linalg.qr(X)[0]
    U, hidden = Y.T @ Q, ((Y - Q @ (Q.T @ Y)) ** 2).sum(0)
    inverse = np.linalg.pinv(U)
    signs = np.array(list(itertools.product([1, -1], repeat=len(scales))))
    low, high = 0.0, ((Y**2).sum(0) / scales).max()
    for _ in range(100):
        middle = (low + high) / 2
        room = middle * scales - hidden
        reached = (room >= 0).all() and (((signs * np.sqrt(np.maximum(room, 0))) @ inverse.T) ** 2).sum(1).max() >= 1
        low, high = (low, middle) if reached else (middle, high)
    return low / len(Y)


@jax.jit
def proven_of(moments, logs, scales):
    """Of one column and two, weighted sums of losses that no layer is below; of two and three, worst losses."""
    problems = [Scalarised.of(moments, rank) for rank in (1, 2)]
    sums = jnp.stack([jax.lax.map(lambda one, problem=problem: problem.optimum(one)[2], logs) for problem in problems])
    return sums, least_scaled_loss(problems[1], scales), mtl.tune_weights(moments, 3, WorstLoss(scales)).bound


@pytest.mark.parametrize(("precise", "n_problems"), [(False, 240), (True, 24)])
def test_what_is_proven_in_float32_holds_in_float64(precise, n_problems):
    """Of tasks with much in common and little, with and without noise, of units up to e^8 apart; and in float64 it is sharp."""
    over, dtype = [], np.float64 if precise else np.float32
    for seed in range(n_problems):
        rng = np.random.default_rng(seed)
        spread, unit, noise = rng.choice([1, 1000]), np.exp(rng.choice([0, 1, 4]) * rng.normal(size=3)), rng.choice([0.01, 0.3, 2])
        X = rng.normal(size=(40, 5)) * np.geomspace(1, spread, 5)
        common = rng.uniform(0, 0.95)
        theta = (common * rng.normal(size=(5, 1)) + (1 - common) * rng.normal(size=(5, 3))) / np.geomspace(1, spread, 5)[:, None]
        scales = (unit**2 * np.exp(rng.normal(size=3) / 2)).astype(dtype)
        X, Y = X.astype(dtype), ((X @ theta + noise * rng.normal(size=(40, 3))) * unit).astype(dtype)
        logs = (rng.normal(size=(4, 3)) - np.log((Y.astype(float) ** 2).sum(0))).astype(dtype)
        with jax.enable_x64(precise):
            sums, worst, alone = proven_of(mtl.Moments.from_shared_rows(X, Y), jnp.asarray(logs), jnp.asarray(scales))
        X, Y, weights = X.astype(float), Y.astype(float), np.exp(logs.astype(float) - logs.max(1, keepdims=True))
        least = [[(w * optimum_on_rows(X, Y, w, rank)[1]).sum() for w in weights] for rank in (1, 2)]
        truth = *np.ravel(least), least_by_corners(X, Y, scales), (optimum_on_rows(X, Y, np.ones(3), 3)[1] / scales).max()
        over.append((np.array([*np.ravel(sums), worst, alone]) - truth) / truth)
    if precise:
        assert np.median(over) > -2e-12  # and rounding on the rows leaves too little to be seen
    else:
        assert np.max(over) < 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"n_starts": 0}, "n_starts must be a whole number >= 1, but is 0"),
        ({"n_steps": 0}, "n_steps must be a whole number >= 1, but is 0"),
        ({"criterion": WorstLoss(np.ones(2))}, "scales must be one number or 3, but is of shape"),
    ],
)
def test_bad_options_are_refused_in_one_sentence(options, sentence):
    X, Y = some_rows(0)
    with pytest.raises(ValueError, match=sentence):
        mtl.tune_weights(mtl.Moments.from_shared_rows(X, Y), 2, **options)


def test_two_columns_on_different_rows_are_refused():
    parts = [mtl.Moments.from_data(*(some_rows(seed)[0], some_rows(seed)[1][:, 0])) for seed in range(3)]
    with pytest.raises(ValueError, match="rank must be 1 on different rows, but is 2; use rank=1, or labels on the same rows"):
        mtl.tune_weights(parts, 2)


def test_the_bench_of_optimisers_says_the_same_of_the_same_weights(monkeypatch):
    """Two tasks, equal weights and tuned ones: losses, front and risk against reduced-rank regression of the same moments."""
    monkeypatch.setattr(optimiser_bench, "scheme_names", lambda: ["equal"])
    bench = optimiser_bench.Bench(2, mtl.WeightedTraining(n_steps=1000))
    found = jax.jit(bench)(key=KEY)
    columns = [optimiser_bench.SHOWN.index(name) for name in ("equal", "tuned: worst loss", "tuned: mean risk")]
    assert np.isnan(np.delete(np.asarray(found["risk"]), columns, 1)).all() and not np.asarray(found["unsettled"])[:, columns].any()
    n_compared = 0
    for pattern, noise in enumerate(([0.5, 0.5], [2.0, 0.5], [0.25, 2.0])):
        moments, truth = bench.draw(jnp.asarray(noise), KEY)
        rows, labels = np.asarray(moments.factor).T, np.asarray(moments.scores).T
        risks = lambda weights, rows=rows, labels=labels, truth=truth: (
            ((optimum_on_rows(rows, labels, weights, 1)[0] - np.asarray(truth)) ** 2).sum(1).mean()
        )
        logs = np.linspace(-12, 12, 4001)
        tried = [risks(np.array([1, w])) for w in np.exp(logs)]
        equal, _, oracle = np.asarray(found["risk"])[pattern, columns]
        if abs(logs[np.argmin(tried)]) < 4:  # under weights near zero no training ends
            np.testing.assert_allclose([equal, oracle], [risks(np.ones(2)) / min(tried), 1], rtol=1e-3)
            n_compared += 1
        # both tasks on shared rows: every end under weights is on the front and on its hull, and no weights do better
        for name in ("front", "hull", "weights"):
            np.testing.assert_allclose(np.asarray(found[name])[pattern, columns[:2]], 1, rtol=1e-3)
        assert (np.asarray(found["weights"])[pattern, columns] < 1.001).all()
    assert n_compared > 0


def test_medians_and_shares_have_intervals():
    assert optimiser_bench.median(np.append(np.arange(101.0), np.nan)) == (50, 40, 60)  # order statistics 41 and 61 of 101
    assert np.isnan(optimiser_bench.median(np.full(3, np.nan))).all()
    middle, low, high = optimiser_bench.share(np.arange(20) < 5)
    close([middle, low, high], [0.25, 0.11186, 0.46870], 6)


def test_a_second_call_of_one_shape_compiles_nothing_of_the_search():
    """It compiled at every call, and after some 220 of them the process had no room for programs and died."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 4))
    tuned = lambda: mtl.tune_weights(mtl.Moments.from_shared_rows(X, X @ rng.normal(size=(4, 3))), 1, n_starts=2, n_steps=5)
    tuned()
    spent = []
    jax.monitoring.register_event_duration_secs_listener(lambda name, *_, **__: spent.append("backend_compile" in name))
    tuned()
    assert sum(spent) <= 1


def test_a_criterion_that_changes_what_it_holds_is_seen_anew():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 4))
    moments = mtl.Moments.from_shared_rows(X, X @ rng.normal(size=(4, 3)) + rng.normal(size=(30, 3)))
    scales = np.ones(3)

    class Scaled:
        __hash__ = None

        def __call__(self, parameters, losses):
            return losses / scales

    criterion, values = Scaled(), []
    for size in (1.0, 4.0):
        scales[:] = size
        values.append(float(mtl.tune_weights(moments, 1, criterion, n_starts=2, n_steps=20).value))
    assert values[0] == pytest.approx(4 * values[1], rel=1e-6)
