"""Hard sharing with free heads against source samples: simulation and high-dimensional prediction."""

import numpy as np

from mtlsim import theory
from mtlsim.cells.transfer import Transfer
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import points_on_lines
from mtlsim.plots.legends import legend
from mtlsim.plots.style import figure
from mtlsim.tasks.covariance import Spiked
from mtlsim.tasks.linear import LinearTasks

SOURCE, RELATION, NOISE = "tasks.n_samples[0]", "tasks.relation", "tasks.noise"
RELATIONS = ("same", "disjoint")


def cell() -> Transfer:
    """80 features, condition number 100 on a fifth of them, cosine 0.9, 150 target rows."""
    tasks = LinearTasks(n_features=80, n_samples=(500, 150), cosine=0.9, noise=1.0, design=Spiked(100.0), relation="same")
    return Transfer(tasks)


def setting(options: Options) -> Setting:
    sources = np.geomspace(20, 20_000, 5 if options.fast else 13).round().tolist()
    grid = {RELATION: RELATIONS, NOISE: [0.5, 1.5], SOURCE: sources}
    return Setting(cell(), grid, 20 if options.fast else 100)


def draw(data):
    fig, axes = figure(data.sizes[NOISE], 3.6, 3.2)
    series = {f"{relation} covariance": {RELATION: relation} for relation in data[RELATION].values}
    for ax, noise in zip(axes[0], data[NOISE].values, strict=True):
        options = {"n_draws": 16, "label": ax is axes[0, 0], "line": "prediction for many features"}
        points_on_lines(ax, data.sel({NOISE: noise}), SOURCE, series, theory.free_heads(cell()), **options)
        ax.set_title(f"noise {noise:g}")
    legend(fig, "outside lower center", 2)
    return fig


EXPERIMENT = Experiment(
    "free-heads",
    "The risk of hard sharing is predicted without a single sample, wherever the data determine the heads.",
    setting,
    draw,
    along=(SOURCE,),
)
