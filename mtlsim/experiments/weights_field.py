"""Which share of the weight each scheme gives the source, over its noise and its rows, beside the share that is best.

Where heads begin with opposite signs, unit gradients of two tasks cancel: such starts stop `mgda` and `inverse-gradient-norm`.
"""

import numpy as np

from mtlsim.cells.weighting import Weighting
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import legend
from mtlsim.plots.style import figure, label_of
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.linear import LinearTasks
from mtlsim.training.weighted import WeightedTraining

NOISE, SOURCE = "tasks.noise[0]", "tasks.n_samples[0]"
CLEAN = 0.5  # noise of the target
SCHEMES = ("oracle", "algorithm-2", "inverse-loss", "inverse-gradient-norm", "gradnorm", "mgda")


def setting(options: Options) -> Setting:
    """A source and a target of 40 rows, 10 features, noise 0.5, cosine 0.9, one shared direction, mean losses."""
    tasks = LinearTasks(10, (40, 40), cosine=0.9, noise=(CLEAN, CLEAN), design=Isotropic())
    n = 3 if options.fast else 9
    noises, rows = np.geomspace(0.125, 8, n).round(4), np.unique(np.geomspace(12, 1200, n).round())
    training = WeightedTraining(n_steps=400 if options.fast else 1500)
    grid = {"scheme": list(SCHEMES), SOURCE: rows.tolist(), NOISE: noises.tolist()}
    return Setting(Weighting(tasks, training=training), grid, 10 if options.fast else 40)


def draw(data):
    fig, (axes,) = figure(data.sizes["scheme"], 2.3, 2.9, sharey=True)
    for ax, name in zip(axes, data["scheme"].values, strict=True):
        share = data["share_source"].sel(scheme=name).median("seed").transpose(SOURCE, NOISE)
        where = data[NOISE].values, data[SOURCE].values
        mesh = ax.pcolormesh(*where, share.values, cmap="PuOr", vmin=0, vmax=1, shading="nearest")
        ax.set(xscale="log", yscale="log", title=name, xlabel="label noise of the source")
        gain = data["gain_sign"].sel(scheme=name).transpose(SOURCE, NOISE).values
        x, y = np.meshgrid(*where)
        crosses = {"linestyle": "none", "marker": "x", "color": "black", "markersize": 3}
        ax.plot(x[gain < 0], y[gain < 0], **crosses, label="the target is hurt")
        ax.axvline(CLEAN, color="0.3", linestyle=":", linewidth=0.8, label="as noisy as the target")
    axes[0].set_ylabel(label_of(SOURCE))
    fig.colorbar(mesh, ax=axes, aspect=15).set_label("weight of the source's mean loss\n(share of both, median over seeds)")
    legend(fig)
    return fig


EXPERIMENT = Experiment(
    "weights-field",
    "The best weight of a source grows with its rows and falls with its noise; no scheme follows both.",
    setting,
    draw,
    along=(SOURCE, NOISE),
)
