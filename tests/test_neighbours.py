"""Neighbours: groups, label shift, words over shared blocks, heads from descriptors, merged fits; cells against plain NumPy."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import Z_LIMIT, close, untyped, z_score
from scipy import integrate, optimize, stats

import mtlsim as mtl
from mtlsim.cells.diagonal_network import DiagonalNetwork
from mtlsim.cells.groups import Groups
from mtlsim.cells.label_shift import LabelShift, expected_errors
from mtlsim.cells.merged import Merged, TaskVectors, best_scale, effective_rows
from mtlsim.cells.order_only import OrderOnly
from mtlsim.cells.representation import Representation, diversity_cost
from mtlsim.cells.safe_sharing import SafeSharing, pull_by_norm
from mtlsim.cells.semantic_alignment import SemanticAlignment, expected_gain, turning_signal
from mtlsim.cells.two_gates import TwoGates
from mtlsim.cells.words import Words, shared_dimensions, trace_bound
from mtlsim.cells.zero_shot import ZeroShot, best_design, expected_risks, identified, leverage, worth_in_rows
from mtlsim.configuration import build
from mtlsim.core.audit import above_and_negative, decision_rates, relative_change
from mtlsim.core.status import Status
from mtlsim.results.grid import at_point
from mtlsim.sharing._sharing import Shape
from mtlsim.sharing.modular import Modular
from mtlsim.sweeps.instances import over_instances
from mtlsim.theory import find_statement
from mtlsim.theory.statements import label_shift_cost, label_shift_sign
from mtlsim.theory.statements.harder_gain_more import TwoNoises
from mtlsim.theory.statements.order_shares_a_spectrum import own_part

KEY = jax.random.key(5)


def draws(cell, n_seeds):
    """Outputs of one cell over seeds."""
    (found,) = over_instances(lambda one, key: one(key=key), [cell], KEY, n_seeds)
    return found


def agree(drawn, wanted, twin=1.15):
    """The mean of the draws is that of the samples, and not `twin` times it."""
    error = np.std(wanted) / np.sqrt(len(wanted))
    assert abs(z_score(drawn, np.mean(wanted), error)) < Z_LIMIT
    assert abs(z_score(drawn, twin * np.mean(wanted), error)) > Z_LIMIT


# ------------------------------------------------------------------------------------------------ groups of one task
@pytest.mark.parametrize("threshold", [-1.0, 0.0, 0.7])
@pytest.mark.parametrize("angle", [0.0, 0.3, 1.2, 2.5, np.pi])
def test_rates_are_those_of_two_normals(angle, threshold):
    """By quadrature over one of them; at a threshold of zero the angle over pi."""
    spread = max(np.sin(angle), 1e-12)
    below = lambda u: stats.norm.pdf(u) * stats.norm.cdf(-np.cos(angle) * u / spread)
    wanted = integrate.quad(below, threshold, 12, epsabs=1e-12, points=[0.0] if threshold < 0 else None, limit=500)[0]
    np.testing.assert_allclose(above_and_negative(jnp.asarray(angle), threshold), wanted, atol=2e-9)
    rates = decision_rates(jnp.asarray(angle), threshold, 0.1)
    u, v = np.random.default_rng(0).multivariate_normal([0, 0], [[1, np.cos(angle)], [np.cos(angle), 1]], 200_000).T
    labels = (v > 0) ^ (np.random.default_rng(1).random(len(v)) < 0.1)
    assert abs(np.mean(u[~labels] > threshold) - rates["false_positive"]) < 0.006
    assert abs(np.mean(u[labels] <= threshold) - rates["false_negative"]) < 0.006
    assert abs(np.mean((u > threshold) != labels) - rates["error"]) < 0.005
    if threshold == 0:
        np.testing.assert_allclose(decision_rates(jnp.asarray(angle))["error"], angle / np.pi, atol=1e-12)


def test_rates_near_equal_directions_keep_their_digits():
    """Where the integrand rises within a thousandth of the range: by adaptive quadrature told where."""
    for angle, threshold in ((1e-6, -1e-3), (1e-3, -1e-3), (1.0, 1e-3), (3.1, -0.01), (2.5, 1e-3)):
        seen, size = (angle if threshold >= 0 else np.pi - angle), abs(threshold)
        density = lambda phi, size=size: np.exp(-(size**2) / (2 * np.sin(phi) ** 2)) / (2 * np.pi)
        steps = [size * k for k in (0.1, 0.5, 1, 3, 10)]
        points = sorted(p for p in (*steps, *(np.pi - p for p in steps)) if 0 < p < seen)
        wanted = integrate.quad(density, 0, seen, points=points, epsabs=1e-14, limit=500)[0]
        found = float(above_and_negative(jnp.asarray(angle), threshold))
        np.testing.assert_allclose(found, wanted if threshold >= 0 else 0.5 - wanted, atol=1e-12)


def test_a_relative_gap_of_nothing_is_not_a_number():
    ratio, known = relative_change([0.1, 0.1], [0.2, 1e-6])
    assert ratio[0] == 0.5 and np.isnan(ratio[1]) and known.tolist() == [True, False]


def two_groups(place, weights=None, rows=(200, 48, 12), **fields):
    d = 20
    many, few = (np.where(np.arange(d) == 1, variance, 1.0) for variance in (0.04, 4.0))
    target = np.asarray(place, float) @ np.eye(2, d)
    parameters = np.stack([target + 2 * np.eye(d)[1], target, target])
    designs = tuple(mtl.Diagonal(variances) for variances in (many, many, few))
    return Groups(mtl.LinearTasks(d, rows, design=designs, parameters=parameters), weights=weights, **fields), (many, few)


def test_groups_on_drawn_sums_are_groups_of_rows():
    """Least squares on explicit rows; errors are shares of many new rows decided wrongly at a threshold."""
    cell, variances = two_groups((1.0, 0.0), (0.5, 1.0, 1.0), threshold=0.2)
    rng, theta, S = np.random.default_rng(3), np.asarray(cell.tasks.parameters), 400
    sides = {"single": [], "multi": []}
    new = [np.sqrt(v) * rng.normal(size=(20_000, 20)) for v in variances]
    for _ in range(S):
        X = [np.sqrt(v) * rng.normal(size=(n, 20)) for v, n in zip((variances[0], *variances), (200, 48, 12), strict=True)]
        y = [rows @ own + rng.normal(size=len(rows)) for rows, own in zip(X, theta, strict=True)]
        for side, used in (("single", [0, 1, 1]), ("multi", [0.5, 1, 1])):
            root = np.concatenate([np.full(len(rows), w**0.5) for rows, w in zip(X, used, strict=True)])
            w = np.linalg.lstsq(np.concatenate(X) * root[:, None], np.concatenate(y) * root, rcond=None)[0]
            risks = [np.sum(v * (w - theta[-1]) ** 2) for v in variances]
            wrong = [np.mean((rows @ w > 0.2)[rows @ theta[-1] < 0]) for rows in new]
            sides[side].append((*risks, abs(wrong[0] - wrong[1])))
    drawn = draws(cell, 2000)
    for side, found in sides.items():
        risks_many, risks_few, gaps = np.transpose(found)
        agree(drawn[f"risk_{side}_majority"], risks_many)
        agree(drawn[f"risk_{side}_minority"], risks_few, 1.3)
        agree(drawn[f"gap_{side}"], gaps, 1.3)
    np.testing.assert_allclose(drawn["risk_multi"], 0.8 * drawn["risk_multi_majority"] + 0.2 * drawn["risk_multi_minority"])
    np.testing.assert_allclose(drawn["gap_closed"], drawn["gap_single"] - drawn["gap_multi"])
    assert not drawn["status"].any()


def three_groups(**fields):
    """A source like the first of three groups; and the variances of all."""
    variances = np.array([[1.0, 0.1, 1.0], [1.0, 0.1, 1.0], [1.0, 4.0, 1.0], [0.3, 1.0, 2.0]])
    parameters = np.array([[1.0, 1.0, 0.0], *[[1.0, 0.0, -0.5]] * 3])
    tasks = mtl.LinearTasks(3, (60, 20, 12, 8), design=tuple(map(mtl.Diagonal, variances)), parameters=parameters)
    return Groups(tasks, n_groups=3, **fields), variances


def test_three_groups_are_three_groups_of_rows():
    """Every group's risk and rates on explicit rows, the population's as their mean by shares, and the spread of all three."""
    cell, variances = three_groups(share=(2.0, 1.0, 1.0))
    rng, truth, S = np.random.default_rng(13), np.asarray(cell.tasks.parameters), 800
    found = {"single": [], "multi": []}
    for _ in range(S):
        X = [np.sqrt(v) * rng.normal(size=(n, 3)) for v, n in zip(variances, (60, 20, 12, 8), strict=True)]
        y = [rows @ own + rng.normal(size=len(rows)) for rows, own in zip(X, truth, strict=True)]
        for side, first in (("single", 1), ("multi", 0)):
            w = np.linalg.lstsq(np.concatenate(X[first:]), np.concatenate(y[first:]), rcond=None)[0]
            inner = lambda a, b: np.sum(variances[1:] * a * b, 1)
            cosines = inner(w, truth[-1]) / np.sqrt(inner(w, w) * inner(truth[-1], truth[-1]))
            found[side].append((inner(w - truth[-1], w - truth[-1]), np.arccos(cosines) / np.pi))
    drawn = draws(cell, 4000)
    for side, per_draw in found.items():
        risks, rates = np.swapaxes(per_draw, 0, 1)
        for g in range(3):
            agree(drawn[f"risk_{side}_by_group"][:, g], risks[:, g], 1.3)
            for name in ("error", "false_positive", "false_negative"):
                agree(drawn[f"{name}_{side}_by_group"][:, g], rates[:, g])
        agree(drawn[f"gap_{side}"], np.ptp(rates, 1), 1.3)
        np.testing.assert_allclose(drawn[f"risk_{side}"], drawn[f"risk_{side}_by_group"] @ [0.5, 0.25, 0.25])
        np.testing.assert_array_equal(drawn[f"risk_{side}_minority"], drawn[f"risk_{side}_by_group"][:, 2])
    np.testing.assert_array_equal(drawn["gain_majority"], drawn["gain_by_group"][:, 0])
    assert not drawn["status"].any()


def test_shares_of_groups_are_those_given_or_of_their_rows():
    cell, _ = three_groups()
    np.testing.assert_allclose(cell.shares(jnp.asarray([20.0, 12.0, 8.0])), [0.5, 0.3, 0.2])
    np.testing.assert_allclose(dataclasses.replace(cell, share=(0.0, 3.0, 1.0)).shares(jnp.ones(3)), [0, 0.75, 0.25])
    shapes = jax.eval_shape(lambda key: cell(key=key), KEY)
    assert {name for name, value in shapes.items() if value.shape == (3,)} == set(cell.dimensions) and len(cell.dimensions) == 9
    at = at_point(dataclasses.replace(cell, share=(1.0, 1.0, 1.0)), {"share[2]": 4.0})
    np.testing.assert_allclose(at.shares(jnp.ones(3)), np.array([1, 1, 4]) / 6)
    for fields, says in (
        ({"share": 0.5}, "share must be one number per group, 3, but"),
        ({"share": (1.0, -1.0, 1.0)}, "share must be numbers >= 0, not all zero"),
        ({"n_groups": 5}, "tasks must be 5 groups, after any sources, but is 4 tasks"),
        ({"n_groups": 4}, "tasks must be 4 last tasks with the same parameters"),
        ({"n_groups": 1}, "n_groups must be a whole number >= 2"),
    ):
        with pytest.raises(ValueError, match=says):
            dataclasses.replace(cell, **fields)


def test_whether_a_gap_grows_depends_on_where_the_task_lies():
    """Mean errors halve on both sides; the gap grows where the task lies across the shift, and shrinks where it lies along it."""
    across, along = (draws(two_groups(place)[0], 800) for place in ((1.0, 0.0), (0.5**0.5, 0.5**0.5)))
    for found, sign in ((across, -1), (along, 1)):
        assert z_score(found["gain_error"], 0.05) > Z_LIMIT and z_score(sign * found["gap_closed"], 0.02) > Z_LIMIT


def test_groups_without_rows_or_that_are_no_groups():
    without = draws(two_groups((1.0, 0.0), (1.0, 1.0, 0.0))[0], 50)
    assert np.isfinite(without["risk_multi_minority"]).all() and not without["status"].any()
    few = draws(two_groups((1.0, 0.0), rows=(200, 12, 9))[0], 8)
    assert (few["status"] == Status.heavy_tailed).all()
    together = Groups(mtl.LinearTasks(31, (10, 12, 8), cosine=(0.8, 1.0)))  # all rows meet the features, the groups' own do not
    one = mtl.Diagonal(np.arange(13) < 8), mtl.Diagonal(np.arange(13) >= 8)
    apart = mtl.LinearTasks(13, (40, 30, 6), cosine=1.0, design=(one[0], *one))  # six rows on the minority's five features
    assert int(together(key=KEY)["status"]) == int(Groups(apart)(key=KEY)["status"]) == Status.heavy_tailed
    more = dataclasses.replace(apart, n_samples=(40, 30, 20))
    silent = Groups(more, weights=(1.0, 1.0, 0.0))(key=KEY)
    assert silent["error_multi_minority"] == 0.5  # all scores are zero: none is above
    truth = apart.draw(key=KEY).parameters[-1]
    np.testing.assert_allclose(silent["risk_multi_minority"], np.sum(truth[8:] ** 2), rtol=1e-12)  # nothing is known of it
    tasks = mtl.LinearTasks(6, (30, 30, 30), cosine=(0.3, 1.0))
    for wrong, says in (
        (mtl.LinearTasks(6, (30, 30, 30), cosine=0.5), "last cosine must be 1"),
        (mtl.LinearTasks(6, (30, 30), cosine=1.0, parameter_norm=(1, 2)), "parameter_norm must be two last tasks"),
        (mtl.LinearTasks(2, (30, 30), parameters=np.eye(2)), "the same parameters"),
        (mtl.LinearTasks(6, (30, 30), cosine=1.0, shared_covariates=True), "rows of their own"),
        (mtl.ReluTasks(6, (30, 30), cosine=1.0), "LinearTasks"),
    ):
        with pytest.raises(ValueError, match=says):
            Groups(wrong)
    with pytest.raises(ValueError, match="positive for one of the groups"):
        Groups(tasks, weights=(1.0, 0.0, 0.0))
    wrongs = (1.0, -1.0), "ab", [[1.0]]
    for wrong, says in zip(wrongs, ("variances must be numbers >= 0", "made of numbers", "one number per feature"), strict=True):
        with pytest.raises(ValueError, match=says):
            untyped(mtl.Diagonal)(wrong)
    with pytest.raises(ValueError, match="covariance must be symmetric"):  # nested lists are looked at too
        untyped(mtl.FromMatrix)([[1.0, 2.0], [0.0, 1.0]])
    with pytest.raises(ValueError, match="n_features = 3 numbers"):
        mtl.LinearTasks(3, (30, 30), design=mtl.Diagonal((1.0, 2.0)), relation="same").draw(key=KEY)


# ------------------------------------------------------------------------------------------------ label shift
def test_divergences():
    assert float(mtl.jensen_shannon([3, 0], [0, 5])) == pytest.approx(np.log(2), abs=1e-15)
    assert float(mtl.jensen_shannon([0.2, 0.8, 0.0], [2, 8, 0])) == 0
    p, q = np.random.default_rng(2).dirichlet(np.ones(5), 2)
    middle = (p + q) / 2
    wanted = (stats.entropy(p, middle) + stats.entropy(q, middle)) / 2
    np.testing.assert_allclose(mtl.jensen_shannon(p, q), wanted, rtol=1e-12)
    tiny = 1e-9  # where sums of p log p have no digit left
    np.testing.assert_allclose(mtl.jensen_shannon([0.5 + tiny, 0.5 - tiny], [0.5, 0.5]), tiny**2 / 2, rtol=1e-6)
    with pytest.raises(ValueError, match="second must be of 2 labels"):
        mtl.jensen_shannon([1, 1], [1, 1, 1])
    with pytest.raises(ValueError, match="first must be numbers >= 0"):
        mtl.jensen_shannon([-1, 2], [1, 1])


def test_label_shift_on_drawn_means_is_label_shift_on_rows():
    """Errors are shares of new rows; the reference's settings, sign and size of pooling's harm at a divergence of .14."""
    cell = LabelShift(prior_source=0.95)
    rng, d, S = np.random.default_rng(4), 20, 1500

    def rows_of(n, prior):
        labels = np.where(rng.random(n) < prior, 1, -1)
        return rng.normal(size=(n, d)) + np.outer(labels, np.eye(d)[0]), labels

    def error(X, y, own, new, truth):
        """Of the rule from these means and proportions."""
        p, q = X[y > 0].mean(0), X[y < 0].mean(0)
        decided = new @ (p - q) > (p @ p - q @ q) / 2 - np.log(np.mean(own > 0) / np.mean(own < 0))
        return np.mean(decided != (truth > 0))

    found = []
    for _ in range(S):
        (X, y), (Z, own), (new, truth) = (rows_of(n, prior) for n, prior in ((300, 0.95), (30, 0.5), (300, 0.5)))

        both, all_labels = np.concatenate([X, Z]), np.append(y, own)
        rules = (Z, own, own), (both, all_labels, all_labels), (both, all_labels, own)
        found.append([error(*rule, new, truth) for rule in rules])
    drawn = draws(cell, 3000)
    for name, wanted in zip(("error_single", "error_pooled", "error_multi"), np.transpose(found), strict=True):
        agree(drawn[name], wanted)
    assert abs(np.mean(drawn["gain_pooled"]) + 0.0866) < 0.006 and abs(np.mean(drawn["gain"]) - 0.0418) < 0.006
    np.testing.assert_allclose(drawn["error_bayes"], stats.norm.cdf(-1))
    np.testing.assert_allclose(drawn["divergence"], 0.1423, atol=5e-5)


def test_classes_that_drift_are_drifting_rows():
    """Exact errors of rules from explicit rows; their limit without end of rows; and a divergence that sees nothing."""
    cell, rng, S = LabelShift(40.0, 25.0, 0.6, 0.4, 0.9, 3, 1.3), np.random.default_rng(14), 1500
    means = np.array([[0.9, 1.3, 0], [0.9, 0, 0]])
    found = []
    for _ in range(S):
        labels = [np.where(rng.random(n) < prior, 1, -1) for n, prior in ((40, 0.6), (25, 0.4))]
        rows = [rng.normal(size=(len(y), 3)) + np.outer(y, m) for y, m in zip(labels, means, strict=True)]
        X, y = np.concatenate(rows), np.concatenate(labels)
        p, q = X[y > 0].mean(0), X[y < 0].mean(0)
        threshold = (p @ p - q @ q) / 2 - np.log(np.mean(y > 0) / np.mean(y < 0))
        reach, threshold = means @ (p - q) / np.linalg.norm(p - q), threshold / np.linalg.norm(p - q)
        prior = np.array([0.6, 0.4])
        errors = prior * stats.norm.cdf(threshold - reach) + (1 - prior) * stats.norm.cdf(-threshold - reach)
        found.append([errors[1], abs(errors[0] - errors[1])])
    endless = dataclasses.replace(cell, n_source=3e9, n_target=1e9, prior_source=0.5, prior_target=0.5)
    uneven = dataclasses.replace(endless, prior_source=0.9, prior_target=0.4)
    drawn, limit, other = over_instances(lambda one, key: one(key=key), [cell, endless, uneven], KEY, 3000)
    for name, wanted in zip(("error_pooled", "difference"), np.transpose(found), strict=True):
        agree(drawn[name], wanted)
    wanted = stats.norm.cdf(-(0.9**2) / np.hypot(0.9, 0.75 * 1.3))
    for name, error in (*expected_errors(endless).items(), *limit.items()):
        if name in ("error_pooled", "error_multi"):
            np.testing.assert_allclose(error, wanted, atol=1e-4)
    for name, error in expected_errors(uneven).items():
        np.testing.assert_allclose(error, np.mean(other[name]), atol=1e-4)
    still = float(find_statement("label-shift-bound").assume(endless, KEY)["the same classes in both tasks"])
    assert endless.divergence == 0 and still < 0
    with pytest.raises(ValueError, match="drift must be zero with one feature"):
        LabelShift(n_features=1, drift=0.1)


def test_a_class_without_rows_is_never_decided_for():
    one = LabelShift(n_source=3.0, n_target=1.0, prior_source=1.0, prior_target=0.7)
    drawn = draws(one, 200)
    np.testing.assert_allclose(np.unique(drawn["error_single"].round(12)), [0.3, 0.7])
    assert all(np.isfinite(values).all() for values in drawn.values())
    empty = draws(LabelShift(prior_source=0.0, prior_target=1.0), 5)
    np.testing.assert_allclose(empty["error_single"], 0)
    np.testing.assert_allclose(empty["divergence"], np.log(2))


def test_aligned_class_means_are_a_ridge_on_rows():
    """Least squares on orthonormal rows with the penalty as a row; the worked numbers of ten features at a strong penalty."""
    rng, S, cell = np.random.default_rng(6), 3000, SemanticAlignment(40.0, 10.0, 0.6, 1.0, 25.0, 0.8, 4)
    found = []
    for _ in range(S):
        rows = [np.linalg.qr(rng.normal(size=(n, 4)))[0] * n**0.5 for n in (40, 10)]
        y = [X[:, 0] * signal + 0.8 * rng.normal(size=len(X)) for X, signal in zip(rows, (1.6, 0.6), strict=True)]
        X = np.concatenate([*rows, 5 * np.eye(1, 4)])
        both = np.linalg.lstsq(X, np.r_[y[0], y[1], 0], rcond=None)[0]
        alone = np.linalg.lstsq(rows[1], y[1], rcond=None)[0]
        found.append([np.sum((w - 0.6 * np.eye(4)[0]) ** 2) for w in (alone, both)])
    drawn = draws(cell, S)
    for name, wanted in zip(("risk_single", "risk_multi"), np.transpose(found), strict=True):
        agree(drawn[name], wanted)
    assert abs(z_score(drawn["gain"], float(expected_gain(cell)))) < Z_LIMIT
    strong = SemanticAlignment(strength=1e9)
    for signal, wanted in ((0.0, 0.075), (0.5, 0.325), (1.0, 1.075), (2.0, 4.075)):
        close(0.5 - expected_gain(dataclasses.replace(strong, signal=signal)), wanted, 4)
    at_ten_thousand = dataclasses.replace(strong, strength=1e4)  # printed, of simulations at this strength
    printed = {0.0: 0.075, 0.5: 0.309, 1.0: 1.032, 2.0: 3.94}
    met = [0.5 - expected_gain(dataclasses.replace(at_ten_thousand, signal=signal)) for signal in printed]
    np.testing.assert_allclose(met, list(printed.values()), atol=0.002)
    np.testing.assert_allclose(float(turning_signal(strong)) ** 2, 0.425)
    np.testing.assert_allclose(0.5 - expected_gain(SemanticAlignment(strength=0.0)), 0.7778, atol=1e-4)


# ------------------------------------------------------------------------------------------------ words over shared blocks
def pairs(seed):
    rng = np.random.default_rng(seed)
    P, Q, R = rng.normal(size=(3, 3, 3))
    return np.stack([P @ Q, Q @ P]), np.stack([P @ Q, R])


def test_words_say_what_their_spectra_allow():
    """Similar pairs to rounding; others as a direct search in SciPy from many starts, and not below the trace's part."""
    similar, other = pairs(0)
    cells = [Words(jnp.asarray(maps), noise=0.0) for maps in (similar, other)]
    losses = [float(draws(cell, 4)["loss"].min()) for cell in cells]
    assert losses[0] < 1e-18 * np.sum(similar**2)  # a billionth of the maps; 7e-21 at most over twelve seeds
    rng, best = np.random.default_rng(1), np.inf
    for _ in range(12):

        def off(flat):
            P, Q = flat.reshape(2, 3, 3)
            return np.concatenate([(P @ Q - other[0]).ravel(), (Q @ P - other[1]).ravel()])

        def slopes(flat):
            (P, Q), eye = flat.reshape(2, 3, 3), np.eye(3)
            return np.block([[np.kron(eye, Q.T), np.kron(P, eye)], [np.kron(Q, eye), np.kron(eye, P.T)]])

        best = min(best, 2 * optimize.least_squares(off, rng.normal(size=18), slopes, xtol=1e-14, ftol=1e-14, gtol=1e-14).cost)
    np.testing.assert_allclose(losses[1], best, rtol=1e-8)
    assert float(trace_bound(jnp.asarray(other))) < losses[1] < 0.5 * np.sum((other[0] - other[1]) ** 2)


