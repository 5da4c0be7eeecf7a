"""The same question asked of a network: hidden ReLU units that a target shares with the sources that its training rows name.

On each of a few splits of the study the sources are those with most weight in the mixture of ridge regressions that the training
rows alone decide. A network is trained on the target's training rows (`mtlsim.Training("adam")`), and another one on these and the
rows of the sources, a head for each task and one loss a row; both at the ridge that is best on a fifth of the training rows which
the others predict. Both see the same rows, centred and scaled as the ridge regressions see them, and predict the same rows.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mtlsim.arrays.gather import Gathered
from mtlsim.arrays.learners import SHARE_NAMED, spread_of
from mtlsim.arrays.resampling import Splits, decide_resampled
from mtlsim.arrays.together import Table, Target
from mtlsim.core.checks import require
from mtlsim.core.verdict import WORDS, in_units
from mtlsim.samples.data import Rows
from mtlsim.solvers.network import Network, outputs
from mtlsim.training.network import Training, train_layers

UNITS, STEPS, RATE = 8, 300, 0.03
RIDGES = 1.0, 10.0, 100.0  # on the sum of squares of labels of variance one
SHARE_VALIDATED = 0.2  # of the training rows, on which the ridge is chosen
MOST_ROWS = 500  # of a source
SPLITS = 2, 5  # at least and at most
BUDGET = 5e10  # multiplications and additions, beyond which fewer splits are taken
PASSES = 6  # over rows, features and units in a step: both layers forward, and twice back
FITS = 2 * len(RIDGES) + 2  # of a split: every ridge, and the chosen one on all training rows, alone and together


def check_network(n_rows: list[int], gathered: Gathered) -> None:
    """Refuse what would train for long, and rows too few to choose a ridge by."""
    fewest = min(n_rows)
    require(fewest >= 10, "network", "asked of targets with 10 rows or more", f"asked of one with {fewest}", "leave it out")
    sizes = [len(y) for _, y in gathered.tasks]
    cost = _cost(len(n_rows) * SPLITS[0], max(n_rows), sizes, gathered.tasks[0][0].shape[1])
    cure = "ask fewer targets, or fewer features"
    require(cost <= 10 * BUDGET, "network", f"asked for at most {10 * BUDGET:.0e} operations", f"one of {cost:.1e}", cure)


def _cost(n_splits: int, n_rows: int, sizes: list[int], d: int) -> float:
    """Operations of so many splits: all tasks stand in one array, each with room for the longest."""
    room = len(sizes) * max(min(max(sizes), MOST_ROWS), n_rows) + n_rows
    return float(n_splits * FITS / 2 * PASSES * STEPS * room * (d + 1) * UNITS)


def networks(table: Table, measured: list[Target], level: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """network_alone, network_together, network_gain, network_low, network_high, network_sign (task), and what it cost."""
    names = "alone", "together", "gain", "low", "high", "sign"
    longest, sizes = max(len(one.y) for one in measured), [len(y) for y in table.labels]
    each = _cost(len(measured), longest, sizes, table.rows[0].shape[1])
    count = min(int(np.clip(BUDGET // each, *SPLITS)), *(len(one.plan.tests) for one in measured), SPLITS[1])
    room = max(longest, min(max(sizes), MOST_ROWS))
    found: dict[str, list[float]] = {name: [] for name in names}
    for one in measured:
        errors = np.stack([errors_on_a_split(table, one, j, longest, room) for j in range(count)])  # (J, 2, n_test)
        unit = table.gathered.units[one.target] ** 2
        splits = Splits(one.plan.n_train, np.stack(one.plan.tests[:count]), level)
        gain = in_units(decide_resampled(errors[:, 0] - errors[:, 1], splits), unit)
        told = *(unit * errors.mean((0, 2))), gain.mean, gain.low, gain.high, gain.sign
        for name, value in zip(names, told, strict=True):
            found[name].append(value)
    cost = {"network_fits": count * FITS * len(measured), "network_steps": STEPS, "network_splits": count}
    fields = {f"network_{name}": ("task", values) for name, values in found.items()}
    return fields, {**cost, "network_units": UNITS, "network_operations": count * each}


def errors_on_a_split(table: Table, one: Target, j: int, room_alone: int, room: int) -> np.ndarray:
    """Squared errors alone and together (2, n_test) on split j."""
    train, test, shares = one.plan.trains[j], one.plan.tests[j], one.shares[j]
    chosen = [s for s in one.together.others if shares[s] >= SHARE_NAMED * shares.sum()] if shares.sum() > 0 else []
    K, n_validated = len(table.names), max(2, round(SHARE_VALIDATED * len(train)))
    parts = {s: _prepared(table.rows[s], table.labels[s], _some(table, s, one.target)) for s in chosen}
    key, said = jax.random.fold_in(jax.random.key(one.target), j), []
    for others, places, length in (({}, 1, room_alone), (parts, K, room)):

        def fit(rows, ridge, others=others, places=places, length=length):
            """Predictions of all rows of the target."""
            X, y, used = np.zeros((places, length, one.rows.X.shape[1] + 1)), np.zeros((places, length)), np.zeros(places, int)
            own = 0 if places == 1 else one.target
            for s, (Z, w) in {**others, own: _prepared(one.rows.X, one.y, rows)}.items():
                X[s, : len(w)], y[s, : len(w)], used[s] = Z, w, len(w)
            there = np.arange(length) < used[:, None]
            network = Network(jnp.ones(places), jnp.full(places, ridge), "relu", "squared")
            layers = train_layers(network, Rows(jnp.asarray(X), jnp.asarray(y), jnp.asarray(there)), UNITS, TRAINING, key)
            every = np.zeros((places, length, X.shape[2]))
            every[own, : len(one.y)] = _columns(one.rows.X, rows)
            scores = outputs(network, Rows(jnp.asarray(every), jnp.asarray(y), jnp.asarray(there)), layers)
            spread = spread_of(one.y[rows], None) or 1.0
            return one.y[rows].mean() + spread * np.asarray(scores)[own, : len(one.y)]

        kept, validated = train[:-n_validated], train[-n_validated:]
        tried = [np.mean((fit(kept, ridge)[validated] - one.y[validated]) ** 2) for ridge in RIDGES]
        said.append(fit(train, RIDGES[int(np.argmin(tried))])[test])
    return (np.stack(said) - one.y[test]) ** 2


TRAINING = Training("adam", n_steps=STEPS, learning_rate=RATE)


def _some(table: Table, s: int, target: int) -> np.ndarray:
    """Rows of a source that are none of the target's, at most so many, evenly from first to last."""
    kept = np.arange(len(table.labels[s]))[table.kept(s, target)]
    return kept if len(kept) <= MOST_ROWS else kept[np.linspace(0, len(kept) - 1, MOST_ROWS).astype(int)]


def _prepared(X: np.ndarray, y: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """These rows with a column of ones, and their labels in units of their spread, both less their means."""
    return _columns(X, rows)[rows], (y[rows] - y[rows].mean()) / (spread_of(y[rows], None) or 1.0)


def _columns(X: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """All rows less the mean of these, and ones, so that units need not bend at the mean."""
    return np.column_stack([X - X[rows].mean(0), np.ones(len(X))])


def agreement(linear: tuple[float, int], network: tuple[float, int]) -> str:
    """In words whether two learners say the same, from mean gain and decided sign of each."""
    (gain, sign), (other, other_sign) = linear, network
    if sign and other_sign:
        return f"both agree: {WORDS[sign]}" if sign == other_sign else "the learners contradict each other"
    who = "neither is" if not sign and not other_sign else "only the ridge regressions are" if sign else "only the network is"
    same = np.sign(gain) == np.sign(other)
    return f"both point the same way, {who} decided" if same else f"they point in opposite ways, {who} decided"
