"""Label shift: what pooling and a bias for each head gain over the divergence of the label marginals, and what a bound allows."""

import jax
import jax.numpy as jnp
import numpy as np

from mtlsim.cells.label_shift import LabelShift, expected_errors, log_odds, threshold_error
from mtlsim.core.verdict import summarise
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import finish_gain_axis
from mtlsim.plots.legends import bar_entry, legend
from mtlsim.plots.predictions import DASHES
from mtlsim.plots.style import MARKERS, SERIES, figure

PRIOR = "prior_source"
CELL = LabelShift(600.0, 60.0, n_features=40)
WAYS = {
    "one direction, a bias for each head": ("gain", "error_multi"),
    "one decision for all rows": ("gain_pooled", "error_pooled"),
}


def setting(options: Options) -> Setting:
    """Forty features, class means two apart; 600 source rows, 60 target rows of which half are positive."""
    priors = [0.5, 0.55, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98]
    return Setting(CELL, {PRIOR: priors[::2] if options.fast else priors}, 300 if options.fast else 4000)


@jax.jit
def errors_over(priors):
    """Predicted errors of the three ways, and the divergence, over the source's P(y = 1)."""

    def one(prior):
        cell = LabelShift(CELL.n_source, CELL.n_target, prior, n_features=CELL.n_features)
        return expected_errors(cell) | {"divergence": cell.divergence}

    return jax.lax.map(one, priors)


def draw(data):
    fig, (axes,) = figure(2, 4.2, 3.6)
    gains, bound = axes
    seen = data["divergence"].mean("seed").values
    fine = {name: np.asarray(values) for name, values in errors_over(jnp.linspace(0.5, 0.985, 80)).items()}
    for i, (way, (gain, error)) in enumerate(WAYS.items()):
        found = summarise(data[gain].values)
        bars = [found["mean"] - found["low"], found["high"] - found["mean"]]
        gains.errorbar(seen, found["mean"], bars, color=SERIES[i], marker=MARKERS[i], linestyle="none", label=way)
        gains.plot(fine["divergence"], fine["error_single"] - fine[error], color=SERIES[i], linestyle=DASHES)
    gains.plot([], [], color="black", linestyle=DASHES, label="predicted (many features)")
    finish_gain_axis(gains, PRIOR, seen)
    gains.set_ylabel("transfer gain: error alone minus together\n(positive helps)")
    shifted = fine["divergence"] > 1e-4
    rows = fine["divergence"][shifted]
    found = summarise(data["difference"].values[seen > 0])
    bars = [found["mean"] - found["low"], found["high"] - found["mean"]]
    bound.plot(rows, np.sqrt(2 * rows), color="black", label="bound: root of twice the divergence")
    look = {"color": SERIES[2], "marker": MARKERS[2], "linestyle": "none"}
    bound.errorbar(seen[seen > 0], found["mean"], bars, label="pooled rule's errors on both tasks, difference", **look)
    halfway = np.linspace(0.5, 0.985, 80)[shifted] / 2 + 0.25
    at = lambda prior: threshold_error(1.0, 0.5, -np.asarray(log_odds(prior)) / 2)
    bound.plot(rows, at(halfway) - at(0.5), color=SERIES[3], label="error that one threshold adds, unlimited rows")
    law = np.exp(-0.5) / np.sqrt(2 * np.pi) * rows
    bound.plot(rows, law, color=SERIES[3], linestyle=":", label="its law, a multiple of the divergence")
    bound.set(xscale="log", yscale="log", ylabel="share of rows")
    for ax in axes:
        ax.set_xlabel("Jensen-Shannon divergence of the labels (nats)")
        bar_entry(ax)
        legend(ax, "below", 1)
    return fig


EXPERIMENT = Experiment(
    "label-shift",
    "Under label shift one decision for all rows turns harmful; a bias for each head keeps what the rows have in common.",
    setting,
    draw,
    along=(PRIOR,),
)
