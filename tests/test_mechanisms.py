"""Mechanisms: clauses that planted fakes do not pass, verdicts, and cells against plain NumPy on rows."""

import dataclasses
import itertools
import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import Z_LIMIT, untyped, z_score
from jaxtyping import Array
from scipy import integrate, optimize

import mtlsim as mtl
from mtlsim.cells.aspects import Aspects
from mtlsim.cells.attribute_selection import AttributeSelection, area, highest
from mtlsim.cells.diagonal_network import DiagonalNetwork
from mtlsim.cells.extra_label import ExtraLabel, boundary, expected_errors
from mtlsim.cells.extra_outputs import EVERY, RATE, START, ExtraOutputs, risk_at
from mtlsim.cells.function_pair import HELD_OUT, FunctionPair
from mtlsim.cells.group_selection import SHARES, GroupSelection, order
from mtlsim.cells.hermite_students import HermiteStudents, hermite, overlap_flow, waiting_time
from mtlsim.cells.marginal_screening import MarginalScreening
from mtlsim.cells.orthonormal_rows import OrthonormalRows
from mtlsim.cells.stopped_flow import StoppedFlow
from mtlsim.cells.two_gates import TwoGates, half_open, pull_at_start, turning_point
from mtlsim.core.flow import follow
from mtlsim.core.keys import stream
from mtlsim.experiments import aspects as few_rows
from mtlsim.experiments.peaks import PAIRS, TASKS, PeaksNet, rank_correlations
from mtlsim.experiments.shared_width import KINDS, ModesKept, expected_risk
from mtlsim.experiments.stopping_rates import CommonStop
from mtlsim.mechanisms import Dose, Mechanism, find_mechanism, mechanism_names, try_mechanism
from mtlsim.mechanisms._clauses import CLAUSES, FAILS, HOLDS, OPEN, _percent, consider, judge, rank_correlation
from mtlsim.plots.verdicts import number_in_words
from mtlsim.solvers.group_lasso import TOLERANCE, group_lasso
from mtlsim.sweeps.instances import over_instances
from mtlsim.theory.statements import easy_dose, waiting_slope
from mtlsim.theory.statements.harder_gain_more import TwoNoises, relative_gains
from mtlsim.theory.statements.joint_selection_area import joint_area
from mtlsim.theory.statements.selection_area import selection_area
from mtlsim.verification.report import trial_as_json

KEY = jax.random.key(4)


def draws(cell, n_seeds):
    """Outputs of one cell over seeds."""
    (found,) = over_instances(lambda one, key: one(key=key), [cell], KEY, n_seeds)
    return found


# ------------------------------------------------------------------------------------------------ clauses
class Planted(eqx.Module):
    """An effect of size `effect * dose`, what is left of it under control, and what a better single task and the mediator take."""

    dose: Array | float = 1.0
    effect: Array | float = 1.0
    controlled: Array | float = 0.0
    left: Array | float = 0.0
    knob: Array | float = 0.0
    taken: Array | float = 0.0
    mediated: Array | float = 1.0
    other_way: Array | float = 0.0
    lost: Array | float = -9.0

    def __call__(self, *, key):
        noise = 0.5 * jax.random.normal(key, (2,))
        kept = jnp.where(self.controlled > 0, self.left, 1.0)
        gain = kept * (self.effect * self.dose + noise[0]) - self.taken * self.knob
        gain = jnp.where(noise[1] < self.lost, jnp.nan, gain)
        return {"gain": gain, "number": kept * self.mediated + 0.5 * noise[1], "rest": self.other_way * gain}


def planted(cell=None, **changes):
    fields = {
        "cell": cell or Planted(),
        "effect": {"dose": 1.0},
        "dose": Dose("dose", (0.0, 0.5, 1.0), 1),
        "controls": {"nothing shared": {"controlled": 1.0}},
        "opponent": ("knob", (0.0, 0.5, 1.0)),
        "mediator": "number",
        "beyond": "rest",
        "harm": {"effect": (-1.0, 1.0)},
        "n_seeds": 1000,
    }
    return Mechanism("planted", "It helps.", ("derived",), **fields | changes)


FAKES = {  # what is planted -> the clause that must see it, and how
    "none": ({}, "", HOLDS),
    "no effect": ({"effect": 0.0}, "effect", OPEN),
    "it hurts": ({"effect": -1.0}, "effect", FAILS),
    "the control leaks": ({"left": 0.3}, "control", FAILS),
    "a control that may leak": ({"left": 0.1}, "control", OPEN),
    "the control turns it round": ({"left": -0.5}, "control", FAILS),
    "a better single task": ({"taken": 2.0}, "opponent", FAILS),
    "a single task as good": ({"taken": 1.0}, "opponent", OPEN),
    "one that still gets better": ({"taken": 0.5}, "opponent", OPEN),
    "the mediator stays": ({"mediated": 0.0}, "mediator", OPEN),
    "the mediator moves the other way": ({"mediated": -1.0}, "mediator", FAILS),
    "it comes by another way": ({"other_way": 0.5}, "mediator", FAILS),
    "numbers are lost": ({"lost": -1.0}, "effect", OPEN),
}


@pytest.mark.parametrize("name", FAKES)
def test_a_planted_fake_is_not_confirmed(name):
    changes, clause, state = FAKES[name]
    trial = try_mechanism(planted(Planted(**changes)))
    states = {one.name: one.state for one in trial.clauses}
    assert tuple(states) == CLAUSES
    if not clause:
        assert trial.verdict == "confirmed" and set(states.values()) == {HOLDS}
        assert [dict(point)["effect"] for point, _ in trial.hurts] == [-1.0] and "hurts at 1 of 2" in str(trial)
    else:
        assert states[clause] == state and trial.verdict != "confirmed"
        assert (trial.verdict == "refuted") == (FAILS in states.values())
    if name == "it hurts":  # and nothing of that is left under the control
        assert states["control"] == HOLDS and trial.clauses[2].number == 0


def test_a_dose_without_a_response_and_one_that_turns_are_seen():
    for name, values, state in (("lost", (-9.0, -8.0, -7.0), OPEN), ("dose", (1.0, 0.5, 0.0), FAILS)):
        trial = try_mechanism(planted(dose=Dose(name, values, 1)))
        assert trial.clauses[1].state == state and trial.verdict != "confirmed"


def test_mechanisms_without_an_effect_are_rarely_confirmed_and_true_ones_rarely_refuted():
    """Of 200 trials each: with 12 % left under control none is confirmed, with nothing left none refuted; seeds in NumPy."""
    rng, mechanism = np.random.default_rng(13), planted(beyond=None)

    def draw(left, seeds=200):
        def drawn(points):
            noise = rng.normal(size=(2, seeds))
            kept = [left if point.get("controlled") else point["dose"] for point in points]
            return [{"gain": k * (1 + 0.3 * noise[0]), "number": k * (1 + 0.3 * noise[1])} for k in kept]

        return drawn

    verdicts = {left: [judge(consider(mechanism, draw(left))[0]) for _ in range(200)] for left in (0.0, 0.12)}
    assert verdicts[0.0] == ["confirmed"] * 200 and "confirmed" not in verdicts[0.12]


