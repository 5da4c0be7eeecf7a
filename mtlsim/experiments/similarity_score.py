"""How the covariance similarity score moves: with the rows it is taken from, the share of variance kept, and a rotation.

Rows of one covariance score below one, because their main directions differ by chance; the dashed lines are the populations'.
"""

import equinox as eqx
import numpy as np

from mtlsim.core.keys import check_key, stream
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import band_entry, legend
from mtlsim.plots.predictions import DASHES
from mtlsim.plots.style import MARKERS, SERIES, figure
from mtlsim.samples.wishart import draw_moments
from mtlsim.similarity import covariance_similarity
from mtlsim.tasks.covariance import PowerLaw
from mtlsim.tasks.linear import LinearTasks

ROWS, ALIGNMENT, KEPT = "tasks.n_samples", "tasks.alignment", "kept"


class Score(eqx.Module):
    """A cell: the normalised score of the rows drawn and of the populations, at a share of variance that is kept."""

    tasks: LinearTasks
    kept: float = eqx.field(default=0.99, static=True)

    def __call__(self, *, key):
        tasks = self.tasks.draw(key=check_key(key))
        moments = draw_moments(tasks, key=stream(key, "samples"))
        score = lambda first, second: covariance_similarity(first, second, self.kept, normalized=True)
        return {"score": score(moments[0], moments[1]), "population": score(*tasks.covariances)}


def setting(options: Options) -> Setting:
    """20 features, eigenvalues j^-1, rotated so that the score of the whole covariances is that of the legend."""
    tasks = LinearTasks(n_features=20, n_samples=(40, 40), design=PowerLaw(1.0), alignment=1.0)
    rows = [20, 200, 20_000] if options.fast else [10, 20, 40, 100, 200, 400, 1000, 4000, 20_000]
    grid = {KEPT: [0.8, 0.99, 1.0], ALIGNMENT: [1.0, 0.8, 0.6], ROWS: rows}
    return Setting(Score(tasks), grid, 20 if options.fast else 200)


def draw(data):
    fig, (axes,) = figure(data.sizes[KEPT], 3.2, 3.2, sharey=True)
    rows = data[ROWS].values
    for ax, kept in zip(axes, data[KEPT].values, strict=True):
        for i, alignment in enumerate(data[ALIGNMENT].values):
            one = data.sel({KEPT: kept, ALIGNMENT: alignment})
            low, middle, high = np.percentile(one["score"].values, [2.5, 50, 97.5], axis=-1)
            ax.fill_between(rows, low, high, color=SERIES[i], alpha=0.22, linewidth=0)
            ax.plot(rows, middle, color=SERIES[i], marker=MARKERS[i], label=f"rows, populations' score {alignment:g}")
            ax.axhline(float(one["population"].mean()), color=SERIES[i], linestyle=DASHES, linewidth=1)
        ax.set_xscale("log")
        ax.set_xlabel("rows of each task")
        ax.set_title(f"{100 * kept:.0f} % of the variance kept")
    axes[0].set_ylabel("normalised similarity score (1 = same covariance)\nmedian and middle 95 % of the draws")
    axes[0].plot([], [], color="black", linestyle=DASHES, label="of the populations")
    band_entry(axes[0], "middle 95 % of the draws")
    legend(fig, "outside lower center", 3)
    return fig


EXPERIMENT = Experiment(
    "similarity-score",
    "Few rows make the score too low: from 20 rows of 20 features, one and the same covariance scores 0.84.",
    setting,
    draw,
    along=(ROWS,),
)
