"""Two groups of one task beside a source of the majority's kind, off in one direction: errors, gap, and the gain of each group."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.cells.groups import GROUPS, Groups
from mtlsim.core.verdict import summarise
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import finish_gain_axis
from mtlsim.plots.legends import band_entry, bar_entry, legend
from mtlsim.plots.predictions import DASHES
from mtlsim.plots.style import MARKERS, SERIES, figure
from mtlsim.tasks.covariance import Diagonal
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.statements.group_gain import predicted_risks

SHIFT, LIES = "shift", "task_lies"
FEATURES, SECOND = 20, np.eye(20)[1]
PLACES = {"across the shift": np.eye(20)[0], "partly along it": (np.eye(20)[0] + SECOND) / 2**0.5}


class ShiftedSource(eqx.Module):
    """A cell: 48 rows of the majority and 12 of the minority, 200 of a source with the majority's covariance, noise one.

    All 20 features have variance one but the second: .04 in the majority and the source, 4 in the minority. The source's
    parameters differ from the task's by `shift` along it. weight: of the source's rows.
    """

    shift: Array | float = 0.0
    weight: Array | float = 1.0
    task_lies: str = eqx.field(default="across the shift", static=True)

    @property
    def groups(self) -> Groups:
        target = jnp.asarray(PLACES[self.task_lies])
        parameters = jnp.stack([target + jnp.asarray(self.shift, float) * SECOND, target, target])
        many, few = (Diagonal(np.where(SECOND > 0, variance, 1.0)) for variance in (0.04, 4.0))
        tasks = LinearTasks(FEATURES, (200, 48, 12), design=(many, many, few), parameters=parameters)
        return Groups(tasks, weights=(self.weight, 1.0, 1.0))

    def __call__(self, *, key):
        return self.groups(key=key)


@jax.jit
def risks_over(shifts, weights):
    """Predicted risks of both groups, alone (n, 2) and together (n, 2), over shifts and weights (n,) of the source."""

    def both(point):
        single, multi = predicted_risks(ShiftedSource(*point).groups, jax.random.key(0))
        return single.risk[-2:], multi.risk[-2:]

    return jax.lax.map(both, (shifts, weights))


def setting(options: Options) -> Setting:
    shifts = np.linspace(0, 4, 5 if options.fast else 13).round(6).tolist()
    return Setting(ShiftedSource(), {LIES: list(PLACES), SHIFT: shifts}, 200 if options.fast else 2000)


def draw(data):
    fig, (axes,) = figure(1 + data.sizes[LIES], 3.3, 3.5)
    xs = data[SHIFT].values
    for ax, place in zip(axes[:-1], data[LIES].values, strict=True):
        cells = data.sel({LIES: place})
        for i, (what, name) in enumerate({"mean error": "error", "gap between groups": "gap"}.items()):
            for side, line, how in (("single", "--", "alone"), ("multi", "-", "together")):
                found = summarise(cells[f"{name}_{side}"].values)
                ax.fill_between(xs, found["low"], found["high"], color=SERIES[i], alpha=0.2, linewidth=0)
                band_entry(ax)
                marker = MARKERS[i] if side == "multi" else None  # marks would hide the dashes in the legend
                ax.plot(xs, found["mean"], line, color=SERIES[i], marker=marker, label=f"{what}, {how}")
        ax.set(xlabel="shift of the source's parameters", ylim=(0, 0.24), title=f"the task lies {place}")
    axes[0].set_ylabel("share of rows (lower is better)")
    ax, cells = axes[-1], data.sel({LIES: data[LIES].values[0]})
    fine = np.linspace(xs[0], xs[-1], 60)
    single, multi = risks_over(jnp.asarray(fine), jnp.ones(60))
    for i, group in enumerate(GROUPS):
        found = summarise(cells[f"gain_{group}"].values)
        bars = np.stack([found["mean"] - found["low"], found["high"] - found["mean"]])
        look = {"color": SERIES[2 + i], "marker": MARKERS[2 + i], "linestyle": "none"}
        ax.errorbar(xs, found["mean"], bars, label=f"{group}, simulated", **look)
        ax.plot(
            fine, single[:, i] - multi[:, i], color=SERIES[2 + i], linestyle=DASHES, label=f"{group}, predicted (many features)"
        )
    finish_gain_axis(ax, SHIFT, xs)
    ax.set(xlabel="shift of the source's parameters", title="gain of each group")
    bar_entry(axes[-1])
    for ax in axes:
        legend(ax, "below", 1)
    return fig


EXPERIMENT = Experiment(
    "fairness-transfer",
    "A near source of the majority's kind halves the mean error; whether the gap grows depends on the task, and the minority loses "
    "first.",
    setting,
    draw,
    along=(SHIFT,),
)
