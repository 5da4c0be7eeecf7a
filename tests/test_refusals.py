"""Whatever is given for an argument: it is taken for what it is, or refused in one sentence of this house."""

import equinox as eqx
import jax
import jaxtyping
import numpy as np
import pytest

import mtlsim as mtl
from mtlsim.cells.groups import Groups
from mtlsim.cells.label_shift import LabelShift
from mtlsim.cells.orthonormal_rows import OrthonormalRows
from mtlsim.sharing.cross_stitch import CrossStitch
from mtlsim.theory import plateau

KEY = jax.random.key(0)
PAIR = mtl.LinearTasks(n_features=5, n_samples=(50, 20), cosine=0.9)
GROUPS = mtl.LinearTasks(n_features=5, n_samples=(50, 40, 20), cosine=(0.9, 1.0))
TASKS = PAIR.draw(key=KEY)
MOMENTS = mtl.draw_moments(TASKS, key=KEY)
X = np.random.default_rng(0).normal(size=(12, 3))
Y = X @ np.ones(3)

ZERO = mtl.Moments.from_data(np.zeros((9, 5)), np.zeros(9))
FITTED = mtl.fit([(X, Y), (X, -Y)], "pooled")


class Worded(eqx.Module):
    """A cell whose word is no static field."""

    law: str = "normal"

    def __call__(self, *, key):
        return {"gain": jax.random.normal(key)}


# nothing of this is ever taken for a number, a name, a recipe, a design or a path
NONSENSE = [object(), lambda: 1, mtl.Transfer, {}, {1: 2}, b"x", np.datetime64("2020-01-01"), [[1, 2], [3]], np.array(["a"]), 1j]
NONSENSE += [{50, 20}, jax.random.split(jax.random.key(0), 2)]
# this may be, by some
ODD = [None, "x", -1.5, float("nan"), 10**400, [], (), True, [1, "a"], ("a",), np.zeros((2, 2, 2, 2)), np.array([1 + 1j, 2])]

DOORS = {
    mtl.LinearTasks: {
        "n_features": 5,
        "n_samples": (50, 20),
        "cosine": 0.9,
        "alignment": 0.5,
        "noise": 1.0,
        "parameter_norm": 1.0,
        "design": mtl.PowerLaw(1.0),
        "relation": "same",
        "rows": "gaussian",
        "shared_covariates": False,
    },
    mtl.ReluTasks: {"n_features": 5, "n_samples": (50, 20), "cosine": 0.9, "amplitude": 1.0, "capacity": 60},
    mtl.ClassificationTasks: {"n_samples": (50, 20), "noise": 1.0, "flip": 0.1, "labels": "sign", "activation": "identity"},
    mtl.Transfer: {"tasks": PAIR, "rank": 1, "target": -1, "weights": (1.0, 1.0), "ridge": 0.1, "sharing": "hard"},
    mtl.Decomposition: {"tasks": PAIR, "sharing": "pooled", "ridge": 0.1},
    mtl.Population: {"tasks": PAIR, "weights": (1.0, 1.0)},
    mtl.TrainingCurve: {"tasks": PAIR, "rank": 1, "target": -1, "n_points": 50, "sharing": "hard", "weights": (1.0, 1.0)},
    mtl.Weighting: {"tasks": PAIR, "scheme": "equal", "rank": 1, "target": -1},
    mtl.Alignment: {"tasks": PAIR, "rank": 1, "method": "learned", "mode": "multi-task"},
    Groups: {"tasks": GROUPS, "share": 0.8, "weights": (1.0, 1.0, 1.0), "threshold": 0.0, "flip": 0.0, "n_groups": 2},
    LabelShift: {"n_source": 300.0, "n_target": 30.0, "prior_source": 0.5, "separation": 1.0, "n_features": 20, "drift": 0.0},
    OrthonormalRows: {"n_samples": 20.0},
    CrossStitch: {"own": 0.9, "learned": True, "decay": 0.0},
    mtl.Training: {"optimiser": "newton", "n_steps": 3, "n_starts": 0, "learning_rate": 0.1, "start_size": 1.0},
    mtl.WeightedTraining: {"optimiser": "sgd", "n_steps": 3, "learning_rate": 0.1, "start_size": 1.0, "decay": True},
    mtl.AlignmentTraining: {"optimiser": "sgd", "n_steps": 3, "learning_rate": 0.1, "start": "identity", "strength": 0.1},
    mtl.Rotated: {"design": mtl.PowerLaw(1.0), "seed": 0},
    mtl.Spiked: {"condition_number": 10.0, "fraction": 0.2, "coordinates": (0, 1)},
    mtl.Diagonal: {"variances": np.ones(3), "singular": False},
    mtl.FromMatrix: {"matrix": np.eye(3), "singular": False, "rounding": 0.0},
    mtl.jensen_shannon: {"first": [0.5, 0.5], "second": [0.2, 0.8]},
    mtl.lowest_alignment: {"target": TASKS.covariances[-1]},
    mtl.Moments.from_data: {"X": X, "y": Y},
    mtl.fit: {"tasks": [(X, Y), (X, Y)], "sharing": "pooled", "rank": 1, "weights": (1.0, 1.0), "training": None, "scheme": None},
    mtl.draw_moments: {"tasks": TASKS, "key": KEY},
    mtl.solve: {"moments": MOMENTS, "rank": 1, "weights": (1.0, 1.0), "n_starts": 3, "max_iterations": 9, "certify": False},
    mtl.tune_weights: {"moments": MOMENTS, "rank": 2, "n_starts": 3, "n_steps": 9},
    mtl.covariance_similarity: {"first": X, "second": X, "kept": 0.9, "normalized": True, "centred": True},
    mtl.principal_angles: {"first": X, "second": X},
    mtl.predict: {"prediction": plateau(mtl.Transfer(PAIR)), "grid": {}, "n_draws": 1, "key": KEY, "check": True, "inside": True},
    mtl.align_covariances: {"tasks": MOMENTS, "shared": 1, "training": None, "n_records": 1, "heads": np.zeros((2, 1))},
    mtl.whiten_and_recolour: {"tasks": MOMENTS, "target": -1, "ridge": 0.0},
    mtl.draw_data: {"tasks": TASKS, "n_samples": (5, 5), "key": KEY},
    mtl.define: {"term": "task"},
    mtl.explain: {"data": None},
    mtl.sweep: {
        "cell": mtl.Transfer(PAIR, sharing="pooled"),
        "grid": {"tasks.noise": [0.5]},
        "n_seeds": 2,
        "key": KEY,
        "path": "a.nc",
        "shard": None,
        "devices": None,
        "attributes": None,
        "accept_versions": False,
        "progress": False,
    },
    mtl.merge: {"pieces": ["a.nc"], "path": "b.nc"},
    mtl.explainer: {"path": "a.html"},
}
FREE = {("merge", "pieces"), ("sweep", "grid"), ("predict", "grid"), ("AlignmentTraining", "strength")}  # {} is a grid of one cell


