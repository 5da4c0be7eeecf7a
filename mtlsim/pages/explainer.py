"""`explainer`: the lesson "when does sharing help?", a page that computes what `general-predictor` predicts."""

from pathlib import Path
from typing import Any

import numpy as np

from mtlsim.glossary import GLOSSARY
from mtlsim.pages._page import LEAST, WIDTH, as_wide_as_the_page, check_bokeh, definitions, folded, paragraph, script, write_page
from mtlsim.plots.style import HELPS, HURTS, SERIES, gain_palette

N_FEATURES, N_TARGET = 100, 200  # so that the target alone has the error noise^2
ROWS = tuple(np.geomspace(10, 10000, 31).round().astype(int).tolist())
MAP_ANGLES = tuple(range(0, 181, 3))
MAP_ROWS = tuple(np.geomspace(10, 10000, 61).tolist())
TARGET, SOURCE, TOGETHER = "#222222", SERIES[1], SERIES[0]
PANEL = 400
WORDS = (
    "task", "target", "source", "parameters", "noise", "shared module", "head", "rank", "excess risk", "transfer", "gain",
    "sign convention", "bias and variance", "cosine", "model shift", "covariate shift", "alignment score", "route", "certificate",
    "gap",
)  # fmt: skip
TITLE = "When does learning two tasks together help?"
LESSON = (
    "Two tasks are to be learned, each from rows of numbers and a label for each row. The labels are noisy sums of the numbers; "
    "how much each number counts are the task's parameters, an arrow in space. The target has 200 rows for 100 parameters: few "
    "enough that it learns much of its noise. The source has rows too, but its arrow may point elsewhere. Learned together, both "
    "get one arrow. Then the source's rows average out the target's noise (variance is saved), and pull its arrow towards their "
    "own (bias is brought). Whether sharing helps depends on which of the two is larger.",
    "The angle between the arrows and the noise are facts of the tasks. The source's rows have two effects at once: they save more "
    "variance and they pull harder. The covariance says in which directions the source's rows vary: they pull the estimate where "
    "they vary, and save variance there.",
)
ACROSS = (
    "The tasks differ most across the target's arrow: a source whose rows vary there hurts, one whose rows vary along it helps."
)
TRY = (  # what, why, and what it stands on: {angle, noise, source rows, log2 of kappa: sign of the gain}
    ("Angle 0", "The tasks are the same: every source row helps.", {(0, 1, 10, 0): 1, (0, 1, 10000, 0): 1}),
    ("Angle 70, more and more source rows", "A few help, many hurt.", {(70, 1, 100, 0): 1, (70, 1, 10000, 0): -1}),
    ("The same with noise 2", "Many help too: the same bias, beside more noise.", {(70, 2, 100, 0): 1, (70, 2, 10000, 0): 1}),
    ("Angle 70, noise 1, 1000 rows, other covariances", ACROSS, {(70, 1, 1000, -3): -1, (70, 1, 1000, 3): 1}),
)
BELOW = (
    "The error is the excess risk: the mean squared distance of the predictions from the best ones, on new rows of the target. "
    "Both tasks are fitted as one by least squares on all rows (hard sharing with equal heads, or pooling). The numbers are those "
    "of theory for many features, which simulations of 100 features meet within 2.5 %; they are computed in this page, and equal "
    "those of mtlsim.theory.general_predictor."
)


def explainer(path: Path | str = "explainer.html") -> Path:
    """Write the lesson: two tasks in the plane, four sliders, the gain as variance saved minus bias brought, and a map.

    path: an .html file, whole in itself. Two tasks of 100 features and unit parameters at an angle, pooled; the target has 200
    isotropic rows, the source's features have the variance kappa in one half and 1 / kappa in the other. Raises ValueError where
    bokeh is not installed.

    >>> mtl.explainer("lesson.html").name
    'lesson.html'
    """
    check_bokeh()
    before = "".join(map(paragraph, LESSON))
    tries = "".join(f"<li><b>{what}.</b> {why}</li>" for what, why, _ in TRY)
    words = folded("The words", definitions({word: GLOSSARY[word] for word in WORDS}))
    after = f"<h2>Try</h2><ol>{tries}</ol><h2>What is computed</h2>{paragraph(BELOW)}{words}"
    return write_page(path, TITLE, _document(), before, after)


