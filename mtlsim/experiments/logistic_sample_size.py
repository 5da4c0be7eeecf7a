"""Gain of classification tasks against source samples: cross-entropy on both sides, error known exactly."""

from mtlsim.cells.transfer import Transfer
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import finish_gain_axis, gain_curve
from mtlsim.plots.legends import legend
from mtlsim.plots.style import figure, series_of
from mtlsim.tasks.classification import ClassificationTasks
from mtlsim.tasks.covariance import Spiked

SOURCE, COSINE, RELATION = "tasks.n_samples[0]", "tasks.cosine", "tasks.relation"
RELATIONS = ("same", "disjoint")


def setting(options: Options) -> Setting:
    """20 features, condition number 10 on a fifth of them, 60 target rows, a tenth of all labels wrong."""
    tasks = ClassificationTasks(20, (60, 60), flip=0.1, design=Spiked(10.0), relation="same")
    sources = [20, 200] if options.fast else [10, 20, 40, 80, 160, 320, 640]
    grid = {RELATION: list(RELATIONS), COSINE: [0.95, 0.6], SOURCE: sources}
    return Setting(Transfer(tasks), grid, 10 if options.fast else 100)


def draw(data):
    fig, (axes,) = figure(data.sizes[COSINE], 3.8, 3.3, sharey=True)
    for ax, cosine in zip(axes, data[COSINE].values, strict=True):
        for relation, i in series_of(data[RELATION].values).items():
            gain_curve(ax, data.sel({COSINE: cosine, RELATION: relation}), SOURCE, f"{relation} covariance", i)
        ax.set_title(f"cosine {cosine:g}")
    for ax in axes:  # after all curves, because the panels share their gain axis
        finish_gain_axis(ax, SOURCE, data[SOURCE].values, label=False)
    axes[0].set_ylabel("transfer gain: share of wrong decisions\nalone minus together (positive helps)")
    legend(fig, "outside lower center", 2)
    return fig


EXPERIMENT = Experiment(
    "logistic-sample-size",
    "With cross-entropy a near source helps from its first rows; a far one hurts with many, if it sees what the target sees.",
    setting,
    draw,
    along=(SOURCE,),
)
