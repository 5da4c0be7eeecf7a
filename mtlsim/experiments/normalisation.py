"""Normalised rows under one head: labels of a row's direction and labels that grow with it, over the source's scale."""

from dataclasses import replace

import numpy as np

from mtlsim import theory
from mtlsim.cells.normalised_rows import NormalisedRows
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import finish_gain_axis, gain_curve
from mtlsim.plots.legends import entry, legend
from mtlsim.plots.predictions import legend_handle, overlay
from mtlsim.plots.style import SERIES, figure

SCALE, LABEL, RULE = "scale", "label", "normalisation"
PANELS = {
    "direction": ("(a) labels of the row's direction", theory.normalisation_tied),
    "amplitude": ("(b) labels that grow with the row", theory.normalisation_amplitude),
}
RULES = {"none": "rows as they are", "layer-norm": "normalised rows"}
DEEPEST = -0.6  # gains below are off the axis


def setting(options: Options) -> Setting:
    """Fifty features, 400 source and 80 target rows, noise one half."""
    scales = [0.5, 1.0, 2.0, 4.0] if options.fast else np.geomspace(0.25, 4, 9).round(6).tolist()
    return Setting(NormalisedRows(), {LABEL: list(PANELS), RULE: list(RULES), SCALE: scales}, 60 if options.fast else 200)


def draw(data):
    fig, (axes,) = figure(data.sizes[LABEL], 3.4, 3.5, sharey=True)
    for ax, label in zip(axes, data[LABEL].values, strict=True):
        title, statement = PANELS[label]
        for rule in data[RULE].values:
            i = list(RULES).index(rule)
            lowest = float(data["gain_mean"].sel({RULE: rule}).min())  # in either panel, for both have one legend
            name = f"{RULES[rule]} (down to {lowest:.1f})" if lowest < DEEPEST else RULES[rule]
            gain_curve(ax, data.sel({LABEL: label, RULE: rule}), SCALE, name, i, line=False)
            cell = replace(NormalisedRows(), label=str(label), normalisation=str(rule))
            overlay(ax, statement(cell), SERIES[i], "_nolegend_", 1)
        ax.set(ylim=(DEEPEST, 0.6), xscale="log")
        finish_gain_axis(ax, SCALE, data[SCALE].values, label=ax is axes[0])
        always = [RULES[rule] for rule in data[RULE].values if (data["gain_sign"].sel({LABEL: label, RULE: rule}) > 0).all()]
        says = f":\n{' and '.join(always)} help at every scale" if always else ""
        ax.set(title=f"{title}{says}", xlabel="scale of the source's rows")
        ax.set_xticks([0.25, 0.5, 1, 2, 4], ["1/4", "1/2", "1", "2", "4"])
        ax.minorticks_off()
    entry(axes[0], legend_handle("theory"))
    legend(fig)
    return fig


EXPERIMENT = Experiment(
    "normalisation",
    "Normalising rows turns the sign of transfer either way: for good where labels do not grow with the row, else for ill.",
    setting,
    draw,
    along=(SCALE,),
)
