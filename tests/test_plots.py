"""Pictures of any sweep: every panel is drawn, an axis of words is one of words, nothing overlaps or leaves the canvas."""

import io
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from layout import problems

import mtlsim as mtl
from mtlsim import cli, plots
from mtlsim.experiments import _experiment
from mtlsim.experiments._experiment import Options, find_experiment
from mtlsim.plots import curves, legends, maps, sheet, style, verification
from mtlsim.plots.predictions import overlay
from mtlsim.plots.style import SERIES, are_words, is_logarithmic, places, symmetric_ticks
from mtlsim.results.selection import axis_of, check_only, select
from mtlsim.results.selection import words_of as axis_words
from mtlsim.results.zero_line import edges_of

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
    assert words_of(curves.transfer_curve(data, "rows")) == ["mean gain", "interval (95 %)"]
    data["gain_sign"][0] = 0
    assert words_of(curves.transfer_curve(data, "rows")) == ["mean gain", "interval (95 %)", "open: undecided at 95 %"]


def test_ticks_on_both_sides_of_zero_stand_apart():
    assert symmetric_ticks(55.0, 100.0) == [-10.0, -1.0, 0.0, 1.0, 10.0]
    assert symmetric_ticks(0.02, 50.0) == pytest.approx([-0.01, -0.001, 0.0, 0.001, 0.01])


def curve_with(defect):
    """A curve of ours, and one thing wrong with it."""
    fig = curves.transfer_curve(result(noise=[0.5, 1.0, 2.0]), "noise")
    ax = fig.axes[0]
    defect(fig, ax)
    return fig


DEFECTS = {
    "overlaps": lambda fig, ax: fig.text(0.5, 0.03, "words upon the label of the axis", ha="center"),
    "leaves the canvas": lambda fig, ax: fig.text(0.9, 0.5, "words that are too long for their place"),
    "no numbers along": lambda fig, ax: ax.tick_params(labelbottom=False),
    "no entry for line": lambda fig, ax: ax.plot([0.5, 2.0], [0, 1], color="tab:pink"),
    "no entry for dashes": lambda fig, ax: ax.plot([0.5, 2.0], [0, 1], color=SERIES[0], linestyle="--"),
    "no entry for open markers": lambda fig, ax: ax.plot([1.0], [0.5], "o", color=SERIES[0], markerfacecolor="white"),
    "no entry for hatch": lambda fig, ax: ax.axvspan(0.5, 1.0, facecolor="none", edgecolor="0.5", hatch=".."),
    "no entry for dots": lambda fig, ax: ax.scatter([1.0], [0.5], color="tab:pink"),
    "no entry for bars": lambda fig, ax: (fig.legends[0].texts[1].set_text("what"), ax.errorbar([1], [1], [1], color=SERIES[0])),
    "the legend lies on": lambda fig, ax: (ax.plot([1.0], [0.9], "o", color=SERIES[0], label="a"), ax.legend(loc=(0.3, 0.5))),
}


def test_a_figure_without_a_defect_has_no_problem():
    assert problems(curve_with(lambda fig, ax: None)) == []


@pytest.mark.parametrize("sentence", DEFECTS)
def test_a_planted_defect_of_the_layout_is_found(sentence):
    assert any(sentence in problem for problem in problems(curve_with(DEFECTS[sentence])))


MAP = {"noise": [0.5, 1.0, 2.0], "cosine": [0.1, 0.5, 0.9], "rank": [1, 2, 3, 4, 5]}


