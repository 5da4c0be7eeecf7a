"""One pair of tasks, four ways of learning them together: which of them finds the tasks related, over the cosine of their parameters."""

import numpy as np

from mtlsim.cells.transfer import Transfer
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import finish_gain_axis, gain_curve
from mtlsim.plots.style import figure
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.linear import LinearTasks

COSINE, SHARING = "tasks.cosine", "sharing"
LEARNERS = {
    "hard": "one direction, free heads",
    "pooled": "one parameter vector",
    "mean-regularised": "pulled to the mean",
    "from-source": "pulled to the source's estimate",
}


def setting(options: Options) -> Setting:
    """Ten features, 100 source rows, 25 target rows, noise one; every learner with its defaults."""
    tasks = LinearTasks(10, (100, 25), cosine=0.5, noise=1.0, design=Isotropic(), relation="same")
    cosines = np.linspace(-1, 1, 5 if options.fast else 13).round(6).tolist()
    return Setting(Transfer(tasks), {SHARING: list(LEARNERS), COSINE: cosines}, 100 if options.fast else 600)


def draw(data):
    fig, ((ax,),) = figure(1, 4.8, 3.6)
    for i, name in enumerate(data[SHARING].values):
        gain_curve(ax, data.sel({SHARING: name}), COSINE, LEARNERS[str(name)], i)
    finish_gain_axis(ax, COSINE, data[COSINE].values)
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


EXPERIMENT = Experiment(
    "related-to-whom",
    "Whether two tasks are related depends on the learner: opposite parameters help one direction with free heads and hurt pooling.",
    setting,
    draw,
    along=(COSINE,),
)
