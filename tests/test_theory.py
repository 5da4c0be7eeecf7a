"""Statements as objects, the predictor against NumPy, theory on the axes of a sweep, boundaries, counterexamples, reports."""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import close
from matplotlib.colors import to_rgba

import mtlsim as mtl
from mtlsim import theory
from mtlsim.plots import curves, maps, style
from mtlsim.plots.predictions import overlay
from mtlsim.results.grid import as_leaves, at_point
from mtlsim.solvers.expected_risk import single_risk
from mtlsim.sweeps.cheap import cheap_margins, may_hold
from mtlsim.theory.predictor import Matrices, Spectra, diagonalise_pair, predict_each, predict_pooled
from mtlsim.theory.statement import INSIDE, PLACES, quantities
from mtlsim.theory.statements.free_heads import predict_free_heads
from mtlsim.verification.counterexample import Counterexample, load_counterexample, search_counterexample, short_of
from mtlsim.verification.evidence import Evidence
from mtlsim.verification.rules import RULES, judge
from mtlsim.verification.run import examine, verify

RNG = np.random.default_rng(0)
POOLED = theory.find_statement("pooled-least-squares")
SIMPLE = theory.find_statement("orthonormal-weighting")


def by_hand(covariances, parameters, n_samples, noise, weights, ridge):
    """The predictor's equations by plain iteration in NumPy."""
    n_tasks, d = parameters.shape
    amounts = weights * n_samples
    for _ in range(3000):
        inverse = np.linalg.inv(np.einsum("k,kde->de", amounts, covariances) + ridge * np.eye(d))
        amounts = weights * n_samples / (1 + weights * np.einsum("kde,ed->k", covariances, inverse))
    mean = inverse @ np.einsum("k,kde,ke->d", amounts, covariances, parameters)
    seen = [inverse @ covariance for covariance in covariances]
    pairs = np.array([[np.trace(a @ b) for b in seen] for a in seen])
    shift = np.array([(mean - t) @ c @ (mean - t) for t, c in zip(parameters, covariances, strict=True)])
    rho = np.linalg.solve(np.eye(n_tasks) - pairs * amounts**2 / n_samples, noise**2 + shift)
    return rho - noise**2, n_samples * rho / (1 + weights * np.trace(seen, axis1=1, axis2=2)) ** 2


def random_problem(rng, n_tasks, d):
    roots = rng.normal(size=(n_tasks, d, d)) * rng.uniform(0.3, 3, (n_tasks, 1, d))
    sizes = rng.uniform(1.5 * d, 6 * d, n_tasks)
    return [
        jnp.asarray(a)
        for a in (roots @ roots.swapaxes(1, 2) / d, rng.normal(size=(n_tasks, d)), sizes, rng.uniform(0.2, 2, n_tasks))
    ]


@pytest.mark.parametrize(("n_tasks", "ridge"), [(1, 0.0), (2, 0.0), (3, 4.0), (9, 0.0)])
def test_predictor_solves_its_equations(n_tasks, ridge):
    covariances, parameters, n_samples, noise = random_problem(RNG, n_tasks, 12)
    weights = jnp.asarray(RNG.uniform(0.3, 2, n_tasks))
    found = predict_pooled(Matrices(covariances, parameters), n_samples, noise, weights, ridge)
    risk, training = by_hand(*(np.asarray(a) for a in (covariances, parameters, n_samples, noise, weights)), ridge)
    close(found.risk, risk, 2)
    close(found.training, training, 2)
    assert found.margin > 0


def test_several_ways_of_pooling_are_predicted_one_by_one():
    *tasks, noise = random_problem(np.random.default_rng(8), 3, 12)
    ways = np.array([[1.0, 1.0, 1.0], [0.2, 3.0, 1.0], [0.0, 0.0, 1.0]]), np.array([0.0, 4.0, 1.0])
    found = predict_each(Matrices(*tasks[:2]), tasks[2], noise, *(jnp.asarray(a) for a in ways))
    assert len(found) == 3
    for one, weights, ridge in zip(found, *ways, strict=True):
        risk, training = by_hand(*(np.asarray(a) for a in (*tasks, noise)), weights, ridge)
        close(one.risk, risk, 2)
        close(one.training, training, 2)


