"""Every task with parameters of its own, pulled to the mean of all: gain against the strength of the pull and the source's rows."""

import numpy as np

from mtlsim import theory
from mtlsim.cells.transfer import Transfer
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import legend_above, points_on_lines
from mtlsim.plots.style import figure
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.linear import LinearTasks

SOURCE, SIZE, STRENGTH = "tasks.n_samples[0]", "tasks.parameter_norm", "sharing.strength"
SIZES, SIZE_OF_STRENGTHS = (0.45, 0.30, 0.25), 0.30
STRENGTHS = (30.0, 300.0, 30_000.0)
N_TARGET = 300


def cell() -> Transfer:
    """100 features, 300 target rows, noise 0.5, both parameters independent and of length mu: |theta_1 - theta_2|^2 = 2 mu^2."""
    tasks = LinearTasks(100, (N_TARGET, N_TARGET), cosine=0.0, noise=0.5, parameter_norm=0.3, design=Isotropic(), relation="same")
    return Transfer(tasks, sharing="mean-regularised")


def setting(options: Options) -> Setting:
    strengths = STRENGTHS if options.fast else sorted({*STRENGTHS, *np.geomspace(3, 30_000, 13).round(1).tolist()})
    sources = [50, N_TARGET, 2000] if options.fast else [20, 50, 100, 200, N_TARGET, 500, 1000, 2000]
    grid = {SIZE: SIZES, STRENGTH: strengths, SOURCE: sources}
    return Setting(cell(), grid, 20 if options.fast else 200)


def draw(data):
    fig, (axes,) = figure(2, 4.4, 3.9)
    sizes = {f"{size:g}": {SIZE: size, SOURCE: N_TARGET} for size in SIZES}
    strengths = {f"{strength:g}": {SIZE: SIZE_OF_STRENGTHS, STRENGTH: strength} for strength in STRENGTHS}
    for ax, x, series in zip(axes, (STRENGTH, SOURCE), (sizes, strengths), strict=True):
        points_on_lines(ax, data, x, series, theory.mean_regularised(cell()), label=ax is axes[0])
    axes[0].set_xlabel("strength of the pull (rows; 0: alone, without end: pooled)")
    legend_above(axes[0], f"length of the parameters, for {N_TARGET} source rows")
    legend_above(axes[1], f"strength of the pull, for parameters of length {SIZE_OF_STRENGTHS:g}")
    return fig


EXPERIMENT = Experiment(
    "soft-sharing",
    "A weak pull to the mean of both tasks always helps; a strong one pools, and hurts where the tasks are too far apart.",
    setting,
    draw,
    along=(STRENGTH, SOURCE),
    whole=(SIZE,),
)