def test_numbers_commute():
    """With one output order says nothing: words are hard sharing, and the trace's part is all that is lost."""
    found = draws(Words(jnp.asarray([[[1.3]], [[0.4]]]), 50.0), 200)
    np.testing.assert_allclose(found["risk_multi"], found["risk_hard"], rtol=1e-6)
    np.testing.assert_allclose(draws(Words(jnp.asarray([[[1.3]], [[0.4]]]), noise=0.0), 2)["loss"], 0.81 / 2, rtol=1e-9)


@pytest.mark.parametrize(
    ("words", "saved"),
    [(((0, 1), (1, 0)), 3), (((0, 1), (0, 1)), 9), (((0,), (1,)), 0), (((0, 0), (0,)), 9), (((0, 1), (1, 2)), 0)],
)
def test_words_share_so_many_parameters(words, saved):
    assert shared_dimensions(words, np.random.default_rng(0).normal(size=(3, 3, 3))) == saved


@pytest.mark.runs_long
def test_order_saves_one_parameter_for_each_eigenvalue():
    similar, _ = pairs(3)
    found = draws(Words(jnp.asarray(similar), 1e4), 1500)
    assert abs(z_score(found["gain"], 3e-4)) < Z_LIMIT and abs(z_score(found["gain"], 9e-4)) > 10 and not found["status"].any()


