"""A second function of the same codes, not used, as an input or as an output of a network, over the size of its start."""

import numpy as np

from mtlsim.cells.function_pair import FunctionPair
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import bar_entry, legend
from mtlsim.plots.style import MARKERS, SERIES, figure

START, NOISE = "start", "noise"
WAYS = {"not used": "error_plain", "as an input": "error_input", "as an output": "error_output"}


def setting(options: Options) -> Setting:
    """Fifty rows, sixteen sigmoid units, stopped by a thousand further rows."""
    starts = [0.3, 3.0] if options.fast else [0.1, 0.3, 1.0, 3.0]
    return Setting(FunctionPair(n_steps=800), {NOISE: [0.0, 0.5], START: starts}, 16 if options.fast else 100)


def draw(data):
    fig, (axes,) = figure(data.sizes[NOISE], 3.4, 3.4, sharey=True)
    xs, count = data[START].values, data.sizes["seed"]
    for ax, noise in zip(axes, data[NOISE].values, strict=True):
        for i, (words, name) in enumerate(WAYS.items()):
            errors = data[name].sel({NOISE: noise})
            bars = {"color": SERIES[i], "marker": MARKERS[i], "markersize": 4, "linewidth": 1, "label": words}
            ax.errorbar(xs * 1.03 ** (i - 1), errors.mean("seed"), 1.96 * errors.std("seed") / np.sqrt(count), **bars)
        ax.set(xscale="log", xlabel="size of the weights at first")
        ax.set_xticks(xs, [f"{x:g}" for x in xs])
        ax.xaxis.minorticks_off()
        ax.set_title("the second function as it is" if noise == 0 else f"with noise of {noise:g}")
    axes[0].set_ylim(bottom=0)
    axes[0].set_ylabel("root mean squared error on new rows\n(lower is better)")
    bar_entry(axes[0])
    legend(fig, "outside lower center", 4)
    return fig


EXPERIMENT = Experiment(
    "function-pair",
    "In a network on codes of two numbers a second function is of no use as an input, and as an output it hurts, "
    "less where weights start large.",
    setting,
    draw,
    along=(START,),
)
