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
from mtlsim.plots.legends import bar_entry, legend, open_entry
from mtlsim.plots.style import MARKERS, SERIES, figure
from mtlsim.solvers.pareto import ParetoFront, pareto_front
from mtlsim.theory.statements.scalarisation_gap import Alike, balanced_loss, weighted_loss
from mtlsim.training.weighted import WeightedTraining, train_weighted
from mtlsim.weighting import OneOf, Scheme, find_scheme

COSINE, SCHEME = "cosine", "scheme"
ENERGY = 8.0  # of a task, so that losses without any layer are one on 8 rows
N_MIXES = 6000  # of the front
ON_FRONT = 0.02  # losses that all can be lowered by less than this
SCHEMES = ("equal", "dynamic-weight-average", "mgda", "nash-mtl", "smooth-chebyshev", "upgrad", "aligned-mtl", "imtl-g", "cagrad")


class WorstLoss(eqx.Module):
    """A cell: losses of three tasks (see `Alike`) after training under a scheme, and the worst, over the energy of a task."""

    cosine: Array | float = 0.5
    scheme: str = eqx.field(default="equal", static=True)
    training: WeightedTraining = WeightedTraining(n_steps=2000, learning_rate=0.02)
    hyperparameters: Scheme | None = None

    def __call__(self, *, key):
        moments = Alike(self.cosine, jnp.full(3, ENERGY)).draw(key=key)
        scheme = self.hyperparameters or _scheme(self.scheme)
        found = train_weighted(moments, scheme, 2, self.training, stream(key, "training"))
        return {"worst": largest_of(found.losses), "losses": found.losses, "status": found.status}

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
    return Setting(WorstLoss(training=training), {SCHEME: list(SCHEMES), COSINE: cosines}, 20 if options.fast else 40)


def draw(data):
    fig, ((ax, beside),) = figure(2, 7.4, 3.9)
    fine = np.linspace(float(data[COSINE].min()), float(data[COSINE].max()), 200)
    ax.plot(fine, jax.device_get(balanced_loss(fine)), color="black", label="any layer: the balanced point (theory)")
    ax.plot(fine, jax.device_get(weighted_loss(fine)), color="black", linestyle="--", label="best under any weights (theory)")
    ax.fill_between(fine, balanced_loss(fine), weighted_loss(fine), color="0.85", label="no weights lead here")
    shifts = np.linspace(-0.03, 0.03, data.sizes[SCHEME])
    cosine = float(data[COSINE].sel({COSINE: 0.5}, method="nearest"))
    front = _draw_front(beside, cosine)
    for i, name in enumerate(data[SCHEME].values):
        worst = data["worst"].sel({SCHEME: name})
        low, middle, high = worst.quantile([0.1, 0.5, 0.9], "seed").values
        shape = MARKERS[(i + i // len(SERIES)) % len(MARKERS)]
        look = {"color": SERIES[i % len(SERIES)], "marker": shape, "markersize": 4, "linestyle": "none"}
        ax.errorbar(data[COSINE].values + shifts[i], middle, [middle - low, high - middle], label=name, elinewidth=1, **look)
        stops = data["losses"].sel({SCHEME: name, COSINE: cosine}).values
        behind = front.behind(stops) > ON_FRONT
        beside.plot(*_in_triangle(stops[~behind]), **look)
        beside.plot(*_in_triangle(stops[behind]), markerfacecolor="white", **look)
    ax.set(xlabel="cosine between any two tasks", ylabel="worst loss of the three, over a task's\nenergy (lower is better)")
    bar_entry(ax, "marks: medians of where training\nstops; bars: all but a tenth of the\nstarts at either end")
    open_entry(beside, f"open: all three losses can be\nlowered by {ON_FRONT:g} or more at once")
    legend(fig, "outside right lower", 1)
    return fig


def _draw_front(ax, cosine: float) -> ParetoFront:
    """The surface of three losses that no layer of two columns beats in all, seen from the origin: shares of their sum."""
    moments = Alike(cosine, jnp.full(3, ENERGY)).draw(key=jax.random.key(0))
    front = pareto_front(moments, N_MIXES, rank=2)
    for reachable, colour, label in ((True, "0.6", "weighted optima"), (False, "0.85", "no weights lead here")):
        ax.plot(*_in_triangle(front.losses[front.reachable == reachable]), ".", color=colour, markersize=2, label=label, zorder=0)
    corners = _in_triangle(np.concatenate([np.eye(3), np.eye(3)[:1]]))
    ax.plot(*corners, color="black", linewidth=0.8)
    for k, (x, y) in enumerate(np.transpose(corners)[:3]):
        side = {"ha": ("right", "left", "center")[k], "va": ("top", "top", "bottom")[k]}
        ax.annotate(
            f"all loss with task {k + 1}", (x, y), (0, (-3, -3, 3)[k]), textcoords="offset points", fontsize="small", **side
        )
    ax.set(title=f"where training stops, cosine {cosine:.2g}", aspect="equal")
    ax.axis("off")
    return front


def _in_triangle(losses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where shares of the sum lie in a triangle whose corners are the tasks."""
    shares = losses / losses.sum(1, keepdims=True)
    return shares[:, 1] + shares[:, 2] / 2, shares[:, 2] * np.sqrt(0.75)


EXPERIMENT = Experiment(
    "scalarisation-gap",
    "No weights reach the balanced point of three tasks alike; to descend the worst loss does, other optimisers seldom.",
    setting,
    draw,
    along=(COSINE,),
)
