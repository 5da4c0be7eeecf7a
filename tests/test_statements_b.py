"""Statements of the founding paper: known numbers, NumPy beside them, and planted formulas that must fall."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from instances import rows_of

import mtlsim as mtl
from mtlsim.samples import Moments
from mtlsim.similarity import principal_angles
from mtlsim.sweeps.instances import over_instances
from mtlsim.tasks.covariance import Isotropic, Spiked
from mtlsim.theory import find_statement
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
from mtlsim.verification.run import examine

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
    training = small_start.Training(tasks, start=1e-3, step=0.02 / 110, n_steps=3000)
    both = lambda cell, key: {
        "gd": small_start.measure(cell, key)["risk_multi"],
        "own": small_start.predict(cell, key)["risk_multi"],
    }
    (drawn,) = over_instances(both, [training], KEY, 20)
    assert drawn["gd"].max() < 0.01
    assert abs(drawn["own"].mean() - 2 / 3) < 0.1


def test_a_start_stops_at_a_local_minimum():
    """The explained energy of the raw problem, in NumPy: no step from where a start stopped raises it, yet there is more."""
    cell = an_instance(local_minima_different)
    measure, predict = (jax.jit(f) for f in (local_minima_different.measure, local_minima_different.predict))
    keys = [jax.random.fold_in(KEY, i) for i in range(40)]
    excess = np.array([float(measure(cell, key)["loss"] / predict(cell, key)["loss"]) - 1 for key in keys])
    assert excess.min() > -1e-9 and 0.05 < np.mean(excess > 1e-4) < 0.95
    key = keys[int(excess.argmax())]
    moments = local_minima_different.moments_of(cell, key)
    grams, crosses = np.asarray(moments.gram), np.asarray(moments.cross)
    explained = lambda B: sum((b @ B) ** 2 / (B @ S @ B) for S, b in zip(grams, crosses, strict=True))
    B = np.asarray(jax.random.normal(local_minima_different.stream(key, "start"), (5,)))
    for _ in range(5000):
        heads = [b @ B / (B @ S @ B) for S, b in zip(grams, crosses, strict=True)]
        B = np.linalg.solve(sum(a**2 * S for a, S in zip(heads, grams, strict=True)), heads @ crosses)
        B /= np.linalg.norm(B)
    stopped, rng = explained(B), np.random.default_rng(0)
    assert np.sum(moments.energy) - stopped == pytest.approx(float(measure(cell, key)["loss"]), rel=1e-8)
    assert all(explained(B + size * rng.normal(size=5)) <= stopped * (1 + 1e-12) for size in (1e-4, 1e-3) for _ in range(200))


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
    tasks = pair.tasks.draw(key=KEY)
    moments = weighted_pair.draw_moments(tasks, key=weighted_pair.stream(KEY, "samples"))
    rows, labels, theta = (np.asarray(part).T for part in (moments.factor, moments.scores, tasks.parameters[-1]))
    U, D, Vt = np.linalg.svd(rows)
    found, cosine_at = [], jax.jit(weighted_pair.cosine_at)
    for weight in (0.01, 0.1, 1.0, 10.0, 100.0, 1e4):
        B = (Vt.T / D) @ np.linalg.svd(U.T @ labels * [np.sqrt(weight), 1.0])[0][:, 0]
        found.append(abs(B @ theta) / np.linalg.norm(B) / np.linalg.norm(theta))
        assert cosine_at(pair, KEY, weight) == pytest.approx(found[-1], rel=1e-8)
    assert np.all(np.diff(found) > 0) and found[-1] > 0.9999


def test_algorithm_2_needs_whitening():
    _, _, moments = shared_rows()
    layer = np.asarray(proposition_3.best_layer(moments.gram, moments.cross, jnp.ones(3), 2))
    plain = np.linalg.svd(np.asarray(moments.cross).T, full_matrices=False)[0][:, :2]
    assert np.max(principal_angles(plain, layer)) > 0.1
    whitened = np.asarray(algorithm_2_whitened.whitened_layer(moments.gram, moments.cross, 2))
    assert np.max(principal_angles(whitened, layer)) < 1e-7
    flat = mtl.LinearTasks(n_features=7, n_samples=(1e12,) * 3, cosine=0.3, design=Isotropic(), shared_covariates=True)
    cosine = algorithm_2_subspace.measure(mtl.Transfer(flat, rank=2), KEY)["cosine_of_spans"]
    assert cosine == pytest.approx(1, abs=1e-9)


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


def test_the_disjoint_source_wins_with_little_noise():
    """Twenty features, twelve target rows, no noise: with the same covariance worse than alone, with the other one better."""
    recipe = {"n_features": 20, "n_samples": (1000, 12), "cosine": 0.96, "noise": 0.0, "design": Spiked(1e4, fraction=0.1)}
    cells = [mtl.Transfer(mtl.LinearTasks(relation=relation, **recipe)) for relation in ("same", "disjoint")]
    gains = lambda both, key: {"same": both.same(key=key).gain, "disjoint": both.disjoint(key=key).gain}
    (drawn,) = over_instances(gains, [alignment_claim.TwoSources(*cells)], KEY, 30)
    assert np.mean(drawn["same"] < -1) > 0.8
    assert np.mean(drawn["disjoint"] > 0) > 0.8


def test_what_is_predicted_has_slopes():
    cell = an_instance(proposition_3)
    slope = jax.grad(lambda noise: proposition_3.predict(with_noise(cell, noise), KEY)["loss"])(0.7)
    step = 1e-5
    values = [float(proposition_3.predict(with_noise(cell, 0.7 + move), KEY)["loss"]) for move in (step, -step)]
    assert slope == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-5)


def with_noise(cell, noise):
    tasks = mtl.LinearTasks(7, (30, 30, 30), (0.2, 0.5), noise=(noise, 0.3, 0.4), design=Isotropic(), shared_covariates=True)
    return dataclasses.replace(cell, tasks=tasks)


PLANTED = {
    "small-start": lambda predicted: {"risk_multi": 0.5 * predicted["risk_multi"]},
    "proposition-3": lambda predicted: {**predicted, "loss": 1.00001 * predicted["loss"]},
    "theorem-2": lambda predicted: {"relative_error": predicted["relative_error"] / 50},
    "weighted-pair": lambda predicted: {"rise_of_cosine": -predicted["rise_of_cosine"]},
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_formula_is_refuted(name):
    statement = dataclasses.replace(find_statement(name), places=(INSIDE,))
    wrong = lambda cell, key: PLANTED[name](statement.predict(cell, key))
    assert examine(dataclasses.replace(statement, predict=wrong), 3, 60).verdict == "refuted"
