"""Gain against source samples for a source with the same, the disjoint and the rotated covariance [wu2020understanding]."""

import numpy as np

from mtlsim import theory
from mtlsim.cells.transfer import Transfer
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import finish_gain_axis, gain_curve
from mtlsim.plots.legends import entry, legend
from mtlsim.plots.predictions import legend_handle, overlay
from mtlsim.plots.style import GAIN_LABEL, figure, series_of
from mtlsim.tasks.covariance import Spiked
from mtlsim.tasks.linear import LinearTasks

SOURCE, TARGET, NOISE, RELATION = "tasks.n_samples[0]", "tasks.n_samples[1]", "tasks.noise", "tasks.relation"
RELATIONS = ("same", "disjoint", "rotated")


def cell() -> Transfer:
    """The paper's example: d = 100, D = 100 on a tenth of the coordinates (covariance 10^4), cosine 0.96."""
    design = Spiked(condition_number=1e4, fraction=0.1)
    return Transfer(LinearTasks(n_features=100, n_samples=(1000, 150), cosine=0.96, noise=1.0, design=design))


def setting(options: Options) -> Setting:
    sources = np.geomspace(250, 10_000, 5) if options.fast else np.r_[250, np.arange(500, 10_001, 500)]
    grid = {
        RELATION: RELATIONS,
        TARGET: [15, 150, 400],
        NOISE: [1.0, 30.0, 100.0],
        SOURCE: sources.round().tolist(),
    }
    return Setting(cell(), grid, 20 if options.fast else 50)


def draw(data):
    """One panel per target size (rows) and noise (columns), one curve with its band and its prediction per relation."""
    targets, noises = data[TARGET].values, data[NOISE].values
    fig, panels = figure(len(noises), 3.0, 2.3, len(targets), sharex=True)
    for row, target in zip(panels, targets, strict=True):
        for ax, noise in zip(row, noises, strict=True):
            panel = data.sel({TARGET: target, NOISE: noise})
            for relation, i in series_of(data[RELATION].values).items():
                gain_curve(ax, panel.sel({RELATION: relation}), SOURCE, f"{relation} covariance", i)
                overlay(ax, theory.free_heads(cell()), label="_nolegend_", n_draws=4, hatch=False)
            symlog = _needs_logarithm(panel)
            decided = np.abs(panel["gain_mean"].values[panel["gain_sign"].values != 0])
            reach = 3 * decided.max() if decided.size else None
            finish_gain_axis(ax, SOURCE, data[SOURCE].values, symlog=symlog, label=False, reach=reach)
            if not symlog:
                ax.ticklabel_format(axis="y", scilimits=(-2, 5))  # an exponent above would meet the title
            ax.set_title(f"{target:g} target samples, noise {noise:g}")
            ax.set_xlabel("")
    for ax in panels[-1]:
        ax.set_xlabel("source samples (rows)")
    fig.supylabel(GAIN_LABEL, fontsize="medium")
    entry(panels[0, 0], legend_handle("prediction, where its assumptions hold"))
    legend(fig, n_columns=4)
    return fig


def _needs_logarithm(panel) -> bool:
    """Whether gains of both signs differ so much in size that a linear axis hides the smaller ones."""
    decided = panel["gain_mean"].values[panel["gain_sign"].values != 0]
    sizes = [np.abs(decided[side]).max() for side in (decided > 0, decided < 0) if side.any()]
    return len(sizes) == 2 and max(sizes) > 10 * min(sizes)


EXPERIMENT = Experiment(
    "sample-size",
    "Which source covariance helps depends on rows and noise: the published order needs a source that knows more than the target.",
    setting,
    draw,
    along=(SOURCE,),
)
