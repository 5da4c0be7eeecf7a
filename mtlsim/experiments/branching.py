"""Branching by affinity [lu2017fully] against the best of all partitions, over how related two pairs of tasks are."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mtlsim.core.extremes import largest_of
from mtlsim.core.keys import normal, stream
from mtlsim.core.linalg import multiply
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import legend
from mtlsim.plots.style import MARKERS, SERIES, figure
from mtlsim.samples.moments import Moments
from mtlsim.samples.wishart import draw_moments
from mtlsim.solvers.partitions import affinities, choose_partition, partitions
from mtlsim.solvers.solve import solve
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.linear import LinearTasks

COSINE, NOISE = "cosine", "noise"
N_TASKS, FEATURES, ROWS, COMMON = 4, 10, 40, 400
WITHIN = 0.95  # cosine of the tasks of a pair
COSTS = (1 / 64, 8 / 64, 32 / 64)  # of a further branch, as published for layers near the output, in between, and near the input
EVERY = partitions(N_TASKS)


class Branching(eqx.Module):
    """A cell: risk (15,), the mean over four tasks of 40 rows under hard sharing inside the groups of each of the 15 partitions.

    cosine: between the first tasks of both pairs. chosen: the partition of each cost, by the affinity of the hard-sharing model's
    errors on 400 common rows whose labels have no noise, which a simulator has and data with rows of their own do not.
    """

    cosine: Array | float = 0.5
    noise: Array | float = 1.0

    @property
    def tasks(self) -> LinearTasks:
        cosine = jnp.asarray(self.cosine, float)
        sine, away = jnp.sqrt(1 - cosine**2), np.sqrt(1 - WITHIN**2)
        axes = jnp.eye(4, FEATURES)
        second = cosine * axes[0] + sine * axes[1]
        parameters = jnp.stack([axes[0], WITHIN * axes[0] + away * axes[2], second, WITHIN * second + away * axes[3]])
        return LinearTasks(
            FEATURES, (ROWS,) * N_TASKS, parameters=parameters, noise=self.noise, design=Isotropic(), relation="same"
        )

    def __call__(self, *, key):
        tasks = self.tasks.draw(key=key)
        moments = draw_moments(tasks, key=stream(key, "samples"))
        risks, status, hard = jnp.zeros((len(EVERY), N_TASKS)), [], None
        for size in range(1, N_TASKS + 1):
            groups = np.asarray([group for group in np.ndindex(*[N_TASKS] * size) if (np.diff(group) > 0).all()])
            found, worst_of = jax.lax.map(lambda members: _fit(moments, members, tasks.parameters), groups)
            status.append(largest_of(worst_of))
            hard = found
            for number, group in enumerate(groups):
                inside = [p for p, split in enumerate(EVERY) if _is_group(split, group)]
                errors = jnp.sum((found[number] - tasks.parameters[group]) ** 2, -1)
                risks = risks.at[np.asarray(inside)[:, None], group].set(errors)
        rows = normal(stream(key, "common"), (COMMON, FEATURES))
        misses = jnp.abs(multiply(hard[0] - tasks.parameters, rows.T))
        chosen = jnp.stack([choose_partition(affinities(misses), cost) for cost in COSTS])
        return {"risk": jnp.mean(risks, -1), "chosen": chosen, "status": largest_of(jnp.stack(status))}


def _is_group(split: tuple[int, ...], group: np.ndarray) -> bool:
    numbers = np.asarray(split)
    return bool(np.array_equal(np.flatnonzero(numbers == numbers[group[0]]), group))


def _fit(moments: Moments, members: Array, parameters: Float[Array, "K d"]):
    """Parameters under one shared direction, and the status."""
    own = jax.tree.map(lambda leaf: leaf[members], moments)
    found = solve(own, 1, n_starts=2)
    return found.parameters, found.status


def setting(options: Options) -> Setting:
    cosines = np.linspace(-1, 1, 7 if options.fast else 13).round(6).tolist()
    return Setting(Branching(), {NOISE: [0.3, 1.0], COSINE: cosines}, 20 if options.fast else 80)


def draw(data):
    fig, (axes,) = figure(data.sizes[NOISE], 3.6, 3.7)
    names = {**{f"by affinity, cost {round(64 * cost)}/64": None for cost in COSTS}, "all share": 0, "each alone": len(EVERY) - 1}
    for ax, noise in zip(axes, data[NOISE].values, strict=True):
        risk, chosen = (data[name].sel({NOISE: noise}).values for name in ("risk", "chosen"))
        best = risk.mean(1).argmin(-1)  # of the mean, not of each draw, which no rule could know
        least = np.take_along_axis(risk, best[:, None, None], -1)[..., 0]
        for i, (name, fixed) in enumerate(names.items()):
            own = np.take_along_axis(risk, chosen[..., i : i + 1].astype(int), -1)[..., 0] if fixed is None else risk[..., fixed]
            regret = own - least
            error = 1.96 * regret.std(-1, ddof=1) / np.sqrt(regret.shape[-1])
            line = {"color": SERIES[i], "marker": MARKERS[i], "linestyle": "-" if fixed is None else ":"}
            ax.errorbar(data[COSINE].values, regret.mean(-1), error, label=name, **line)
        ax.axhline(0, color="black", linewidth=0.8, label="best of all 15 partitions")
        ax.set_xlabel("cosine between the two pairs")
        ax.set_title(f"noise {noise:g}")
    axes[0].set_ylabel("regret: mean risk over that of the best\npartition (lower is better; bars: 95 %)")
    legend(fig, "outside lower center", 3)
    return fig


EXPERIMENT = Experiment(
    "branching",
    "Branching by what tasks find hard together shares almost nothing, or all, as its cost says; no one cost finds the best "
    "partition at every cosine and noise.",
    setting,
    draw,
    along=(COSINE,),
)
