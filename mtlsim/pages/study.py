"""A study of a user's own tasks as one page: who gains from whom, whom to learn with, and the gain by rows if it was asked for."""

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mtlsim.core.verdict import WORDS
from mtlsim.pages._cells import COLOURS, DECIDED, OPEN, largest_of, to_shade
from mtlsim.pages._page import as_wide_as_the_page, check_bokeh, folded, listing, paragraph, script, write_page
from mtlsim.plots.style import SERIES, gain_palette

if TYPE_CHECKING:
    import xarray as xr

TITLE = "Which of these tasks should be trained together?"
HELP = (
    "Every row of the map is a target, every column a source that it learns with. Blue helps, red hurts, hatched is undecided; "
    "put the mouse on a square for its numbers, with this source alone. Below: what each target gains by the mixture with all "
    "others together."
)
LEARNERS = {"mixture": ("mixture, with its interval", SERIES[0]), "pooled": ("pooled: all rows as one task's", SERIES[1])}
FRAMED = "Frames on the map, and squares below it, are the best groups, chosen on these rows: their gains are a little too large."


def explore_study(
    data: "xr.Dataset",
    path: Path | str,
    says: str = "",
    advice: Mapping[str, str] | None = None,
    reasons: Sequence[str] = (),
) -> Path:
    """Write a page of a study: the map of all pairs, its groups, the gain of every target with its interval, and all in words.

    data: `Study.data`. path: an .html file, whole in itself. says: the study in words, `str(study)`. advice: whom each target
    learns with, in words. reasons: `Study.reasons`, why things that the page shows may differ.
    """
    check_bokeh()
    from bokeh.layouts import column

    parts = [*([_pairs(data)] if np.isfinite(data["pair_gain"].values).any() else []), _targets(data)]
    parts += [_curves(data)] if "curve_gain" in data else []
    before = paragraph(HELP) + (paragraph(f"{_named_groups(data)} {FRAMED}") if "group_gain" in data else "")
    if reasons:
        before += paragraph("Why what is said here may differ: " + "; ".join(reasons) + ".")
    after = folded("The study in words", listing(says)) if says else ""
    return write_page(path, TITLE, column(*parts, **as_wide_as_the_page()), before, _table(data, advice or {}) + after)


def _named_groups(data: "xr.Dataset") -> str:
    """The best groups and what they gain together, in percent of their errors alone."""
    names, numbers = data["task"].values, data["group"].values
    groups = [np.flatnonzero(numbers == number) for number in dict.fromkeys(numbers.tolist())]
    share = lambda group: 100 * data["group_gain"].values[group].sum() / data["risk_alone"].values[group].sum()
    shown = [f"{{{', '.join(map(str, names[group]))}}} gains {share(group):+.3g} %" for group in groups if len(group) > 1]
    alone = [str(names[group[0]]) for group in groups if len(group) == 1]
    if not shown:
        return "Best groups: none, leave every task alone."
    return f"Best groups: {'; '.join(shown)}{'; left alone: ' + ', '.join(alone) if alone else ''}."


def _in_groups(data: "xr.Dataset") -> tuple[list[str], list[str]]:
    """Sources and targets, those of one group beside each other, sources that are no targets last."""
    names, numbers = [str(name) for name in data["task"].values], data["group"].values
    targets = [names[i] for i in np.argsort(numbers, kind="stable")]
    sources = [str(name) for name in data["source"].values]
    return sorted(sources, key=lambda name: targets.index(name) if name in targets else len(targets)), targets


def _percent(data: "xr.Dataset", name: str) -> np.ndarray:
    """A gain in percent of the error alone, over (..., task)."""
    return 100 * data[name].transpose(..., "task").values / data["risk_alone"].values


