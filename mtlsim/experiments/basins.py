"""Which start leads where, in the two models of representation bias: the basin of what both tasks can use, alone and together.

Every start is followed to its end, and what is learned there is read off the weights or gates.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.cells.diagonal_network import DiagonalNetwork, lead_of_common
from mtlsim.cells.two_gates import TwoGates, turning_point
from mtlsim.core.keys import check_key
from mtlsim.core.status import worst
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import legend
from mtlsim.plots.style import MARKERS, SERIES, figure

TILT = "tilt"
START, PREFERENCE = 0.01, 2.0
REACH = 1.8  # of gates


class Starts(eqx.Module):
    """A cell: where the weights of the network and both gates stand at first, and what becomes of them.

    Strengths of features A and B at first, over the size of the weights: own_a, own_b, by the first task's slope alone (v_A + u_1A,
    over sqrt(2)), and common_a, which counts the second task's too; network_alone, network: whether the first task learns A.
    other_c, kept: strength of the second task's C, and whether it learns A, where the first prefers B by a factor of two. gate_1,
    gate_2; gates_alone, gates: whether the second task learns A, beside a first task of this tilt.
    """

    tilt: Array | float = 0.02

    def __call__(self, *, key):
        network, gates = DiagonalNetwork(START), TwoGates(self.tilt)
        own, layers = network.begin(key=check_key(key))
        one, two = gates.begin(key=key)
        learned, opened = network(key=key), gates(key=key)
        left = DiagonalNetwork(START, preference=PREFERENCE)(key=key)
        strength = lambda task, j: jnp.abs(layers[0, j] + own[task, j]) / jnp.sqrt(2)
        return {
            "own_a": strength(0, 0),
            "own_b": strength(0, 1),
            "other_c": strength(1, 2),
            "kept": left["second_multi"],
            "common_a": jnp.abs(layers[0, 0] / jnp.sqrt(2) + jnp.sum(own[:, 0]) / 2),
            "network_alone": learned["first_single"],
            "network": learned["first_multi"],
            "gate_1": one,
            "gate_2": two,
            "gates_alone": 1 - opened["second_single"],
            "gates": 1 - opened["second_multi"],
            "status": worst(learned["status"], left["status"], opened["status"]),
        }


def setting(options: Options) -> Setting:
    return Setting(Starts(), {TILT: [0.02, 0.1]}, 150 if options.fast else 800)


def draw(data):
    fig, axes = figure(3, 3.0, 3.0, n_rows=2)
    small, large = (data.sel({TILT: tilt}) for tilt in data[TILT].values)
    panels = [
        (axes[0, 0], small, ("own_a", "own_b", "network_alone"), "network: first task alone"),
        (axes[0, 1], small, ("common_a", "own_b", "network"), "network: first task, together"),
        (axes[0, 2], small, ("common_a", "other_c", "kept"), "network: second task, if the first prefers B"),
        (axes[1, 0], small, ("gate_1", "gate_2", "gates_alone"), "gates: second task alone"),
        (axes[1, 1], small, ("gate_1", "gate_2", "gates"), f"gates: together, tilt {float(data[TILT][0]):g}"),
        (axes[1, 2], large, ("gate_1", "gate_2", "gates"), f"gates: together, tilt {float(data[TILT][1]):g}"),
    ]
    for ax, cells, (x, y, learned), title in panels:
        ends = cells[learned].values
        for i, (value, label) in enumerate(((1.0, "learns A, which both tasks can use"), (0.0, "learns what it alone can use"))):
            here = ends == value
            look = {"color": SERIES[i], "marker": MARKERS[i], "markersize": 3, "linestyle": "none", "alpha": 0.6}
            ax.plot(cells[x].values[here], cells[y].values[here], label=label, **look)
        ax.plot(
            *_edge(learned, float(cells[TILT])), color="black", linestyle="--", linewidth=1.2, label="edge of the basin (theory)"
        )
        ax.set_title(f"{title}\n({100 * np.nanmean(ends):.0f} % learn A)")
        if x.startswith("gate"):
            ax.set(xlabel="gate of A at first", ylabel="gate of C at first", xlim=(-REACH, REACH), ylim=(-REACH, REACH))
        else:
            other = "C" if y == "other_c" else "B"
            ax.set(xlabel="strength of A at first", ylabel=f"strength of {other} at first", xscale="log", yscale="log")
            ax.set(xlim=(1e-2, 10), ylim=(1e-2, 10))
    legend(fig, "outside lower center", 3)
    return fig


def _edge(learned: str, tilt: float) -> tuple[np.ndarray, np.ndarray]:
    """The line between both basins."""
    if learned == "gates":
        return np.full(2, float(turning_point(tilt, TwoGates().well, TwoGates().width))), np.array([-REACH, REACH])
    if learned == "gates_alone":
        return np.array([-REACH, REACH]), np.array([-REACH, REACH])
    fine = np.geomspace(1e-2, 10, 200)
    power = np.sqrt(0.5) if learned == "network" else 1.0
    lead = float(lead_of_common(START, PREFERENCE)) if learned == "kept" else START ** (power - 1)
    return fine, lead * fine**power


EXPERIMENT = Experiment(
    "basins",
    "Sharing widens the basin of what both tasks can use; a first task that leaves it narrows it on gates, and not in a network.",
    setting,
    draw,
    whole=(TILT,),
)
