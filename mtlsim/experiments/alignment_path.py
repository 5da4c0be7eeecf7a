"""Similarity score and risk along the training of alignment matrices, with free and with orthogonal ones."""

import numpy as np

from mtlsim.alignment.training import AlignmentTraining
from mtlsim.cells.alignment import Alignment
from mtlsim.core.verdict import half_width
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import band_entry, legend
from mtlsim.plots.style import RISK_LABEL, SERIES, figure
from mtlsim.tasks.linear import LinearTasks

COSINE, MODE, CONSTRAINT = "tasks.cosine", "mode", "training.constraint"
STYLES = {"free": "-", "orthogonal": "--"}
RATE, N_STEPS = 0.01, 2000
TICKS = (0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0)


def setting(options: Options) -> Setting:
    """10 features, 200 and 40 rows, alignment 0.7, noise 1, one shared direction; full-batch steps of 0.01."""
    tasks = LinearTasks(10, (200, 40), alignment=0.7)
    cell = Alignment(tasks, training=AlignmentTraining(n_steps=N_STEPS, learning_rate=RATE), n_records=200)
    modes, constraints = ("multi-task", "transfer"), tuple(STYLES)
    grid = {MODE: modes, CONSTRAINT: constraints, COSINE: (0.5, 0.95)}
    return Setting(cell, {name: list(values) for name, values in grid.items()}, 20 if options.fast else 400)


def draw(data):
    modes = data[MODE].values
    fig, (axes,) = figure(2 * len(modes), 3.1, 3.7)
    time = RATE * N_STEPS * np.arange(1, data.sizes["record"] + 1) / data.sizes["record"]
    halves = axes[: len(modes)], axes[len(modes) :]
    for half, name, start in zip(halves, ("score", "risk"), ("score_before", "risk_without"), strict=True):
        for ax, mode in zip(half, modes, strict=True):
            for i, cosine in enumerate(data[COSINE].values):
                panel = data.sel({MODE: mode, COSINE: cosine})
                for constraint in data[CONSTRAINT].values:
                    style = STYLES[constraint]
                    mean, width = interval(panel[f"path_{name}"].sel({CONSTRAINT: constraint}))
                    ax.fill_between(time, mean - width, mean + width, color=SERIES[i], alpha=0.18, linewidth=0)
                    ax.plot(time, mean, style, color=SERIES[i], label=f"cosine {cosine:g}, {constraint} matrices")
                before = float(panel[start].isel({CONSTRAINT: 0}).mean())
                ax.axhline(before, color=SERIES[i], linestyle=":", linewidth=1, label=f"cosine {cosine:g}, before alignment")
            ax.set(xscale="log", title=f"{name}, {mode}")
            if name == "risk":
                ax.axhline(float(data["risk_alone"].mean()), color="black", linewidth=1, linestyle="-.", label="target alone")
                ax.set_yscale("log")
        limits = [limit for ax in half for limit in ax.get_ylim()]
        ticks = [tick for tick in TICKS if min(limits) <= tick <= max(limits)]
        for ax in half:
            ax.set_ylim(min(limits), max(limits))
            if name == "risk":
                ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
                ax.minorticks_off()
    halves[0][0].set_ylabel("normalised similarity score\n(1 = same covariance)")
    halves[1][0].set_ylabel(RISK_LABEL)
    band_entry(axes[0])
    for ax in axes:
        ax.set_xlabel("learning rate times steps")
    legend(fig, "outside lower center", 4 if len(modes) > 1 else 2)
    return fig


def interval(values) -> tuple[np.ndarray, np.ndarray]:
    """Mean over seeds and half the width of its 95 % interval."""
    numbers = values.transpose("seed", "record").values
    return numbers.mean(0), half_width(numbers.std(0, ddof=1) / np.sqrt(len(numbers)), len(numbers))


EXPERIMENT = Experiment(
    "alignment-path",
    "Alignment matrices first undo what sharing costs and then forget what it gave: training ends at the target alone.",
    setting,
    draw,
)
