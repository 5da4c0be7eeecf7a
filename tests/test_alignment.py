"""Covariance alignment: gradients, what steps never do, where training ends, the closed form, the cell, bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import close
from instances import moments_of, random_tasks
from scipy.linalg import sqrtm

import mtlsim as mtl
from mtlsim import Alignment, AlignmentTraining, align_covariances, whiten_and_recolour
from mtlsim.alignment.covariances import covariances_of, scores_with_last, turn_covariances, turn_tasks
from mtlsim.alignment.steps import orthogonal_step, start_alignments
from mtlsim.core.keys import stream
from mtlsim.core.status import Status
from mtlsim.samples.data import Rows, draw_rows

KEY = jax.random.key(3)
TASKS = random_tasks(np.random.default_rng(0), 5, (30, 50), noise=0.5)
MOMENTS = moments_of(TASKS)
RNG = np.random.default_rng(5)
SHARED, HEADS = jnp.asarray(RNG.normal(size=(5, 2))), jnp.asarray(RNG.normal(size=(2, 2)))
PAIR = mtl.LinearTasks(n_features=4, n_samples=(200, 20), cosine=0.8, alignment=0.8)


def rows_of_tasks(tasks, room=60):
    """The tasks as padded rows; what is beyond a task's rows is not to be read."""
    d = tasks[0][0].shape[1]
    X, y, used = np.full((len(tasks), room, d), 7.0), np.full((len(tasks), room), 7.0), np.zeros((len(tasks), room), bool)
    for i, (rows, labels) in enumerate(tasks):
        X[i, : len(rows)], y[i, : len(rows)], used[i, : len(rows)] = rows, labels, True
    return Rows(jnp.asarray(X), jnp.asarray(y), jnp.asarray(used))


ROWS = rows_of_tasks(TASKS)


def rotated_pair(angle=0.9, scales=(3.0, 1.0)):
    """Two tasks in the plane without noise, equal but for a rotation of rows and parameters."""
    rng, turn = np.random.default_rng(2), np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    theta, tasks = np.array([0.6, 0.8]), []
    for basis in (turn, np.eye(2)):
        X = rng.normal(size=(200, 2)) * scales @ basis.T
        tasks.append((X, X @ basis @ theta))
    return tasks


def test_without_steps_nothing_changes():
    found = align_covariances(MOMENTS, SHARED, HEADS, AlignmentTraining(n_steps=0))
    close(found.alignments, np.stack([np.eye(5)] * 2))
    close(found.heads, HEADS)
    wanted = [np.mean((X @ np.asarray(SHARED) @ a - y) ** 2) for (X, y), a in zip(TASKS, np.asarray(HEADS), strict=True)]
    close(found.losses_before, wanted)
    close(found.losses_after, wanted)
    for normalized, before, after in (
        (True, found.scores_before, found.scores_after),
        (False, found.literal_before, found.literal_after),
    ):
        score = mtl.covariance_similarity(TASKS[0][0], TASKS[1][0], normalized=normalized)
        close(before, score[None])
        close(after, score[None])
    assert found.status == Status.ok and found.literal_before[0] < found.scores_before[0]


@pytest.mark.parametrize(("tasks", "activation"), [(MOMENTS, "identity"), (ROWS, "identity"), (ROWS, "relu")])
def test_steps_against_numpy(tasks, activation):
    rate, strength, bent = 0.03, 0.4, activation == "relu"
    training = AlignmentTraining(n_steps=3, learning_rate=rate, strength=strength)
    found = align_covariances(tasks, SHARED, HEADS, training, activation=activation)
    B = np.asarray(SHARED)
    for k, (X, y) in enumerate(TASKS):
        R, a = np.eye(5), np.asarray(HEADS[k])
        for _ in range(3):
            scores = X @ R @ B
            misses = (np.maximum(scores, 0) if bent else scores) @ a - y
            slopes = 2 / len(y) * misses[:, None] * a * ((scores > 0) if bent else 1)
            R = R - rate * (X.T @ slopes @ B.T + 2 * strength * (R - np.eye(5)))
            scores = X @ R @ B
            units = np.maximum(scores, 0) if bent else scores
            a = a - rate * 2 / len(y) * units.T @ (units @ a - y)
        close(found.alignments[k], R)
        close(found.heads[k], a)
        close(found.losses_after[k], np.mean(((np.maximum(X @ R @ B, 0) if bent else X @ R @ B) @ a - y) ** 2))


