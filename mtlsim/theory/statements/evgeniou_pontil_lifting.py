"""Regularisation to the mean of all tasks is one ridge regression on lifted features, draw by draw.

Give a row x of task i the (K + 1) d features c_i (x) x with c_i = e_0 + e_i / sqrt(strength): the first block is what all tasks
share, the others what is each one's own. Ridge regression of all rows on them, with ridge 1 on every block but the first, has
theta_i = w_0 + w_i / sqrt(strength) as task i's parameters and sum_i |w_i|^2 = strength sum_i |theta_i - w_0|^2 as its penalty,
which w_0 makes least as the mean of all tasks: the answer is that of `solve_mean_regularised`. The form of
Evgeniou and Pontil has c_i = e_0 / sqrt(mu) + e_i / sqrt(strength) and a ridge on all blocks; that adds
(mu K strength / (mu + K strength)) |mean|^2 to the penalty, and is the present one for mu -> 0.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mtlsim.cells.transfer import Transfer
from mtlsim.core.keys import stream
from mtlsim.samples.moments import Moments
from mtlsim.samples.wishart import draw_moments
from mtlsim.sharing.mean_regularised import MeanRegularised
from mtlsim.tasks.covariance import PowerLaw
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.margins import keeps_digits
from mtlsim.theory.statement import EDGE, INSIDE, Cells, Statement, measured, tasks_of

DIGITS = 1e8  # the condition number up to which the lifted system, solved as it stands, keeps half of float64


def lifted_system(moments: Moments, strength: Float[Array, ""] | float, shared_ridge: Float[Array, ""] | float = 0.0):
    """Lift (K, K + 1), and matrix and right side of the ridge regression on the lifted features; shared_ridge: mu."""
    n_tasks, d = moments.cross.shape
    lift = jnp.concatenate([jnp.ones((n_tasks, 1)), jnp.eye(n_tasks) / jnp.sqrt(strength)], 1)
    grams = jnp.broadcast_to(moments.gram, (n_tasks, d, d))
    gram = jnp.einsum("ka,kb,kde->adbe", lift, lift, grams, precision="highest").reshape((n_tasks + 1) * d, -1)
    cross = jnp.einsum("ka,kd->ad", lift, moments.cross, precision="highest").reshape(-1)
    ridge = jnp.ones((n_tasks + 1, d)).at[0].set(shared_ridge).reshape(-1)
    return lift, gram + jnp.diag(ridge), cross


def lifted_ridge(moments: Moments, strength: Float[Array, ""] | float, shared_ridge: Float[Array, ""] | float = 0.0):
    """Parameters (K, d) by ridge regression on the lifted features; shared_ridge: on the first block (mu)."""
    lift, matrix, cross = lifted_system(moments, strength, shared_ridge)
    blocks = jnp.linalg.solve(matrix, cross).reshape(lift.shape[1], -1)
    return jnp.einsum("ka,ad->kd", lift, blocks, precision="highest")


def assume(cell, key):
    tasks = tasks_of(cell, key)
    _, matrix, _ = lifted_system(draw_moments(tasks, key=stream(key, "samples")), cell.sharing.strength)
    return {
        "more rows in all than features": jnp.sum(tasks.n_samples) - cell.tasks.n_features + 0.5,
        "a lifted system that keeps its digits": keeps_digits(matrix, DIGITS),
    }


def predict(cell, key):
    tasks = tasks_of(cell, key)
    moments = draw_moments(tasks, key=stream(key, "samples"))
    return {"risk_multi": tasks.excess_risk(lifted_ridge(moments, cell.sharing.strength)[cell.target], cell.target)}


def instance(place: str, rng: np.random.Generator) -> Transfer:
    """On the edge each task has fewer rows than features, and all together have enough."""
    d, n_tasks = (6, 2) if rng.random() < 0.5 else (8, 4)
    low, high = {INSIDE: (d + 1, 60), EDGE: (d // 2 + 1, d)}[place]
    tasks = LinearTasks(
        n_features=d,
        n_samples=rng.integers(low, high, n_tasks).tolist(),
        cosine=rng.uniform(-1, 1, n_tasks - 1).tolist(),
        noise=rng.uniform(0.1, 2, n_tasks).tolist(),
        design=PowerLaw(float(rng.uniform(0, 1.5))),
        relation="disjoint",
    )
    return Transfer(tasks, sharing=MeanRegularised(float(np.exp(rng.uniform(-2, 5)))))


STATEMENT = Statement(
    name="evgeniou-pontil-lifting",
    claim="Regularisation to the mean of all tasks is one ridge regression on lifted features.",
    source=("derived",),
    kind="identity",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("risk_multi"),
    cells=Cells(sharing="mean-regularised", target=True),
    places=(INSIDE, EDGE),
)
