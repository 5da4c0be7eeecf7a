"""Intervals of a mean gain: they cover near interpolation, they stand skewness, and where none can cover none is given."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import stats

import mtlsim as mtl
from mtlsim.cells.attribute_selection import AttributeSelection
from mtlsim.cells.groups import Groups
from mtlsim.cells.orthonormal_rows import OrthonormalRows
from mtlsim.cells.representation import Representation
from mtlsim.cells.tails import compare_with_expectation
from mtlsim.core.mean_gain import add_up, join
from mtlsim.core.status import Status, worst
from mtlsim.core.verdict import decide, level_of_looks, summarise, summarise_sums
from mtlsim.plots.style import NO_INTERVAL

KEY = jax.random.key(5)
REPETITIONS = 2000
SIDE = 4 * np.sqrt(0.04 * 0.96 / REPETITIONS)  # of a share of 4 %, four standard errors
D, N_SOURCE, ISOTROPIC = 8, 40, mtl.Spiked(1.0)


def on_the_boundary(n_target):
    """Pooling with the distance at which the closed form of both risks is equal: the true gain is zero.

    E risk of pooling = noise^2 d / (n - d - 1) + distance^2 (c n_1^2 + g n_1), n = n_1 + n_2, by moments of the inverse Wishart.
    """
    n, n_1 = N_SOURCE + n_target, N_SOURCE
    below = n * (n - 1) * (n + 2) * (n - D - 1)
    c, g = (n * n - (2 * D + 1) * n + 2) / below, ((D + 1) * n * n - (D + 5) * n + 2 * (D + 1)) / below
    parameters = np.zeros((2, D))
    parameters[0, 0] = np.sqrt((D / (n_target - D - 1) - D / (n - D - 1)) / (c * n_1 * n_1 + g * n_1))
    return mtl.Transfer(mtl.LinearTasks(D, (N_SOURCE, n_target), parameters=parameters, design=ISOTROPIC), sharing="pooled")


def shares(gain, control, n_seeds, truth=0.0):
    """How many of the repetitions have an interval above the truth, and below."""
    parts = [values[: REPETITIONS * n_seeds].reshape(REPETITIONS, n_seeds) for values in (gain, control)]
    found = summarise(parts[0], control=parts[1])
    return np.mean(found["low"] > truth), np.mean(found["high"] < truth)


@pytest.mark.parametrize("away", [2, 3, 6, 30])
@pytest.mark.runs_long
def test_intervals_cover_a_gain_of_zero_near_interpolation_on_both_sides(away):
    data = mtl.sweep(on_the_boundary(D + away), {}, 50 * REPETITIONS, KEY, progress=False)
    gain, control = data.gain.values, data.control.values
    for n_seeds in (20, 50):
        above, below = shares(gain, control, n_seeds)
        assert max(above, below) < 0.04 + SIDE and 0.93 - SIDE < 1 - above - below < 0.97 + SIDE
    if away <= 3:  # the same without what is known of the risk alone
        above, below = shares(gain, 0 * control, 20)
        assert above < 0.01 and below > 0.08


def test_a_gain_that_is_known_stays_what_it_is():
    """With as many columns as tasks nothing is shared, at the edge of interpolation too."""
    cell = mtl.Transfer(mtl.LinearTasks(6, (20, 7)), rank=2)
    data = mtl.sweep(cell, {"tasks.n_samples[1]": [6, 7, 8, 20]}, 20, KEY, progress=False)
    assert (data.gain_mean == 0).all() and (data.gain_high == 0).all() and (data.gain_low == 0).all()


def test_sums_are_those_of_the_draws_and_join_in_any_order():
    rng = np.random.default_rng(0)
    gain, control = rng.exponential(size=(2, 3, 60))
    gain[0, 5], gain[2] = np.nan, np.nan
    status = np.zeros((3, 60), int)
    status[1, 3] = Status.heavy_tailed
    steep = np.zeros((3, 60))
    steep[2, 1:9] = 1
    drawn = gain, control, status, steep
    whole = add_up(*drawn)
    pieces = [add_up(*(one[:, part] for one in drawn)) for part in (slice(7), slice(7, 8), slice(8, 60))]
    np.testing.assert_allclose(join(join(*pieces[:2]), pieces[2]), whole, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(join(pieces[2], join(pieces[1], pieces[0])), whole, rtol=1e-10, atol=1e-10)
    np.testing.assert_array_equal(whole[:, :2], [[0, 0], [1, 0], [0, 8]])
    kept = np.isfinite(gain[0])
    away = [values[0, kept] - values[0, kept].mean() for values in (gain, control)]
    units = [2.0 ** np.ceil(np.log2(np.abs(one).max())) for one in away]
    np.testing.assert_array_equal(whole[0, 4:6], np.log2(units))
    away = [one / unit for one, unit in zip(away, units, strict=True)]
    for i, j in [(i, k - i) for k in (0, 2, 3, 4) for i in range(k + 1)]:
        np.testing.assert_allclose(whole[0, 6 + 5 * i + j], np.sum(away[0] ** i * away[1] ** j), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("size", "other", "steep"),  # a slope of one has the unit of both
    [(1e150, 1.0, False), (1.0, 1e-200, False), *itertools.product((1e90, 1e-90, 1e200, 1e-250), (None,), (False, True))],
)
def test_estimates_are_the_same_in_any_unit(size, other, steep):
    """With what spreads with the control, and skewness: whole and joined of pieces, one of a single draw, one of none."""
    other = other or size
    rng = np.random.default_rng(0)
    control = rng.exponential(size=(1, 40)) - 1
    gain = 0.3 + control * (0.5 + rng.normal(size=(1, 40))) ** 2
    marks = np.full((1, 40), float(steep))
    plain = summarise_sums(add_up(gain, control, None, marks))
    parts = [
        add_up(size * gain[:, part], other * control[:, part], None, marks[:, part]) for part in map(slice, (0, 1, 15), (1, 15, 40))
    ]
    whole = add_up(size * gain, other * control, None, marks)
    for sums in (whole, join(join(np.zeros_like(whole), parts[0]), join(parts[1], parts[2]))):
        found = summarise_sums(sums)
        for name in ("mean", "standard_error", "low", "high"):
            np.testing.assert_allclose(found[name] / size, plain[name], rtol=1e-9)


def leverage_consistent(gain, control):
    """Standard error of the intercept by the sandwich on rows, its residuals raised to first order in the leverage, and in full."""
    n, design = len(gain), np.stack([np.ones(len(gain)), control], 1)
    inverse = np.linalg.inv(design.T @ design)
    left = gain - design @ inverse @ design.T @ gain
    influence, leverage = (design @ inverse)[:, 0], np.einsum("ij,jk,ik->i", design, inverse, design)
    raised = influence**2 * (1 + 2 / n) + 2 * (leverage - 1 / n) / n**2
    return np.sqrt(np.sum(raised * left**2)), np.sqrt(np.sum((influence * left / (1 - leverage)) ** 2))


def test_residuals_that_spread_with_the_control_make_the_error_larger():
    """By the sandwich on rows, within a few percent of all of HC3 where no draw has much leverage; else the usual error stays."""
    rng = np.random.default_rng(6)
    control = rng.normal(size=400)
    gain = 1 + control * (0.5 + rng.normal(size=400))
    found = summarise(gain, control=control)["standard_error"]
    first, full = leverage_consistent(gain, control)
    np.testing.assert_allclose(found, first, rtol=1e-10)
    np.testing.assert_allclose(found, full, rtol=0.03)
    even = 1 + 0.5 * control + np.resize([0.1, -0.1], 400)
    design = np.stack([np.ones(400), control], 1)
    squares = np.linalg.lstsq(design, even, rcond=None)[1][0]
    usual = np.sqrt(squares / 398 * np.linalg.inv(design.T @ design)[0, 0])
    np.testing.assert_allclose(summarise(even, control=control)["standard_error"], usual, rtol=0.005)


def test_intervals_cover_where_what_is_left_spreads_with_the_risk_alone():
    """Hard sharing of noisy tasks six rows above the peak, 50 seeds: by the usual error alone a tenth of the intervals miss."""
    cell = mtl.Transfer(mtl.LinearTasks(8, (60, 14), noise=5.0, cosine=0.9))
    data = mtl.sweep(cell, {}, 100_000, KEY, progress=False)
    gain, control = data.gain.values, data.control.values
    truth = float(summarise(gain, control=control)["mean"])
    parts = [values.reshape(-1, 50) for values in (gain, control)]
    found = summarise(parts[0], control=parts[1])
    above, below = np.mean(found["low"] > truth), np.mean(found["high"] < truth)
    assert 0.92 < 1 - above - below < 0.97 and max(above, below) < 0.05
    fits = [stats.linregress(c, g) for g, c in zip(*parts, strict=True)]
    away = np.array([(fit.intercept - truth) / fit.intercept_stderr for fit in fits])
    assert np.mean(np.abs(away) > stats.t.ppf(0.975, 48)) > 0.08, "this case shows nothing"


def test_the_estimate_is_the_intercept_of_a_regression_on_the_control():
    rng = np.random.default_rng(1)
    control = rng.normal(size=30)
    gain = 2 + 0.7 * control + 0.1 * rng.normal(size=30)
    design = np.stack([np.ones(30), control], 1)
    coefficients, squares, *_ = np.linalg.lstsq(design, gain, rcond=None)
    found = summarise(gain, 0.9, control)
    np.testing.assert_allclose(found["mean"], coefficients[0], rtol=1e-12)
    error = max(np.sqrt(squares[0] / 28 * np.linalg.inv(design.T @ design)[0, 0]), leverage_consistent(gain, control)[0])
    np.testing.assert_allclose(found["standard_error"], error, rtol=1e-10)
    skewness = stats.skew(gain - design @ coefficients) / np.sqrt(30)
    for end, side in (("low", 1), ("high", -1)):
        t = (found["mean"] - found[end]) / error
        bent = t + skewness * t**2 / 3 + skewness**2 * t**3 / 27 + skewness / 6
        np.testing.assert_allclose(bent, side * stats.t.ppf(0.95, 28), rtol=1e-8)


def test_where_the_gain_bends_nothing_is_fitted_and_the_interval_holds_the_fitted_one():
    """The mean is that of gain - control; without that control its interval is that of `scipy.stats` turned; never narrower."""
    rng = np.random.default_rng(3)
    control = rng.standard_exponential(25) - 1
    gain = 1 + 0.3 * control**2 + 0.2 * rng.normal(size=25)
    found = summarise(gain, 0.9, control, steep=np.ones(25))
    fitted, plain = summarise(gain, 0.9, control), summarise(gain - control, 0.9)
    np.testing.assert_allclose(found["mean"], np.mean(gain - control), rtol=1e-12)
    np.testing.assert_allclose(found["standard_error"], stats.sem(gain - control), rtol=1e-10)
    np.testing.assert_allclose(found["low"], min(fitted["low"], plain["low"]), rtol=1e-10)
    np.testing.assert_allclose(found["high"], max(fitted["high"], plain["high"]), rtol=1e-10)
    assert plain["high"] != found["high"] or plain["low"] != found["low"], "the fitted slope adds nothing here"
    one = summarise(gain, 0.9, control, steep=np.eye(25)[7])  # as of cells whose draws are not all of one kind
    assert one["low"] == found["low"]
    still = summarise(np.zeros(5), 0.9, rng.normal(size=5), steep=np.ones(5))
    assert still["low"] == still["high"] == 0, "a gain that is known stays what it is"


PULLED = {
    "mean-regularised": mtl.LinearTasks(4, (12, 10, 7), cosine=(0.6, -0.2), relation="same"),
    "soft": mtl.LinearTasks(4, (12, 7), cosine=0.6, relation="same"),
    "from-source": mtl.LinearTasks(4, (12, 7), cosine=0.6, relation="same"),
}


@pytest.mark.parametrize("sharing", PULLED)
def test_intervals_of_a_pull_cover_near_the_peak(sharing):
    """At n = d + 3 and strength one, 20 seeds: a fitted slope alone puts a tenth of the intervals below the mean."""
    data = mtl.sweep(mtl.Transfer(PULLED[sharing], sharing=sharing), {}, 8000, KEY, progress=False)
    truth = 4 / (7 - 4 - 1) - data.risk_multi.values.mean()  # the expected risk alone is known
    parts = [data[name].values.reshape(-1, 20) for name in ("gain", "control", "status", "steep")]
    found, fitted = summarise(parts[0], 0.95, *parts[1:]), summarise(parts[0], 0.95, *parts[1:3])
    assert np.mean(fitted["high"] < truth) > 0.08, "this case shows nothing"
    assert np.mean(found["low"] > truth) < 0.04 and np.mean(found["high"] < truth) < 0.03
    assert np.median(found["high"] - found["low"]) < 3 * np.median(fitted["high"] - fitted["low"]), "not by being endless"


def test_which_draws_are_steep():
    """Those of a pull, within 15 rows above the peak and 7 below, where something is shared and the expected risk is known."""
    straight = {name for name in mtl.sharing.sharing_names() if not mtl.sharing.find_sharing(name).bends}
    assert straight == {"pooled", "hard", "frozen"}
    for n, steep in {2: 0, 3: 1, 8: 1, 9: 0, 11: 0, 12: 1, 25: 1, 26: 0}.items():
        for bends in (True, False):
            tasks = mtl.LinearTasks(10, (40, n), design=ISOTROPIC).draw(key=KEY)
            assert compare_with_expectation(jnp.array(1.0), tasks, -1, 0.0, bends)[1] == steep * bends, (n, bends)
    student = mtl.LinearTasks(10, (40, 14), rows="student").draw(key=KEY)
    assert compare_with_expectation(jnp.array(1.0), student, -1, 0.0, True)[1] == 0
    near = mtl.LinearTasks(10, (40, 14))
    assert mtl.Transfer(near, sharing="soft")(key=KEY).steep == 1
    assert mtl.Transfer(near, sharing="adapters(sequential=True)")(key=KEY).steep == 0, "nothing is shared"


def test_without_skewness_and_control_the_interval_is_student_s():
    gains = np.array([-3.0, -1.0, 0.0, 1.0, 3.0]) + 1
    found = summarise(gains)
    np.testing.assert_allclose([found["low"], found["high"]], stats.t.interval(0.95, 4, 1.0, stats.sem(gains)))


def test_skewed_gains_are_covered_on_both_sides():
    """Exponential gains, 20 draws: Student's interval lies below the mean in more than 6 %, with Hall's ends in less than 5 %."""
    gains = np.random.default_rng(2).exponential(size=(20_000, 20))
    found, error = summarise(gains), stats.sem(gains, axis=1)
    assert np.mean(gains.mean(1) + stats.t.ppf(0.975, 19) * error < 1) > 0.06
    assert np.mean(found["high"] < 1) < 0.05 and np.mean(found["low"] > 1) < 0.04


def test_the_largest_of_gains_do_not_overflow():
    for size in (1e-140, 1e120, 1e140):
        found = summarise(size * np.array([1.0, 2.0, 4.0, 1.5]))
        assert np.isfinite([found["low"], found["high"]]).all() and found["low"] < found["mean"] < found["high"]


@pytest.mark.parametrize(("n_looks", "limit"), [(2, 2.178), (3, 2.289), (5, 2.413), (10, 2.555), (20, 2.672)])
def test_looks_have_the_level_of_the_published_table(n_looks, limit):
    """Pocock's critical values for a total of 5 %."""
    assert abs(stats.norm.isf((1 - level_of_looks(0.95, n_looks)) / 2) - limit) < 6e-4


