"""Curves of the gain or a risk over one parameter, with bands, or as points on the lines that a statement predicts."""

from collections.abc import Mapping
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
from matplotlib.axes import Axes

from mtlsim.core.verdict import summarise
from mtlsim.plots.legends import FURNITURE, band_entry, bar_entry, legend, open_entry
from mtlsim.plots.predictions import DASHES, overlay, remember
from mtlsim.plots.sheet import finish
from mtlsim.plots.style import (
    GAIN_LABEL,
    HELPS,
    HURTS,
    MARKERS,
    NO_INTERVAL,
    RISK_LABEL,
    SERIES,
    are_words,
    figure,
    label_of,
    places,
    series_of,
    set_scale,
    short_label_of,
    symmetric_ticks,
)
from mtlsim.results.dataset import has_heavy_tails
from mtlsim.results.selection import in_order

if TYPE_CHECKING:
    import xarray as xr


_DRAWN: WeakKeyDictionary[Axes, int] = WeakKeyDictionary()  # curves on each panel


def _next(ax: Axes, series: int | None) -> int:
    """The series asked for, or the one after those that the panel has."""
    _DRAWN[ax] = _DRAWN.get(ax, 0) + 1
    return _DRAWN[ax] - 1 if series is None else series


def gain_curve(
    ax,
    data: "xr.Dataset",
    x: str,
    label: str | None = None,
    series: int | None = None,
    line: bool = True,
    color: str | None = None,
):
    """Mean gain over one swept parameter with its interval; open markers where the sign is undecided, crosses where no interval
    would cover the mean (status `heavy_tailed`), no further out than the intervals of the others.

    series: which colour and marker of the house, by default the next one on this panel; color: any other colour.
    line: join the points and draw the interval as a band; without, points and bars, which leave the line to a theory's overlay.
    """
    series, data = _next(ax, series), in_order(data, "gain_mean")
    xs, mean = places(data[x].values), data["gain_mean"].values
    heavy = has_heavy_tails(data).values
    low, high = (np.where(heavy, np.nan, data[name].values) for name in ("gain_low", "gain_high"))
    colour, marker = color or SERIES[series % len(SERIES)], MARKERS[series % len(MARKERS)]
    level = f"{100 * data.attrs.get('level', 0.95):.3g} %"
    if line:
        ax.fill_between(xs, low, high, color=colour, alpha=0.22, linewidth=0)
        ax.plot(xs, np.where(heavy, np.nan, mean), color=colour)
        ax.plot([], [], color=colour, marker=marker, label=label)
        band_entry(ax, f"interval ({level})")
    else:
        ax.errorbar(xs, mean, [mean - low, high - mean], color=colour, linestyle="none", elinewidth=1)
        bar_entry(ax, f"bars: interval ({level})")
        ax.plot([], [], color=colour, marker=marker, linestyle="none", label=label)
    remember(ax, data, x)
    decided, undecided = data["gain_sign"].values != 0, (data["gain_sign"].values == 0) & ~heavy
    ax.plot(xs[decided], mean[decided], linestyle="none", marker=marker, color=colour)
    ax.plot(xs[undecided], mean[undecided], linestyle="none", marker=marker, color=colour, markerfacecolor="white")
    if undecided.any():
        open_entry(ax, f"open: undecided at {level}")
    if heavy.any():
        known = NO_INTERVAL in ax.get_legend_handles_labels()[1]
        # whose sample mean may be anything: it does not set the scale for the others
        seen = np.clip(mean, np.nanmin(low), np.nanmax(high)) if np.isfinite(low).any() else mean
        ax.plot(xs[heavy], seen[heavy], linestyle="none", marker="x", color="0.3", label=None if known else NO_INTERVAL)
    return ax


def transfer_curve(data: "xr.Dataset", x: str, panels: str | None = None, title: str | None = None):
    """Figure of the gain over one swept parameter, numbers or words, one panel per value of another; other axes at their first.

    title: a sentence above it.
    """
    data = data.isel({axis: 0 for axis in data["gain_mean"].dims if axis not in (x, panels)})
    values, along = [None] if panels is None else data[panels].values, data[x].values
    fig, axes = figure(len(values), 4.4 if panels is None else 3.2, 3.2, sharey=True)
    for ax, value in zip(axes.flat, values, strict=True):
        gain_curve(ax, data if value is None else data.sel({panels: value}), x, "mean gain", 0, line=not are_words(along))
        if value is not None:
            ax.set_title(f"{short_label_of(panels)} {value:g}" if not are_words(values) else f"{short_label_of(panels)} {value}")
    for ax in axes.flat:
        finish_gain_axis(ax, x, along, label=ax is axes[0, 0])
        if are_words(along):
            ax.set_xlim(-0.5, len(along) - 0.5)
    legend(fig)
    return finish(fig, title)


