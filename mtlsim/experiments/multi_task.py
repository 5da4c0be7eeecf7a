"""Many tasks around a common one on shared rows: risk against rank and against rows [yang2025precise]."""

import dataclasses
from numbers import Real

import numpy as np
from jaxtyping import Array, Float

from mtlsim import theory
from mtlsim.cells.transfer import Transfer
from mtlsim.core.keys import check_key, normal, stream
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import legend_above, points_on_lines
from mtlsim.plots.style import figure
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.linear import LinearTasks

ROWS, SPREAD, RANK = "tasks.n_samples", "tasks.spread", "rank"
N_TASKS = 10
SMALL, SPREADS = 0.05, (0.1, 0.2, 0.35)  # of the panels over rank and over rows
LARGE = 1000  # rows, from which on there is a curve over rank


class Family(LinearTasks):
    """Tasks theta_i = theta_0 + spread * g_i with theta_0 and g_i normal of covariance I / d, which no choice of cosines gives."""

    spread: Float[Array, ""] | Real

    def __init__(self, spread=SMALL, **recipe):
        super().__init__(**recipe)
        self.spread = spread

    def draw(self, *, key=None):
        tasks = super().draw(key=key)
        shape = self.n_tasks + 1, self.n_features
        drawn = normal(stream(check_key(key), "family"), shape) / np.sqrt(self.n_features)
        return dataclasses.replace(tasks, parameters=drawn[0] + self.spread * drawn[1:])


def cell() -> Transfer:
    """Ten tasks on the same rows of 100 isotropic features, noise 0.5."""
    recipe = {"n_features": 100, "n_samples": (LARGE,) * N_TASKS, "noise": 0.5, "design": Isotropic(), "shared_covariates": True}
    return Transfer(Family(SMALL, **recipe))


def setting(options: Options) -> Setting:
    grid = {
        RANK: [1, 3, N_TASKS] if options.fast else list(range(1, N_TASKS + 1)),
        SPREAD: [SMALL, *SPREADS],
        ROWS: [300, LARGE, 1500, 2000] if options.fast else [300, 400, 500, 700, LARGE, 1500, 2000],
    }
    return Setting(cell(), grid, 10 if options.fast else 100)


def draw(data):
    fig, (axes,) = figure(2, 4.4, 3.9)
    rows = {f"{n:g}": {ROWS: n, SPREAD: SMALL} for n in data[ROWS].values if n >= LARGE}
    spreads = {f"{spread:g}": {RANK: 1, SPREAD: spread} for spread in SPREADS}
    for ax, x, series in zip(axes, (RANK, ROWS), (rows, spreads), strict=True):
        points_on_lines(ax, data, x, series, theory.reduced_rank(cell()), "risk_multi", data.sizes["seed"], ax is axes[0])
        ax.set_yscale("log")
    alone = data["risk_single"].sel({RANK: 1, SPREAD: SMALL}).mean("seed")
    axes[1].plot(data[ROWS].values, alone.values, color="black", linestyle=":", label="alone (STL)")
    legend_above(axes[0], f"rows, for a spread of {SMALL:g}")
    legend_above(axes[1], "spread of the tasks, for rank one")
    return fig


EXPERIMENT = Experiment(
    "multi-task",
    "Ten tasks close to each other are best learned with one column; tasks further apart only as long as rows are few.",
    setting,
    draw,
    along=(RANK, ROWS),
    whole=(SPREAD,),
)
