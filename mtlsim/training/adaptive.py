"""Fully-adaptive feature sharing: a thin network that grows branches where its tasks find other examples hard [lu2017fully]."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from mtlsim.core.checks import as_numbers, is_whole, require, require_finite, require_kind
from mtlsim.core.keys import check_key, stream
from mtlsim.core.words import counted, with_article
from mtlsim.sharing._sharing import require_depth
from mtlsim.sharing.branched import Branched, Tree
from mtlsim.sharing.hard import Hard
from mtlsim.solvers.partitions import affinities, best_tree, join, partitions, tree_loss
from mtlsim.solvers.pursuit import thin
from mtlsim.training.fit import Fitted, fit
from mtlsim.training.weighted import WeightedTraining

UNIT = 1 / 64  # published cost of a branch at layers above all pooling, twice as much below each


class Round(NamedTuple):
    """What was seen at one layer, 1 the first: the affinity of the tasks (K, K), and the groups in which its branches joined."""

    layer: int
    affinity: Float[Array, "K K"]
    groups: tuple[int, ...]


class Adaptive(NamedTuple):
    """The network that was grown, and how: a round for each layer, from the outputs down.

    fitted: of the architecture `mtlsim.sharing.branched`, whose `groups` are the tree. costs: of a branch at each layer, from the
    input.

    >>> X = np.random.default_rng(0).normal(size=(60, 2))
    >>> found = mtl.fit_adaptive([(X, X[:, 0]), (X, X[:, 1])], rank=1, depth=1, activation="identity")
    >>> found.groups, found.best, [one.layer for one in found.rounds]
    (((0, 0),), ((0, 0),), [1])
    """

    fitted: Fitted
    rounds: tuple[Round, ...]
    costs: tuple[float, ...]

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """The groups of the tasks in every layer, from the input on."""
        return self.fitted.sharing.tree(self.fitted.n_tasks)

    @property
    def best(self) -> tuple[tuple[int, ...], ...]:
        """The tree of least branching loss of all, by the affinities that the network had before it branched."""
        return best_tree(self.rounds[0].affinity, self.costs)

    @property
    def regret(self) -> float:
        """By how much the branching loss of `groups` is above that of `best`, by the same affinities."""
        affinity = self.rounds[0].affinity
        return tree_loss(affinity, self.groups, self.costs) - tree_loss(affinity, self.best, self.costs)


def fit_adaptive(
    tasks: Sequence[Any],
    common: tuple[Any, Any] | None = None,
    *,
    rank: int = 2,
    depth: int = 2,
    costs: float | Sequence[float] | None = None,
    wide: int | None = None,
    training: WeightedTraining | None = None,
    activation: str = "relu",
    key: Key[Array, ""] | None = None,
) -> Adaptive:
    """Train a network that all tasks share, and let it branch: layer by layer from the outputs, with training after every branch.

    At each layer the branches above it, at first the tasks, join in the groups of least branching loss
    (`mtlsim.solvers.partitions`), each of which goes on with a copy of the layer.

    tasks: pairs (X, y), at most eight. common: (X, Y), rows (m, d) that all tasks see and their labels (m, K), from which it is
    told which examples they find hard together; left out where all tasks have the same X. In a simulation, labels without noise.
    Affinity says which tasks are hard on the same examples, not which are alike: two unrelated tasks look related where
    one label is far from zero wherever the other is. rank: units of each layer and branch. depth: L layers. costs: of a branch
    more, one number or one per layer from the input; (2^(L-1), .., 2, 1) / 64 if left out, double from layer to layer as published.
    wide: the network starts as the `rank` units in each layer of one of `wide` units, trained before, along which all of these lie
    most (simultaneous orthogonal matching pursuit); left out, it starts at random. training, activation, key: as for `mtlsim.fit`.
    Raises ValueError for sizes that do not fit.

    >>> X = np.random.default_rng(0).normal(size=(60, 2))
    >>> near = np.maximum(X @ [1.0, 0.0], 0)
    >>> pairs, training = [(X, near), (X, near), (X, X[:, 1] ** 2)], mtl.WeightedTraining(n_steps=200)
    >>> found = mtl.fit_adaptive(pairs, depth=1, costs=0.05, training=training)
    >>> found.groups, found.regret
    (((0, 0, 1),), 0.0)
    """
    require_depth(depth)
    training is None or require_kind(training, WeightedTraining, "training")
    training, key = training or WeightedTraining(), jax.random.key(0) if key is None else check_key(key)
    X, Y = _common(tasks, common)
    n_tasks = len(tasks)
    groups = partitions(n_tasks)[-1]  # which refuses too many
    costs = _costs(costs, depth)
    options = {"training": training, "activation": activation}
    start = None
    if wide is not None:
        right = is_whole(wide) and wide >= rank
        require(right, "wide", f"a whole number >= rank = {rank}", repr(wide), "leave it out to start at random")
        before = fit(tasks, Hard(depth), rank=int(wide), key=stream(key, "wide"), **options).params
        start = Tree(*thin(before.columns if depth > 1 else [before.shared], before.heads, rank))
    rows = ((0,) * n_tasks,) * depth
    sharing = Branched(rows)
    start = None if start is None else sharing.of(*start)
    rounds = []
    for layer in reversed(range(depth)):
        found = fit(tasks, sharing, rank=rank, key=stream(key, "thin"), start=start, **options)
        errors = jnp.stack([jnp.abs(Y[:, k] - found.predict(X, k)) for k in range(n_tasks)])
        affinity = affinities(errors)
        groups = join(affinity, groups, costs[layer])
        rounds.append(Round(layer + 1, affinity, groups))
        if max(groups) == 0:
            break
        columns = list(found.params.columns)
        columns[layer] = jnp.concatenate([columns[layer]] * (max(groups) + 1))  # one until now
        rows = (*rows[:layer], groups, *rows[layer + 1 :])
        sharing, start = Branched(rows), Tree(columns, found.params.heads)
    else:
        found = fit(tasks, sharing, rank=rank, start=start, **options)
    return Adaptive(found, tuple(rounds), costs)


def _costs(costs: float | Sequence[float] | None, depth: int) -> tuple[float, ...]:
    numbers = 2.0 ** np.arange(depth)[::-1] * UNIT if costs is None else np.atleast_1d(as_numbers(costs, "costs"))
    numbers = np.repeat(numbers, depth) if len(numbers) == 1 else numbers
    cure = "give one for all layers, or one for each from the input"
    right = numbers.shape == (depth,) and np.all(np.isfinite(numbers)) and np.all(numbers >= 0)
    require(right, "costs", f"{counted(depth, 'number')} >= 0", numbers.tolist(), cure)
    return tuple(numbers.tolist())


def _common(tasks: Sequence[Any], common: tuple[Any, Any] | None) -> tuple[Array, Array]:
    """Rows (m, d) that all tasks see, and their labels (m, K)."""
    pairs = isinstance(tasks, Sequence) and all(isinstance(one, (tuple, list)) and len(one) == 2 for one in tasks)
    found = [type(one).__name__ for one in tasks] if isinstance(tasks, Sequence) else with_article(type(tasks).__name__)
    require(pairs and len(tasks) > 0, "tasks", "pairs (X, y), one for each task", found, "pass [(X1, y1), (X2, y2)]")
    if common is None:
        X = np.asarray(tasks[0][0])
        same = all(np.array_equal(X, np.asarray(own)) for own, _ in tasks)
        cure = "pass common=(X, Y) with a column of labels for each task"
        require(same, "common", "given where tasks have rows of their own", None, cure)
        return jnp.asarray(X), jnp.stack([jnp.asarray(y, float) for _, y in tasks], 1)
    two = isinstance(common, (tuple, list)) and len(common) == 2
    require(two, "common", "a pair (X, Y)", with_article(type(common).__name__), "pass rows and a column of labels for each task")
    X, Y = (as_numbers(part, f"common's {name}") for part, name in zip(common, "XY", strict=True))
    shape = len(X), len(tasks)
    require_finite(X, "common's X")
    require_finite(Y, "common's Y")
    require(Y.shape == shape, "common's Y", f"of shape {shape}", f"of shape {Y.shape}", "pass a label of every task in each row")
    return jnp.asarray(X), jnp.asarray(Y)
