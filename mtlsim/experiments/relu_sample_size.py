"""Gain of ReLU tasks against source samples, and the plateau that an endless source leads to."""

import jax
import jax.numpy as jnp
import numpy as np

from mtlsim.cells.transfer import Transfer
from mtlsim.core.arc_cosine import angle_between
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import finish_gain_axis, gain_curve, legend_above
from mtlsim.plots.predictions import DASHES
from mtlsim.plots.style import SERIES, figure
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.relu import ReluTasks
from mtlsim.theory.statements.relu_plateau import plateau

SOURCE, COSINE = "tasks.n_samples[0]", "tasks.cosine"
N_TARGET, NOISE = 60, 0.5


def setting(options: Options) -> Setting:
    """10 isotropic features, 60 target rows, noise 0.5, hard sharing of one ReLU unit."""
    tasks = ReluTasks(10, (N_TARGET, N_TARGET), noise=NOISE, design=Isotropic())
    sources = [20, 100, 300] if options.fast else [10, 20, 40, 80, 160, 320, 640]
    return Setting(Transfer(tasks), {COSINE: [0.98, 0.8, 0.3], SOURCE: sources}, 10 if options.fast else 60)


def draw(data):
    fig, axes = figure(1, 5.2, 4.0)
    ax = axes[0, 0]
    alone = float(data["risk_single"].mean())
    for i, cosine in enumerate(data[COSINE].values):
        gain_curve(ax, data.sel({COSINE: cosine}), SOURCE, f"{cosine:g}", i)
        ends = jnp.array([1.0, 0.0]), jnp.array([cosine, np.sqrt(1 - cosine**2)])
        with jax.ensure_compile_time_eval():
            end = float(plateau(angle_between(*ends), 1.0, 1.0, 1.0, NOISE, N_TARGET))
        ax.axhline(alone - end, color=SERIES[i], linestyle=DASHES, linewidth=1)
    finish_gain_axis(ax, SOURCE, data[SOURCE].values)
    ax.plot([], [], color="black", linestyle=DASHES, linewidth=1, label="predicted plateau")
    legend_above(ax, "cosine of the parameters", 4)
    return fig


EXPERIMENT = Experiment(
    "relu-sample-size",
    "A ReLU source helps with its first rows if it points nearly as the target does, and more rows than the target's may hurt.",
    setting,
    draw,
    along=(SOURCE,),
)
