"""Two sources with the same decision boundary and different data: one hurts the target, the other helps [wu2020understanding].

The geometry was found by a search over 192 settings (orientation of the target 0 to 165 degrees by 15, angle of the boundaries
8, 15, 25, condition number 9, 49, source rows 40, 200, target rows 12, 30) for the most certain pair of opposite signs, first
with 24 seeds and then, for the best 40, with 200 others. The figure's seeds are new ones.
"""

import jax
import numpy as np

from mtlsim.cells.network import fit_networks
from mtlsim.cells.transfer import Transfer
from mtlsim.core.words import counted
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import tint_gains
from mtlsim.plots.legends import bar_entry, legend
from mtlsim.plots.style import HELPS, HURTS, SERIES, UNDECIDED, figure
from mtlsim.results.grid import at_point
from mtlsim.tasks.classification import ClassificationTasks
from mtlsim.tasks.covariance import Spiked
from mtlsim.training.network import Training

RELATION = "tasks.relation"
SOURCES = {"same": "source A: spread as the target", "disjoint": "source B: spread the other way"}


def cell() -> Transfer:
    """A target of 30 rows at 75 degrees, sources of 200 rows at 83, a tenth of the labels wrong, condition number 9."""
    angles = np.radians([83.0, 75.0])
    directions = np.stack([np.cos(angles), np.sin(angles)], 1)
    design = Spiked(9.0, fraction=0.5)
    tasks = ClassificationTasks(2, (200, 30), parameters=directions, flip=0.1, design=design, relation="same")
    return Transfer(tasks, training=Training(n_steps=10))


VERDICTS = {1: ("the source helps", HELPS), 0: ("undecided", UNDECIDED), -1: ("it hurts", HURTS)}


def setting(options: Options) -> Setting:
    return Setting(cell(), {RELATION: list(SOURCES)}, 500 if options.fast else 2000)


def draw(data):
    fig, (axes,) = figure(3, 3.3, 4.1, width_ratios=(1, 1, 0.8))
    gains = data["gain"].values
    off = np.abs(gains - gains.mean(1, keepdims=True)) / gains.std(1, keepdims=True)
    typical = int(np.argmin(off.max(0)))  # the seed whose gains are nearest to the means
    for ax, relation, title in zip(axes, SOURCES, SOURCES.values(), strict=False):
        _planes(ax, at_point(cell(), {RELATION: relation}), jax.random.fold_in(jax.random.key(0), typical))
        ax.set_title(title)
    for i, relation in enumerate(SOURCES):  # paired: both learners see the same rows of the target
        mean, low, high, sign = (float(data[f"gain_{part}"].sel({RELATION: relation})) for part in ("mean", "low", "high", "sign"))
        axes[2].errorbar(i, mean, [[mean - low], [high - mean]], fmt="o", color=VERDICTS[sign][1], capsize=4)
    for sign, (word, colour) in VERDICTS.items():
        if (data["gain_sign"] == sign).any():
            axes[2].plot([], [], color=colour, marker="o", linestyle="none", label=word)
    tint_gains(axes[2])
    axes[2].set_xticks(range(2), ["source A", "source B"])
    axes[2].set_xlim(-0.5, 1.5)
    axes[2].set_ylabel("wrong decisions on the target (share),\nalone minus together (positive helps)")
    axes[2].set_title(f"paired difference, {counted(data.sizes['seed'], 'draw')}")
    bar_entry(axes[2])
    legend(fig)
    return fig


@jax.jit
def _fit(cell: Transfer, key):
    return fit_networks(cell.tasks.draw(key=key), cell, key)


def _planes(ax, cell: Transfer, key) -> None:
    """Rows of both tasks in one draw, and the target's boundaries: true, learned alone, learned together."""
    tasks = cell.tasks.draw(key=key)
    rows, single, multi = _fit(cell, key)
    for task, size, colour, name in ((0, 9, "0.65", "source"), (1, 42, "black", "target")):
        X, y = np.asarray(rows.X[task])[np.asarray(rows.used[task])], np.asarray(rows.y[task])[np.asarray(rows.used[task])]
        for side, marker in ((1, "o"), (-1, "x")):
            label = f"{name}, label {side:+d}"
            ax.scatter(*X[y == side].T, s=size, marker=marker, color=colour, linewidths=1.1, label=label, zorder=1 + task)
    reach = 7.0
    learned = (
        ("true boundary of the target", tasks.parameters[1], "black", "-"),
        ("learned alone", single.shared @ single.heads[0], SERIES[1], "--"),
        ("learned with the source", multi.shared @ multi.heads[1], SERIES[0], "-."),
    )
    for name, direction, colour, style in learned:
        along = np.array([-direction[1], direction[0]]) / np.linalg.norm(direction)
        ax.plot(*np.outer(along, [-2 * reach, 2 * reach]), linestyle=style, color=colour, linewidth=1.8, label=name, zorder=3)
    ax.set_xlim(-reach, reach)
    ax.set_ylim(-reach, reach)
    ax.set_aspect("equal")
    ax.set_xlabel("first feature")
    ax.set_ylabel("second feature")


EXPERIMENT = Experiment(
    "planar",
    "Of two sources with one decision boundary, one hurts the target and one helps it: what counts is where their rows lie.",
    setting,
    draw,
    whole=(RELATION,),
)
