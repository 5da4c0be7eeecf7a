"""Two groups of one task as a Pareto front: the risks that every weight of a source reaches, and the best weight of each group."""

import jax.numpy as jnp
import numpy as np

from mtlsim.core.verdict import summarise
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.experiments.fairness_transfer import SHIFT, ShiftedSource, risks_over
from mtlsim.plots.legends import bar_entry, legend
from mtlsim.plots.predictions import DASHES
from mtlsim.plots.style import MARKERS, SERIES, figure

WEIGHT = "weight"


def setting(options: Options) -> Setting:
    """The tasks of `fairness-transfer`, lying across the shift."""
    weights = [0.0, *np.geomspace(0.01, 1, 6 if options.fast else 12).round(4).tolist()]
    return Setting(ShiftedSource(), {SHIFT: [0.5, 1.0, 2.0], WEIGHT: weights}, 200 if options.fast else 2000)


def draw(data):
    fig, ((ax,),) = figure(1, 5.0, 4.2)
    weights = np.r_[0, np.geomspace(1e-3, 2, 200)]
    for i, shift in enumerate(data[SHIFT].values):
        cells = data.sel({SHIFT: shift})
        many, few = (summarise(cells[f"risk_multi_{group}"].values) for group in ("majority", "minority"))
        bars = [[found["mean"] - found["low"], found["high"] - found["mean"]] for found in (many, few)]
        look = {"color": SERIES[i], "marker": MARKERS[i], "linestyle": "none", "elinewidth": 0.8, "markersize": 3}
        ax.errorbar(many["mean"], few["mean"], bars[1], bars[0], **look)
        _, path = risks_over(jnp.full(len(weights), float(shift)), jnp.asarray(weights))
        path = np.asarray(path)
        ax.plot(*path.T, color=SERIES[i], linestyle=DASHES, label=f"shift {shift:g}")
        for group, star in enumerate(("<", "v")):
            best = path[:, group].argmin()
            look = {"color": SERIES[i], "marker": star, "markersize": 9, "markerfacecolor": "white", "linestyle": "none"}
            ax.plot(*path[best], **look)
    ax.plot(*path[0], marker="*", color="black", markersize=11, linestyle="none", label="alone (weight 0)")
    ax.plot([], [], color="black", marker="o", markersize=3, linestyle="none", label="simulated")
    ax.plot([], [], color="black", linestyle=DASHES, label="predicted, every weight")
    for group, star in (("majority", "<"), ("minority", "v")):
        look = {"color": "black", "marker": star, "markersize": 9, "markerfacecolor": "white", "linestyle": "none"}
        ax.plot([], [], label=f"best weight for the {group}", **look)
    ax.set(xscale="log", xlabel="risk of the majority (lower is better)", ylabel="risk of the minority (lower is better)")
    ax.set_yscale("log")
    for axis, ticks in ((ax.xaxis, (0.07, 0.1, 0.2, 0.3, 0.5)), (ax.yaxis, (0.15, 0.2, 0.3, 0.5, 1, 2))):
        axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    bar_entry(ax)
    legend(fig, "outside lower center", 2)
    return fig


EXPERIMENT = Experiment(
    "group-front",
    "No one weight of a source is best for both groups of a task: between their best weights one gains only while the other loses.",
    setting,
    draw,
    along=(WEIGHT,),
)
