"""A figure made ready: its claim above it, words that fit their panels, nothing outside the canvas, and its files."""

import base64
import io
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogLocator, NullLocator

from mtlsim.plots.legends import fit_legends, stands_below
from mtlsim.plots.style import look_now, panels_of
from mtlsim.plots.words import wrap

TITLE = "claim"  # group of the title's text, by which it is found again
PAD = 0.06  # inches between the title and the edge, and the title and what is below
BESIDE_PANELS = 0.75  # inches of a panel's height that its labels take
STEPS = (1, 2, 5), (1, 2, 3, 5), (1, 1.5, 2, 3, 4, 5, 7)  # of ticks in a decade, the first of which three or more are in view
BAR = 0.16  # inches, width of a bar of colours at most
LEAST_SHARE = 0.62  # of the height of a row that its panels have


def finish(fig: Figure, claim: str | None = None) -> Figure:
    """Labels and legends are made to fit, and the claim is set above, unless the `Look` has no titles."""
    look = look_now()
    _write_out_numbers(fig)
    _label_rows(fig)
    fit_legends(fig, of_panels=False)  # one that is too wide leaves panels no room to be laid out in
    if look.width is not None:
        width, height = fig.get_size_inches()
        renderer = fig.canvas.get_renderer()
        fig.set_size_inches(width, height + sum(one.get_window_extent(renderer).height for one in fig.legends) / fig.dpi)
    with warnings.catch_warnings():  # a legend that is made narrower below may leave no room yet
        warnings.filterwarnings("ignore", "constrained_layout not applied")
        fig.draw_without_rendering()
    _narrow_colour_bars(fig)
    if _wrap_labels(fig) | fit_legends(fig) | (look.width is not None):
        fig.draw_without_rendering()
    _stretch(fig)
    if claim and look.title:
        entitle(fig, claim)
    return fig


def entitle(fig: Figure, claim: str) -> Text:
    """Set a sentence above a figure, which grows by its height, wrapped to its width."""
    width, height = fig.get_size_inches()
    for old in [text for text in fig.texts if text.get_gid() == TITLE]:
        old.remove()
        height *= fig.get_layout_engine().get()["rect"][3]
    text = fig.text(PAD / width, 1, claim, ha="left", va="top", fontsize="large", gid=TITLE)
    text.set_in_layout(False)  # the panels keep out of its way by `rect`
    wrap(text, fig.bbox.width - 2 * PAD * fig.dpi, balanced=False)
    tall = text.get_window_extent(fig.canvas.get_renderer()).height / fig.dpi + 2 * PAD
    fig.set_size_inches(width, height + tall)
    top = height / (height + tall)
    text.set_position((PAD / width, 1 - PAD / (height + tall)))
    fig.get_layout_engine().set(rect=(0, 0, 1, top))
    if fig._supylabel is not None:
        fig._supylabel.set_y(top / 2)
    return text


def _wrap_labels(fig: Figure) -> bool:
    """Titles and labels of panels, and labels of the figure, to the room that they have; whether any was wrapped."""
    found = False
    shape = panels_of(fig)
    alone = shape is None or shape[2] == 1
    for ax in fig.axes:
        if not ax.axison:
            continue
        box = ax.get_window_extent()
        middle = (box.x0 + box.x1) / 2
        across = min(2 * min(middle, fig.bbox.width - middle), np.inf if alone else 0.98 * box.width)
        for text in (ax.title, ax.xaxis.label):
            found |= bool(text.get_text()) and wrap(text, across)
        if ax.yaxis.label.get_text():
            middle, one_row = (box.y0 + box.y1) / 2, shape is None or (shape[0] == 1 and shape[2] >= shape[1])
            found |= wrap(ax.yaxis.label, 2 * min(middle, fig.bbox.height - middle) if one_row else box.height * 1.1)
    if fig._supxlabel is not None:
        found |= wrap(fig._supxlabel, 0.98 * fig.bbox.width)
    if fig._supylabel is not None:
        found |= wrap(fig._supylabel, 0.98 * fig.bbox.height)
    return found


