"""What every architecture gains along its training: what sharing gives, and what stopping early gives."""

import equinox as eqx
import numpy as np
from jaxtyping import Array

from mtlsim.cells.training_curve import TrainingCurve
from mtlsim.core.verdict import half_width
from mtlsim.core.words import counted, verb
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import band_entry, legend
from mtlsim.plots.predictions import DASHES
from mtlsim.plots.style import SERIES, figure, series_of
from mtlsim.sharing.attention import MultiTaskAttention
from mtlsim.sharing.cross_stitch import CrossStitch
from mtlsim.sharing.gated_experts import GatedExperts
from mtlsim.sharing.hard import Hard
from mtlsim.sharing.mixture_of_experts import MixtureOfExperts
from mtlsim.sharing.pooled import Pooled
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.linear import LinearTasks
from mtlsim.tasks.relu import ReluTasks
from mtlsim.training.weighted import WeightedTraining

COSINE, ARCHITECTURE = "cosine", "architecture"
MODELS = ("linear", "relu")
ROWS, RATE, TIME = (100, 30), 0.03, 300.0
ALONE = "alone"
SMALL = 0.05  # of the risk
ARCHITECTURES = {  # the architecture and the weights of both tasks
    ALONE: (Hard(), (0.0, 2.0)),
    "hard": (Hard(), None),
    "cross-stitch, learned": (CrossStitch(), None),
    "cross-stitch, held": (CrossStitch(learned=False), None),
    "experts, gate 0.5": (GatedExperts(decay=0.0), None),
    "pooled": (Pooled(), None),
    "experts, gates see x": (MixtureOfExperts(1, 1), None),
    "masks": (MultiTaskAttention(), None),
}
BENDING = (ALONE, "hard", "cross-stitch, learned", "experts, gates see x", "masks")


class SharingPath(eqx.Module):
    """A cell: the target's risk along the training of one architecture, with 100 source and 30 target rows.

    Linear tasks have 20 features, noise 1 and one column; ReLU tasks 10 features, noise 0.5 and two units.
    """

    cosine: Array | float = 0.8
    architecture: str = eqx.field(default="hard", static=True)
    model: str = eqx.field(default="linear", static=True)
    n_points: int = eqx.field(default=100, static=True)

    @property
    def curve(self) -> TrainingCurve:
        sharing, weights = ARCHITECTURES[self.architecture]
        recipe, d, noise, rank = (LinearTasks, 20, 1.0, 1) if self.model == "linear" else (ReluTasks, 10, 0.5, 2)
        tasks = recipe(d, ROWS, cosine=self.cosine, noise=noise, design=Isotropic(), relation="same")
        training = WeightedTraining("sgd", round(TIME / RATE), RATE, decay=False)
        return TrainingCurve(tasks, rank, -1, training, n_points=self.n_points, sharing=sharing, weights=weights)

    @property
    def dimensions(self):
        return self.curve.dimensions

    def __call__(self, *, key):
        return self.curve(key=key)


def setting(options: Options) -> Setting:
    names = list(ARCHITECTURES) if options.model == "linear" else list(BENDING)
    cell = SharingPath(model=options.model, n_points=100 if options.fast else 200)
    return Setting(cell, {ARCHITECTURE: names, COSINE: [1.0, 0.8, 0.3]}, 20 if options.fast else 100)


def draw(data):
    """Gain over the end of training alone, paired by seed."""
    fig, axes = figure(data.sizes[COSINE], 3.2, 3.3, sharey=True)
    time, end = RATE * data["steps"].values.reshape(-1, data.sizes["point"])[0], data["risk"].sel({ARCHITECTURE: ALONE})[..., -1]
    for ax, cosine in zip(axes[0], data[COSINE].values, strict=True):
        colours = series_of([name for name in data[ARCHITECTURE].values if name != ALONE])
        for name in data[ARCHITECTURE].values:
            i = colours.get(str(name), 0)
            gains = (end - data["risk"].sel({ARCHITECTURE: name})).sel({COSINE: cosine}).transpose("seed", "point").values
            mean, half = gains.mean(0), half_width(gains.std(0, ddof=1) / np.sqrt(len(gains)), len(gains))
            line = {"color": SERIES[i % len(SERIES)], "linestyle": "-" if i < len(SERIES) else "-."}
            line = {"color": "black", "linestyle": DASHES} if name == ALONE else line
            ax.fill_between(time, mean - half, mean + half, color=line["color"], alpha=0.22, linewidth=0)
            ax.plot(time, mean, label=name, **line)
        ax.axhline(0, color="0.5", linewidth=0.8)
        ax.set_xscale("log")
        ax.set_title(f"cosine {cosine:g}")
        ax.set_xlabel("time (learning rate times steps)")
    axes[0][0].set_ylabel("gain over the end of training alone\n(risk; positive helps)")
    band_entry(axes[0][0])
    legend(fig, "outside lower center", 3)
    return fig


def found(data) -> str:
    """How many of the architectures that are drawn are best before the end of training, and end where every task alone does."""
    risks = data["risk"].mean("seed").transpose(ARCHITECTURE, COSINE, "point")
    alone = risks.sel({ARCHITECTURE: ALONE})[..., -1].values
    gains = 1 - risks.values / alone[:, None]
    names = [str(name) for name in data[ARCHITECTURE].values]
    shared = np.array([i for i, name in enumerate(names) if name != ALONE])
    early = (gains.max(-1) - gains[..., -1] > SMALL).all(1)[shared].sum()
    back = (np.abs(gains[..., -1]) < SMALL).all(1)[shared].sum()
    units = "ReLU" if data.attrs.get("model") == "relu" else "linear"
    return (
        f"With {units} units {early} of {counted(len(shared), 'architecture')} {verb(early, 'is')} best before training ends, "
        f"and {back or 'none'} {verb(back or 2, 'ends')} where every task alone ends (to {SMALL:.0%} of the risk, at every cosine)."
    )


EXPERIMENT = Experiment(
    "sharing-paths",
    "With linear units, stitches and columns of their own end where every task alone ends: they gain by stopping early.",
    setting,
    draw,
    models=MODELS,
    whole=(ARCHITECTURE,),
    title=found,
)
