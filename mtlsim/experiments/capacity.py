"""Gain against the rank of the shared layer: it dies where the rank reaches the number of tasks (Proposition 1).

With ReLU units there is no such end, because units are not spent on a basis: the risk over the number of hidden units shows
what the bottleneck does, the shared layer counted once and the layers of the tasks alone added up [wu2020understanding].
"""

import numpy as np

from mtlsim.cells.transfer import Transfer
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import finish_gain_axis, gain_curve
from mtlsim.plots.legends import band_entry, legend
from mtlsim.plots.style import MARKERS, RISK_LABEL, SERIES, figure
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.linear import LinearTasks
from mtlsim.tasks.relu import ReluTasks
from mtlsim.training.network import Training

COSINE, NOISE = "tasks.cosine", "tasks.noise"
N_TASKS = {"linear": 6, "relu": 3}


def setting(options: Options) -> Setting:
    """Six tasks on the same 80 rows of 40 isotropic features, or three ReLU tasks on 150 rows each of 10."""
    count, noises = N_TASKS[options.model], [0.2, 0.5, 1.0]
    if options.model == "relu":
        tasks = ReluTasks(10, (150,) * count, cosine=0.8, noise=1.0, design=Isotropic())
        ranks = [1, 3] if options.fast else [1, 2, 3, 4, 5, 6]
        grid = {"rank": ranks, COSINE: [0.0, 0.5, 0.9], NOISE: noises}
        return Setting(Transfer(tasks, training=Training(n_hops=2)), grid, 6 if options.fast else 30)
    n = (80,) * count
    tasks = LinearTasks(n_features=40, n_samples=n, cosine=0.8, noise=1.0, design=Isotropic(), shared_covariates=True)
    ranks = [1, 3, count] if options.fast else list(range(1, count + 2))
    grid = {"rank": ranks, COSINE: [0.5, 0.8, 0.95], NOISE: noises}
    return Setting(Transfer(tasks), grid, 100 if options.fast else 400)


def draw(data):
    noises = data[NOISE].values
    relu = data.attrs["model"] == "relu"
    fig, axes = figure(len(noises), 3.2, 3.0, sharey=relu)
    for ax, noise in zip(axes[0], noises, strict=True):
        (_units if relu else _ranks)(ax, data.sel({NOISE: noise}), first=ax is axes[0, 0])
        ax.set_title(f"noise {noise:g}")
    legend(fig, "outside lower center", 4, title=None if relu else "sources and target")
    return fig


def _ranks(ax, data, first: bool) -> None:
    count = N_TASKS["linear"]
    for i, cosine in enumerate(data[COSINE].values):
        gain_curve(ax, data.sel({COSINE: cosine}), "rank", f"cosine {cosine:g}", i)
    finish_gain_axis(ax, "rank", data["rank"].values, label=first)
    ax.axvline(count, color="black", linestyle=":", linewidth=1, label="as many columns as tasks")


def _units(ax, data, first: bool) -> None:
    """Risk over hidden units in all: of the shared layer, and of the layers that the tasks would have alone."""
    alone = data["risk_single"].isel({COSINE: 0})
    curves = [("alone, widths added up", alone, N_TASKS["relu"])]
    curves += [(f"together, cosine {c:g}", data["risk_multi"].sel({COSINE: c}), 1) for c in data[COSINE].values]
    for i, (name, risks, layers) in enumerate(curves):
        low, middle, high = np.percentile(risks.values, [25, 50, 75], axis=-1)
        units = layers * data["rank"].values
        ax.fill_between(units, low, high, color=SERIES[i], alpha=0.2, linewidth=0)
        ax.plot(units, middle, color=SERIES[i], marker=MARKERS[i], label=name)
    band_entry(ax, "middle half of the draws")
    ax.set_yscale("log")
    ax.set_xlabel("hidden units in all")
    ax.set_xticks(range(0, 19, 3))
    if first:
        ax.set_ylabel(f"{RISK_LABEL}\nmedian and middle half of the draws")


EXPERIMENT = Experiment(
    "capacity",
    "Linear layers with as many columns as tasks gain exactly nothing; ReLU layers need fewer units than tasks only if these are "
    "near and noisy.",
    setting,
    draw,
    along=("rank",),
    models=("linear", "relu"),
    claims={
        "linear": "Linear layers with as many columns as tasks gain exactly nothing.",
        "relu": "ReLU layers need fewer units than tasks only if these are near and noisy.",
    },
)
