"""Pooling under covariate shift: all curves cross where source and target have equally many rows [yang2025precise]."""

import numpy as np

from mtlsim import theory
from mtlsim.cells.transfer import Transfer
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import legend_above, points_on_lines
from mtlsim.plots.style import figure
from mtlsim.tasks.covariance import Spiked
from mtlsim.tasks.linear import LinearTasks

SOURCE, TARGET, FEATURES = "tasks.n_samples[0]", "tasks.n_samples[1]", "tasks.n_features"
CONDITION = "tasks.design.condition_number"
RATIOS = (1.0, 4.0, 16.0, 100.0)  # lambda^2 in the source
N_FEATURES, N_TARGET, RATIO = 100, 300, 16.0


def cell() -> Transfer:
    """One model, noise 0.5; a source sees half of the directions kappa times as much, the rest less.

    Equivalent to a source diag(kappa, 1 / kappa) and an isotropic target.
    """
    design = Spiked(4.0, fraction=0.5)
    tasks = LinearTasks(N_FEATURES, (300, N_TARGET), cosine=1.0, noise=0.5, design=design, relation="disjoint")
    return Transfer(tasks, sharing="pooled")


def setting(options: Options) -> Setting:
    sources = np.geomspace(20, 1000, 5 if options.fast else 16).round().tolist()
    grid = {FEATURES: [50, N_FEATURES], TARGET: [200, N_TARGET], CONDITION: RATIOS, SOURCE: sources}
    return Setting(cell(), grid, 20 if options.fast else 200)


def draw(data):
    fig, (axes,) = figure(2, 4.4, 3.9)
    sizes = {
        f"{target:g} rows, {d:g} features": {CONDITION: RATIO, TARGET: target, FEATURES: d}
        for target in data[TARGET].values
        for d in data[FEATURES].values
    }
    ratios = {f"{ratio:g}": {CONDITION: ratio, TARGET: N_TARGET, FEATURES: N_FEATURES} for ratio in data[CONDITION].values}
    for ax, series in zip(axes, (sizes, ratios), strict=True):
        points_on_lines(ax, data, SOURCE, series, theory.covariate_shift(cell()), "risk_multi", label=ax is axes[0])
    legend_above(axes[0], f"target, at ratio {RATIO:g} of the covariances", 2)
    axes[1].axvline(N_TARGET, color="black", linestyle=":", linewidth=1, label="as many rows as the target's")
    legend_above(axes[1], f"ratio of the covariances, for {N_TARGET} target rows and {N_FEATURES} features")
    return fig


EXPERIMENT = Experiment(
    "covariate-shift",
    "With one model, a source of another covariance saves more variance while it has fewer rows than the target, and less after.",
    setting,
    draw,
    along=(SOURCE,),
    whole=(FEATURES, TARGET, CONDITION),
)
