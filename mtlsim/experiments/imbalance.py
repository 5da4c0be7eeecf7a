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


def setting(options: Options) -> Setting:
    """A target of 40 rows and a source, 10 features, noise 1 on both, cosine 0.9; the source's signal is once or five times 1."""
    tasks = LinearTasks(10, (40, 40), cosine=0.9, noise=1.0, parameter_norm=(1.0, 1.0), design=Isotropic())
    schemes = ["oracle", "equal", "prior", "inverse-loss", "gradnorm", "algorithm-2"]
    rows = [12, 80, 640] if options.fast else [12, 20, 40, 80, 160, 320, 640, 1280]
    training = WeightedTraining(n_steps=500 if options.fast else 2000)
    return Setting(
        Weighting(tasks, training=training), {"scheme": schemes, SCALE: [1.0, 5.0], SOURCE: rows}, 20 if options.fast else 200
    )


def draw(data):
    fig, (axes,) = figure(data.sizes[SCALE], 4.0, 3.4, sharey=True)
    for ax, scale in zip(axes, data[SCALE].values, strict=True):
        for i, name in enumerate(data["scheme"].values):
            gain_curve(ax, data.sel({SCALE: scale, "scheme": name}), SOURCE, name, i)
        ax.set_title("signals of equal size" if scale == 1 else f"the source's signal {scale:g} times as large")
    for ax in axes:  # after all curves, because the panels share their gain axis
        finish_gain_axis(ax, SOURCE, data[SOURCE].values, label=ax is axes[0])
    legend(fig, "outside lower center", 6)
    return fig


EXPERIMENT = Experiment(
    "imbalance",
    "Few source rows fool weights that look at losses, for an overfitted source has a small one; large labels fool equal weights.",
    setting,
    draw,
    along=(SOURCE,),
)
