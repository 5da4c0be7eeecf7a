"""Branches: partitions and trees of tasks by brute force, thin layers by least squares, and what grows of a trained network."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import close
from instances import random_tasks

import mtlsim as mtl
from mtlsim import WeightedTraining
from mtlsim.core.keys import stream
from mtlsim.sharing.branched import Branched
from mtlsim.sharing.hard import Hard
from mtlsim.solvers.partitions import (
    affinities,
    best_tree,
    branch_affinities,
    branching_losses,
    choose_partition,
    grow_tree,
    partitions,
    tree_loss,
)
from mtlsim.solvers.pursuit import pursue, thin


def test_there_are_as_many_partitions_as_bell_says():
    assert [len(partitions(k)) for k in range(1, 9)] == [1, 2, 5, 15, 52, 203, 877, 4140]
    assert partitions(3) == ((0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (0, 1, 2))
    with pytest.raises(ValueError, match="n_tasks must be a whole number from 1 to 8, but is 9; group some tasks beforehand"):
        partitions(9)


@pytest.mark.parametrize(
    ("cost", "losses", "chosen"), [(1, [0.4333, 0.0656, 0.0312], 4), (8, [0.4333, 0.175, 0.25], 1), (32, None, 0)]
)
def test_branching_of_the_worked_affinities(cost, losses, chosen):
    affinity = jnp.array([[1, 0.9, 0.55], [0.9, 1, 0.6], [0.55, 0.6, 1]])
    found = branching_losses(affinity, cost / 64)
    if losses:
        np.testing.assert_allclose([found[0], found[1], found[-1]], losses, atol=6e-5)
    assert choose_partition(affinity, cost / 64) == chosen


def test_affinities_are_shares_of_examples():
    errors = np.abs(np.random.default_rng(0).normal(size=(3, 50)))
    hard = errors >= errors.mean(1, keepdims=True)
    wanted = [[np.mean(hard[k] == hard[m]) for m in range(3)] for k in range(3)]
    close(affinities(jnp.asarray(errors)), np.array(wanted))


def test_branches_are_hard_sharing_of_their_groups():
    tasks = random_tasks(np.random.default_rng(3), 5, (9, 8, 12, 7), 1.0)
    found = mtl.fit(tasks, Branched((0, 1, 0, 1)), rank=1)
    for group in ((0, 2), (1, 3)):
        own = mtl.fit([tasks[k] for k in group], "hard", rank=1)
        close(found.parameters[jnp.array(group)], own.parameters, 4)
    for wrong in ((0.5, 1), 3, "01"):
        with pytest.raises(ValueError, match="groups must be a whole number for each task"):
            Branched(wrong)
    with pytest.raises(ValueError, match="groups must be of 4 numbers, one per task, but is of 2; give one per task"):
        mtl.fit(tasks, Branched((0, 1)), rank=1)


def loss_by_hand(affinity, tree, costs):
    """The sum over layers, group by group and branch by branch, from the definition."""
    total, branches = 0.0, [[k] for k in range(len(affinity))]
    least = lambda one, other: np.mean([min(affinity[i, j] for j in other) for i in one])
    for groups, cost in zip(tree[::-1], costs[::-1], strict=True):
        joined = [[branch for branch in branches if groups[branch[0]] == g] for g in range(max(groups) + 1)]
        own = [np.mean([min((least(b, o) + least(o, b)) / 2 for o in group) for b in group]) for group in joined]
        total += (len(joined) - 1) * cost + np.mean([1 - one for one in own])
        branches = [[k for branch in group for k in branch] for group in joined]
    return total


def is_tree(tree):
    return all(len(set(zip(lower, upper, strict=True))) == len(set(upper)) for lower, upper in itertools.pairwise(tree))


def random_affinity(rng, n_tasks):
    affinity = rng.uniform(0.3, 1, (n_tasks, n_tasks))
    affinity = (affinity + affinity.T) / 2
    np.fill_diagonal(affinity, 1)
    return affinity


def test_trees_are_grown_as_published_and_the_best_is_the_best_of_all():
    """Of four tasks in two layers, of three in three, every tree one by one; and the greedy one is not always as good."""
    rng, regrets = np.random.default_rng(1), []
    for n_tasks, costs in ((4, (0.2, 0.05)), (4, (0.05, 0.1)), (3, (0.1, 0.02, 0.02))) * 4:
        affinity = random_affinity(rng, n_tasks)
        every = [tree for tree in itertools.product(partitions(n_tasks), repeat=len(costs)) if is_tree(tree)]
        losses = [loss_by_hand(affinity, tree, costs) for tree in every]
        best, grown = (rule(jnp.asarray(affinity), costs) for rule in (best_tree, grow_tree))
        assert is_tree(best) and is_tree(grown)
        for tree in (best, grown):
            assert tree_loss(jnp.asarray(affinity), tree, costs) == pytest.approx(loss_by_hand(affinity, tree, costs), abs=1e-12)
        assert loss_by_hand(affinity, best, costs) == pytest.approx(min(losses), abs=1e-12)
        above, rest = (0, 1, 2, 3)[:n_tasks], list(costs)
        for groups in grown[::-1]:  # the best of one layer after another, all others left as they are
            cost, chains = rest.pop(), [groups for groups in partitions(n_tasks) if is_tree((groups, above))]
            layer = [loss_by_hand(affinity, (one, above), (cost, 0.0)) for one in chains]
            assert loss_by_hand(affinity, (groups, above), (cost, 0.0)) == pytest.approx(min(layer), abs=1e-12)
            above = groups
        regrets.append(loss_by_hand(affinity, grown, costs) - min(losses))
    assert min(regrets) > -1e-12 and max(regrets) > 0.01


def test_branches_of_unequal_size_meet_half_way():
    """Affinity of branches task by task, in both directions; and the loss of every tree that joins some."""
    affinity = random_affinity(np.random.default_rng(4), 4)
    groups = (0, 1, 1, 1)
    least = lambda one, other: np.mean([min(affinity[i, j] for j in other) for i in one])
    between = (least([0], [1, 2, 3]) + least([1, 2, 3], [0])) / 2
    wanted = [[1.0, between], [between, least([1, 2, 3], [1, 2, 3])]]
    close(branch_affinities(jnp.asarray(affinity), groups), np.array(wanted))
    assert abs(least([0], [1, 2, 3]) - least([1, 2, 3], [0])) > 0.01
    for lower, upper in (((0, 0, 0, 0), groups), ((0, 0, 0, 1), (0, 1, 1, 2)), (groups, groups), (groups, (0, 1, 1, 2))):
        tree, costs = (lower, upper), (0.07, 0.03)
        assert tree_loss(jnp.asarray(affinity), tree, costs) == pytest.approx(loss_by_hand(affinity, tree, costs), abs=1e-12)


def test_the_cost_of_a_branch_decides_between_all_and_none():
    affinity = jnp.asarray(random_affinity(np.random.default_rng(2), 5))
    assert grow_tree(affinity, (0.0, 0.0)) == best_tree(affinity, (0.0, 0.0)) == (tuple(range(5)),) * 2
    assert grow_tree(affinity, (1.0, 1.0)) == best_tree(affinity, (1.0, 1.0)) == ((0,) * 5,) * 2


def test_units_are_kept_that_all_lie_along():
    """The worked choice, and on random vectors, rank deficient ones too, the residuals by least squares at every step."""
    assert pursue(jnp.array([[2, 0], [1.9, 0.1], [0, 1], [0, -1.0]]), 2).tolist() == [1, 2]
    rng = np.random.default_rng(0)
    for rank in (6, 2):
        vectors = rng.normal(size=(9, rank)) @ rng.normal(size=(rank, 6))
        kept = []
        for _ in range(min(rank, 4)):
            basis = vectors[kept].T
            left = vectors - (basis @ np.linalg.lstsq(basis, vectors.T, rcond=None)[0]).T if kept else vectors
            scores = np.linalg.norm(left @ vectors.T, axis=0) / np.linalg.norm(vectors, axis=1)
            kept.append(int(np.argmax(np.where(np.isin(range(9), kept), -1, scores))))
        assert pursue(jnp.asarray(vectors), len(kept)).tolist() == kept
    assert sorted(pursue(jnp.ones((3, 2)), 3).tolist()) == [0, 1, 2]  # nothing is left after the first
    with pytest.raises(ValueError, match="count must be a whole number from 1 to 3, as many as there are, but is 4"):
        pursue(jnp.ones((3, 2)), 4)


def test_a_wide_network_of_copies_loses_nothing_in_a_thin_one():
    """Every unit twice, with half of its outgoing weight: the thin layers and heads are the network before, up to half heads."""
    rng = np.random.default_rng(4)
    first, second, heads = rng.normal(size=(5, 3)), rng.normal(size=(3, 3)), rng.normal(size=(2, 3))
    twice = lambda M: np.repeat(M, 2, 1)
    wide = [twice(first), twice(np.repeat(second, 2, 0) / 2)]
    columns, kept = thin([jnp.asarray(layer) for layer in wide], jnp.asarray(twice(heads) / 2), 3)
    X = rng.normal(size=(20, 5))
    relu = lambda scores: np.maximum(scores, 0)
    close(relu(relu(X @ columns[0]) @ columns[1]) @ kept.T, relu(relu(X @ first) @ second) @ heads.T / 4, 2)


STEPS = WeightedTraining("sgd", 60, 0.05, decay=False)
RELU = {"rank": 3, "activation": "relu"}


@pytest.fixture(scope="module")
def pairs():
    rng = np.random.default_rng(5)
    rows = [rng.normal(size=(n, 4)) for n in (12, 12, 12)]
    return [(X, np.maximum(X @ rng.normal(size=4), 0) + 0.1 * rng.normal(size=12)) for X in rows]


def test_one_branch_is_hard_sharing_and_a_branch_for_each_task_is_each_alone(pairs):
    """Step by step, from the same start: alone at a third of the rate, as the loss is one of all rows."""
    key = jax.random.key(2)
    one = mtl.fit(pairs, Branched(((0,) * 3,) * 2), training=STEPS, key=key, **RELU)
    hard = mtl.fit(pairs, Hard(2), training=STEPS, key=key, **RELU)
    close(one.params.columns[1][0], hard.params.columns[1], 3)
    np.testing.assert_allclose(one.losses, hard.losses, rtol=1e-9)
    apart = mtl.fit(pairs, Branched(((0, 1, 2),) * 2), training=STEPS, key=key, **RELU)
    slower = WeightedTraining("sgd", 60, 0.05 / 3, decay=False)
    columns, heads = start_of(key, pairs)
    for k, pair in enumerate(pairs):
        begun = Branched(((0,),) * 2).of([copies[0] for copies in columns], heads[jnp.array([k])])
        alone = mtl.fit([pair], Branched(((0,),) * 2), training=slower, start=begun, **RELU)
        np.testing.assert_allclose(apart.losses[k], alone.losses[0], rtol=1e-9)
    assert not np.allclose(apart.losses, hard.losses, rtol=1e-3)


def start_of(key, pairs):
    """Where training begins: a fit of one step of no length."""
    nowhere = WeightedTraining("sgd", 1, 1e-300, decay=False)
    return mtl.fit(pairs, Branched(((0,) * 3,) * 2), training=nowhere, key=key, **RELU).params


def test_a_tree_says_what_it_is_by_hand(pairs):
    sharing = Branched(((5, 5, 2), (0, 1, 7)))
    assert sharing.groups == ((0, 0, 1), (0, 1, 2))
    found = mtl.fit(pairs, sharing, training=STEPS, **RELU)
    (first, second), heads = found.params
    assert first.shape == (2, 4, 3) and second.shape == (3, 3, 3)
    X, relu = pairs[1][0], lambda scores: np.maximum(scores, 0)
    close(found.predict(X, 1), relu(relu(X @ first[0]) @ second[1]) @ heads[1], 2)
    linear = mtl.fit(pairs, sharing, rank=1)  # whose first layer decides
    close(linear.parameters, mtl.fit(pairs, Branched((0, 0, 1)), rank=1).parameters, 3)
    close(linear.predict(X, 1), X @ linear.params.columns[0][0] @ linear.params.columns[1][1] @ linear.params.heads[1], 2)


def test_training_goes_on_where_it_is_told(pairs, tmp_path):
    """Twice thirty steps are sixty, and what was saved goes on too."""
    half = WeightedTraining("sgd", 30, 0.05, decay=False)
    sharing = Branched(((0, 0, 0), (0, 0, 1)))
    first = mtl.fit(pairs, sharing, training=half, **RELU)
    first.save(tmp_path / "half.npz")
    whole = mtl.fit(pairs, sharing, training=STEPS, **RELU)
    for begun in (first, mtl.Fitted.load(tmp_path / "half.npz")):
        np.testing.assert_allclose(
            mtl.fit(pairs, sharing, training=half, start=begun.params, **RELU).losses, whole.losses, rtol=1e-9
        )
    with pytest.raises(ValueError, match=r"start must be a Deep of shapes .*, but is of shapes .* in a Tree; pass"):
        mtl.fit(pairs, Hard(2), training=half, start=first.params, **RELU)


def test_a_network_branches_where_tasks_are_hard_on_other_examples():
    """Two pairs of tasks, each of one function: the pairs part, and no task is alone."""
    rng = np.random.default_rng(6)
    X = rng.normal(size=(80, 3))
    first, second = np.maximum(X[:, 0], 0), np.maximum(X[:, 1] - X[:, 2], 0)
    common = [(X, first), (X, second), (X, 2 * first), (X, -second)]
    training = WeightedTraining(n_steps=300)
    found = mtl.fit_adaptive(common, rank=2, depth=2, costs=(0.1, 0.02), wide=6, training=training)
    assert found.groups[-1] == (0, 1, 0, 1) and found.groups == found.fitted.sharing.groups
    assert [one.layer for one in found.rounds] == [2, 1] and found.regret >= 0
    assert found.best == best_tree(found.rounds[0].affinity, found.costs)
    shared = mtl.fit_adaptive(common, rank=2, depth=2, costs=1.0, training=training)
    assert shared.groups == ((0,) * 4,) * 2 and [one.layer for one in shared.rounds] == [2]  # and the layer below is not asked
    assert found.fitted.loss < shared.fitted.loss


def test_affinity_is_told_on_rows_that_all_tasks_see(pairs):
    """Linear units, tasks with rows of their own, and labels without noise on common ones: the first affinity by hand."""
    rng = np.random.default_rng(7)
    X, Y = rng.normal(size=(50, 4)), rng.normal(size=(50, 3))
    training = WeightedTraining(n_steps=100)
    found = mtl.fit_adaptive(pairs, (X, Y), rank=1, depth=1, costs=0.0, training=training, activation="identity")
    before = mtl.fit(pairs, Branched(), rank=1, training=training, key=stream(jax.random.key(0), "thin"))
    misses = np.abs(Y - X @ np.asarray(before.parameters).T)
    hard = misses >= misses.mean(0)
    close(found.rounds[0].affinity, np.array([[np.mean(hard[:, k] == hard[:, m]) for m in range(3)] for k in range(3)]), 2)
    assert found.groups == ((0, 1, 2),)  # a branch that costs nothing is taken


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"common": None}, "common must be given where tasks have rows of their own, but is None; pass common="),
        ({"common": (np.ones((5, 4)), np.ones(5))}, r"common's Y must be of shape \(5, 3\), but is of shape \(5,\)"),
        ({"costs": (0.1, 0.2, 0.3)}, r"costs must be 2 numbers >= 0, but is \[0.1, 0.2, 0.3\]; give one for all layers"),
        ({"common": (np.full((5, 4), np.nan), np.ones((5, 3)))}, "common's X must be finite, but holds NaN or infinity in 5 of 5"),
        ({"costs": -1.0}, "costs must be 2 numbers >= 0"),
        ({"depth": 0}, "depth must be a whole number >= 1, but is 0; use 1"),
        ({"wide": 1}, "wide must be a whole number >= rank = 2, but is 1; leave it out to start at random"),
        ({"tasks": [3, 4]}, r"tasks must be pairs \(X, y\), one for each task, but is \['int', 'int'\]"),
        ({"tasks": [(np.ones((5, 4)), np.ones(5))] * 9}, "n_tasks must be a whole number from 1 to 8, but is 9"),
    ],
)
def test_what_cannot_grow_is_one_sentence(pairs, change, sentence):
    given = {"tasks": pairs, "common": (np.ones((5, 4)), np.ones((5, 3)))} | change
    given = given | ({"common": None} if len(given["tasks"]) == 9 else {})
    with pytest.raises(ValueError, match=sentence):
        mtl.fit_adaptive(given.pop("tasks"), given.pop("common"), **given)


def test_groups_that_are_no_tree_are_one_sentence():
    with pytest.raises(
        ValueError,
        match=r"groups must be a tree, all groups inside those of the row before, but is \(0, 1, 1\), then \(0, 0, 1\); let",
    ):
        Branched(((0, 1, 1), (0, 0, 1)))
    with pytest.raises(ValueError, match="groups must be a tree"):
        Branched(((0, 1), (0, 0, 1)))
    for wrong in (((0, 1), "ab"), ((0.5, 1), (0, 1)), ()):
        with pytest.raises(ValueError, match="groups must be a whole number for each task, or such a row for each layer"):
            Branched(wrong)
