"""Error of the statements about many features at a finite number of them, at fixed rows per feature, with its rate.

The predictions are those of isotropic rows, or of one model, which do not depend on where the parameters point.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import curve_fit

from mtlsim.cells.transfer import Transfer
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import bar_entry, legend
from mtlsim.plots.style import SERIES, figure, label_of
from mtlsim.sharing import Sharing
from mtlsim.sharing.from_source import FromSource
from mtlsim.tasks.covariance import Isotropic, Spiked
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory import find_statement
from mtlsim.theory.statements.frozen_layer import ENDLESS

FEATURES = (25, 50, 100, 200, 400)
SHIFTED = {"cosine": 1.0, "design": Spiked(16.0, fraction=0.5), "relation": "disjoint"}
STATEMENTS = {  # source rows per feature, what the tasks are, and what the cell is; ridge and pull per feature
    "general-predictor": (0.6, {}, {"sharing": "pooled", "weights": (0.5, 1.0), "ridge": 0.02}),
    "covariate-shift": (0.6, SHIFTED, {"sharing": "pooled"}),
    "free-heads": (2.0, {"cosine": 0.95}, {}),  # with few source rows the heads themselves are off, at any number of features
    "soft-transfer": (ENDLESS, {}, {"sharing": FromSource(0.05)}),
}
Z = 1.96
POINTS = {
    "measured": {"color": SERIES[0]},
    "not resolved by the draws": {"color": SERIES[0], "markerfacecolor": "white"},
    "outside the assumptions": {"color": "0.6"},
}


class LimitAndRisk(eqx.Module):
    """A cell: the target's risk together as predicted, and as measured, the mean over (most features / n_features)^2 draws."""

    statement: str = eqx.field(default="general-predictor", static=True)
    n_features: int = eqx.field(default=FEATURES[-1], static=True)

    @property
    def cell(self) -> Transfer:
        """1.4 target rows per feature, noise 0.4, cosine 0.8 if not said: little room over the features, where errors are large."""
        d, (rows, tasks, options) = self.n_features, STATEMENTS[self.statement]
        samples = round(rows * d), round(1.4 * d)
        recipe = {"n_samples": samples, "cosine": 0.8, "noise": 0.4, "design": Isotropic(), "relation": "same", **tasks}
        on_grams = lambda name, value: name == "ridge" or isinstance(value, Sharing)
        scaled = {n: jax.tree.map(lambda number: number * d, v) if on_grams(n, v) else v for n, v in options.items()}
        return Transfer(LinearTasks(d, **recipe), **scaled)

    @property
    def tasks(self) -> LinearTasks:
        return self.cell.tasks

    def __call__(self, *, key):
        statement, cell = find_statement(self.statement), self.cell
        keys = jax.random.split(key, (FEATURES[-1] // self.n_features) ** 2)
        measured = jax.lax.map(lambda one: statement.measure(cell, one)["risk_multi"], keys)
        prediction = statement(cell)(key=key)
        return {
            "measured": jnp.mean(measured),
            "predicted": prediction["risk_multi"],
            "margin": prediction["margin"],
            "trust": jnp.asarray(statement.trust(cell), float),
        }


def setting(options: Options) -> Setting:
    grid = {"statement": list(STATEMENTS), "n_features": FEATURES[:3] if options.fast else FEATURES}  # a rate takes three
    return Setting(LimitAndRisk(), grid, 4 if options.fast else 300)


def draw(data):
    fig, (axes,) = figure(data.sizes["statement"], 2.8, 3.4, sharey=True)
    features = data["n_features"].values
    for ax, name in zip(axes, data["statement"].values, strict=True):
        one = data.sel(statement=name)
        relative = (one["measured"] / one["predicted"] - 1).values
        error, bar = relative.mean(-1), relative.std(-1, ddof=1) / np.sqrt(relative.shape[-1])
        holds, resolved = (one["margin"] >= 0).values.all(-1), np.abs(error) > Z * bar
        groups = holds & resolved, holds & ~resolved, ~holds
        for (label, style), group in zip(POINTS.items(), groups, strict=True):
            points = features[group], np.abs(error)[group], Z * bar[group]
            ax.errorbar(*points, fmt="o", elinewidth=1, markersize=6, label=label, **style)
        ax.plot(features, one["trust"].isel(seed=0), color="black", linewidth=1, label="trusted up to here")
        rate = _fit(ax, features[holds], error[holds], bar[holds])
        ax.set(xscale="log", yscale="log", xlabel=label_of("n_features"), title=f"{name}\n{rate}")
        ax.set_xticks(features, [f"{d:g}" for d in features])
        ax.minorticks_off()
    axes[0].set_ylabel("relative error of the predicted risk")
    bar_entry(axes[0])
    legend(fig, "outside lower center", 5)
    return fig


def _fit(ax, features, errors, standard_errors) -> str:
    """Draw the power law that fits the errors with their signs, resolved or not; its exponent in words with its 95 % interval."""

    def law(d, first, rate):
        return first * (d / features[0]) ** rate

    if len(features) < 3:
        return "rate not fitted"
    try:
        (first, rate), covariance = curve_fit(law, features, errors, (errors[0], -1.0), standard_errors, absolute_sigma=True)
    except RuntimeError:  # few seeds leave errors of both signs, through which no power goes
        return "rate not resolved"
    half = Z * np.sqrt(covariance[1, 1])
    if half > 1:
        return "rate not resolved"
    ax.plot(features, np.abs(law(features, first, rate)), color=SERIES[1], linestyle="--", linewidth=1.2, label="fitted rate")
    return f"rate {rate:.2f} ± {half:.2f}"


EXPERIMENT = Experiment(
    "dimension",
    "The error of what is stated for many features falls like one over their number, within what the statements trust.",
    setting,
    draw,
    along=("n_features",),
)
