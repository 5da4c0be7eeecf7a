"""Architectures: worked examples, reductions and conformance over the registry, and least squares on rows beside them."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import close
from judged_sharings import smallest_loss
from scipy.optimize import minimize

import mtlsim as mtl
from mtlsim import Certificate, Moments, Status, WeightedTraining
from mtlsim.samples.data import Rows
from mtlsim.samples.moments import stack
from mtlsim.sharing import conformance, find_sharing, sharing_names
from mtlsim.sharing._sharing import MixedSharing, Problem
from mtlsim.sharing.adapters import Adapters
from mtlsim.sharing.covariance_alignment import CovarianceAlignment
from mtlsim.sharing.cross_stitch import CrossStitch
from mtlsim.sharing.gated_experts import GatedExperts
from mtlsim.sharing.mean_regularised import MeanRegularised
from mtlsim.sharing.multilinear import MultilinearRelationship
from mtlsim.sharing.sluice import Sluice
from mtlsim.sharing.soft import Soft
from mtlsim.sharing.trace_norm import TraceNorm
from mtlsim.solvers.mixed import Mixing, solve_mixed
from mtlsim.theory.statements.critical_task_correlation import critical_correlation
from mtlsim.weighting import find_scheme

# a pair small enough to solve on paper: alone (4/3, 1/3) and (1, 1), pooled (18/17, 14/17)
EXAMPLE = [
    (np.array([[1.0, 0], [0, 1], [1, 1]]), np.array([1.0, 0, 2])),
    (np.array([[1.0, 0], [0, 2]]), np.array([1.0, 2])),
]
RNG = np.random.default_rng(2)
D, K = 4, 3
PAIRS = [(RNG.normal(size=(n, D)), RNG.normal(size=n)) for n in (9, 7, 6)]
ALONE = np.stack([np.linalg.lstsq(X, y, rcond=None)[0] for X, y in PAIRS])
POOLED = np.linalg.lstsq(np.concatenate([X for X, _ in PAIRS]), np.concatenate([y for _, y in PAIRS]), rcond=None)[0]
SOLVED = [name for name in sharing_names() if find_sharing(name)().solved]
SIGMA = np.cov(RNG.normal(size=(K, 8)))
MIXED = {
    "cross-stitch": CrossStitch(0.7, False, 0.8),
    "gated-experts": GatedExperts(0.6, 0.5),
    "sluice": Sluice("private", 0.7),
    "sluice balanced": Sluice("balanced", 0.7),
    "soft": Soft(2.0, 0.3),
    "mean-regularised": MeanRegularised(2.0),
    "multilinear": MultilinearRelationship(SIGMA, 0.6),
}


def on_rows(amounts, ridge, pairs, weights=None):
    """Parameters (K, d) by one least squares of all rows, each repeated for every column that its task reads."""
    weights = np.ones(len(pairs)) if weights is None else weights
    tops = [np.sqrt(w) * np.kron(amounts[:, k], X) for k, (w, (X, _)) in enumerate(zip(weights, pairs, strict=True))]
    d = pairs[0][0].shape[1]
    rows = np.concatenate([*tops, np.diag(np.repeat(np.sqrt(ridge), d))])
    labels = np.concatenate([*(np.sqrt(w) * y for w, (_, y) in zip(weights, pairs, strict=True)), np.zeros(len(ridge) * d)])
    columns = np.linalg.lstsq(rows, labels, rcond=None)[0].reshape(len(ridge), d)
    return amounts.T @ columns


@pytest.mark.parametrize("name", sharing_names())
def test_examples_worked_by_hand(name):
    for sharing, options, parameters in conformance(name)[1]:
        found = mtl.fit(EXAMPLE, sharing, **options)
        np.testing.assert_allclose(found.parameters, parameters, atol=2e-5)
        assert found.certificate == Certificate.exact and found.status == Status.ok
        losses = [np.sum((X @ theta - y) ** 2) for (X, y), theta in zip(EXAMPLE, found.parameters, strict=True)]
        np.testing.assert_allclose(found.losses, losses, atol=1e-9)
        for task, (X, _) in enumerate(EXAMPLE):
            close(found.predict(X, task), X @ np.asarray(found.parameters[task]), 1)


ENDS = {  # name: (what makes it so, the parameters)
    "single": ({"pooled": "pooled", "soft": Soft(0.0), "cross-stitch": CrossStitch(1.0, False, 0.0), "hard": "hard"}, None),
    "single when weak": (
        {"soft": Soft(1e-9), "mean-regularised": MeanRegularised(1e-9), "trace-norm": TraceNorm(1e-9), "adapters": Adapters(1e-9)},
        ALONE,
    ),
    "pooled when strong": (
        {"soft": Soft(1e9), "mean-regularised": MeanRegularised(1e9), "adapters": Adapters(1e3)},
        np.stack([POOLED] * K),
    ),
    "wide": ({"hard": "hard"}, ALONE),
}


@pytest.mark.parametrize("name", sharing_names())
def test_reductions(name):
    for reduction in conformance(name)[0]:
        sharings, wanted = ENDS[reduction]
        if reduction == "single":  # one task alone, whatever the architecture
            found = mtl.fit(PAIRS[:1], sharings[name])
            close(found.parameters, ALONE[:1], 2)
        else:
            np.testing.assert_allclose(mtl.fit(PAIRS, sharings[name], rank=K).parameters, wanted, atol=1e-7)


@pytest.mark.parametrize("name", MIXED)
def test_a_fixed_mixing_is_one_least_squares(name):
    sharing, weights = MIXED[name], np.array([0.5, 2.0, 1.0])
    amounts, ridge = (np.asarray(part, float) for part in sharing.mixing(K))
    found = mtl.fit(PAIRS, sharing, weights=weights)
    close(found.parameters, on_rows(amounts, ridge, PAIRS, weights), 4)
    assert found.certificate == Certificate.exact and found.gap < 1e-10 and found.status == 0
    covariance = amounts.T @ np.diag(np.where(ridge > 0, 1 / np.where(ridge > 0, ridge, 1), 0)) @ amounts
    penalty = np.trace(found.parameters.T @ np.linalg.pinv(covariance) @ found.parameters) if name != "mean-regularised" else None
    close(found.loss, weights @ np.asarray(found.losses) + sharing.penalty(found.params), 4)
    if penalty is not None:  # the same objective in the metric of the task covariance
        close(found.loss, weights @ np.asarray(found.losses) + penalty, 4)


def test_correlations_of_the_table():
    """Task correlation that each mixing of two tasks implies."""
    correlation = lambda sharing: (lambda s: s[0, 1] / s[0, 0])(
        np.asarray(Mixing(*map(jnp.asarray, sharing.mixing(2))).task_covariance())
    )
    wanted = {CrossStitch(0.9, False, 1.0): 0.2195, GatedExperts(0.5): 0.5, GatedExperts(0.8): 0.9412, Sluice("private"): 1 / 3}
    for sharing, value in wanted.items():
        assert abs(correlation(sharing) - value) < 5e-5
    assert correlation(Sluice("balanced")) == pytest.approx(1) and correlation(CrossStitch(0.5, False, 1.0)) == pytest.approx(1)


@pytest.mark.parametrize("rho", [-0.6, 0.0, 0.5, 0.9])
def test_a_given_task_covariance_is_soft_sharing_with_a_ridge(rho):
    pairs, decay = PAIRS[:2], 0.7
    multilinear = mtl.fit(pairs, MultilinearRelationship(np.array([[1, rho], [rho, 1]]), decay))
    if rho >= 0:
        soft = mtl.fit(pairs, Soft(decay * rho / (1 - rho**2), decay / (1 + rho)))
        close(multilinear.parameters, soft.parameters, 3)
    opposite = mtl.fit([pairs[0], (pairs[1][0], -pairs[1][1])], MultilinearRelationship(np.array([[1, -rho], [-rho, 1]]), decay))
    close(opposite.parameters[1], -multilinear.parameters[1], 3)  # turning one task round turns the correlation


@pytest.mark.parametrize(("strength", "rank"), [(0.3, 2), (2.0, 1)])
def test_alignments_of_linear_tasks_are_a_penalty_on_angles(strength, rank):
    """The matrices taken out by hand, and searched over parameters and directions without them."""

    def objective(flat):
        thetas, span = flat[: K * D].reshape(K, D), np.linalg.qr(flat[K * D :].reshape(D, rank))[0]
        sines = [1 - np.sum((span.T @ theta) ** 2) / (theta @ theta) for theta in thetas]
        return sum(np.sum((X @ theta - y) ** 2) for (X, y), theta in zip(PAIRS, thetas, strict=True)) + strength * sum(sines)

    rng = np.random.default_rng(3)
    best = min(minimize(objective, rng.normal(size=K * D + D * rank), options={"gtol": 1e-8}).fun for _ in range(15))
    found = mtl.fit(PAIRS, CovarianceAlignment(strength), rank=rank)
    assert abs(found.loss - best) < 1e-7 and found.status == Status.ok and found.certificate == Certificate.none
    assert abs(objective(np.concatenate([np.ravel(found.parameters), np.ravel(found.params.shared)])) - best) < 1e-7
    alone, hard = (mtl.fit(PAIRS, CovarianceAlignment(end), rank=rank) for end in (0.0, 1e5))
    np.testing.assert_allclose(alone.parameters, ALONE, atol=1e-6)
    assert abs(hard.loss - mtl.fit(PAIRS, "hard", rank=rank).loss) < 1e-4
    assert best < np.sum(alone.losses) + K * strength


def of_modes(modes):
    """Two tasks on rows n I whose own solutions have these singular values."""
    n, d = 10.0, 5
    left, right = (np.linalg.qr(RNG.normal(size=(size, 2)))[0] for size in (d, 2))
    return [Moments.from_data(np.sqrt(n) * np.eye(d), np.sqrt(n) * column) for column in ((left * modes) @ right.T).T]


def test_the_learned_task_covariance_keeps_and_drops_modes():
    """On rows n I: (s + sqrt(s^2 - 4 decay / n)) / 2 of a mode with s^2 >= 4 decay / n, nothing of the others."""
    n, decay, d = 10.0, 1.0, 5
    modes = np.array([1.61369, 0.30985])
    found = mtl.fit(of_modes(modes), MultilinearRelationship(None, decay))
    values = np.linalg.svd(found.parameters, compute_uv=False)
    assert abs(values[0] - (modes[0] + np.sqrt(modes[0] ** 2 - 4 * decay / n)) / 2) < 1e-4 and values[1] < 1e-3
    assert found.certificate == Certificate.none
    for labels in (np.zeros(d), 1e-9 * np.eye(d)[0]):  # tasks whose every mode is dropped
        nothing = mtl.fit([Moments.from_data(np.eye(d), labels)] * 2, MultilinearRelationship(None, 1.0))
        assert np.abs(nothing.parameters).max() <= 1e-9 and np.isfinite(nothing.loss) and nothing.status == 0


def test_the_released_rule_keeps_what_the_surrogate_drops():
    """A weak mode s becomes the root of s + decay s^3 / n; one between both rules is at rest nowhere, and the status says so."""
    n, decay = 10.0, 1.0
    found = mtl.fit(of_modes([1.61369, 0.30985]), MultilinearRelationship(None, decay, released=True))
    values = np.linalg.svd(found.parameters, compute_uv=False)
    weak = [root.real for root in np.roots([decay / n, 0, 1, -0.30985]) if abs(root.imag) < 1e-12]
    np.testing.assert_allclose(values, [(1.61369 + np.sqrt(1.61369**2 - 4 * decay / n)) / 2, *weak], atol=1e-4)
    assert found.status == Status.ok
    between = [1.61369, 0.5]  # .1 < s^2 < 4 decay / n
    restless = mtl.fit(of_modes(between), MultilinearRelationship(None, decay, released=True))
    assert restless.status == Status.not_converged
    assert mtl.fit(of_modes(between), MultilinearRelationship(None, decay)).status == Status.ok


def test_learned_stitches_are_every_task_alone():
    for decay in (0.0, 3.0):
        found = mtl.fit(PAIRS, CrossStitch(0.8, True, decay))
        close(found.parameters, ALONE, 3)
        assert found.route == "separate"


@pytest.mark.parametrize("name", MIXED)
def test_training_comes_to_what_is_known(name):
    steps = WeightedTraining(n_steps=4000, learning_rate=0.03)
    trained, known = mtl.fit(PAIRS, MIXED[name], training=steps), mtl.fit(PAIRS, MIXED[name])
    assert trained.certificate == Certificate.none and trained.status == 0 and trained.route == "adam"
    assert 0 <= trained.loss - known.loss + 1e-10 < 1e-6 * known.loss
    np.testing.assert_allclose(trained.parameters, known.parameters, atol=1e-3)


def test_training_of_stitches_shares_at_first_and_not_in_the_end():
    early = mtl.fit(PAIRS, CrossStitch(), training=WeightedTraining("sgd", 30, 0.02))
    late = mtl.fit(PAIRS, CrossStitch(), training=WeightedTraining("adam", 6000, 0.03))
    alone = sum(np.sum((X @ theta - y) ** 2) for (X, y), theta in zip(PAIRS, ALONE, strict=True))
    assert early.status == Status.not_converged and early.loss > 1.05 * alone
    assert alone - 1e-9 <= late.loss < alone * (1 + 1e-4) and float(late.gap) == pytest.approx(float(late.loss) - alone, abs=1e-8)


def test_equal_columns_are_hard_sharing_at_a_kth_of_the_rate():
    """Plain steps from equal columns with a uniform mixing, heads and mixing held: those of one column, K times as slow."""
    n_steps, rate = 7, 0.05
    columns = mtl.fit(PAIRS, CrossStitch(1 / K, False), training=WeightedTraining("sgd", n_steps, rate, decay=False))
    start = np.asarray(mtl.fit(PAIRS, CrossStitch(1 / K, False), training=WeightedTraining("sgd", 1, 1e-12)).parameters[0])
    theta, total = start.copy(), sum(len(y) for _, y in PAIRS)
    for _ in range(n_steps):
        slope = sum(2 * X.T @ (X @ theta - y) for X, y in PAIRS) / total
        theta = theta - rate / K * slope
    np.testing.assert_allclose(columns.parameters, np.stack([theta] * K), atol=1e-9)


def test_relu_units_are_stitched_after_they_bend():
    X = RNG.normal(size=(60, D))
    pairs = [(X, np.maximum(X @ np.ones(D), 0)), (X[:40], np.maximum(X[:40] @ np.ones(D), 0))]
    found = mtl.fit(pairs, CrossStitch(), rank=2, activation="relu", training=WeightedTraining("adam", 3000, 0.02))
    assert found.parameters is None and found.loss < 0.02 * sum(np.sum(y**2) for _, y in pairs)
    units = np.maximum(np.einsum("md,kdr->kmr", X, found.params.columns), 0)
    by_hand = np.einsum("l,lmr,r->m", found.params.amounts[1], units, found.params.heads[1])
    close(found.predict(X, 1), by_hand, 2)
    assert np.sum((by_hand[:40] - pairs[1][1]) ** 2) == pytest.approx(float(found.losses[1]), rel=1e-6)


@pytest.mark.parametrize("name", ["hard", "cross-stitch"])
def test_schemes_weigh_what_an_architecture_shares(name):
    """Weights that change at every step end near the loss of equal ones."""
    found = mtl.fit(PAIRS, name, scheme=find_scheme("inverse-gradient-norm")(), training=WeightedTraining(n_steps=1500))
    assert np.isfinite(found.loss) and found.loss <= 1.5 * mtl.fit(PAIRS, name, training=WeightedTraining(n_steps=1500)).loss


@pytest.mark.parametrize("name", SOLVED)
def test_tasks_may_change_places_and_batches_are_loops(name):
    sharing = find_sharing(name)()
    moments = [Moments.from_data(*pair) for pair in PAIRS]
    found = mtl.fit(moments, sharing)
    if not sharing.needs_source:
        order = [2, 0, 1]
        np.testing.assert_allclose(
            mtl.fit([moments[i] for i in order], sharing).parameters, found.parameters[jnp.array(order)], atol=1e-6
        )
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), stack(moments))
    if name == "hard":  # a search with starts of its own
        return
    both = jax.vmap(lambda one: mtl.fit(one, sharing).parameters)(stacked)
    close(both[0], found.parameters, 4)


@pytest.mark.parametrize("name", ["hard", "pooled", "soft", "mean-regularised", "cross-stitch", "adapters"])
def test_one_task_without_a_decay_is_least_squares(name):
    close(mtl.fit(PAIRS[:1], name).parameters, ALONE[:1], 3)


def test_moments_pairs_and_rows_are_one():
    X, y, used = np.zeros((K, 9, D)), np.zeros((K, 9)), np.zeros((K, 9), bool)
    for k, (a, b) in enumerate(PAIRS):
        X[k, : len(b)], y[k, : len(b)], used[k, : len(b)] = a, b, True
    given = Rows(jnp.asarray(X), jnp.asarray(y), jnp.asarray(used))
    for tasks in (given, [Moments.from_data(*pair) for pair in PAIRS]):
        close(mtl.fit(tasks, Soft(2.0)).parameters, mtl.fit(PAIRS, Soft(2.0)).parameters, 2)


@pytest.mark.parametrize("name", SOLVED)
def test_rows_that_all_share_are_rows_of_each(name):
    """One gram for all tasks is the same problem as a gram for each; and a cell of such tasks has a gain."""
    X, Y = PAIRS[0][0], np.random.default_rng(6).normal(size=(9, 3))
    shared, apart = mtl.fit(Moments.from_shared_rows(X, Y), name), mtl.fit([(X, column) for column in Y.T], name)
    assert np.isfinite(shared.loss)
    np.testing.assert_allclose(shared.loss, apart.loss, rtol=1e-6)
    if name != "hard":  # of three tasks, which is exact on shared rows alone
        np.testing.assert_allclose(shared.parameters, apart.parameters, atol=1e-5)
    tasks = mtl.LinearTasks(D, (20, 20), shared_covariates=True)
    assert np.isfinite(jax.jit(lambda key: mtl.Transfer(tasks, sharing=name)(key=key).gain)(jax.random.key(0)))


@pytest.mark.parametrize("name", ["adapters", "trace-norm", "soft", "pooled", "cross-stitch"])
def test_few_rows_zero_columns_and_tasks_of_no_weight(name):
    few = [(X[:2], y[:2]) for X, y in PAIRS[:2]]
    blind = [(X * [1, 0, 1, 1], y) for X, y in PAIRS[:2]]
    for pairs, weights in ((few, None), (few, (0.0, 1.0)), (blind, None), (PAIRS[:2], (0.0, 1.0))):
        found = mtl.fit(pairs, name, weights=weights)
        assert np.isfinite(found.parameters).all() and np.isfinite(found.loss) and found.certificate != Certificate.none


def test_units_of_features_move_no_optimum():
    """Beside a column of zeros, and in a column that is a sum of others each in a unit of its own."""
    rng = np.random.default_rng(5)
    X, y = rng.normal(size=(2, 9, 3)), rng.normal(size=(2, 9))
    for last, units in itertools.product((0 * X[..., 0], X[..., 0] + X[..., 1]), ([1, 1, 1], [1e-46] * 3, [1e20, 1e-20, 1e-5])):
        rows = np.concatenate([X[..., :2], last[..., None]], -1)
        strength = float(units[0] ** 2 if len(set(units)) == 1 else 0.3)
        moments = [mtl.Moments.from_data(own * units, labels) for own, labels in zip(rows, y, strict=True)]
        found = mtl.fit(moments, MeanRegularised(strength))
        fitted = [own * units @ np.asarray(parameters) for own, parameters in zip(rows, found.parameters, strict=True)]
        assert found.status == Status.ok and found.certificate == Certificate.exact
        assert found.loss == pytest.approx(smallest_loss(*stacked_mean(rows, units, y, strength)), rel=1e-9)
        assert np.sum((np.array(fitted) - y) ** 2) <= found.loss * (1 + 1e-9)


def test_labels_without_noise_that_a_source_foretells_are_no_lost_digits():
    pairs = [(X, X @ np.arange(1.0, X.shape[1] + 1)) for X, _ in PAIRS[:2]]
    for name in ("from-source", "frozen", "mean-regularised", "pooled", "soft"):
        assert mtl.fit(pairs, name).status == Status.ok
        assert mtl.fit([(X, 0 * y) for X, y in pairs], name).status == Status.ok


def stacked_mean(rows, units, labels, strength):
    """Rows and labels of the least squares, in the mean of both tasks' parameters and half their difference, that it is."""
    first, second = np.asarray(rows, np.longdouble) * np.asarray(units, np.longdouble)
    d = first.shape[1]
    pull = np.sqrt(2 * np.longdouble(strength)) * np.eye(d)
    return np.block([[first, first], [second, -second], [np.zeros((d, d)), pull]]), np.concatenate([*labels, np.zeros(d)])


