"""Groups that use different features: a source of the majority's kind helps the majority and leaves the minority where it was.

Where the groups' rows live on disjoint coordinates, d_g of them, pooled least squares falls apart into one problem per group. A
source of m rows of the majority's kind with the same parameters lowers the risk of the majority to noise^2 d_g / (n_g + m - d_g -
1) and leaves those of the others at noise^2 d_g / (n_g - d_g - 1): the mean improves, and where the majority was better off
already, the gap grows.
"""

import itertools

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.groups import Groups
from mtlsim.core.extremes import largest_of, smallest_of
from mtlsim.solvers.objective import per_task
from mtlsim.tasks.covariance import Diagonal
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.statement import EDGE, OUTSIDE, Statement, gaussian_rows, measured, tasks_of

FEATURES = (6, 3, 4)  # of the groups, the majority first and the minority last


def assume(cell, key):
    tasks = tasks_of(cell, key)
    if tasks.n_tasks != cell.n_groups + 1:
        return {"one source": -1.0}
    source, *groups = (covariance.matrix() for covariance in tasks.covariances)
    size = lambda matrix: jnp.abs(matrix).sum()
    shared = jnp.stack([size(one @ other) / size(one) for one, other in itertools.combinations(groups, 2)])
    off = tasks.covariances[0].quadratic(tasks.parameters[0] - tasks.parameters[1])
    weights = per_task(cell.weights, 1.0, tasks.n_tasks, "weights", tasks.parameters.dtype)
    rows = tasks.n_samples[1:] - n_used(tasks)
    return {
        "Gaussian rows of their own for each task": gaussian_rows(cell),
        "groups on disjoint features": 1e-9 - largest_of(shared),
        "a source of the majority's covariance": 1e-9 - size(source - groups[0]) / size(groups[0]),
        "a source with the target's parameters": 1e-9 - off,
        "one noise, and rows that all count alike": 1e-9 - jnp.ptp(tasks.noise) - jnp.ptp(weights),
        "weights": smallest_of(weights) - 1e-9,
        "risks of finite variance": smallest_of(rows) - 3.5,
    }


def n_used(tasks):
    """Features that each group uses."""
    return jnp.stack([jnp.sum(covariance.eigenvalues > 0) for covariance in tasks.covariances[1:]])


def predict(cell, key):
    tasks = tasks_of(cell, key)
    if tasks.n_tasks != cell.n_groups + 1:
        return dict.fromkeys(("gain_majority", "risk_single_minority", "risk_multi_minority"), jnp.asarray(jnp.nan))
    source, rows, used = tasks.n_samples[0], tasks.n_samples[1:], n_used(tasks)
    risk = lambda features, rows: tasks.noise[-1] ** 2 * features / (rows - features - 1)
    return {
        "gain_majority": risk(used[0], rows[0]) - risk(used[0], rows[0] + source),
        "risk_single_minority": risk(used[-1], rows[-1]),
        "risk_multi_minority": risk(used[-1], rows[-1]),
    }


def instance(place: str, rng: np.random.Generator) -> Groups:
    """Outside, a source whose parameters are off, of which the majority gains less."""
    edge = place == EDGE
    d, spread = sum(FEATURES), rng.uniform(0.3, 3, sum(FEATURES))
    group = np.repeat(np.arange(len(FEATURES)), FEATURES)
    variances = [np.where(group == g, spread, 0) for g in range(len(FEATURES))]
    target = rng.normal(size=d)
    source = target + (rng.normal(size=d) if place == OUTSIDE else 0)
    more = [4 if edge else int(number) for number in (rng.integers(8, 40), 8, 6)]
    tasks = LinearTasks(
        n_features=d,
        n_samples=(int(rng.integers(10, 100)), *(features + extra for features, extra in zip(FEATURES, more, strict=True))),
        noise=float(rng.uniform(0.5, 1.5)),
        design=tuple(map(Diagonal, (variances[0], *variances))),
        parameters=np.stack([source, *[target] * len(FEATURES)]),
    )
    return Groups(tasks, n_groups=len(FEATURES))


STATEMENT = Statement(
    name="groups-apart",
    claim="A source of the majority's kind helps the majority as pooling does, and leaves a minority on other features where it "
    "was.",
    source=("derived",),
    kind="equality",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("gain_majority", "risk_single_minority", "risk_multi_minority"),
)
