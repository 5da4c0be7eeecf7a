"""Gain from covariance alignment against the similarity score before it, over random pairs of tasks.

A matrix for each task can undo what one layer shares, so that learned alignment earns what sharing had cost: its gain has the
sign of the risk together minus alone, whatever the score; less strictly so with ReLU units, whose alignment is slower. Recolouring
looks at no label: it makes every score one, and turns parameters that were alike away from each other.
"""

from dataclasses import replace

import equinox as eqx
import jax
import numpy as np
from scipy.stats import binomtest, spearmanr

from mtlsim.alignment.training import AlignmentTraining
from mtlsim.cells.alignment import Alignment
from mtlsim.core.keys import check_key, stream
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import finish_gain_axis
from mtlsim.plots.style import figure
from mtlsim.tasks.linear import LinearTasks
from mtlsim.tasks.relu import ReluTasks
from mtlsim.training.weighted import WeightedTraining

MODE, WAY = "cell.mode", "way"
BATCH, N_STEPS, RATE = 16, 200, 0.01
WAYS = ("learned, all rows", f"learned, batches of {BATCH}", "coral")  # the second is the paper's form
LEAST_ALIGNMENT, NOISE = 0.5, (0.5, 2.0)
TICKS = (0.01, 0.05, 0.2, 1, 5)
ALMOST_ONE = 1 - 1e-9
KEPT = ("gain", "risk_without", "risk_with", "risk_alone", "score_before", "score_after", "status")


class RandomPair(eqx.Module):
    """A cell: `cell`'s two tasks with alignment and cosine drawn uniformly, to 1 from 0.5 and 0, and noise from 0.5 to 2.

    way: one of `WAYS`, all of which see the same pairs.
    """

    cell: Alignment
    way: str = eqx.field(default=WAYS[0], static=True)

    def __call__(self, *, key):
        key = check_key(key)
        alignment, cosine, noise = jax.random.uniform(stream(key, "pair"), (3,))
        noise = NOISE[0] * (NOISE[1] / NOISE[0]) ** noise
        drawn = (LEAST_ALIGNMENT + (1 - LEAST_ALIGNMENT) * alignment, cosine, noise, noise)
        entries = lambda cell: (cell.tasks.alignment[0], cell.tasks.cosine[0], *cell.tasks.noise)
        training = replace(self.cell.training, batch=BATCH if self.way == WAYS[1] else None)
        cell = replace(self.cell, method="coral" if self.way == "coral" else "learned", training=training)
        draw = eqx.tree_at(entries, cell, drawn)(key=key)
        return {name: getattr(draw, name) for name in KEPT} | {"cosine": cosine}


def setting(options: Options) -> Setting:
    """10 features, 200 and 40 rows, a spiked covariance, one shared direction or ReLU unit; 200 steps of 0.01."""
    relu, training = options.model == "relu", AlignmentTraining(n_steps=N_STEPS, learning_rate=RATE)
    tasks = ReluTasks(10, (200, 40)) if relu else LinearTasks(10, (200, 40))
    joint = WeightedTraining(n_steps=500, learning_rate=0.05)
    cell = Alignment(tasks, training=training, joint=joint, capacity=None if relu else 200)
    modes = ["multi-task", "transfer"]
    grid = {MODE: modes, WAY: WAYS}
    return Setting(RandomPair(cell), grid, (50 if relu else 200) if options.fast else 400)