@pytest.mark.filterwarnings("ignore:A JAX array is being set as static")  # by the module, before it is refused
@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__qualname__)
def test_what_is_given_is_taken_for_what_it_is_or_refused_in_one_sentence(door, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    taken, raw = [], []
    for argument in DOORS[door]:
        for value in (*NONSENSE, *ODD):
            try:
                door(**{**DOORS[door], argument: value})
            except jaxtyping.TypeCheckError:  # the tests' own, before the door's
                continue
            except ValueError as refusal:
                if " must " not in str(refusal) or len(str(refusal)) > 1500:
                    raw.append((argument, value, refusal))
            except Exception as error:
                raw.append((argument, value, error))
            else:
                taken += [(argument, value)] if any(value is one for one in NONSENSE) else []
    assert not raw
    assert not [one for one in taken if (door.__qualname__, one[0]) not in FREE]


@pytest.mark.parametrize(
    ("door", "values", "sentence"),
    [
        (mtl.principal_angles, (np.ma.masked_greater(X, 1), X), "first must be without masked entries"),
        (mtl.principal_angles, (X, np.where(X > 1, np.nan, X)), "second must be finite"),
        (mtl.cosine_similarity, (Y, Y * np.inf), "second must be finite"),
        (mtl.Spiked, (np.inf,), "condition_number must be finite"),
        (mtl.whiten_and_recolour, ([MOMENTS[0], ZERO],), "tasks must be of finite rows that are not all zero"),
        (FITTED.predict, (np.ma.masked_greater(X, 1),), "X must be"),
        (FITTED.predict, (np.where(X > 1, np.nan, X),), "X must be finite"),
        (mtl.sweep, (Worded(), {}, 2, KEY), "cell.law must be a number, but is 'normal'; declare what is no number by equinox"),
        (mtl.jensen_shannon, (np.ma.masked_equal([1, 2], 2), [1, 2]), "first must be without masked entries"),
        (mtl.compare_tasks, ({"a": (X, Y), "b": (X + 1, 1e160 * Y)},), "b's y must be of labels whose squares"),
    ],
)
def test_no_mask_is_dropped_and_no_number_lost(door, values, sentence):
    with pytest.raises((ValueError, jaxtyping.TypeCheckError), match=sentence):
        door(*values)
