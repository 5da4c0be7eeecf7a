"""What architectures that are not learned yet gain over the same ridge on each task, against how related the tasks are."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import finish_gain_axis, gain_curve
from mtlsim.plots.legends import legend
from mtlsim.plots.predictions import DASHES
from mtlsim.plots.style import SERIES, figure, series_of
from mtlsim.sharing.cross_stitch import CrossStitch
from mtlsim.sharing.gated_experts import GatedExperts
from mtlsim.sharing.sluice import Sluice
from mtlsim.solvers.mixed import Mixing
from mtlsim.theory.statements.critical_task_correlation import RelatedTasks, critical_correlation, measure

CORRELATION, ROWS, ARCHITECTURE = "correlation", "n_samples", "architecture"
ARCHITECTURES = {
    "cross-stitch .9 / .1": CrossStitch(0.9, False, 1.0),
    "sluice, half averaged": Sluice("private"),
    "experts, gate 0.5": GatedExperts(0.5),
    "experts, gate 0.8": GatedExperts(0.8),
}


def implied_correlation(name: str) -> Array:
    """The correlation of two tasks that an architecture's mixing stands for."""
    covariance = Mixing(*map(jnp.asarray, ARCHITECTURES[name].mixing(2))).task_covariance()
    return covariance[0, 1] / covariance[0, 0]


class ArchitectureGain(eqx.Module):
    """A cell: the gain of one architecture over ridge regression with the best ridge of a task alone, mean over two tasks.

    40 features, parameters of size one in each, noise one: n_samples is also the signal over the noise of an estimate.
    """

    correlation: Array | float = 0.5
    n_samples: Array | float = 1.0
    architecture: str = eqx.field(default="cross-stitch .9 / .1", static=True)

    def __call__(self, *, key):
        case = RelatedTasks(self.n_samples, self.correlation, implied_correlation(self.architecture), 1.0)
        return {**measure(case, key), "status": jnp.zeros((), jnp.int32)}


def setting(options: Options) -> Setting:
    values = np.linspace(-0.2, 1, 7 if options.fast else 25).round(6).tolist()
    grid = {ROWS: [1.0, 20.0], ARCHITECTURE: list(ARCHITECTURES), CORRELATION: values}
    return Setting(ArchitectureGain(), grid, 50 if options.fast else 400)


def draw(data):
    fig, (axes,) = figure(data.sizes[ROWS], 4.4, 3.7)
    for ax, n_samples in zip(axes, data[ROWS].values, strict=True):
        for name in map(str, data[ARCHITECTURE].values):
            i = series_of(ARCHITECTURES)[name]
            gain_curve(ax, data.sel({ROWS: n_samples, ARCHITECTURE: name}), CORRELATION, name, i)
            critical = float(critical_correlation(implied_correlation(name), n_samples, 1.0, 1.0))
            ax.axvline(critical, color=SERIES[i], linestyle=DASHES, linewidth=1)
        finish_gain_axis(ax, CORRELATION, data[CORRELATION].values, symlog=True, label=ax is axes[0])
        ax.set_xlabel("correlation of the tasks' parameters")
        ax.set_title(f"signal over noise {n_samples:g}", fontsize="medium")
    axes[0].plot([], [], color="black", linestyle=DASHES, linewidth=1, label="critical correlation")
    legend(fig)
    return fig


EXPERIMENT = Experiment(
    "critical-correlation",
    "An architecture whose mixing is not learned helps only tasks more related than a known correlation, which its start decides.",
    setting,
    draw,
    along=(CORRELATION,),
)
