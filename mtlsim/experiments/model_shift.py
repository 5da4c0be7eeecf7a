"""Pooling under model shift: gain against source samples, points simulated, lines exact [yang2025precise]."""

import numpy as np

from mtlsim import theory
from mtlsim.cells.transfer import Transfer
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import points_on_lines
from mtlsim.plots.legends import legend
from mtlsim.plots.style import figure
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.linear import LinearTasks

SOURCE, SIZE = "tasks.n_samples[0]", "tasks.parameter_norm"
SIZES = (0.45, 0.35, 0.30, 0.25)


def cell() -> Transfer:
    """100 features, 300 target rows, noise 0.5, both parameters independent and of length mu: |theta_1 - theta_2|^2 = 2 mu^2."""
    tasks = LinearTasks(n_features=100, n_samples=(300, 300), cosine=0.0, noise=0.5, parameter_norm=0.35, design=Isotropic())
    return Transfer(tasks, sharing="pooled")


def setting(options: Options) -> Setting:
    sources = np.r_[10, np.arange(250 if options.fast else 50, 1001, 250 if options.fast else 50)]
    return Setting(cell(), {SIZE: SIZES, SOURCE: sources.tolist()}, 40 if options.fast else 300)


def draw(data):
    fig, axes = figure(1, 5.2, 3.9)
    series = {f"mu = {size:g}": {SIZE: size} for size in data[SIZE].values}
    points_on_lines(axes[0, 0], data, SOURCE, series, theory.pooled_least_squares(cell()), line="exact prediction")
    legend(axes[0, 0], "best", 1, title="length of the parameters")
    return fig


EXPERIMENT = Experiment(
    "model-shift",
    "Pooling two models turns from helping to hurting as the source grows, between two sizes of the shift that theory gives.",
    setting,
    draw,
    along=(SOURCE,),
)
