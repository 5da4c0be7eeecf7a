"""The sign of pooling over shift and source samples, with the exact boundary, below and above as many rows as features."""

import numpy as np

from mtlsim import theory
from mtlsim.cells.transfer import Transfer
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.maps import transfer_map
from mtlsim.plots.predictions import overlay
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.linear import LinearTasks

YELLOW = "#f0c000"
SOURCE, COSINE, TARGET = "tasks.n_samples[0]", "tasks.cosine", "tasks.n_samples[1]"


def cell() -> Transfer:
    """60 isotropic features, parameters of length one, noise 0.5; 20 target rows interpolate, 120 do not."""
    tasks = LinearTasks(n_features=60, n_samples=(10, 20), noise=0.5, design=Isotropic())
    return Transfer(tasks, sharing="pooled")


def setting(options: Options) -> Setting:
    n = 6 if options.fast else 16
    sources = np.unique(np.geomspace(3, 600, n).round()).tolist()
    cosines = np.linspace(-0.2, 1, n).round(3).tolist()
    return Setting(cell(), {SOURCE: sources, COSINE: cosines, TARGET: [20, 120]}, 20 if options.fast else 60)


def draw(data):
    fig = transfer_map(data, SOURCE, COSINE, TARGET)
    for ax, target in zip(fig.axes, data[TARGET].values, strict=False):
        statement = theory.pooled_overparameterised if target < 60 else theory.pooled_least_squares
        overlay(ax, statement(cell()), YELLOW, "exact prediction", n_draws=1)
    return fig


EXPERIMENT = Experiment(
    "phase-diagram",
    "Whether pooling helps has an exact boundary in shift and source samples, another one where the rows interpolate.",
    setting,
    draw,
    along=(SOURCE, COSINE),
)
