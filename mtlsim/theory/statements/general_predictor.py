"""High-dimensional risk of weighted, ridge-regularised pooled least squares (`mtlsim.theory.predictor`).

Any number of tasks, any covariances, models, noises and weights. It contains ridge regression of one task, pooling with
covariate and model shift [yang2025precise], and, by lifting the features, every method of sharing with given heads (`fixed_heads`).
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.transfer import Transfer
from mtlsim.solvers.objective import per_task
from mtlsim.tasks.covariance import PowerLaw
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.margins import full_rank
from mtlsim.theory.predictor import predict_each, simplest_form
from mtlsim.theory.statement import INSIDE, OUTSIDE, Cells, Statement, gaussian_rows, half_as_large, measured, tasks_of


def _predicted(cell, key):
    tasks = tasks_of(cell, key)
    weights = per_task(cell.weights, 1.0, tasks.n_tasks, "weights", tasks.parameters.dtype)
    ridge = per_task(cell.ridge, 0.0, tasks.n_tasks, "ridge", tasks.parameters.dtype)
    form = simplest_form(tasks, cell.ridge is None)
    alone = jnp.zeros_like(weights).at[-1].set(1)
    ridges = jnp.stack([jnp.sum(weights * ridge), ridge[-1]])
    return predict_each(form, tasks.n_samples, tasks.noise, jnp.stack([weights, alone]), ridges)


def assume(cell, key):
    together, single = _predicted(cell, key)
    tasks = tasks_of(cell, key)
    ridge = per_task(cell.ridge, 0.0, tasks.n_tasks, "ridge", tasks.parameters.dtype)
    return {
        "Gaussian rows of their own for each task": gaussian_rows(cell),
        "rows in all away from the number of features": together.margin,
        "target rows away from the number of features": single.margin,
        "covariances of full rank, or a ridge": full_rank(tasks, ridge),
    }


def predict(cell, key):
    together, single = _predicted(cell, key)
    alone, multi = single.risk[-1], together.risk[-1]
    return {"risk_single": alone, "risk_multi": multi, "gain": alone - multi}


def trust(cell) -> float:
    return 2.5 / cell.tasks.n_features


def instance(place: str, rng: np.random.Generator) -> Transfer:
    d, n_tasks = (60, 2) if rng.random() < 0.5 else (40, 3)
    n_target = rng.integers(1.4 * d, 3 * d) if place == INSIDE else d + 4
    tasks = LinearTasks(
        n_features=d,
        n_samples=(*rng.integers(d // 2, 6 * d, n_tasks - 1).tolist(), int(n_target)),
        cosine=rng.uniform(-0.5, 1, n_tasks - 1).tolist(),
        noise=rng.uniform(0.3, 1.5, n_tasks).tolist(),
        parameter_norm=rng.uniform(0.5, 2, n_tasks).tolist(),
        design=PowerLaw(float(rng.uniform(0, 1))),
        relation="rotated" if n_tasks == 2 else "disjoint",
    )
    ridge = tuple(rng.uniform(0, 20 if place == INSIDE else 0, n_tasks)) if n_tasks == 3 else None
    return Transfer(tasks, sharing="pooled", weights=tuple(rng.uniform(0.2, 2, n_tasks)), ridge=ridge)


STATEMENT = Statement(
    name="general-predictor",
    claim="With many features, weighted ridge least squares on any tasks together has a known risk.",
    source=("derived",),
    kind="limit",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("risk_single", "risk_multi"),
    cells=Cells(sharing="pooled", weights=True, ridge=True),
    trust=trust,
    places=(INSIDE, OUTSIDE),
    resized=half_as_large,
)