def test_shared_rows_are_the_same_as_equal_rows():
    X, Y = TASKS[1][0], RNG.normal(size=(50, 2))
    once, twice = mtl.Moments.from_shared_rows(X, Y), moments_of([(X, y) for y in Y.T])
    one, other = (align_covariances(moments, SHARED, HEADS, AlignmentTraining(n_steps=3)) for moments in (once, twice))
    jax.tree.map(close, one, other)
    close(one.scores_before, [1.0])


@pytest.mark.parametrize(("constraint", "start"), [("free", "identity"), ("orthogonal", "random")])
def test_losses_never_rise_and_orthogonal_matrices_stay_so(constraint, start):
    training = AlignmentTraining(n_steps=60, learning_rate=0.004, start=start, constraint=constraint)
    found = align_covariances(MOMENTS, SHARED, HEADS, training, KEY, n_records=60)
    losses = np.concatenate([found.losses_before[None], found.path.losses])
    assert (np.diff(losses, axis=0) < 0).all() and found.status == Status.ok
    close(found.path.layers[-1], found.alignments @ SHARED)
    off = np.abs(np.swapaxes(found.alignments, 1, 2) @ np.asarray(found.alignments) - np.eye(5)).max()
    assert off < 1e-12 if constraint == "orthogonal" else off > 1e-3
    if start == "random":
        assert np.abs(found.alignments[0] - found.alignments[1]).max() > 0.1


def test_a_strong_pull_keeps_the_identity():
    pulled = AlignmentTraining(n_steps=60, learning_rate=0.004, strength=100.0)
    found = align_covariances(MOMENTS, SHARED, HEADS, pulled, KEY, n_records=60)
    assert np.abs(found.alignments - np.eye(5)).max() < 0.05


def test_a_rotated_pair_is_aligned_by_orthogonal_matrices():
    moments = moments_of(rotated_pair())
    training = AlignmentTraining("adam", n_steps=600, constraint="orthogonal")
    found = align_covariances(moments, 1, training=training)
    (X, _), (Z, _) = rotated_pair()
    turn = np.array([[np.cos(0.9), -np.sin(0.9)], [np.sin(0.9), np.cos(0.9)]])
    # what drawn rows differ by beside the rotation stays
    np.testing.assert_allclose(found.scores_after[0], mtl.covariance_similarity(X @ turn, Z, normalized=True), rtol=1e-5)
    assert found.scores_before[0] < 0.9 < found.scores_after[0] and found.literal_after[0] > found.literal_before[0]
    assert (found.losses_after < 1e-6 * found.losses_before).all() and (found.losses_before > 1e-3).all()


def test_free_matrices_undo_what_tasks_share():
    """One shared direction, and still each task ends at its own least squares."""
    training = AlignmentTraining(n_steps=20_000, learning_rate=0.02)
    found = align_covariances(MOMENTS, 1, training=training)
    for (X, y), R, a in zip(TASKS, found.alignments, found.heads, strict=True):
        np.testing.assert_allclose(R @ found.shared @ a, np.linalg.lstsq(X, y)[0], rtol=1e-5, atol=1e-6)


