"""Accepting a source where the unbiased estimate of its gain is positive: how often that is right, and what it earns."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from mtlsim.cells.transfer import Transfer
from mtlsim.core.keys import stream
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import finish_gain_axis, risk_curve
from mtlsim.plots.legends import legend
from mtlsim.plots.style import MARKERS, SERIES, figure
from mtlsim.samples.wishart import draw_moments
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.statements.gain_estimate import accept_source, estimate_gain, expected_gain

COSINE, TARGET, DISTANCE = "tasks.cosine", "tasks.n_samples[1]", "distance"
EARNED = 60  # target rows in the panel of what the rule earns
REACH = 0.5  # of the gain that is shown
RULES = {"always": "always", "rule": "by the estimate", "oracle": "by the expected gain"}
N_THRESHOLDS = 200


class Decision(eqx.Module):
    """A cell: the gain of pooling on one draw, its expectation over label noise given the rows, its estimate, and the decision."""

    tasks: LinearTasks

    def __call__(self, *, key):
        tasks = self.tasks.draw(key=key)
        moments = draw_moments(tasks, key=stream(key, "samples"))  # those that the cell below learns from
        covariance = tasks.covariances[-1].matrix()
        difference = tasks.parameters[0] - tasks.parameters[1]
        return {
            "gain": Transfer(self.tasks, sharing="pooled")(key=key).gain,
            "expected": expected_gain(moments.gram, difference, tasks.noise[-1] ** 2, tasks.n_samples[-1], covariance),
            "estimate": estimate_gain(moments, covariance),
            "accepted": accept_source(moments, covariance).astype(jnp.int32),
        }


def setting(options: Options) -> Setting:
    """20 isotropic features, 100 source rows, noise one, parameters of length one at distances from 0 to 2."""
    tasks = LinearTasks(n_features=20, n_samples=(100, EARNED), design=Isotropic())
    distances = np.linspace(0, 2, 6 if options.fast else 21)
    grid = {TARGET: [30, EARNED, 120], COSINE: (1 - distances**2 / 2).round(12).tolist()}
    return Setting(Decision(tasks), grid, 100 if options.fast else 2000)


def draw(data):
    fig, (axes,) = figure(3, 3.7, 3.4)
    distances = np.sqrt(2 - 2 * data[COSINE].values)
    helps, accepted = data["expected"] > 0, data["accepted"] == 1
    earned = {"right": helps == accepted, "always": data["gain"], "rule": data["gain"] * accepted, "oracle": data["gain"] * helps}
    shown = data.assign({name: values.astype(float) for name, values in earned.items()})
    shown = shown.assign_coords({COSINE: distances}).rename({COSINE: DISTANCE})
    for i, target in enumerate(data[TARGET].values):
        one = shown.sel({TARGET: target})
        _receiver_curve(axes[0], one["estimate"].values.ravel(), one["expected"].values.ravel() > 0, f"{target:g}", i)
        risk_curve(axes[1], one, DISTANCE, "right", f"{target:g}", i)
    axes[0].plot([0, 1], [0, 1], color="0.4", linestyle=":", linewidth=1, label="by chance")
    axes[0].plot([], [], color="0.4", marker="o", markersize=8, linestyle="none", label="where the estimate is positive")
    axes[0].set(xlabel="harmful sources that are accepted (share)", ylabel="helpful sources that are accepted (share)")
    legend(axes[0], "below", 2, title="target rows")
    axes[1].set(xlabel="distance of the parameters", ylabel="right decisions (share)", ylim=(0.45, 1.02))
    for i, (name, label) in enumerate(RULES.items()):
        risk_curve(axes[2], shown.sel({TARGET: EARNED}), DISTANCE, name, label, i + 3)
    finish_gain_axis(axes[2], DISTANCE, distances, reach=REACH)
    axes[2].set(xlabel="distance of the parameters", title=f"{EARNED} target rows (zero: never pool)")
    legend(axes[2], "below", 2, title="pool")
    return fig


def _receiver_curve(ax, estimates, helps, label: str, series: int) -> None:
    """Share of helpful against share of harmful sources above every threshold of the estimate, and at zero."""
    thresholds = np.r_[np.inf, np.quantile(estimates, np.linspace(1, 0, N_THRESHOLDS)), -np.inf]
    shares = [[(estimates[group] > t).mean() for t in thresholds] for group in (~helps, helps)]
    colour = SERIES[series]
    ax.plot(*shares, color=colour)
    point = [(estimates[group] > 0).mean() for group in (~helps, helps)]
    ax.plot(*point, color=colour, marker=MARKERS[series], markersize=8, label=label)


EXPERIMENT = Experiment(
    "gain-estimate",
    "Whether a source helps can be decided from the data that would be pooled; the rule errs most where little is at stake.",
    setting,
    draw,
    along=(COSINE,),
    whole=(TARGET,),
)