def test_one_look_has_the_level_and_many_have_more_than_bonferroni():
    assert level_of_looks(0.9, 1) == 0.9
    for n_looks in (2, 30, 400):
        assert 0.95 < level_of_looks(0.95, n_looks) < 1 - 0.05 / n_looks


def heavy(cell, **grid):
    data = mtl.sweep(cell, {name.replace("__", "."): values for name, values in grid.items()}, 4, KEY, progress=False)
    return (data.status == Status.heavy_tailed).any("seed"), data


TASKS = mtl.LinearTasks(6, (60, 20), design=ISOTROPIC)


@pytest.mark.parametrize(
    ("options", "tasks", "rows", "wanted"),  # as many rows where one program can do for several
    [
        ({"sharing": "pooled"}, {}, [3, 4, 5, 6, 7, 8, 9], [False, False, True, True, True, False, False]),
        ({"sharing": "pooled"}, {"design": mtl.Spiked(9.0)}, [2, 3, 4, 5, 7, 8, 9], [False, True, True, True, True, False, False]),
        ({"sharing": "pooled"}, {"rows": "student"}, [2, 3, 9, 10], [False, True, True, False]),
        ({"sharing": "pooled"}, {"noise": 0.0}, [3, 4, 5, 6, 7, 8, 9], [False] * 7),
        ({"sharing": "pooled", "ridge": (0.0, 0.1)}, {}, [6, 7], [False, False]),
        ({"sharing": "mean-regularised"}, {}, [7, 8], [True, False]),
        ({"sharing": "mean-regularised"}, {"rows": "student"}, [1, 13, 14], [False, True, False]),
        ({"sharing": "soft"}, {"n_samples": (3, 20), "design": ISOTROPIC}, [1, 2, 20], [True, True, False]),
        ({"sharing": "adapters"}, {"n_samples": (3, 20)}, [2, 20], [True, False]),
        ({"rank": 2}, {}, [6, 7], [False, False]),
        ({"sharing": "frozen"}, {}, [4, 6, 20], [True, True, False]),
        ({}, {}, [6, 7, 10, 20], [True, True, False, False]),
        ({}, {"n_samples": (1000, 20)}, [6, 9, 12, 20], [True, False, False, False]),
        ({}, {"n_samples": (3, 20)}, [4, 5, 7, 20], [True, True, True, False]),
    ],
)
def test_cells_near_interpolation_have_no_interval(options, tasks, rows, wanted):
    cell = mtl.Transfer(dataclasses.replace(TASKS, **tasks) if tasks else TASKS, **options)
    found, data = heavy(cell, **{"tasks__n_samples[1]": rows})
    assert found.values.tolist() == wanted
    assert (np.isinf(data.gain_high) == found).all() and (data.gain_sign.values[found] == 0).all()
    assert np.isfinite(data.gain).all()


