"""A study of a user's own tasks as one page: who gains from whom, whom to learn with, and the gain by rows if it was asked for."""

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mtlsim.core.verdict import WORDS
from mtlsim.pages._cells import COLOURS, DECIDED, OPEN, largest_of, to_shade
from mtlsim.pages._page import check_bokeh, folded, listing, paragraph, script, write_page
from mtlsim.plots.style import SERIES, gain_palette

if TYPE_CHECKING:
    import xarray as xr

WIDTH = 860
TITLE = "Which of these tasks should be trained together?"
HELP = (
    "Every row of the map is a target, every column a source that it learns with. Blue helps, red hurts, hatched is undecided; "
    "put the mouse on a square for its numbers. Below: what each target gains from all others together."
)


def explore_study(data: "xr.Dataset", path: Path | str, says: str = "") -> Path:
    """Write a page of a study: the map of all pairs, the gain of every target with its interval, and the study in words.

    data: `Study.data`. path: an .html file, whole in itself. says: the study in words, `str(study)`.
    """
    check_bokeh()
    from bokeh.layouts import column

    parts = [*([_pairs(data)] if np.isfinite(data["pair_gain"].values).any() else []), _targets(data)]
    parts += [_curves(data)] if "curve_gain" in data else []
    after = folded("The study in words", listing(says)) if says else ""
    return write_page(path, TITLE, column(*parts), paragraph(HELP), _table(data) + after)


def _percent(data: "xr.Dataset", name: str) -> np.ndarray:
    """A gain in percent of the error alone, over (..., task)."""
    return 100 * data[name].transpose(..., "task").values / data["risk_alone"].values


def _pairs(data: "xr.Dataset") -> Any:
    """Every source by every target."""
    from bokeh.models import ColorBar, ColumnDataSource, FixedTicker, HoverTool, LinearColorMapper
    from bokeh.plotting import figure

    sources, targets = ([str(name) for name in data[axis].values] for axis in ("source", "task"))
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
    fig = figure(x_range=sources, y_range=targets[::-1], width=WIDTH, height=height, tools="save", title="gain from one source")
    fig.toolbar.logo, fig.grid.visible = None, False
    fig.xaxis.axis_label, fig.yaxis.axis_label, fig.xaxis.major_label_orientation = "source", "target", 0.7
    mapper = LinearColorMapper(gain_palette(), low=-1, high=1)
    colour = {"field": "shade", "transform": mapper}
    pattern = {"hatch_pattern": "hatch", "hatch_color": "#333333", "hatch_scale": 6, "hatch_weight": 0.6, "hatch_alpha": 0.6}
    squares = fig.rect("source", "target", 1, 1, source=source, fill_color=colour, line_color="white", **pattern)
    tips = [("target", "@target"), ("source", "@source"), ("gain", "@gain{0.0} %"), ("interval", "@low{0.0} to @high{0.0} %")]
    fig.add_tools(HoverTool(renderers=[squares], tooltips=[*tips, ("verdict", "@verdict"), ("over all pairs", "@joint")]))
    largest = largest_of(gain)
    marks = {float(to_shade(part * largest, largest)): f"{part * largest:.2g} %" for part in (-1, -0.1, 0, 0.1, 1)}
    bar = ColorBar(color_mapper=mapper, ticker=FixedTicker(ticks=list(marks)), major_label_overrides=marks)
    fig.add_layout(bar, "right")
    return fig


def _targets(data: "xr.Dataset") -> Any:
    """Every target's gain from all others, with its interval."""
    from bokeh.models import ColumnDataSource, HoverTool, Span
    from bokeh.plotting import figure

    names = [str(name) for name in data["task"].values]
    gain, low, high = (_percent(data, part) for part in ("gain", "low", "high"))
    signs = [int(one) for one in data["sign"].values]
    columns = {"target": names, "gain": gain, "low": low, "high": high, "verdict": [WORDS[s] for s in signs]}
    source = ColumnDataSource({**columns, "colour": [COLOURS[s] for s in signs]}, name="targets")
    height = min(900, 110 + 22 * len(names))
    fig = figure(y_range=names[::-1], width=WIDTH, height=height, tools="save", name="targets of", title="gain from all others")
    fig.toolbar.logo = None
    fig.add_layout(Span(location=0, dimension="height", line_color="black", line_width=1))
    fig.segment("low", "target", "high", "target", source=source, line_color="colour", line_width=2)
    dots = fig.scatter("gain", "target", source=source, size=9, fill_color="colour", line_color="white")
    fig.xaxis.axis_label, fig.yaxis.axis_label = "percent of the error alone (positive helps)", "target"
    tips = [("target", "@target"), ("gain", "@gain{0.0} %"), ("interval", "@low{0.0} to @high{0.0} %"), ("verdict", "@verdict")]
    fig.add_tools(HoverTool(renderers=[dots], tooltips=tips))
    return fig


def _curves(data: "xr.Dataset") -> Any:
    """Gain by the target's rows, of the target that is chosen."""
    from bokeh.layouts import column
    from bokeh.models import ColumnDataSource, Select, Span
    from bokeh.plotting import figure

    names = [str(name) for name in data["task"].values]
    learner = str(data["learner"].values[0])
    own = data.sel(learner=learner).transpose("task", "step", ...)
    share = {part: 100 * own[f"curve_{part}"].values / own["curve_alone"].values for part in ("gain", "low", "high")}
    rows = own["curve_rows"].transpose("task", "step").values if "task" in own["curve_rows"].dims else None
    rows = np.broadcast_to(own["curve_rows"].values, share["gain"].shape) if rows is None else rows
    every = ColumnDataSource(
        {name: [values[i].tolist() for i in range(len(names))] for name, values in {"rows": rows, **share}.items()}
    )
    shown = ColumnDataSource({name: values[0] for name, values in every.data.items()}, name="curve")
    chosen = Select(title="gain by the rows of", value=names[0], options=names, name="target")
    fig = figure(width=WIDTH, height=280, x_axis_type="log", tools="save", title=f"gain by rows of the target ({learner})")
    fig.toolbar.logo = None
    fig.xaxis.axis_label, fig.yaxis.axis_label = "rows of the target that train", "percent of the error alone"
    fig.add_layout(Span(location=0, dimension="width", line_color="black", line_width=1))
    fig.varea("rows", "low", "high", source=shown, fill_alpha=0.2, fill_color="#444444", legend_label="interval")
    fig.line("rows", "gain", source=shown, line_color=SERIES[0], line_width=2, legend_label="gain (positive helps)")
    fig.scatter("rows", "gain", source=shown, size=7, fill_color=SERIES[0], line_color="white")
    fig.add_layout(fig.legend[0], "below")
    fig.legend[0].orientation = "horizontal"
    chosen.js_on_change("value", script("study.js", {"every": every, "shown": shown, "chosen": chosen}))
    return column(chosen, fig)


def _table(data: "xr.Dataset") -> str:
    """Every target with its numbers."""
    head = "<tr><th>target</th><th>error alone</th><th>together</th><th>gain</th><th>interval</th><th>verdict</th></tr>"
    rows = "".join(
        f"<tr><td>{html.escape(str(name))}</td><td>{float(own['risk_alone']):.4g}</td><td>{float(own['risk_together']):.4g}</td>"
        f"<td>{float(own['gain']):.4g}</td><td>{float(own['low']):.4g} to {float(own['high']):.4g}</td>"
        f"<td>{WORDS[int(own['sign'])]}</td></tr>"
        for name in data["task"].values
        for own in [data.sel(task=name)]
    )
    return folded("Table", f"<table>{head}{rows}</table>")
