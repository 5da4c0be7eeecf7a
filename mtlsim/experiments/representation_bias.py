"""How often a task learns the representation that another can use too, over the start; with private layers, half the time."""

import numpy as np

from mtlsim.cells.diagonal_network import DiagonalNetwork
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import bar_entry, legend
from mtlsim.plots.style import MARKERS, SERIES, figure

START, PRIVATE = "start", "private"


def setting(options: Options) -> Setting:
    starts = np.geomspace(1e-3, 1.0, 5 if options.fast else 13).tolist()
    return Setting(DiagonalNetwork(), {PRIVATE: [0.0, 1.0], START: starts}, 300 if options.fast else 3000)


def draw(data):
    fig, ((ax,),) = figure(1, 4.8, 3.6)
    xs = data[START].values
    ax.plot(
        xs,
        data["predicted"].sel({PRIVATE: 0.0}).mean("seed"),
        color="black",
        linestyle="--",
        label="one task, shared layer (theory, a small start)",
    )
    curves = [("one task, shared layer", "first_multi", 0.0), ("both tasks, shared layer", "both_multi", 0.0)]
    curves += [
        ("one task, layers of their own", "first_multi", 1.0),
        ("both tasks, layers of their own", "both_multi", 1.0),
    ]
    for i, (label, name, private) in enumerate(curves):
        draws = data[name].sel({PRIVATE: private})
        mean, error = draws.mean("seed").values, 1.96 * draws.std("seed").values / np.sqrt(data.sizes["seed"])
        ax.errorbar(xs, mean, error, color=SERIES[i], marker=MARKERS[i], markersize=4, linewidth=1, label=label)
    for chance, label in ((0.5, "by chance, one or both"), (0.25, "_nolegend_")):
        ax.axhline(chance, color="0.6", linewidth=0.8, zorder=0, label=label)
    ax.set(
        xscale="log",
        ylim=(0, 1.03),
        xlabel="size of the weights at first",
        ylabel="share of starts that learn\nthe common representation",
    )
    bar_entry(ax)
    legend(fig, "outside lower center", 2)
    return fig


EXPERIMENT = Experiment(
    "representation-bias",
    "From a small start tasks learn the representation that both can use; with layers of their own they do not.",
    setting,
    draw,
    along=(START,),
    whole=(PRIVATE,),
)
