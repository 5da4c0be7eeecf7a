"""What several tasks gain from each other: a matrix of all pairs, and beside it what each gains from the others together."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import Patch, Rectangle

from mtlsim.plots.legends import FURNITURE, bar_entry, entry, legend
from mtlsim.plots.maps import gain_norm
from mtlsim.plots.sheet import finish
from mtlsim.plots.style import GAIN_COLOURS, SERIES, figure, symmetric_ticks

if TYPE_CHECKING:
    import xarray as xr

MOST_NAMED = 40  # tasks whose names are drawn
SIDES = (
    ("", "mixture with all others", SERIES[0], "o", -0.12),
    ("group_", "in its group (chosen on these rows)", SERIES[1], "s", 0.12),
)


def study(data: "xr.Dataset"):
    """Gains in % of the risk alone, positive helps: blue helps, red hurts, hatched where undecided, frames around groups."""
    names, sources = [str(name) for name in data["task"].values], [str(name) for name in data["source"].values]
    groups, risk = data["group"].values, data["risk_alone"].values
    order = np.lexsort((np.arange(len(names)), groups))
    place = {names[i]: row for row, i in enumerate(order)}
    across = sorted(range(len(sources)), key=lambda s: place.get(sources[s], len(names) + s))
    percent = lambda name: 100 * data[name].transpose("task", ...).values[order].T / risk[order]
    pairs = np.isfinite(data["pair_gain"].values).any()
    fig, axes = figure(2 if pairs else 1, 4.2, max(2.6, 0.24 * min(len(names), MOST_NAMED) + 1.6))
    if pairs:
        _matrix(fig, axes[0][0], data, order, across, percent("pair_gain")[across].T)
    ax, rows = axes[0][-1], np.arange(len(names))
    for name, label, colour, marker, shift in SIDES:
        if f"{name}gain" not in data:
            continue
        mean, ends = percent(f"{name}gain"), None
        if f"{name}low" in data:
            ends = np.maximum([mean - percent(f"{name}low"), percent(f"{name}high") - mean], 0)
        ax.errorbar(mean, rows + shift, xerr=ends, fmt=marker, color=colour, markersize=4, linewidth=1, label=label)
        if ends is not None:
            bar_entry(ax)
    ax.axvline(0, color="0.5", linewidth=0.8, gid=FURNITURE)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_yticks(rows if len(names) <= MOST_NAMED else [], [names[i] for i in order] if len(names) <= MOST_NAMED else [])
    ax.set_xlabel("gain, % of the error alone (positive helps)")
    ax.set_ylabel("target")
    legend(fig)
    return finish(fig)


def _matrix(fig, ax, data, order, across, gains) -> None:
    """gains (targets, sources), as they stand on the page."""
    names, sources = data["task"].values, data["source"].values
    signs = data["pair_sign"].values[across][:, order].T
    norm, edges = gain_norm(gains), (np.arange(len(across) + 1) - 0.5, np.arange(len(order) + 1) - 0.5)
    ax.set_facecolor("0.85")
    mesh = ax.pcolormesh(*edges, np.ma.masked_invalid(gains), cmap=GAIN_COLOURS, norm=norm)
    still = np.ma.masked_where((signs != 0) | ~np.isfinite(gains), np.ones_like(gains))
    ax.pcolor(*edges, still, hatch="/////", edgecolor="0.2", linewidth=0).set_facecolor("none")
    groups = data["group"].values[order]
    for number in np.unique(groups):
        inside = np.flatnonzero(groups == number)
        if len(inside) > 1:
            corner = inside[0] - 0.5, inside[0] - 0.5
            ax.add_patch(Rectangle(corner, len(inside), len(inside), fill=False, edgecolor="black", linewidth=1.8))
    ax.set_xticks(np.arange(len(across)), [sources[s] for s in across], rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(np.arange(len(order)), [names[i] for i in order])
    ax.invert_yaxis()
    ax.set_xlabel("source")
    ax.set_ylabel("target")
    label = "gain from one source,\n% of the error alone (positive helps)"
    fig.colorbar(mesh, ax=ax, label=label, ticks=symmetric_ticks(float(norm.vmax), 100.0), format="%g")
    entry(ax, Patch(facecolor="white", edgecolor="0.2", hatch="/////", label="undecided"))
    if len(np.unique(groups)) < len(groups):
        entry(ax, Patch(facecolor="none", edgecolor="black", linewidth=1.8, label="best groups"))
