"""The same blocks in another order: where sharing them turns harmful as one task leaves the other's spectrum."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.cells.words import Words
from mtlsim.core.verdict import summarise
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import finish_gain_axis
from mtlsim.plots.legends import bar_entry, legend
from mtlsim.plots.predictions import DASHES
from mtlsim.plots.style import MARKERS, SERIES, figure

PART, NOISE = "part", "noise"
ROWS, OUTPUTS = 100.0, 3
BLOCKS = np.random.default_rng(2).normal(size=(3, OUTPUTS, OUTPUTS))


class LeavingTheSpectrum(eqx.Module):
    """A cell: T_1 = PQ and T_2 = (1 - part) QP + part R of three outputs, as the words PQ and QP; P, Q and R are fixed."""

    part: Array | float = 0.0
    noise: Array | float = 1.0

    @property
    def words(self) -> Words:
        first, second, other = BLOCKS
        similar = second @ first
        moved = similar + jnp.asarray(self.part, float) * (other - similar)
        return Words(jnp.stack([jnp.asarray(first @ second), moved]), ROWS, self.noise)

    def __call__(self, *, key):
        return self.words(key=key)


@jax.jit
def residuals(parts):
    """What the words lose however many rows there are."""

    def one(part):
        words = LeavingTheSpectrum(part).words
        return words.fit(words.maps, jax.random.key(0)).loss

    return jax.lax.map(one, parts)


def setting(options: Options) -> Setting:
    parts = np.linspace(0, 0.16, 5 if options.fast else 9).round(6).tolist()
    return Setting(LeavingTheSpectrum(), {NOISE: [0.5, 1.0, 1.5], PART: parts}, 100 if options.fast else 1000)


def draw(data):
    fig, ((ax,),) = figure(1, 4.8, 3.8)
    xs = data[PART].values
    fine = np.linspace(xs[0], xs[-1], 41)
    lost = np.asarray(residuals(jnp.asarray(fine)))
    for i, noise in enumerate(data[NOISE].values):
        found = summarise(data["gain"].sel({NOISE: noise}).values)
        bars = [found["mean"] - found["low"], found["high"] - found["mean"]]
        look = {"color": SERIES[i], "marker": MARKERS[i], "linestyle": "none"}
        ax.errorbar(xs, found["mean"], bars, label=f"label noise {noise:g}", **look)
        ax.plot(fine, OUTPUTS * noise**2 / ROWS - lost, color=SERIES[i], linestyle=DASHES)
    ax.plot(
        [],
        [],
        color="black",
        linestyle=DASHES,
        label="predicted where both are small: r parameters saved,\nless what order cannot say",
    )
    finish_gain_axis(ax, PART, xs)
    ax.set_xlabel("part of the second task that leaves the first one's spectrum")
    bar_entry(ax)
    legend(ax, "below", 1)
    return fig


EXPERIMENT = Experiment(
    "modular",
    "The same blocks in another order help two tasks of one spectrum, and hurt as soon as what order cannot say costs more than it "
    "saves.",
    setting,
    draw,
    along=(PART,),
)
