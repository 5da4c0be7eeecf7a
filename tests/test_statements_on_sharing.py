"""Statements about architectures against plain NumPy on rows, and against numbers worked by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import close
from instances import moments_of, random_tasks

import mtlsim as mtl
from mtlsim.sharing.cross_stitch import CrossStitch
from mtlsim.sharing.mean_regularised import MeanRegularised
from mtlsim.sharing.sluice import Sluice
from mtlsim.sharing.soft import Soft
from mtlsim.theory import find_statement
from mtlsim.theory.mixed_tasks import ridge_in_metric
from mtlsim.theory.predictor import Spectra, predict_pooled
from mtlsim.theory.statement import half_as_large
from mtlsim.theory.statements.adapters_pool import critical_decay, pooled
from mtlsim.theory.statements.multilinear_threshold import Modes, ends, kept
from mtlsim.theory.statements.scalarisation_gap import Alike, balanced_loss, weighted_loss
from mtlsim.theory.statements.sequential_adapter import AdaptedTask, adapt, adapter_risk

D, K = 5, 3
RNG = np.random.default_rng(8)
TASKS = random_tasks(RNG, D, (9, 4, 7), 1.0)


@pytest.mark.parametrize(
    ("cosine", "balanced", "weighted"), [(0.5, 0.1818, 0.25), (2 / 3, 0.1228, 0.16667), (0.9, 0.0373, 0.05), (-0.2, 0.2, 0.2)]
)
def test_what_no_weights_reach_on_plain_rows(cosine, balanced, weighted):
    """Worked numbers; no layer of 40 000 and no weights of 3000 come below, and some come near."""
    assert abs(balanced_loss(cosine) - balanced) < 6e-5 and abs(weighted_loss(cosine) - weighted) < 6e-6
    moments = Alike(cosine, jnp.ones(3)).draw(key=jax.random.key(1))
    rows = np.concatenate([np.asarray(moments.factor).T, np.zeros((2, 4))])
    labels = np.pad(np.asarray(moments.scores).T, ((0, 2), (0, 0)))
    basis = np.linalg.qr(rows)[0]
    rng = np.random.default_rng(0)
    fitted = np.linalg.qr(rows @ rng.normal(size=(40_000, 4, 2)))[0]
    worst = ((labels - fitted @ (np.swapaxes(fitted, 1, 2) @ labels)) ** 2).sum(1).max(1)
    assert balanced - 1e-4 < worst.min() < balanced + 0.15
    weights = 10 ** (rng.normal(size=(3000, 3)) * rng.uniform(0, 1, (3000, 1)))
    left = np.linalg.svd((basis.T @ labels) * np.sqrt(weights)[:, None], full_matrices=False)[0][:, :, :2]
    parts = basis.T @ labels
    worst = ((parts - left @ (np.swapaxes(left, 1, 2) @ parts)) ** 2).sum(1).max(1)
    assert weighted - 1e-5 < worst.min() < weighted + 0.03


@pytest.mark.parametrize("n_columns", [4, 3, 2])
def test_ridge_in_the_metric_is_ridge_on_columns(n_columns):
    """Least squares over the columns, on rows repeated for every column in its amount, with a row of the decay for each entry."""
    amounts, decay = RNG.normal(size=(n_columns, K)), 0.7
    rows = np.concatenate([np.kron(amounts[:, k], X) for k, (X, _) in enumerate(TASKS)])
    rows = np.concatenate([rows, np.sqrt(decay) * np.eye(n_columns * D)])
    labels = np.concatenate([*(y for _, y in TASKS), np.zeros(n_columns * D)])
    columns = np.linalg.lstsq(rows, labels, rcond=None)[0].reshape(n_columns, D)
    close(ridge_in_metric(moments_of(TASKS), jnp.asarray(amounts.T @ amounts), decay), amounts.T @ columns, 3)


def test_the_critical_decay_of_the_worked_pair():
    pair = [(np.array([[1.0, 0], [0, 1], [1, 1]]), np.array([1.0, 0, 2])), (np.array([[1.0, 0], [0, 2]]), np.array([1.0, 2]))]
    np.testing.assert_allclose(critical_decay(moments_of(pair)), 0.70833, atol=5e-6)
    close(pooled(moments_of(pair)), np.array([18 / 17, 14 / 17]), 2)


def test_modes_end_where_the_worked_ones_do():
    strengths = jnp.array([1.61369, 0.30985])
    np.testing.assert_allclose(kept(strengths, 10.0, 1.0), [1.549137, 0], atol=1e-6)
    np.testing.assert_allclose(ends(Modes(strengths, 10.0, 1.0), jax.random.key(0)), [1.549137, 0], atol=1e-4)


def test_the_law_of_adapters_on_plain_rows():
    """40 features, 10 outputs, 400 orthonormal rows: means over draws of rank one and two, and a kept mode under the noise."""
    d, o, n, strengths = 40, 10, 400, np.array([3, 2, 0.15, 0.1])
    law = [float(adapter_risk(jnp.asarray(strengths), 1 / n, q, d, o)) for q in (1, 2, 3)]
    np.testing.assert_allclose(law, [4.155, 0.2725, 0.3625], rtol=1e-9)
    left, right = (np.linalg.qr(RNG.normal(size=(size, 4)))[0] for size in (d, o))
    difference = (left * strengths) @ right.T
    seen = difference + RNG.normal(size=(400, d, o)) / np.sqrt(n)
    u, s, v = np.linalg.svd(seen, full_matrices=False)
    for q, wanted in zip((1, 2, 3), law, strict=True):
        found = (u[:, :, :q] * s[:, None, :q]) @ v[:, :q]
        risks = np.sum((found - difference) ** 2, (1, 2))
        error = risks.std() / 20
        assert (abs(risks.mean() - wanted) < 4 * error + 0.02 * wanted) == (q < 3)
        close(adapt(jnp.asarray(seen[0]), q), found[0], 3)


def test_a_drawn_difference_has_its_singular_values():
    task = AdaptedTask(jnp.array([3.0, 1.0]), 100.0, 0.5, 1)
    difference, _ = task.draw(key=jax.random.key(1))
    close(jnp.linalg.svd(difference, compute_uv=False)[:3], np.array([3.0, 1.0, 0.0]), 1)


def test_columns_that_nobody_else_reads_are_a_ridge_of_each_task():
    """The law of a held mixing, with all of its own column for every task, against that of one task alone."""
    tasks = mtl.LinearTasks(40, (90, 50), cosine=0.3, noise=(0.5, 0.8), design=mtl.PowerLaw(0.7), relation="same")
    cell, key = mtl.Transfer(tasks, sharing=CrossStitch(1.0, False, 12.0)), jax.random.key(2)
    drawn = tasks.draw(key=key)
    alone = Spectra(drawn.covariances[-1].eigenvalues[None], drawn.parameters[-1:], jnp.ones(40))
    wanted = predict_pooled(alone, drawn.n_samples[-1:], drawn.noise[-1:], jnp.ones(1), 12.0).risk[0]
    found = find_statement("held-mixing")(cell)(key=key)
    np.testing.assert_allclose(found["risk_multi"], wanted, rtol=1e-9)
    assert found["margin"] > 0


def test_a_weak_ridge_beside_the_pull_is_regularisation_to_the_mean():
    tasks = mtl.LinearTasks(40, (90, 80), cosine=0.3, noise=0.5, design=mtl.PowerLaw(0.7), relation="same")
    key = jax.random.key(2)
    soft = find_statement("held-mixing")(mtl.Transfer(tasks, sharing=Soft(6.0, 1e-4)))(key=key)
    pulled = find_statement("mean-regularised")(mtl.Transfer(tasks, sharing=MeanRegularised(12.0)))(key=key)
    np.testing.assert_allclose(soft["risk_multi"], pulled["risk_multi"], rtol=1e-4)


@pytest.mark.parametrize(
    "sharing", ["pooled", "hard", "cross-stitch", "multilinear", Soft(1.0, 0.0), Sluice("balanced", 1.0)], ids=str
)
def test_a_mixing_that_is_learned_or_free_is_outside(sharing):
    tasks = mtl.LinearTasks(40, (90, 80), noise=0.5, relation="same")
    assert find_statement("held-mixing")(mtl.Transfer(tasks, sharing=sharing))(key=jax.random.key(0))["margin"] < 0


def test_what_is_half_as_large_keeps_what_has_no_scale():
    cell = half_as_large(mtl.Transfer(mtl.LinearTasks(40, (90, 80)), sharing=CrossStitch(0.9, False, 4.0)))
    assert (cell.tasks.n_features, cell.sharing.own, cell.sharing.decay) == (20, 0.9, 2.0)
