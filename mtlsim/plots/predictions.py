"""Theory on the axes of a simulation: the predicted curve or boundary, hatched where its assumptions fail."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mtlsim.core.checks import require
from mtlsim.plots.legends import hatch_entry, renew
from mtlsim.plots.style import are_words, is_logarithmic, places
from mtlsim.results.grid import parameters
from mtlsim.sweeps.predict import predict

if TYPE_CHECKING:
    import xarray as xr

N_CURVE, N_MAP = 60, 31
DASHES = (0, (4, 1.5))


@dataclass(frozen=True)
class Shown:
    """What a panel shows: the parameters along its axes, the values of x, the values held fixed, the quantity drawn, and whether
    an axis is one of words."""

    x: str
    places: tuple
    y: str | None = None
    fixed: dict = field(default_factory=dict)
    quantity: str = "gain"
    words: bool = False


_SHOWN: WeakKeyDictionary[Axes, Shown] = WeakKeyDictionary()


def remember(ax: Axes, data: "xr.Dataset", x: str, y: str | None = None, quantity: str = "gain") -> None:
    """Note what a panel shows, so that a prediction can be drawn on it later."""
    names = [str(name) for name in data.coords if name not in (x, y) and data[name].ndim == 0 and name != "seed"]
    words = any(are_words(data[name].values) for name in (x, y) if name is not None)
    _SHOWN[ax] = Shown(x, tuple(data[x].values.tolist()), y, {name: data[name].values.item() for name in names}, quantity, words)


def overlay(
    where: Axes | Figure, prediction, colour: str = "black", label: str | None = None, n_draws: int = 16, hatch: bool = True
):
    """Draw what a statement predicts on panels that show a sweep: a dashed curve, or on maps the line where the gain is zero.

    where: a panel or a figure made by `mtlsim.plots`. prediction: a statement bound to the swept cell, such as
    `theory.free_heads(cell)`. Where the assumptions fail no curve is drawn and (unless hatch is False) the panel is dotted.
    Raises ValueError for panels that are no curves or maps of ours, and statements that do not predict what they show.
    """
    panels = [ax for ax in where.axes if ax in _SHOWN] if isinstance(where, Figure) else [where]
    known = bool(panels) and all(ax in _SHOWN for ax in panels)
    require(
        known, "where", "a panel or figure of mtlsim.plots", type(where).__name__, "draw the sweep with gain_curve or transfer_map"
    )
    label = label or f"theory: {prediction.statement.name.replace('-', ' ')}"
    fails = False
    for ax in panels:
        shown = _SHOWN[ax]
        draw = _curve if shown.y is None else _boundary
        fails |= draw(ax, shown, prediction, colour, label, n_draws, hatch)
    if fails:
        hatch_entry(panels[0], "...", OUTSIDE)
    renew(where)
    return where


def _grid(axis, limits: tuple, count: int) -> np.ndarray:
    """Places along an axis, spaced as its scale is or (by `style.set_scale`) will be."""
    low, high = limits
    geometric = axis.get_scale() == "log" or is_logarithmic(limits)
    return np.geomspace(low, high, count) if geometric else np.linspace(low, high, count)


def _predicted(prediction, grid: dict, shown: Shown, n_draws: int):
    data = predict(prediction, {**{name: [value] for name, value in shown.fixed.items()}, **grid}, n_draws, check=False)
    known, found = shown.quantity in data, ", ".join(str(name) for name in data.data_vars)
    require(known, "prediction", f"a statement about {shown.quantity}", f"about {found}", "overlay it on its own axes")
    return data.squeeze(list(shown.fixed), drop=True)


def _curve(ax: Axes, shown: Shown, prediction, colour: str, label: str, n_draws: int, hatch: bool) -> bool:
    """Draw the predicted curve; whether a part was hatched."""
    static = dict(parameters(prediction.cell)).get(shown.x, False)  # each value compiles apart, and there is none between
    xs = np.asarray(shown.places) if static else _grid(ax.xaxis, (min(shown.places), max(shown.places)), N_CURVE)
    data = _predicted(prediction, {shown.x: xs}, shown, n_draws)
    values, holds = data[shown.quantity].values, data["margin"].values >= 0
    seen = ax.dataLim.frozen()
    curve = np.where(holds, values, np.nan)
    xs = places(xs)
    ax.plot(xs, curve, color=colour, linestyle=DASHES, linewidth=1.3, label=label, marker="_" if static else "", markersize=14)
    borders = np.concatenate([xs[:1], (xs[1:] + xs[:-1]) / 2, xs[-1:]])
    dots = "0.6" if colour == "black" else to_rgba(colour, 0.6)  # of several curves, of the one that ends there
    for low, high in _runs(~holds) if hatch else ():
        ax.axvspan(borders[low], borders[high], facecolor="none", edgecolor=dots, hatch="..", linewidth=0)
    ax.dataLim.set(seen)  # the simulation alone decides what is in view
    ax.autoscale_view()
    return hatch and bool((~holds).any())


def _boundary(ax: Axes, shown: Shown, prediction, colour: str, label: str, n_draws: int, hatch: bool) -> bool:
    """Draw where the predicted gain is zero; whether a part was hatched."""
    require(not shown.words, "where", "a map over numbers", f"over the names of {shown.x} or {shown.y}", "draw a map for each name")
    xs, ys = _grid(ax.xaxis, ax.get_xlim(), N_MAP), _grid(ax.yaxis, ax.get_ylim(), N_MAP)
    data = _predicted(prediction, {shown.x: xs, shown.y: ys}, shown, n_draws).transpose(shown.y, shown.x)
    gain, holds = data[shown.quantity].values, data["margin"].values >= 0
    inside = np.where(holds, gain, np.nan)
    if np.isfinite(inside).any() and np.nanmin(inside) < 0 < np.nanmax(inside):
        style = {"colors": colour, "linestyles": [DASHES], "linewidths": 1.6}
        ax.contour(xs, ys, np.ma.masked_invalid(inside), levels=[0.0], **style)
    if hatch and (~holds).any():
        outside = np.ma.masked_where(holds, np.ones_like(gain))
        ax.pcolor(xs, ys, outside, hatch="..", edgecolor="0.5", linewidth=0, shading="nearest").set_facecolor("none")
    ax.plot([], [], color=colour, linestyle=DASHES, label=label)
    return hatch and bool((~holds).any())


OUTSIDE = "outside the theory's assumptions"


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Beginnings and ends of the runs of true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def legend_handle(label: str, colour: str = "black"):
    """What stands for an overlay in a legend."""
    return Line2D([], [], color=colour, linestyle=DASHES, linewidth=1.3, label=label)


def boundary(ax: Axes, found, colour: str = "black", label: str | None = None) -> Axes:
    """Draw a `Boundary`: a line per branch, and for sampled ones its roots with the band of their intervals."""
    for i, branch in enumerate(found.branches):
        name = label if i == 0 else None
        if not found.low:
            ax.plot(*branch.T, color=colour, linestyle=DASHES, linewidth=1.6, label=name)
            continue
        band = ax.fill_betweenx if found.along == found.x else ax.fill_between
        band(branch[:, int(found.along == found.x)], found.low[i], found.high[i], color=colour, alpha=0.25, linewidth=0)
        ax.plot(*branch.T, color=colour, marker="o", markersize=3, linewidth=1.2, label=name)
    return ax
