"""What two tasks share over their angle: a ReLU unit leaves their middle beyond 85.4 degrees, a linear one never has to."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from mtlsim.cells.population import Population
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import legend
from mtlsim.plots.style import MARKERS, MODEL_COLOURS, figure
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.linear import LinearTasks
from mtlsim.tasks.relu import ReluTasks
from mtlsim.theory.statements.relu_critical_angle import CRITICAL

ANGLE, WEIGHT = "degrees", "weight"


class BothModels(eqx.Module):
    """A cell: shares of its energy that each task keeps, for ReLU and linear tasks at an angle; weight: energy of the source over
    the target's."""

    degrees: float = 60.0
    weight: float = 1.0

    def __call__(self, *, key):
        cosine, found = jnp.cos(jnp.radians(jnp.asarray(self.degrees, float))), {}
        for name, family, room in (("relu", ReluTasks, {"capacity": 1}), ("linear", LinearTasks, {})):
            tasks = family(n_features=3, n_samples=(1, 1), cosine=cosine, design=Isotropic(), relation="same", **room)
            draw = Population(tasks, weights=(self.weight, 1.0))(key=key)
            found[f"{name}_source"], found[f"{name}_target"] = draw.explained_source, draw.explained_target
            found[f"{name}_gap"] = draw.gap
        return found | {"status": draw.status}


def setting(options: Options) -> Setting:
    fork = 85, 85.3, 85.5, 85.7, 86, 87, 88, 89  # dense where the unit begins to move; at 90 degrees two linear optima tie
    degrees = np.unique([*np.linspace(0, 180, 19 if options.fast else 91), *fork, 90.5, 92, 95])
    return Setting(BothModels(), {WEIGHT: [1.0, 1.5], ANGLE: degrees.tolist()}, 1)


def draw(data):
    fig, (axes,) = figure(data.sizes[WEIGHT], 3.9, 3.3, sharey=True)
    angles = data[ANGLE].values
    marked = np.abs(angles[:, None] - np.arange(0, 181, 20)).argmin(0)
    for ax, weight in zip(axes, data[WEIGHT].values, strict=True):
        panel = data.sel({WEIGHT: weight}).isel(seed=0)
        for (model, name), marker in zip((("relu", "one ReLU unit"), ("linear", "one linear unit")), MARKERS, strict=False):
            shares = np.sort(np.stack([panel[f"{model}_source"].values, panel[f"{model}_target"].values]), 0)
            known = np.isfinite(shares).all(0)  # of two optima that tie the cell takes neither: the line runs through
            where = [i for i in np.cumsum(known)[marked] - 1 if i >= 0]
            for share, style, which in zip(shares[::-1], ("-", "--"), ("better", "worse"), strict=True):
                look = {"color": MODEL_COLOURS[model], "marker": marker, "markevery": sorted(set(where))}
                ax.plot(angles[known], share[known], style, label=f"{name}, {which} served task", **look)
        if weight == 1:
            ax.axvline(np.degrees(CRITICAL), color="black", linestyle=":", linewidth=1, label="critical angle, 85.4 degrees")
        ax.set_title("equal energies" if weight == 1 else f"source of {weight:g} times the energy")
        ax.set_xlabel("angle of the parameters (degrees)")
        ax.set_xticks(range(0, 181, 45))
    axes[0].set_ylabel("share of a task's energy that is kept\n(1 = as alone, higher is better)")
    legend(fig, n_columns=2)
    return fig


EXPERIMENT = Experiment(
    "relu-critical-angle",
    "Two equal ReLU tasks share one unit fairly up to 85.4 degrees; beyond, the unit moves towards one of them (at 90 degrees it "
    "keeps 88 % of one task and 27 % of the other, at 120 hardly any of the other). Equal linear tasks can always share.",
    setting,
    draw,
    along=(ANGLE,),
)
