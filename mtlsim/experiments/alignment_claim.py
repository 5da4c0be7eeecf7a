"""Where a source with the target's covariance really beats one with a disjoint covariance, and where it is the other way round."""

import numpy as np

from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.maps import difference_map
from mtlsim.tasks.covariance import Spiked
from mtlsim.tasks.linear import LinearTasks
from mtlsim.transfer.cell import Transfer

TARGET, NOISE, RELATION = "tasks.n_samples[1]", "tasks.noise", "tasks.relation"


def setting(options: Options) -> Setting:
    """The paper's example at d = 50, with 1000 source samples."""
    n = 7 if options.fast else 17
    tasks = LinearTasks(n_features=50, n_samples=(1000, 100), cosine=0.96, design=Spiked(condition_number=1e4, fraction=0.1))
    grid = {
        RELATION: ("same", "disjoint"),
        TARGET: np.geomspace(3, 1000, n).round().tolist(),
        NOISE: np.geomspace(0.1, 1000, n).round(4).tolist(),
    }
    return Setting(Transfer(tasks), grid, 40 if options.fast else 100)


def draw(data):
    return difference_map(
        data,
        RELATION,
        ("same", "disjoint"),
        TARGET,
        NOISE,
        ("same covariance better:\nas the paper claims", "disjoint covariance better:\nthe claim reverses"),
    )


EXPERIMENT = Experiment(
    "alignment-claim",
    "A source with the same covariance is better only with few target samples or much noise; elsewhere a disjoint one is better.",
    setting,
    draw,
    along=(TARGET, NOISE),
)