def test_a_pair_is_diagonal_after_a_congruence():
    covariances, parameters, n_samples, noise = random_problem(RNG, 2, 9)
    weights = jnp.array([0.4, 1.0])
    dense = predict_pooled(Matrices(covariances, parameters), n_samples, noise, weights)
    quick = predict_pooled(diagonalise_pair(covariances, parameters), n_samples, noise, weights)
    close(quick.risk, dense.risk, 3)
    close(quick.training, dense.training, 3)


def test_the_predictor_says_where_its_digits_are_lost():
    """Covariances of one basis: their spectra give the risk at any condition number, and a common rotation must not change it."""
    rng = np.random.default_rng(4)
    parameters, turned = rng.normal(size=(2, 12)), np.linalg.qr(rng.normal(size=(12, 12)))[0]
    numbers = jnp.array([30.0, 40.0]), jnp.ones(2), jnp.array([0.5, 1.0])
    predict, flat = jax.jit(predict_pooled), rng.uniform(0.5, 2, 12)
    believed = {"matrices": set(), "congruence": set()}
    for exponent in (0, 6, 11, 14, 18, 40):
        steep = np.logspace(0, -exponent, 12)
        for place, spectra in {"one": [flat, steep], "both": [steep, flat * steep], "opposite": [steep, steep[::-1]]}.items():
            spectra = np.stack(spectra)
            exact = predict(Spectra(jnp.asarray(spectra), jnp.asarray(parameters), jnp.ones(12)), *numbers)
            matrices = jnp.asarray(np.einsum("ij,kj,lj->kil", turned, spectra, turned))
            rotated = jnp.asarray(parameters @ turned.T)
            forms = {"matrices": Matrices(matrices, rotated), "congruence": diagonalise_pair(matrices, rotated)}
            for form, found in ((name, predict(form, *numbers)) for name, form in forms.items()):
                if found.margin > 0:
                    believed[form].add((place, exponent))
                    np.testing.assert_allclose(found.risk, exact.risk, rtol=1e-3)
    assert {("one", 0), ("both", 6), ("opposite", 6)} <= believed["congruence"] and ("one", 40) in believed["matrices"]
    assert not {("one", 18), ("both", 18), ("opposite", 18)} & believed["congruence"] and ("both", 18) not in believed["matrices"]


def test_gradients_of_the_predictor_are_those_of_finite_differences():
    spectra, parameters = RNG.uniform(0.2, 4, (3, 10)), RNG.normal(size=(3, 10))

    def risk(x):
        form = Spectra(jnp.asarray(spectra) * x[0], jnp.asarray(parameters) * x[1], jnp.ones(10))
        return predict_pooled(form, x[2] * jnp.array([30.0, 20, 25]), x[3] * jnp.ones(3), jnp.stack([x[4], x[5], 1.0]), x[6]).risk[
            2
        ]

    at = np.array([1.1, 0.9, 1.2, 0.7, 0.5, 2.0, 3.0])
    gradient = np.asarray(jax.jit(jax.grad(risk))(at))
    for i in range(len(at)):
        step = np.zeros(len(at))
        step[i] = 1e-5
        np.testing.assert_allclose(gradient[i], (risk(at + step) - risk(at - step)) / 2e-5, rtol=1e-5, atol=1e-9)


def test_a_prediction_has_a_slope_by_the_angle_where_tasks_are_equal_or_opposite():
    tasks = mtl.LinearTasks(5, (30, 20), cosine=0.5, design=mtl.Isotropic(), relation="same")
    prediction, key = theory.pooled_least_squares(mtl.Transfer(tasks, sharing="pooled")), jax.random.key(0)

    def gain(angle):
        return prediction.statement(at_point(prediction.cell, {"tasks.angle": angle}, check=False))(key=key)["gain"]

    value_and_slope = jax.jit(jax.value_and_grad(gain))
    for angle, inside in ((0.0, 1e-3), (180.0, 180 - 1e-3), (30.0, 30.001)):
        value, slope = value_and_slope(angle)
        close(value, gain(angle))  # of a number that is no tracer
        np.testing.assert_allclose(slope, (gain(inside) - value) / (inside - angle), atol=1e-5)
    assert abs(slope) > 1e-3


