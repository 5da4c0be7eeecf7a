"""Closed forms against known numbers and plain NumPy, and planted mistakes that verification must refute."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtlsim.cells.transfer import Transfer
from mtlsim.samples.moments import Moments
from mtlsim.solvers.columns import best_shared
from mtlsim.tasks.covariance import Isotropic, PowerLaw
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.orthonormal import OrthonormalTasks
from mtlsim.theory.predictor import predict_pooled, simplest_form
from mtlsim.theory.statements import (
    complementary_shift,
    detectability,
    fixed_heads,
    lampinen_ganguli,
    orthonormal_weighting,
    reduced_rank,
)
from mtlsim.theory.statements import evgeniou_pontil_lifting as lifting
from mtlsim.theory.statements import mean_regularised_orthonormal as mean_regularised

KEY = jax.random.key(3)


def case_of(module, seed=0, place="inside"):
    return module.STATEMENT.instance(place, np.random.default_rng(seed))


def test_the_spiked_matrix_has_its_known_numbers():
    """Aspect 240 / 600: the top singular value and both overlaps far above the threshold, and the overlaps near it."""
    np.testing.assert_allclose(detectability.spiked_singular(1.5, 0.4), [1.9565, 0.6376, 0.7820], atol=1e-4)
    np.testing.assert_allclose(detectability.spiked_singular(1.0, 0.4)[1:], [0.300, 0.429], atol=5e-4)
    at, below = (detectability.spiked_singular(ratio * 0.4**0.25, 0.4) for ratio in (1 + 1e-12, 0.5))
    np.testing.assert_allclose(at, below, atol=1e-9)


def test_a_rank_keeps_the_modes_above_the_noise():
    level = np.sqrt(0.5**2 * 100 / (300 - 100 - 1))
    assert int(reduced_rank.best_rank(level * np.array([3, 1.01, 0.99, 0.1]), 0.5, 300, 100)) == 2


@pytest.mark.parametrize(("noise", "weights"), [((0.6, 0.6, 0.6), (0.5, 1.0, 2.0)), ((1.5, 0.3, 0.2), (1.0, 1.0, 1.0))])
def test_reduced_rank_regression_in_plain_numpy(noise, weights):
    """Rank one of three tasks on the same rows, weights or noises that differ: every task's risk, from rows."""
    d, n, rng, scales = 60, 200, np.random.default_rng(0), np.sqrt(weights)
    left, right = (np.linalg.qr(rng.standard_normal((m, 3)))[0] for m in (d, 3))
    theta = (left * [2.5, 0.5, 0.2]) @ right.T
    design = cell_of(theta.T, n, noise, weights)
    risks = []
    for _ in range(600):
        rows = rng.standard_normal((n, d))
        own = np.linalg.lstsq(rows, rows @ theta + noise * rng.standard_normal((n, 3)))[0] * scales
        strongest = np.linalg.svd(rows @ own, full_matrices=False)[2][:1]
        risks.append(np.sum((own @ strongest.T @ strongest / scales - theta) ** 2, 0))
    predicted = reduced_rank.predict(design, KEY)
    risks = np.asarray(risks)
    np.testing.assert_allclose(
        [risks.mean(0)[-1], risks.sum(1).mean()], [predicted["risk_multi"], predicted["risk_total"]], rtol=0.03
    )


def cell_of(parameters, n, noise, weights):
    n_tasks, d = parameters.shape
    tasks = LinearTasks(d, (n,) * n_tasks, noise=noise, design=Isotropic(), parameters=parameters, shared_covariates=True)
    return Transfer(tasks, rank=1, weights=tuple(map(float, weights)))


def test_the_best_share_and_the_break_even_share():
    v, distance, n_tasks = 0.7, 0.3, 4
    best = mean_regularised.best_share(v, distance, n_tasks)
    assert abs(float(jax.grad(mean_regularised.mean_regularised_risk)(best, v, distance, n_tasks))) < 1e-12
    np.testing.assert_allclose(mean_regularised.mean_regularised_risk(2 * best, v, distance, n_tasks), v)


def test_no_source_hurts_at_its_best_weight():
    rng = np.random.default_rng(1)
    for seed in range(20):
        case = case_of(orthonormal_weighting, seed)
        predicted = orthonormal_weighting.predict(case, KEY)
        assert 0 < float(predicted["risk_best"]) < float(case.tasks.variances[1])
        assert float(predicted["risk_best"]) <= float(predicted["risk_multi"]) * (1 + 1e-12)
    d, w, n = 3, 0.4, np.array([7.0, 5.0])
    tasks = OrthonormalTasks(jnp.asarray(rng.standard_normal((2, d))), jnp.asarray([0.0, 0.0]), jnp.asarray(n))
    share = w * n[0] / (w * n[0] + n[1])
    measured = orthonormal_weighting.measure(orthonormal_weighting.Weighting(tasks, w), KEY)["risk_multi"]
    np.testing.assert_allclose(measured, share**2 * np.sum(np.diff(tasks.parameters, axis=0) ** 2), rtol=1e-10)


