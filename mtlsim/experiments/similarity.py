"""Performance against the distance 1 - cosine of the tasks' parameters, for linear and ReLU units, numbers and classes."""

import numpy as np

from mtlsim.cells.transfer import Transfer
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import risk_curve
from mtlsim.plots.legends import legend
from mtlsim.plots.style import RISK_LABEL, figure
from mtlsim.tasks.classification import ClassificationTasks
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.linear import LinearTasks
from mtlsim.tasks.recipe import Recipe
from mtlsim.tasks.relu import ReluTasks

COSINE = "tasks.cosine"
NOISE, FLIP = "tasks.noise", "tasks.flip"
PANELS = {NOISE: ("noise {:g}", 1), FLIP: ("{:g} % of the labels turned round", 100)}
MODELS = ("linear", "logistic", "relu", "relu-classification")


def tasks_of(model: str) -> tuple[Recipe, str, list[float]]:
    """The recipe of a model, and what differs between the panels."""
    if model == "linear":
        return LinearTasks(n_features=40, n_samples=(400, 80), noise=0.5, design=Isotropic()), NOISE, [0.2, 0.5, 1.0]
    if model == "relu":
        return ReluTasks(n_features=10, n_samples=(200, 80), noise=0.5, design=Isotropic()), NOISE, [0.2, 0.5, 1.0]
    activation = "relu" if model == "relu-classification" else "identity"
    labels = {"labels": "logistic", "parameter_norm": 3.0, "activation": activation}
    return ClassificationTasks(n_features=10, n_samples=(200, 60), design=Isotropic(), **labels), FLIP, [0.0, 0.1, 0.2]


def setting(options: Options) -> Setting:
    tasks, panels, values = tasks_of(options.model)
    n_cosines = (11 if options.fast else 41) if options.model == "linear" else (5 if options.fast else 17)
    n_seeds = (60 if options.fast else 300) if options.model == "linear" else (10 if options.fast else 100)
    cosines = (1 - np.linspace(0, 2, n_cosines)).round(4).tolist()
    return Setting(Transfer(tasks), {COSINE: cosines, panels: values}, n_seeds)


def draw(data):
    """Risk alone and together over 1 - cosine. With linear units it is symmetric about orthogonal tasks: heads have a sign."""
    panels = NOISE if NOISE in data.sizes else FLIP
    fig, axes = figure(data.sizes[panels], 3.1, 3.0, sharey=panels == FLIP)
    distance, (words, times) = "1 - cosine", PANELS[panels]
    shifted = data.assign_coords({COSINE: 1 - data[COSINE].values}).rename({COSINE: distance})
    for ax, value in zip(axes[0], data[panels].values, strict=True):
        risk_curve(ax, shifted.sel({panels: value}), distance, "risk_single", "alone (STL)", 0)
        risk_curve(ax, shifted.sel({panels: value}), distance, "risk_multi", "together (MTL, rank 1)", 1)
        ax.set_title(words.format(times * value))
        ax.set_xlabel("1 - cosine of the parameters\n(0 same, 1 orthogonal, 2 opposite)")
        ax.set_ylim(bottom=0)
    axes[0, 0].set_ylabel(RISK_LABEL if panels == NOISE else "share of wrong decisions on the target\n(lower is better)")
    legend(fig, "outside lower center", 2)
    return fig


EXPERIMENT = Experiment(
    "similarity",
    "Sharing one direction helps near tasks, more so the noisier the labels; opposite ones too if units are linear, not if ReLU.",
    setting,
    draw,
    along=(COSINE,),
    models=MODELS,
    claims={
        model: "Sharing one ReLU unit helps near tasks, more so the noisier the labels; opposite ones it hurts."
        if "relu" in model
        else "Sharing one direction helps near tasks and opposite ones, more so the noisier the labels."
        for model in MODELS
    },
)