def test_predictor_has_the_known_isotropic_limit():
    """Two isotropic tasks: noise^2 d / (n - d) + |delta|^2 (n_1^2 (n - d) + d n_1 n_2) / (n^2 (n - d))."""
    d, n1, n2, noise = 40, 130.0, 90.0, 0.7
    parameters = RNG.normal(size=(2, d))
    found = predict_pooled(
        Spectra(jnp.ones((2, d)), jnp.asarray(parameters), jnp.ones(d)), jnp.array([n1, n2]), jnp.full(2, noise), jnp.ones(2)
    )
    n, shift = n1 + n2, np.sum((parameters[0] - parameters[1]) ** 2)
    close(found.risk[1], noise**2 * d / (n - d) + shift * (n1**2 * (n - d) + d * n1 * n2) / (n**2 * (n - d)), 2)


def test_predictor_is_silent_where_it_does_not_hold():
    form = Spectra(jnp.ones((1, 40)), jnp.ones((1, 40)), jnp.ones(40))
    near = predict_pooled(form, jnp.array([42.0]), jnp.ones(1), jnp.ones(1))
    assert np.isfinite(near.risk).all() and near.margin < 0
    below = predict_pooled(form, jnp.array([20.0]), jnp.ones(1), jnp.ones(1))
    assert np.isnan(below.risk).all() and below.margin < 0


def test_exact_risk_alone_has_no_value_where_it_is_infinite():
    one = jnp.ones(())
    close(single_risk(2 * one, 50 * one, 20), 4 * 20 / 29)
    assert np.isnan([single_risk(one, n * one, 20) for n in (20, 21)]).all()


def test_free_heads_have_a_sign():
    cell = mtl.Transfer(mtl.LinearTasks(n_features=30, n_samples=(300, 80), noise=0.3, design=mtl.Isotropic(), cosine=0.9))
    other = mtl.Transfer(dataclasses.replace(cell.tasks, cosine=(-0.9,)))
    predict = jax.jit(lambda cell: theory.free_heads(cell)(key=jax.random.key(0)))
    draws = [predict(as_leaves(c)) for c in (cell, other)]
    close(draws[0]["risk_multi"], draws[1]["risk_multi"], 3)
    assert draws[0]["margin"] > 0


def test_gradients_of_free_heads_are_those_of_finite_differences():
    rng = np.random.default_rng(3)
    spectra, parameters = jnp.asarray(rng.uniform(0.3, 3, (2, 20))), rng.normal(size=(2, 20))
    parameters[0] += 2 * parameters[1]

    @jax.jit
    def risk(x):
        form = Spectra(spectra, jnp.asarray(parameters) * x[0], jnp.ones(20))
        return predict_free_heads(form, x[1] * jnp.array([80.0, 50]), x[2] * jnp.array([0.5, 0.4]), jnp.stack([x[3], 1.0])).risk

    at, step = jnp.array([1.0, 1.1, 0.9, 0.7]), 1e-5 * jnp.eye(4)
    differences = [(risk(at + move) - risk(at - move)) / 2e-5 for move in step]
    np.testing.assert_allclose(jax.jit(jax.grad(risk))(at), differences, rtol=1e-4)


# ------------------------------------------------------------------------------------------------ verdicts
@functools.cache
def found():
    return examine(SIMPLE, n_instances=8, n_seeds=800)


def test_an_exact_statement_is_confirmed():
    assert found().verdict == "confirmed" and found().worst < 4


@pytest.mark.parametrize(
    "change", [lambda v: 1.1 * v, lambda v: -v, lambda v: np.sign(v) * np.abs(v) ** 1.3], ids=["10 %", "sign", "exponent"]
)
def test_a_planted_wrong_formula_is_refuted(change):
    wrong = [dataclasses.replace(one, predicted=change(one.predicted)) for one in found().evidence]
    assert judge(SIMPLE.kind, wrong)[0] == "refuted"


