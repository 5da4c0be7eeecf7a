"""Maps of the sign and size of transfer over two parameters."""

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import SymLogNorm
from matplotlib.patches import Patch

from mtlsim.core.checks import require
from mtlsim.core.verdict import summarise
from mtlsim.plots.legends import entry, legend
from mtlsim.plots.predictions import remember
from mtlsim.plots.sheet import finish
from mtlsim.plots.style import (
    GAIN_COLOURS,
    GAIN_LABEL,
    NO_INTERVAL,
    are_words,
    figure,
    has_long_names,
    kept_inside,
    label_of,
    places,
    set_scale,
    short_label_of,
    symmetric_ticks,
)
from mtlsim.results.dataset import has_heavy_tails
from mtlsim.results.selection import in_order
from mtlsim.results.zero_line import edges_of, zero_lines

if TYPE_CHECKING:
    import xarray as xr

MAX_COLUMNS = 6  # more panels go into further rows


def gain_norm(means: np.ndarray) -> SymLogNorm:
    """Symmetric colour scale about zero: linear for small gains, logarithmic beyond, the same for all panels."""
    largest = np.nanmax(np.abs(means), initial=0.0) or 1.0
    return SymLogNorm(linthresh=largest / 100, vmin=-largest, vmax=largest)


def map_panel(ax, xs: np.ndarray, ys: np.ndarray, mean: np.ndarray, sign: np.ndarray, norm, heavy=False) -> object:
    """One panel: colour = mean (blue helps, red hurts), hatched where undecided, black line where the mean is zero.

    mean and sign have shape (len(ys), len(xs)), and heavy likewise: cells without a mean that an interval covers, which are
    crossed and have no colour. An axis of words has a column or a row for each.
    """
    mean = np.where(heavy, np.nan, mean)
    words, (x_values, y_values) = are_words(xs) or are_words(ys), (xs, ys)
    xs, ys = places(xs), places(ys)
    mesh = ax.pcolormesh(edges_of(xs), edges_of(ys), np.ma.masked_invalid(mean), cmap=GAIN_COLOURS, norm=norm, rasterized=True)
    ax.set_facecolor("0.8")
    open_cells = np.ma.masked_where((sign != 0) | ~np.isfinite(mean) | (mean == 0), np.ones_like(mean))
    hatching = ax.pcolor(edges_of(xs), edges_of(ys), open_cells, hatch="/////", edgecolor="0.2", linewidth=0)
    hatching.set_facecolor("none")
    if np.any(heavy):
        crossing = ax.pcolor(
            edges_of(xs), edges_of(ys), np.ma.masked_where(~heavy, heavy), hatch="xxxx", edgecolor="0.2", linewidth=0
        )
        crossing.set_facecolor("none")
    for line in [] if words else zero_lines(np.asarray(xs, float), np.asarray(ys, float), mean, sign != 0):
        ax.plot(*line.T, color="black", linewidth=1.6)
    set_scale(ax.xaxis, x_values)
    set_scale(ax.yaxis, y_values)
    ax.set_xlim(edges_of(xs)[[0, -1]])
    ax.set_ylim(edges_of(ys)[[0, -1]])
    return mesh


