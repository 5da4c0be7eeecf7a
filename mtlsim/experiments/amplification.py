"""What more tasks of one function are worth on the same rows, over the correlation of their noise: the law and the simulation."""

import numpy as np

from mtlsim.cells.orthonormal_rows import OrthonormalRows
from mtlsim.core.words import counted
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import bar_entry, legend
from mtlsim.plots.style import MARKERS, SERIES, figure
from mtlsim.theory.statements.amplified_direction import amplified

EXTRA, CORRELATION = "n_extra", "correlation"
FEATURES = 20


def setting(options: Options) -> Setting:
    """Twenty features, 1000 rows, noise one."""
    cell = OrthonormalRows(n_samples=1000.0, cosine=1.0, n_features=FEATURES)
    correlations = np.linspace(0, 1, 5 if options.fast else 11).round(6).tolist()
    return Setting(cell, {EXTRA: [1, 3, 15], CORRELATION: correlations}, 200 if options.fast else 2000)


def draw(data):
    fig, ((ax,),) = figure(1, 4.6, 3.6)
    xs = data[CORRELATION].values
    for i, extra in enumerate(data[EXTRA].values):
        cells = data.sel({EXTRA: extra})
        alone = cells["risk_single"].mean("seed").values
        mean, low, high = (1 - cells[f"gain_{part}"].values / alone for part in ("mean", "low", "high"))
        ax.plot(xs, np.asarray(amplified(FEATURES, int(1 + extra), xs)), color=SERIES[i], linestyle="--", linewidth=1)
        bars = {"color": SERIES[i], "marker": MARKERS[i], "linestyle": "none", "markersize": 4}
        ax.errorbar(xs, mean, [mean - high, low - mean], label=f"{counted(1 + extra, 'task')}", **bars)
    ax.plot([], [], color="black", linestyle="--", label="theory")
    ax.axhline(1, color="black", linewidth=0.8, label="no gain")
    ax.axhline(1 / FEATURES, color="0.5", linestyle=":", label="own scale, which no task helps with")
    ax.set(xlabel="correlation of the tasks' label noise", ylabel="risk together / risk alone (below 1 helps)", ylim=(0, 1.08))
    bar_entry(ax)
    legend(fig)
    return fig


EXPERIMENT = Experiment(
    "amplification",
    "Tasks of one function on the same rows are worth more rows as far as their noise is independent, and nothing where it is one.",
    setting,
    draw,
    along=(CORRELATION,),
)