def test_a_statement_with_a_planted_error_is_refuted_from_end_to_end():
    wrong = dataclasses.replace(SIMPLE, predict=lambda cell, key: {k: 1.1 * v for k, v in SIMPLE.predict(cell, key).items()})
    assert examine(wrong, n_instances=3, n_seeds=800).verdict == "refuted"


def test_too_few_draws_decide_nothing():
    first = lambda one: {name: getattr(one, name)[:8] for name in ("measured", "predicted", "margin")}
    few = [dataclasses.replace(one, **first(one)) for one in found().evidence]
    assert judge(SIMPLE.kind, few)[0] == "undecided"


def evidence(measured, predicted, **options):
    measured, predicted = np.broadcast_arrays(np.asarray(measured, float), np.asarray(predicted, float))
    return Evidence("inside", "x", 0, measured, predicted, np.ones(len(measured)), **options)


NORMAL = np.random.default_rng(1).normal(size=1000)


@pytest.mark.parametrize(
    ("kind", "one", "verdict"),
    [
        ("identity", evidence(NORMAL, NORMAL * (1 + 1e-9)), "confirmed"),
        ("identity", evidence(NORMAL, NORMAL * (1 + 1e-4)), "refuted"),
        ("limit", evidence(1.02 + 0.1 * NORMAL, 1.0, allowed=0.03), "confirmed"),
        ("limit", evidence(1.05 + 0.1 * NORMAL, 1.0, allowed=0.01), "refuted"),
        ("limit", evidence(1.05 + 0.1 * NORMAL, 1.0, allowed=0.2), "undecided"),
        ("bound", evidence(NORMAL, 10.0), "confirmed"),
        ("bound", evidence(NORMAL, 1.0), "refuted"),
        ("bound", evidence(NORMAL, 10.0, trivial=np.full(1000, 5.0)), "vacuous"),
        ("bound", evidence(NORMAL, 1.0, allowed=0.8), "confirmed"),
        ("bound", evidence(NORMAL, 1.0, allowed=0.95), "refuted"),
        ("sign", evidence(1 + NORMAL, 1.0), "confirmed"),
        ("sign", evidence(1 + NORMAL, -1.0), "refuted"),
        ("sign", evidence(NORMAL, 1.0), "undecided"),
        ("equality", evidence(1 + NORMAL, np.nan), "undecided"),
    ],
)
def test_each_rule_can_go_every_way(kind, one, verdict):
    assert judge(kind, [one])[0] == verdict


@pytest.mark.parametrize("name", theory.statement_names())
def test_every_statement_is_well_made(name):
    statement = theory.find_statement(name)
    assert statement.name == name and statement.claim.endswith(".") and statement.kind in RULES
    assert set(statement.places) <= set(PLACES)
    known = mtl.cite(None)
    assert all(key == "derived" or f"{{{key}," in known for key in statement.source)
    module = __import__(f"mtlsim.theory.statements.{name.replace('-', '_')}", fromlist=["x"])
    assert len(module.__doc__) > 200


def test_reports_are_readable_and_complete(tmp_path):
    findings = verify(["orthonormal-weighting"], tmp_path / "out", n_instances=3, n_seeds=50)
    page = (tmp_path / "out" / "report.html").read_text()
    assert findings[0].statement.claim in page and RULES["equality"][:40] in page and "data:image/png;base64" in page
    rows = json.loads((tmp_path / "out" / "report.json").read_text())
    assert rows[0]["verdict"] == findings[0].verdict and {row["quantity"] for row in rows[0]["evidence"]} >= {"risk_best"}
    with pytest.raises(ValueError, match="did you mean 'pooled-least-squares'"):
        verify(["pooled-least-square"])
    with pytest.raises(ValueError, match="n_seeds must be at least 2"):
        verify(["pooled-least-squares"], n_seeds=1)


# ------------------------------------------------------------------------------------------------ theory on axes
def pooled_cell(noise=0.5):
    tasks = mtl.LinearTasks(n_features=20, n_samples=(200, 40), relation="same", noise=noise, design=mtl.Isotropic())
    return mtl.Transfer(tasks, sharing="pooled")


