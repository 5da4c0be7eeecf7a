"""How the optimum on rows comes to that of the population as rows grow: its direction like n^-1/2, what it costs like n^-1."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from mtlsim.core.arc_cosine import angle_between
from mtlsim.core.keys import check_key, stream
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import band_entry, legend
from mtlsim.plots.style import MARKERS, SERIES, figure
from mtlsim.samples.data import draw_rows
from mtlsim.solvers.network import Network
from mtlsim.solvers.relu_population import solve_relu_population
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.relu import ReluTasks
from mtlsim.training.network import Training, solve_network

ROWS, COSINE = "tasks.n_samples", "tasks.cosine"


class Convergence(eqx.Module):
    """A cell: angle (radians) between the units fitted to rows and to the population, and what the first costs more there, over
    the tasks' energies."""

    tasks: ReluTasks
    training: Training = Training(n_hops=4)

    def __call__(self, *, key):
        tasks = self.tasks.draw(key=check_key(key))
        network = Network(jnp.ones(2), jnp.zeros(2), "relu", "squared")
        found = solve_network(network, draw_rows(tasks, key=stream(key, "samples")), 1, self.training, stream(key, "solver"))
        best = solve_relu_population(tasks.covariances, tasks.parameters, tasks.energies())
        heads = tasks.best_heads(best.direction[:, None])
        risk = lambda shared, heads: sum(tasks.excess_risk(shared, heads[i], i) for i in range(2))
        cost = risk(found.shared, found.heads) - risk(best.direction[:, None], heads)
        angle = angle_between(found.shared[:, 0], best.direction)
        return {"angle": angle, "cost": cost / jnp.sum(tasks.energies()), "status": found.status}


def setting(options: Options) -> Setting:
    """10 isotropic features, as many rows of either task, noise 0.5; two angles below the critical one and one above, where the
    source's larger labels decide whom the unit serves."""
    tasks = ReluTasks(10, (40, 40), amplitude=(1.2, 1.0), noise=0.5, design=Isotropic())
    rows = [40, 160, 640] if options.fast else [40, 80, 160, 320, 640, 1280, 2560]
    return Setting(Convergence(tasks), {COSINE: [0.98, 0.6, -0.5], ROWS: rows}, 8 if options.fast else 40)


def draw(data):
    fig, (axes,) = figure(2, 3.9, 3.4)
    rows = data[ROWS].values.astype(float)
    named = {
        "angle": ("angle to the population's unit (radians)", -0.5, r"direction: $1/\sqrt{n}$"),
        "cost": ("what that costs, over the tasks' energy", -1.0, "cost: $1/n$"),
    }
    for ax, (name, (label, slope, title)) in zip(axes, named.items(), strict=True):
        for i, cosine in enumerate(data[COSINE].values):
            low, middle, high = np.percentile(data[name].sel({COSINE: cosine}).values, [25, 50, 75], axis=-1)
            ax.fill_between(rows, low, high, color=SERIES[i], alpha=0.2, linewidth=0)
            ax.plot(rows, middle, color=SERIES[i], marker=MARKERS[i], label=f"cosine {cosine:g}")
        ends = rows[[0, -1]]
        ax.plot(ends, middle[-1] * (ends / ends[1]) ** slope, color="black", linestyle=":", label="rate of theory")
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xticks(rows, [f"{n:g}" for n in rows])
        ax.xaxis.minorticks_off()
        ax.set_xlabel("rows n of each task")
        ax.set_ylabel(f"{label}\nmedian of the draws")
        ax.set_title(title)
    band_entry(axes[0], "middle half of the draws")
    legend(fig, "outside lower center", 4)
    return fig


EXPERIMENT = Experiment(
    "relu-convergence",
    "With more rows n of each task the fitted unit comes to that of the population like 1 / \N{SQUARE ROOT}n, and what it costs "
    "goes like 1 / n.",
    setting,
    draw,
    along=(ROWS,),
)