def _pairs(data: "xr.Dataset") -> Any:
    """Every source by every target."""
    from bokeh.models import ColorBar, ColumnDataSource, FixedTicker, HoverTool, LinearColorMapper
    from bokeh.plotting import figure

    sources, targets = _in_groups(data)
    data = data.sel(source=sources, task=targets)
    gain, low, high = (_percent(data, f"pair_{part}").ravel() for part in ("gain", "low", "high"))
    sign, joint = (data[f"pair_{part}"].transpose("source", "task").values.ravel() for part in ("sign", "sign_joint"))
    known = np.isfinite(gain)
    columns = {
        "source": np.repeat(sources, len(targets)),
        "target": np.tile(targets, len(sources)),
        "gain": gain,
        "low": low,
        "high": high,
        "shade": to_shade(gain, largest_of(gain)),
        "hatch": np.where(sign == 0, OPEN, DECIDED),
        "verdict": [WORDS[int(one)] if one == one else "" for one in sign],
        "joint": [WORDS[int(one)] if one == one else "" for one in joint],
    }
    source = ColumnDataSource({name: np.asarray(values)[known].tolist() for name, values in columns.items()}, name="pairs")
    height = min(900, 170 + 26 * len(targets))
    fig = figure(
        x_range=sources, y_range=targets[::-1], height=height, tools="save", title="gain from one source", **as_wide_as_the_page()
    )
    fig.toolbar.logo, fig.grid.visible = None, False
    fig.xaxis.axis_label, fig.yaxis.axis_label, fig.xaxis.major_label_orientation = "source", "target", 0.7
    mapper = LinearColorMapper(gain_palette(), low=-1, high=1)
    colour = {"field": "shade", "transform": mapper}
    pattern = {"hatch_pattern": "hatch", "hatch_color": "#333333", "hatch_scale": 6, "hatch_weight": 0.6, "hatch_alpha": 0.6}
    squares = fig.rect("source", "target", 1, 1, source=source, fill_color=colour, line_color="white", **pattern)
    tips = [("target", "@target"), ("source", "@source"), ("gain", "@gain{0.0} %"), ("interval", "@low{0.0} to @high{0.0} %")]
    fig.add_tools(HoverTool(renderers=[squares], tooltips=[*tips, ("verdict", "@verdict"), ("over all pairs", "@joint")]))
    numbers = data["group"].values
    places = [np.flatnonzero(numbers == number) for number in dict.fromkeys(numbers.tolist()) if np.sum(numbers == number) > 1]
    if places and len(sources) == len(targets):
        first, last, top = np.array([one[0] for one in places]), np.array([one[-1] + 1 for one in places]), len(targets)
        edges = {"left": first, "right": last, "bottom": top - last, "top": top - first}  # a category is 1 wide
        framed = ColumnDataSource({name: values.tolist() for name, values in edges.items()}, name="frames")
        fig.quad("left", "right", "top", "bottom", source=framed, fill_color=None, line_color="black", line_width=2)
    largest = largest_of(gain)
    marks = {float(to_shade(part * largest, largest)): f"{part * largest:.2g} %" for part in (-1, -0.1, 0, 0.1, 1)}
    bar = ColorBar(color_mapper=mapper, ticker=FixedTicker(ticks=list(marks)), major_label_overrides=marks)
    fig.add_layout(bar, "right")
    return fig


def _targets(data: "xr.Dataset") -> Any:
    """Every target's gain from all others, with its interval, and that in its group."""
    from bokeh.models import ColumnDataSource, HoverTool, Span
    from bokeh.plotting import figure

    names = [str(name) for name in data["task"].values]
    gain, low, high = (_percent(data, part) for part in ("gain", "low", "high"))
    signs = [int(one) for one in data["sign"].values]
    columns = {"target": names, "gain": gain, "low": low, "high": high, "verdict": [WORDS[s] for s in signs]}
    grouped = "group_gain" in data
    columns |= {"in_group": _percent(data, "group_gain")} if grouped else {}
    source = ColumnDataSource({**columns, "colour": [COLOURS[s] for s in signs]}, name="targets")
    height = min(900, 110 + 22 * len(names))
    fig = figure(y_range=names[::-1], height=height, tools="save", name="targets of", **as_wide_as_the_page())
    fig.title.text = "gain with all others \N{BLACK CIRCLE}, in group \N{WHITE SQUARE}" if grouped else "gain of the mixture"
    fig.toolbar.logo = None
    fig.add_layout(Span(location=0, dimension="height", line_color="black", line_width=1))
    fig.segment("low", "target", "high", "target", source=source, line_color="colour", line_width=2)
    if grouped:
        look = {"marker": "square", "fill_color": "white", "line_color": "#666666"}
        fig.scatter("in_group", "target", source=source, size=7, **look)
    dots = fig.scatter("gain", "target", source=source, size=9, fill_color="colour", line_color="white")
    fig.xaxis.axis_label, fig.yaxis.axis_label = "percent of the error alone (positive helps)", "target"
    tips = [("target", "@target"), ("gain", "@gain{0.0} %"), ("interval", "@low{0.0} to @high{0.0} %"), ("verdict", "@verdict")]
    tips += [("gain in its group", "@in_group{0.0} %")] if grouped else []
    fig.add_tools(HoverTool(renderers=[dots], tooltips=tips))
    return fig


