"""`explore`: a stored sweep as one page, with sliders for its parameters, hover for its numbers, and theory on top."""

import html
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mtlsim.pages._cells import (
    COLOURS,
    DECIDED,
    NO_INTERVAL,
    OPEN,
    Shown,
    choose,
    columns_of,
    largest_of,
    predicted,
    texts_of_theory,
    to_shade,
)
from mtlsim.pages._page import WIDTH, as_wide_as_the_page, check_bokeh, folded, listing, paragraph, script, write_page
from mtlsim.plots.style import (
    NO_VALUE,
    are_words,
    gain_palette,
    is_logarithmic,
    kept_inside,
    label_of,
    label_of_output,
    places,
    short_label_of,
)
from mtlsim.results.explain import explain
from mtlsim.results.zero_line import edges_of, zero_lines

if TYPE_CHECKING:
    import xarray as xr

COLUMNS = 3  # of a legend
MAX_THREADS = 4
LINE = ("xs", "ys", "colour", "dash")  # of every line on a map
THEORY = ("#7b3294", "#1b7837", "#b35806", "#01665e", "#c51b7d", "#4d4d4d")  # colours of what is predicted
PRINTED = {"@mean": "printf", "@low": "printf", "@high": "printf"}


def explore(
    data: "xr.Dataset",
    path: Path | str,
    *,
    x: str | None = None,
    y: str | None = None,
    quantity: str = "gain",
    predictions: Sequence[Any] = (),
    again: str = "",
) -> Path:
    """Write a page of any sweep: a map over x and y (a curve alone where one parameter is swept), a slider for every other
    parameter, the numbers of a cell under the mouse, the settings, and how to make it again.

    data: a result of `mtlsim.sweep`. path: an .html file, whole in itself, without any address. x, y: swept parameters, the first
    two numbers if left out. quantity: the gain, or an output whose mean over the seeds is shown instead. predictions: statements
    bound to the swept cell, such as `theory.free_heads(cell)`: dashed curves, and the dashed line where they predict no gain; none
    is drawn where the assumptions fail. again: the command or the TOML text that makes the result again.
    Raises ValueError for a result of one cell or of more than 200 000, unknown names, and where bokeh is not installed.

    >>> cell = mtl.Transfer(mtl.LinearTasks(3, (9, 8)), sharing="pooled")
    >>> found = mtl.sweep(cell, {"tasks.angle": [0.0, 45.0, 90.0]}, 5, jax.random.key(0), progress=False)
    >>> mtl.explore(found, "angles.html").name
    'angles.html'
    """
    check_bokeh()
    shown = choose(data, x, y, quantity)
    columns = columns_of(shown)
    # compiling is most of the work and runs beside the interpreter, so that threads share the cores
    with ThreadPoolExecutor(min(os.cpu_count() or 1, MAX_THREADS)) as pool:
        held = list(zip(predictions, pool.map(lambda prediction: predicted(shown, prediction), predictions), strict=True))
    silent = [prediction.statement.name for prediction, gains in held if not np.isfinite(gains).any()]
    held = [(prediction, gains) for prediction, gains in held if np.isfinite(gains).any()]
    for i, (_, gains) in enumerate(held):
        columns |= {f"theory_{i}": gains, f"theory_{i}_text": texts_of_theory(gains)}
    model = _draw(shown, columns, [prediction.statement.name for prediction, _ in held])
    names = ", ".join(short_label_of(name) for name in (shown.x, shown.y, *shown.others) if name)
    claim = data.attrs.get("claim") or f"{_label(shown).split(' (')[0].capitalize()} over {names}"
    settings = json.dumps(json.loads(data.attrs["settings"]), indent=1)
    says = explain(data) if "gain_sign" in data else "The mean of an output over the seeds, with Student's interval."
    before = paragraph(
        ("Move the sliders; put" if shown.others or shown.y else "Put")
        + " the mouse on a cell or a dot for its numbers."
        + (" Click a row of the map to see its curve." if shown.y else "")
    )
    words = [(prediction.statement.name, prediction.statement.claim) for prediction, _ in held]
    theory = "".join(f"<tr><td>{html.escape(name)}</td><td>{html.escape(claim)}</td></tr>" for name, claim in words)
    theory = f"<table>{theory}</table>" if theory else ""
    theory += paragraph(f"Nowhere here do the assumptions hold of {', '.join(silent)}.") if silent else ""
    after = folded("What it can and cannot say", listing(says))
    after += folded("Theory on top", theory) if theory else ""
    after += folded("How to make it again", listing(again)) if again else ""
    after += folded("All settings", listing(settings))
    return write_page(path, claim, model, before, after)