def test_predictions_over_a_grid_are_those_one_by_one():
    prediction = theory.pooled_least_squares(pooled_cell())
    data = mtl.predict(prediction, {"tasks.cosine": [0.5, 0.9], "tasks.n_samples[0]": [10, 100, 1000]}, n_draws=2)
    assert data.gain.dims == ("tasks.cosine", "tasks.n_samples[0]")
    moved = mtl.Transfer(dataclasses.replace(pooled_cell().tasks, cosine=(0.9,), n_samples=(100, 40)), sharing="pooled")
    close(data.gain.values[1, 1], theory.pooled_least_squares(moved)(key=jax.random.fold_in(jax.random.key(0), 0))["gain"], 3)
    assert (data.margin.values > 0).all()
    assert (mtl.predict(prediction, {"tasks.n_samples[1]": [21, 40]}, 1).margin.values > 0).tolist() == [False, True]
    with pytest.raises(ValueError, match="did you mean 'tasks.cosine'"):
        mtl.predict(prediction, {"tasks.cosin": [0.5]})


def test_predictions_inside_are_the_same_and_leave_out_what_cannot_hold(monkeypatch):
    prediction, x = theory.pooled_least_squares(pooled_cell()), "tasks.n_samples[1]"
    grid = {x: [20, 40, 60], "tasks.cosine": [0.5, 0.9]}
    every, inside = (mtl.predict(prediction, grid, 5, inside=inside) for inside in (False, True))
    holds = every.margin.values >= 0
    assert holds.any(1).tolist() == [False, True, True]
    np.testing.assert_array_equal(np.isfinite(inside.gain.values), holds)
    for name in ("gain", "gain_spread", "margin"):
        np.testing.assert_allclose(inside[name].values[holds], every[name].values[holds], rtol=1e-12, atol=1e-15)
    monkeypatch.setattr("mtlsim.sweeps.predict._compile", lambda *_: pytest.fail("compiled"))
    nowhere = mtl.predict(prediction, {x: [18, 20]}, 5, inside=True)
    assert np.isnan(nowhere.gain.values).all() and np.isnan(nowhere.margin.values).all() and "risk_multi" in nowhere


def test_cheap_assumptions_are_told_from_long_ones():
    """Of the plateau without a draw of its own: rows are cheap, and what needs a spectrum is not; numbers are those of all."""
    statement, key = theory.find_statement("plateau"), jax.random.key(3)
    cell = as_leaves(statement.instance("inside", np.random.default_rng(0)))
    values = np.array([[1e13, 40.0], [1e3, 40.0], [1e13, 2.0]])
    names = ("tasks.n_samples[0]", "tasks.n_samples[1]")
    found = cheap_margins(statement.assume, cell, names, values, key)
    assert {"a source without end of rows", "more target rows than 2"} <= found.keys()
    assert not any("prevails" in name for name in found)
    assert may_hold(statement.assume, cell, names, values, key).tolist() == [True, False, False]
    for i, point in enumerate(values):
        wanted = statement.assume(at_point(cell, dict(zip(names, map(float, point), strict=True)), check=False), key)
        for name, margins in found.items():
            np.testing.assert_allclose(margins[i], wanted[name], rtol=1e-12)


def test_overlay_draws_the_prediction_and_hatches_where_it_does_not_hold():
    cell, x = pooled_cell(), "tasks.n_samples[1]"
    data = mtl.sweep(cell, {x: [12, 25, 50, 100, 400]}, 6, jax.random.key(0), progress=False)
    fig, axes = style.figure()
    ax = axes[0, 0]
    curves.gain_curve(ax, data, x, "sampled", line=False)
    limits = ax.get_ylim()
    overlay(ax, theory.pooled_least_squares(cell))
    line = next(line for line in ax.lines if line.get_label().startswith("theory"))
    xs, ys = line.get_data()
    assert np.isnan(ys[xs < 21]).all() and np.isfinite(ys[xs > 23]).all()
    truth = mtl.predict(theory.pooled_least_squares(cell), {x: [400]}).gain.values
    np.testing.assert_allclose(ys[-1], truth[0], rtol=1e-6)
    assert any(patch.get_hatch() for patch in ax.patches) and ax.get_ylim() == limits
    before = len(ax.patches)
    overlay(ax, theory.pooled_least_squares(cell), style.SERIES[1], "another")
    assert {patch.get_edgecolor() for patch in ax.patches[before:]} == {to_rgba(style.SERIES[1], 0.6)}
    style.plt.close(fig)


