"""A second label as an input, as an output, or not at all: which is best over rows and the correlation of the noises."""

import numpy as np

from mtlsim.cells.extra_label import ExtraLabel, boundary
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.experiments.sharing_map import best_of
from mtlsim.plots.choices import choice_legend, choice_panel, colours_of
from mtlsim.plots.legends import entry, legend
from mtlsim.plots.predictions import DASHES, legend_handle
from mtlsim.plots.style import figure

ROWS, CORRELATION, COSINE = "n_samples", "correlation", "cosine"
WAYS = {"not used": "error_plain", "as an input": "error_input", "as an output": "error_output"}


def setting(options: Options) -> Setting:
    """Ten features, parameters of length three, noises of one."""
    rows = np.unique(np.geomspace(18, 400, 6 if options.fast else 16).round()).tolist()
    correlations = np.linspace(0, 0.9, 6 if options.fast else 19).round(6).tolist()
    grid = {COSINE: [1.0, 0.98, 0.5], CORRELATION: correlations, ROWS: rows}
    return Setting(ExtraLabel(size=3.0), grid, 100 if options.fast else 1500)


def draw(data):
    fig, (axes,) = figure(data.sizes[COSINE], 2.9, 3.8, sharey=True)
    colours, xs, ys = colours_of(list(WAYS), n_grey=1), data[ROWS].values, data[CORRELATION].values
    rows = np.geomspace(xs[0], xs[-1], 200)
    for ax, cosine in zip(axes, data[COSINE].values, strict=True):
        cells = data.sel({COSINE: cosine})
        errors = np.stack([cells[name].transpose(CORRELATION, ROWS, "seed").values for name in WAYS.values()])
        choice_panel(ax, xs, ys, *best_of(errors), colours)
        if cosine == 1:
            ax.plot(rows, np.asarray(boundary(rows, 10)), color="black", linestyle=DASHES)
        ax.set(ylim=(0, ys[-1]), xscale="log", xlabel="rows", title=f"cosine {cosine:g}")
        ax.set_xticks([20, 50, 100, 200, 400], ["20", "50", "100", "200", "400"])
        ax.xaxis.minorticks_off()
    axes[0].set_ylabel("correlation of the two labels' noise")
    for handle in (*choice_legend(list(WAYS), colours), legend_handle("output as good as input (theory, cosine 1)")):
        entry(axes[0], handle)
    legend(fig)
    return fig


EXPERIMENT = Experiment(
    "input-or-output",
    "A second label is better used as an output where its function is the same and its noise tells little; with many rows, as an "
    "input.",
    setting,
    draw,
    along=(ROWS, CORRELATION),
)
