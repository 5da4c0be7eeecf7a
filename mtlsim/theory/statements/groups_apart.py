"""Groups that use different features: a source of the majority's kind helps the majority and leaves the minority where it was.

Where the groups' rows live on disjoint coordinates, d_g of them, pooled least squares falls apart into one problem per group. A
source of m rows of the majority's kind with the same parameters lowers the risk of the majority to noise^2 d_g / (n_g + m - d_g -
1) and leaves that of the minority at noise^2 d_g / (n_g - d_g - 1): the mean improves, and
where the majority was better off already, the gap grows.
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.groups import Groups
from mtlsim.core.extremes import smallest_of
from mtlsim.solvers.objective import per_task
from mtlsim.tasks.covariance import Diagonal
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.statement import EDGE, OUTSIDE, Statement, gaussian_rows, tasks_of

FEATURES = (8, 5)  # of the majority and of the minority


def assume(cell, key):
    tasks = tasks_of(cell, key)
    if tasks.n_tasks != 3 or cell.n_groups != 2:
        return {"one source and two groups": -1.0}
    source, many, few = (covariance.matrix() for covariance in tasks.covariances)
    size = lambda matrix: jnp.abs(matrix).sum()
    off = tasks.covariances[0].quadratic(tasks.parameters[0] - tasks.parameters[1])
    weights = per_task(cell.weights, 1.0, 3, "weights", tasks.parameters.dtype)
    rows = tasks.n_samples[-2:] - n_used(tasks)
    return {
        "Gaussian rows of their own for each task": gaussian_rows(cell),
        "groups on disjoint features": 1e-9 - size(many @ few) / size(many),
        "a source of the majority's covariance": 1e-9 - size(source - many) / size(many),
        "a source with the target's parameters": 1e-9 - off,
        "one noise, and rows that all count alike": 1e-9 - jnp.ptp(tasks.noise) - jnp.ptp(weights),
        "weights": smallest_of(weights) - 1e-9,
        "risks of finite variance": smallest_of(rows) - 3.5,
    }


def n_used(tasks):
    """Features that the majority uses, and the minority."""
    return jnp.stack([jnp.sum(covariance.eigenvalues > 0) for covariance in tasks.covariances[-2:]])


def predict(cell, key):
    tasks = tasks_of(cell, key)
    if tasks.n_tasks != 3 or cell.n_groups != 2:
        return dict.fromkeys(("gain_majority", "risk_single_minority", "risk_multi_minority"), jnp.asarray(jnp.nan))
    source, many, few = tasks.n_samples
    first, second = n_used(tasks)
    risk = lambda features, rows: tasks.noise[-1] ** 2 * features / (rows - features - 1)
    return {
        "gain_majority": risk(first, many) - risk(first, many + source),
        "risk_single_minority": risk(second, few),
        "risk_multi_minority": risk(second, few),
    }


def measure(cell, key):
    found = cell(key=key)
    return {name: found[name] for name in ("gain_majority", "risk_single_minority", "risk_multi_minority")}


def instance(place: str, rng: np.random.Generator) -> Groups:
    """Outside, a source whose parameters are off, of which the majority gains less."""
    many, few = FEATURES
    d, edge = many + few, place == EDGE
    spread = rng.uniform(0.3, 3, d)
    first = np.where(np.arange(d) < many, spread, 0)
    second = spread - first
    target = rng.normal(size=d)
    source = target + (rng.normal(size=d) if place == OUTSIDE else 0)
    tasks = LinearTasks(
        n_features=d,
        n_samples=(int(rng.integers(10, 100)), many + (4 if edge else int(rng.integers(8, 40))), few + (4 if edge else 8)),
        noise=float(rng.uniform(0.5, 1.5)),
        design=(Diagonal(first), Diagonal(first), Diagonal(second)),
        parameters=np.stack([source, target, target]),
    )
    return Groups(tasks)


STATEMENT = Statement(
    name="groups-apart",
    claim="A source of the majority's kind helps the majority as pooling does, and leaves a minority on other features where it "
    "was.",
    source=("derived",),
    kind="equality",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
)
