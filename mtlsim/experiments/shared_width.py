"""How wide a shared layer should be: total risk over its width is a U only where the tasks' modes decay past the noise."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.core import linalg
from mtlsim.core.keys import check_key, normal, stream
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import bar_entry, legend
from mtlsim.plots.style import MARKERS, SERIES, figure

WIDTH, MODES = "width", "modes"
TASKS, FEATURES, ROWS = 8, 30, 60.0
KINDS = {  # singular values of the tasks' parameters
    "decaying": (3.0, 2.0, 1.2, 0.9, 0.6, 0.4, 0.2, 0.1),
    "all strong": (2.0,) * 8,
    "three of eight": (3.0, 2.0, 1.2, 0.0, 0.0, 0.0, 0.0, 0.0),
}


class ModesKept(eqx.Module):
    """A cell: eight tasks on 60 common orthonormal rows of 30 features, X'X = n I, noise one, whose parameters have these singular
    values, under a shared layer of `width` columns: the strongest directions of their least squares. risk: of all together.
    """

    width: Array | float = 4.0
    modes: str = eqx.field(default="decaying", static=True)

    def __call__(self, *, key):
        parameters = jnp.eye(FEATURES, TASKS) * jnp.asarray(KINDS[self.modes])
        seen = parameters + normal(stream(check_key(key), "noise"), (FEATURES, TASKS)) / np.sqrt(ROWS)
        _, right = jnp.linalg.eigh(linalg.multiply(seen.T, seen))
        kept = jnp.where(jnp.arange(TASKS) >= TASKS - self.width, right, 0)
        fitted = linalg.multiply(seen, kept, kept.T)
        return {"risk": jnp.sum((fitted - parameters) ** 2), "alone": jnp.sum((seen - parameters) ** 2)}


def expected_risk(width, values, n_features=FEATURES, n_samples=ROWS):
    """sum_{j > r} s_j^2 + r (d + K - r) / n: the modes that are left out, and the variance of a matrix of rank r."""
    squares, count = np.asarray(values) ** 2, len(values)
    left = np.where(np.arange(count) >= width, squares, 0).sum()
    return left + width * (n_features + count - width) / n_samples


def setting(options: Options) -> Setting:
    widths = [1.0, 3.0, 5.0, 8.0] if options.fast else np.arange(1.0, 9.0).tolist()
    return Setting(ModesKept(), {MODES: list(KINDS), WIDTH: widths}, 200 if options.fast else 3000)


def draw(data):
    fig, ((ax,),) = figure(1, 5.0, 3.8)
    widths, count = data[WIDTH].values, data.sizes["seed"]
    fine = np.arange(1, TASKS + 1)
    for i, kind in enumerate(data[MODES].values):
        risk = data["risk"].sel({MODES: kind})
        bars = {"color": SERIES[i], "marker": MARKERS[i], "linestyle": "none", "markersize": 4, "label": f"modes: {kind}"}
        ax.errorbar(widths, risk.mean("seed"), 1.96 * risk.std("seed") / np.sqrt(count), **bars)
        law = [expected_risk(r, KINDS[str(kind)]) for r in fine]
        ax.plot(fine, law, color=SERIES[i], linestyle="--", linewidth=1)
    ax.axhline(float(data["alone"].mean()), color="0.5", linewidth=0.8, label="every task alone")
    ax.plot([], [], color="black", linestyle="--", linewidth=1, label="theory, modes above the noise")
    ax.set(yscale="log", xlabel="columns of the shared layer (eight tasks)", ylabel="excess risk of all tasks\n(lower is better)")
    ax.set_yticks([3, 5, 10, 20], ["3", "5", "10", "20"])
    ax.yaxis.minorticks_off()
    bar_entry(ax)
    legend(fig, "outside lower center", 2)
    return fig


EXPERIMENT = Experiment(
    "shared-width",
    "Too narrow a shared layer loses and one as wide as there are tasks gains nothing; between them is a U only if modes decay.",
    setting,
    draw,
    along=(WIDTH,),
    whole=(MODES,),
)
