"""Every optimiser of the field on the same exact problems: how fast, how good a point, how well it predicts, each by itself."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from scipy import stats

from mtlsim.core.extremes import largest_of
from mtlsim.core.keys import check_key, normal, stream
from mtlsim.core.linalg import multiply
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import bar_entry, legend
from mtlsim.plots.style import MARKERS, SERIES, figure, panels_of
from mtlsim.samples.moments import Moments
from mtlsim.solvers.scalarise import Scalarised, WorstLoss, least_scaled_loss, search
from mtlsim.training.weighted import WeightedTraining, train_weighted
from mtlsim.weighting import Facts, OneOf, find_scheme, scheme_names
from mtlsim.weighting._scheme import FixedScheme
from mtlsim.weighting.pcgrad import MOST

N_FEATURES, N_ROWS, COSINE = 10, 40, 0.5
CLEAN, NOISY = 0.5, 2.0
PATTERNS = ("equal", "one noisy task", "graded")
TASKS, COUNTS = "n_tasks", (2, 3, 5, 8)
TUNED = ("tuned: worst loss", "tuned: mean risk")
SHOWN = (*TUNED, *scheme_names())
PATTERN_COLOURS = (SERIES[4], SERIES[5], "black")
WITHIN = 0.01  # of where it ends
N_RECORDS = 100
LEAST = 1e-4  # of a task's energy: a share of it that counts as nothing


class Given(FixedScheme):
    """Weights that are known before."""

    values: Array

    def decide(self, facts: Facts):
        return self.values, jnp.zeros((), jnp.int32)


class Bench(eqx.Module):
    """A cell: K tasks of equal cosines on the same rows, a layer of K - 1 columns, trained under every scheme in turn.

    With e_k the part of task k's mean loss that a column of its own would remove, of each scheme
    steps: after which all losses stay within 1 % of where they end;
    front: the share of all e_k that the best layer would leave, exactly (1: on the front);
    hull: a proven lower bound on the same share for the convex hull of the front;
    weights: the least max_k e_k(w) / e_k of optima under fixed weights w: above one, no weights found do as well for every task;
    risk: the mean exact excess risk of all tasks over that of the weights for which it is least.

    all for three patterns of noise: standard deviations 0.5 ("equal"), 2 for the first task ("one noisy task"), or from 0.25 to 2
    ("graded"). PCGrad goes through all orders and is left out (NaN) of more than six tasks.
    """

    n_tasks: int = eqx.field(default=3, static=True)
    training: WeightedTraining = WeightedTraining(n_steps=1000, learning_rate=0.02)

    @property
    def dimensions(self) -> dict[str, tuple[str, str]]:
        return dict.fromkeys(("steps", "front", "hull", "weights", "risk", "unsettled"), ("noise", "scheme"))

    def __call__(self, *, key):
        key, n = check_key(key), self.n_tasks
        patterns = [np.full(n, CLEAN), np.r_[NOISY, np.full(n - 1, CLEAN)], np.geomspace(CLEAN / 2, NOISY, n)]
        return jax.lax.map(lambda noise: self.under(noise, key), jnp.asarray(np.stack(patterns)))

    def under(self, noise: Array, key) -> dict[str, Array]:
        """All numbers for tasks of this noise (K,), a scheme each."""
        moments, truth = self.draw(noise, key)
        problem = Scalarised.of(moments, self.n_tasks - 1)
        visible = eqx.tree_at(lambda p: p.hidden, problem, jnp.zeros_like(problem.hidden))
        own = jnp.sum(visible.sides**2, 1) / visible.n_samples
        risk_of = lambda parameters: jnp.mean(jnp.sum((parameters - truth) ** 2, 1))
        starts = -jnp.log(own) + normal(stream(key, "weights"), (8, self.n_tasks))

        def tune(is_risk):  # both in one program
            cost = lambda parameters, losses: jnp.where(is_risk, risk_of(parameters), losses)
            return search(visible, cost, starts, 40)[:2]

        fixed, (_, least) = jax.lax.map(tune, jnp.array([False, True]))
        schemes = tuple(find_scheme(name)() for name in self.names())

        def tried(which):
            given = Given(jnp.exp(fixed[jnp.minimum(which, 1)]))
            scheme = OneOf((given, given, *schemes), which)
            found = train_weighted(moments, scheme, self.n_tasks - 1, self.training, stream(key, "training"), N_RECORDS)
            far = jnp.any(jnp.abs(found.path.losses - found.losses) > WITHIN * found.losses, 1)
            steps = (1 + largest_of(jnp.where(far, jnp.arange(N_RECORDS) + 1, 0))) * (self.training.n_steps / N_RECORDS)
            parts = jnp.maximum(found.losses - problem.hidden, LEAST * own)
            level, bound = self.beaten(visible, parts, found.weights_mean, stream(key, "search"))
            front = jnp.minimum(least_scaled_loss(visible, parts), 1)
            risk = risk_of(multiply(found.heads, found.shared.T)) / least
            return {"steps": steps, "front": front, "hull": bound, "weights": level, "risk": risk, "unsettled": found.status > 0}

        found = jax.lax.map(tried, jnp.arange(len(schemes) + len(TUNED)))
        places = np.array([SHOWN.index(name) for name in (*TUNED, *self.names())])
        spread = lambda values: jnp.full(len(SHOWN), jnp.nan).at[places].set(values)
        return jax.tree.map(spread, found)

    def names(self) -> list[str]:
        """Schemes for so many tasks."""
        return [name for name in scheme_names() if name != "pcgrad" or self.n_tasks <= MOST]

    def draw(self, noise: Array, key) -> tuple[Moments, Array]:
        """Moments of labels on the same rows, and the parameters (K, d) behind them."""
        n, d = self.n_tasks, N_FEATURES
        inner = jnp.linalg.cholesky((1 - COSINE) * jnp.eye(n) + COSINE)
        truth = multiply(inner, jnp.linalg.qr(normal(stream(key, "parameters"), (d, n)))[0].T)
        X = normal(stream(key, "rows"), (N_ROWS, d))
        labels = multiply(truth, X.T) + noise[:, None] * normal(stream(key, "noise"), (n, N_ROWS))
        basis, triangle = jnp.linalg.qr(X)
        scores = multiply(labels, basis)
        counts = jnp.full(n, float(N_ROWS))
        gram, cross = multiply(triangle.T, triangle), multiply(scores, triangle)
        return Moments(gram, cross, jnp.sum(labels**2, 1), counts, triangle.T, scores, rank_known=True), truth

    def beaten(self, visible: Scalarised, parts: Array, weights: Array, key) -> tuple[Array, Array]:
        """The least max_k e_k(w) / e_k under weights, and its bound; from those under which this very point is stationary too."""
        sides = visible.sides / jnp.sqrt(visible.n_samples)[:, None]
        inverse = jnp.linalg.inv(multiply(sides, sides.T))
        signs = np.array([[1 - 2 * (pattern >> k & 1) for k in range(self.n_tasks)] for pattern in range(2 ** (self.n_tasks - 1))])
        sizes = jnp.asarray(signs, parts.dtype) * jnp.sqrt(parts)
        z = sizes[jnp.argmin(jnp.abs(jnp.sum(multiply(sizes, inverse) * sizes, 1) - 1))]  # on the surface of all layers
        own = jnp.log(jnp.maximum(multiply(inverse, z) / z, 1e-8))
        used = jnp.log(jnp.maximum(weights, 1e-8))
        starts = jnp.stack([own, used, -jnp.log(parts), -jnp.log(parts) + normal(key, (self.n_tasks,))])
        _, level, bound, *_ = search(visible, WorstLoss(parts), starts - jnp.mean(starts, 1, keepdims=True), 20)
        return level, jnp.minimum(bound, 1)


def setting(options: Options) -> Setting:
    return Setting(Bench(), {TASKS: list(COUNTS)}, 3 if options.fast else 20)


def median(values: np.ndarray) -> tuple[float, float, float]:
    """The median of numbers, and its 95 % interval by order statistics; NaN is left out."""
    values = np.sort(values[np.isfinite(values)])
    if not len(values):
        return (float("nan"),) * 3
    low = int(stats.binom.ppf(0.025, len(values), 0.5))
    return tuple(
        float(value) for value in (np.median(values), values[max(low - 1, 0)], values[min(len(values) - low, len(values) - 1)])
    )


def share(hits: np.ndarray) -> tuple[float, float, float]:
    """A share and its 95 % interval (Wilson)."""
    found = stats.binomtest(int(hits.sum()), len(hits)).proportion_ci(method="wilson")
    return float(hits.mean()), found.low, found.high


def draw(data):
    fig, (axes,) = figure(3, 2.6, 6.4)
    rows = np.arange(len(SHOWN))
    counts = data[TASKS].values
    of = lambda name, **chosen: data[name].sel(chosen).transpose("scheme", ...).values.reshape(len(SHOWN), -1)
    for i, count in enumerate(counts):
        chosen, places = {TASKS: count}, rows + 0.19 * (i - 1.5)
        look = {"color": SERIES[i], "marker": MARKERS[i], "markersize": 3, "linestyle": "none", "elinewidth": 0.8}
        middle, low, high = np.array([median(row) for row in of("steps", **chosen)]).T
        axes[0].errorbar(middle, places, xerr=[middle - low, high - middle], label=f"{count} tasks", **look)
        for sign, beats in ((1, of("weights", **chosen) > 1 + WITHIN), (-1, of("weights", **chosen) < 1 - WITHIN)):
            known = np.isfinite(of("weights", **chosen)).all(1)
            middle, low, high = np.array([share(row) for row in beats]).T * sign
            seen = known & (middle != 0)
            axes[1].errorbar(middle[seen], places[seen], xerr=np.abs([middle - low, high - middle])[:, seen], **look)
    for i, pattern in enumerate(PATTERNS):
        middle, low, high = np.array([median(row) for row in of("risk", noise=i)]).T
        look = {"color": PATTERN_COLOURS[i], "marker": MARKERS[i + 3], "markersize": 3.5, "linestyle": "none", "elinewidth": 0.8}
        places = rows + 0.25 * (i - 1)
        axes[2].errorbar(middle, places, xerr=[middle - low, high - middle], label=f"noise: {pattern}", **look)
    side_by_side = panels_of(fig)[2]
    for i, ax in enumerate(axes):
        ax.set(ylim=(len(rows) - 0.5, -0.5))
        ax.set_yticks(rows, SHOWN if i % side_by_side == 0 else [""] * len(rows))
        ax.axhline(len(TUNED) - 0.5, color="black", linewidth=0.8)
        for place in rows[::2]:
            ax.axhspan(place - 0.5, place + 0.5, color="0.96", zorder=0)
    axes[0].set(xscale="log", xlabel="speed: steps until all losses stay\nwithin 1 % of where they end")
    axes[1].axvline(0, color="black", linewidth=0.8)
    axes[1].set(xlim=(-1.05, 1.05), xlabel="point: share of runs where weights do\nbetter (left), and no weights do as well")
    axes[1].set_xticks([-1, -0.5, 0, 0.5, 1], ["1", "0.5", "0", "0.5", "1"])
    axes[2].axvline(1, color="black", linewidth=0.8)
    axes[2].set(xscale="log", xlabel="generalisation: mean risk over that\nof the best weights for it")
    axes[2].set_xticks([1, 2, 5], ["1", "2", "5"])
    axes[2].minorticks_off()
    bar_entry(axes[0], "marks: medians, shares; bars: interval (95 %)")
    legend(fig, n_columns=3)
    return fig


def found(data) -> str:
    """By number of tasks, the share of runs in which no weights do as well as an optimiser: that of the optimiser with most."""
    shares = []
    for count in np.atleast_1d(data[TASKS].values):
        factors = data["weights"].sel({TASKS: [count]}).transpose("scheme", ...).values.reshape(len(SHOWN), -1)[len(TUNED) :]
        most = np.nanmax(np.mean(factors > 1 + WITHIN, 1))
        shares.append(f"{most:.0%}" + (f" of {count}" if shares else f" of those of {count} tasks"))
    return f"Runs in which no tuned weights do as well as an optimiser are, for every optimiser, at most {', '.join(shares)}."


EXPERIMENT = Experiment(
    "optimiser-bench",
    "Of two tasks no optimiser beats tuned weights, of more a few do now and then; who predicts best is another question.",
    setting,
    draw,
    title=found,
)
