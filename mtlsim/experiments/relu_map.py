"""What sharing one ReLU unit costs the target without any sampling error, over the angle and the source's weight, exactly.

The lines are where that cost equals what learning alone costs with n target rows, about noise^2 d / n for many rows (noise 0.5):
beyond its line a source hurts a target of that many rows.
"""

import numpy as np

from mtlsim.cells.population import Population
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import hatch_entry, legend, line_entry
from mtlsim.plots.style import figure, label_of
from mtlsim.tasks.covariance import Spiked
from mtlsim.tasks.relu import ReluTasks

COSINE, SOURCE, RELATION = "tasks.cosine", "tasks.n_samples[0]", "tasks.relation"
N_FEATURES, NOISE, N_TARGET = 20, 0.5, 100
ROWS = {50: "-", 200: "--", 1000: ":"}  # lines that meet where the unit changes sides leave no room for words on them
UNPROVEN = 0.01  # of the smaller task's energy


def setting(options: Options) -> Setting:
    """20 features; condition number 10 on a fifth of them, seen alike by both tasks or not."""
    tasks = ReluTasks(N_FEATURES, (N_TARGET, N_TARGET), noise=NOISE, design=Spiked(10.0), relation="same")
    n_cosines, n_sources = (9, 7) if options.fast else (41, 31)
    sources = np.unique(np.geomspace(10, 1000, n_sources).round())
    cosines = np.linspace(-1, 1, n_cosines).round(3)
    grid = {RELATION: ["same", "disjoint"], COSINE: cosines.tolist(), SOURCE: sources.tolist()}
    return Setting(Population(tasks), grid, 1)


def draw(data):
    fig, (axes,) = figure(data.sizes[RELATION], 4.1, 3.5, sharey=True)
    x, y = data[COSINE].values, data[SOURCE].values / N_TARGET
    for ax, relation in zip(axes, data[RELATION].values, strict=True):
        panel = data.sel({RELATION: relation}).isel(seed=0).transpose(SOURCE, COSINE)
        mesh = ax.pcolormesh(x, y, 1 - panel["explained_target"].values, cmap="cividis_r", vmin=0, vmax=1, shading="nearest")
        for n, style in ROWS.items():
            level = NOISE**2 * N_FEATURES / n
            ax.contour(x, y, panel["risk_multi"].values, levels=[level], colors="black", linewidths=1.3, linestyles=style)
        unproven = panel["gap"].values > UNPROVEN
        if unproven.any():
            veil = np.ma.masked_where(~unproven, np.ones_like(panel["gap"].values))
            ax.pcolor(x, y, veil, hatch="..", edgecolor="0.5", linewidth=0, shading="nearest").set_facecolor("none")
        ax.set_yscale("log")
        ax.set_title(f"{relation} covariance")
        ax.set_xlabel(label_of(COSINE))
    axes[0].set_ylabel("weight of the source over the target's")
    bar = fig.colorbar(mesh, ax=axes)
    bar.set_label("share of the target's energy lost by sharing\n(0 = nothing, lower is better)")
    for n, style in ROWS.items():
        line = f"sharing costs as much as learning alone with {n} rows (noise {NOISE:g}); above and left more"
        line_entry(axes[0], line, color="black", linewidth=1.3, linestyle=style)
    if (data["gap"] > UNPROVEN).any():
        hatch_entry(axes[0], "...", f"not proven to {UNPROVEN:g} of the smaller task's energy")
    legend(fig, n_columns=1)
    return fig


EXPERIMENT = Experiment(
    "relu-map",
    "Without sampling error one ReLU unit serves the target only at small angles, or where the target outweighs the source.",
    setting,
    draw,
    along=(COSINE, SOURCE),
)