@pytest.mark.parametrize("width", ["single", "double"])
def test_a_figure_as_wide_as_a_column_has_every_panel_and_is_whole(width):
    with style.wearing(style.Look(width=width)):
        fig = maps.transfer_map(result(**MAP), "noise", "cosine", "rank", title="A claim that is long " * 6)
    assert fig.get_size_inches()[0] == style.WIDTHS[width]
    drawn = [ax for ax in fig.axes if ax.axison and ax.get_title()]
    assert len(drawn) == 5 and problems(fig) == []
    places_of = {round(ax.get_position().x0, 2) for ax in drawn}
    assert len(places_of) == {"single": 1, "double": 3}[width]
    assert all(ax.get_window_extent().height / fig.dpi > 1.1 for ax in drawn)
    first = [ax for ax in drawn if round(ax.get_position().x0, 2) == min(places_of)]
    assert all(ax.get_ylabel() for ax in first)
    fig.savefig(io.BytesIO())


def test_a_short_logarithmic_axis_has_numbers_written_out():
    """A decade or less; a longer axis keeps its powers of ten."""
    for ends, words in (((2.7, 15.0), ["3", "5", "10"]), ((0.011, 0.09), ["0.02", "0.03", "0.05"]), ((0.5, 300.0), None)):
        fig, ((ax,),) = style.figure(1)
        ax.plot([1, 2], ends)
        ax.set(yscale="log", ylim=ends)
        sheet.finish(fig)
        drawn = [text.get_text() for text in (*ax.get_yticklabels(), *ax.get_yticklabels(minor=True)) if text.get_text()]
        assert drawn == words if words else any("10^{2}" in text for text in drawn)


ONCE_OR_EACH = [(False, "linear", ["", "x"]), (True, "linear", ["x", "x"]), (False, "log", ["x", "x"])]


@pytest.mark.parametrize(("between", "scale", "words"), ONCE_OR_EACH)
def test_panels_one_below_the_other_say_what_is_along_them_once_or_each(between, scale, words):
    with style.wearing(style.Look(width="single")):
        fig, (axes,) = style.figure(2)
        for ax in axes:
            ax.plot([1, 2], [1, 2], label="a line")
            ax.set_xlabel("x")
            legends.legend(ax, "below" if between else "best")
        axes[1].set_xscale(scale)
        sheet.finish(fig)
    assert [ax.get_xlabel() for ax in axes] == words and problems(fig) == []


def test_numbers_along_predicted_and_measured_stand_beside_each_other():
    fig = verification.agreement({"inside": [(0.1, 0.1, 0.1)], "outside": [(-0.2, -3700.0, 90.0)]}, "gain")
    assert problems(fig) == []


def test_the_last_panel_of_every_column_has_numbers_along_a_shared_axis():
    with style.wearing(style.Look(width="single")):
        fig, axes = style.figure(3, n_rows=3, least=1.4, sharex=True)
        for ax in axes.flat:
            ax.plot([1, 2], [1, 2], label="a line")
        for ax in axes[-1]:
            ax.set_xlabel("x")
        legends.legend(fig)
        sheet.finish(fig)
    assert style.panels_of(fig)[2] == 2 and problems(fig) == []


def test_panels_of_a_column_say_what_is_up_them_as_the_nearest_on_their_left_does():
    """And once, where panels of further rows share the axis."""
    with style.wearing(style.Look(width="single")):
        fig, (axes,) = style.figure(4)
        axes[0].set_ylabel("score")
        axes[2].set_ylabel("risk")
        sheet.finish(fig)
        assert [ax.get_ylabel() for ax in axes] == ["score", "score", "risk", "risk"]
        fig, rows = style.figure(3, 2.0, n_rows=2, sharey=True)
        for row in rows:
            row[0].set_ylabel("rows")
        sheet.finish(fig)
        columns = style.panels_of(fig)[2]
        assert columns == 1 or [bool(ax.get_ylabel()) for ax in rows.flat] == [i % columns == 0 for i in range(6)]


def test_a_bar_of_colours_beside_many_panels_is_no_thicker_than_beside_one():
    for n_rows in (1, 4):
        fig, axes = style.figure(1, n_rows=n_rows)
        bar = fig.colorbar(axes[0, 0].pcolormesh(np.eye(2)), ax=axes)
        sheet.finish(fig)
        fig.draw_without_rendering()
        assert bar.ax.get_window_extent().width / fig.dpi < sheet.BAR + 0.02


