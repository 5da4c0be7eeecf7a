"""Verdicts that cover, gains against known theory, and a decomposition that adds up."""

import dataclasses

import jax
import numpy as np
import pytest
from conftest import Z_LIMIT, z_score
from scipy import stats

import mtlsim as mtl
from mtlsim.core.status import Status
from mtlsim.core.verdict import decide, summarise

KEY = jax.random.key(11)
N_SEEDS = 4000
SMALL = {"n_features": 6, "design": mtl.Spiked(10.0, 0.34)}  # one static shape for most tests, which is compiled once


def gains(cell, n_seeds, key=KEY):
    return mtl.sweep(cell, {}, n_seeds, key, progress=False)


def test_the_interval_covers_the_mean_at_its_level():
    """1500 repetitions of 40 seeds from a long sweep's gains: the share that covers is binomial about 95 %."""
    population = gains(mtl.Transfer(mtl.LinearTasks(n_samples=(40, 25), **SMALL)), N_SEEDS).gain.values.ravel()
    rng = np.random.default_rng(0)
    summary = summarise(rng.choice(population, (1500, 40)))
    covered = np.mean((summary["low"] <= population.mean()) & (population.mean() <= summary["high"]))
    assert abs(covered - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 1500) + 0.01  # 0.01: Student's interval is exact for normal gains only
    narrow = summarise(rng.choice(population, (1500, 40)), level=0.8)
    assert abs(np.mean((narrow["low"] <= population.mean()) & (population.mean() <= narrow["high"])) - 0.95) > 0.05


def test_sequential_looks_keep_the_error_at_its_level():
    """Under a mean of zero, a sign is declared in at most 5 % of repetitions of ten looks; uncorrected looks exceed it."""
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((2000, 200))
    corrected = np.zeros(2000, bool)
    naive = np.zeros(2000, bool)
    for look in range(20, 201, 20):
        corrected |= summarise(noise[:, :look], 1 - 0.05 / 10)["sign"] != 0
        naive |= summarise(noise[:, :look], 0.95)["sign"] != 0
    assert corrected.mean() < 0.05 < naive.mean()


def test_nan_gains_are_left_out_and_few_seeds_stay_undecided():
    assert decide([1.0, np.nan, 1.2, 1.1]).n_seeds == 3
    assert decide([5.0]).word == "undecided"
    assert decide([np.nan, np.nan]).word == "undecided"
    assert decide(-np.ones(5) - 1e-3 * np.arange(5)).word == "negative"
    low, high = stats.t.interval(0.9, 2, 2.0, stats.sem([1.0, 2.0, 3.0]))
    verdict = decide([1.0, 2.0, 3.0], 0.9)
    np.testing.assert_allclose([verdict.low, verdict.high], [low, high])


@pytest.mark.parametrize("wrong", [False, True])
def test_learning_alone_has_the_exact_risk_of_theory(wrong):
    """E risk = noise^2 d / (n - d - 1) for any covariance; a formula 10 % off must be noticed."""
    data = gains(mtl.Transfer(mtl.LinearTasks(n_samples=(40, 25), noise=0.7, **SMALL)), N_SEEDS)
    theory = 0.7**2 * 6 / (25 - 6 - 1) * (1.1 if wrong else 1.0)
    risks = data.risk_single.values
    z = (risks.mean() - theory) / stats.sem(risks)
    assert (abs(z) > 4) if wrong else (abs(z) < 4)


@pytest.mark.parametrize(
    ("n_target", "variance", "cosine", "printed", "helps"),
    [(60, 0.5, 0.9, 0.2019, True), (25, 0.0, 0.9, 0.1983, True), (60, 0.02, 0.9, 0.1936, False)],
)
def test_many_source_samples_reach_the_plateau(n_target, variance, cosine, printed, helps):
    """tau^2 + (noise^2 + tau^2) / (n - 2) with tau^2 = 1 - cosine^2, at d = 40: the layer is the source's, one head is fitted."""
    tasks = mtl.LinearTasks(
        n_features=40, n_samples=(1e9, n_target), cosine=cosine, noise=(1.0, np.sqrt(variance)), design=mtl.Isotropic()
    )
    data = gains(mtl.Transfer(tasks), 400)
    tau2 = 1 - cosine**2
    wanted = tau2 + (variance + tau2) / (n_target - 2)
    assert round(wanted, 4) == printed
    assert abs(z_score(data.risk_multi, wanted)) < Z_LIMIT < abs(z_score(data.risk_multi, 1.1 * wanted))
    assert (data.gain.mean() > 0) == helps


