"""Risk of pooling against the source's weight: negative transfer is an error of weighting."""

import numpy as np

from mtlsim import theory
from mtlsim.cells.transfer import Transfer
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import points_on_lines
from mtlsim.plots.legends import legend
from mtlsim.plots.style import figure
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.linear import LinearTasks

WEIGHT, COSINE = "weights[0]", "tasks.cosine"


def cell() -> Transfer:
    """100 isotropic features, 600 source and 300 target rows, noise 0.5, parameters of length 0.5."""
    tasks = LinearTasks(n_features=100, n_samples=(600, 300), noise=0.5, parameter_norm=0.5, design=Isotropic())
    return Transfer(tasks, sharing="pooled", weights=(1.0, 1.0))


def setting(options: Options) -> Setting:
    weights = np.geomspace(0.01, 10, 5 if options.fast else 16).round(4).tolist()
    return Setting(cell(), {COSINE: [0.9, 0.5, -0.2], WEIGHT: weights}, 20 if options.fast else 200)


def draw(data):
    fig, axes = figure(1, 5.2, 3.9)
    series = {f"{cosine:g}": {COSINE: cosine} for cosine in data[COSINE].values}
    points_on_lines(axes[0, 0], data, WEIGHT, series, theory.general_predictor(cell()))
    axes[0, 0].set_xlabel("weight of the source's rows (1 = as the target's)")
    legend(axes[0, 0], "best", 1, title="cosine")
    return fig


EXPERIMENT = Experiment(
    "optimal-weight",
    "With the best source weight pooling never hurts; with equal weights it may.",
    setting,
    draw,
    along=(WEIGHT,),
)