def draw(data):
    modes, ways = data[MODE].values, data[WAY].values
    fig, rows = figure(len(ways), 3.3 if len(ways) > 1 else 5.6, 3.9, len(modes), sharey=True)
    for row, mode in zip(rows, modes, strict=True):
        for ax, way in zip(row, ways, strict=True):
            pairs = data.sel({WAY: way, MODE: mode})
            pairs = pairs.isel(seed=np.isfinite(pairs["gain"].values))
            where = pairs["score_before"].values, pairs["gain"].values
            points = ax.scatter(*where, c=pairs["cosine"].values, s=11, cmap="viridis", vmin=0, vmax=1, linewidth=0)
            ax.set_title(f"{way}, {mode}\n{facts(pairs)}", fontsize="small")
    for ax in rows.ravel():  # after all points, since they share their scale
        finish_gain_axis(ax, "alignment", data["score_before"].values.ravel(), symlog=ax is rows[0, 0], label=False)
        ax.set_xlabel("")
        low, high = ax.get_ylim()
        ticks = [tick for tick in (*(-tick for tick in reversed(TICKS)), 0, *TICKS) if low < tick < high]
        ticks = [tick for tick in ticks if tick == 0 or abs(tick) > high / 80]  # nearer ones would touch
        ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    fig.colorbar(points, ax=rows.ravel().tolist(), label="cosine of the parameters", pad=0.01)
    label = "gain from alignment: excess risk of the target\nwithout minus with (positive helps)"
    fig.supylabel(label, fontsize="medium", multialignment="center")
    kind = "ReLU" if data.attrs.get("model") == "relu" else "linear"
    fig.supxlabel(
        "normalised covariance similarity score before alignment (1 = same covariance)\n"
        f"a point is one of {data.sizes['seed']} random pairs of {kind} tasks; intervals at 95 %",
        fontsize="medium",
    )
    return fig


def facts(pairs) -> str:
    """Share of pairs improved, rank correlations of the gain, and what became of the score."""
    gains, scores = pairs["gain"].values, pairs["score_before"].values
    share = binomtest(int((gains > 0).sum()), len(gains))
    low, high = share.proportion_ci(method="wilson")
    rank, least, most = rank_correlation(scores, gains)
    cost = (pairs["risk_without"] - pairs["risk_alone"]).values
    rise = pairs["score_after"].values - scores
    return (
        f"{100 * share.statistic:.0f} % of {len(gains)} pairs improved ({100 * low:.0f} to {100 * high:.0f})\n"
        f"rank correlation of score and gain:\n{rank:+.2f} ({least:+.2f} to {most:+.2f})\n"
        f"same sign as risk together minus alone: {100 * (cost * gains > 0).mean():.0f} %\n"
        f"score after {scores.mean() + rise.mean():.2f}, before {scores.mean():.2f}; rises in {100 * (rise > 0).mean():.0f} %"
    )


def found(data) -> str:
    """How often the gain of what is drawn has the sign of what sharing had cost, and how it follows the score, over all panels."""
    learned = [way for way in np.atleast_1d(data[WAY].values) if way != "coral"]
    shares, ranks = [], []
    for way in learned or ["coral"]:
        for mode in np.atleast_1d(data[MODE].values):
            pairs = data.sel({WAY: [way], MODE: [mode]}).squeeze([WAY, MODE])
            gains = pairs["gain"].values
            known = np.isfinite(gains)
            cost = (pairs["risk_without"] - pairs["risk_alone"]).values
            shares.append(float((cost * gains > 0)[known].mean()))
            ranks.append(rank_correlation(pairs["score_before"].values[known], gains[known])[0])
    kind, way = "ReLU" if data.attrs.get("model") == "relu" else "linear", "Learned alignment" if learned else "Recolouring"
    return (
        f"{way} of {kind} tasks earns just where sharing had cost on {_range(shares, '{:.0%}')} of the pairs; the rank "
        f"correlation of its gain with the score before is {_range(ranks, '{:+.2f}')}."
    )


def _range(numbers: list[float], form: str) -> str:
    low, high = form.format(min(numbers)), form.format(max(numbers))
    return low if low == high else f"{low} to {high}"


def rank_correlation(first: np.ndarray, second: np.ndarray) -> tuple[float, float, float]:
    """Spearman's rank correlation with its 95 % interval, by Fisher's transformation."""
    rank = float(spearmanr(first, second).statistic)
    half = 1.96 * np.sqrt((1 + rank**2 / 2) / max(len(first) - 3, 1))
    return rank, *np.tanh(np.arctanh(np.clip(rank, -ALMOST_ONE, ALMOST_ONE)) + np.array([-half, half])).tolist()


EXPERIMENT = Experiment(
    "alignment-gain",
    "Covariance alignment of linear tasks earns what sharing had cost; the score before it hardly tells whether it helps.",
    setting,
    draw,
    models=("linear", "relu"),
    title=found,
)