def test_orthogonal_steps_follow_the_tangent_of_the_move():
    starts = start_alignments("random", 2, jnp.eye(5), KEY)
    close(np.swapaxes(starts, 1, 2) @ np.asarray(starts), np.stack([np.eye(5)] * 2))
    assert np.abs(starts[0] - starts[1]).max() > 0.1
    moves, small = RNG.normal(size=(2, 5, 5)), 1e-7
    steps = (orthogonal_step(starts, jnp.asarray(small * moves)) - starts) / small
    for R, M, step in zip(np.asarray(starts), moves, steps, strict=True):
        np.testing.assert_allclose(step, (M - R @ M.T @ R) / 2, atol=1e-5)


def test_relu_tasks_in_batches():
    rows, training = rows_of_tasks([(X, np.maximum(y, 0)) for X, y in TASKS]), AlignmentTraining("adam", n_steps=300, batch=16)
    runs = [align_covariances(rows, SHARED, HEADS, training, key, "relu") for key in (KEY, KEY, jax.random.key(4))]
    assert runs[0].status == Status.ok and (runs[0].losses_after < runs[0].losses_before).all()
    close(runs[0].alignments, runs[1].alignments)
    assert np.abs(runs[0].alignments - runs[2].alignments).max() > 1e-3
    trained = align_covariances(rows, 2, None, training, KEY, "relu")
    assert (trained.losses_before < 0.8 * runs[0].losses_before).all() and trained.shared.shape == (5, 2)


@pytest.mark.parametrize(("rate", "n_steps"), [(0.5, 2), (0.5, 4), (50.0, 3)])  # vast losses; such that overflow; matrices, too
def test_divergence_is_a_status(rate, n_steps):
    found = align_covariances(MOMENTS, SHARED, HEADS, AlignmentTraining(n_steps=n_steps, learning_rate=rate), KEY)
    assert found.status == Status.not_converged
    for part in (found.alignments, found.heads, found.losses_after, found.scores_after, found.literal_after):
        assert np.isnan(part).all()


# ------------------------------------------------------------------------------------------------ closed form
@pytest.mark.parametrize("tasks", [MOMENTS, ROWS])
def test_recolouring_makes_covariances_equal(tasks):
    alignments = whiten_and_recolour(tasks, target=0)
    first, second = (X.T @ X / len(X) for X, _ in TASKS)
    close(alignments[0], np.eye(5))
    close(alignments[1], np.linalg.inv(sqrtm(second)) @ sqrtm(first), 2)
    turned = turn_covariances(covariances_of(tasks), alignments)
    close(turned, np.stack([first, first]), 2)
    close(scores_with_last(turned), [1.0], 2)
    close(covariances_of(turn_tasks(tasks, alignments)), turned)


def test_recolouring_few_rows_and_with_a_ridge():
    X = np.random.default_rng(1).normal(size=(3, 5))
    moments = moments_of([(X, X[:, 0]), TASKS[1]])
    alignments = whiten_and_recolour(moments)
    target = sqrtm(TASKS[1][0].T @ TASKS[1][0] / 50)
    seen = np.linalg.pinv(X) @ X
    close(turn_covariances(covariances_of(moments), alignments)[0], target @ seen @ target, 2)
    strong = whiten_and_recolour(moments, ridge=1e6)
    scale = np.sqrt(np.trace(target @ target) / np.trace(X.T @ X / 3))
    close(strong[0], scale * np.eye(5), 5)


# ------------------------------------------------------------------------------------------------ cell
def test_cells_of_linear_tasks():
    draws = {method: Alignment(PAIR, method=method)(key=KEY) for method in ("none", "learned")}
    none, learned = draws.values()
    tasks = PAIR.draw(key=KEY)
    alone = tasks.excess_risk(mtl.solve_single(mtl.draw_moments(tasks, key=stream(KEY, "samples"))[1]))
    assert none.gain == 0 and none.score_after == none.score_before and "gain from alignment +0" in repr(none)
    for draw in draws.values():
        close(draw.risk_without, none.risk_without)
        close(draw.risk_alone, alone)
        close(draw.gain, draw.risk_without - draw.risk_with)
        assert draw.status == Status.ok
    assert 0.5 < learned.score_after < 1 and learned.gain != 0 and learned.literal_before < learned.score_before


