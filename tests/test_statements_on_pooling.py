"""Statements about one task, pooling, frozen layers and soft transfer: known numbers, NumPy without mtlsim, and planted errors."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import Z_LIMIT, close, z_score

import mtlsim as mtl
from mtlsim.results.grid import as_leaves
from mtlsim.sharing.mean_regularised import MeanRegularised
from mtlsim.solvers.expected_risk import least_squares_risk, minimum_norm_risk, single_risk
from mtlsim.theory import find_statement
from mtlsim.theory.statements import pooled_overparameterised, soft_transfer
from mtlsim.theory.statements.frozen_layer import frozen_risk, unreachable
from mtlsim.theory.statements.gain_estimate import accept_source, estimate_gain
from mtlsim.theory.statements.plateau import critical_cosine
from mtlsim.theory.statements.pooled_sign import helpful_sizes, largest_shift, turning_point
from mtlsim.theory.statements.pooled_sign_overparameterised import largest_relative_shift


@pytest.mark.parametrize("n, d", [(16, 6), (4, 13)])
def test_risk_of_least_squares_by_numpy(n, d):
    rng = np.random.default_rng(0)
    theta, noise, risks = rng.normal(size=d), 0.7, []
    for _ in range(4000):
        X = rng.normal(size=(n, d))
        risks.append(np.sum((np.linalg.pinv(X) @ (X @ theta + noise * rng.normal(size=n)) - theta) ** 2))
    wanted = single_risk(*jnp.asarray([noise, n]), d) if n > d else minimum_norm_risk(theta @ theta, noise, n, d)
    assert abs(z_score(risks, wanted)) < Z_LIMIT


def test_risk_alone_is_nan_where_no_form_holds():
    risk = lambda n, design: float(least_squares_risk(mtl.LinearTasks(10, (n,), design=design).draw(key=jax.random.key(0))))
    assert all(np.isnan(risk(n, mtl.Isotropic())) for n in (9, 10, 11))
    assert np.isnan(risk(4, mtl.Spiked())) and not np.isnan(risk(4, mtl.Isotropic())) and not np.isnan(risk(12, mtl.Spiked()))


def test_pooled_interpolator_by_numpy():
    rng = np.random.default_rng(0)
    d, rows, noise = 13, (2, 4), np.asarray([0.5, 0.2])
    theta, risks = rng.normal(size=(2, d)), []
    for _ in range(4000):
        X = rng.normal(size=(sum(rows), d))
        y = np.concatenate([X[:2] @ theta[0], X[2:] @ theta[1]]) + np.repeat(noise, rows) * rng.normal(size=sum(rows))
        risks.append(np.sum((np.linalg.pinv(X) @ y - theta[1]) ** 2))
    delta = np.sum((theta[0] - theta[1]) ** 2)
    sizes = jnp.asarray([delta, 0.0]), jnp.asarray(noise)
    n = jnp.asarray(rows, float)
    assert abs(z_score(risks, pooled_overparameterised.interpolator_risk(n, theta[1] @ theta[1], 4 * delta, *sizes, d))) < Z_LIMIT
    assert np.isnan(pooled_overparameterised.interpolator_risk(n, 1.0, 1.0, *sizes, 7))


def test_turning_points_of_the_phase_diagram():
    """d = 100, 300 target rows, noise 0.5, |delta|^2 = 2 mu^2."""
    q = lambda mu: 2 * mu**2 * 200 / (0.25 * 100)
    found = [float(turning_point(q(mu), 300, 100)) for mu in (0.24, 0.3, 0.35, 0.4, 0.43, 0.45)]
    np.testing.assert_allclose(found, [np.inf, 836, 319, 124, 27.5, 0], atol=0.5)
    sizes = np.arange(1, 1000)
    exact = np.asarray(jax.lax.map(lambda n: largest_shift(n, 300, 100), jnp.asarray(sizes, float)))
    assert [sizes[exact > 2 * mu**2 / 0.25][-1] for mu in (0.3, 0.35, 0.4, 0.43)] == [853, 324, 127, 30]
    assert float(largest_shift(1e12, 300, 100)) == pytest.approx(100 / 199) and np.isnan(largest_shift(50, 100, 100))


def test_a_window_of_source_sizes_past_the_first_row_that_hurts():
    """q = 2.1 > n_2 / d = 2: the first rows hurt, and yet 30 help, in the limit and exactly."""
    first, last = helpful_sizes(2.1, 200, 100)
    assert (float(first), float(last)) == pytest.approx((11.26, 161.47), abs=0.01)
    room = [float(largest_shift(n, 200, 100)) - 2.1 for n in (1, 30, 100, 400)]
    np.testing.assert_array_equal(np.sign(room), [-1, 1, 1, -1])
    assert np.isnan(helpful_sizes(3.01, 300, 100)[0])  # n_2 = 3 d: no window


def test_low_signal_makes_every_source_hurt():
    found = [float(largest_relative_shift(30, 40, ratio, 100)) for ratio in (1, 2, 5, 20)]
    np.testing.assert_allclose(found, [-2.01, -0.80, -0.07, 0.30], atol=0.005)
    assert np.isnan(largest_relative_shift(50, 49, 1.0, 100))


@pytest.mark.parametrize("n, variance, risk, critical", [(60, 0.5, 0.2019, 0), (25, 0.0, 0.1983, 0.800), (60, 0.02, 0.1936, 0.979)])
def test_plateau_numbers(n, variance, risk, critical):
    """d = 40, isotropic, unit lengths, cos 0.9."""
    d, noise = 40, np.sqrt(variance)
    assert float(frozen_risk(1 - 0.9**2, noise, n, 1)) == pytest.approx(risk, abs=2e-4)
    alone = single_risk(*jnp.asarray([noise, n]), d) if n > d else minimum_norm_risk(1.0, noise, n, d)
    assert float(critical_cosine(alone, noise, n, 1.0)) == pytest.approx(critical, abs=1e-3)


def test_a_layer_that_reaches_the_target_misses_nothing():
    rng = np.random.default_rng(0)
    covariance = mtl.PowerLaw(1.0).draw(9)
    layer = jnp.asarray(rng.normal(size=(9, 3)))
    inside, outside = layer @ jnp.asarray([1.0, -2, 0.5]), jnp.asarray(rng.normal(size=9))
    assert abs(float(unreachable(inside, layer, covariance))) < 1e-20
    root = np.sqrt(np.asarray(covariance.eigenvalues))
    close(unreachable(outside, layer, covariance), np.linalg.lstsq(root[:, None] * layer, root * outside, rcond=None)[1][0], 2)


def test_rows_of_equal_tasks_add_up():
    split = mtl.Transfer(mtl.LinearTasks(8, (5, 5, 5, 5, 5), cosine=1.0, relation="same"), sharing="pooled")
    predicted = mtl.theory.data_amplification(split)(key=jax.random.key(0))
    assert float(predicted["risk_multi"]) == pytest.approx(8 / (25 - 8 - 1)) and predicted["margin"] > 0


def test_best_strength_is_the_lowest_of_the_curve():
    strengths = jnp.geomspace(1, 1e4, 4001)
    for n in (40, 300):
        risks = soft_transfer.soft_risk(0.5, 0.7, n, 100, strengths)
        assert float(strengths[jnp.argmin(risks)]) == pytest.approx(float(soft_transfer.best_strength(0.5, 0.7, 100)), rel=5e-3)
    close(soft_transfer.soft_risk(0.5, 0.7, 300, 100, 1e-12), 0.49 * 100 / 200, 2)
    close(soft_transfer.soft_risk(0.5, 0.7, 40, 100, 1e-12), 0.5 * (1 - 0.4) + 0.49 * 40 / 60, 2)


def test_a_pull_to_the_mean_leads_from_learning_alone_to_pooling():
    recipe = {"n_features": 30, "n_samples": (20, 90), "cosine": 0.5, "noise": (0.5, 1.0), "relation": "same"}
    cell, key = mtl.Transfer(mtl.LinearTasks(**recipe, design=mtl.PowerLaw(0.5)), sharing="pooled"), jax.random.key(0)

    @jax.jit
    def risks(strength):
        pulled = dataclasses.replace(cell, sharing=MeanRegularised(strength))
        return find_statement("mean-regularised")(pulled)(key=key)["risk_multi"], find_statement("general-predictor")(cell)(key=key)

    for strength, name in ((1e-7, "risk_single"), (1e9, "risk_multi")):
        pulled, pooled = risks(strength)
        np.testing.assert_allclose(pulled, pooled[name], rtol=1e-5)


def test_estimate_and_decision_agree_with_numpy():
    rng = np.random.default_rng(0)
    tasks = [(rng.normal(size=(n, 5)), rng.normal(size=n)) for n in (3, 12)]
    moments = mtl.samples.stack([mtl.Moments.from_data(X, y) for X, y in tasks])
    grams = [X.T @ X for X, _ in tasks]
    own, residual, *_ = np.linalg.lstsq(*tasks[1], rcond=None)
    both = np.linalg.lstsq(np.concatenate([X for X, _ in tasks]), np.concatenate([y for _, y in tasks]), rcond=None)[0]
    saved = np.trace(np.linalg.inv(grams[1]) - np.linalg.inv(grams[0] + grams[1]))
    for variance, used in ((0.3, 0.3), (None, residual[0] / 7)):
        wanted = 2 * used * saved - np.sum((both - own) ** 2)
        close(estimate_gain(moments, jnp.eye(5), variance), wanted, 2)
        assert bool(accept_source(moments, jnp.eye(5), variance)) == (wanted > 0)


@pytest.mark.parametrize(
    "name", ["pooled-overparameterised", "pooled-sign", "frozen-layer", "gain-estimate", "soft-transfer", "mean-regularised"]
)
def test_predictions_have_finite_gradients(name):
    statement = find_statement(name)
    instance = statement.instance("inside", np.random.default_rng(3))
    numbers, rest = eqx.partition(instance, eqx.is_array_like)
    total = lambda numbers: sum(statement.predict(eqx.combine(numbers, rest), jax.random.key(0)).values())
    value, slopes = jax.jit(jax.value_and_grad(total))(as_leaves(numbers))
    assert np.isfinite(value) and all(np.isfinite(slope).all() for slope in jax.tree.leaves(slopes))
