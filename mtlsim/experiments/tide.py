"""Which of two representations two tasks on common gates learn, over how much the first prefers one that the second cannot use."""

import numpy as np
from scipy.stats import norm

from mtlsim.cells.two_gates import TwoGates, half_open, pull_at_start, turning_point
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import bar_entry, legend
from mtlsim.plots.style import MARKERS, SERIES, figure

TILT = "tilt"
CELL = TwoGates()
BEYOND = "beyond, the second task uses both"


def setting(options: Options) -> Setting:
    tilts = np.linspace(0, 0.14, 8 if options.fast else 15).round(6).tolist()
    return Setting(CELL, {TILT: tilts}, 300 if options.fast else 3000)


def draw(data):
    fig, ((ax,),) = figure(1, 4.8, 3.6)
    xs = data[TILT].values
    fine = np.linspace(xs[0], xs[-1], 200)
    together = norm.cdf(-np.asarray(turning_point(fine, CELL.well, CELL.width)) / CELL.start)
    alone = norm.cdf(-fine * CELL.width / (4 * CELL.well) / CELL.start)
    ax.plot(fine, together, color="black", linestyle="--", label="together (theory, linear at the start)")
    ax.plot(fine, alone, color="black", linestyle=":", label="first task alone (theory)")
    curves = [("first task, together", data["first_multi"]), ("second task, together", 1 - data["second_multi"])]
    curves += [("first task alone", data["first_single"]), ("second task alone", 1 - data["second_single"])]
    for i, (label, draws) in enumerate(curves):
        mean, error = draws.mean("seed").values, 1.96 * draws.std("seed").values / np.sqrt(data.sizes["seed"])
        bars = {"color": SERIES[i], "marker": MARKERS[i], "linestyle": "none", "markersize": 4}
        ax.errorbar(xs + 0.0006 * (i - 1.5), mean, error, label=label, **bars)
    ax.axvline(float(pull_at_start(CELL.width)), color="0.5", linewidth=0.8, label="pull of the second task at the start")
    ax.axvline(half_open(CELL.well, CELL.width), color="0.5", linestyle="-.", linewidth=0.8, label=BEYOND)
    ax.axhline(0.5, color="0.6", linestyle=(0, (1, 3)), linewidth=0.8, zorder=0, label="half of the starts")
    ax.set(ylim=(-0.02, 1), xlabel="tilt: how much the first task prefers its own representation")
    ax.set_ylabel("share of starts that learn the common one")
    bar_entry(ax)
    legend(fig, "outside lower center", 2)
    return fig


EXPERIMENT = Experiment(
    "tide",
    "A task is carried to what the other does not use where the other prefers its own by about the pull at the start, or more.",
    setting,
    draw,
    along=(TILT,),
)