def finish_gain_axis(ax, x: str, xs, symlog: bool = False, label: bool = True, reach: float | None = None) -> None:
    """Zero line, shaded halves, labels with the sign convention. reach: largest gain to show; bands may leave the axis."""
    if reach is not None:
        low, high = ax.get_ylim()
        ax.set_ylim(max(low, -reach), min(high, reach))
    if symlog:
        largest = max(abs(value) for value in ax.get_ylim())
        ax.set_yscale("symlog", linthresh=largest / 100, linscale=0.5)
        ax.set_yticks(symmetric_ticks(float(largest), 50.0))
        low, high = ax.get_ylim()
        ax.set_ylim(*(1.5 * end for end in (low, high)))  # on this scale the usual margin is hardly seen
        ax.minorticks_off()
    tint_gains(ax)
    set_scale(ax.xaxis, xs)
    ax.set_xlabel(label_of(x))
    if label:
        ax.set_ylabel(GAIN_LABEL.replace(": ", ":\n"))


def tint_gains(ax) -> None:
    """The line of no gain, and the halves in which sharing helps and hurts, within the limits that the panel has."""
    ax.axhline(0, color="black", linewidth=0.8, gid=FURNITURE)
    low, high = ax.get_ylim()
    ax.axhspan(0, max(high, 0), color=HELPS, alpha=0.05, zorder=0, linewidth=0, gid=FURNITURE)
    ax.axhspan(min(low, 0), 0, color=HURTS, alpha=0.05, zorder=0, linewidth=0, gid=FURNITURE)
    ax.set_ylim(low, high)


def risk_curve(ax, data: "xr.Dataset", x: str, name: str, label: str, series: int, line: bool = True) -> None:
    """Mean of a risk over seeds with its 95 % interval; line: as in `gain_curve`."""
    data = in_order(data, name)
    xs, found = places(data[x].values), summarise(data[name].values)
    mean, low, high = (found[part] for part in ("mean", "low", "high"))
    remember(ax, data, x, quantity=name)
    colour = SERIES[series % len(SERIES)]
    marker = MARKERS[series % len(MARKERS)]
    if line:
        ax.fill_between(xs, low, high, color=colour, alpha=0.22, linewidth=0)
        ax.plot(xs, mean, color=colour, marker=marker, label=label)
        band_entry(ax)
    else:
        ax.errorbar(xs, mean, [mean - low, high - mean], color=colour, marker=marker, linestyle="none", elinewidth=1, label=label)
        bar_entry(ax)


def finish_risk_axis(ax, x: str, xs, label: bool = True) -> None:
    """Scale and labels, with the convention that lower is better."""
    set_scale(ax.xaxis, xs)
    ax.set_xlabel(label_of(x))
    if label:
        ax.set_ylabel(RISK_LABEL)


def points_on_lines(
    ax,
    data: "xr.Dataset",
    x: str,
    series: Mapping[str, Mapping],
    prediction,
    quantity="gain",
    n_draws=1,
    label=True,
    line="prediction",
) -> None:
    """Simulated points with their intervals on dashed lines of the same colour, which a statement predicts; axes finished.

    series: name in the legend -> values of the other parameters. prediction: as for `overlay`, with `n_draws`. quantity: gain or
    the name of a risk. label: whether the y axis gets one. line: what the dashed lines are called in the legend.
    """
    colours = series_of(series)
    for name, point in series.items():
        i = colours[name]
        if quantity == "gain":
            gain_curve(ax, data.sel(point), x, name, i, line=False)
        else:
            risk_curve(ax, data.sel(point), x, quantity, name, i, line=False)
        overlay(ax, prediction, SERIES[i % len(SERIES)], "_nolegend_", n_draws)
    finish = finish_gain_axis if quantity == "gain" else finish_risk_axis
    finish(ax, x, data[x].values, label=label)
    ax.plot([], [], color="black", linestyle=DASHES, label=line)


def legend_above(ax, title: str, n_columns: int = 3) -> None:
    """The legend of a panel above it, out of the way of what it shows."""
    legend(ax, "above", n_columns, title=title)