def test_rows_that_all_share_interpolate_where_one_task_does():
    cell = mtl.Transfer(mtl.LinearTasks(6, (9, 9), design=ISOTROPIC, shared_covariates=True), sharing="pooled")
    assert cell(key=KEY).status == Status.heavy_tailed
    far = mtl.LinearTasks(6, (20, 20), design=ISOTROPIC, shared_covariates=True)
    assert mtl.Transfer(far, sharing="pooled")(key=KEY).status == Status.ok


def test_what_is_known_of_the_risk_alone_is_its_expectation():
    """The control is the risk less noise^2 d / (n - d - 1), which is known where its variance is infinite too."""
    data = mtl.sweep(mtl.Transfer(TASKS, sharing="pooled"), {"tasks.n_samples[1]": [8, 20]}, 3, KEY, progress=False)
    for n, part in zip((8, 20), (data.isel({"tasks.n_samples[1]": i}) for i in range(2)), strict=True):
        np.testing.assert_allclose(part.risk_single - part.control, 6 / (n - 7), rtol=1e-10)


def test_cells_and_draws_tell_the_same_and_figures_cross_them():
    cell = mtl.Transfer(TASKS, sharing="pooled")
    grid = {"tasks.n_samples[1]": [6, 7, 20], "tasks.cosine": [0.5, 0.9]}
    draws, cells = (mtl.sweep(cell, grid, 20, KEY, keep=keep, progress=False) for keep in ("draws", "cells"))
    for name in ("gain_mean", "gain_low", "gain_high"):
        np.testing.assert_allclose(cells[name], draws[name], rtol=1e-10)
    assert "heavy_tailed on" in mtl.explain(draws) and mtl.explain(cells).startswith(mtl.explain(draws)[:60])
    for data in (draws, cells):
        figure = mtl.plots.transfer_map(data)
        assert NO_INTERVAL in [text.get_text() for text in figure.legends[0].get_texts()]
        mesh = figure.axes[0].collections[0].get_array()
        assert np.ma.getmaskarray(mesh).reshape(2, 3).sum() == 4
        plt.close(figure)
    _, ax = plt.subplots()
    mtl.plots.gain_curve(ax, draws.isel({"tasks.cosine": 0}), "tasks.n_samples[1]")
    assert NO_INTERVAL in ax.get_legend_handles_labels()[1]
    plt.close()


