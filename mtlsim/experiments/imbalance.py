"""Gain against the source's rows and the scale of its labels, under weights that look at losses, at gradients or at neither."""

from mtlsim.cells.weighting import Weighting
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import finish_gain_axis, gain_curve
from mtlsim.plots.legends import legend
from mtlsim.plots.style import figure
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.linear import LinearTasks
from mtlsim.training.weighted import WeightedTraining

SOURCE, SCALE = "tasks.n_samples[0]", "tasks.parameter_norm[0]"
KINDS = {
    "weights set before training": ("oracle", "equal", "prior"),
    "weights by losses or gradients": ("oracle", "inverse-loss", "gradnorm", "algorithm-2"),
}


def setting(options: Options) -> Setting:
    """A target of 40 rows and a source, 10 features, noise 1 on both, cosine 0.9; the source's signal is once or five times 1."""
    tasks = LinearTasks(10, (40, 40), cosine=0.9, noise=1.0, parameter_norm=(1.0, 1.0), design=Isotropic())
    schemes = list(dict.fromkeys(name for names in KINDS.values() for name in names))
    rows = [12, 80, 640] if options.fast else [12, 20, 40, 80, 160, 320, 640, 1280]
    training = WeightedTraining(n_steps=500 if options.fast else 2000)
    return Setting(
        Weighting(tasks, training=training), {"scheme": schemes, SCALE: [1.0, 5.0], SOURCE: rows}, 20 if options.fast else 200
    )


def draw(data):
    """Two rows, so that bands can be told apart: weights that look at what training finds, and weights that do not."""
    fig, rows = figure(data.sizes[SCALE], 4.0, 2.6, len(KINDS), sharex=True, sharey="row")
    every = list(data["scheme"].values)
    for row, (kind, names) in zip(rows, KINDS.items(), strict=True):
        for ax, scale in zip(row, data[SCALE].values, strict=True):
            for name in [name for name in names if name in every]:
                gain_curve(ax, data.sel({SCALE: scale, "scheme": name}), SOURCE, name, every.index(name))
            if scale == 1:
                ax.set_title(f"{kind}\nsignals of equal size")
            else:
                ax.set_title(f"{kind}\nthe source's signal {scale:g} times as large")
        for ax in row:  # after all curves, because the panels share their gain axis
            finish_gain_axis(ax, SOURCE, data[SOURCE].values, label=ax is row[0])
            if row[0] is not rows[-1, 0]:
                ax.set_xlabel("")
    legend(fig, n_columns=4)
    return fig


EXPERIMENT = Experiment(
    "imbalance",
    "Few source rows fool weights that look at losses, for an overfitted source has a small one; large labels fool equal weights.",
    setting,
    draw,
    along=(SOURCE,),
)
