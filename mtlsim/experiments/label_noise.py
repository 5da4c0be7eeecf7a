"""Gain of the target under every weighting scheme while the labels of one of four tasks get noisier.

With a fifth of the labels replaced by others, y keeps 0.8 of its slope and its variance: in second moments, more noise. `mgda`
loses where heads begin with opposite signs: their gradients in the shared direction cancel, which is all that it looks at.
"""

import numpy as np

from mtlsim.cells.weighting import Weighting
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.style import HELPS, HURTS, SERIES, figure
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.linear import LinearTasks
from mtlsim.training.weighted import WeightedTraining
from mtlsim.weighting import scheme_names

NOISE = "tasks.noise[0]"
CLEAN = 0.5
SHUFFLED = round(float(np.sqrt(CLEAN**2 + 1 - 0.8**2)) / 0.8, 3)  # a fifth of the labels random, over the slope 0.8 that is left
TITLES = {CLEAN: "as clean as the others", SHUFFLED: "20 % random labels"}


def setting(options: Options) -> Setting:
    """Four tasks on the same 60 rows of 20 features, cosine 0.9 with the target, one shared direction."""
    noise = (CLEAN,) * 4
    tasks = LinearTasks(20, (60,) * 4, cosine=0.9, noise=noise, design=Isotropic(), shared_covariates=True)
    grid = {"scheme": ["oracle", *dict.fromkeys(["equal", *scheme_names()])], NOISE: [CLEAN, SHUFFLED, 2.0, 4.0]}
    training = WeightedTraining(n_steps=500 if options.fast else 2000)
    return Setting(Weighting(tasks, training=training), grid, 20 if options.fast else 200)


def draw(data):
    noises = data[NOISE].values
    fig, (axes,) = figure(len(noises), 2.4, 0.25 * data.sizes["scheme"] + 1.3, sharey=True)
    mean = data["gain_mean"].mean(NOISE)
    others = [name for name in data["scheme"].values if name not in ("oracle", "equal")]
    names = ["oracle", "equal", *sorted(others, key=lambda name: -float(mean.sel(scheme=name)))]
    places = np.arange(len(names))
    for ax, noise in zip(axes, noises, strict=True):
        panel = data.sel({NOISE: noise, "scheme": names})
        gain, low, high = (panel[f"gain_{part}"].values for part in ("mean", "low", "high"))
        for i, (name, colour) in enumerate((("oracle", SERIES[2]), ("equal", "0.4"))):
            ax.axvline(gain[i], color=colour, linestyle="--" if name == "oracle" else ":", linewidth=1)
        colours = np.where(panel["gain_sign"].values > 0, HELPS, np.where(panel["gain_sign"].values < 0, HURTS, "0.5"))
        for place, *where, colour in zip(places, gain, low, high, colours, strict=True):
            ax.plot(where[1:], [place, place], color=colour, linewidth=1.2)
            ax.plot(where[0], place, marker="o", color=colour)
        ax.axvline(0, color="black", linewidth=0.8)
        ax.set_title(TITLES.get(noise, f"noise {noise:g}"))
        ax.set_yticks(places, names)
    axes[0].invert_yaxis()
    fig.supxlabel("transfer gain of the target: risk alone minus together (positive helps), with 95 % interval", fontsize="medium")
    return fig


EXPERIMENT = Experiment(
    "label-noise",
    "Weights that look at losses survive one task with noisy labels; Algorithm 2 as printed gives that task more weight.",
    setting,
    draw,
)
