"""Which architecture is best where: least risk of the target, over cosine and source rows, for little and much noise."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from scipy import stats

from mtlsim import theory
from mtlsim.cells.transfer import Transfer
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.choices import choice_legend, choice_panel, colours_of
from mtlsim.plots.legends import entry, legend
from mtlsim.plots.predictions import DASHES, legend_handle
from mtlsim.plots.style import figure
from mtlsim.sharing.adapters import Adapters
from mtlsim.sharing.cross_stitch import CrossStitch
from mtlsim.sharing.gated_experts import GatedExperts
from mtlsim.sharing.hard import Hard
from mtlsim.sharing.pooled import Pooled
from mtlsim.sweeps.predict import predict
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.linear import LinearTasks

NOISE, SOURCE, COSINE, ARCHITECTURE = "noise", "source_rows", "cosine", "architecture"
FEATURES, TARGET_ROWS = 10, 25
ARCHITECTURES = {  # of a decay: the best one of a task alone, noise^2 d / |theta|^2
    "alone, least squares": lambda decay: None,
    "alone, ridge": lambda decay: CrossStitch(1.0, False, decay),
    "cross-stitch .9 / .1": lambda decay: CrossStitch(0.9, False, decay),
    "experts, gate 0.5": lambda decay: GatedExperts(0.5, decay=decay),
    "adapters": lambda decay: Adapters(decay),
    "hard": lambda decay: Hard(),
    "pooled": lambda decay: Pooled(),
}
LEVEL = 0.05  # of all comparisons of one cell together


class BestArchitecture(eqx.Module):
    """A cell: gain of one architecture over least squares on the target, 25 rows, 10 isotropic features, parameters of length 1."""

    noise: Array | float = 0.5
    source_rows: Array | float = 100.0
    cosine: Array | float = 0.9
    architecture: str = eqx.field(default="pooled", static=True)

    @property
    def tasks(self) -> LinearTasks:
        rows = (self.source_rows, TARGET_ROWS)
        return LinearTasks(FEATURES, rows, cosine=self.cosine, noise=self.noise, design=Isotropic(), relation="same")

    def __call__(self, *, key):
        sharing = ARCHITECTURES[self.architecture](jnp.asarray(self.noise) ** 2 * FEATURES)
        draw = Transfer(self.tasks, sharing=sharing or "pooled")(key=key)
        risk = draw.risk_single if sharing is None else draw.risk_multi
        status = jnp.zeros_like(draw.status) if sharing is None else draw.status
        return {"gain": draw.risk_single - risk, "risk_single": draw.risk_single, "risk_multi": risk, "status": status}


def setting(options: Options) -> Setting:
    n = 5 if options.fast else 12
    sources = np.unique(np.geomspace(5, 1000, n).round()).tolist()
    grid = {NOISE: [0.3, 1.0], ARCHITECTURE: list(ARCHITECTURES), SOURCE: sources, COSINE: np.linspace(-1, 1, n).round(6).tolist()}
    return Setting(BestArchitecture(), grid, 20 if options.fast else 200)


def best_of(risks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of risks (architectures, ..., seeds), paired by seed: the index of the least mean, and whether it is less than each other."""
    best = risks.mean(-1).argmin(0)
    own = np.take_along_axis(risks, best[None, ..., None], 0)
    lead = risks - own
    mean, error = lead.mean(-1), lead.std(-1, ddof=1) / np.sqrt(risks.shape[-1])
    limit = stats.t.ppf(1 - LEVEL / (len(risks) - 1), risks.shape[-1] - 1)
    ahead = (mean > limit * error) | (np.arange(len(risks)).reshape(-1, *[1] * best.ndim) == best)
    return best, ahead.all(0)


def draw(data):
    fig, (axes,) = figure(data.sizes[NOISE], 3.6, 4.2, sharey=True)
    colours, xs, ys = colours_of(list(ARCHITECTURES), n_grey=2), data[SOURCE].values, data[COSINE].values
    rows, cosines = np.unique(np.geomspace(xs[0], xs[-1], 40).round()), np.linspace(-1, 1, 41)
    for ax, noise in zip(axes, data[NOISE].values, strict=True):
        risks = data["risk_multi"].sel({NOISE: noise}).transpose(ARCHITECTURE, COSINE, SOURCE, "seed").values
        choice_panel(ax, xs, ys, *best_of(risks), colours)
        cell = Transfer(BestArchitecture(noise=float(noise)).tasks, sharing="pooled")
        exact = predict(theory.pooled_least_squares(cell), {"tasks.cosine": cosines, "tasks.n_samples[0]": rows}, 1)
        ax.contour(rows, cosines, exact["gain"].values, levels=[0.0], colors="black", linestyles=[DASHES])
        ax.set_ylim(-1, 1)
        ax.set_xlabel("source rows")
        ax.set_title(f"noise {noise:g}")
    axes[0].set_ylabel("cosine of the tasks' parameters")
    for handle in (*choice_legend(list(ARCHITECTURES), colours), legend_handle("pooled as good as alone, exactly")):
        entry(axes[0], handle)
    legend(fig)
    return fig


EXPERIMENT = Experiment(
    "sharing-map",
    "No architecture is best everywhere: which one is, cosine, rows and noise decide, and a ridge alone wins much of the map.",
    setting,
    draw,
    along=(SOURCE, COSINE),
    whole=(ARCHITECTURE,),
)
