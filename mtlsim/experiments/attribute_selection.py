"""Telling used inputs from others, over tasks times rows: one curve on orthonormal rows, none on common random rows."""

import equinox as eqx
import numpy as np
from jaxtyping import Array

from mtlsim.cells.marginal_screening import MarginalScreening
from mtlsim.core.keys import stream
from mtlsim.core.words import counted
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import bar_entry, legend
from mtlsim.plots.style import MARKERS, SERIES, figure
from mtlsim.theory.statements.selection_area import MeanScores, measure, selection_area

TASKS, LABELS = "tasks", "labels"
USED, NOISE = 5, 3.0


class ScoreAreas(eqx.Module):
    """A cell: the areas under both kinds of scores for `labels` labels in all, tasks times rows, of noise three."""

    labels: Array | float = 200.0
    tasks: int = eqx.field(default=4, static=True)

    def __call__(self, *, key):
        rows = self.labels / self.tasks
        means = measure(MeanScores(rows, NOISE, n_tasks=self.tasks, n_features=200, n_used=USED), stream(key, "orthonormal"))
        screened = MarginalScreening(rows, NOISE, float(self.tasks), 200, USED)(key=stream(key, "screening"))
        return {"orthonormal": means["area"], "screened": screened["area"]}


def setting(options: Options) -> Setting:
    labels = np.geomspace(110, 1600, 4 if options.fast else 9).round(3).tolist()  # so that 16 tasks have more rows than used inputs
    return Setting(ScoreAreas(), {TASKS: [1, 4, 16], LABELS: labels}, 100 if options.fast else 2000)


def draw(data):
    fig, (axes,) = figure(2, 3.7, 3.4, sharey=True)
    xs = data[LABELS].values
    fine = np.geomspace(xs[0], xs[-1], 200)
    titles = {"orthonormal": "orthonormal rows: least squares", "screened": "common random rows, inputs one at a time"}
    for ax, (name, title) in zip(axes, titles.items(), strict=True):
        for i, tasks in enumerate(data[TASKS].values):
            mean = data[name].sel({TASKS: tasks}).mean("seed").values
            error = 1.96 * data[name].sel({TASKS: tasks}).std("seed").values / np.sqrt(data.sizes["seed"])
            bars = {"color": SERIES[i], "marker": MARKERS[i], "linestyle": "none", "markersize": 4}
            ax.errorbar(xs, 1 - mean, error, label=f"{counted(tasks, 'task')}", **bars)
            if name == "screened":
                law = selection_area(np.sqrt(fine / tasks / USED / (1 + NOISE**2 / tasks)))
                ax.plot(fine, 1 - np.asarray(law), color=SERIES[i], linestyle="--", linewidth=1)
        if name == "orthonormal":
            ax.plot(fine, 1 - np.asarray(selection_area(np.sqrt(fine / USED) / NOISE)), color="black", linestyle="--", linewidth=1)
        ax.plot([], [], color="black", linestyle="--", label="theory")
        ax.set_xscale("log")
        ax.set_xticks([100, 300, 1000], ["100", "300", "1000"])
        ax.set(yscale="log", ylim=(1e-5, 0.6), xlabel="labels in all (tasks x rows)", title=title)
    axes[0].set_ylabel("pairs of inputs in the wrong order\n(lower is better)")
    bar_entry(axes[0])
    legend(fig, n_columns=5)
    return fig


EXPERIMENT = Experiment(
    "attribute-selection",
    "More tasks find used inputs as more rows would where rows are orthonormal; on common random rows they soon add nothing.",
    setting,
    draw,
    along=(LABELS,),
)
