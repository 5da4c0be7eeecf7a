"""A network beside the ridge regressions of a study: held out honestly, what it finds that they cannot, its words and its price."""

import json

import numpy as np
import pytest
from conftest import close, untyped

import mtlsim as mtl
from mtlsim import cli
from mtlsim.arrays.gather import gather
from mtlsim.arrays.learners import METHODS
from mtlsim.arrays.networks import FITS, SPLITS, agreement, errors_on_a_split
from mtlsim.arrays.study import Study
from mtlsim.arrays.together import Table, Target

D = 6


def bent(n, heads, rng):
    """Labels of two hidden ReLU units in opposite directions, which every task weighs alike: no straight line tells them."""
    X = rng.normal(size=(n, D))
    return X, np.abs(X @ heads) + 0.3 * rng.normal(size=n)


RNG = np.random.default_rng(3)
FIRST = np.eye(D)[0] * 1.5
TASKS = {"source": bent(300, FIRST, RNG), "target": bent(50, FIRST, RNG)}


@pytest.fixture(scope="module")
def study():
    return mtl.compare_tasks(TASKS, targets="target", n_splits=4, network=True)


def test_a_network_shares_what_straight_lines_cannot(study):
    own = study.data.isel(task=0)
    assert own.network_gain > 0.1 * own.risk_alone > abs(own.gain)
    assert own.network_together < 0.6 * own.risk_together
    close(float(own.network_alone - own.network_together), float(own.network_gain), 3)
    assert own.network_low <= own.network_gain <= own.network_high


def test_rows_that_test_teach_nothing():
    """With other labels where it tests the network says the same: its errors are then off by what the labels are."""
    table = Table(gather(TASKS), METHODS)
    one = Target(table, 1, None, 2, np.zeros(2, np.uint32))
    before, one.y = errors_on_a_split(table, one, 0, 50, 300), one.y.copy()
    one.y[one.plan.tests[0]] -= 100.0
    after = np.sqrt(errors_on_a_split(table, one, 0, 50, 300)) - 100.0  # what it says less the labels as they were
    close(after**2, before, 3)
    assert before.min() > 0 and (after > 0).any() and (after < 0).any()


def test_what_it_says_stands_everywhere(study, tmp_path, capsys):
    said = study.agreement("target")
    told = study.to_dict()
    assert told["advice"]["target"]["network"] == said and f": {said}" in str(study) and len(told["network_gain"]) == 1
    n_fits = min(SPLITS[1], int(study.data.attrs["n_splits"])) * FITS
    assert study.data.attrs["network_fits"] == n_fits and f"4 splits ({n_fits} fits of 300 steps" in str(study)
    study.save(tmp_path / "study.nc")
    assert str(Study.load(tmp_path / "study.nc")) == str(study)
    for name, (X, y) in TASKS.items():
        np.savez(tmp_path / f"{name}.npz", X=X, y=y)
    assert cli.main(["compare", str(tmp_path), "--target", "target", "--splits", "2", "--network", "--json"]) == 0
    assert "network" in json.loads(capsys.readouterr().out)["advice"]["target"]


@pytest.mark.parametrize(
    ("gain", "sign", "words"),
    [
        (1.0, -1, "target is hurt by sharing in a network, and learns with source: its tasks share all hidden units"),
        (-1.0, 1, "target is helped by sharing in a network, but left alone by the ridge regressions: its units bend"),
        (1.0, 1, None),
    ],
)
def test_where_the_learners_differ_there_is_a_reason(study, gain, sign, words):
    data = study.data.copy(deep=True)
    data["gain"][:], data["sign"][:], data["network_sign"][:] = gain, int(gain), sign
    found = [one for one in Study(data).reasons if "network" in one]
    assert found == [] if words is None else found[0].startswith(words) and f"  {words}" in str(Study(data))
    assert Study(data).to_frame()["network_sign"]["target"] == sign


@pytest.mark.parametrize(
    ("linear", "network", "words"),
    [
        ((1.0, 1), (2.0, 1), "both agree: positive"),
        ((1.0, 1), (-2.0, -1), "the learners contradict each other"),
        ((1.0, 1), (2.0, 0), "both point the same way, only the ridge regressions are decided"),
        ((1.0, 0), (-2.0, -1), "they point in opposite ways, only the network is decided"),
        ((-1.0, 0), (-2.0, 0), "both point the same way, neither is decided"),
    ],
)
def test_agreement_in_words(linear, network, words):
    assert agreement(linear, network) == words


def test_what_cannot_be_asked_is_one_sentence():
    groups = {"target": np.arange(50) // 5}
    few = {"a": bent(8, FIRST, RNG), "b": bent(40, FIRST, RNG)}
    many = {str(k): (RNG.normal(size=(400, 900)), RNG.normal(size=400)) for k in range(12)}
    for tasks, options, sentence in (
        (TASKS, {"groups": groups, "network": True}, "network must be False where rows have groups, a time or weights"),
        (few, {"network": True}, "network must be asked of targets with 10 rows or more, but is asked of one with 8"),
        (many, {"network": True}, "network must be asked for at most 5e+11 operations"),
    ):
        with pytest.raises(ValueError) as error:
            untyped(mtl.compare_tasks)(tasks, n_splits=2, **options)
        assert sentence in str(error.value)
    with pytest.raises(ValueError, match="study must be one with a network, but is one without; pass network=True"):
        mtl.compare_tasks({name: TASKS[name] for name in TASKS}, targets="target", n_splits=2).agreement("target")
