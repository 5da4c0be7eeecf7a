"""Pictures of any sweep: every panel is drawn, and an axis of words is one of words."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from mtlsim.plots import curves, maps
from mtlsim.plots.predictions import overlay
from mtlsim.plots.style import are_words, is_logarithmic, places, symmetric_ticks

WORDS = ["same", "disjoint", "rotated"]


def result(**axes):
    """What `mtlsim.sweep` returns over these axes, with gains of both signs that differ in every cell."""
    shape = tuple(len(values) for values in axes.values())
    mean = np.linspace(-1, 2, int(np.prod(shape))).reshape(shape)
    sign = np.sign(np.round(mean, 1)).astype(int)
    fields = {"gain_mean": mean, "gain_low": mean - 0.1, "gain_high": mean + 0.1, "gain_sign": sign}
    data = xr.Dataset({name: (tuple(axes), values) for name, values in fields.items()}, coords=axes, attrs={"level": 0.95})
    return data.assign(risk_multi=((*axes, "seed"), mean[..., None] + np.arange(3.0)))


def words_of(fig):
    """What the legend of a figure says."""
    return [text.get_text() for text in fig.legends[0].get_texts()]


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize("n_panels", [1, 7, 12])
def test_every_panel_is_drawn(n_panels):
    ranks = list(range(1, n_panels + 1))
    fig = maps.transfer_map(result(noise=[0.5, 1.0, 2.0], cosine=[0.1, 0.9], rank=ranks), panels="rank")
    drawn = [ax for ax in fig.axes if ax.axison and ax.get_title()]
    assert [ax.get_title().split("\n")[0] for ax in drawn] == [f"rank r {rank}" for rank in ranks]
    assert all(ax.collections for ax in drawn)
    fig.canvas.draw()


@pytest.mark.parametrize("axes", [{"relation": WORDS, "noise": [0.5, 9.0, 99.0]}, {"noise": [0.5, 9.0, 99.0], "relation": WORDS}])
def test_a_map_over_words_has_a_column_or_a_row_for_each(axes):
    data = result(**axes)
    fig = maps.transfer_map(data)
    ax, along = fig.axes[0], "x" if next(iter(axes)) == "relation" else "y"
    axis = getattr(ax, f"{along}axis")
    assert [label.get_text() for label in axis.get_ticklabels()] == WORDS and axis.get_scale() == "linear"
    np.testing.assert_allclose(axis.get_ticklocs(), [0, 1, 2])
    np.testing.assert_allclose(sorted(getattr(ax, f"get_{along}lim")()), [-0.5, 2.5])
    with pytest.raises(ValueError, match="where must be a map over numbers"):
        overlay(fig, type("Bound", (), {"statement": type("S", (), {"name": "any"})})())
    fig.canvas.draw()


def test_panels_may_be_words_or_yes_and_no():
    data = result(noise=[0.5, 1.0], cosine=[0.1, 0.9], shared_covariates=[False, True])
    fig = maps.transfer_map(data, panels="shared_covariates")
    assert [ax.get_title().split("\n")[0] for ax in fig.axes[:2]] == ["shared covariates False", "shared covariates True"]


@pytest.mark.parametrize("line", [True, False])
def test_curves_over_words_stand_at_the_words(line):
    data, (fig, (gain, risk)) = result(relation=WORDS), plt.subplots(1, 2)
    curves.gain_curve(gain, data, "relation", line=line)
    curves.finish_gain_axis(gain, "relation", data["relation"].values)
    curves.risk_curve(risk, data, "relation", "risk_multi", "together", 0, line=line)
    curves.finish_risk_axis(risk, "relation", data["relation"].values)
    for ax in (gain, risk):
        assert [label.get_text() for label in ax.get_xticklabels()] == WORDS
        assert any(np.array_equal(drawn.get_xdata(), [0, 1, 2]) for drawn in ax.lines)
    fig.canvas.draw()


def test_numbers_stay_where_they_are():
    assert not are_words([1, 2.5]) and are_words(["1"]) and are_words([True])
    np.testing.assert_array_equal(places([3.0, 1.0]), [3, 1])
    assert is_logarithmic([1, 100]) and not is_logarithmic([1, 10]) and not is_logarithmic(WORDS)


def test_cells_without_an_interval_do_not_set_the_scale():
    """The sample mean of a heavy tail may be anything, and stands no further out than the intervals of the others."""
    data = result(rows=[7.0, 8.0, 9.0, 10.0])
    status = np.zeros((4, 3), int)
    status[1] = 5
    data["status"] = (("rows", "seed"), status)
    data["gain_mean"][1], data["gain_sign"][1] = 1e6, 0
    fig = curves.transfer_curve(data, "rows")
    (ax,) = fig.axes
    assert ax.get_ylim()[1] < 3 and sum(line.get_marker() == "x" for line in ax.lines) == 1
    assert curves.NO_INTERVAL in words_of(fig)
    data["status"][:] = 5
    curves.transfer_curve(data, "rows")


def test_undecided_points_of_a_curve_are_in_its_legend():
    data = result(rows=[7.0, 8.0, 9.0, 10.0])
    data["gain_sign"][:] = 1
    assert words_of(curves.transfer_curve(data, "rows")) == ["interval (95 %)"]
    data["gain_sign"][0] = 0
    assert words_of(curves.transfer_curve(data, "rows")) == ["interval (95 %)", "open: undecided at 95 %"]


def test_ticks_on_both_sides_of_zero_stand_apart():
    assert symmetric_ticks(55.0, 100.0) == [-10.0, -1.0, 0.0, 1.0, 10.0]
    assert symmetric_ticks(0.02, 50.0) == pytest.approx([-0.01, -0.001, 0.0, 0.001, 0.01])