def test_a_claim_stands_above_and_can_be_left_out():
    data = result(noise=[0.5, 1.0, 2.0])
    fig = curves.transfer_curve(data, "noise", title="A first claim")
    fig.draw_without_rendering()
    height, panel = fig.get_size_inches()[1], fig.axes[0].get_window_extent().height
    sheet.entitle(fig, "A second claim in place of the first, which is so long that it needs one more line than that")
    fig.draw_without_rendering()
    (text,) = [text for text in fig.texts if text.get_gid() == sheet.TITLE]
    assert text.get_text().startswith("A second claim") and "\n" in text.get_text()
    assert height < fig.get_size_inches()[1] < height + 0.4
    assert fig.axes[0].get_window_extent().height == pytest.approx(panel, abs=2)
    with style.wearing(style.Look(title=False)):
        assert curves.transfer_curve(data, "noise", title="A claim").texts == []


def test_curves_take_the_next_colour_or_any():
    _, axes = style.figure(2)
    for label in ("first", "second"):
        curves.gain_curve(axes[0, 0], result(noise=[0.5, 1.0]), "noise", label)
    curves.gain_curve(axes[0, 0], result(noise=[0.5, 1.0]), "noise", "third", color="black")
    curves.gain_curve(axes[0, 1], result(noise=[0.5, 1.0]), "noise", "other panel")
    colours = [[handle.get_color() for handle in ax.get_legend_handles_labels()[0]] for ax in axes[0]]
    assert colours == [[SERIES[0], SERIES[1], "black"], [SERIES[0]]]


def test_files_in_the_formats_asked_for_at_a_path_of_words(tmp_path):
    files = plots.save(style.figure()[0], str(tmp_path / "map.v2"))
    assert [file.name for file in files] == ["map.v2.png", "map.v2.pdf"]
    with plots.wearing(plots.Look(formats=("svg",))):
        assert [file.name for file in plots.save(style.figure()[0], tmp_path / "map.nc")] == ["map.svg"]
    assert all(file.stat().st_size > 100 for file in tmp_path.iterdir())


def test_a_style_sheet_changes_ours_for_as_long_as_it_is_worn(tmp_path):
    (tmp_path / "own.mplstyle").write_text("font.size: 5  # small\nxtick.labelsize: 4\n")
    before = plt.rcParams["font.size"]
    with style.wearing(style.Look(style=tmp_path / "own.mplstyle")):
        _, axes = style.figure()
        assert axes[0, 0].xaxis.get_ticklabels()[0].get_fontsize() == 4 and plt.rcParams["font.size"] == 5
    assert plt.rcParams["font.size"] == before
    (tmp_path / "value.mplstyle").write_text("font.size: big\n")
    with pytest.raises(ValueError, match="style sheet, but is one where Key font.size: Could not convert 'big' to float"):
        style.Look(style=tmp_path / "value.mplstyle")
    (tmp_path / "bad.mplstyle").write_text("font.sise: 5\n")
    with pytest.raises(ValueError, match="style must be a matplotlib style sheet, but is one with 'font.sise'"):
        style.Look(style=tmp_path / "bad.mplstyle")
    with pytest.raises(ValueError, match="not there; check its name"):
        style.Look(style=tmp_path / "absent.mplstyle")
    with pytest.raises(ValueError, match="width must be one of the known names, but is 'singel'; did you mean 'single'"):
        style.Look(width="singel")


STORED = {"tasks.relation": WORDS, "tasks.noise": [0.5, 1.0, 30.0], "rank": [1, 2], "tasks.cosine": [0.0, 1.0]}


@pytest.mark.parametrize(
    ("only", "sizes"),
    [
        (["relation=same"], [1, 3, 2, 2]),
        (["tasks.noise=1,30", "cosine=1"], [3, 2, 2, 1]),
        (["noise=3e1"], [3, 1, 2, 2]),
    ],
)
def test_a_part_of_a_result_by_the_names_of_its_axes(only, sizes):
    assert list(select(result(**STORED), only)["gain_mean"].shape) == sizes


