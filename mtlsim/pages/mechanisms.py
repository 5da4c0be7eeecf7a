"""Mechanisms as one page: verdicts with their five clauses, and the effect over its dose, under controls, against opponents."""

import html
import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtlsim.pages._page import as_wide_as_the_page, check_bokeh, folded, listing, paragraph, script, write_page
from mtlsim.plots.style import HELPS, HURTS, SERIES, UNDECIDED
from mtlsim.plots.verdicts import number_in_words, verdicts_in_words

LABEL = 22  # letters to a line beside a panel, which leave it room on a telephone
LINE, AROUND = 15, 90  # pixels of a line of a label, and around a panel

if TYPE_CHECKING:
    import xarray as xr

COLOURS = {"holds": HELPS, "open": UNDECIDED, "fails": HURTS, "confirmed": HELPS, "undecided": UNDECIDED, "refuted": HURTS}
HELP = (
    "Choose a mechanism: its effect (positive as claimed) over the dose that must move it, at the point that it states, under each "
    "control that must remove it, and against every setting of the single task. Move the slider to read one dose. Below: what is "
    "claimed, and the five clauses with their numbers."
)
KINDS = {"effect": "as stated", "control": "control: ", "opponent": "single task with "}


def explore_mechanisms(data: "xr.Dataset", path: Path | str, again: str = "") -> Path:
    """Write a page of the verdicts on mechanisms.

    data: of the figure `mechanisms`. path: an .html file, whole in itself. again: the command that makes the data again. Results
    of earlier releases hold no effects, and become a page without curves.
    """
    check_bokeh()
    from bokeh.layouts import column

    told = {str(name): str(data["effects"].sel(mechanism=name).item()) for name in data["mechanism"].values if "effects" in data}
    seen = {name: json.loads(text) for name, text in told.items()}
    model = _curves(seen, data) if seen else column()
    table = "<h2>Verdicts</h2>" + _verdicts(data)
    sections = "".join(_section(data.sel(mechanism=name)) for name in data["mechanism"].values)
    after = table + sections + (folded("How to make it again", listing(again)) if again else "")
    return write_page(path, verdicts_in_words(data), model, paragraph(HELP) if seen else "", after)


def _columns(rows: list[dict[str, Any]]) -> dict[str, list]:
    return {name: [row[name] for row in rows] for name in ("label", "mean", "low", "high")}


def _curves(seen: dict[str, list[dict[str, Any]]], data: "xr.Dataset") -> Any:
    """Effect by dose with a slider, and the effect at all other points, of the mechanism that is chosen."""
    from bokeh.layouts import column
    from bokeh.models import ColumnDataSource, Div, HoverTool, Select, Slider, Span
    from bokeh.plotting import figure

    every = {}
    for name, rows in seen.items():
        rest = [row for row in rows if row["kind"] != "dose"]
        others = [row | {"label": textwrap.fill(f"{KINDS[row['kind']]}{row['label']}", LABEL)} for row in rest]
        every[name] = {"doses": _columns([row for row in rows if row["kind"] == "dose"]), "others": _columns(others)}
    heights = {name: _height(one["others"]["label"]) for name, one in every.items()}
    doses = {str(name): str(data["dose"].sel(mechanism=name).item()) for name in data["mechanism"].values}
    first = next(iter(every))
    names = list(every)
    sources = {part: ColumnDataSource(every[first][part], name=part) for part in ("doses", "others")}
    place = ColumnDataSource({key: values[:1] for key, values in every[first]["doses"].items()}, name="place")
    tips = [("", "@label"), ("effect", "@mean{0.000}"), ("interval", "@low{0.000} to @high{0.000}")]
    zero = lambda dimension: Span(location=0, dimension=dimension, line_color="black", line_width=1)
    wide = as_wide_as_the_page()
    options = {"tools": "save", **wide}
    dose = figure(x_range=every[first]["doses"]["label"], height=300, title="effect by dose", name="effects by dose", **options)
    dose.segment("label", "low", "label", "high", source=sources["doses"], line_color=SERIES[0], line_width=2)
    dose.line("label", "mean", source=sources["doses"], line_color=SERIES[0])
    dots = dose.scatter("label", "mean", source=sources["doses"], size=8, fill_color=SERIES[0], line_color="white")
    dose.scatter("label", "mean", source=place, size=15, fill_color=None, line_color="black", line_width=2)
    dose.xaxis.axis_label, dose.yaxis.axis_label = doses[first], "effect (positive as claimed)"
    points = every[first]["others"]["label"][::-1]
    other = figure(y_range=points, height=heights[first], title="at other points", name="others of", **options)
    other.segment("low", "label", "high", "label", source=sources["others"], line_color=SERIES[1], line_width=2)
    marks = other.scatter("mean", "label", source=sources["others"], size=8, fill_color=SERIES[1], line_color="white")
    other.xaxis.axis_label = "effect"  # as above, and short, for narrow windows
    for fig, drawn, dimension in ((dose, dots, "width"), (other, marks, "height")):
        fig.toolbar.logo = None
        fig.add_layout(zero(dimension))
        fig.add_tools(HoverTool(renderers=[drawn], tooltips=tips))
    chosen = Select(title="mechanism", value=first, options=names, name="mechanism")
    last = len(every[first]["doses"]["label"]) - 1
    slider = Slider(start=0, end=last, value=0, step=1, title="dose", show_value=False, name="dose", **as_wide_as_the_page(430))
    ends = every[first]["doses"]
    shown = f"effect {ends['mean'][0]:.3g} ({ends['low'][0]:.3g} to {ends['high'][0]:.3g})"
    words = Div(text=f"{doses[first]} = {ends['label'][0]}: {shown}", name="words", **wide)
    arguments = {**sources, "place": place, "every": every, "names": doses, "chosen": chosen, "slider": slider, "words": words}
    arguments |= {"other": other, "heights": heights, "x_range": dose.x_range, "y_range": other.y_range, "x_axis": dose.xaxis[0]}
    callback = script("mechanisms.js", arguments)
    chosen.js_on_change("value", callback)
    slider.js_on_change("value", callback)
    return column(chosen, dose, slider, words, other, **wide)


