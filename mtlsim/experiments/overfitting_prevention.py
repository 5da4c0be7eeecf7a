"""Extra tasks of noise, unrelated and related ones, over the main task's signal-to-noise ratio, beside the best shrinkage."""

import numpy as np

from mtlsim.cells.orthonormal_rows import OrthonormalRows
from mtlsim.core.words import counted
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import tint_gains
from mtlsim.plots.legends import bar_entry, legend
from mtlsim.plots.style import MARKERS, SERIES, figure

ROWS, EXTRA, COSINE, SIZE = "n_samples", "n_extra", "cosine", "extra_size"
FEATURES = 20
KINDS = {"pure noise": (0.0, 0.0), "unrelated (cosine 0)": (0.0, 1.0), "related (cosine 0.9)": (0.9, 1.0)}


def setting(options: Options) -> Setting:
    """Twenty features, noise and length of the parameters one, so that the signal-to-noise ratio is n / 20."""
    ratios = np.geomspace(0.25, 16, 7 if options.fast else 17)
    grid = {EXTRA: [1, 4], COSINE: [0.0, 0.9], SIZE: [0.0, 1.0], ROWS: (FEATURES * ratios).round(6).tolist()}
    return Setting(OrthonormalRows(n_features=FEATURES), grid, 1000 if options.fast else 10_000)


def draw(data):
    fig, (axes,) = figure(data.sizes[EXTRA], 3.7, 3.6, sharey=True)
    ratios = data[ROWS].values / FEATURES
    fine = np.geomspace(ratios[0], ratios[-1], 200)
    for ax, extra in zip(axes, data[EXTRA].values, strict=True):
        ax.plot(fine, 1 / (1 + fine), color="black", linestyle=":", label="the task alone, shrunk at its best (theory)")
        for i, (name, (cosine, size)) in enumerate(KINDS.items()):
            cells = data.sel({EXTRA: extra, COSINE: cosine, SIZE: size})
            mean, low, high = (cells[f"gain_{part}"].values * ratios for part in ("mean", "low", "high"))
            ax.errorbar(ratios, mean, [mean - low, high - mean], color=SERIES[i], marker=MARKERS[i], markersize=4, label=name)
        ax.axvline(1, color="0.5", linestyle="--", linewidth=0.8, label="signal as strong as noise")
        ax.set_xscale("log")
        ax.set_xticks([0.3, 1, 3, 10], ["0.3", "1", "3", "10"])
        ax.set(xlabel="signal-to-noise ratio n |theta|² / (d noise²)", ylim=(-1, 1.05))
        ax.set_title(f"{counted(extra, 'extra task')}")
        tint_gains(ax)
    axes[0].set_ylabel("gain, as a share of the risk alone\n(positive helps)")
    bar_entry(axes[0])
    legend(fig, "outside lower center", 2)
    return fig


EXPERIMENT = Experiment(
    "overfitting-prevention",
    "Tasks of pure noise help below a signal-to-noise ratio of about one, and always less than shrinking the task alone.",
    setting,
    draw,
    along=(ROWS,),
    whole=(COSINE, SIZE),
)
