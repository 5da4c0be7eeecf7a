"""Statements of the founding paper: known numbers, NumPy beside them, and planted formulas that must fall."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from instances import rows_of

import mtlsim as mtl
from mtlsim.core.linalg import inverse_square_root
from mtlsim.samples import Moments
from mtlsim.similarity import principal_angles
from mtlsim.sweeps.instances import over_instances
from mtlsim.tasks.covariance import Isotropic
from mtlsim.theory.statement import INSIDE
from mtlsim.theory.statements import (
    algorithm_2_subspace,
    algorithm_2_whitened,
    local_minima_different,
    nuclear_norm,
    proposition_1,
    proposition_3,
    small_start,
    theorem_2,
    weighted_pair,
)

KEY = jax.random.key(5)


def an_instance(module, seed=0):
    return module.STATEMENT.instance(INSIDE, np.random.default_rng(seed))


def shared_rows(seed=0, d=6, m=20, n_tasks=3):
    """Rows (m, d) of uneven scales with the labels of several tasks (m, K), and their moments."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(m, d)) * np.linspace(2, 0.5, d)
    Y = X @ rng.normal(size=(d, n_tasks)) + rng.normal(size=(m, n_tasks))
    return X, Y, Moments(jnp.asarray(X.T @ X), jnp.asarray(Y.T @ X), jnp.asarray(np.sum(Y**2, 0)), jnp.full(n_tasks, float(m)))


def test_no_search_goes_below_the_tasks_own_losses():
    cell = dataclasses.replace(an_instance(proposition_1), weights=None)
    moments, predicted = jax.jit(lambda key: (proposition_1.moments_of(cell, key), proposition_1.predict(cell, key)))(KEY)
    tasks, beside = rows_of(moments)
    least = float(predicted["loss"])
    found = oracles.descend(tasks, cell.rank, 3, np.random.default_rng(0)) + beside.sum()
    assert least * (1 - 1e-9) <= found <= least * (1 + 1e-4)


@pytest.mark.parametrize("rank", [1, 2])
def test_best_layer_as_the_paper_writes_it(rank):
    X, Y, moments = shared_rows()
    weights = jnp.asarray([0.3, 1.0, 4.0])
    U, D, Vt = np.linalg.svd(X, full_matrices=False)
    values, vectors = np.linalg.eigh((U.T @ Y * weights) @ (U.T @ Y).T)
    layer = np.linalg.inv(X.T @ X) @ (Vt.T * D) @ vectors[:, ::-1][:, :rank]
    mine = proposition_3.best_layer(moments.gram, moments.cross, weights, rank)
    assert np.max(principal_angles(layer, np.asarray(mine))) < 1e-7
    loss = values[:-rank].sum() + weights @ (np.sum(Y**2, 0) - np.sum((U.T @ Y) ** 2, 0))
    wanted = oracles.alternate(X, Y, rank, 2, np.random.default_rng(0), weights, n_rounds=200)
    assert proposition_3.least_loss(moments.gram, moments.cross, moments.energy, weights, rank) == pytest.approx(loss)
    assert loss == pytest.approx(wanted, rel=1e-6)


def test_small_start_transfers_where_the_claim_says_it_cannot():
    """Thirty features, ten target rows, four columns for two equal tasks: the error alone is about 1 - 10/30."""
    tasks = mtl.LinearTasks(n_features=30, n_samples=(100, 10), cosine=1.0, noise=0.0, design=Isotropic(), relation="same")
    training = small_start.Training(tasks, start=1e-3, step=0.02 / 110, n_steps=2000)
    risks = lambda cell, key: {"trained": small_start.measure(cell, key)["risk_multi"], **small_start.predict(cell, key)}
    (drawn,) = over_instances(risks, [training], KEY, 10)
    assert drawn["trained"].max() < 0.01
    assert abs(drawn["risk_multi"].mean() - 2 / 3) < 0.15


def test_a_start_stops_at_a_local_minimum():
    """The explained energy of the raw problem, in NumPy: no step from where a start stopped raises it, yet there is more."""
    cell = an_instance(local_minima_different)
    draw = jax.jit(lambda seed: local_minima_different.moments_of(cell, jax.random.fold_in(KEY, seed)))
    climb = jax.jit(lambda data, starts: jax.lax.map(lambda start: local_minima_different.climb(data, start), starts))
    moments = [draw(seed) for seed in range(8)]
    starts = np.random.default_rng(0).normal(size=(20, 5))
    reached = np.stack([climb(data, jnp.asarray(starts)) for data in moments])
    missed = reached.max(1, keepdims=True) - reached > 1e-4 * reached.max(1, keepdims=True)
    assert 0.02 < missed.mean() < 0.9
    which = int(missed.any(1).argmax())
    grams, crosses = np.asarray(moments[which].gram), np.asarray(moments[which].cross)
    explained = lambda B: sum((b @ B) ** 2 / (B @ S @ B) for S, b in zip(grams, crosses, strict=True))
    root, _ = inverse_square_root(moments[which].gram[0] + moments[which].gram[1])
    turn = np.linalg.eigh(root.T @ grams[0] @ root)[1]
    stops = []
    for B in starts @ (np.asarray(root) @ turn).T:  # the climb begins in these coordinates
        for _ in range(1000):
            heads = [b @ B / (B @ S @ B) for S, b in zip(grams, crosses, strict=True)]
            B = np.linalg.solve(sum(a**2 * S for a, S in zip(heads, grams, strict=True)), heads @ crosses)
            B /= np.linalg.norm(B)
        stops.append(B)
    np.testing.assert_allclose(np.sort([explained(B) for B in stops]), np.sort(reached[which]), rtol=1e-6)
    B, rng = min(stops, key=explained), np.random.default_rng(0)
    assert explained(B) < reached[which].max() * (1 - 1e-4)
    assert all(explained(B + size * rng.normal(size=5)) <= explained(B) * (1 + 1e-12) for size in (1e-4, 1e-3) for _ in range(200))


