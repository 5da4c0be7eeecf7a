"""Aligned class means: what a ridge on the directions in which they differ gains, over what of the target lies on them."""

from dataclasses import replace

import numpy as np

from mtlsim.cells.semantic_alignment import SemanticAlignment, expected_gain, turning_signal
from mtlsim.core.verdict import summarise
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import finish_gain_axis
from mtlsim.plots.legends import bar_entry, legend
from mtlsim.plots.predictions import DASHES
from mtlsim.plots.style import MARKERS, SERIES, figure

SIGNAL, STRENGTH = "signal", "strength"
NAMES = {
    0.0: "no pull: pooled",
    30.0: "strength 30",
    100.0: "strength 100, as many as source rows",
    10_000.0: "strength 10 000: hardly any layer left there",
}


def setting(options: Options) -> Setting:
    """Ten features, 100 source and 20 target rows, class means one apart, a source that is one off along them."""
    signals = np.linspace(-1, 1.5, 6 if options.fast else 11).round(6).tolist()
    return Setting(SemanticAlignment(), {STRENGTH: list(NAMES), SIGNAL: signals}, 400 if options.fast else 4000)


def draw(data):
    fig, ((ax,),) = figure(1, 5.2, 3.9)
    xs = data[SIGNAL].values
    fine = np.linspace(xs[0], xs[-1], 101)
    for i, strength in enumerate(data[STRENGTH].values):
        found = summarise(data["gain"].sel({STRENGTH: strength}).values)
        bars = [found["mean"] - found["low"], found["high"] - found["mean"]]
        look = {"color": SERIES[i], "marker": MARKERS[i], "linestyle": "none"}
        ax.errorbar(xs, found["mean"], bars, label=NAMES[float(strength)], **look)
        cell = SemanticAlignment(strength=float(strength))
        ax.plot(fine, [float(expected_gain(replace(cell, signal=c))) for c in fine], color=SERIES[i], linestyle=DASHES)
    ax.plot([], [], color="black", linestyle=DASHES, label="exact")
    turn = float(turning_signal(SemanticAlignment()))
    for side in (-turn, turn):
        ax.axvline(side, color="0.4", linewidth=0.8, linestyle=":", label="turning points without end of strength" * (side > 0))
    finish_gain_axis(ax, SIGNAL, xs)
    ax.set_xlabel("what of the target lies where the class means differ")
    bar_entry(ax)
    legend(ax, "below", 1)
    return fig


EXPERIMENT = Experiment(
    "semantic-alignment",
    "A strong pull on class means helps up to a known part of the target where they differ, and hurts beyond; a mild one helps as "
    "far as it undoes the source's shift.",
    setting,
    draw,
    along=(SIGNAL,),
)