def test_overlay_on_a_map_draws_the_boundary():
    cell = pooled_cell()
    data = mtl.sweep(
        cell, {"tasks.n_samples[0]": [10, 100, 1000], "tasks.cosine": [0.0, 0.5, 1.0]}, 6, jax.random.key(0), progress=False
    )
    fig = maps.transfer_map(data)
    before = len(fig.axes[0].collections)
    overlay(fig, theory.pooled_least_squares(cell))
    assert len(fig.axes[0].collections) == before + 1
    style.plt.close(fig)


def test_overlay_refuses_what_it_does_not_know():
    fig, axes = style.figure()
    with pytest.raises(ValueError, match="where must be a panel or figure of mtlsim.plots"):
        overlay(axes[0, 0], theory.pooled_least_squares(pooled_cell()))
    style.plt.close(fig)


def critical_shift(n1, n2, d):
    """|delta|^2 / noise^2 at which two isotropic pooled tasks neither gain nor lose (exact)."""
    n = n1 + n2
    denominator = n * (n - 1) * (n + 2) * (n - d - 1)
    c = (n**2 - (2 * d + 1) * n + 2) / denominator
    g = ((d + 1) * n**2 - (d + 5) * n + 2 * (d + 1)) / denominator
    return d / ((n2 - d - 1) * (n - d - 1) * (c * n1 + g))


def test_boundaries_from_theory_and_from_samples_agree_with_the_closed_form():
    x, y = "tasks.n_samples[0]", "tasks.cosine"
    cell = pooled_cell()
    exact = mtl.find_boundary(theory.pooled_least_squares(cell), x, (5, 5000), y, (0.0, 1.0), n_draws=1)
    (branch,) = exact.branches
    assert len(branch) > 30 and branch[:, 0].min() < 10 and branch[:, 0].max() > 3000
    close(2 - 2 * branch[:, 1], 0.25 * critical_shift(branch[:, 0], 40, 20), 5)
    frame = exact.to_dataframe()
    assert list(frame) == ["branch", x, y] and len(frame) == sum(map(len, exact.branches))
    np.testing.assert_array_equal(frame.loc[frame["branch"] == 0, [x, y]].values, exact.branches[0])
    sampled = mtl.find_boundary(cell, x, (5, 5000), y, (0.0, 1.0), n_seeds=200)
    assert {"low", "high"} <= set(sampled.to_dataframe()) and len(sampled.to_dataframe()) == sum(map(len, sampled.low))
    (points,) = sampled.branches
    truth = 1 - 0.125 * critical_shift(np.round(points[:, 0]), 40, 20)
    inside = (sampled.low[0] <= truth) & (truth <= sampled.high[0])
    assert sampled.along == y and len(points) == 9 and inside.sum() >= 7
    assert sampled.n_runs < sampled.grid_runs / 2


def test_a_boundary_that_is_not_there_is_empty():
    found = mtl.find_boundary(pooled_cell(0.01), "tasks.n_samples[0]", (100, 1000), "tasks.cosine", (0.0, 0.3), n_seeds=20)
    assert found.branches == () and "no points" in repr(found)
    with pytest.raises(ValueError, match="two rising numbers"):
        mtl.find_boundary(pooled_cell(), "tasks.noise", (1, 0), "tasks.cosine", (0, 1))


def test_a_search_without_room_says_what_it_is_short_of():
    never = dataclasses.replace(SIMPLE, assume=lambda cell, key: {"enough rows": -1.0, "noise": 1.0, "a number": np.nan})
    instance = never.instance("inside", np.random.default_rng(0))
    assert short_of(never, instance, jax.random.key(0)) == "enough rows; a number"
    found = Counterexample("x", "inside", 0, {}, 0.0, 0.0, 9, 0.0, lacks="enough rows")
    assert "none of 9 points; at the last it is short of: enough rows" in str(found)


