"""Predicted against measured: one point per instance, with its error and the line on which they agree."""

import numpy as np

from mtlsim.plots.legends import bar_entry, legend
from mtlsim.plots.style import MARKERS, SERIES, figure, label_of_output

WORDS = {"inside": "inside the assumptions", "edge": "on their edge", "outside": "outside"}


def agreement(points: dict[str, list[tuple[float, float, float]]], quantity: str, kind: str = "equality"):
    """Figure of (predicted, measured, standard error) per place. kind: of the statement; "bound" and "sign" shade what refutes."""
    fig, axes = figure(1, 4.2, 3.6)
    ax = axes[0, 0]
    finite = {place: [row for row in rows if np.isfinite(row[:2]).all()] for place, rows in points.items()}
    every = np.array([row[:2] for rows in finite.values() for row in rows])
    for i, (place, rows) in enumerate(finite.items()):
        if rows:
            xs, ys, errors = np.array(rows).T
            face = SERIES[i] if place != "outside" else "white"
            style = {"color": SERIES[i], "marker": MARKERS[i], "markerfacecolor": face, "linestyle": "none", "markersize": 4}
            ax.errorbar(xs, ys, 1.96 * errors, label=WORDS[place], elinewidth=0.8, **style)
    if len(every) and kind == "sign":
        _shade_contrary_signs(ax, *(1.1 * np.array([min(0, part.min()), max(0, part.max())]) for part in every.T))
    elif len(every):
        _draw_equality(ax, every.min(), every.max(), kind == "bound")
    name = label_of_output(quantity)
    ax.set_xlabel(f"predicted {name}" + {"bound": " (upper bound)", "sign": " (its sign)"}.get(kind, ""))
    ax.set_ylabel(f"measured {name}")
    if len(every):
        bar_entry(ax)
    legend(fig, n_columns=2)  # of a statement that applies nowhere there may be no point
    return fig


def _shade_contrary_signs(ax, xs: np.ndarray, ys: np.ndarray) -> None:
    """Axes through zero and, within the limits (2,) of both, the quadrants in which the signs differ."""
    ax.axhline(0, color="black", linewidth=0.8, zorder=0)
    ax.axvline(0, color="black", linewidth=0.8, zorder=0)
    for x, y, label in zip(xs, ys[::-1], ("refutes the sign", None), strict=True):
        ax.fill_between([0, x], 0, y, color="0.5", alpha=0.15, linewidth=0, label=label)
    ax.set_xlim(*xs)
    ax.set_ylim(*ys)


def _draw_equality(ax, low: float, high: float, inequality: bool) -> None:
    """The line on which both agree and, for an upper bound, what lies above it."""
    pad = 0.05 * (high - low) or 1.0
    ends = np.array([low - pad, high + pad])
    ax.plot(ends, ends, color="black", linewidth=0.8, zorder=0, label="measured as predicted")
    if inequality:
        ax.fill_between(ends, ends, ends[1], color="0.5", alpha=0.15, linewidth=0, label="refutes the bound")
    if low > 0 and high > 30 * low:
        ax.set_xscale("log")
        ax.set_yscale("log")
        ends = np.array([low / 1.3, high * 1.3])
    else:
        ax.locator_params(nbins=5)  # numbers of four digits and a sign stand beside each other
    ax.set_xlim(*ends)
    ax.set_ylim(*ends)
