"""Pooling under covariate shift: all curves cross where source and target have equally many rows [yang2025precise]."""

import numpy as np

from mtlsim import theory
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import points_on_lines
from mtlsim.plots.style import figure
from mtlsim.tasks.covariance import Spiked
from mtlsim.tasks.linear import LinearTasks
from mtlsim.transfer.cell import Transfer

SOURCE, CONDITION = "tasks.n_samples[0]", "tasks.design.condition_number"
RATIOS = (1.0, 4.0, 16.0, 100.0)
N_TARGET = 300


def cell() -> Transfer:
    """100 features, 300 target rows, one model, noise 0.5; a source sees half of the directions kappa times as much, the rest less.

    Equivalent to a source diag(kappa, 1 / kappa) and an isotropic target.
    """
    design = Spiked(4.0, fraction=0.5)
    tasks = LinearTasks(n_features=100, n_samples=(300, N_TARGET), cosine=1.0, noise=0.5, design=design, relation="disjoint")
    return Transfer(tasks, method="pooled")


def setting(options: Options) -> Setting:
    sources = np.geomspace(20, 1000, 5 if options.fast else 16).round().tolist()
    return Setting(cell(), {CONDITION: RATIOS, SOURCE: sources}, 20 if options.fast else 200)


def draw(data):
    fig, axes = figure(1, 5.2, 3.9)
    ax = axes[0, 0]
    series = {f"{ratio:g}": {CONDITION: ratio} for ratio in data[CONDITION].values}
    points_on_lines(ax, data, SOURCE, series, theory.covariate_shift(cell()), "risk_multi")
    ax.axvline(N_TARGET, color="black", linestyle=":", linewidth=1)
    ax.annotate(" as many source as target rows", (N_TARGET, 0.97), xycoords=("data", "axes fraction"), fontsize=7, va="top")
    ax.legend(title="ratio of the covariances")
    return fig


EXPERIMENT = Experiment(
    "covariate-shift",
    "With one model, a source of another covariance saves more variance while it has fewer rows than the target, and less after.",
    setting,
    draw,
)
