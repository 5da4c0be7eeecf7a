"""Affinities against the exact gain of pooling, and what is known of sets of sources from single ones, from an additive model."""

from itertools import combinations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from scipy import stats

from mtlsim.core.keys import check_key, stream
from mtlsim.core.linalg import multiply, solve_positive
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import bar_entry, legend
from mtlsim.plots.style import MARKERS, SERIES, figure
from mtlsim.samples.wishart import draw_moments
from mtlsim.solvers.affinities import NAMES, affinities
from mtlsim.solvers.expected_risk import single_risk
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.statements.sets_from_pairs import risk_of_sets

N_SOURCES, SIZE, N_FITTED, D = 10, 4, 100, 20
SETS = np.array([[s in chosen for s in range(N_SOURCES)] for chosen in combinations(range(N_SOURCES), SIZE)], float)
EVERY = np.array([[mask >> s & 1 for s in range(N_SOURCES)] for mask in range(1 << N_SOURCES)], float)
ROWS, NOISE = (30.0, 200.0), (0.3, 2.0)
LOWEST = "lowest"
SHOWN = (*NAMES, "true cosine")
SURROGATES = {"average of single gains": "average", "additive model of 100 sets": "additive"}


class Bench(eqx.Module):
    """A cell: ten sources of one target, parameters of length one, cosines with the target's uniform from `lowest` to 1, 30 to 200
    rows a task and one noise of 0.3 to 2, all log-uniform, 20 isotropic features.

    Returns per source the affinities with the target from one draw of rows, the true cosine, and the gain of pooling as a share of
    the risk alone, exact over draws of rows; and over the 210 sets of four sources, squared correlations of their exact gains with
    the mean of the single gains and with an additive model fitted to the gains of 100 sets, on the other 110, and its F1 score for
    gains below zero; lost: what pooling every source that helps alone loses against the best of all sets, over the risk alone.
    """

    lowest: Array | float = 0.6

    @property
    def dimensions(self) -> dict[str, tuple[str]]:
        return dict.fromkeys((*SHOWN, "share"), ("source",))

    def __call__(self, *, key):
        key = check_key(key)
        draw = lambda name, shape, low, high: jax.random.uniform(stream(key, name), shape, minval=low, maxval=high)
        cosines = draw("cosines", (N_SOURCES,), self.lowest, 1.0)
        n = jnp.round(jnp.exp(draw("rows", (N_SOURCES + 1,), *np.log(ROWS))))
        noise = jnp.exp(draw("noise", (), *np.log(NOISE)))
        tasks = LinearTasks(n_features=D, n_samples=n, cosine=cosines, noise=noise, design=Isotropic()).draw(key=key)
        moments = draw_moments(tasks, key=stream(key, "samples"))
        ridge = noise**2 * D * jnp.eye(D)  # the best for parameters of this length, were they isotropic
        sums = moments.gram, moments.cross, moments.energy, moments.n_samples
        alone = jax.lax.map(lambda one: solve_positive(one[0] + ridge, one[1]), sums)
        last = tuple(part[-1] for part in sums)
        told = jax.lax.map(
            lambda one: affinities(one[0], last, (one[1], alone[-1]), jnp.eye(D)), (tuple(part[:-1] for part in sums), alone[:-1])
        )
        single = single_risk(noise, n[-1], D)
        deltas = tasks.parameters - tasks.parameters[-1]
        gains = lambda sets: 1 - risk_of_sets(np.c_[sets, np.ones(len(sets))], n, deltas, tasks.noise, D) / single
        ones, fours, every = gains(np.eye(N_SOURCES)), gains(SETS), gains(EVERY)
        order = jax.random.permutation(stream(key, "sets"), len(SETS))
        fitted, rest = order[:N_FITTED], order[N_FITTED:]
        members = jnp.asarray(SETS)
        weights = solve_positive(multiply(members[fitted].T, members[fitted]), multiply(members[fitted].T, fours[fitted]))
        additive, average = multiply(members, weights), multiply(members, ones) / SIZE
        helpful = jnp.sum((ones > 0) * 2 ** jnp.arange(N_SOURCES))  # the number of that set
        scores = {"additive": _squared(additive[rest], fours[rest]), "average": _squared(average[rest], fours[rest])}
        scores |= {f"{name} F1": _f1(model[rest], fours[rest]) for name, model in (("additive", additive), ("average", average))}
        lost = jnp.sort(every)[-1] - every[helpful]
        return {**told, "true cosine": cosines, "share": ones, **scores, "lost": lost}