def _document() -> Any:
    """Sliders, plane, bars and map, filled by one callback as soon as the page is there."""
    from bokeh.document import Document
    from bokeh.events import DocumentReady
    from bokeh.layouts import column, row
    from bokeh.models import ColumnDataSource, CustomJSTickFormatter, Div, Slider

    texts = [f"{n}" for n in ROWS]
    kappa = CustomJSTickFormatter(code="return `${(2 ** (2 * tick)).toPrecision(3)}`")
    count = CustomJSTickFormatter(args={"texts": texts}, code="return texts[tick]")
    sliders = {
        "angle": Slider(start=0, end=180, value=30, step=1, title="angle between the tasks (degrees)", name="angle"),
        "noise": Slider(start=0.1, end=3, value=1, step=0.1, title="label noise (standard deviation)", name="noise"),
        "rows": Slider(start=0, end=len(ROWS) - 1, value=12, title="source rows", format=count, name="rows"),
        "covariance": Slider(
            start=-3,
            end=3,
            value=0,
            step=0.25,
            title="source variance, along over across the arrow",
            format=kappa,
            name="covariance",
        ),
    }
    sources = {
        "numbers": ColumnDataSource({n: [0.0] for n in ("risk_alone", "risk_together", "variance_saved", "bias_brought", "gain")}),
        "ellipses": ColumnDataSource({"xs": [[], []], "ys": [[], []], "colour": [TARGET, TOGETHER], "name": ["alone", "together"]}),
        "arrows": ColumnDataSource({"x": [0, 0], "y": [0, 0], "colour": [TARGET, SOURCE], "name": ["target", "source"]}),
        "source_rows": ColumnDataSource({"x": [], "y": []}),
        "pull": ColumnDataSource({"x": [], "y": []}),
        "bars": ColumnDataSource({
            "name": ["variance saved", "bias brought", "gain"], "value": [0.0] * 3, "colour": [HELPS, HURTS, HELPS],
        }),
        "map": ColumnDataSource(_cells()),
        "zeros": ColumnDataSource({"x": [], "y": []}),
        "place": ColumnDataSource({"x": [], "y": []}),
    }  # fmt: skip
    for name, source in sources.items():
        source.name = name
    words = Div(text="", name="words", styles={"font-size": "15px"}, **as_wide_as_the_page())
    setting = {"n_features": N_FEATURES, "n_target": N_TARGET, "rows": ROWS, "map_rows": MAP_ROWS, "map_angles": MAP_ANGLES}
    callback = script("explainer.js", {**sliders, **sources, "words": words, "setting": setting})
    for slider in sliders.values():
        slider.js_on_change("value", callback)
    for slider in sliders.values():
        slider.update(**as_wide_as_the_page(WIDTH // 2))
    wide = as_wide_as_the_page()
    # beside each other where there is room for both
    beside = lambda *parts: row(*parts, styles={"flex-wrap": "wrap"}, **wide)
    pairs = [
        column(sliders[one], sliders[other], sizing_mode="stretch_width", min_width=LEAST - 30)
        for one, other in (("angle", "noise"), ("rows", "covariance"))
    ]
    controls = beside(*pairs)
    document = Document()
    document.add_root(column(controls, words, beside(_plane(sources), _map(sources)), _bars(sources), **wide))
    document.add_root(sources["numbers"])  # which nothing draws
    document.js_on_event(DocumentReady, callback)
    return document


def _cells() -> dict[str, np.ndarray]:
    """Borders of the map's cells, angles fastest."""
    angles, rows = np.asarray(MAP_ANGLES, float), np.log(MAP_ROWS)
    wide, high = (angles[1] - angles[0]) / 2, (rows[1] - rows[0]) / 2
    ys, xs = (grid.ravel() for grid in np.meshgrid(rows, angles, indexing="ij"))
    sides = {"left": xs - wide, "right": xs + wide, "bottom": np.exp(ys - high), "top": np.exp(ys + high)}
    return sides | {"shade": np.zeros(xs.shape)}


def _panel(title: str, width: int, height: int, **options: Any) -> Any:
    from bokeh.plotting import figure

    least = {"min_width": LEAST - 30} if width < WIDTH else {}
    fig = figure(height=height, title=title, tools="", **as_wide_as_the_page(width), **least, **options)
    fig.toolbar_location = None
    return fig


def _plane(sources: dict[str, Any]) -> Any:
    """The plane of both tasks."""
    fig = _panel("The plane of both tasks", PANEL, PANEL + 50, x_range=(-1.3, 1.5), y_range=(-1.1, 1.7))
    fig.xaxis.axis_label, fig.yaxis.axis_label = "along the target's arrow", "across it"
    fig.line(
        "x", "y", source=sources["source_rows"], line_color=SOURCE, line_dash="dotted", legend_label="how the source's rows vary"
    )
    fig.segment(0, 0, "x", "y", source=sources["arrows"], line_color="colour", line_width=3)
    fig.scatter("x", "y", source=sources["arrows"], fill_color="colour", line_color="white", size=11)
    names = (("target's parameters", TARGET), ("source's parameters", SOURCE))
    for name, colour in names:
        fig.line([np.nan], [np.nan], line_color=colour, line_width=3, legend_label=name)
    fig.multi_line("xs", "ys", source=sources["ellipses"], line_color="colour", line_width=2)
    fig.line("x", "y", source=sources["pull"], line_color=HURTS, line_width=3, legend_label="pull (bias)")
    for name, colour in (("noise left: alone", TARGET), ("noise left: together", TOGETHER)):
        fig.line([np.nan], [np.nan], line_color=colour, line_width=2, legend_label=name)
    fig.add_layout(fig.legend[0], "below")
    fig.legend[0].update(ncols=2, label_text_font_size="8pt", spacing=5, padding=0, border_line_color=None)
    square = script("square.js", {"figure": fig, "x": fig.x_range, "y": fig.y_range})
    for side in ("inner_width", "inner_height"):
        fig.js_on_change(side, square)
    return fig


def _map(sources: dict[str, Any]) -> Any:
    """Gain over angle and source rows at the sliders' noise and covariance, and where the pair stands."""
    from bokeh.models import ColorBar, FixedTicker, LinearColorMapper

    fig = _panel(
        "Gain, in % of the error alone", WIDTH - PANEL, PANEL + 50, y_axis_type="log", x_range=(0, 180), y_range=(10, 10000)
    )
    fig.xaxis.axis_label, fig.yaxis.axis_label = "angle between the tasks (degrees)", "source rows"
    mapper = LinearColorMapper(gain_palette(), low=-1, high=1)
    colour = {"field": "shade", "transform": mapper}
    fig.quad("left", "right", "bottom", "top", source=sources["map"], fill_color=colour, line_color=colour)
    fig.scatter("x", "y", source=sources["zeros"], size=3, color="black")
    fig.scatter([np.nan], [np.nan], size=5, color="black", legend_label="gain zero")  # a legend shows no mark of an empty source
    place = {"size": 13, "fill_color": "#ffd92f", "line_color": "black", "line_width": 2}
    fig.scatter("x", "y", source=sources["place"], **place, legend_label="this pair of tasks")
    bar = ColorBar(color_mapper=mapper, ticker=FixedTicker(ticks=[-1, -0.5, 0, 0.5, 1]))
    bar.major_label_overrides = {-1: "≤ -100 %", -0.5: "-50 %", 0: "0", 0.5: "50 %", 1: "100 %"}
    fig.add_layout(bar, "right")
    fig.add_layout(fig.legend[0], "below")
    fig.legend[0].update(ncols=2, label_text_font_size="8pt", spacing=5, padding=0, border_line_color=None)
    return fig


def _bars(sources: dict[str, Any]) -> Any:
    """What the gain is made of, in percent of the error alone."""
    from bokeh.models import Span

    names = list(sources["bars"].data["name"])
    fig = _panel("What the gain is made of", WIDTH, 190, y_range=names[::-1])
    fig.hbar(y="name", right="value", height=0.6, source=sources["bars"], fill_color="colour", line_color=None)
    fig.add_layout(Span(location=0, dimension="height", line_color="black", line_width=1))
    fig.xaxis.axis_label = "% of the error alone (positive helps)"
    return fig
