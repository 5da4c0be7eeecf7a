"""High-dimensional risk of every architecture whose columns are mixed in fixed amounts and kept small.

Columns b_c with ridges, mixed by H (C, K) into the tasks' parameters W, minimise

    sum_k |X_k theta_k - y_k|^2 + tr(W' Sigma^-1 W),      Sigma = sum_c h_c h_c' / ridge_c   (see `kronecker-ridge`),

one ridge regression on task features Sigma^(1/2) e_k (x) x. The equations of `mtlsim.theory.predictor` apply, and with covariances
diagonal in one basis all they need are K x K matrices per coordinate, those of `mean-regularised` with Sigma^-1 for its pull. So
soft sharing, held cross-stitch units, gated experts, sluice columns and a given task covariance have one law.
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.transfer import Transfer
from mtlsim.core.extremes import smallest_of
from mtlsim.sharing._sharing import MixedSharing
from mtlsim.sharing.cross_stitch import CrossStitch
from mtlsim.sharing.gated_experts import GatedExperts
from mtlsim.sharing.multilinear import MultilinearRelationship
from mtlsim.sharing.sluice import Sluice
from mtlsim.sharing.soft import Soft
from mtlsim.solvers.mixed import Mixing
from mtlsim.tasks.covariance import PowerLaw
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.margins import decades
from mtlsim.theory.predictor import predict_pooled
from mtlsim.theory.statement import INSIDE, OUTSIDE, Cells, Statement, gaussian_rows, half_as_large, measured, tasks_of
from mtlsim.theory.statements.mean_regularised import Coupled, diagonal_together

SPAN = 1e6  # largest ratio of the variances that Sigma gives to combinations of tasks


def is_held(cell) -> bool:
    """Whether the architecture mixes in fixed amounts."""
    return isinstance(cell.sharing, MixedSharing) and cell.sharing.held


def _spread(cell):
    """Sigma (K, K), and the largest over the smallest variance that it gives; infinite where a column has no ridge."""
    n_tasks = cell.tasks.n_tasks
    if not is_held(cell):
        return jnp.eye(n_tasks), jnp.full((), jnp.inf)
    amounts, ridge = (jnp.asarray(part, float) for part in cell.sharing.mixing(n_tasks))
    covariance = Mixing(amounts, jnp.where(ridge > 0, ridge, 1.0)).task_covariance()
    values = jnp.linalg.eigvalsh(covariance)
    whole = (smallest_of(ridge) > 0) & (values[0] * SPAN > values[-1])
    spread = jnp.where(whole, values[-1] / jnp.where(whole, values[0], 1), jnp.inf)
    return jnp.where(whole, covariance, jnp.eye(n_tasks)), spread


def _predicted(cell, key):
    tasks = tasks_of(cell, key)
    spectra = jnp.stack([covariance.eigenvalues for covariance in tasks.covariances])
    precision = jnp.linalg.inv(_spread(cell)[0])
    form = Coupled(spectra, tasks.parameters, jnp.ones_like(spectra[0]), precision)
    return predict_pooled(form, tasks.n_samples, tasks.noise, jnp.ones(tasks.n_tasks))


def assume(cell, key):
    covariances = tasks_of(cell, key).covariances
    return {
        "Gaussian rows of their own for each task": gaussian_rows(cell),
        "covariances that are diagonal together": diagonal_together(covariances),
        "a mixing that is held": 1.0 if is_held(cell) else -1.0,
        "columns that are all kept small, for every combination of tasks (decades)": decades(SPAN, _spread(cell)[1]),
        "rows together away from the number of features": _predicted(cell, key).margin,
    }


def predict(cell, key):
    return {"risk_multi": _predicted(cell, key).risk[-1]}


def trust(cell) -> float:
    return 2.5 / cell.tasks.n_features


def instance(place: str, rng: np.random.Generator) -> Transfer:
    d, n_tasks = 60, 2
    tasks = LinearTasks(
        n_features=d,
        n_samples=rng.integers(0.5 * d, 4 * d, n_tasks).tolist(),
        cosine=rng.uniform(-0.5, 1, n_tasks - 1).tolist(),
        noise=rng.uniform(0.3, 1.5, n_tasks).tolist(),
        parameter_norm=rng.uniform(0.5, 2, n_tasks).tolist(),
        design=PowerLaw(float(rng.uniform(0, 1))),
        relation="same" if place == INSIDE else "disjoint",
    )
    decay = float(d * np.exp(rng.uniform(-2, 2)))
    correlation = float(rng.uniform(-0.8, 0.95))
    sharing = (
        CrossStitch(float(rng.uniform(0.6, 1)), False, decay),
        GatedExperts(float(rng.uniform(0.1, 0.9)), decay),
        Sluice("private", decay),
        Soft(decay, decay * float(rng.uniform(0.1, 1))),
        MultilinearRelationship([[1.0, correlation], [correlation, 1.0]], decay),
    )[rng.integers(5)]
    return Transfer(tasks, sharing=sharing)


STATEMENT = Statement(
    name="held-mixing",
    claim="With many features, every architecture whose columns are mixed in fixed amounts and kept small has a known risk.",
    source=("derived",),
    kind="limit",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("risk_multi"),
    cells=Cells(),
    trust=trust,
    places=(INSIDE, OUTSIDE),
    resized=half_as_large,
    predicts=("risk_multi",),
)