def test_no_budget_is_spent_where_no_seeds_decide():
    cell = mtl.Transfer(TASKS, sharing="pooled")
    data = mtl.sweep(cell, {"tasks.n_samples[1]": [6, 9], "tasks.cosine": [0.6]}, 10, KEY, budget=40, progress=False)
    assert data.gain_n_seeds.values[0].tolist() == [10]


def test_heavy_tails_are_the_mildest_status():
    heavy, bad, ok = (jnp.int32(int(status)) for status in (Status.heavy_tailed, Status.ill_conditioned, Status.ok))
    assert worst(heavy, ok) == worst(ok, heavy) == heavy and worst(heavy, bad) == worst(bad, heavy) == bad


def test_a_measured_cell_uses_what_is_known():
    cell = on_the_boundary(D + 2)
    verdict, data = mtl.measure(cell, 20, KEY), mtl.sweep(cell, {}, 20, KEY, progress=False)
    again = decide(data.gain.values, 0.95, data.control.values, data.status.values)
    np.testing.assert_allclose(dataclasses.astuple(verdict), dataclasses.astuple(again), rtol=1e-12)
    away = mtl.sweep(on_the_boundary(D + 10), {}, 100, KEY, progress=False)  # at D + 2 errors of so few draws are chance
    known = decide(away.gain.values, 0.95, away.control.values, away.status.values)
    assert known.standard_error < 0.7 * decide(away.gain.values).standard_error


