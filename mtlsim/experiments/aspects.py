"""Aspects of the same individuals, or of different ones, over the rows of a task and how much of their noise aspects share.

In linear models with the same parameters different individuals are better wherever a task has more rows than features (statement
same-individuals). With fewer, least squares of minimum norm are worst where there are as many rows as features: the rows of all
different individuals come there first, and about there the same ones are better, the more so the stronger the noise.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.core import linalg
from mtlsim.core.keys import check_key, correlated_normals, normal, stream
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.experiments.sharing_map import best_of
from mtlsim.plots.choices import choice_legend, choice_panel, colours_of
from mtlsim.plots.legends import entry, legend
from mtlsim.plots.predictions import DASHES, legend_handle
from mtlsim.plots.style import figure

ROWS, CORRELATION = "n_samples", "correlation"
FEATURES, TASKS, NOISE, MOST = 20, 4, 1.0, 60
WAYS = {"different individuals": "risk_different", "the same individuals": "risk_multi"}


class FewRows(eqx.Module):
    """A cell: four tasks of the same parameters, of length one, in 20 features, on n rows each, noise one, pooled.

    As `Aspects`, by least squares of minimum norm on explicit rows, so that rows may be fewer than features: risk_multi on the same
    rows for all tasks, whose noises have this correlation in every pair, risk_different on rows of each task's own; gain =
    risk_different - risk_multi. n_samples: a whole number, at most 60.
    """

    n_samples: Array | float = 30.0
    correlation: Array | float = 0.0

    def __call__(self, *, key):
        key, n = check_key(key), jnp.asarray(self.n_samples, float)
        truth = jnp.eye(1, FEATURES)[0]
        X = normal(stream(key, "rows"), (TASKS * MOST, FEATURES))
        own = normal(stream(key, "noise of different"), (TASKS * MOST,))
        shared = jnp.mean(correlated_normals(stream(key, "noise of the same"), (TASKS, MOST), self.correlation), 0)
        place = jnp.arange(TASKS * MOST)

        def risk(errors, count):
            rows = jnp.where((place < count)[:, None], X, 0)
            values, vectors = jnp.linalg.eigh(linalg.multiply(rows.T, rows))
            kept = jnp.arange(FEATURES) >= FEATURES - count
            side = linalg.multiply(rows.T, linalg.multiply(rows, truth) + NOISE * errors)
            parts = jnp.where(kept, linalg.multiply(vectors.T, side) / jnp.where(kept, values, 1), 0)
            return jnp.sum((linalg.multiply(vectors, parts) - truth) ** 2)

        same, different = risk(jnp.append(shared, jnp.zeros((TASKS - 1) * MOST)), n), risk(own, TASKS * n)
        return {"gain": different - same, "risk_multi": same, "risk_different": different}


def expected_parts(count):
    """(bias, variance over noise^2) of least squares of minimum norm on m Gaussian rows of d features: 1 - m / d and
    m / (d - m - 1) below, 0 and d / (m - d - 1) above; infinite where rows are as many as features, or one more or less.
    """
    m, d = np.asarray(count, float), FEATURES
    with np.errstate(divide="ignore"):
        variance = np.where(m < d, m, d) / np.maximum(np.abs(m - d) - 1, 0)
    return np.maximum(1 - m / d, 0), variance


def turning_correlation(n_samples):
    """The correlation below which the same individuals are better: where both expected risks are equal; it may be below zero."""
    (bias, variance), (bias_all, variance_all) = (expected_parts(np.asarray(n_samples) * several) for several in (1, TASKS))
    with np.errstate(invalid="ignore"):
        worth = ((bias_all - bias) / NOISE**2 + variance_all) / variance  # of the same individuals' mean label, over noise^2
    return (TASKS * worth - 1) / (TASKS - 1)


def setting(options: Options) -> Setting:
    few = [2.0, 4.0, 8.0, 9.0, 10.0, 12.0, 30.0, 60.0]
    rows = few if options.fast else sorted([*few, 3.0, 6.0, 7.0, 11.0, 15.0, 24.0, 40.0])
    correlations = np.linspace(0, 1, 5 if options.fast else 11).round(6).tolist()
    return Setting(FewRows(), {CORRELATION: correlations, ROWS: rows}, 200 if options.fast else 3000)


def draw(data):
    fig, ((ax,),) = figure(1, 4.8, 3.8)
    colours, xs, ys = colours_of(list(WAYS)), data[ROWS].values, data[CORRELATION].values
    errors = np.stack([data[name].transpose(CORRELATION, ROWS, "seed").values for name in WAYS.values()])
    choice_panel(ax, xs, ys, *best_of(errors), colours)
    fine = np.geomspace(xs[0], xs[-1], 800)
    ax.plot(fine, turning_correlation(fine), color="black", linestyle=DASHES)
    for rows, words in ((FEATURES / TASKS, "as many rows in all as features"), (FEATURES, "as many in a task")):
        ax.axvline(rows, color="black", linewidth=0.8)
        ax.annotate(words, (rows, 0.97), (3, 0), textcoords="offset points", rotation=90, va="top", fontsize="small")
    ax.set(ylim=(0, 1), xscale="log", xlabel="rows of each of four tasks (20 features)", ylabel="correlation of the aspects' noise")
    ax.set_xticks([2, 5, 10, 20, 50], ["2", "5", "10", "20", "50"])
    ax.xaxis.minorticks_off()
    for handle in (*choice_legend(list(WAYS), colours), legend_handle("both as good (theory)")):
        entry(ax, handle)
    legend(fig, "outside lower center", 2)
    return fig


EXPERIMENT = Experiment(
    "aspects",
    "Aspects of the same individuals are better than of different ones only where rows are few, and the less so the more noise "
    "they share.",
    setting,
    draw,
    along=(ROWS, CORRELATION),
)