def test_lost_digits_are_said():
    X = np.array([[1.0, 1.0], [1.0, 1.0 + 1e-13]])
    found = mtl.fit([(X, np.array([1.0, 2.0])), (X, np.array([0.0, 1.0]))], "pooled")
    assert found.status == Status.ill_conditioned and found.certificate == Certificate.none


@pytest.mark.parametrize("sharing", [Soft(2.0), CrossStitch(0.8, False, 1.0), "hard", "from-source"], ids=str)
def test_a_fit_comes_back_from_its_file(sharing, tmp_path):
    found = mtl.fit(PAIRS, sharing)
    found.save(tmp_path / "fit.npz")
    back = mtl.Fitted.load(tmp_path / "fit.npz")
    assert back.sharing == found.sharing or str(back.sharing) == str(found.sharing)
    assert back.route == found.route and jax.tree.structure(back.params) == jax.tree.structure(found.params)
    for task in range(K):
        np.testing.assert_array_equal(back.predict(PAIRS[0][0], task), found.predict(PAIRS[0][0], task))
    assert (back.loss, back.gap, back.certificate, back.status) == (found.loss, found.gap, found.certificate, found.status)
    with pytest.raises(ValueError, match="path must be a new file"):
        found.save(tmp_path / "fit.npz")
    arrays = dict(np.load(tmp_path / "fit.npz"))
    arrays["about"] = str(arrays["about"]).replace('"format": 1', '"format": 2')
    np.savez(tmp_path / "later.npz", **arrays)
    with pytest.raises(ValueError, match="path must be a whole file of one fit, .*format 2, where this version reads 1"):
        mtl.Fitted.load(tmp_path / "later.npz")
    (tmp_path / "part.npz").write_bytes((tmp_path / "fit.npz").read_bytes()[:200])
    with pytest.raises(ValueError, match="path must be a whole file of one fit"):
        mtl.Fitted.load(tmp_path / "part.npz")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"sharing": "softt"}, "did you mean 'soft'"),
        ({"sharing": CrossStitch(learned=False), "rank": 2}, "rank must be 1 where the mixing is held"),
        ({"sharing": MultilinearRelationship(np.eye(2))}, r"covariance must be of shape \(3, 3\), but is of shape \(2, 2\)"),
        ({"rank": 0}, "rank must be a whole number >= 1, but is 0"),
        ({"rank": 5}, "rank must be at most n_features = 4"),
        ({"activation": "tanh"}, "activation must be one of the known names"),
        ({"sharing": "soft", "activation": "relu"}, "activation must be 'identity' for soft"),
        ({"sharing": "frozen", "training": WeightedTraining()}, "training must be left out for frozen"),
        ({"weights": (1.0, 2.0)}, "weights must be one number or 3"),
        ({"tasks": "file.npz"}, "tasks must be one entry per task, but is a str"),
        ({"tasks": [PAIRS[0], 3]}, "tasks must be all Moments or all pairs"),
        ({"tasks": PAIRS[:1], "sharing": "from-source"}, "tasks must be two or more for this sharing"),
        ({"tasks": [PAIRS[0], (PAIRS[1][0][:, :3], PAIRS[1][1])]}, "moments must be of one number of features"),
    ],
)
def test_bad_input_is_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        mtl.fit(**{"tasks": PAIRS} | options)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: CrossStitch(1.5), "own must be a share from 0 to 1, but is 1.5"),
        (lambda: CrossStitch(decay=-1.0), "decay must be a number >= 0"),
        (lambda: Soft(-1.0), "strength must be a number >= 0"),
        (lambda: MultilinearRelationship(np.array([[1.0, 2.0], [2.0, 1.0]])), "covariance must be positive semidefinite"),
        (lambda: MultilinearRelationship(np.array([[1.0, 2.0], [0.0, 1.0]])), "covariance must be symmetric"),
        (lambda: CrossStitch(learned=False, per_channel=True), "per_channel must be False where the mixing is held, but is True"),
        (lambda: MultilinearRelationship(np.ones((2, 3))), "covariance must be a square matrix"),
        (lambda: MultilinearRelationship(np.eye(2), released=True), "released must be False with a covariance, but is True; leave"),
        (lambda: Sluice("balancd"), "did you mean 'balanced'"),
    ],
)
def test_bad_hyperparameters_are_one_sentence(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


def test_predictions_need_the_features_and_the_task():
    found = mtl.fit(PAIRS, "pooled")
    with pytest.raises(ValueError, match=r"X must be of shape \(m, 4\)"):
        found.predict(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="task must be the index of one of 3 tasks"):
        found.predict(np.zeros((2, 4)), 3)


def test_a_mixing_of_drawn_moments_is_that_of_their_rows():
    """Squares and equivalent rows, two routes to one answer."""
    tasks = mtl.LinearTasks(D, (30, 12, 9), cosine=0.5).draw(key=jax.random.key(0))
    moments = mtl.draw_moments(tasks, key=jax.random.key(1))
    plain = Moments(*(getattr(moments, name) for name in ("gram", "cross", "energy", "n_samples", "factor", "scores")))
    for sharing in MIXED.values():
        mixing = Mixing(*(jnp.asarray(part, float) for part in sharing.mixing(K)))
        drawn, given = (solve_mixed(one, mixing, jnp.ones(K)) for one in (moments, plain))
        close(drawn.parameters, given.parameters, 3)
        assert drawn.certificate == given.certificate == Certificate.exact


def test_every_fixed_mixing_is_tried():
    assert {type(one) for one in MIXED.values()} >= {
        find_sharing(name) for name in sharing_names() if issubclass(find_sharing(name), MixedSharing) and name != "pooled"
    }


def test_how_related_tasks_must_be_for_architectures_that_are_not_learned():
    """Critical correlations at n tau^2 / s^2 = 1, 4, 20, 100 with the best ridge, as computed elsewhere."""
    table = {
        0.2195: (0.111, 0.113, 0.115, 0.115),
        1 / 3: (0.171, 0.179, 0.183, 0.185),
        0.5: (0.266, 0.290, 0.307, 0.311),
        16 / 17: (0.575, 0.737, 0.849, 0.879),
        1 - 1e-12: (0.625, 0.820, 0.954, 0.990),
    }
    for rho, wanted in table.items():
        found = [critical_correlation(rho, n, 1.0, 1.0) for n in (1.0, 4.0, 20.0, 100.0)]
        np.testing.assert_allclose(found, wanted, atol=6e-4)
    assert critical_correlation(0.8, 20.0, 1.0, 1.0) == pytest.approx(0.632, abs=5e-4)


def test_the_trace_norm_thresholds_modes_on_orthonormal_rows():
    """Singular values (s - strength / (2 n))_+ of the tasks' own solutions; the same as decayed wide layers by rows."""
    n, strength, d = 7.0, 3.0, 5
    theta = np.random.default_rng(3).normal(size=(d, K))
    moments = [Moments.from_data(np.sqrt(n) * np.eye(d), np.sqrt(n) * column) for column in theta.T]
    found = mtl.fit(moments, TraceNorm(strength))
    values = np.linalg.svd(theta, compute_uv=False)
    np.testing.assert_allclose(
        np.linalg.svd(found.parameters, compute_uv=False), np.maximum(values - strength / (2 * n), 0), atol=1e-7
    )
    assert found.certificate == Certificate.exact


@pytest.mark.parametrize("sharing", [TraceNorm(2.0), TraceNorm(0.05), Adapters(0.5), Adapters(3.0)], ids=str)
def test_a_convex_penalty_is_not_beaten(sharing):
    """No point near the answer, of a thousand on the rows, has a lower objective, and none lies below the proven bound."""
    rng = np.random.default_rng(4)
    found = mtl.fit(PAIRS, sharing)
    adapted = isinstance(sharing, Adapters)

    def value(theta, base):
        loss = sum(np.sum((X @ own - y) ** 2) for (X, y), own in zip(PAIRS, theta, strict=True))
        if adapted:
            return loss + 2 * sharing.decay * np.sum(np.linalg.norm(theta - base, axis=1))
        return loss + sharing.strength * np.sum(np.linalg.svd(theta, compute_uv=False))

    best, base = np.asarray(found.parameters), np.asarray(found.params.base) if adapted else np.zeros(D)
    assert value(best, base) == pytest.approx(float(found.loss), rel=1e-9)
    assert found.certificate == Certificate.exact and 0 <= found.gap < 1e-6 * float(found.loss)
    for _ in range(1000):
        size = 10 ** rng.uniform(-6, 0)
        other = value(best + size * rng.normal(size=best.shape), base + size * rng.normal(size=D))
        assert other >= float(found.loss) - float(found.gap)


def test_adapters_pool_exactly_from_a_threshold_on():
    moments = [Moments.from_data(*pair) for pair in PAIRS]
    threshold = max(float(np.linalg.norm(m.gram @ POOLED - m.cross)) for m in moments)
    above, below = mtl.fit(PAIRS, Adapters(1.02 * threshold)), mtl.fit(PAIRS, Adapters(0.98 * threshold))
    assert not np.any(above.params.deltas) and np.any(below.params.deltas)
    np.testing.assert_allclose(above.parameters, np.stack([POOLED] * K), atol=1e-8)


@pytest.mark.parametrize("name", [name for name in SOLVED if name != "multilinear"])
def test_what_is_no_number_is_never_certified(name):
    """A NaN in the moments, for every second of many problems at once."""
    draw = lambda key: mtl.draw_moments(mtl.LinearTasks(D, (9, 8)).draw(key=key), key=key)
    moments = jax.vmap(draw)(jax.random.split(jax.random.key(0), 20))
    broken = jnp.arange(20) % 2 == 1
    spoil = lambda leaf: jnp.where(broken.reshape(-1, *[1] * (leaf.ndim - 1)), jnp.nan, leaf) if leaf.ndim > 2 else leaf
    sharing = CrossStitch(0.9, False, 1.0) if name == "cross-stitch" else find_sharing(name)()
    one = lambda own: sharing.exact(Problem(own, 1, jnp.ones(2), jnp.zeros(2), jax.random.key(0)))
    found = jax.jit(jax.vmap(one))(jax.tree.map(spoil, moments))
    assert (found.status[broken] != Status.ok).all() and (found.certificate[broken] == Certificate.none).all()
    assert (found.status[~broken] == Status.ok).all()


# ------------------------------------------------------------------------------------------------------- several outputs
OUT = 2
SEVERAL = [(X, np.random.default_rng(len(X)).normal(size=(len(X), OUT))) for X, _ in PAIRS]


def norms_of(sharing, theta, base):
    """The penalty of parameters (K, o, d) from its definition."""
    nuclear = lambda matrix: np.sum(np.linalg.svd(matrix, compute_uv=False))
    if isinstance(sharing, Adapters):
        return 2 * sharing.decay * sum(nuclear(own - base) for own in theta)
    axes = {"tasks": [0], "tensor-train": [0, 2], "tucker": [0, 1, 2]}[sharing.form]
    return sharing.strength * sum(nuclear(np.moveaxis(theta, axis, 0).reshape(theta.shape[axis], -1)) for axis in axes)


def value_of(sharing, theta, base, weights=(1, 1, 1)):
    squares = [np.sum((X @ own.T - Y) ** 2) for (X, Y), own in zip(SEVERAL, theta, strict=True)]
    return np.dot(weights, squares) + norms_of(sharing, theta, base)


@pytest.mark.parametrize(
    "sharing",
    [Adapters(0.5), Adapters(2.0), TraceNorm(2.0), TraceNorm(1.0, "tensor-train"), TraceNorm(0.7, "tucker")],
    ids=lambda sharing: sharing.text,
)
def test_several_outputs_are_not_beaten(sharing):
    """The objective is that of the definition, and no point near the answer, of a thousand, lies below its bound."""
    rng, weights = np.random.default_rng(9), (1.0, 0.5, 2.0)
    found = mtl.fit(SEVERAL, sharing, weights=weights)
    best, base = np.asarray(found.parameters), np.asarray(getattr(found.params, "base", 0.0))
    assert best.shape == (K, OUT, D) and found.certificate == Certificate.exact and 0 <= found.gap < 1e-6 * float(found.loss)
    assert value_of(sharing, best, base, weights) == pytest.approx(float(found.loss), rel=1e-9)
    for _ in range(1000):
        size = 10 ** rng.uniform(-6, 0)
        shifted = best + size * rng.normal(size=best.shape), base + size * rng.normal(size=base.shape)
        assert value_of(sharing, *shifted, weights) >= float(found.loss) - float(found.gap)
    for task, (X, Y) in enumerate(SEVERAL):
        close(found.predict(X, task), X @ best[task].T, 1)
        assert np.sum((X @ best[task].T - Y) ** 2) == pytest.approx(float(found.losses[task]), rel=1e-8)


@pytest.mark.parametrize("decay", [0.5, 2.0])
def test_adapters_of_several_outputs_are_decayed_factors(decay):
    """The factors U_k V_k' and the base themselves, with their decay, searched on the rows; and the decay that pools."""

    def objective(flat):
        base, left, right = np.split(flat, np.cumsum([OUT * D, K * OUT * D]))
        base, left, right = base.reshape(OUT, D), left.reshape(K, OUT, D), right.reshape(K, OUT, OUT)
        theta = base + np.einsum("kqo,kqd->kod", right, left)
        squares = sum(np.sum((X @ own.T - Y) ** 2) for (X, Y), own in zip(SEVERAL, theta, strict=True))
        return squares + decay * (np.sum(left**2) + np.sum(right**2))

    rng = np.random.default_rng(10)
    starts = rng.normal(size=(3, OUT * (D + K * D + K * OUT)))
    searched = min(minimize(objective, start, options={"gtol": 1e-7}).fun for start in starts)
    assert abs(float(mtl.fit(SEVERAL, Adapters(decay)).loss) - searched) < 1e-5 * searched
    pooled = np.linalg.lstsq(np.concatenate([X for X, _ in SEVERAL]), np.concatenate([Y for _, Y in SEVERAL]), rcond=None)[0]
    threshold = max(np.linalg.norm(X.T @ (X @ pooled - Y), 2) for X, Y in SEVERAL)
    above, below = mtl.fit(SEVERAL, Adapters(1.02 * threshold)), mtl.fit(SEVERAL, Adapters(0.98 * threshold))
    assert not np.any(above.params.deltas) and np.any(below.params.deltas)
    np.testing.assert_allclose(above.parameters, np.stack([pooled.T] * K), atol=1e-8)


@pytest.mark.parametrize(
    "sharing", [Adapters(0.4), TraceNorm(1.5), TraceNorm(0.8, "tensor-train")], ids=lambda sharing: sharing.text
)
def test_an_output_of_zeros_changes_nothing(sharing, tmp_path):
    """Nor does a file: what is saved says the same."""
    twice = getattr(sharing, "form", "") == "tensor-train"  # whose second matrix one output does not have
    one = mtl.fit([(X, Y[:, 0]) for X, Y in SEVERAL], TraceNorm(2 * sharing.strength) if twice else sharing)
    found = mtl.fit([(X, Y * [1, 0]) for X, Y in SEVERAL], sharing)
    np.testing.assert_allclose(found.parameters[:, 0], one.parameters, atol=1e-6)
    np.testing.assert_allclose(found.parameters[:, 1], 0, atol=1e-12)
    found.save(tmp_path / "fit.npz")
    close(mtl.Fitted.load(tmp_path / "fit.npz").predict(PAIRS[0][0], 0), found.predict(PAIRS[0][0], 0))


def test_a_base_is_adapted_along_few_directions():
    """The worked example, and factors searched on the rows; as many directions as outputs are the target alone."""
    rows = np.eye(2)
    found = mtl.fit([(rows, np.eye(2)), (rows, np.array([[2, 0.3], [0.2, 1.1]]))], Adapters(sequential=True), rank=1)
    np.testing.assert_allclose(found.parameters[1].T, [[1.99772, 0.30741], [0.2108, 1.06495]], atol=1e-5)
    assert found.certificate == Certificate.exact and found.loss == pytest.approx(0.03749**2, rel=1e-3)
    rng = np.random.default_rng(11)
    three = [(X, rng.normal(size=(len(X), 3))) for X, _ in PAIRS]
    alone = [np.linalg.lstsq(X, Y, rcond=None)[0] for X, Y in three]
    X, Y = three[-1]

    def loss(flat):
        left, right = np.split(flat, [2 * D])
        return np.sum((X @ (alone[0] + left.reshape(D, 2) @ right.reshape(2, 3)) - Y) ** 2)

    found = mtl.fit(three, Adapters(sequential=True), rank=2)
    searched = min(minimize(loss, start, options={"gtol": 1e-9}).fun for start in rng.normal(size=(5, 2 * (D + 3))))
    assert abs(float(found.losses[-1]) - searched) < 1e-7 * searched
    assert np.linalg.matrix_rank(found.parameters[-1] - found.parameters[0], tol=1e-9) == 2
    for task in (0, 1):
        close(found.parameters[task].T, alone[task], 3)
    close(mtl.fit(three, Adapters(sequential=True), rank=3).parameters[-1].T, alone[-1], 4)
    with pytest.raises(ValueError, match="tasks must be two or more for this sharing, but is one; add a source task"):
        mtl.fit(three[:1], Adapters(sequential=True))


def test_outputs_that_do_not_fit_are_one_sentence():
    with pytest.raises(ValueError, match=r"y must be of shape \(m,\) for hard, but is of 2 columns; use 'adapters'"):
        mtl.fit(SEVERAL, "hard")
    with pytest.raises(ValueError, match=r"tasks must be of one number of outputs, but is of \[1, 2\]; give all tasks the same"):
        mtl.fit([SEVERAL[0], PAIRS[1]], Adapters())
    with pytest.raises(ValueError, match="form must be one of the known names, but is 'tuker'; did you mean 'tucker'"):
        TraceNorm(form="tuker")


# ------------------------------------------------------------------------------------------------------- along training
LONG_TRAINING = WeightedTraining("sgd", 20_000, 0.05, decay=False)


@pytest.mark.parametrize("sharing", [CrossStitch(), CrossStitch(0.8, False, 0.0), "hard", "pooled"], ids=str)
def test_linear_training_ends_where_the_optimum_is(sharing):
    """From sums over rows of a pair, against what `Transfer` knows of the same draw."""
    tasks = mtl.LinearTasks(3, (12, 12), cosine=0.6, noise=0.4, design=mtl.Isotropic())
    key = jax.random.key(3)
    curve = mtl.TrainingCurve(tasks, training=LONG_TRAINING, n_points=4, sharing=sharing)(key=key)
    known = mtl.Transfer(tasks, sharing=sharing)(key=key)
    np.testing.assert_allclose(curve.risk[-1], known.risk_multi, rtol=1e-4)
    assert curve.risk.shape == curve.loss.shape == (4,) and np.all(np.diff(curve.loss) <= 1e-12) and curve.status == Status.ok


def test_weights_on_one_task_train_it_alone():
    tasks = mtl.LinearTasks(3, (12, 12), cosine=0.6, noise=0.4, design=mtl.Isotropic())
    key = jax.random.key(4)
    curve = mtl.TrainingCurve(tasks, training=LONG_TRAINING, n_points=1, weights=(0.0, 2.0))(key=key)
    np.testing.assert_allclose(curve.risk[-1], mtl.Transfer(tasks)(key=key).risk_single, rtol=1e-4)


def test_relu_units_are_stitched_along_training():
    tasks = mtl.ReluTasks(3, (200, 200), cosine=0.5, noise=0.0, design=mtl.Isotropic())
    curve = mtl.TrainingCurve(
        tasks, 2, training=WeightedTraining("sgd", 4000, 0.1, decay=False), n_points=2, sharing="cross-stitch"
    )
    early, late = curve(key=jax.random.key(1)).risk
    assert late < early and late < 0.01 * float(jnp.sum(tasks.draw(key=jax.random.key(1)).parameters[-1] ** 2))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: mtl.TrainingCurve(mtl.LinearTasks(3, (9, 9)), sharing="frozen"), "sharing must be one that can be trained"),
        (lambda: mtl.TrainingCurve(mtl.ReluTasks(3, (9, 9)), sharing="soft"), "use 'hard' or 'cross-stitch'"),
        (lambda: mtl.TrainingCurve(mtl.LinearTasks(3, (9, 9)), population=True), "population must be False"),
        (lambda: mtl.TrainingCurve(mtl.LinearTasks(3, (9, 9)), sharing="stitch"), "sharing must be one of the known names"),
        (lambda: mtl.TrainingCurve(mtl.LinearTasks(3, (9, 9)), weights=(0.0, 0.0)), "weights must be"),
    ],
)
def test_curves_of_what_cannot_be_trained_are_one_sentence(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
