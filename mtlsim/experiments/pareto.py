"""How weighting schemes travel and where they end, beside the losses of two tasks that exact optima reach under every weight."""

import numpy as np

from mtlsim.cells.weighting import Weighting
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import legend, line_entry, open_entry
from mtlsim.plots.style import MARKERS, SERIES, figure
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.linear import LinearTasks
from mtlsim.training.weighted import WeightedTraining
from mtlsim.weighting import scheme_names

COSINE, WEIGHT = "tasks.cosine", "weights[0]"
STATIONARY = 1e-3


def setting(options: Options) -> Setting:
    """Two tasks on the same 60 rows of 10 features, noise 1 and 0.3, one shared direction; only "given" reads the weights."""
    tasks = LinearTasks(10, (60, 60), noise=(1.0, 0.3), design=Isotropic(), shared_covariates=True)
    weights = np.exp(np.sinh(np.linspace(-2.6, 2.6, 61)))  # dense where the optimum moves fast
    training = WeightedTraining(n_steps=600 if options.fast else 5000, learning_rate=0.02 if options.fast else 0.003)
    cell = Weighting(tasks, "given", training=training, weights=(1.0, 1.0), n_records=200)
    return Setting(cell, {"scheme": ["given", *scheme_names()], COSINE: [0.9, 0.5], WEIGHT: weights.tolist()}, 1)


def draw(data):
    fig, (axes,) = figure(data.sizes[COSINE], 4.2, 4.6)
    names = [name for name in data["scheme"].values if name != "given"]
    for ax, cosine in zip(axes, data[COSINE].values, strict=True):
        panel = data.isel(seed=0).sel({COSINE: cosine})
        front = panel.sel(scheme="given")
        ax.plot(front["loss_source"], front["loss_target"], color="black", linewidth=1.2, label="exact optima, every weight")
        for i, name in enumerate(names):
            end = panel.sel(scheme=name).isel({WEIGHT: 0})
            colour, filled = SERIES[i % len(SERIES)], float(end["stationarity"]) < STATIONARY
            ax.plot(end["path_source"], end["path_target"], color=colour, linewidth=0.5, alpha=0.6)
            look = {"color": colour, "marker": MARKERS[(i + i // len(SERIES)) % len(MARKERS)], "linestyle": "none"}
            size = 8 - 4.5 * i / len(names)  # so that none is hidden
            ax.plot(end["loss_source"], end["loss_target"], markersize=size, markerfacecolor=colour if filled else "white", **look)
            ax.plot([], [], label=name, **look)
        ax.set(xlabel="error of the source (noise 1)", title=f"cosine {cosine:g}")
    axes[0].set_ylabel("error of the target (noise 0.3; mean squared)")
    line_entry(axes[0], "thin: the way of training", linewidth=0.6)
    line_entry(axes[0], "filled: no direction lowers both losses", marker="o", linestyle="none")
    open_entry(axes[0], "open: still moving at the end")
    legend(fig, n_columns=5)
    return fig


EXPERIMENT = Experiment(
    "pareto",
    "Trained weights end on the front of exact optima, each at a place of its own, if the start did not stop them.",
    setting,
    draw,
    along=(WEIGHT,),
    whole=("scheme",),
)