def transfer_map(
    data: "xr.Dataset",
    x: str | None = None,
    y: str | None = None,
    panels: str | None = None,
    handles: tuple = (),
    title: str | None = None,
):
    """Figure of the sign and size of the gain over two swept parameters, one panel per value of a third, six to a row.

    data: a result of `mtlsim.sweep` with a gain and two or three axes; they are taken in order unless named. handles: more
    entries of the legend, for what is drawn on top. title: a sentence above it.
    """
    data = in_order(data, "gain_mean")
    axes = [name for name in data["gain_mean"].dims if data.sizes[name] > 1 or name in (x, y, panels)]
    require(len(axes) in (2, 3), "data", "swept over two or three parameters", f"over {axes}", "select some with data.sel(...)")
    named = [name for name in (x, y, panels) if name is not None]
    for name in named:
        require(name in axes, "x, y and panels", f"among {axes}", repr(name), "use the dotted names of the grid")
    rest = [name for name in axes if name not in named]
    x = x or rest.pop(0)
    y = y or rest.pop(0)
    panels = panels or (rest.pop(0) if rest else None)
    values = [None] if panels is None else data[panels].values
    n_rows = -(-len(values) // MAX_COLUMNS)
    n_columns = -(-len(values) // n_rows)
    width = 3.2 + 1.4 * any(has_long_names(data[name].values) for name in (x, y))
    fig, panel_axes = figure(n_columns, width, 3.4, n_rows, sharey=True)
    for ax in panel_axes.flat[len(values) :]:
        ax.set_axis_off()
    norm = gain_norm(data["gain_mean"].where(~has_heavy_tails(data)).values)
    for ax, value in zip(panel_axes.flat, values, strict=False):
        selected = data if value is None else data.sel({panels: value})
        mean, sign = (selected[name].transpose(y, x).values for name in ("gain_mean", "gain_sign"))
        heavy = has_heavy_tails(selected).transpose(y, x).values
        mesh = map_panel(ax, data[x].values, data[y].values, mean, sign, norm, heavy)
        remember(ax, selected, x, y)
        _keep_inside(ax, x, y)
        ax.set_xlabel(label_of(x))
        if value is not None:
            shown = f"{value:g}" if np.asarray(value).dtype.kind in "iuf" else str(value)
            ax.set_title(f"{short_label_of(panels)} {shown}\n{_in_words(mean[~heavy], sign[~heavy])}")
    for row in panel_axes:
        row[0].set_ylabel(label_of(y))
    bar = fig.colorbar(mesh, ax=panel_axes, shrink=0.9, pad=0.01, ticks=symmetric_ticks(float(norm.vmax), 100.0))
    bar.minorticks_off()
    bar.set_label(GAIN_LABEL.replace(": ", ":\n"))
    for handle in [*_legend(data.attrs["level"], "mean gain zero", bool(has_heavy_tails(data).any())), *handles]:
        entry(panel_axes[0, 0], handle)
    legend(fig, n_columns=max(n_columns, 2))
    return finish(fig, title)


def _legend(level: float, line: str, heavy: bool = False) -> list:
    chance = f"{100 * (1 - level):.3g} % of a map of no effect would be decided"
    return [
        Patch(facecolor="white", edgecolor="0.25", hatch="////", label=f"undecided at {100 * level:.3g} % ({chance})"),
        plt.Line2D([], [], color="black", linewidth=1.6, label=line),
        *([Patch(facecolor="0.8", edgecolor="0.25", hatch="xxxx", label=NO_INTERVAL)] if heavy else []),
    ]


def difference_map(data: "xr.Dataset", axis: str, pair: tuple, x: str, y: str, words: tuple[str, str], panels: str | None = None):
    """Figure of which of two settings has the larger gain, from paired seeds: blue where the first, red where the second.

    words: what blue and what red means, for the legend. panels: a third axis, one panel per value.
    """
    data = in_order(data, "gain_mean")
    values = [None] if panels is None else data[panels].values
    fig, axes = figure(len(values), 4.8 if panels is None else 3.4, 3.9, sharey=True)
    for ax, value in zip(axes[0], values, strict=True):
        selected = data if value is None else data.sel({panels: value})
        mesh = map_panel(ax, data[x].values, data[y].values, *paired_difference(selected, axis, pair, x, y), plt.Normalize(-1, 1))
        ax.set_xlabel(label_of(x))
        if value is not None:
            ax.set_title(f"{short_label_of(panels)} {value:g}")
    axes[0, 0].set_ylabel(label_of(y))
    bar = fig.colorbar(mesh, ax=axes)
    bar.set_label(f"gain with {pair[0]} minus with {pair[1]} covariance,\nover the mean size of both")
    for word, colour in zip(words, (1.0, 0.0), strict=True):
        entry(axes[0, 0], Patch(facecolor=plt.get_cmap(GAIN_COLOURS)(0.12 + 0.76 * colour), edgecolor="none", label=word))
    for handle in _legend(data.attrs["level"], "both equal"):
        entry(axes[0, 0], handle)
    legend(fig, n_columns=3)
    return finish(fig)


def paired_difference(data: "xr.Dataset", axis: str, pair: tuple, x: str, y: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean over seeds of the gain of the first of two settings minus that of the second, over the mean size of both, and the
    verdict on its sign; both of shape (y, x)."""
    draws = [data.sel({axis: name}).transpose(y, x, "seed", ...) for name in pair]
    gains, controls = ([one[name].values if name in one else 0.0 for one in draws] for name in ("gain", "control"))
    either = [np.maximum(*(one[name].values for one in draws)) if name in data else None for name in ("status", "steep")]
    summary = summarise(gains[0] - gains[1], data.attrs["level"], controls[0] - controls[1] + 0 * gains[0], *either)
    size = np.nanmean(np.abs(gains[0]) + np.abs(gains[1]), -1)
    return summary["mean"] / np.where(size > 0, size, 1), summary["sign"]


def _in_words(mean: np.ndarray, sign: np.ndarray) -> str:
    if (mean == 0).all():
        return "nothing is shared: exactly zero"
    if (sign > 0).all():
        return "helps everywhere"
    if (sign < 0).all():
        return "hurts everywhere"
    return f"helps in {100 * (sign > 0).mean():.0f} %, hurts in {100 * (sign < 0).mean():.0f} %"


def _keep_inside(ax, x: str, y: str) -> None:
    """No axis reaches values that its parameter cannot take."""
    ax.set_xlim(kept_inside(x, *ax.get_xlim()))
    ax.set_ylim(kept_inside(y, *ax.get_ylim()))
