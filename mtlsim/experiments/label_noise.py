"""Gain of the target under every weighting scheme while the labels of one of four tasks get noisier.

With a fifth of the labels replaced by others, y keeps 0.8 of its slope and its variance: in second moments, more noise. `mgda`
loses where heads begin with opposite signs: their gradients in the shared direction cancel, which is all that it looks at.
"""

import numpy as np

from mtlsim.cells.weighting import Weighting
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import FURNITURE, bar_entry, legend
from mtlsim.plots.style import HELPS, HURTS, SERIES, UNDECIDED, figure, symmetric_ticks
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.linear import LinearTasks
from mtlsim.training.weighted import WeightedTraining
from mtlsim.weighting import scheme_names

NOISE = "tasks.noise[0]"
CLEAN = 0.5
SHUFFLED = round(float(np.sqrt(CLEAN**2 + 1 - 0.8**2)) / 0.8, 3)  # a fifth of the labels random, over the slope 0.8 that is left
WORDS = {"oracle": "the best", "equal": "equal"}
SIGNS = {"helps": (1, HELPS), "undecided": (0, UNDECIDED), "hurts": (-1, HURTS)}
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
    count = data.sizes["scheme"]
    fig, (axes,) = figure(len(noises), 2.4, 0.2 * count + 1.5, least=0.13 * count + 0.8, sharex=True, sharey=True)
    mean = data["gain_mean"].mean(NOISE)
    others = [name for name in data["scheme"].values if name not in ("oracle", "equal")]
    names = ["oracle", "equal", *sorted(others, key=lambda name: -float(mean.sel(scheme=name)))]
    places = np.arange(len(names))
    for ax, noise in zip(axes, noises, strict=True):
        panel = data.sel({NOISE: noise, "scheme": names})
        gain, low, high, sign = (panel[f"gain_{part}"].values for part in ("mean", "low", "high", "sign"))
        for i, (name, colour) in enumerate((("oracle", SERIES[2]), ("equal", "0.4"))):
            line = "--" if name == "oracle" else ":"
            ax.axvline(gain[i], color=colour, linestyle=line, linewidth=1, label=f"{WORDS[name]} weights")
        for word, (which, colour) in SIGNS.items():
            bars = [(gain - low)[sign == which], (high - gain)[sign == which]]
            look = {"color": colour, "marker": "o", "markersize": 3.5, "linestyle": "none", "elinewidth": 1.2}
            ax.errorbar(gain[sign == which], places[sign == which], xerr=bars, **look)
            ax.plot([], [], color=colour, marker="o", linestyle="none", label=word)
        ax.axvline(0, color="black", linewidth=0.8, gid=FURNITURE)
        ax.set_title(TITLES.get(noise, f"noise {noise:g}"))
        ax.set_yticks(places, names)
    # what the best weights gain is seen beside what the worst ones lose
    linear = 0.5 * float(np.abs(data["gain_mean"].sel(scheme="oracle")).max())
    reach = 1.2 * float(np.abs(data[["gain_low", "gain_high"]].to_array()).max())
    for ax in axes:
        ax.set_xscale("symlog", linthresh=linear, linscale=0.6)
        ax.set_xlim(-reach, max(4 * linear, 1.2 * float(data["gain_high"].max())))
        ticks = [tick for tick in symmetric_ticks(reach, max(reach / linear, 20.0)) if -reach < tick < ax.get_xlim()[1]]
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.set_xlabel("transfer gain (positive helps)")
        ax.minorticks_off()
    axes[0].invert_yaxis()
    bar_entry(axes[0])
    legend(fig, n_columns=6)
    return fig


EXPERIMENT = Experiment(
    "label-noise",
    "Weights that fall with a task's loss or noise survive one task with noisy labels; most others, and Algorithm 2 as printed, "
    "are hurt.",
    setting,
    draw,
    whole=("scheme",),
)