@pytest.mark.parametrize(
    ("only", "sentence"),
    [
        ("relation", "only must be texts such as tasks.noise=1, but is 'relation'; write NAME=VALUE"),
        ("relaton=same", "only must be the name of an axis, but is 'relaton'; did you mean 'relation'"),
        ("relation=sam", "only must be a value of tasks.relation, but is 'sam'; did you mean 'same'"),
        ("noise=28", "only must be a value of tasks.noise, but is 28; the nearest is 30; choices: 0.5, 1, 30"),
        ("noise=much", "only must be a number for tasks.noise, but is 'much'; choices: 0.5, 1, 30"),
        ("cosine=0", r"is tasks.cosine \(points lie along it\); choose among tasks.relation, tasks.noise"),
        ("rank=1", r"is rank \(the picture compares its values\); choose among tasks.relation, tasks.noise"),
    ],
)
def test_a_wrong_part_is_one_sentence_with_the_nearest(only, sentence):
    with pytest.raises(ValueError, match=sentence):
        select(result(**STORED), [only], along=("tasks.cosine",), whole=("rank",))


@pytest.mark.parametrize(
    ("options", "n_panels", "title"),
    [
        ([], 2, "Shown: tasks.cosine at 0 only (of 2: 0, 1)."),
        (["--x", "cosine", "--y", "noise", "--panels", "relation", "--only", "rank=2"], 3, "Shown: rank at 2 only (of 2: 1, 2)."),
        (
            ["--x", "relation"],
            1,
            "Shown: tasks.noise at 0.5 only (of 3: 0.5, 1, 30); rank at 1 only (of 2: 1, 2); tasks.cosine at 0",
        ),
        (["--x", "noise", "--panels", "relation"], 3, "Shown: rank at 1 only (of 2: 1, 2); tasks.cosine at 0 only (of 2: 0, 1)."),
    ],
)
def test_a_sweep_is_drawn_as_asked_and_says_what_it_leaves_out(options, n_panels, title, tmp_path, monkeypatch):
    result(**STORED).assign_attrs(settings="{}").to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    drawn = []
    monkeypatch.setattr(_experiment, "save", lambda fig, path: drawn.append(fig) or [])
    assert cli.main(["plot", str(tmp_path / "a.nc"), *options]) == 0
    (fig,) = drawn
    panels = [ax for ax in fig.axes if ax.axison and ax.get_label() != "<colorbar>"]
    (text,) = [text.get_text() for text in fig.texts if text.get_gid() == sheet.TITLE]
    assert len(panels) == n_panels and text.replace("\n", " ").startswith(title) and problems(fig) == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--x", "nois"], "x, y and panels must be the name of an axis, but is 'nois'; did you mean 'noise'"),
        (["--x", "noise", "--y", "noise"], "x, y and panels must be different parameters"),
        (["--only", "noise=2"], "the nearest is 1"),
    ],
)
def test_a_sweep_drawn_wrongly_is_one_sentence(options, sentence, tmp_path, capsys):
    result(**STORED).assign_attrs(settings="{}").to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    assert cli.main(["plot", str(tmp_path / "a.nc"), *options]) == 2
    assert sentence in capsys.readouterr().err


