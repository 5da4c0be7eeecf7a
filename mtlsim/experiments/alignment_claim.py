"""Where a source with the target's covariance really beats one with a disjoint covariance, and where it is the other way round."""

import jax
import numpy as np

from mtlsim.cells.transfer import Transfer
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.legends import renew
from mtlsim.plots.maps import difference_map, paired_difference
from mtlsim.tasks.covariance import Spiked
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.statements.alignment_claim import source_of_same_helps_more

SOURCE, TARGET, NOISE, RELATION = "tasks.n_samples[0]", "tasks.n_samples[1]", "tasks.noise", "tasks.relation"
RELATIONS = ("same", "disjoint")
D, COSINE, CONDITION, FRACTION = 50, 0.96, 1e4, 0.1


def setting(options: Options) -> Setting:
    """The paper's example at d = 50, over noise, target samples and source samples."""
    n = 7 if options.fast else 13
    tasks = LinearTasks(D, (1000, 100), cosine=COSINE, design=Spiked(condition_number=CONDITION, fraction=FRACTION))
    grid = {
        RELATION: RELATIONS,
        SOURCE: [100, 1000, 10_000],
        TARGET: np.geomspace(3, 1000, n).round().tolist(),
        NOISE: np.geomspace(0.1, 1000, n).round(4).tolist(),
    }
    return Setting(Transfer(tasks), grid, 40 if options.fast else 100)


ENERGY = FRACTION * CONDITION + 1 - FRACTION  # the mean of theta' Sigma theta
N_STRONG = round(FRACTION * D)


def title(data) -> str:
    """Of the cells in which the two sources differ, for which of them, inside and outside of the condition."""
    counts = {True: [0, 0], False: [0, 0]}
    noise, target = data[NOISE].values[:, None], data[TARGET].values[None, :]
    for n_source in data[SOURCE].values:
        _, sign = paired_difference(data.sel({SOURCE: n_source}), RELATION, RELATIONS, TARGET, NOISE)
        with jax.ensure_compile_time_eval():
            holds = np.asarray(source_of_same_helps_more(noise, n_source, target, N_STRONG, ENERGY, COSINE))
        for where, (same, other) in counts.items():
            chosen = sign[holds == where]
            counts[where] = [same + int((chosen > 0).sum()), other + int((chosen < 0).sum())]
    (same, all_inside), (other, all_outside) = ((counts[where][not where], sum(counts[where])) for where in (True, False))
    return (
        "Where the target's rows leave more unknown than sharing costs and the source has more rows, which show it (dashed), a "
        f"source of the same covariance is better in {same} of {all_inside} decided cells; elsewhere a disjoint one is, in {other} "
        f"of {all_outside}."
    )


def draw(data):
    """The map, and around where the claim holds the condition of `mtlsim.theory.statements.alignment_claim`, dashed."""
    words = ("same covariance better, as the paper claims", "disjoint covariance better: the claim reverses")
    fig = difference_map(data, RELATION, RELATIONS, TARGET, NOISE, words, panels=SOURCE)
    for ax, n_source in zip(fig.axes, data[SOURCE].values, strict=False):
        within = ax.get_xlim(), ax.get_ylim()
        most = min(n_source, within[0][1])
        targets = np.geomspace(within[0][0], most, 50)
        least, largest = np.sqrt((1 - COSINE**2) * ENERGY * targets / N_STRONG), np.sqrt(ENERGY * n_source / N_STRONG)
        ax.plot(targets, least, "k--", linewidth=1.2, label="where the claim is to hold (theory)")
        ax.plot(targets[[0, -1, -1]], [largest, largest, min(least[-1], largest)], "k--", linewidth=1.2)
        ax.set_xlim(within[0])
        ax.set_ylim(within[1])
    renew(fig)
    return fig


EXPERIMENT = Experiment(
    "alignment-claim",
    "A source with the same covariance is better where the target's rows leave more unknown than sharing costs and the source has "
    "more rows, which show it (dashed); elsewhere a disjoint one mostly is, or neither.",
    setting,
    draw,
    along=(TARGET, NOISE),
    whole=(RELATION,),
    title=title,
)
