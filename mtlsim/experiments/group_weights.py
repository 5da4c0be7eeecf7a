"""Three groups of one task beside a source that is off in one direction: what each gains over the weight of the source."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.cells.groups import Groups
from mtlsim.core.verdict import summarise
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import finish_gain_axis
from mtlsim.plots.legends import bar_entry, legend
from mtlsim.plots.predictions import DASHES
from mtlsim.plots.style import MARKERS, SERIES, figure
from mtlsim.tasks.covariance import Diagonal
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.statements.group_gain import predicted_risks

WEIGHT, SHIFT = "weight", "shift"
FEATURES, LEAST = 20, 0.05
NAMES = ("majority: varies little along the shift", "second: as much as elsewhere", "minority: strongly")


class ThreeGroups(eqx.Module):
    """A cell: 48, 18 and 12 rows of three groups, 200 of a source with the covariance of the first, noise one.

    All 20 features have variance one but the second: .04 in the source and the first group, 1 and 4 in the others. The source's
    parameters differ from the task's, which lie across it, by `shift` along it. weight: of the source's rows.
    """

    weight: Array | float = 1.0
    shift: Array | float = 1.0

    @property
    def groups(self) -> Groups:
        first, second = np.eye(2, FEATURES)
        parameters = first + jnp.asarray(self.shift, float) * jnp.asarray([1.0, 0, 0, 0])[:, None] * second
        designs = tuple(Diagonal(np.where(second > 0, variance, 1.0)) for variance in (0.04, 0.04, 1.0, 4.0))
        tasks = LinearTasks(FEATURES, (200, 48, 18, 12), design=designs, parameters=parameters)
        return Groups(tasks, weights=(self.weight, 1.0, 1.0, 1.0), n_groups=3)

    @property
    def dimensions(self) -> dict[str, tuple[str]]:
        return self.groups.dimensions

    def __call__(self, *, key):
        return self.groups(key=key)


@jax.jit
def gains_over(weights, shift):
    """Predicted gains of the groups (n, 3) over weights (n,) of the source."""

    def one(weight):
        single, multi = predicted_risks(ThreeGroups(weight, shift).groups, jax.random.key(0))
        return (single.risk - multi.risk)[1:]

    return jax.lax.map(one, weights)


def setting(options: Options) -> Setting:
    weights = np.geomspace(LEAST, 2, 5 if options.fast else 11).round(4).tolist()
    return Setting(ThreeGroups(), {SHIFT: [0.5, 1.0, 2.0], WEIGHT: weights}, 100 if options.fast else 1000)


def draw(data):
    shifts, xs = data[SHIFT].values, data[WEIGHT].values
    fig, (axes,) = figure(len(shifts), 2.9, 3.5, sharey=True)
    fine = np.geomspace(xs[0], xs[-1], 81)
    for ax, shift in zip(axes, shifts, strict=True):
        lines = np.asarray(gains_over(jnp.asarray(fine), float(shift)))
        for g, name in enumerate(NAMES):
            found = summarise(data["gain_by_group"].sel({SHIFT: shift}).transpose(WEIGHT, "seed", "group").values[..., g])
            bars = [found["mean"] - found["low"], found["high"] - found["mean"]]
            ax.errorbar(xs, found["mean"], bars, color=SERIES[g], marker=MARKERS[g], linestyle="none", markersize=4, label=name)
            ax.plot(fine, lines[:, g], color=SERIES[g], linestyle=DASHES)
            best = lines[:, g].argmax()
            look = {"color": SERIES[g], "marker": "*", "markersize": 11, "markeredgecolor": "black", "linestyle": "none"}
            ax.plot(fine[best], lines[best, g], zorder=5, **look)
        ax.set_xscale("log")
    for ax, shift in zip(axes, shifts, strict=True):
        finish_gain_axis(ax, WEIGHT, xs, label=ax is axes[0])
        ax.set(xlabel="weight of the source", title=f"source off by {shift:g}")
        ax.set_xticks([0.1, 0.3, 1], [".1", ".3", "1"])
        ax.minorticks_off()
    axes[0].plot([], [], color="black", linestyle=DASHES, label="predicted (many features)")
    axes[0].plot(
        [], [], color="white", marker="*", markersize=11, markeredgecolor="black", linestyle="none", label="its best weight"
    )
    bar_entry(axes[0])
    legend(fig, "outside lower center", 2)
    return fig


def title(data) -> str:
    """The best weights where the source is furthest off, as predicted."""
    fine, shift = np.geomspace(LEAST, 2, 81), float(data[SHIFT].values[-1])
    gains = np.asarray(gains_over(jnp.asarray(fine), shift))
    best = [f"{weight:.2g}" for weight in fine[gains.argmax(0)]]
    kept = gains[gains[:, 0].argmax(), -1] / gains[:, -1].max()
    return (
        f"No weight of a source serves three groups: where it is off by {shift:g}, {', '.join(best[:-1])} and {best[-1]} are best, "
        f"and at the first of them the minority keeps {100 * kept:.0f} % of what it could gain."
    )


EXPERIMENT = Experiment(
    "group-weights",
    "No weight of a source serves three groups of one task: the more a group varies where the source is off, the less is best.",
    setting,
    draw,
    along=(WEIGHT,),
    title=title,
)