def test_a_name_has_one_colour_wherever_it_stands(monkeypatch):
    """A relation, an architecture, a scheme: whatever else a figure shows, in whatever order; no two of one figure alike."""
    alone = {name: style.series_of([name])[name] for name in style.ALWAYS}
    for names in (["rotated", "same", "disjoint"], ["sluice", "experts, gate 0.5", "hard", "pooled"], ["gradnorm", "oracle"]):
        found = style.series_of(names)
        assert len(set(found.values())) == len(names) and list(found.values()) == list(style.series_of(found).values())
        assert all(found[name] == alone[name] for name in names if name in alone)
    twice = style.series_of(["experts, gate 0.5", "experts, gate 0.8", "none of these"])
    assert len(set(twice.values())) == 3 and twice["experts, gate 0.5"] == alone["experts"]
    used, source = [], "tasks.n_samples[0]"
    monkeypatch.setattr(curves, "overlay", lambda ax, prediction, colour, *rest: used.append(colour))
    data = result(**{"tasks.relation": ["same", "disjoint"], source: [10, 20]}).sel({"tasks.relation": ["disjoint"]})
    ax = plt.figure().subplots()
    curves.points_on_lines(ax, data, source, {"disjoint covariance": {"tasks.relation": "disjoint"}}, None)
    assert used == [SERIES[1]] and SERIES[0] not in {line.get_color() for line in ax.lines}


def test_pages_draw_gains_in_the_colours_of_pictures():
    palette, cmap = style.gain_palette(), plt.get_cmap(maps.GAIN_COLOURS)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        near = matplotlib.colors.to_rgb(palette[round(share * (len(palette) - 1))])
        np.testing.assert_allclose(near, cmap(share)[:3], atol=0.02)
    written = [path.read_text(encoding="utf-8") for path in (Path(mtl.__file__).parent / "pages").glob("*.py")]
    assert not [text for text in written if "RdBu" in text or any(colour in text for colour in SERIES)]


def test_both_doors_take_the_words_of_both(tmp_path, monkeypatch):
    """A figure's word, the end of a dotted name, and the whole of it, of a figure and of a sweep of one's own."""
    find, words = find_experiment("transfer-map"), ("source-samples", "n_samples[0]", "tasks.n_samples[0]")
    settings = [find.setting(Options(fast=True, x="noise", y=word, panels="none")) for word in words]
    assert len({str((one.grid, one.attributes)) for one in settings}) == 1 and settings[0].attributes["y"] == words[2]
    check_only(find.setting(Options(fast=True)).grid, ["noise=8"], ["tasks.alignment"], words=find.words)
    with pytest.raises(ValueError, match=r"x, y and panels .* 'samples'; did you mean .*n_samples.*target-samples"):
        find.setting(Options(x="samples"))
    rows = {"tasks.noise": [0.5, 1.0], "tasks.n_samples[0]": [10, 20, 30]}
    data = result(**rows).assign_attrs(settings='{"cell": {"tasks": {"n_samples": [10, 9]}}}')
    data.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    drawn = []
    monkeypatch.setattr(_experiment, "save", lambda fig, path: drawn.append(fig) or [])
    for word in words:
        _experiment.redraw(tmp_path / "a.nc", x=word, only=[f"{word}=10,30"])
    assert [fig.axes[0].get_xlabel() for fig in drawn] == ["source samples (rows)"] * 3
    with pytest.raises(ValueError, match=r"'source-sample'; did you mean 'source-samples'"):
        axis_of("source-sample", list(rows), "x", axis_words(data))
    with pytest.raises(
        ValueError, match=r"one axis, but is 'n_samples'; choose among tasks.n_samples\[0\], tasks.n_samples\[1\]\.$"
    ):
        axis_of("n_samples", ["tasks.n_samples[0]", "tasks.n_samples[1]"], "x")
    assert select(data, ["noise=1,1"]).sizes["tasks.noise"] == 1
    three = data.assign_attrs(settings='{"cell": {"tasks": {"n_samples": [10, 9, 8]}}}')
    assert axis_words(three) == {"target-samples": "tasks.n_samples[2]"}  # which of the sources, no word says


def test_a_map_claims_no_more_than_its_cells_show():
    figure, rows = find_experiment("transfer-map"), "tasks.n_samples[0]"
    data = result(**{"tasks.noise": [0.5, 1.0], "tasks.alignment": [0.5, 1.0], rows: [10, 20, 30]})
    assert figure.says(data) == figure.claim
    assert figure.says(data.sel({"tasks.noise": [1.0]})) == "6 settings of two tasks: 6 help, 0 hurt, 0 undecided."
    assert figure.says(abs(data)) == "12 settings of two tasks: 12 help, 0 hurt, 0 undecided."


