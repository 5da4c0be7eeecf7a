"""Predicted against measured: one point per instance, with its error and the line on which they agree."""

import numpy as np

from mtlsim.plots.style import MARKERS, SERIES, figure

WORDS = {"inside": "inside the assumptions", "edge": "on their edge", "outside": "outside"}


def agreement(points: dict[str, list[tuple[float, float, float]]], quantity: str, inequality: bool = False):
    """Figure of (predicted, measured, standard error) per place. inequality: predicted is an upper bound."""
    fig, axes = figure(1, 4.2, 3.6)
    ax = axes[0, 0]
    every = np.array([point[:2] for rows in points.values() for point in rows if np.isfinite(point[:2]).all()])
    for i, (place, rows) in enumerate(points.items()):
        xs, ys, errors = np.array(rows).T
        face = SERIES[i] if place != "outside" else "white"
        style = {"color": SERIES[i], "marker": MARKERS[i], "markerfacecolor": face, "linestyle": "none", "markersize": 4}
        ax.errorbar(xs, ys, 1.96 * errors, label=WORDS[place], elinewidth=0.8, **style)
    if len(every):
        low, high = every.min(), every.max()
        pad = 0.05 * (high - low) or 1.0
        ends = np.array([low - pad, high + pad])
        ax.plot(ends, ends, color="black", linewidth=0.8, zorder=0)
        if inequality:
            ax.fill_between(ends, ends, ends[1], color="0.5", alpha=0.15, linewidth=0, label="refutes the bound")
        if low > 0 and high > 30 * low:
            ax.set_xscale("log")
            ax.set_yscale("log")
            ax.set_xlim(low / 1.3, high * 1.3)
            ax.set_ylim(low / 1.3, high * 1.3)
        else:
            ax.set_xlim(*ends)
            ax.set_ylim(*ends)
    name = quantity.replace("_", " ")
    ax.set_xlabel(f"predicted {name}" + (" (upper bound)" if inequality else ""))
    ax.set_ylabel(f"measured {name}")
    ax.legend()
    return fig
