"""A network beside extra outputs of noise, and of related labels: its risk at one training loss, at its best stop, and when."""

import numpy as np

from mtlsim.cells.extra_outputs import ExtraOutputs
from mtlsim.core.verdict import summarise
from mtlsim.core.words import counted
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import tint_gains
from mtlsim.plots.legends import bar_entry, legend
from mtlsim.plots.style import MARKERS, SERIES, figure

OUTPUTS, SIGNAL, UNITS = "outputs", "extra_signal", "n_units"
PANELS = {
    "gain": ("gain: risk alone minus together\n(positive helps)", "at the same training loss"),
    "gain_best": (None, "each stopped at its best"),
    "later": ("best time to stop, together over alone", "when that is"),
}
LEAST = 0.4  # gain that is shown; bars of a single unit reach below
KINDS = {0.0: "pure noise", 1.0: "related (cosine 0.9)"}


def setting(options: Options) -> Setting:
    """Sixteen rows of six features, noise one."""
    outputs = [1.0, 4.0] if options.fast else [1.0, 2.0, 3.0, 4.0]
    grid = {UNITS: [8, 1], SIGNAL: list(KINDS), OUTPUTS: outputs}
    return Setting(ExtraOutputs(cosine=0.9), grid, 40 if options.fast else 400)


def draw(data):
    fig, (axes,) = figure(len(PANELS), 3.1, 3.3)
    xs = data[OUTPUTS].values
    for ax, (name, (label, title)) in zip(axes, PANELS.items(), strict=True):
        series = [(units, signal) for units in data[UNITS].values for signal in data[SIGNAL].values]
        for i, (units, signal) in enumerate(series):
            found = summarise(data[name].sel({UNITS: units, SIGNAL: signal}).values)
            mean, low, high = (found[part] for part in ("mean", "low", "high"))
            if name == "later":
                mean, low, high = np.exp(mean), np.exp(low), np.exp(high)
            places = xs + 0.05 * (i - 1.5)
            label_of = f"{KINDS[float(signal)]}, {counted(units, 'unit')}"
            style = {"color": SERIES[i], "marker": MARKERS[i], "markersize": 4, "linewidth": 1, "label": label_of}
            ax.errorbar(places, mean, [mean - low, high - mean], **style)
        ax.set(xlabel="extra outputs", title=title)
        ax.set_xticks(xs)
        if label:
            ax.set_ylabel(label)
        if name == "later":
            ax.axhline(1, color="black", linewidth=0.8)
        else:
            ax.set_ylim(max(ax.get_ylim()[0], -LEAST), None)
            tint_gains(ax)
    bar_entry(axes[0])
    legend(fig, "outside lower center", 3)
    return fig


EXPERIMENT = Experiment(
    "noise-outputs",
    "Outputs of noise widen the generalisation gap of a wide layer and do not delay its best stop; related ones help at that stop.",
    setting,
    draw,
    along=(OUTPUTS,),
    whole=(UNITS, SIGNAL),
)