def test_an_order_is_chosen_by_the_fit_to_rows():
    """Of all four words, by residuals of explicit orthonormal rows; risks on the target, and how often the right one is found."""
    blocks, rng, S = np.array([[[1.0, 0.8], [0.0, 0.9]], [[0.7, 0.0], [0.6, 1.1]]]), np.random.default_rng(15), 2000
    cell = OrderOnly(jnp.asarray(blocks), 6.0, 0.9, 0.4)
    words = {word: blocks[word[0]] @ blocks[word[1]] for word in ((0, 0), (0, 1), (1, 0), (1, 1))}
    found = []
    for _ in range(S):
        X, aside = np.linalg.qr(rng.normal(size=(6, 2)))[0] * 6**0.5, rng.normal(size=(2, 2))
        target = words[0, 1] + 0.4 * aside / np.linalg.norm(aside)
        y = X @ target + 0.9 * rng.normal(size=(6, 2))
        alone = np.linalg.lstsq(X, y, rcond=None)[0]
        chosen = min(words.values(), key=lambda W, X=X, y=y: np.sum((X @ W - y) ** 2))
        risk, best = np.sum((chosen - target) ** 2), min(np.sum((W - target) ** 2) for W in words.values())
        found.append([np.sum((alone - target) ** 2), risk, best, risk == best])
    drawn = draws(cell, 4000)
    for name, wanted in zip(("risk_single", "risk_multi", "lost", "right"), np.transpose(found), strict=True):
        agree(drawn[name], wanted)
    assert cell.choices == tuple(words)