def _squared(model, truth):
    """Squared correlation."""
    model, truth = model - jnp.mean(model), truth - jnp.mean(truth)
    return jnp.sum(model * truth) ** 2 / (jnp.sum(model**2) * jnp.sum(truth**2))


def _f1(model, truth):
    """Of sets that lose; NaN where there are none."""
    said, true = model < 0, truth < 0
    return jnp.where(jnp.any(true), 2 * jnp.sum(said & true) / jnp.maximum(jnp.sum(said) + jnp.sum(true), 1), jnp.nan)


def setting(options: Options) -> Setting:
    return Setting(Bench(), {LOWEST: [0.0, 0.3, 0.6]}, 20 if options.fast else 400)


def areas(data, lowest: float) -> dict[str, tuple[float, float]]:
    """Area under the curve of every affinity for the sign of the gain over all pairs, and its standard error over seeds."""
    own = data.sel({LOWEST: lowest})
    helps = own["share"].transpose("seed", "source").values > 0
    found = {}
    for name in SHOWN:
        values = own[name].transpose("seed", "source").values
        jackknife = [_area(np.delete(values, i, 0), np.delete(helps, i, 0)) for i in range(min(len(values), 50))]
        known = np.asarray(jackknife)[np.isfinite(jackknife)]
        spread = np.sqrt((len(values) - 1) * np.var(known)) if len(known) else np.nan
        found[name] = _area(values, helps), float(spread)
    return found


def _area(values: np.ndarray, helps: np.ndarray) -> float:
    """NaN where all help, or none."""
    values, helps = values.ravel(), helps.ravel()
    ranks, n = stats.rankdata(values), int(helps.sum())
    if not 0 < n < len(helps):
        return float("nan")
    return float((ranks[helps].sum() - n * (n + 1) / 2) / (n * (len(helps) - n)))


def draw(data):
    fig, (axes,) = figure(2, 4.4, 3.5)
    lowest, heights = data[LOWEST].values, np.arange(len(SHOWN))
    for i, low in enumerate(lowest):
        found = areas(data, low)
        helping = float((data["share"].sel({LOWEST: low}) > 0).mean())
        mean, error = np.array([found[name] for name in SHOWN]).T
        label = f"cosines from {low:g} ({100 * helping:.0f} % help)"
        look = {"color": SERIES[i], "marker": MARKERS[i], "linestyle": "none", "markersize": 5}
        axes[0].errorbar(mean, heights + 0.2 * (i - 1), xerr=1.96 * error, label=label, **look)
    axes[0].axvline(0.5, color="0.5", linewidth=0.8)
    axes[0].set_yticks(heights, SHOWN)
    axes[0].invert_yaxis()
    axes[0].set(xlabel="area under the curve for the sign of\nthe exact gain (chance: 0.5)", xlim=(0, 1))
    bar_entry(axes[0])
    legend(axes[0], "below", 1)
    for i, (label, name) in enumerate(SURROGATES.items()):
        values = [data[name].sel({LOWEST: low}).values for low in lowest]
        middle, low, high = np.array([np.quantile(one, [0.5, 0.25, 0.75]) for one in values]).T
        look = {"color": SERIES[i + 3], "marker": MARKERS[i + 3], "markersize": 5}
        axes[1].errorbar(lowest, middle, [middle - low, high - middle], label=label, **look)
    axes[1].axhline(1, color="black", linestyle="--", linewidth=1.2, label="from ones and twos (theory: exact)")
    axes[1].set(
        xlabel="lowest cosine of a source and the target",
        ylabel="squared correlation with\nthe exact gains of sets\nof four sources",
    )
    axes[1].set(ylim=(0, 1.05), xticks=lowest)
    bar_entry(axes[1], "marks: median over targets; bars: its quartiles")
    legend(axes[1], "below", 1)
    return fig


EXPERIMENT = Experiment(
    "affinity-bench",
    "What a step on a source does for the target at first tells little of its help, or misleads; sets need what two sources do "
    "together.",
    setting,
    draw,
    along=(LOWEST,),
)