def test_the_picture_of_a_part_leaves_that_of_the_whole_alone(tmp_path, monkeypatch):
    data = result(**{name: STORED[name] for name in ("tasks.relation", "tasks.noise")})
    data.assign_attrs(settings="{}").to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    monkeypatch.setattr(_experiment, "save", lambda fig, path: [path])
    for only, name in (((), "a"), (("tasks.noise=1", "relation=same,rotated"), "a-noise-1-relation-same-rotated")):
        assert [file.name for file in _experiment.redraw(tmp_path / "a.nc", only=only)] == [name]


def test_a_part_has_one_name_whatever_its_axis_is_called():
    rows = "tasks.n_samples[0]"
    data = result(**{rows: [5, 50], "tasks.cosine": [-0.5, 0.5]}).assign_attrs(
        settings='{"cell": {"tasks": {"n_samples": [5, 9]}}}'
    )
    for word in (rows, "n_samples", "n_samples[0]", "source-samples", "source_samples"):
        assert _experiment._part(Path("a.nc"), [f"{word}=5,50"], data).name == "a-source-samples-5-50"
    names = {_experiment._part(Path("a.nc"), [f"cosine={value}"], data).name for value in ("-0.5", "0.5", "-0.5,0.5")}
    assert names == {"a-cosine-minus-0.5", "a-cosine-0.5", "a-cosine-minus-0.5-0.5"}


def test_values_in_any_order_are_drawn_where_they_are():
    cell = mtl.Transfer(mtl.LinearTasks(3, (12, 9)), sharing="pooled")
    grid = {"tasks.noise": [2.0, 0.5, 1.0], "tasks.angle": [90.0, 0.0]}
    mixed = mtl.sweep(cell, grid, 3, jax.random.key(0), progress=False)
    rising = mixed.sortby(["tasks.noise", "tasks.angle"])
    one, other = (plots.transfer_map(data).axes[0].collections[0] for data in (mixed, rising))
    np.testing.assert_array_equal(one.get_array(), other.get_array())
    lines = [
        plots.transfer_curve(data.isel({"tasks.angle": [k]}), "tasks.noise").axes[0].lines[0]
        for data, k in ((mixed, 1), (rising, 0))
    ]
    np.testing.assert_array_equal(lines[0].get_xydata(), lines[1].get_xydata())
    with pytest.raises(ValueError, match="centres must be in order"):
        edges_of(np.array([2.0, 0.5, 1.0]))
    plt.close("all")


def test_architectures_with_their_fields_have_room_on_either_axis():
    """Long words stand in several lines, and nothing lies on anything else."""
    cell = mtl.Transfer(mtl.LinearTasks(3, (12, 9)), sharing="pooled")
    stitches = [{"name": "cross-stitch", "own": own, "learned": False, "decay": 1.0} for own in (0.8, 0.7)]
    grid = {"tasks.noise": [0.5, 1.0, 2.0], "sharing": ["hard", *stitches, "soft(strength=2.0, ridge=0.1)"]}
    data = mtl.sweep(cell, grid, 3, jax.random.key(0), progress=False)
    figures = [plots.transfer_map(data), plots.transfer_map(data, "sharing", "tasks.noise")]
    figures.append(plots.transfer_curve(data.isel({"tasks.noise": [1]}), "sharing"))
    for fig in figures:
        fig.savefig(io.BytesIO())  # which warns where there is no room
        assert problems(fig) == []
    words = [label.get_text() for label in figures[0].axes[0].get_yticklabels()]
    assert words[0] == "hard" and words[1] == "cross-stitch\n(own=0.8,\nlearned=False,\ndecay=1.0)"
    plt.close("all")