def test_the_best_layer_under_given_heads_is_one_least_squares_on_lifted_rows():
    d, n, rng = 5, 12, np.random.default_rng(6)
    rows, labels, heads = rng.standard_normal((3, n, d)), rng.standard_normal((3, n)), rng.standard_normal((3, 2))
    lifted = np.concatenate([np.kron(head, X) for head, X in zip(heads, rows, strict=True)])
    wanted = np.linalg.lstsq(lifted, labels.ravel(), rcond=None)[0].reshape(2, d).T
    grams, crosses = np.einsum("knd,kne->kde", rows, rows), np.einsum("knd,kn->kd", rows, labels)
    moments = Moments(*map(jnp.asarray, (grams, crosses, np.sum(labels**2, 1), np.full(3, float(n)))))
    np.testing.assert_allclose(best_shared(moments, jnp.asarray(heads)), wanted, rtol=1e-9)


def test_heads_of_one_are_pooling():
    tasks = LinearTasks(8, (30, 40, 20), design=PowerLaw(1.0), relation="disjoint").draw(key=KEY)
    pooled = predict_pooled(simplest_form(tasks, True), tasks.n_samples, tasks.noise, jnp.ones(3))
    np.testing.assert_allclose(fixed_heads.predict_with_heads(tasks, jnp.ones((3, 1))).risk, pooled.risk, rtol=1e-8)


@pytest.mark.parametrize("mu", [0.0, 0.7])
def test_lifted_ridge_is_mean_regularisation_with_a_ridge_on_the_mean(mu):
    """Against the penalty written out over all parameters at once, in NumPy."""
    d, n_tasks, strength, rng = 4, 3, 2.5, np.random.default_rng(2)
    rows, labels = rng.standard_normal((n_tasks, 9, d)), rng.standard_normal((n_tasks, 9))
    grams, crosses = np.einsum("knd,kne->kde", rows, rows), np.einsum("knd,kn->kd", rows, labels)
    mean = np.full((n_tasks, n_tasks), 1 / n_tasks)
    on_mean = mu * n_tasks * strength / (mu + n_tasks * strength) * mean / n_tasks
    penalty = np.kron(strength * (np.eye(n_tasks) - mean) + on_mean, np.eye(d))
    system = penalty + np.block([[grams[i] * (i == j) for j in range(n_tasks)] for i in range(n_tasks)])
    wanted = np.linalg.solve(system, crosses.ravel()).reshape(n_tasks, d)
    moments = Moments(*map(jnp.asarray, (grams, crosses, np.sum(labels**2, 1), np.full(n_tasks, 9.0))))
    np.testing.assert_allclose(lifting.lifted_ridge(moments, jnp.asarray(strength), mu), wanted, rtol=1e-9)


def test_a_complementary_shift_crosses_the_curve_of_no_shift_at_equal_rows():
    """From rows in NumPy: fewer source rows than target rows, as many, more."""
    d, rng, stretched = 40, np.random.default_rng(4), np.repeat([3.0, 1 / 3], 20)
    ratios = []
    for n_source, n_target in ((40, 80), (60, 60), (80, 40)):
        ours = complementary_shift.ComplementaryShift(d, jnp.asarray([n_source, n_target], float), jnp.ones(2), 3.0)
        risks = []
        for _ in range(200):
            source, target = rng.standard_normal((n_source, d)) * stretched, rng.standard_normal((n_target, d))
            risks.append(np.trace(np.linalg.inv(source.T @ source + target.T @ target)))
        ratios.append(np.mean(risks) / float(complementary_shift.predict(ours, KEY)["risk_multi"]))
    assert ratios[0] < 0.95 < ratios[1] < 1.05 < ratios[2]


@pytest.mark.parametrize(
    ("strengths", "wanted"),
    [((1, 3), (-0.049, 0.083, 0.387, 0.652)), ((2, 3), (-0.114, -0.145, -0.026, 0.159)), ((0.6, 3), (None, None, None, 0.496))],
)
def test_the_benefit_of_a_second_teacher_has_its_known_numbers(strengths, wanted):
    """400 inputs, 100 outputs, small start; with strengths 2 and 3 an overlap of a half is worse than none."""
    for overlap, benefit in zip((0, 0.5, 0.8, 1), wanted, strict=True):
        case = lampinen_ganguli.TwoTeachers(400, 100, jnp.asarray(strengths, float), float(overlap))
        if benefit is not None:
            np.testing.assert_allclose(lampinen_ganguli.transfer_benefit(case), benefit, atol=0.003)


def test_two_layers_by_gradient_descent_follow_the_modes():
    """W2 W1 from a balanced start along the data's singular vectors, with small steps: each mode grows by the formula."""
    case = lampinen_ganguli.TwoTeachers(8, 4, jnp.asarray([2.0, 1.0]), 0.5, 1e-2)
    data = np.asarray(case.draw(key=KEY))
    left, values, right = np.linalg.svd(data, full_matrices=False)
    second, first, step, time = 0.1 * left, 0.1 * right, 1e-3, 1.5
    for _ in range(round(time / step)):
        residual = data - second @ first
        second, first = second + step * residual @ first.T, first + step * second.T @ residual
    grown = (left * np.asarray(lampinen_ganguli.learned(values, time, 1e-2))) @ right
    np.testing.assert_allclose(second @ first, grown, atol=5e-3)


def test_a_singularity_leaves_no_gradient_undefined():
    for module in (orthonormal_weighting, mean_regularised, detectability, reduced_rank, lampinen_ganguli):
        case = case_of(module)
        total = lambda leaves, module=module: sum(module.predict(leaves, KEY).values())
        slopes = jax.tree.leaves(jax.jit(jax.grad(total))(jax.tree.map(lambda leaf: jnp.asarray(leaf, float), case)))
        assert all(np.isfinite(np.asarray(slope)).all() for slope in slopes)