def test_rank_correlations_are_those_of_scipy():
    from scipy.stats import spearmanr

    values = np.random.default_rng(0).normal(size=(5, 30)).round(1)
    wanted = [spearmanr(np.arange(5), column).statistic for column in values.T]
    np.testing.assert_allclose(rank_correlation(np.arange(5), values), wanted, atol=1e-12)
    assert rank_correlation(np.arange(3), np.ones((3, 2))).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"effect": {"doze": 1.0}}, "did you mean 'dose'"),
        ({"mediator": "numbr"}, "did you mean 'number'"),
        ({"controls": {}}, "controls must be one or more"),
        ({"opponent": ("knob", (1.0,))}, "two values or more"),
        ({"expected": "true"}, "expected must be one of the known names"),
    ],
)
def test_a_mechanism_that_cannot_be_tried_is_refused(changes, says):
    with pytest.raises(ValueError, match=says):
        planted(**changes)
    with pytest.raises(ValueError, match="three values or more"):
        Dose("dose", (0.0, 1.0), 1)
    with pytest.raises(ValueError, match="n_seeds must be at least 16"):
        try_mechanism(planted(), 4)


# ------------------------------------------------------------------------------------------------ ours
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.runs_long] * (name in ("eavesdropping", "representation-bias")))
        for name in mechanism_names()
    ],
)
def test_no_mechanism_gets_the_contrary_verdict(name):
    mechanism = find_mechanism(name)
    assert mechanism.name == name and mechanism.claim.endswith(".") and mechanism.says and mechanism.inferred and mechanism.harm
    assert all(f"{{{key}," in mtl.cite(None) for key in mechanism.source)
    fewer = {"eavesdropping": 60, "noise-outputs": 24}.get(name, mechanism.n_seeds // 4)
    trial = try_mechanism(mechanism, fewer, seed=1)
    assert trial.verdict in (mechanism.expected, "undecided")
    check_that_clauses_can_fail(trial)


ALIKE = ("representation-bias", "tide")  # alone both representations are the same to the task, so that no setting of it prefers one


def check_that_clauses_can_fail(trial):
    """None holds by construction: of the draws some differ where all could be equal."""
    here, *others = trial.effects
    at = {kind: [one for one in others if one.kind == kind] for kind in ("dose", "control", "opponent")}
    # a control under which alone and together are one program is an identity; one at least is not
    assert any(one.high > one.low or one.moved != 0 for one in at["control"]), "no control can leak"
    assert any(one.moved != 0 for one in at["control"]), "under every control the mediator is zero by construction"
    assert min(one.mean for one in at["dose"]) < abs(here.mean) / 2, "the effect is there at any dose"
    spread = max(one.mean for one in at["opponent"]) - min(one.mean for one in at["opponent"])
    if trial.name in ALIKE:
        assert all(one.low < here.mean < one.high for one in at["opponent"]) and "its best is one half" in trial.mechanism.inferred
    else:
        assert spread > 0.1 * abs(here.mean), "what the single task may choose changes nothing"
    assert here.mean != here.moved or trial.mechanism.beyond is not None, "the mediator is the effect"


@pytest.mark.runs_long
def test_a_mechanism_is_verified_by_its_name(tmp_path, capsys):
    (trial,) = mtl.verify(["tide"], tmp_path, fast=True, progress=True)
    assert trial.verdict == "confirmed" and trial.as_expected
    said = capsys.readouterr().out
    page, row = (tmp_path / "report.html").read_text(), json.loads((tmp_path / "report.json").read_text())[0]
    assert row == json.loads(json.dumps(trial_as_json(trial)))
    assert [clause["clause"] for clause in row["clauses"]] == list(CLAUSES) and row["hurts"]
    assert row["known"] == ["tide-turns", "no-tide"] and "known of it: tide-turns, no-tide" in said
    assert "<b>Known of it:</b> tide-turns: A task that could use either" in page
    with pytest.raises(ValueError, match="did you mean 'tide-turns'"):
        dataclasses.replace(find_mechanism("tide"), known=("tide-turn",))
    for clause in trial.clauses:
        assert str(clause) in said and clause.state == HOLDS and clause.about.split(" (")[0] in page.replace("&#x27;", "'")
    with pytest.raises(ValueError, match="did you mean 'tide"):
        mtl.verify(["tides"])


# ------------------------------------------------------------------------------------------------ cells against plain NumPy
def orthonormal(rng, n, d):
    return np.linalg.qr(rng.normal(size=(n, d)))[0] * np.sqrt(n)


def test_orthonormal_rows_are_hard_sharing_on_rows():
    """The best direction of rank one by the singular vectors of fitted labels, on explicit rows."""
    rng, n, d, noise = np.random.default_rng(5), 40, 6, 0.8
    cell = OrthonormalRows(float(n), noise, 0.6, 0.7, 1.5, 0.4, n_features=d, n_extra=2)
    thetas = np.zeros((3, d))
    thetas[0, 0], thetas[1:, 0] = 1, 0.7 * 0.6
    thetas[1, 1] = thetas[2, 2] = 0.7 * 0.8
    found = {"risk_single": [], "risk_multi": []}
    for _ in range(3000):
        X = orthonormal(rng, n, d)
        errors = np.sqrt(0.4) * rng.normal(size=n) + np.sqrt(0.6) * rng.normal(size=(3, n))
        Y = X @ thetas.T + (noise * np.array([1, 1.5, 1.5])[:, None] * errors).T
        W = np.linalg.lstsq(X, Y, rcond=None)[0]
        top = np.linalg.svd(X @ W, full_matrices=False)[2][0]
        found["risk_single"].append(np.sum((W[:, 0] - thetas[0]) ** 2))
        found["risk_multi"].append(np.sum((W @ top * top[0] - thetas[0]) ** 2))
    drawn = draws(cell, 3000)
    for name, wanted in found.items():
        error = np.std(wanted) / np.sqrt(len(wanted))
        assert abs(z_score(drawn[name], np.mean(wanted), error)) < Z_LIMIT
        assert abs(z_score(drawn[name], 1.1 * np.mean(wanted), error)) > Z_LIMIT
    np.testing.assert_allclose(drawn["gain"], drawn["direction"] + drawn["scale"], atol=1e-12)
    copies = draws(OrthonormalRows(5.0, cosine=1.0, correlation=1.0, n_extra=3), 20)
    np.testing.assert_allclose(copies["gain"], 0, atol=1e-12)


def test_scores_areas_and_the_highest_are_those_of_pairs():
    rng = np.random.default_rng(6)
    scores, used = rng.normal(size=30), np.arange(30) < 4
    wanted = np.mean(scores[:4, None] > scores[None, 4:])
    np.testing.assert_allclose(area(jnp.asarray(scores), jnp.asarray(used)), wanted)
    kept = np.asarray(highest(jnp.asarray(scores), 3))
    assert kept.sum() == 3 and scores[kept].min() > scores[~kept].max() and not np.asarray(highest(jnp.asarray(scores), 0)).any()


def test_screening_on_drawn_sums_is_screening_on_rows():
    rng, n, used, d, tasks, noise = np.random.default_rng(7), 12, 3, 10, 4, 1.5
    S = 12_000
    X = rng.normal(size=(S, n, d))
    y = X[..., :used].sum(2) / np.sqrt(used) + noise * rng.normal(size=(S, tasks, n)).mean(1)
    scores = abs(np.einsum("snd,sn->sd", X, y))
    areas = np.mean(scores[:, :used, None] > scores[:, None, used:], (1, 2))
    drawn = draws(MarginalScreening(float(n), noise, float(tasks), d, used), S)["area"]
    assert abs(z_score(drawn, areas.mean(), areas.std() / S**0.5)) < Z_LIMIT
    assert abs(z_score(drawn, areas.mean() + 0.02, areas.std() / S**0.5)) > Z_LIMIT  # some nine standard errors


@pytest.mark.parametrize(("n", "d", "tasks"), [(30, 8, 3), (9, 12, 2), (15, 6, 1)])
def test_the_group_lasso_is_that_of_proximal_steps_on_rows(n, d, tasks):
    """Accelerated proximal gradient steps in NumPy, more rows than inputs and fewer; an input of zeros is never taken."""
    rng = np.random.default_rng(16)
    X = rng.normal(size=(n, d))
    X[:, 3] = 0
    Y = X[:, :2] @ rng.normal(size=(2, tasks)) + rng.normal(size=(n, tasks))
    moments = mtl.Moments(*(jnp.asarray(part) for part in (X.T @ X, Y.T @ X, (Y**2).sum(0), np.full(tasks, float(n)))))
    shares = np.array([1.0, 0.6, 0.3, 0.1])
    path = group_lasso(moments, jnp.asarray(shares))
    assert bool(path.settled) and (np.asarray(path.gaps) >= -1e-12).all()
    most, step = np.linalg.norm(X.T @ Y, axis=1).max(), 1 / np.linalg.norm(X, 2) ** 2
    objective = lambda B, strength: np.sum((Y - X @ B) ** 2) / 2 + strength * np.linalg.norm(B, axis=1).sum()
    for share, found in zip(shares, np.asarray(path.parameters), strict=True):
        B, ahead, momentum = np.zeros((d, tasks)), np.zeros((d, tasks)), 1.0
        for _ in range(3000):
            moved = ahead - step * X.T @ (X @ ahead - Y)
            sizes = np.linalg.norm(moved, axis=1, keepdims=True)
            after = np.where(sizes > 0, np.maximum(1 - step * share * most / np.where(sizes > 0, sizes, 1), 0), 0) * moved
            faster = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
            ahead, B, momentum = after + (momentum - 1) / faster * (after - B), after, faster
        energy = np.sum(Y**2)
        assert objective(found.T, share * most) <= objective(B, share * most) + TOLERANCE * energy
        np.testing.assert_allclose(X @ found.T, X @ B, atol=3 * np.sqrt(TOLERANCE * energy))
    assert (np.asarray(path.parameters)[0] == 0).all() and int(path.entered()[3]) == 4
    with pytest.raises(ValueError, match="of K tasks on common rows"):
        group_lasso(mtl.Moments(jnp.ones((2, d, d)), moments.cross, moments.energy, moments.n_samples), jnp.asarray(shares))


def test_on_orthonormal_rows_the_group_lasso_takes_inputs_by_their_length():
    rng = np.random.default_rng(17)
    W = rng.normal(size=(3, 12))
    moments = mtl.Moments(*(jnp.asarray(part) for part in (5 * np.eye(12), 5 * W, 5 * (W**2).sum(1), np.full(3, 5.0))))
    scores = np.asarray(order(group_lasso(moments, jnp.asarray(SHARES)), moments.gram, moments.cross))
    assert np.argsort(scores).tolist() == np.argsort(np.linalg.norm(W, axis=0)).tolist()
    np.testing.assert_allclose(joint_area(6.0, 1), selection_area(np.sqrt(6.0)), rtol=1e-12)  # one task: the same law
    unused, used = rng.chisquare(4, 200_000), rng.noncentral_chisquare(4, 6.0, 200_000)
    assert abs(float(joint_area(6.0, 4)) - np.mean(used > unused)) < 0.004 and abs(float(joint_area(0.0, 4)) - 0.5) < 1e-12


def test_supports_are_found_and_refitted_as_on_rows():
    """Risks on both supports and the area of scores, of one drawn set of rows, in NumPy; less rows than inputs too."""
    cell = GroupSelection(14.0, 2.0, 0.3, 10, 3, 3, 16)
    for seed in range(3):
        key = jax.random.fold_in(KEY, seed)
        parameters, X, Y = (np.asarray(part) for part in cell.draw(key=key))
        assert (X[14:] == 0).all() and (Y[:, 2] == 0).all() and np.count_nonzero(parameters[0]) == 3
        found = {name: float(value) for name, value in cell(key=key).items()}
        screened = np.linalg.norm(X.T @ Y, axis=1)
        np.testing.assert_allclose(found["area_screened"], np.mean(screened[:3, None] > screened[None, 3:]))
        risks = {}
        for kept in itertools.combinations(range(10), 3):
            fit = np.zeros(10)
            fit[list(kept)] = np.linalg.lstsq(X[:14, list(kept)], Y[:14, 0], rcond=None)[0]
            risks[kept] = np.sum((fit - parameters[0]) ** 2)
        np.testing.assert_allclose(found["risk_known"], risks[0, 1, 2], rtol=1e-9)
        for name in ("risk_single", "risk_multi"):
            assert np.isclose(found[name], list(risks.values()), rtol=1e-9).any()


def test_attributes_are_selected_as_on_estimates():
    rng, d, used, n, noise = np.random.default_rng(8), 20, 3, 8, 1.0
    theta = (np.arange(d) < used) / np.sqrt(used)
    alone, together = [], []
    for _ in range(2000):
        W = theta + noise / np.sqrt(n) * rng.normal(size=(4, d))
        left = np.linalg.svd(W, full_matrices=False)[0]
        shared = left[0, 0] * (left[:, 0] @ W)
        for estimate, kept, out in ((W[0], 5, alone), (shared, used, together)):
            limit = np.sort(abs(estimate))[-kept]
            out.append(np.sum((np.where(abs(estimate) >= limit, estimate, 0) - theta) ** 2))
    drawn = draws(AttributeSelection(float(n), noise, keep=5.0, n_features=d, n_used=used), 2000)
    for name, wanted in (("risk_single", alone), ("risk_multi", together)):
        assert abs(z_score(drawn[name], np.mean(wanted), np.std(wanted) / 2000**0.5)) < Z_LIMIT


@pytest.mark.parametrize("squared", [False, True])
def test_students_by_four_numbers_are_students_on_whole_rows(squared):
    rng, d, rate, n, S = np.random.default_rng(9), 12, 0.3, 80, 4000
    b = rng.normal(size=(S, d))
    b /= np.linalg.norm(b, axis=1, keepdims=True)
    students = np.stack([b, b])
    third = lambda u: (u**3 - 3 * u) / np.sqrt(6)
    for _ in range(n):
        x = rng.normal(size=(S, d))
        u, z = np.einsum("ksd,sd->ks", students, x), x[:, 0]
        slope = (3 * u**2 - 3) / np.sqrt(6)
        pull = (squared * third(u) - third(z)) * slope + np.array([0, 1])[:, None] * (squared * u - z)
        students = students - rate / d * pull[..., None] * (x - u[..., None] * students)
        students /= np.linalg.norm(students, axis=-1, keepdims=True)
    losses = 1 - students[:, :, 0] ** 3
    drawn = draws(HermiteStudents(float(d), rate=rate, capacity=n, squared=squared), S)
    for name, wanted in zip(("loss_single", "loss_multi"), losses, strict=True):
        assert abs(z_score(drawn[name], wanted.mean(), wanted.std() / S**0.5)) < Z_LIMIT, name


@pytest.mark.runs_long
@pytest.mark.parametrize(("degree", "capacity"), [(3, 28_000), (2, 4_400)])
def test_the_wait_grows_as_the_root_of_the_features_for_the_third_degree_alone(degree, capacity):
    """By steps on rows; the lower quarter of starts, for half of all are on the wrong side, where only chance frees the task."""
    few, many, S = 50.0, 400.0, 200
    ones = [HermiteStudents(d, degree=degree, capacity=capacity) for d in (few, many)]
    found = over_instances(lambda one, key: one(key=key), ones, KEY, S, common=True)
    waits = np.array([[draws[name] for name in ("rows_single", "rows_multi")] for draws in found])  # (2, 2, S)
    again = np.random.default_rng(8).integers(0, S, (400, S))
    slope_of = lambda waits: np.diff(np.log(np.quantile(waits, 0.25, axis=-1)), axis=0)[0] / np.log(many / few)
    (single, multi), (error, own) = slope_of(waits), slope_of(waits[..., again]).std(1)
    if degree == 3:
        assert abs(single - 0.5) < Z_LIMIT * error < single  # the root, and neither no growth nor growth with the features
        assert single + Z_LIMIT * error < 1
    else:
        assert single + Z_LIMIT * error < 0.5
    assert multi + Z_LIMIT * own < 0.25, multi
    assert abs(np.mean(found[0]["start"] < 0) - 0.5) < Z_LIMIT * 0.5 / S**0.5
    assert np.quantile(waits[1, 0], 0.25) < 0.9 * capacity / many


def test_hermite_polynomials_are_orthonormal():
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    weights = weights / weights.sum()
    values = [np.asarray(hermite(jnp.asarray(nodes), p)[0]) for p in range(5)]
    np.testing.assert_allclose([[np.sum(weights * a * b) for a in values] for b in values], np.eye(5), atol=1e-10)
    np.testing.assert_allclose(hermite(jnp.asarray(nodes), 3)[1], (3 * nodes**2 - 3) / np.sqrt(6), atol=1e-12)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_waiting_times_are_integrals(degree):
    wanted = integrate.quad(lambda m: 1 / ((1 - m**2) * degree * m ** (degree - 1)), 0.07, 0.6)[0]
    np.testing.assert_allclose(waiting_time(0.07, 0.6, degree), wanted, rtol=1e-9)
    np.testing.assert_allclose(overlap_flow(0.07, 0.0, 1.0, wanted, degree)[-1], 0.6, rtol=1e-7)
    with pytest.raises(ValueError, match="degree must be 1, 2 or 3"):
        waiting_time(0.1, 0.5, 4)


def test_the_wait_from_a_random_start_grows_as_a_power_of_the_features():
    """Its slope for the third degree, of starts that are vectors in NumPy, and a tenth off on either side."""
    rng, wanted, g = np.random.default_rng(20), [], np.abs(np.random.default_rng(21).normal(size=4000))
    for d in (400, 1600):
        start = g / np.sqrt(g**2 + np.concatenate([np.sum(rng.normal(size=(500, d - 1)) ** 2, 1) for _ in range(8)]))
        wanted.append((1 / start - 2 + np.arctanh(0.5) - np.arctanh(start)) / 3)
    slopes = np.log(wanted[1] / wanted[0]) / np.log(4)
    (found,) = over_instances(waiting_slope.measure, [waiting_slope.Growth(400.0)], KEY, 4000)
    error = slopes.std() / 4000**0.5
    assert abs(z_score(found["slope"], slopes.mean(), error)) < Z_LIMIT and abs(slopes.mean() - 0.5) < 0.06
    assert min(abs(z_score(found["slope"], share * slopes.mean(), error)) for share in (0.95, 1.05)) > Z_LIMIT


def test_how_much_of_a_wait_an_easy_task_leaves():
    """By quadrature, at dose / d with d = 1 / m_0^2: pi / 4 at a dose of three, one half at sixteen, of any number of features."""
    wait = lambda start, beside: integrate.quad(lambda m: 1 / ((1 - m**2) * (beside + 3 * m**2)), start, 0.5, points=[2 * start])[0]
    for d in (1e4, 1e6):
        for dose, known in ((3.0, np.pi / 4), (16.2, 0.5)):
            left = wait(d**-0.5, dose / d) / wait(d**-0.5, 0)
            assert abs(left - known) < 1.5 * d**-0.5, (d, dose, left)
    case = easy_dose.Beside(4000.0, 5.0)
    start = waiting_slope.uniform_start(case.n_features, KEY)
    wanted = wait(float(start), 5 / 4000) / wait(float(start), 0)
    np.testing.assert_allclose(easy_dose.measure(case, KEY)["wait_left"], wanted, rtol=1e-6)
    assert abs(float(easy_dose.predict(case, KEY)["wait_left"]) / wanted - 1) < 1.5 * 4000**-0.5


def test_a_flow_is_of_fourth_order():
    errors = [abs(float(follow(lambda x: -x, jnp.ones(()), 2.0, n)[0]) - np.exp(-2)) for n in (10, 20)]
    assert 12 < errors[0] / errors[1] < 20


def test_the_noisier_task_gains_the_larger_share():
    """Gains on explicit orthonormal rows, in NumPy; the order turns where the noisier is of another function and weighs little."""
    rng, n, d, noise, harder = np.random.default_rng(18), 60, 8, 0.5, 2.5
    for cosine, weight, sign in ((1.0, 3.0, 1), (0.4, 0.1, -1)):
        theta = np.zeros((2, d))
        theta[0, 0], theta[1, :2] = 1, (cosine, np.sqrt(1 - cosine**2))
        spread = noise * np.array([1, harder])
        gains = []
        for _ in range(1500):
            X = orthonormal(rng, n, d)
            Y = X @ theta.T + spread * rng.normal(size=(n, 2))
            W = np.linalg.lstsq(X, Y, rcond=None)[0]
            top = np.linalg.svd(X @ W * np.sqrt([1, weight]), full_matrices=False)
            shared = np.linalg.lstsq(X, top[0][:, 0], rcond=None)[0]
            heads = (X @ shared) @ Y / np.sum((X @ shared) ** 2)
            risks = [np.sum((one - theta.T) ** 2, 0) for one in (W, np.outer(shared, heads))]
            gains.append((risks[0] - risks[1]) * n / d / spread**2)
        case = TwoNoises(float(n), noise, harder, weight, cosine, d)
        (drawn,) = over_instances(lambda one, key: dict(zip("eh", relative_gains(one, key), strict=True)), [case], KEY, 1500)
        for name, wanted in zip("eh", np.transpose(gains), strict=True):
            assert abs(z_score(drawn[name], wanted.mean(), wanted.std() / 1500**0.5)) < Z_LIMIT, name
            assert abs(z_score(drawn[name], wanted.mean() + 0.4, wanted.std() / 1500**0.5)) > Z_LIMIT, name
        assert sign * z_score(drawn["h"] - drawn["e"], 0.0) > Z_LIMIT


def test_a_shared_layer_keeps_the_best_fit_of_its_rank():
    """The total risk at some widths against the best fit of that rank to labels on explicit rows, in NumPy."""
    rng, found = np.random.default_rng(19), []
    theta = np.eye(30, 8) * KINDS["decaying"]
    for _ in range(300):
        X = orthonormal(rng, 60, 30)
        W = np.linalg.lstsq(X, X @ theta + rng.normal(size=(60, 8)), rcond=None)[0]
        left, values, right = np.linalg.svd(X @ W, full_matrices=False)
        fits = [np.linalg.lstsq(X, left[:, :r] * values[:r] @ right[:r], rcond=None)[0] for r in (1, 4, 8)]
        found.append([np.sum((fit - theta) ** 2) for fit in fits])
    for width, wanted in zip((1.0, 4.0, 8.0), np.transpose(found), strict=True):
        drawn = draws(ModesKept(width), 1000)
        assert abs(z_score(drawn["risk"], wanted.mean(), wanted.std() / 300**0.5)) < Z_LIMIT
        assert abs(z_score(drawn["risk"], 1.1 * wanted.mean(), wanted.std() / 300**0.5)) > Z_LIMIT
        assert drawn["risk"].mean() > 0.97 * expected_risk(width, KINDS["decaying"])


def test_a_second_label_on_drawn_sums_is_one_on_rows():
    rng, n, d, rho, cosine, S = np.random.default_rng(10), 16, 4, 0.5, 0.9, 3000
    theta, phi = np.eye(d)[0], cosine * np.eye(d)[0] + np.sqrt(1 - cosine**2) * np.eye(d)[1]
    errors = []
    for _ in range(S):
        X, e = rng.normal(size=(n, d)), rng.normal(size=n)
        h = rho * e + np.sqrt(1 - rho**2) * rng.normal(size=n)
        y, z = X @ theta + e, X @ phi + h
        plain = np.linalg.lstsq(X, y, rcond=None)[0]
        *both, of_z = np.linalg.lstsq(np.c_[X, z], y, rcond=None)[0]
        W = np.linalg.lstsq(X, np.c_[y, z], rcond=None)[0]
        top = np.linalg.svd(X @ W, full_matrices=False)[2][0]
        as_input = np.sum((theta - both - of_z * phi) ** 2) + 1 - 2 * of_z * rho + of_z**2
        errors.append((1 + np.sum((plain - theta) ** 2), as_input, 1 + np.sum((W @ top * top[0] - theta) ** 2)))
    drawn = draws(ExtraLabel(float(n), rho, cosine, 1.0, d), S)
    for name, wanted in zip(("error_plain", "error_input", "error_output"), np.transpose(errors), strict=True):
        assert abs(z_score(drawn[name], wanted.mean(), wanted.std() / S**0.5)) < Z_LIMIT, name
    for rows, known in ((40, 0.330), (200, 0.156)):

        def gap(rho, rows=rows):
            errors = expected_errors(rows, 10, rho)
            return float(errors["error_input"] - errors["error_output"])

        np.testing.assert_allclose(boundary(rows, 10), optimize.brentq(gap, 0, 1), rtol=1e-9)
        assert abs(float(boundary(rows, 10)) - known) < 1e-3


def test_a_pair_of_functions_is_learned_as_by_adam_in_numpy():
    """Gradients by hand, all three ways, from the same rows and start, stopped and judged on the same further rows."""
    cell = FunctionPair(0.5, 0.3, 0.7, n_samples=12, n_units=3, n_steps=60)
    key = jax.random.fold_in(KEY, 0)
    learned, stopping, judged = ([np.asarray(part) for part in cell.draw(stream(key, name), count)] for name, count in (
        ("samples", 12), ("stopping", HELD_OUT), ("held out", HELD_OUT)))  # fmt: skip
    X, y = learned
    assert set(np.unique(X[:, :20])) == {-1, 1} and (X[:, 20] == 1).all()
    place = lambda bits: 10 * ((bits > 0) @ 2.0 ** np.arange(10) + 0.5) / 1024 - 5
    squash = lambda z: 1 / (1 + np.exp(-z))
    np.testing.assert_allclose(y[0], squash(place(X[:, :10]) + place(X[:, 10:20])), rtol=1e-12)
    assert 0.1 < np.std(y[1] - squash(place(X[:, :10]) - place(X[:, 10:20]))) < 0.6
    found = {name: float(value) for name, value in cell(key=key).items()}
    for name, as_input, weight in (("plain", 0, 0), ("input", 1, 0), ("output", 0, 0.7)):
        params = [np.asarray(part) for part in cell.begin(stream(key, "start"))]
        first, second, errors = [0 * part for part in params], [0 * part for part in params], []
        run = lambda X, y, params, used: squash(squash(np.c_[X, used * y[1]] @ params[0]) @ params[1].T + params[2])
        for t in range(1, 61):
            inputs = np.c_[X, as_input * y[1]]
            units = squash(inputs @ params[0])
            out = squash(units @ params[1].T + params[2])
            back = 2 / 12 * np.array([1, weight]) * (out - y.T) * out * (1 - out)
            slopes = [inputs.T @ (back @ params[1] * units * (1 - units)), back.T @ units, back.sum(0)]
            first = [0.9 * m + 0.1 * g for m, g in zip(first, slopes, strict=True)]
            second = [0.999 * v + 0.001 * g**2 for v, g in zip(second, slopes, strict=True)]
            move = lambda m, v, t=t: 0.02 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
            params = [p - move(m, v) for p, m, v in zip(params, first, second, strict=True)]
            if t % 20 == 0:
                errors.append([np.mean((run(*rows, params, as_input)[:, 0] - rows[1][0]) ** 2) for rows in (stopping, judged)])
        best = np.argmin(np.array(errors)[:, 0])
        np.testing.assert_allclose(found[f"error_{name}"], np.sqrt(errors[best][1]), rtol=1e-6)


def test_aspects_on_drawn_sums_are_aspects_on_rows():
    rng, n, d, tasks, noise, rho, S = np.random.default_rng(14), 12, 3, 3, 0.7, 0.4, 3000
    risks = []
    for _ in range(S):
        X, trait = rng.normal(size=(n, d)), rng.normal(size=n)
        labels = noise * (np.sqrt(rho) * trait + np.sqrt(1 - rho) * rng.normal(size=(tasks, n)))
        many, error = rng.normal(size=(tasks * n, d)), noise * rng.normal(size=tasks * n)
        fits = [np.linalg.lstsq(X, labels[0], rcond=None), np.linalg.lstsq(np.tile(X, (tasks, 1)), labels.ravel(), rcond=None)]
        risks.append([np.sum(fit[0] ** 2) for fit in (*fits, np.linalg.lstsq(many, error, rcond=None))])
    drawn = draws(Aspects(float(n), noise, rho, d, tasks), S)
    for name, wanted in zip(("risk_single", "risk_multi", "risk_different"), np.transpose(risks), strict=True):
        assert abs(z_score(drawn[name], wanted.mean(), wanted.std() / S**0.5)) < Z_LIMIT, name
        assert abs(z_score(drawn[name], 1.15 * wanted.mean(), wanted.std() / S**0.5)) > Z_LIMIT, name


@pytest.mark.parametrize("n", [8, 30])
def test_aspects_on_few_rows_are_least_squares_of_minimum_norm(n):
    """On explicit rows in NumPy, and by the known expectations, fewer rows of a task than features and more."""
    rng, d, S, rho = np.random.default_rng(22), few_rows.FEATURES, 1500, 0.5
    truth, found = np.eye(d)[0], []
    for _ in range(S // 3):
        X, trait = rng.normal(size=(4 * n, d)), rng.normal(size=n)
        labels = np.sqrt(rho) * trait + np.sqrt(1 - rho) * rng.normal(size=(4, n))
        fits = np.linalg.pinv(X[:n]) @ (X[:n] @ truth + labels.mean(0)), np.linalg.pinv(X) @ (X @ truth + rng.normal(size=4 * n))
        found.append([np.sum((fit - truth) ** 2) for fit in fits])
    drawn = draws(few_rows.FewRows(float(n), rho), S)
    worth = (1 + 3 * rho) / 4
    for name, wanted, rows, noise in zip(
        ("risk_multi", "risk_different"), np.transpose(found), (n, 4 * n), (worth, 1), strict=True
    ):
        assert abs(z_score(drawn[name], wanted.mean(), wanted.std() / len(wanted) ** 0.5)) < Z_LIMIT, name
        bias, variance = few_rows.expected_parts(rows)
        assert abs(z_score(drawn[name], bias + noise * variance)) < Z_LIMIT
        assert abs(z_score(drawn[name], 1.15 * (bias + noise * variance))) > Z_LIMIT
    turn, (bias, variance), (bias_all, variance_all) = few_rows.turning_correlation(n), *map(few_rows.expected_parts, (n, 4 * n))
    np.testing.assert_allclose(bias + (1 + 3 * turn) / 4 * variance, bias_all + variance_all, rtol=1e-12)


def test_extra_outputs_are_steps_on_rows():
    """Full gradient steps on explicit rows, in NumPy, with rows and a start of its own; risks by the arc-cosine kernel."""
    rng, n, r, cosine, steps, S = np.random.default_rng(15), 7, 2, 0.6, 60, 4000
    cell = ExtraOutputs(0.8, 2.0, cosine, 1.0, n_units=r, n_samples=n, n_features=4, n_extra=3, n_steps=steps)
    thetas = np.zeros((4, 4))
    thetas[0, 0], thetas[1:, 0], thetas[1:, 1:] = 1, cosine, 0.8 * np.eye(3)
    X = rng.normal(size=(S, n, 4))
    y = np.maximum(X @ thetas.T, 0) + 0.8 * rng.normal(size=(S, n, 4))
    B, A = START * rng.normal(size=(S, 4, r)) / 2, START * rng.normal(size=(S, 4, r)) / np.sqrt(r)
    found = {}
    for name, used in (("single", [1, 0, 0, 0]), ("multi", [1, 1, 1, 0])):
        layer, heads, risks = B, A, []
        for step in range(1, steps + 1):
            units = np.maximum(X @ layer, 0)
            slope = 2 / n * (units @ heads.transpose(0, 2, 1) - y) * used
            back = (slope @ heads) * (units > 0)
            layer, heads = layer - RATE * X.transpose(0, 2, 1) @ back, heads - RATE * slope.transpose(0, 2, 1) @ units
            if step % EVERY == 0:
                both = np.concatenate([layer, np.broadcast_to(thetas[0][:, None], (S, 4, 1))], 2)
                lengths = np.linalg.norm(both, axis=1)
                angle = np.arccos(np.clip(np.einsum("sda,sdb->sab", both, both) / lengths[:, :, None] / lengths[:, None], -1, 1))
                kernel = lengths[:, :, None] * lengths[:, None] * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / 2 / np.pi
                signed = np.concatenate([heads[:, 0], -np.ones((S, 1))], 1)
                risks.append(np.einsum("sa,sab,sb->s", signed, kernel, signed))
        loss = np.mean((np.maximum(X @ layer, 0) @ heads[:, 0, :, None] - y[..., :1]) ** 2, (1, 2))
        found |= {f"end_{name}": risks[-1], f"best_{name}": np.min(risks, 0), f"trained_{name}": loss}
    drawn = draws(cell, S)
    for name, wanted in found.items():
        assert abs(z_score(drawn[name], wanted.mean(), wanted.std() / S**0.5)) < Z_LIMIT, name
        # an error of so many standard errors of both that it is missed once in 30 000 times is under a fifth
        sized = 2 * Z_LIMIT * np.hypot(drawn[name].std(), wanted.std()) / S**0.5
        assert sized < 0.2 * abs(wanted.mean()), name
    np.testing.assert_allclose(drawn["gain"], drawn["gap_single"] - drawn["gap_multi"], atol=1e-12)
    assert (draws(ExtraOutputs(outputs=0.0, n_steps=EVERY), 3)["gain"] == 0).all()


def test_risks_at_a_training_loss_lie_between_records():
    losses, risks = np.array([4.0, 2.0, 2.0, 1.0]), np.array([1.0, 3.0, 9.0, 5.0])
    for level, wanted in ((5.0, 1.0), (3.0, 2.0), (2.0, 3.0), (1.5, 7.0), (1.0, 5.0)):
        assert float(risk_at(jnp.asarray(level), jnp.asarray(losses), jnp.asarray(risks))) == wanted


@pytest.mark.runs_long
def test_a_representation_is_learned_as_by_small_steps():
    """Euler steps in NumPy: either sign at first, all weights positive, labels of the second task that say nothing of x, and a
    feature B that is twice as large."""
    rng, S, start = np.random.default_rng(11), 700, 0.1
    u, v = start * rng.normal(size=(4, S, 2, 3)), start * rng.normal(size=(4, S, 3))
    u[1], v[1] = abs(u[1]), abs(v[1])
    labels, sizes = np.ones((4, 1, 2, 1)), np.ones((4, 1, 1, 3))
    labels[2, :, 1], sizes[3, ..., 1] = 0, 2
    used = np.array([[1, 1, 0], [1, 0, 1.0]])
    leads = []
    for step in range(3000):
        product = sizes * u * v[..., None, :]
        error = sizes * (used * ((used * product).sum(-1, keepdims=True) - labels) + (1 - used) * product)
        u, v = u - 0.01 * error * v[..., None, :], v - 0.01 * (error * u).sum(-2)
        if step == 114:  # after ln(10) / 2
            leads = np.log(abs(v[..., 0] / v[..., 1]))
    product = abs(sizes * u * v[..., None, :])
    first, second = product[..., 0, 0] > product[..., 0, 1], product[..., 1, 0] > product[..., 1, 2]
    kinds = [{}, {"positive": 1.0}, {"related": 0.0}, {"preference": 2.0}, {"private": 1.0}]
    *found, apart = over_instances(lambda one, key: one(key=key), [DiagonalNetwork(start, **kind) for kind in kinds], KEY, 700)
    for i, drawn in enumerate(found):
        for name, wanted in (("first_multi", first[i]), *([("both_multi", (first & second)[i])] if i != 2 else [])):
            assert abs(z_score(drawn[name], wanted.mean(), wanted.std() / S**0.5)) < Z_LIMIT, (i, name)
        assert (drawn["status"] == 0).all()
        if i == 1:  # alone A leads B by nothing on average
            assert abs(z_score(drawn["grown"], leads[i].mean(), leads[i].std() / S**0.5)) < Z_LIMIT and drawn["grown"].mean() > 0.2
    assert abs(z_score(apart["both_multi"], 0.25)) < Z_LIMIT and (apart["gain"] == 0).all() and (apart["grown"] == 0).all()


@pytest.mark.runs_long
def test_the_tide_is_that_of_small_steps():
    rng, S, tilt = np.random.default_rng(12), 2000, 0.1
    z, a = 0.5 * rng.normal(size=(S, 2)), np.exp(-3)
    for _ in range(5000):
        pull = (1 - a * np.exp(z).sum(1, keepdims=True)) * a * np.exp(z)
        pull[:, 0] -= 0.4 / 3 * z[:, 0] * ((z[:, 0] / 3) ** 2 - 1) + tilt
        z = z + 0.05 * pull
    drawn = draws(TwoGates(tilt), 2000)
    for name, wanted in (("first_multi", z[:, 0] > 0), ("second_multi", z[:, 0] <= z[:, 1])):
        assert abs(z_score(drawn[name], wanted.mean(), wanted.std() / S**0.5)) < Z_LIMIT
    assert float(turning_point(pull_at_start(3.0), 0.1, 3.0)) == 0
    assert 0.12 < half_open(0.1, 3.0) < 0.13  # from where on the second task, too, at A, opens C more
    for tilt, low, high in ((0.12, 0.9, 1.0), (0.13, 0.1, 0.4)):
        drawn = draws(TwoGates(tilt), 2000)
        assert low <= 1 - drawn["second_multi"][drawn["first_multi"] == 1].mean() <= high


def test_stops_are_the_best_ones():
    """By a scan over times of the expected risk; the worked numbers of noises one and three, 40 rows of 20 features."""
    cell = StoppedFlow()
    own, common, _ = cell.times()
    V = np.asarray(cell.variances())
    times = np.linspace(0.01, 3, 30_000)
    risks = np.exp(-2 * times) + (1 - np.exp(-times)) ** 2 * V[:, None]
    np.testing.assert_allclose(own, times[risks.argmin(1)], atol=2e-4)
    np.testing.assert_allclose(common, times[risks.sum(0).argmin()], atol=2e-4)
    np.testing.assert_allclose([risks.min(1).sum(), risks.sum(0).min()], [1.1515, 1.4286], atol=1e-4)
    for exponent, ratio in ((-3.0, 30.0), (2.0, 30.0), (-2.0, 1e4)):  # rates apart, whose sum has two valleys, and far apart
        apart = StoppedFlow(noise=0.1, second_noise=0.1 * ratio, rate_exponent=exponent)
        own, common, rates = (np.asarray(part) for part in apart.times())
        times = np.geomspace(own.min() * 0.5, own.max() * 2, 200_001)
        left, V = np.exp(-rates[:, None] * times), np.asarray(apart.variances())
        risks = (left**2 + (1 - left) ** 2 * V[:, None]).sum(0)
        left = np.exp(-rates * common)
        assert (left**2 + (1 - left) ** 2 * V).sum() <= risks.min() * (1 + 1e-9)
    matched = StoppedFlow(rate_exponent=1.0)
    np.testing.assert_allclose(draws(matched, 20)["cost"], 0, atol=1e-9)  # both are best at the same time


def test_rates_on_a_shared_direction_are_those_of_small_steps():
    """Euler steps in NumPy from the same kind of start; matched rates cost nothing where nothing is shared."""
    rng, S, hard = np.random.default_rng(20), 600, 3.0
    stops = -np.log1p(-1 / (1 + 20 / 40 * np.array([1, hard]) ** 2))
    theta = np.eye(1, 20)[0]
    seen = theta + np.array([1, hard])[:, None] / np.sqrt(40) * rng.normal(size=(S, 2, 20))
    B, a = 0.1 * rng.normal(size=(S, 20)) / np.sqrt(20), 0.1 * np.ones((S, 2))
    risks = []
    for t in range(3000):
        errors = (stops / stops[0])[:, None] * (seen - a[..., None] * B[:, None])
        B, a = B + 0.01 * np.einsum("sk,skd->sd", a, errors), a + 0.01 * np.einsum("skd,sd->sk", errors, B)
        if t % 5 == 4:
            risks.append(np.sum((a[..., None] * B[:, None] - theta) ** 2, -1))
    risks = np.array(risks)
    together = risks.sum(2).min(0)
    drawn = draws(CommonStop(1.0, hard), 300)
    for name, wanted in (("risk", together), ("cost", together - risks.min(0).sum(1))):
        assert abs(z_score(drawn[name], wanted.mean(), wanted.std() / S**0.5)) < Z_LIMIT, name
        assert abs(z_score(drawn[name], 1.5 * wanted.mean(), wanted.std() / S**0.5)) > Z_LIMIT, name
    assert abs(drawn["cost_apart"]).max() < 1e-9 and drawn["gain"].mean() > 0


def test_peaks_are_what_they_say():
    """Labels from the codes, rank correlations by SciPy, labels that are dealt keep their values, and the pattern of two nets."""
    from scipy.stats import spearmanr

    key = jax.random.fold_in(KEY, 1)
    X, y = (np.asarray(part) for part in PeaksNet(n_rows=60).draw(key))
    values = ((X[:, :30].reshape(60, 6, 5) > 0) @ 2.0 ** np.arange(5) + 0.5) / 32
    for (i, j, k), label in zip(TASKS, y.T, strict=True):
        np.testing.assert_array_equal(label, np.where(values[:, i] > 0.5, values[:, j], values[:, k]))
    dealt = np.asarray(PeaksNet(1.0, n_rows=60).draw(key)[1])
    assert (np.sort(dealt, 0) == np.sort(y, 0)).all() and (dealt != y).any(0).all()
    sensitivities = np.random.default_rng(21).normal(size=(4, 9))
    np.testing.assert_allclose(rank_correlations(jnp.asarray(sensitivities)), spearmanr(sensitivities.T).statistic, atol=1e-12)
    pairs = list(itertools.combinations(TASKS.tolist(), 2))
    common = [len({*one} & {*other}) for one, other in pairs]
    assert [int(PAIRS[f"common_{count}"].sum()) for count in range(4)] == [common.count(count) for count in range(4)]
    same = [one[0] == other[0] for (one, other), count in zip(pairs, common, strict=True) if count == 1]
    assert (PAIRS["same_if"].sum(), PAIRS["other_if"].sum()) == (same.count(True), same.count(False))
    true, control = (draws(PeaksNet(shuffled, 300), 6) for shuffled in (0.0, 1.0))
    assert true["rise"].mean() > 0.1 and abs(control["rise"].mean()) < 0.1 and true["loss"].mean() < control["loss"].mean()


BAD = [
    (OrthonormalRows, {"n_samples": 0.0}, "n_samples must be a number > 0"),
    (OrthonormalRows, {"cosine": 1.5}, "cosine must be from -1 to 1"),
    (OrthonormalRows, {"n_extra": 20}, "n_features must be a whole number > n_extra"),
    (OrthonormalRows, {"noise": float("nan")}, "noise must be a number >= 0"),
    (AttributeSelection, {"keep": 500.0}, "keep must be from 0 to n_features"),
    (HermiteStudents, {"degree": 1}, "degree must be a whole number >= 2"),
    (HermiteStudents, {"n_features": float("inf")}, "n_features must be at least 3"),
    (HermiteStudents, {"related": 0.5}, "related must be 0 or 1"),
    (DiagonalNetwork, {"start": 0.0}, "start must be a number > 0"),
    (DiagonalNetwork, {"related": 0.5}, "related must be 0 or 1, but is 0.5; use 1.0"),
    (TwoGates, {"well": -1.0}, "well must be a number > 0"),
    (ExtraLabel, {"n_samples": 11.0}, "n_samples must be at least 13"),
    (MarginalScreening, {"n_samples": 2.0}, "n_samples must be at least 6"),
    (Aspects, {"n_samples": 11.0}, "n_samples must be at least 12"),
    (ExtraOutputs, {"outputs": 5.0}, "outputs must be from 0 to n_extra"),
    (ExtraOutputs, {"extra_noise": -1.0}, "extra_noise must be a number >= 0"),
    (ExtraOutputs, {"n_steps": 30}, "n_steps must be a multiple of 20"),
    (GroupSelection, {"n_samples": 200.0}, "n_samples must be from 7 to capacity"),
    (FunctionPair, {"start": 0.0}, "start must be a number > 0"),
    (StoppedFlow, {"second_noise": 0.0}, "second_noise must be a number > 0"),
]


@pytest.mark.parametrize(("kind", "fields", "says"), BAD)
def test_bad_input_is_refused_in_a_sentence(kind, fields, says):
    with pytest.raises(ValueError, match=says):
        kind(**fields)


def test_a_mechanism_of_ones_own_is_verified(tmp_path, monkeypatch):
    from mtlsim.commands._templates import written
    from mtlsim.core.registry import forget
    from mtlsim.verification.conformance import check_file

    name, text = written("mechanism", "own-mechanism")
    (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    try:
        assert check_file(name) == []
        (trial,) = mtl.verify([name], fast=True)
        assert trial.name == "own-mechanism" and trial.verdict in ("confirmed", "undecided")
        mtl.use(name)
        assert "own-mechanism" in mechanism_names()
    finally:
        forget()


def test_ties_and_what_does_not_end_are_no_numbers():
    tie = draws(OrthonormalRows(noise=0.0), 3)
    assert np.isnan(tie["gain"]).all() and (tie["status"] == mtl.Status.degenerate).all()
    for cell in (DiagonalNetwork(100.0), TwoGates(width=700.0)):  # steps that blow up, and a gate that never opens
        found = draws(cell, 3)
        assert np.isnan(found["gain"]).all() and (found["status"] == mtl.Status.not_converged).all()


class Tainted(Planted):
    """The planted cell, all of whose numbers are fine and whose status is not."""

    code: Array | int = mtl.Status.heavy_tailed.value

    def __call__(self, *, key):
        return super().__call__(key=key) | {"status": jnp.asarray(self.code, jnp.int32)}


def test_a_status_keeps_a_clause_open():
    sound = try_mechanism(planted(Tainted(code=0)))
    assert sound.verdict == "confirmed"
    kinds = [effect.kind for effect in sound.effects]  # of the points in their order, those that are looked at for harm left out
    assert list(dict.fromkeys(kinds)) == ["effect", "dose", "control", "opponent"]
    assert sound.effects[0].mean == sound.clauses[0].number and sound.effects[0].low == sound.clauses[0].low
    assert sound.effects[0].moved == sound.clauses[4].number
    assert len(kinds) == len(list(sound.mechanism.points())) - len(sound.mechanism.harmful_points())
    trial = try_mechanism(planted(Tainted()))
    assert trial.verdict == "undecided" and all(clause.state == OPEN for clause in trial.clauses) and not trial.hurts
    assert trial.n_lost == 2 and "none of 2 points (2 undecided" in trial.harm


def test_a_result_says_what_its_gain_is():
    data = mtl.sweep(TwoGates(), {"tilt": [0.0, 0.1]}, 2, KEY, progress=False)
    assert data.attrs["convention"] == "gain as the cell defines it; positive helps"


def test_a_mechanism_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        planted().name = "other"
    assert untyped(find_mechanism)("tide").name == "tide"


def test_shares_have_no_minus_before_a_zero():
    assert [_percent(share) for share in (-2e-16, -4e-4, 0.1234, -0.02)] == ["0.0", "0.0", "12.3", "-2.0"]
    written = [number_in_words(share, "control") for share in (-2e-16, -4e-4, 0.1234)] + [number_in_words(-4e-4, "effect")]
    assert written == ["0.0%", "0.0%", "12.3%", "-0.0004"]
