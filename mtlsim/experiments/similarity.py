"""Performance against the distance 1 - cosine of the tasks' parameters."""

import numpy as np

from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import risk_curve
from mtlsim.plots.style import RISK_LABEL, figure
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.linear import LinearTasks
from mtlsim.transfer.cell import Transfer

COSINE, NOISE = "tasks.cosine", "tasks.noise"


def setting(options: Options) -> Setting:
    tasks = LinearTasks(n_features=40, n_samples=(400, 80), noise=0.5, design=Isotropic())
    cosines = (1 - np.linspace(0, 2, 11 if options.fast else 41)).round(4).tolist()
    return Setting(Transfer(tasks), {COSINE: cosines, NOISE: [0.2, 0.5, 1.0]}, 60 if options.fast else 300)


def draw(data):
    """Excess risk alone and together over 1 - cosine; together is symmetric about orthogonal tasks because heads have a sign."""
    fig, axes = figure(data.sizes[NOISE], 3.1, 3.0)
    distance = "1 - cosine"
    shifted = data.assign_coords({COSINE: 1 - data[COSINE].values}).rename({COSINE: distance})
    for ax, noise in zip(axes[0], data[NOISE].values, strict=True):
        risk_curve(ax, shifted.sel({NOISE: noise}), distance, "risk_single", "alone (STL)", 0)
        risk_curve(ax, shifted.sel({NOISE: noise}), distance, "risk_multi", "together (MTL, rank 1)", 1)
        ax.set_title(f"noise {noise:g}")
        ax.set_xlabel("1 - cosine of the parameters\n(0 = same, 1 = orthogonal, 2 = opposite)")
    axes[0, 0].set_ylabel(RISK_LABEL)
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return fig


EXPERIMENT = Experiment(
    "similarity",
    "Sharing one direction helps where the parameters are close in angle or nearly opposite, more so the noisier the labels.",
    setting,
    draw,
)
