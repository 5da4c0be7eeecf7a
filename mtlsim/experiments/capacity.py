"""Gain against the rank of the shared layer: it dies where the rank reaches the number of tasks (Proposition 1)."""

from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import finish_gain_axis, gain_curve
from mtlsim.plots.style import figure
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.linear import LinearTasks
from mtlsim.transfer.cell import Transfer

COSINE, NOISE = "tasks.cosine", "tasks.noise"
N_TASKS = 6


def setting(options: Options) -> Setting:
    """Six tasks on the same 80 rows of 40 isotropic features: the exact route at every rank."""
    n = (80,) * N_TASKS
    tasks = LinearTasks(n_features=40, n_samples=n, cosine=0.8, noise=1.0, design=Isotropic(), shared_covariates=True)
    ranks = [1, 3, N_TASKS] if options.fast else list(range(1, N_TASKS + 2))
    grid = {"rank": ranks, COSINE: [0.5, 0.8, 0.95], NOISE: [0.2, 0.5, 1.0]}
    return Setting(Transfer(tasks), grid, 100 if options.fast else 400)


def draw(data):
    noises = data[NOISE].values
    fig, axes = figure(len(noises), 3.2, 3.0)
    for ax, noise in zip(axes[0], noises, strict=True):
        for i, cosine in enumerate(data[COSINE].values):
            gain_curve(ax, data.sel({NOISE: noise, COSINE: cosine}), "rank", f"cosine {cosine:g}", i)
        finish_gain_axis(ax, "rank", data["rank"].values, label=ax is axes[0, 0])
        ax.axvline(N_TASKS, color="black", linestyle=":", linewidth=1)
        ax.annotate(
            "rank = tasks", (N_TASKS, 0.5), xycoords=("data", "axes fraction"), ha="right", va="center", rotation=90, fontsize=7
        )
        ax.set_title(f"noise {noise:g}")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3, title="sources and target")
    return fig


EXPERIMENT = Experiment(
    "capacity",
    "Sharing needs a bottleneck: with at least as many columns as tasks the gain is exactly zero.",
    setting,
    draw,
)