def test_a_search_finds_what_breaks_a_statement_and_nothing_where_it_holds(tmp_path):
    holds = search_counterexample(SIMPLE, {"weight": (0.1, 3.0)}, n_starts=1, n_draws=16, n_scan=8)
    assert holds.z < 5 and "no evidence that there is none" in str(holds)
    name, few = "other.tasks.alignment", {"n_starts": 1, "n_draws": 16, "n_fresh": 300, "max_steps": 5, "n_scan": 8}
    broken = search_counterexample(theory.alignment_claim, {name: (0.15, 1.0)}, **few)
    assert broken.z > 5 and "violates" in str(broken) and 0.15 <= broken.parameters[name] < 0.9
    again = load_counterexample(broken.save(tmp_path / "worst.json"))
    assert again == broken and again.instance.other.tasks.alignment[0] == broken.parameters[name]
    with pytest.raises(ValueError, match="path must be a file that Counterexample.save wrote"):
        load_counterexample(tmp_path / "none.json")


def test_explain_says_how_many_seeds_are_missing():
    data = mtl.sweep(pooled_cell(), {"tasks.cosine": [0.0, 0.84, 1.0]}, 12, jax.random.key(0), progress=False)
    text = mtl.explain(data)
    assert "3 cells x 12 seeds" in text and "every draw is ok" in text
    assert ("a cell would decide" in text) == bool((data.gain_sign == 0).any())
    with pytest.raises(ValueError, match="data must be a result of mtlsim.sweep with a gain"):
        mtl.explain(data.drop_vars("gain_sign"))


@pytest.mark.parametrize(
    ("name", "cell", "sentence"),
    [
        ("pooled-least-squares", mtl.Transfer(mtl.LinearTasks()), "cell must be of sharing 'pooled'"),
        ("free-heads", pooled_cell(), "cell must be of sharing 'hard'"),
        ("free-heads", mtl.Transfer(mtl.LinearTasks(), rank=2), "cell must be of rank 1"),
        ("pooled-least-squares", dataclasses.replace(pooled_cell(), ridge=1.0), "cell must be without ridge"),
        ("covariate-shift", mtl.Transfer(mtl.LinearTasks(n_samples=(9, 9, 99)), sharing="pooled"), "cell must be of 2 tasks"),
        ("pooled-sign", mtl.Transfer(pooled_cell().tasks, sharing="pooled", target=0), "cell must be measured on its last task"),
        ("frozen-layer", mtl.Transfer(pooled_cell().tasks, rank=2, sharing="frozen"), "cell must be of rank 1"),
        ("free-heads", mtl.Transfer(mtl.ReluTasks()), "cell must be made of LinearTasks, but is made of ReluTasks"),
        ("plateau", mtl.Transfer(mtl.ClassificationTasks()), "cell must be made of LinearTasks"),
        ("alignment-claim", pooled_cell(), "cell must be a TwoSources for alignment-claim, but is a Transfer"),
    ],
)
def test_a_statement_refuses_cells_it_is_not_about(name, cell, sentence):
    with pytest.raises(ValueError, match=sentence):
        theory.find_statement(name)(cell)


def test_other_rows_are_outside_the_assumptions():
    cell = mtl.Transfer(mtl.LinearTasks(n_features=6, n_samples=(20, 15), rows="rademacher", relation="same"), sharing="pooled")
    assert theory.pooled_least_squares(cell)(key=jax.random.key(0))["margin"] < 0


def test_a_statement_that_names_what_it_predicts_does():
    named = [one for one in map(theory.find_statement, theory.statement_names()) if one.predicts]
    assert [one.name for one in named] == ["free-heads", "held-mixing", "local-minima-different", "proposition-1"]
    for statement in named:
        cell = statement.instance(INSIDE, np.random.default_rng(0))
        assert quantities(statement, cell) == quantities(dataclasses.replace(statement, predicts=()), cell)