def test_transfer_with_recolouring_against_numpy():
    draw, tasks = Alignment(PAIR, method="coral", mode="transfer")(key=KEY), PAIR.draw(key=KEY)
    moments = mtl.draw_moments(tasks, key=stream(KEY, "samples"))
    (first, second), (one, two) = (np.asarray(moments.gram / moments.n_samples[:, None, None]), np.asarray(moments.cross))
    turn = np.linalg.inv(sqrtm(second)) @ sqrtm(first)
    layer = np.linalg.solve(first, one)
    for wanted, own in ((draw.risk_without, layer), (draw.risk_with, turn @ layer)):
        head = own @ two / (own @ second @ own * float(moments.n_samples[1]))
        close(wanted, tasks.excess_risk(jnp.asarray(own * head)), 3)


def test_linear_tasks_in_batches_learn_from_rows_drawn():
    """A cell with a capacity draws rows; batches of very many rows step almost as all rows do."""
    draws = [
        Alignment(PAIR, mode="transfer", training=AlignmentTraining(n_steps=20, batch=batch), capacity=200)(key=KEY)
        for batch in (None, 50_000)
    ]
    every, large = draws
    tasks = PAIR.draw(key=KEY)
    rows = draw_rows(tasks, 200, key=stream(KEY, "samples"))
    alone = np.linalg.lstsq(rows.X[1, :20], rows.y[1, :20])[0]
    for draw in draws:
        close(draw.risk_alone, tasks.excess_risk(jnp.asarray(alone)), 2)
        close([draw.risk_without, draw.score_before], [every.risk_without, every.score_before])
    assert 0 < abs(large.gain / every.gain - 1) < 0.02 and large.status == Status.ok


def test_long_alignment_ends_at_the_target_alone():
    """Orthogonal matrices too, with one shared direction."""
    training = AlignmentTraining(n_steps=20_000, learning_rate=0.02, constraint="orthogonal")
    draw = Alignment(PAIR, mode="transfer", training=training, n_records=4)(key=KEY)
    np.testing.assert_allclose(draw.risk_with, draw.risk_alone, rtol=1e-3)
    close(draw.path_risk[-1], draw.risk_with)
    close(draw.path_score[-1], draw.score_after)
    assert abs(draw.risk_without / draw.risk_alone - 1) > 0.05


def test_a_sweep_of_alignments_keeps_paths_and_says_what_its_gain_is():
    tasks = mtl.LinearTasks(n_features=2, n_samples=(200, 20), design=mtl.Isotropic())
    cell = Alignment(tasks, mode="transfer", training=AlignmentTraining(n_steps=20), n_records=4)
    data = mtl.sweep(cell, {"tasks.cosine": [0.2, 0.9]}, 8, KEY, progress=False)
    assert data.path_risk.dims[-1] == "record" and data.path_score.sizes["record"] == 4
    np.testing.assert_allclose(data.gain, data.risk_without - data.risk_with, rtol=1e-12)
    assert "risk_without - risk_with" in data.convention and "alignment" in data.gain.long_name
    assert (data.risk_without.sel({"tasks.cosine": 0.2}) > data.risk_without.sel({"tasks.cosine": 0.9})).mean() > 0.5


@pytest.mark.parametrize("mode", ["multi-task", "transfer"])
def test_cells_of_relu_tasks(mode):
    tasks = mtl.ReluTasks(n_features=4, n_samples=(60, 30), cosine=0.9, noise=0.3)
    training, joint = AlignmentTraining(n_steps=50), mtl.WeightedTraining(n_steps=400, learning_rate=0.05)
    draw = Alignment(tasks, 2, mode=mode, training=training, joint=joint)(key=KEY)
    assert draw.status == Status.ok and 0 < draw.risk_with < 1 and 0 < draw.risk_alone < 1 and draw.gain != 0
    close(Alignment(tasks, 2, "coral", mode, training, joint)(key=KEY).score_after, 1.0, 2)