def _narrow_colour_bars(fig: Figure) -> None:
    """A bar beside panels that stand on each other is no thicker than one beside a single panel."""
    for ax in fig.axes:
        info = getattr(ax, "_colorbar_info", None)
        if info and info["location"] in ("left", "right"):
            boxes = [parent.get_window_extent() for parent in info["parents"]]
            height = max(box.y1 for box in boxes) - min(box.y0 for box in boxes)
            info["aspect"] = max(info["aspect"], info["shrink"] * height / fig.dpi / BAR)


def _write_out_numbers(fig: Figure) -> None:
    """On a logarithmic axis of a decade or less 3, 5 and 10, where matplotlib writes 3 x 10^0, 4 x 10^0 and 6 x 10^0."""
    for ax in fig.axes:
        if ax.get_subplotspec() is None:
            continue
        for axis in (ax.xaxis, ax.yaxis):
            if axis.get_scale() != "log" or not isinstance(axis.get_major_locator(), LogLocator):
                continue
            low, high = sorted(axis.get_view_interval())
            if not 0 < low < high <= 10 * low:
                continue
            decade = 10.0 ** np.floor(np.log10(low))
            for steps in STEPS:
                ticks = [scale * step * decade for scale in (1, 10) for step in steps if low <= scale * step * decade <= high]
                if len(ticks) >= 3:
                    axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
                    axis.set_minor_locator(NullLocator())
                    break


def _label_rows(fig: Figure) -> None:
    """Where panels went into further rows: the first of each row says what is up it, and the last of a column what is along it.

    A panel says it too if a legend stands between, or the same parameter runs on another scale below.
    """
    shape = panels_of(fig)
    if shape is None or shape[2] >= shape[1]:
        return
    n_rows, n_columns, columns, _ = shape
    axes = [ax for ax in fig.axes if ax.get_subplotspec() is not None][: n_rows * n_columns]
    said = [ax.get_ylabel() for ax in axes]
    for i, ax in enumerate(axes):
        if i % columns == 0 and not said[i]:  # that of the nearest on its left, which is not always the first of its row
            before = [label for label in said[i - i % n_columns : i] if label]
            ax.set_ylabel(before[-1] if before else "")
        elif i % columns and ax.get_shared_y_axes().joined(ax, axes[i - 1]):
            ax.set_ylabel("")
        below: Axes | None = axes[i + columns] if i + columns < len(axes) else None
        apart = stands_below(ax) or (below is not None and below.get_xscale() != ax.get_xscale())
        if below is not None and below.get_xlabel() == ax.get_xlabel() and not apart:
            ax.set_xlabel("")


def _stretch(fig: Figure) -> None:
    """The figure grows where labels and legends have left its panels too little of their height, on paper nothing of it."""
    shape = panels_of(fig)
    if shape is None:
        return
    n_rows, n_columns, columns, height = shape
    panels = [ax for ax in fig.axes if ax.get_subplotspec() is not None][: n_rows * n_columns]
    rows = -(-len(panels) // columns)
    width, tall = fig.get_size_inches()
    shortest = min(ax.get_position(original=True).height for ax in panels) * tall
    least = max(height - BESIDE_PANELS, 1.2) if look_now().width is not None else LEAST_SHARE * height
    if least > shortest:
        fig.set_size_inches(width, tall + rows * (least - shortest))


def save(fig: Figure, path: str | Path, formats: tuple[str, ...] | None = None) -> list[Path]:
    """Write the figure in these formats beside each other, as PNG and PDF if not said, and close it."""
    path = Path(path)
    base = path.with_suffix("") if path.suffix in (".nc", ".png", ".pdf", ".svg") else path
    written = [base.with_name(f"{base.name}.{name}") for name in formats or look_now().formats]
    for file in written:
        fig.savefig(file)
        fig.set_layout_engine("none")  # all formats are laid out alike, and once
    plt.close(fig)
    return written


def as_data_uri(fig: Figure) -> str:
    """The figure as a PNG inside a data URI, for a page that is one file; closes it."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=100)
    plt.close(fig)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
