"""Which share of the weight each scheme gives the source, over its noise and its rows, beside the share that is best.

Where heads begin with opposite signs, unit gradients of two tasks cancel: such starts stop `mgda` and `inverse-gradient-norm`.
"""

import numpy as np

from mtlsim.cells.weighting import Weighting
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import legend, line_entry
from mtlsim.plots.style import figure, label_of
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.linear import LinearTasks
from mtlsim.training.weighted import WeightedTraining

NOISE, SOURCE = "tasks.noise[0]", "tasks.n_samples[0]"
CLEAN = 0.5  # noise of the target
MOST = 3  # panels to a row
DARK = 0.8  # share from which black is hard to see on its colour
WORDS = {"oracle": "best weights (oracle)"}
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
    count = data.sizes["scheme"]
    n_rows = -(-count // MOST)
    fig, rows = figure(-(-count // n_rows), 3.0, 2.7, n_rows, sharey=True)
    for ax in rows.flat[count:]:
        ax.set_axis_off()
    for ax, name in zip(rows.flat, data["scheme"].values, strict=False):
        share = data["share_source"].sel(scheme=name).median("seed").transpose(SOURCE, NOISE)
        where = data[NOISE].values, data[SOURCE].values
        mesh = ax.pcolormesh(*where, share.values, cmap="PuOr", vmin=0, vmax=1, shading="nearest")
        ax.set(xscale="log", yscale="log", title=WORDS.get(name, name), xlabel="label noise of the source")
        gain = data["gain_sign"].sel(scheme=name).transpose(SOURCE, NOISE).values
        x, y = np.meshgrid(*where)
        crosses = {"linestyle": "none", "marker": "x", "markersize": 3}
        dark = share.values > DARK
        ax.plot(x[(gain < 0) & dark], y[(gain < 0) & dark], color="white", **crosses)
        ax.plot(x[(gain < 0) & ~dark], y[(gain < 0) & ~dark], color="black", **crosses)
        line_entry(ax, "the target is hurt", **(crosses | {"color": "black"}))
        ax.axvline(CLEAN, color="0.3", linestyle=":", linewidth=0.8, label="as noisy as the target")
    for row in rows:
        row[0].set_ylabel(label_of(SOURCE))
    fig.colorbar(mesh, ax=rows).set_label("weight of the source's mean loss\n(share of both, median over seeds)")
    legend(fig)
    return fig


EXPERIMENT = Experiment(
    "weights-field",
    "The best weight of a source grows with its rows and falls with its noise; none of five schemes follows both throughout.",
    setting,
    draw,
    along=(SOURCE, NOISE),
)