def _height(labels: list[str]) -> int:
    """Pixels of a panel in which these labels, some of several lines, stand one below the other."""
    return max(320, AROUND + LINE * len(labels) * max(label.count("\n") + 1 for label in labels))


def _numbers(data: "xr.Dataset", clause: str) -> str:
    one = data.sel(clause=clause)
    number, low, high = (number_in_words(float(one[part]), clause) for part in ("number", "low", "high"))
    return f"{number} ({low} to {high})"


def _coloured(word: str) -> str:
    return f'<b style="color: {COLOURS[word]}">{word}</b>'


def _verdicts(data: "xr.Dataset") -> str:
    """A row a mechanism, a field a clause."""
    clauses = [str(clause) for clause in data["clause"].values]
    head = "".join(f"<th>{one}</th>" for one in ("mechanism", "verdict", *clauses))
    rows = ""
    for name in data["mechanism"].values:
        own = data.sel(mechanism=name)
        states = {one: _coloured(str(own["state"].sel(clause=one).item())) for one in clauses}
        fields = "".join(f"<td>{state}<br>{_numbers(own, one)}</td>" for one, state in states.items())
        link = f'<a href="#{html.escape(str(name))}">{html.escape(str(name))}</a>'
        rows += f"<tr><td>{link}</td><td>{_coloured(str(own['verdict'].item()))}</td>{fields}</tr>"
    return f'<div style="overflow-x: auto"><table><tr>{head}</tr>{rows}</table></div>'


def _section(data: "xr.Dataset") -> str:
    """One mechanism: what is claimed and said, and every clause with its number and rule."""
    name = html.escape(str(data["mechanism"].item()))
    texts = {"Tried here": "claim", "The text says": "says", "Inferred here": "inferred", "Known of it": "known"}
    said = {title: str(data[part].item()) for title, part in texts.items() if part in data}
    words = "".join(f"<p><b>{title}:</b> {html.escape(text)}</p>" for title, text in said.items() if text)
    rules = {str(clause): data["rule"].sel(clause=clause).item() if "rule" in data else "" for clause in data["clause"].values}
    rows = "".join(
        f"<tr><td>{clause}</td><td>{_coloured(str(data['state'].sel(clause=clause).item()))}</td>"
        f"<td>{html.escape(str(data['about'].sel(clause=clause).item()))}</td><td>{html.escape(str(rules[str(clause)]))}</td></tr>"
        for clause in data["clause"].values
    )
    table = f"<table><tr><th>clause</th><th>state</th><th>numbers</th><th>rule</th></tr>{rows}</table>"
    hurts = str(data["harm"].item())
    harm = paragraph(f"{hurts[:1].upper()}{hurts[1:]}.")  # names of parameters keep their letters
    verdict = _coloured(str(data["verdict"].item()))
    return f'<section id="{name}"><h2>{name}: {verdict}</h2>{words}<div style="overflow-x: auto">{table}</div>{harm}</section>'
