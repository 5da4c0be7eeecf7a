"""Where a source with the target's covariance really beats one with a disjoint covariance, and where it is the other way round."""

import numpy as np

from mtlsim.cells.transfer import Transfer
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import renew
from mtlsim.plots.maps import difference_map
from mtlsim.tasks.covariance import Spiked
from mtlsim.tasks.linear import LinearTasks

SOURCE, TARGET, NOISE, RELATION = "tasks.n_samples[0]", "tasks.n_samples[1]", "tasks.noise", "tasks.relation"
D, COSINE, CONDITION, FRACTION = 50, 0.96, 1e4, 0.1


def setting(options: Options) -> Setting:
    """The paper's example at d = 50, over noise, target samples and source samples."""
    n = 7 if options.fast else 13
    tasks = LinearTasks(D, (1000, 100), cosine=COSINE, design=Spiked(condition_number=CONDITION, fraction=FRACTION))
    grid = {
        RELATION: ("same", "disjoint"),
        SOURCE: [100, 1000, 10_000],
        TARGET: np.geomspace(3, 1000, n).round().tolist(),
        NOISE: np.geomspace(0.1, 1000, n).round(4).tolist(),
    }
    return Setting(Transfer(tasks), grid, 40 if options.fast else 100)


def draw(data):
    """The map, and around where the claim holds the condition of `mtlsim.theory.statements.alignment_claim`, dashed."""
    words = ("same covariance better, as the paper claims", "disjoint covariance better: the claim reverses")
    fig = difference_map(data, RELATION, ("same", "disjoint"), TARGET, NOISE, words, panels=SOURCE)
    n_strong = round(FRACTION * D)
    energy = FRACTION * CONDITION + 1 - FRACTION  # the mean of theta' Sigma theta
    for ax, n_source in zip(fig.axes, data[SOURCE].values, strict=False):
        within = ax.get_xlim(), ax.get_ylim()
        most = min(n_source, within[0][1])
        targets = np.geomspace(within[0][0], most, 50)
        least, largest = np.sqrt((1 - COSINE**2) * energy * targets / n_strong), np.sqrt(energy * n_source / n_strong)
        ax.plot(targets, least, "k--", linewidth=1.2, label="where the claim is to hold (theory)")
        ax.plot(targets[[0, -1, -1]], [largest, largest, min(least[-1], largest)], "k--", linewidth=1.2)
        ax.set_xlim(within[0])
        ax.set_ylim(within[1])
    renew(fig)
    return fig


EXPERIMENT = Experiment(
    "alignment-claim",
    "A source with the same covariance is better only where the target's rows leave more unknown than sharing costs and the source "
    "has more rows, which show it (dashed); elsewhere a disjoint one is better or neither.",
    setting,
    draw,
    along=(TARGET, NOISE),
    whole=(RELATION,),
)
