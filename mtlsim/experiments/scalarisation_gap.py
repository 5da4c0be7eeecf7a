"""What no weights reach: the worst loss of three tasks alike under two columns, where schemes stop and what theory says."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.core.extremes import largest_of
from mtlsim.core.keys import stream
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import bar_entry, legend
from mtlsim.plots.style import MARKERS, SERIES, figure
from mtlsim.theory.statements.scalarisation_gap import Alike, balanced_loss, weighted_loss
from mtlsim.training.weighted import WeightedTraining, train_weighted
from mtlsim.weighting import OneOf, Scheme, find_scheme

COSINE, SCHEME = "cosine", "scheme"
SCHEMES = ("equal", "dynamic-weight-average", "mgda", "nash-mtl", "smooth-chebyshev", "upgrad", "aligned-mtl", "imtl-g", "cagrad")


class WorstLoss(eqx.Module):
    """A cell: worst, the largest loss of three tasks (see `Alike`) after training under a scheme, over the energy of a task."""

    cosine: Array | float = 0.5
    scheme: str = eqx.field(default="equal", static=True)
    training: WeightedTraining = WeightedTraining(n_steps=2000, learning_rate=0.02)
    hyperparameters: Scheme | None = None

    def __call__(self, *, key):
        moments = Alike(self.cosine, jnp.full(3, 8.0)).draw(key=key)  # mean losses of one, on 8 rows
        scheme = self.hyperparameters or _scheme(self.scheme)
        found = train_weighted(moments, scheme, 2, self.training, stream(key, "training"))
        return {"worst": largest_of(found.losses), "status": found.status}

    def among(self, name: str, values: tuple) -> "WorstLoss":
        """As `Weighting.among`: all schemes of a sweep share a program."""
        if name != SCHEME or self.hyperparameters is not None:
            return self
        schemes = OneOf(tuple(map(_scheme, values)), values.index(self.scheme))
        return dataclasses.replace(self, scheme=values[0], hyperparameters=schemes)


def _scheme(name: str) -> Scheme:
    return find_scheme(name)(**({"smoothness": 0.01} if name == "smooth-chebyshev" else {}))


def setting(options: Options) -> Setting:
    cosines = np.linspace(-0.4, 0.9, 6 if options.fast else 14).round(6).tolist()
    training = WeightedTraining(n_steps=1000 if options.fast else 4000, learning_rate=0.02)
    return Setting(WorstLoss(training=training), {SCHEME: list(SCHEMES), COSINE: cosines}, 20 if options.fast else 100)


def draw(data):
    fig, ((ax,),) = figure(1, 7.4, 3.6)
    fine = np.linspace(float(data[COSINE].min()), float(data[COSINE].max()), 200)
    ax.plot(fine, jax.device_get(balanced_loss(fine)), color="black", label="any layer: the balanced point (theory)")
    ax.plot(fine, jax.device_get(weighted_loss(fine)), color="black", linestyle="--", label="best under any weights (theory)")
    ax.fill_between(fine, balanced_loss(fine), weighted_loss(fine), color="0.85", label="no weights lead here")
    shifts = np.linspace(-0.03, 0.03, data.sizes[SCHEME])
    for i, name in enumerate(data[SCHEME].values):
        worst = data["worst"].sel({SCHEME: name})
        low, middle, high = worst.quantile([0.1, 0.5, 0.9], "seed").values
        shape = MARKERS[(i + i // len(SERIES)) % len(MARKERS)]
        bars = {"color": SERIES[i % len(SERIES)], "marker": shape, "markersize": 4, "linestyle": "none", "elinewidth": 1}
        ax.errorbar(data[COSINE].values + shifts[i], middle, [middle - low, high - middle], label=name, **bars)
    ax.set(xlabel="cosine between any two tasks", ylabel="worst loss of the three, over a task's\nenergy (lower is better)")
    bar_entry(ax, "marks: medians of where training\nstops; bars: all but a tenth of the\nstarts at either end")
    legend(fig, "outside right lower", 1)
    return fig


EXPERIMENT = Experiment(
    "scalarisation-gap",
    "No weights reach the balanced point of three tasks alike; to descend the worst loss does, other optimisers seldom.",
    setting,
    draw,
    along=(COSINE,),
)