def test_orders_that_say_the_same_and_words_that_are_none():
    commuting = OrderOnly(jnp.asarray([np.diag([1.0, 2.0]), np.diag([3.0, 0.5])]), words=((0, 1), (1, 0)))
    margins = find_statement("order-only").assume(commuting, KEY)
    assert float(commuting(key=KEY)["right"]) == 1 and margins["words of different products"] < 0
    for fields, says in (
        ({"word": (0, 2)}, "word and words must be made of blocks 0 to 1"),
        ({"word": (0,) * 13}, "words must be given for more than 4096, but is all 8192"),
        ({"blocks": np.ones((2, 2, 3))}, "blocks must be of shape .J, r, r."),
        ({"words": ((0, -1),)}, "words must be tuples of block numbers"),
    ):
        with pytest.raises(ValueError, match=says):
            untyped(OrderOnly)(**fields)


def test_equal_eigenvalues_leave_no_part_of_its_own():
    """The least part against singular values of stacked powers; maps of another unit have the same."""
    rng = np.random.default_rng(16)
    P, Q = rng.normal(size=(2, 3, 3))
    maps = np.stack([P @ Q, Q @ P])
    size = np.linalg.norm(maps[0]) / 3**0.5
    rows = [np.ravel([np.linalg.matrix_power(one / size, j) for one in maps]) for j in range(3)]
    values = np.linalg.svd(rows, compute_uv=False)
    for unit in (1.0, 1e-6, 1e6):
        np.testing.assert_allclose(own_part(Words(jnp.asarray(unit * maps))), (values[2] / values[0]) ** 2, rtol=1e-9)
    basis = P + 3 * np.eye(3)
    equal = basis @ np.diag([1.0, 1.0, 2.0]) @ np.linalg.inv(basis)
    assert own_part(Words(jnp.asarray([equal, equal]))) < 1e-12