def _label(shown: Shown) -> str:
    return ("" if shown.quantity == "gain" else "mean ") + label_of_output(shown.quantity)


def _texts(values: np.ndarray) -> list[str]:
    return [str(value) if are_words(values) else f"{value:.4g}" for value in values]


def middle_of(shown: Shown, name: str) -> int:
    """Where a slider stands first: at an end there is often nothing to see."""
    return (shown.data.sizes[name] - 1) // 2


def _slider(shown: Shown, name: str) -> Any:
    """A slider over the places of an axis, which shows their values; its tag is how many there are."""
    from bokeh.models import CustomJSTickFormatter, Slider

    texts = _texts(shown.data[name].values)
    words = CustomJSTickFormatter(args={"texts": texts}, code="return texts[tick]")
    title, last = short_label_of(name), len(texts) - 1
    return Slider(
        start=0,
        end=last,
        value=middle_of(shown, name),
        step=1,
        title=title,
        format=words,
        tags=[len(texts)],
        name=name,
        **as_wide_as_the_page(WIDTH // 2),
    )


def _draw(shown: Shown, columns: dict[str, np.ndarray], theories: list[str]) -> Any:
    """Sliders, map and curve, with one callback that shows the block of cells at the sliders' places."""
    from bokeh.layouts import column
    from bokeh.models import ColumnDataSource

    size, block = shown.n_x * shown.n_y, 0
    for name in shown.others:
        block = block * shown.data.sizes[name] + middle_of(shown, name)
    first = {name: values[block * size : (block + 1) * size] for name, values in columns.items()}
    row = 0 if shown.y is None else middle_of(shown, shown.y)
    along_row = {name: values[row * shown.n_x : (row + 1) * shown.n_x] for name, values in first.items()}
    xs = shown.data[shown.x].values
    along = ColumnDataSource({"x": places(xs).astype(float), "x_text": _texts(xs)})
    sources: dict[str, Any] = {
        "all": ColumnDataSource(columns), "along": along, "n_y": shown.n_y, "cells": None, "shape": None, "zeros": None,
        "borders": None, "marked": None, "rows": None,
        "curve": ColumnDataSource({**along.data, **along_row}, name="curve"),
    }  # fmt: skip
    others = [_slider(shown, name) for name in shown.others]
    parts = []
    if shown.y is not None:
        sources["rows"] = _slider(shown, shown.y)
        parts.append(_map(shown, columns, first, block, sources, theories))
    along_map = {"x_range": parts[0].x_range} if parts else {}  # a dot stands under its cell, however far both are moved
    parts.append(_curve(shown, columns, sources, theories, **along_map))
    callback = script("explore.js", sources | {"sliders": others})
    sliders = [*others, *([] if sources["rows"] is None else [sources["rows"]])]
    for slider in sliders:
        slider.js_on_change("value", callback)
    return column(
        *others, *parts[:-1], *([sources["rows"]] if sources["rows"] is not None else []), parts[-1], **as_wide_as_the_page()
    )


def _figure(shown: Shown, y: str | None, height: int, **options: Any) -> Any:
    """An empty panel with the axes of the sweep; words stand at their places."""
    from bokeh.plotting import figure

    log = lambda name: "log" if name is not None and is_logarithmic(shown.data[name].values) else "linear"
    fig = figure(
        height=height,
        **as_wide_as_the_page(),
        x_axis_type=log(shown.x),
        y_axis_type=log(y),
        tools="pan,wheel_zoom,box_zoom,reset,save",
        **options,
    )
    fig.toolbar.logo = None
    fig.xaxis.axis_label = label_of(shown.x)
    fig.yaxis.axis_label = _label(shown) if y is None else label_of(y)
    for axis, name in ((fig.xaxis, shown.x), (fig.yaxis, y)):
        if name is not None and are_words(shown.data[name].values):
            axis.ticker = list(range(shown.data.sizes[name]))
            axis.major_label_overrides = dict(enumerate(_texts(shown.data[name].values)))
    return fig


def _tooltips(shown: Shown, theories: list[str]) -> list[tuple[str, str]]:
    axes = [(short_label_of(shown.x), "@x_text")] + ([(short_label_of(shown.y), "@y_text")] if shown.y else [])
    name = "gain" if shown.quantity == "gain" else shown.quantity
    level = f"{100 * float(shown.data.attrs['level']):.3g} % interval"
    numbers = [(name, "@mean{%.6g}"), (level, "@low{%.5g} to @high{%.5g}"), ("seeds", "@n_seeds")]
    verdict = [("verdict", "@verdict")] if shown.quantity == "gain" else []
    theory = [(f"theory: {one}", f"@theory_{i}_text") for i, one in enumerate(theories)]
    return [*axes, *numbers, *verdict, ("draws", "@status"), *theory]


def _map(shown: Shown, columns: dict, first: dict, block: int, sources: dict, theories: list[str]) -> Any:
    """Colour = mean, hatched where undecided, crossed where no interval covers, lines where the gain is zero."""
    from bokeh.models import ColorBar, ColumnDataSource, CustomJS, FixedTicker, HoverTool, LinearColorMapper, TapTool
    from bokeh.palettes import Viridis256

    x_edges, y_edges = (edges_of(places(shown.data[name].values)) for name in (shown.x, shown.y))
    ys, xs = np.meshgrid(np.arange(shown.n_y), np.arange(shown.n_x), indexing="ij")
    texts = [np.array(_texts(shown.data[name].values), object) for name in (shown.x, shown.y)]
    columns_x, rows_y = xs.ravel(), ys.ravel()
    sides = {"left": x_edges[columns_x], "right": x_edges[columns_x + 1], "bottom": y_edges[rows_y], "top": y_edges[rows_y + 1]}
    shape = sides | {"x_text": texts[0][columns_x], "y_text": texts[1][rows_y]}
    shape["y"] = places(shown.data[shown.y].values).astype(float)[rows_y]
    sources["shape"], sources["cells"] = ColumnDataSource(shape), ColumnDataSource({**shape, **first}, name="cells")
    gain = shown.quantity == "gain"
    mapper = LinearColorMapper(gain_palette() if gain else Viridis256, low=-1, high=1, nan_color=NO_VALUE)
    ends = ((shown.x, x_edges), (shown.y, y_edges))
    ranges = {f"{axis}_range": kept_inside(name, *edges[[0, -1]].tolist()) for axis, (name, edges) in zip("xy", ends, strict=True)}
    fig = _figure(shown, shown.y, 430, name="map", title=_label(shown), **ranges)
    fig.grid.visible = False
    pattern = {"hatch_pattern": "hatch", "hatch_color": "#333333", "hatch_scale": 6, "hatch_weight": 0.6}
    alike = {f"{when}{part}_alpha": alpha for when in ("", "nonselection_") for part, alpha in (("fill", 1.0), ("hatch", 0.6))}
    colour = {"field": "shade", "transform": mapper}
    quads = fig.quad(*sides, source=sources["cells"], fill_color=colour, line_color=colour, **pattern, **alike)
    fig.add_tools(HoverTool(renderers=[quads], tooltips=_tooltips(shown, theories), formatters=PRINTED), TapTool(renderers=[quads]))
    lines = _lines(shown, columns, theories)
    sources["borders"] = ColumnDataSource({name: [block[name] for block in lines] for name in LINE})
    sources["zeros"] = ColumnDataSource(lines[block])
    fig.multi_line("xs", "ys", source=sources["zeros"], line_color="colour", line_width=2, line_dash="dash")
    crossed = NO_INTERVAL in columns["hatch"]
    if gain:
        fig.line([np.nan], [np.nan], line_color="black", line_width=2, legend_label="mean gain zero")
        for i, name in enumerate(theories):
            colour = THEORY[i % len(THEORY)]
            fig.line([np.nan], [np.nan], line_color=colour, line_width=2, line_dash="dashed", legend_label=f"zero by {name}")
        marks = [
            ("hatched: undecided", OPEN, None),
            *([("crossed: no interval covers", NO_INTERVAL, NO_VALUE)] if crossed else []),
        ]
        for name, hatch, filled in marks:
            nowhere = [[np.nan]] * 4
            fig.quad(*nowhere, fill_color=filled, line_color="#888888", hatch_pattern=hatch, legend_label=name)
        fig.add_layout(fig.legend[0], "below")
        fig.legend[0].update(ncols=COLUMNS, border_line_color=None)
    sources["marked"] = ColumnDataSource({"y": [shape["y"][middle_of(shown, shown.y) * shown.n_x]]})
    fig.hspan(y="y", source=sources["marked"], line_color="#333333", line_dash="dotted", line_width=1)
    ticks = _ticks(columns["mean"], gain)
    bar = ColorBar(color_mapper=mapper, ticker=FixedTicker(ticks=[place for place, _ in ticks]))
    bar.major_label_overrides = dict(ticks)
    fig.add_layout(bar, "right")
    code = "if (source.selected.indices.length) rows.value = Math.floor(source.selected.indices[0] / n_x);"
    tapped = CustomJS(args={"source": sources["cells"], "rows": sources["rows"], "n_x": shown.n_x}, code=code)
    sources["cells"].selected.js_on_change("indices", tapped)
    return fig


def _lines(shown: Shown, columns: dict, theories: list[str]) -> list[dict[str, list]]:
    """For every block, the lines on which the mean gain and the predicted gains are zero."""
    if shown.quantity != "gain" or any(are_words(shown.data[name].values) for name in (shown.x, shown.y)):
        return [{name: [] for name in LINE} for _ in range(columns["mean"].size // (shown.n_x * shown.n_y))]
    xs, ys = (shown.data[name].values for name in (shown.x, shown.y))
    over = lambda name: columns[name].reshape(-1, shown.n_y, shown.n_x)
    decided = over("hatch") == DECIDED
    blocks = []
    for b, mean in enumerate(over("mean")):
        found = [(line, "black", "solid") for line in zero_lines(xs, ys, mean, decided[b])]
        for i in range(len(theories)):
            found += [(line, THEORY[i % len(THEORY)], "dashed") for line in zero_lines(xs, ys, over(f"theory_{i}")[b])]
        blocks.append({
            "xs": [line[:, 0].tolist() for line, _, _ in found], "ys": [line[:, 1].tolist() for line, _, _ in found],
            "colour": [colour for _, colour, _ in found], "dash": [dash for _, _, dash in found],
        })  # fmt: skip
    return blocks


def _ticks(mean: np.ndarray, symmetric: bool) -> list[tuple[float, str]]:
    """Places on the colour scale with their numbers."""
    if not np.isfinite(mean).any():
        return []
    if not symmetric:
        low, high = float(np.nanmin(mean)), float(np.nanmax(mean))
        return [(place, f"{low + (place + 1) / 2 * (high - low):.3g}") for place in (-1.0, -0.5, 0.0, 0.5, 1.0)]
    largest = largest_of(mean)
    gains = [sign * largest * part for sign in (-1, 1) for part in (1, 0.1, 0.01)] + [0.0]
    return [(float(to_shade(gain, largest)), f"{gain:.2g}") for gain in sorted(gains)]


def _curve(shown: Shown, columns: dict, sources: dict, theories: list[str], **options: Any) -> Any:
    """The row of the map that the slider points at: means with intervals, and what theory says."""
    from bokeh.models import HoverTool, Span

    fig = _figure(shown, None, 300, name="row", **options)
    source, drawn = sources["curve"], columns["mean"]
    fig.varea("x", "low", "high", source=source, fill_alpha=0.2, fill_color="#444444", legend_label="interval of the mean")
    fig.line("x", "mean", source=source, line_color="#444444", legend_label="mean over seeds")
    dots = fig.scatter("x", "mean", source=source, size=8, fill_color="colour", line_color="white")
    if shown.quantity == "gain":
        fig.add_layout(Span(location=0, dimension="width", line_color="black", line_width=1))
        for sign, word in ((1, "helps"), (-1, "hurts"), (0, "undecided")):
            fig.scatter([np.nan], [np.nan], size=8, fill_color=COLOURS[sign], line_color="white", legend_label=word)
    for i, name in enumerate(theories):
        fig.line(
            "x",
            f"theory_{i}",
            source=source,
            line_dash="dashed",
            line_width=2,
            line_color=THEORY[i % len(THEORY)],
            legend_label=f"theory: {name}",
        )
    tips = [one for one in _tooltips(shown, theories) if one[1] != "@y_text"]
    fig.add_tools(HoverTool(renderers=[dots], tooltips=tips, formatters=PRINTED))
    if np.isfinite(drawn).sum() > 1:
        ends = [fig.scatter("x", end, source=source, size=0) for end in ("seen_low", "seen_high")]
        fig.y_range.renderers = [dots, *ends]  # infinite and wide intervals do not choose what is in view
    fig.add_layout(fig.legend[0], "below")
    fig.legend[0].update(ncols=COLUMNS, border_line_color=None, click_policy="hide")
    return fig
