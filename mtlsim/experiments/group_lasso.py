"""The group lasso beside scores of single inputs on common random rows: the inputs that are found, and what that is worth."""

import numpy as np

from mtlsim.cells.group_selection import GroupSelection
from mtlsim.core.words import counted
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import bar_entry, legend
from mtlsim.plots.style import MARKERS, SERIES, figure

ROWS, TASKS = "n_samples", "tasks"
LEAST = 1e-4  # share of pairs that is shown


def setting(options: Options) -> Setting:
    """Forty inputs of which five are used, noise .7."""
    rows = [20.0, 80.0] if options.fast else [15.0, 20.0, 30.0, 50.0, 80.0, 120.0]
    return Setting(GroupSelection(noise=0.7), {TASKS: [1.0, 3.0, 8.0], ROWS: rows}, 40 if options.fast else 120)


def draw(data):
    fig, (axes,) = figure(2, 3.9, 3.5)
    rows, tasks = data[ROWS].values, data[TASKS].values
    count = data.sizes["seed"]

    def curve(ax, values, colour, marker, label, dashed=False):
        mean, error = values.mean("seed").values, 1.96 * values.std("seed").values / np.sqrt(count)
        style = {"color": colour, "marker": marker, "markersize": 4, "linewidth": 1, "linestyle": "--" if dashed else "-"}
        ax.errorbar(rows, mean, error, markerfacecolor="white" if dashed else colour, label=label, **style)

    for i, several in enumerate(tasks):
        cells, words = data.sel({TASKS: several}), f"{counted(several, 'task', 'g')}"
        curve(axes[0], 1 - cells["area_multi"], SERIES[i], MARKERS[i], f"{words}, group lasso")
        curve(axes[0], 1 - cells["area_screened"], SERIES[i], MARKERS[i], f"{words}, single inputs", True)
        name = "one task's own lasso" if several == 1 else f"the group lasso of {words}"
        curve(axes[1], cells["risk_multi"], SERIES[i], MARKERS[i], f"support by {name}")
    curve(axes[1], data["risk_known"].isel({TASKS: 0}), SERIES[3], MARKERS[3], "the true support")
    for ax in axes:
        ax.set(xscale="log", yscale="log", xlabel="rows, common to all tasks")
        ax.set_xticks([20, 50, 100], ["20", "50", "100"])
        ax.xaxis.minorticks_off()
    axes[0].set_ylim(LEAST, 0.6)
    axes[0].set(title="finding the used inputs", ylabel="pairs of inputs in the wrong order\n(lower is better)")
    axes[1].set(title="one task on the support that was found", ylabel="excess risk of one task\n(lower is better)")
    bar_entry(axes[0])
    for ax in axes:
        legend(ax, "below", 2 if ax is axes[0] else 1)
    return fig


EXPERIMENT = Experiment(
    "group-lasso",
    "Tasks with coefficients of their own find the inputs that they use together; told these, one task does nearly as well.",
    setting,
    draw,
    along=(ROWS,),
    whole=(TASKS,),
)