@pytest.mark.parametrize("words", [None, ((0, 1), (1, 0))])
def test_modular_networks_are_products_of_their_blocks(words):
    """Effective parameters by a loop over blocks in NumPy; one head for all leaves the order to tell tasks apart."""
    sharing = Modular(2, 2, words, tied=True)
    params = sharing.init(KEY, Shape(2, 5, 3))
    columns, blocks, amounts, heads = (np.asarray(part) for part in params)
    assert heads.shape == (1, 3)
    for task, found in enumerate(np.asarray(sharing.linear(params))):
        layer = columns
        for mixture in amounts[task]:
            layer = layer @ (np.eye(3) + np.tensordot(mixture, blocks, 1))
        np.testing.assert_allclose(found, layer @ heads[0], atol=1e-12)
    X, relu = np.random.default_rng(0).normal(size=(4, 5)), lambda z: np.maximum(z, 0)
    seen = X @ columns
    for mixture in amounts[1]:
        seen = seen + sum(a * relu(seen @ block) for a, block in zip(mixture, blocks, strict=True))
    np.testing.assert_allclose(sharing.outputs(params, jnp.asarray(X), 1, jax.nn.relu), seen @ heads[0], atol=1e-12)


def test_blocks_that_commute_make_order_invisible():
    """Multiples of one block under one head: both orders say the same; two blocks that do not commute tell the tasks apart."""
    sharing = Modular(words="01 10", tied=True)
    params = sharing.init(KEY, Shape(2, 5, 3))
    apart = lambda blocks: np.ptp(np.asarray(sharing.linear(params._replace(blocks=blocks))), 0).max()
    same = jnp.stack([params.blocks[0], -2 * params.blocks[0]])
    assert apart(same) < 1e-15 and apart(params.blocks) > 1e-5
    statement = find_statement("order-is-a-commutator")
    cell = statement.instance("inside", np.random.default_rng(0))
    assert statement(dataclasses.replace(cell, blocks=same))(key=KEY)["margin"] < 0 < statement(cell)(key=KEY)["margin"]


def test_words_that_are_none_are_refused():
    for wrong, says in (
        ({"words": ((0, 2), (1, 0))}, "made of blocks 0 to 1"),
        ({"words": ((0,), (1, 0))}, "of 2 blocks each"),
        ({"words": ((0, -1), (1, 0))}, "tuples of block numbers"),
        ({"n_blocks": 0}, "n_blocks must be a whole number >= 1"),
    ):
        with pytest.raises(ValueError, match=says):
            Modular(**wrong)
    with pytest.raises(ValueError, match="one per task, 3"):
        Modular(words=((0, 1), (1, 0))).check(3, 1)
    with pytest.raises(ValueError, match="one map per word"):
        untyped(Words)(jnp.zeros((2, 3, 2)))


