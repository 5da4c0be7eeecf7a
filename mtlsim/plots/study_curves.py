"""What tasks gain by the number of their own rows: a panel for each, sharing left to the data and all rows pooled as one."""

from typing import TYPE_CHECKING

import numpy as np

from mtlsim.plots.style import HELPS, HURTS, MARKERS, SERIES, figure

if TYPE_CHECKING:
    import xarray as xr

LABELS = {"mixture": "mixture, by leave-one-out errors", "pooled": "pooled: all rows as one task's"}
MOST, ACROSS = 12, 4  # panels, and in a row
LINEAR = 10  # %: the axis is linear so far, and logarithmic beyond


def study_curves(data: "xr.Dataset"):
    """Gains in % of the risk alone over the target's rows, with intervals; filled where decided jointly over the rows."""
    names = [str(name) for name in data["task"].values][:MOST]
    left = f"; the first {MOST} of {data.sizes['task']} tasks" if data.sizes["task"] > MOST else ""
    across = min(len(names), ACROSS)
    fig, axes = figure(across, 2.8, 2.6, -(-len(names) // across), sharey=True)
    for ax in axes.flat[len(names) :]:
        ax.remove()
    for ax, name in zip(axes.flat, names, strict=False):
        for i, (learner, label) in enumerate(LABELS.items()):
            own = data.sel(task=name, learner=learner)
            kept = np.isfinite(own["curve_rows"].values)
            rows, signs = own["curve_rows"].values[kept], own["curve_sign_joint"].values[kept]
            mean, low, high = (
                100 * own[f"curve_{part}"].values[kept] / own["curve_alone"].values[kept] for part in ("gain", "low", "high")
            )
            look = {"color": SERIES[i], "marker": MARKERS[i], "markersize": 4, "linewidth": 1}
            ax.errorbar(rows, mean, [mean - low, high - mean], markerfacecolor="white", label=label, **look)
            ax.plot(rows[signs != 0], mean[signs != 0], **look | {"linestyle": "none", "zorder": 5})
        ax.axhline(0, color="black", linewidth=0.8)
        ax.set(xscale="log", title=name)
        ax.set_xticks(rows, [f"{n:.0f}" for n in rows])
        ax.set_xticks([], minor=True)
        ax.set_yscale("symlog", linthresh=LINEAR)
    bottom, top = axes[0][0].get_ylim()
    ends = min(bottom, -LINEAR), max(top, LINEAR)
    for ax in axes.flat[: len(names)]:
        ax.axhspan(0, ends[1], color=HELPS, alpha=0.05, linewidth=0)
        ax.axhspan(ends[0], 0, color=HURTS, alpha=0.05, linewidth=0)
        ax.set_ylim(*ends)
        ax.yaxis.set_major_formatter("{x:g}")
    for ax in axes[-1]:
        ax.set_xlabel("rows of the target")
    for ax in axes[:, 0]:
        ax.set_ylabel("gain, % of the error alone\n(positive helps)")
    fig.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=2, title=f"filled: decided{left}")
    return fig