def _curves(data: "xr.Dataset") -> Any:
    """Gain by the target's rows, of the target that is chosen."""
    from bokeh.layouts import column
    from bokeh.models import ColumnDataSource, Select, Span
    from bokeh.plotting import figure

    names, every = [str(name) for name in data["task"].values], {}
    data = data.transpose("task", "step", ...)
    shape = data.sizes["task"], data.sizes["step"]
    numbers = {"rows": np.broadcast_to(data["curve_rows"].values, shape)}
    for learner in LEARNERS:
        for part in ("gain", "low", "high"):
            one = data[f"curve_{part}"].sel(learner=learner)
            numbers[f"{learner}_{part}"] = 100 * one.values / data["curve_alone"].values
    every = ColumnDataSource({name: [row.tolist() for row in values] for name, values in numbers.items()})
    shown = ColumnDataSource({name: values[0] for name, values in every.data.items()}, name="curve")
    chosen = Select(title="gain by the rows of", value=names[0], options=names, name="target")
    title = "gain by its rows (positive helps)"
    fig = figure(height=320, x_axis_type="log", tools="save", title=title, **as_wide_as_the_page())
    fig.toolbar.logo = None
    fig.xaxis.axis_label, fig.yaxis.axis_label = "rows of the target that train", "percent of the error alone"
    fig.add_layout(Span(location=0, dimension="width", line_color="black", line_width=1))
    for learner, (label, colour) in LEARNERS.items():
        fig.varea("rows", f"{learner}_low", f"{learner}_high", source=shown, fill_alpha=0.15, fill_color=colour, legend_label=label)
        fig.line("rows", f"{learner}_gain", source=shown, line_color=colour, line_width=2, legend_label=label)
        fig.scatter("rows", f"{learner}_gain", source=shown, size=7, fill_color=colour, line_color="white", legend_label=label)
    fig.add_layout(fig.legend[0], "below")
    fig.legend[0].update(ncols=2, border_line_color=None)
    chosen.js_on_change("value", script("study.js", {"every": every, "shown": shown, "chosen": chosen}))
    return column(chosen, fig, **as_wide_as_the_page())


def _table(data: "xr.Dataset", advice: Mapping[str, str]) -> str:
    """Every target with its numbers."""
    titles = ["target", "error alone", "together", "gain", "interval", "verdict", *(["learn with"] if advice else [])]
    head = f"<tr>{''.join(f'<th>{title}</th>' for title in titles)}</tr>"
    last = lambda name: f"<td>{html.escape(advice.get(str(name), ''))}</td>" if advice else ""
    rows = "".join(
        f"<tr><td>{html.escape(str(name))}</td><td>{float(own['risk_alone']):.4g}</td><td>{float(own['risk_together']):.4g}</td>"
        f"<td>{float(own['gain']):.4g}</td><td>{float(own['low']):.4g} to {float(own['high']):.4g}</td>"
        f"<td>{WORDS[int(own['sign'])]}</td>{last(name)}</tr>"
        for name in data["task"].values
        for own in [data.sel(task=name)]
    )
    return folded("Table", f"<table>{head}{rows}</table>")