# ------------------------------------------------------------------------------------------------ heads from descriptors
@pytest.mark.parametrize("gaussian", [False, True])
def test_targets_without_rows_are_least_squares_on_lifted_rows(gaussian):
    """Rows t_k (x) x of all sources in one least squares; both against the expected risks where rows are orthonormal."""
    rng, d, S = np.random.default_rng(7), 4, 1500
    T, target = np.array([[1.0, 0.2], [0.3, 1.0], [-0.5, 0.8]]), np.array([0.7, -0.6])
    cell = ZeroShot(jnp.asarray(T), jnp.asarray(target), 15.0, 12.0, 0.8, 0.5, d, gaussian)
    draw = lambda n: rng.normal(size=(n, d)) if gaussian else np.linalg.qr(rng.normal(size=(n, d)))[0] * n**0.5
    found = []
    for _ in range(S):
        M, aside = rng.normal(size=(d, 2)) / np.sqrt(2 * d), rng.normal(size=d)
        truth = M @ target + 0.5 * aside / np.linalg.norm(aside)
        rows = [draw(15) for _ in T]
        lifted = np.concatenate([np.kron(t, X) for t, X in zip(T, rows, strict=True)])
        y = np.concatenate([X @ M @ t + 0.8 * rng.normal(size=15) for t, X in zip(T, rows, strict=True)])
        learned = np.linalg.lstsq(lifted, y, rcond=None)[0].reshape(2, d).T
        own = draw(12)
        alone = np.linalg.lstsq(own, own @ truth + 0.8 * rng.normal(size=12), rcond=None)[0]
        found.append([np.sum((alone - truth) ** 2), np.sum((learned @ target - truth) ** 2)])
    drawn = draws(cell, S)
    for name, wanted in zip(("risk_single", "risk_multi"), np.transpose(found), strict=True):
        agree(drawn[name], wanted, 1.3)
        if not gaussian:
            assert abs(z_score(drawn[name], float(expected_risks(cell)[name]))) < Z_LIMIT
    wanted = target @ np.linalg.inv(T.T @ T) @ target
    np.testing.assert_allclose(leverage(jnp.asarray(T), jnp.asarray(target)), wanted)
    told = dataclasses.replace(cell, misfit=0.0)
    even = dataclasses.replace(told, n_own=float(worth_in_rows(told)))
    np.testing.assert_allclose(*expected_risks(even).values(), rtol=1e-12)


def test_descriptors_that_do_not_span():
    line, off = jnp.asarray([[1.0, 0.0], [2.0, 0.0]]), jnp.asarray([1.0, 1.0])
    assert not identified(line, off) and identified(line, jnp.asarray([3.0, 0.0]))
    found = ZeroShot(line, off)(key=KEY)
    assert int(found["status"]) == Status.degenerate and np.isnan(found["gain"]) and np.isfinite(found["risk_single"])
    on = draws(ZeroShot(line, jnp.asarray([1.0, 0.0])), 800)
    assert abs(z_score(on["risk_multi"], 20 / 100 / 5)) < Z_LIMIT and not on["status"].any()
    with pytest.raises(ValueError, match="like a descriptor"):
        untyped(ZeroShot)(line, jnp.asarray([1.0]))
    with pytest.raises(ValueError, match="n_own must be at least 22"):
        ZeroShot(line, off, gaussian=True, n_own=20.0)


def test_descriptors_of_any_scale():
    """Coordinates a billion apart, by QR of the descriptors; float32; scales whose squares leave no digits."""
    T, t = np.array([[1e6, 0.01], [2e6, 0.05], [3e6, 0.02], [5e6, 0.09]]), np.array([4e6, 0.07])
    wanted = np.sum(np.linalg.solve(np.linalg.qr(T)[1].T, t) ** 2)
    np.testing.assert_allclose(leverage(jnp.asarray(T), jnp.asarray(t)), wanted, rtol=1e-9)
    np.testing.assert_allclose(best_design(1e-10 * T, 1e-10 * t)[1], best_design(T, t)[1], rtol=1e-9)
    near = draws(ZeroShot(((1.0, 0.0), (1.0, 1e-8)), (0.0, 1.0), n_features=5), 50)
    assert np.mean(near["risk_multi"]) > 1e12 and not near["status"].any()
    rng = np.random.default_rng(11)
    for _ in range(20):
        T, t = (jnp.asarray(part, jnp.float32) for part in (rng.normal(size=(5, 3)), rng.normal(size=3)))
        flat = jnp.asarray(rng.normal(size=(5, 2)) @ rng.normal(size=(2, 3)), jnp.float32)
        assert identified(T, t) and not identified(flat, t)
    assert np.isnan(worth_in_rows(ZeroShot(((1.0, 0.0),), (1.0, 1.0))))


NEAR_A_TURN = LabelShift(400.0, 40.0, separation=1.0, n_features=80), LabelShift(800.0, 80.0, separation=1.5, n_features=80)
OUTSIDE_OF = {
    "groups-apart": [
        Groups(mtl.LinearTasks(6, (30, 30), cosine=1.0)),
        Groups(mtl.LinearTasks(6, (30, 30, 30, 30), cosine=1.0)),
        Groups(mtl.LinearTasks(6, (30, 30, 30), cosine=1.0, noise=(5, 1, 1))),
    ],
    "order-shares-a-spectrum": [
        Words(words=((0,), (1,))),
        Words(words=((0, 1), (0, 1))),
        Words(jnp.stack([jnp.eye(2)] * 2), noise=0.1),
        Words(jnp.asarray([[[2.0]], [[2.0]]]), noise=0.1),
        Words(jnp.stack([jnp.diag(jnp.asarray([1.0, 1.0, 2.0]))] * 2), noise=0.01),
        Words(jnp.stack([jnp.eye(2)] * 3), words=((0, 1), (1, 0), (0, 0))),
    ],
    "words-sign": [Words(words=((0, 1), (0, 1))), Words(jnp.stack([jnp.eye(2), 1.08 * jnp.eye(2)]), noise=0.6)],
    "trace-of-words": [Words(words=((0,), (1,)))],
    "order-only": [OrderOnly(), OrderOnly(words=((0, 1), (1, 0)), noise=0.01)],
    "order-only-sign": [
        OrderOnly(misfit=0.01, noise=0.01, words=((1, 0), (0, 0))),
        OrderOnly(misfit=0.1, noise=1.0, n_samples=3.0),
    ],
    "label-shift-cost": [
        LabelShift(5e8, 5e8, 0.65, 0.5, 0.1, 4),
        LabelShift(5e6, 5e6, 0.501, 0.5, 1.0, 4),
        LabelShift(9e8, 1e8, 0.99, 0.5, 8.0, 4),
    ],
    "label-shift-errors": [
        LabelShift(400.0, 200.0, 0.6, 0.5, 4.0, 160),
        LabelShift(34.0, 34.0, 0.5, 0.5, 1.0, 80),
        LabelShift(4000.0, 80.0, 0.5, 0.5, 1.9, 80),
    ],
    "label-shift-sign": [label_shift_sign.with_shift(cell, 1.02 * label_shift_sign.turning_shift(cell)) for cell in NEAR_A_TURN],
    "price-of-safety": [SafeSharing(strength, 30.0, "norm", 30, 40) for strength in (0.9, 1.05)],
    "shared-feature": [
        DiagonalNetwork(0.05, preference=4.0),
        DiagonalNetwork(0.05, positive=1.0),
        DiagonalNetwork(0.05, related=0.0),
    ],
    "tide-turns": [TwoGates(-1.0, 0.19)],
    "harder-gain-more": [TwoNoises(1000.0, 0.0, 2.0)],
    "semantic-alignment": [SemanticAlignment(1e10, 20.0, 0.1, 1.0, 1e9), SemanticAlignment(1e6, 20.0, 1e-4, 50.0, 6e8, 0.001)],
    "zero-shot-sign": [ZeroShot(noise=0.0), ZeroShot(((1.0, 0.0),), (1.0, 1.0))],
}