def test_identical_tasks_help_and_unrelated_ones_hurt():
    common = {"n_samples": (200, 20), **SMALL}
    assert mtl.measure(mtl.Transfer(mtl.LinearTasks(cosine=1.0, **common)), N_SEEDS, KEY).word == "positive"
    assert mtl.measure(mtl.Transfer(mtl.LinearTasks(cosine=0.0, noise=0.1, **common)), N_SEEDS, KEY).word == "negative"


def test_opposite_tasks_transfer_like_equal_ones():
    for cosine in (1.0, -1.0):
        tasks = mtl.LinearTasks(cosine=cosine, n_samples=(200, 20), noise=0.0, **SMALL)
        assert gains(mtl.Transfer(tasks), N_SEEDS).risk_multi.values.max() < 1e-12


TASKS = mtl.LinearTasks(n_features=6, n_samples=(40, 15), cosine=0.7, alignment=0.6, design=mtl.Spiked(30.0, 0.34))


@pytest.fixture(scope="module")
def parts():
    return gains(mtl.Decomposition(TASKS), 2000), gains(mtl.Transfer(TASKS), N_SEEDS)


def test_the_parts_sum_to_the_gain_on_every_draw(parts):
    data, transfer = parts
    total = data.variance_saved + data.bias_brought + data.free_heads + data.chance
    np.testing.assert_allclose(total, data.gain, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(data.gain.values[:100], transfer.gain.values[:100], rtol=1e-9)
    np.testing.assert_allclose(data.gain - data.gain_equal, data.covariance, rtol=1e-9, atol=1e-12)


def test_chance_has_mean_zero_and_the_other_parts_have_their_signs(parts):
    data, _ = parts
    chance = data.chance.values
    assert abs(chance.mean() / stats.sem(chance)) < 4
    shifted = chance + 0.2 * chance.std()
    assert abs(shifted.mean() / stats.sem(shifted)) > 4
    assert data.variance_saved.values.min() > 0
    assert data.bias_brought.values.max() <= 1e-12


def test_equal_covariances_leave_no_role_to_the_covariance(parts):
    data = gains(mtl.Decomposition(dataclasses.replace(TASKS, alignment=1.0)), 2000)
    assert np.abs(data.covariance).max() < 1e-10 < 1e-3 < np.abs(parts[0].covariance).max()


def test_a_draw_reads_as_a_diagnosis():
    draw = lambda *n_samples: mtl.Transfer(mtl.LinearTasks(n_features=12, n_samples=n_samples))(key=KEY)
    assert "undetermined" in repr(draw(5, 5)) and "degenerate: many shared layers are optimal" in repr(draw(5, 5))
    assert "exact by secular" in repr(draw(50, 50)) and ("helps" in repr(draw(50, 50)) or "hurts" in repr(draw(50, 50)))
    for n_source, status in ((5, Status.degenerate), (7, Status.degenerate), (8, Status.heavy_tailed)):
        found = draw(n_source, 5)
        assert found.status == status and np.isnan(found.gain) == (status == Status.degenerate)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"rank": 0}, "rank must be a whole number from 1 to n_features = 40, but is 0"),
        ({"target": 2}, "target must be the index of one of 2 tasks"),
        ({"weights": (-1.0, 1.0)}, "weights must be numbers >= 0"),
        ({"weights": (0.0, 0.0)}, "weights must be positive for some task"),
        ({"ridge": -1.0}, "ridge must be numbers >= 0"),
    ],
)
def test_bad_cells_are_one_sentence(options, sentence):
    with pytest.raises(ValueError) as error:
        mtl.Transfer(mtl.LinearTasks(), **options)
    assert sentence in str(error.value)