def test_theorem_2_at_the_papers_numbers():
    source, target = np.array([1.0, 0.0]), np.array([0.96, 0.28])
    sine = float(theorem_2.sine(jnp.asarray(source), jnp.asarray(target)))
    assert sine == pytest.approx(0.28)
    assert theorem_2.bound(sine, 0.0, 1.0) == pytest.approx(1.68)
    assert np.isnan(theorem_2.bound(0.34, 0.0, 1.0))
    assert theorem_2.bound(0.1, 0.7, 2.0) == pytest.approx(0.6 + 0.5)
    assert 1.5e25 < theorem_2.source_samples_needed(1 / 3, 1e4, 112.0, 1.5e7) < 2.5e25
    X = np.random.default_rng(0).normal(size=(30, 4))
    assert theorem_2.condition_number(jnp.asarray(X.T @ X), 30.0) == pytest.approx(np.linalg.cond(X))
    assert np.isinf(theorem_2.condition_number(jnp.asarray(X.T @ X), 3.0))
    slope = jax.grad(lambda noise: theorem_2.bound(jnp.asarray(0.2), noise, 2.0))(0.5)
    assert slope == pytest.approx(1 / (0.4 * 2))


def test_weight_on_the_clean_task_turns_the_layer():
    pair = an_instance(weighted_pair)
    weights = np.array([0.01, 0.1, 1.0, 10.0, 100.0, 1e4])

    @jax.jit
    def draw(key):
        tasks = pair.tasks.draw(key=key)
        moments = weighted_pair.draw_moments(tasks, key=weighted_pair.stream(key, "samples"))
        return tasks, moments, jax.lax.map(lambda weight: weighted_pair.cosine_at(pair, key, weight), jnp.asarray(weights))

    tasks, moments, cosines = draw(KEY)
    rows, labels, theta = (np.asarray(part).T for part in (moments.factor, moments.scores, tasks.parameters[-1]))
    U, D, Vt = np.linalg.svd(rows)
    tops = [(Vt.T / D) @ np.linalg.svd(U.T @ labels * [np.sqrt(weight), 1.0])[0][:, 0] for weight in weights]
    found = [abs(B @ theta) / np.linalg.norm(B) / np.linalg.norm(theta) for B in tops]
    np.testing.assert_allclose(cosines, found, rtol=1e-8)
    assert np.all(np.diff(found) > 0) and found[-1] > 0.9999


def test_algorithm_2_needs_whitening():
    _, _, moments = shared_rows()
    layer = np.asarray(proposition_3.best_layer(moments.gram, moments.cross, jnp.ones(3), 2))
    plain = np.linalg.svd(np.asarray(moments.cross).T, full_matrices=False)[0][:, :2]
    assert np.max(principal_angles(plain, layer)) > 0.1
    whitened = np.asarray(algorithm_2_whitened.whitened_layer(moments, 2))
    assert np.max(principal_angles(whitened, layer)) < 1e-7
    flat = mtl.LinearTasks(n_features=7, n_samples=(1e12,) * 3, cosine=0.3, design=Isotropic(), shared_covariates=True)
    measure = jax.jit(lambda key: algorithm_2_subspace.measure(mtl.Transfer(flat, rank=2), key))
    assert measure(KEY)["cosine_of_spans"] == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("rank", [3, 5])
def test_decay_thresholds_at_any_width(rank):
    decayed = dataclasses.replace(an_instance(nuclear_norm), rank=rank)
    targets = decayed.draw(KEY)
    U, D, Vt = np.linalg.svd(targets, full_matrices=False)
    wanted = (U * np.maximum(D - decayed.decay, 0)) @ Vt
    layer, heads = nuclear_norm.alternate(targets, decayed.decay, jax.random.normal(KEY, (8, rank)))
    np.testing.assert_allclose(layer @ heads.T, wanted, atol=1e-9)
    least = float(nuclear_norm.predict(decayed, KEY)["least_at_balance"])
    convex = np.sum((wanted - targets) ** 2) + 2 * decayed.decay * np.linalg.norm(wanted, "nuc")
    assert least == pytest.approx(convex)


def test_what_is_predicted_has_slopes():
    cell = an_instance(proposition_3)
    loss = jax.jit(jax.value_and_grad(lambda noise: proposition_3.predict(with_noise(cell, noise), KEY)["loss"]))
    step = 1e-5
    difference = float(loss(0.7 + step)[0] - loss(0.7 - step)[0]) / (2 * step)
    assert float(loss(0.7)[1]) == pytest.approx(difference, rel=1e-5)


def with_noise(cell, noise):
    tasks = mtl.LinearTasks(7, (30, 30, 30), (0.2, 0.5), noise=(noise, 0.3, 0.4), design=Isotropic(), shared_covariates=True)
    return dataclasses.replace(cell, tasks=tasks)