@pytest.mark.parametrize("name", OUTSIDE_OF)
def test_what_a_statement_does_not_speak_of_is_outside_its_assumptions(name):
    """Cells for which its numbers are wrong, or whose shape it does not know."""
    for cell in OUTSIDE_OF[name]:
        assert float(find_statement(name)(cell)(key=KEY)["margin"]) <= 0


@pytest.mark.parametrize("share, separation", [(0.9, 0.2), (0.99, 0.05), (0.5, 1.0), (0.9, 3.0), (0.99, 14.0)])
def test_the_cost_of_label_shift_is_off_by_no_more_than_it_says(share, separation):
    """Errors of both thresholds without end of rows, by quadrature between them; a tenth of the stated error is too little."""
    offs = []
    for shift in (0.002, 0.01, 0.05, 0.1, 0.19):
        cell = LabelShift(1e12 * share, float(round(1e12 * (1 - share))), 0.5 + shift, 0.5, separation, 1)
        if label_shift_cost.assume(cell, None)["a small move of the threshold"] <= 0:
            continue
        seen = 0.5 + share * shift
        move = np.log(seen / (1 - seen)) / (2 * separation)
        slope = lambda t: stats.norm.pdf(separation) * np.exp(-(t**2) / 2) * np.sinh(t * separation)
        excess = integrate.quad(slope, 0, move, epsabs=0, epsrel=1e-10)[0]
        offs.append(abs(excess / float(label_shift_cost.predict(cell, None)["excess"]) - 1) / label_shift_cost.trust(cell))
    assert offs and 0.1 < max(offs) < 1


@pytest.mark.parametrize("rows, separation", [((96.0, 54.0), 1.49), ((240.0, 80.0), 1.3)])
def test_errors_under_label_shift_are_off_by_no_more_than_they_say(rows, separation):
    """At the fewest rows and largest separation that are taken, where the error is largest; a third of it is too little."""
    cell = LabelShift(*rows, 0.5, 0.5, separation, 80)
    assert float(find_statement("label-shift-errors")(cell)(key=KEY)["margin"]) > 0
    drawn, known = draws(cell, 3000), expected_errors(cell)
    off = max(abs(np.mean(drawn[name]) / float(known[name]) - 1) for name in known)
    trust = find_statement("label-shift-errors").trust(cell)
    assert trust / 4 < off < trust


def test_rows_are_best_collected_where_a_linear_program_says():
    """Against a search over allocations; a copy of the target alone costs one, its half four times as much."""
    rng = np.random.default_rng(8)
    T, target = rng.normal(size=(4, 2)), rng.normal(size=2)
    shares, price = best_design(T, target)
    pay = lambda weights: target @ np.linalg.solve(T.T @ (weights[:, None] * T) + 1e-12 * np.eye(2), target)
    tried = [pay(weights) for weights in rng.dirichlet(0.3 * np.ones(4), 20_000)]
    assert min(tried) >= price * (1 - 1e-9) and min(tried) < 1.02 * price
    np.testing.assert_allclose(pay(shares), price, rtol=1e-6)
    np.testing.assert_allclose(best_design(np.stack([target, T[0]]), target)[1], 1.0)
    np.testing.assert_allclose(best_design(target[None] / 2, target)[1], 4.0)
    with pytest.raises(ValueError, match="in the span of the descriptors"):
        best_design(np.eye(1, 2), np.array([0.0, 1.0]))


@pytest.mark.parametrize(
    "cell",
    [
        {"kind": "label-shift", "prior_source": 0.8},
        {"kind": "semantic-alignment"},
        {"kind": "words", "maps": [[[1.0, 0.0], [0.0, 2.0]], [[2.0, 0.0], [1.0, 1.0]]]},
        {"kind": "zero-shot", "descriptors": [[1.0, 0.0], [0.0, 1.0]], "target": [1.0, 1.0]},
    ],
)
def test_neighbours_are_swept_from_a_file(cell):
    built, grid = build({"cell": cell, "grid": {"n_target" if cell["kind"] != "words" else "noise": [20.0, 40.0]}})
    assert grid and np.isfinite(float(built(key=KEY)["gain"]))


def test_groups_are_swept_from_a_file():
    varied = [{"kind": "diagonal", "variances": [1.0, spread, 1.0]} for spread in (0.1, 4)]
    design = [varied[0], {"kind": "isotropic"}, varied[1]]
    tasks = {"n_features": 3, "n_samples": [60, 30, 12], "cosine": [0.9, 1.0], "design": design}
    built, _ = build({"tasks": tasks, "cell": {"kind": "groups", "share": 0.7}})
    assert np.isfinite(float(built(key=KEY)["gap_closed"]))


# ------------------------------------------------------------------------------------------------ merging fits
@pytest.mark.parametrize("rule", ["best", "rows", "mean"])
def test_merged_fits_are_least_squares_of_rows(rule):
    """Fits of explicit orthonormal rows; the best share by a scan over shares of the same samples."""
    rng, S, cell = np.random.default_rng(9), 3000, Merged(30.0, 12.0, 0.6, 0.8, rule, 3)
    fits = []
    for _ in range(S):
        pair = []
        for n, theta in ((30, np.array([0.6, 0, 0])), (12, np.zeros(3))):
            X = np.linalg.qr(rng.normal(size=(n, 3)))[0] * n**0.5
            pair.append(np.linalg.lstsq(X, X @ theta + 0.8 * rng.normal(size=n), rcond=None)[0])
        fits.append(pair)
    source, target = np.moveaxis(np.array(fits), 1, 0)
    share = float(cell.share)
    risks = lambda c: np.sum(((1 - c) * target + c * source) ** 2, 1)
    drawn = draws(cell, S)
    agree(drawn["risk_multi"], risks(share))
    agree(drawn["risk_single"], risks(0.0))
    if rule == "best":
        assert np.mean(risks(share)) < min(np.mean(risks(c)) for c in np.linspace(0, 1, 101)) * 1.002
        np.testing.assert_allclose(effective_rows(cell), 1 / (1 / 30 + 0.36 / (0.64 * 3)))
    np.testing.assert_allclose(
        drawn["worth"].mean() - drawn["gain"].mean(), 0.64 * 3 / 12 - drawn["risk_single"].mean(), atol=1e-12
    )


