"""A target without a row against its own rows: how many the descriptor is worth, over where it lies and how much it leaves out."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.cells.zero_shot import ZeroShot, worth_in_rows
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import renew
from mtlsim.plots.maps import transfer_map
from mtlsim.plots.predictions import DASHES

PLACE, OWN, MISFIT = "place", "n_own", "misfit"
PLACES = (-1.0, -0.5, 0.0, 0.5, 1.0)


class OnALine(eqx.Module):
    """A cell: five sources with descriptors (1, z), z from -1 to 1, and a target (1, place); 20 features, 40 orthonormal rows."""

    place: Array | float = 0.0
    n_own: Array | float = 60.0
    misfit: Array | float = 0.0

    @property
    def zero_shot(self) -> ZeroShot:
        descriptors = jnp.stack([jnp.ones(len(PLACES)), jnp.asarray(PLACES)], 1)
        target = jnp.stack([jnp.ones(()), jnp.asarray(self.place, float)])
        return ZeroShot(descriptors, target, 40.0, self.n_own, 1.0, self.misfit)

    def __call__(self, *, key):
        return self.zero_shot(key=key)


def setting(options: Options) -> Setting:
    places = np.linspace(0, 4, 5 if options.fast else 13).round(6).tolist()
    own = np.unique(np.geomspace(10, 400, 5 if options.fast else 13).round()).tolist()
    return Setting(OnALine(), {MISFIT: [0.0, 0.3, 0.6], PLACE: places, OWN: own}, 100 if options.fast else 500)


def draw(data):
    fig = transfer_map(data, PLACE, OWN, MISFIT)
    fine = np.linspace(0, 4, 100)
    for ax, misfit in zip(fig.axes, data[MISFIT].values, strict=False):
        worth = [float(worth_in_rows(OnALine(place, 1.0, float(misfit)).zero_shot)) for place in fine]
        ax.plot(fine, worth, color="black", linestyle=DASHES, label="as good as that many own rows (theory)")
        ax.axvline(1, color="0.4", linewidth=0.8, linestyle=":", label="the sources end here")
        ax.set(xlabel="place of the target (sources: -1 to 1)", title=f"left out by the descriptor: {misfit:g}")
    fig.axes[0].set_ylabel("own rows of the target, when alone")
    renew(fig)
    return fig


EXPERIMENT = Experiment(
    "zero-shot",
    "A target without a row beats its own rows up to a number that falls as its descriptor leaves the sources', and with what it "
    "leaves out.",
    setting,
    draw,
    along=(PLACE, OWN),
)