def test_what_rounding_makes_of_risks_is_no_control_and_no_gain():
    """Noise so small that the risk alone is rounding: its distance from the expectation has no mean of zero, and a gain between
    equal tasks no sign; the same tasks with noise that shows have both."""
    cell = mtl.Transfer(mtl.LinearTasks(20, (100, 30), cosine=0.5))
    data = mtl.sweep(cell, {"tasks.cosine": [0.5, 1.0], "tasks.noise": [0.0, 1e-20, 1e-16, 1e-6]}, 1000, KEY, progress=False)
    gains, means = data.gain.values, data.gain_mean.values
    np.testing.assert_allclose(means[0, :3], gains[0, :3].mean(-1), rtol=1e-12)
    np.testing.assert_array_equal(data.control.values[:, :3], 0)
    assert (data.control.values[:, 3] != 0).all() and abs(means[0, 3] - gains[0, 3].mean()) < 3 * data.gain_standard_error.values[
        0, 3
    ]
    np.testing.assert_array_equal(data.gain_sign.values[1], [0, 0, 0, 1])
    np.testing.assert_array_equal(gains[1, :3], 0)


ONE_TRUTH = mtl.LinearTasks(6, (40, 30, 20), cosine=1.0, noise=0.0, design=(mtl.Spiked(1e4, fraction=0.3), *[mtl.Isotropic()] * 2))


@pytest.mark.parametrize(
    "cell",
    [
        Groups(ONE_TRUTH),
        mtl.Decomposition(ONE_TRUTH),
        Representation(noise=0.0),
        AttributeSelection(noise=0.0),
        OrthonormalRows(noise=0.0, cosine=1.0),
    ],
    ids=lambda cell: type(cell).__name__,
)
def test_no_gain_of_any_cell_is_rounding(cell):
    """Without label noise, and with one parameter vector for all where parameters are given, both risks are zero."""
    data = mtl.sweep(cell, {}, 100, KEY, progress=False)
    parts = ("gain", "gap_closed", "variance_saved", "bias_brought", "free_heads", "chance", "covariance")
    gains = [name for name in data if name.startswith(parts) and "seed" in data[name].dims]
    assert gains and all((data[name].values == 0).all() for name in gains)