def test_sums_of_task_vectors():
    """Four tasks at a common cosine of one half: six times the base's risk added as they are, .375 at a quarter of it."""
    for scale, wanted in ((1.0, 6.0), (0.25, 0.375)):
        np.testing.assert_allclose(draws(TaskVectors(scale, noise=0.0), 2)["risk_multi"], wanted)
    cell = TaskVectors(0.3, 0.2, 20.0, 0.7, 3, 5)
    rng, S = np.random.default_rng(10), 3000
    thetas = np.c_[np.linalg.cholesky(0.8 * np.eye(3) + 0.2), np.zeros((3, 2))]
    risks = []
    for _ in range(S):
        X = [np.linalg.qr(rng.normal(size=(20, 5)))[0] * 20**0.5 for _ in thetas]
        fits = [np.linalg.lstsq(A, A @ t + 0.7 * rng.normal(size=20), rcond=None)[0] for A, t in zip(X, thetas, strict=True)]
        risks.append(np.mean(np.sum((0.3 * np.sum(fits, 0) - thetas) ** 2, 1)))
    agree(draws(cell, S)["risk_multi"], risks)
    scales = [factor * float(best_scale(cell)) for factor in (0.7, 1, 1.3)]
    around = [np.mean(draws(dataclasses.replace(cell, scale=scale), 800)["risk_multi"]) for scale in scales]
    assert around[1] == min(around)
    with pytest.raises(ValueError, match="cosine must be from -0.3333"):
        TaskVectors(cosine=-0.5)


# ------------------------------------------------------------------------------------------------ a layer from many tasks
def test_a_layer_from_many_tasks_is_that_of_rows():
    """Hard sharing of rank two on explicit orthonormal rows: the best layer by the singular vectors of fitted labels."""
    rng, S, heads, target = np.random.default_rng(12), 1500, np.array([[1.0, 0.3], [0.2, 0.8], [-0.5, 1.0]]), np.array([0.6, -0.9])
    cell = Representation(heads, target, 40.0, 12.0, 0.6, 6)
    found = []
    for _ in range(S):
        X, Z = (np.linalg.qr(rng.normal(size=(n, 6)))[0] * n**0.5 for n in (40, 12))
        B = np.eye(6)[:, :2]
        fits = np.linalg.lstsq(X, X @ B @ heads.T + 0.6 * rng.normal(size=(40, 3)), rcond=None)[0]
        layer = np.linalg.svd(X @ fits, full_matrices=False)[2]  # heads of the best rank two, then its layer
        shown = np.linalg.qr(fits @ layer[:2].T)[0]
        y = Z @ B @ target + 0.6 * rng.normal(size=12)
        together = shown @ np.linalg.lstsq(Z @ shown, y, rcond=None)[0]
        alone = np.linalg.lstsq(Z, y, rcond=None)[0]
        truth = B @ target
        missed = np.sum((truth - shown @ (shown.T @ truth)) ** 2)
        found.append([np.sum((alone - truth) ** 2), np.sum((together - truth) ** 2), missed])
    drawn = draws(cell, S)
    for name, wanted in zip(("risk_single", "risk_multi", "missed"), np.transpose(found), strict=True):
        agree(drawn[name], wanted)
    np.testing.assert_allclose(
        diversity_cost(jnp.asarray(heads), jnp.asarray(target)), target @ np.linalg.inv(heads.T @ heads) @ target
    )
    alike = draws(Representation(np.ones((3, 2)), target, noise=0.0), 2)  # one direction where two are asked for
    assert np.isnan(alike["risk_multi"]).all() and (alike["status"] == Status.degenerate).all()
    with pytest.raises(ValueError, match="K >= r >= 1"):
        Representation(np.ones((1, 2)), target)


# ------------------------------------------------------------------------------------------------ safe sharing
@pytest.mark.parametrize("length", [0.0, 0.3, 1.0, 3.0])
def test_no_centre_and_no_estimates_are_better_than_those_pulled_by_the_norm(length):
    """The penalised sum against a search of SciPy, and no task moves by more than the length."""
    rng = np.random.default_rng(0)
    seen = rng.normal(size=(6, 4)) + 8.0 * (np.arange(6) == 5)[:, None]

    def cost(estimates, centre):
        return np.sum((estimates - seen) ** 2) / 2 + length * np.linalg.norm(estimates - centre, axis=1).sum()

    def huber(centre):
        far = np.linalg.norm(seen - centre, axis=1)
        return np.where(far <= length, far**2 / 2, length * far - length**2 / 2).sum()

    pulled, moving = pull_by_norm(jnp.asarray(seen), jnp.asarray(length))
    best = min((optimize.minimize(huber, start, tol=1e-12) for start in (*seen, seen.mean(0))), key=lambda found: found.fun)
    mine = np.asarray(pulled)
    assert not moving and cost(mine, best.x) <= best.fun * (1 + 1e-7) + 1e-12
    assert np.all(np.linalg.norm(mine - seen, axis=1) <= length * (1 + 1e-12))
    for _ in range(200):
        assert cost(mine + 1e-3 * rng.normal(size=mine.shape), best.x + 1e-3 * rng.normal(size=4)) >= best.fun * (1 - 1e-7)


def test_under_a_square_no_outlier_is_safe():
    """Mean risks in expectation: (1 - c)^2 + c (2 - c) / K, and the square of what the mean is off."""
    K, off, drift, strength = 5, 1, 4.0, 1.5
    cell = SafeSharing(strength, drift, penalty="square", n_features=8, n_tasks=K, n_outliers=off)
    found = draws(cell, 4000)
    c = strength / (1 + strength)
    spread = (1 - c) ** 2 + c * (2 - c) / K
    for name, away in (("clean", off / K), ("outlier", 1 - off / K)):
        assert abs(z_score(found[name], spread + (c * away * drift) ** 2)) < Z_LIMIT
        assert abs(z_score(found[name], spread + (c * away * drift) ** 2 * 1.1)) > Z_LIMIT


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"n_outliers": 5}, "n_outliers must be from 1 to less than half of n_tasks = 10, but is 5; use 1"),
        ({"penalty": "cube"}, "penalty must be"),
        ({"strength": -1.0}, "strength must be a number >= 0, but is -1.0"),
    ],
)
def test_unsafe_sharing_is_refused(fields, sentence):
    with pytest.raises(ValueError, match=sentence):
        SafeSharing(**fields)