# ------------------------------------------------------------------------------------------------ bad input
@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: AlignmentTraining(constraint="orthogona"), "did you mean 'orthogonal'"),
        (lambda: AlignmentTraining(start="zero"), "start must be one of the known names, but is 'zero'"),
        (lambda: AlignmentTraining(optimiser="lbfgs"), "optimiser must be one of the known names, but is 'lbfgs'"),
        (lambda: AlignmentTraining(n_steps=-1), "n_steps must be a whole number >= 0, but is -1; leave it out"),
        (lambda: AlignmentTraining(batch=0), "batch must be a whole number of rows >= 1, but is 0"),
        (lambda: AlignmentTraining(learning_rate=0.0), "learning_rate must be a number > 0, but is 0.0"),
        (lambda: AlignmentTraining(strength=-1.0), "strength must be a number >= 0, but is -1.0"),
        (lambda: align_covariances(MOMENTS, 6), "shared must be a layer or a rank from 1 to n_features = 5, but is 6"),
        (lambda: align_covariances(MOMENTS, SHARED[:3]), r"shared must be of shape \(5, r\), but is of shape \(3, 2\)"),
        (lambda: align_covariances(MOMENTS, SHARED, HEADS[:1]), r"heads must be of shape \(2, 2\), but is of shape \(1, 2\)"),
        (lambda: align_covariances(MOMENTS, SHARED * np.nan), "shared must be finite"),
        (lambda: align_covariances(Rows(ROWS.X, ROWS.y * np.nan, ROWS.used), SHARED), "tasks.y must be finite, but holds"),
        (lambda: align_covariances(MOMENTS, SHARED, activation="relu"), "activation must be 'identity' for moments"),
        (lambda: align_covariances(MOMENTS, SHARED, training=AlignmentTraining(batch=5)), "batch must be left out for moments"),
        (lambda: align_covariances(ROWS, 1), "shared must be a layer for linear units on rows, but is 1; pass moments, or B"),
        (lambda: align_covariances(MOMENTS, SHARED, n_records=7), "n_records must be a divisor of n_steps = 200, but is 7"),
        (lambda: whiten_and_recolour(MOMENTS, 2), "target must be the index of one of 2 tasks, but is 2"),
        (lambda: whiten_and_recolour(MOMENTS, ridge=-1.0), "ridge must be a number >= 0, but is -1.0"),
        (lambda: Alignment(PAIR, method="corral"), "did you mean 'coral'"),
        (lambda: Alignment(PAIR, mode="multitask"), "did you mean 'multi-task'"),
        (lambda: Alignment(PAIR, 5), "rank must be a whole number from 1 to n_features = 4, but is 5"),
        (lambda: Alignment(PAIR, n_records=3), "n_records must be a divisor of n_steps = 200, but is 3"),
        (lambda: Alignment(PAIR, training=AlignmentTraining(batch=5)), "capacity must be given where linear tasks are learned in"),
        (lambda: Alignment(PAIR, capacity=199), "n_samples must be at most capacity = 199, but is 200; raise capacity"),
        (lambda: Alignment(mtl.ReluTasks(4, (9, 9)), capacity=9), "capacity must be left out for ReLU tasks, but is 9"),
        (lambda: Alignment(mtl.LinearTasks(4, (9,))), "tasks must be two or more, but is one"),
        (lambda: Alignment(mtl.ClassificationTasks(4, (9, 9))), "tasks must be linear or ReLU tasks, but is ClassificationTasks"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_rows_that_determine_no_module_have_a_status():
    draw = Alignment(mtl.LinearTasks(n_features=4, n_samples=(1, 1), cosine=0.8, alignment=0.8))(key=KEY)
    assert draw.status == mtl.Status.degenerate and np.isnan([draw.gain, draw.risk_with]).all()
