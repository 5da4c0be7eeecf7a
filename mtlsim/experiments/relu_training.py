"""Training curves of a shared ReLU layer against the flow of the population loss, which knows no sampling error."""

import numpy as np

from mtlsim.cells.training_curve import TrainingCurve
from mtlsim.core.verdict import half_width
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import band_entry, legend
from mtlsim.plots.predictions import DASHES
from mtlsim.plots.style import RISK_LABEL, SERIES, figure
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.relu import ReluTasks
from mtlsim.training.weighted import WeightedTraining

ROWS, POPULATION = "tasks.n_samples", "population"
RATE, TIME = 0.05, 200.0
SIZES = (30, 100, 1000)


def setting(options: Options) -> Setting:
    """10 isotropic features, cosine 0.8, noise 0.5, two shared units; the curve of the population begins where the others do."""
    tasks = ReluTasks(10, (50, 50), cosine=0.8, noise=0.5, design=Isotropic())
    n_points = 20 if options.fast else 80
    training = WeightedTraining("sgd", round(TIME / RATE), RATE, decay=False)
    grid = {POPULATION: [False, True], ROWS: list(SIZES)}
    return Setting(TrainingCurve(tasks, 2, training=training, n_points=n_points), grid, 8 if options.fast else 60)


def draw(data):
    fig, (axes,) = figure(2, 3.9, 3.3)
    quantities = {"loss": "training loss, mean of the tasks", "risk": RISK_LABEL}
    rows, flow = data.sel({POPULATION: False}), data.sel({POPULATION: True}).isel({ROWS: 0})
    time = RATE * flow["steps"].values[0]
    for ax, (name, label) in zip(axes, quantities.items(), strict=True):
        for i, n in enumerate(rows[ROWS].values):
            curves = rows[name].sel({ROWS: n}).values
            mean, half = curves.mean(0), half_width(curves.std(0, ddof=1) / np.sqrt(len(curves)), len(curves))
            ax.fill_between(time, mean - half, mean + half, color=SERIES[i], alpha=0.22, linewidth=0)
            ax.plot(time, mean, color=SERIES[i], label=f"{n:g} rows per task")
        ax.plot(time, flow[name].values.mean(0), color="black", linestyle=DASHES, label="population")
        ax.set_xscale("log")
        ax.set_xlabel("time (learning rate times steps)")
        ax.set_ylabel(label)
    axes[1].set_yscale("log")
    axes[1].set_ylim(bottom=float(rows["risk"].mean("seed").min()) / 10)  # the population's goes on to zero
    band_entry(axes[0])
    legend(fig, "outside lower center", 4)
    return fig


EXPERIMENT = Experiment(
    "relu-training",
    "Training on rows follows the flow of the population at first and leaves it to fit noise, the later the more rows there are.",
    setting,
    draw,
    whole=(POPULATION,),
)
