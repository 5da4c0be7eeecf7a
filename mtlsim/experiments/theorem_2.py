"""Theorem 2 [wu2020understanding] beside what happens: its bound, its assumption, the actual error, and the plateau."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from mtlsim.cells.transfer import Transfer
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import band_entry, legend
from mtlsim.plots.style import SERIES, figure
from mtlsim.tasks.covariance import Spiked
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.statements import theorem_2

COSINE, CONDITION = "tasks.cosine", "tasks.design.condition_number"
PAPER = 0.96


class BoundAndError(eqx.Module):
    """A cell: the relative error of the target's parameters, the theorem's bound, and c = kappa(X_2) sin(theta_1, theta_2)."""

    tasks: LinearTasks

    def __call__(self, *, key):
        cell = Transfer(self.tasks)
        values = {**theorem_2.measure(cell, key), "constant": theorem_2.constant(cell, key)}
        values["bound"] = theorem_2.predict(cell, key)["relative_error"]
        return values | {"status": jnp.zeros((), jnp.int32)}


def setting(options: Options) -> Setting:
    """20 features, 2000 target rows, no noise, a source without end; condition number one, and the paper's 10^4."""
    tasks = LinearTasks(n_features=20, n_samples=(1e12, 2000), cosine=PAPER, noise=0.0, design=Spiked(1.0, fraction=0.1))
    sines = np.geomspace(1e-3, 0.9, 7 if options.fast else 25)
    cosines = sorted({*np.sqrt(1 - sines**2).round(12).tolist(), PAPER})
    return Setting(BoundAndError(tasks), {CONDITION: [1.0, 1e4], COSINE: cosines}, 10 if options.fast else 100)


def draw(data):
    fig, axes = figure(data.sizes[CONDITION], 3.8, 3.6, sharey=True)
    sines = np.sqrt(1 - data[COSINE].values ** 2)
    for ax, condition in zip(axes[0], data[CONDITION].values, strict=True):
        panel = data.sel({CONDITION: condition})
        holds = (panel["constant"].values < 1 / 3).all(-1)
        low, middle, high = np.quantile(panel["relative_error"].values, [0.025, 0.5, 0.975], axis=-1)
        ax.fill_between(sines, low, high, color=SERIES[0], alpha=0.22, linewidth=0)
        ax.plot(sines, middle, color=SERIES[0], marker="o", label="actual error (median, 95 % of draws)")
        bound = np.where(holds, np.nanmedian(np.where(holds[:, None], panel["bound"].values, 0), -1), np.nan)
        ax.plot(sines, bound, color=SERIES[1], linestyle=(0, (4, 1.5)), label="bound of Theorem 2")
        ax.plot(sines, sines, color="black", linewidth=0.8, label="the sine")
        ax.axhline(1, color="0.4", linestyle=":", linewidth=1.2, label="predicting zero")
        ax.axvline(np.sqrt(1 - PAPER**2), color="0.4", linewidth=1, label="the paper's cosine, 0.96")
        if not holds.all():
            first = sines[holds].max() if holds.any() else sines.min()
            ax.axvspan(first, 1, facecolor="none", edgecolor="0.6", hatch="..", linewidth=0, label="outside its assumption")
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlim(sines.min(), 1)
        ax.set_title(f"condition number {condition:g}")
        ax.set_xlabel("sine of the angle between the parameters")
    axes[0, 0].set_ylabel("relative error of the target's parameters\n(lower is better)")
    band_entry(axes[0, 0], "middle 95 % of the draws")
    legend(fig, "outside lower center", 3)
    return fig


EXPERIMENT = Experiment(
    "theorem-2",
    "Where Theorem 2 applies, the error is about the sine and its bound many times that; at the paper's own cosine it is vacuous.",
    setting,
    draw,
    along=(COSINE,),
)
