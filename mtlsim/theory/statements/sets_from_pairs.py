"""What pooling any set of sources is worth follows from its worth with one and with two of them, and not from one alone.

With sets A of sources pooled with the target and the risk of `pooled-least-squares`, shift_A = |sum_A n_i delta_i|^2 is a quadratic
form in who takes part,

    shift_A = sum_i a_i^2 + 2 sum_{i<j} c_ij,   a_i^2 = n_i^2 |delta_i|^2,   c_ij = n_i n_j delta_i' Sigma delta_j,

so that the risk with source i alone gives a_i, the risk with i and j gives c_ij, and both give the risk of every set. Averages of
single gains and additive models leave out the cross term 2 sum c_ij, which grows with the square of the number of sources where
their differences from the target point the same way.
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.transfer import Transfer
from mtlsim.core.linalg import multiply
from mtlsim.tasks.covariance import PowerLaw
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.statement import INSIDE, OUTSIDE, Cells, Statement, measured, tasks_of
from mtlsim.theory.statements.pooled_least_squares import assume, pooled_risk


def risk_of_sets(sets, n, deltas, noise, n_features):
    """Exact risks (S,) of pooling sets (S, K) of 0 and 1, for n (K,) rows, deltas (K, d) in units of Sigma^1/2, noise (K,)."""
    rows = sets * n
    shift = jnp.sum(multiply(rows, deltas) ** 2, -1)
    return pooled_risk(rows, shift, jnp.sum(deltas**2, -1), noise, n_features)


def from_ones_and_twos(ones, twos, n, noise, n_features):
    """The risk with all sources from those with each source i (K - 1,) and with each two (K - 1, K - 1), the target last in n."""
    d, K = n_features, len(n)
    take = lambda *chosen: jnp.zeros(K).at[jnp.asarray([*chosen, K - 1])].set(1) * n
    slope = lambda rows, size: pooled_risk(rows, 0.0, size, 0 * noise, d)  # what sizes alone add
    unit = lambda rows: pooled_risk(rows, 1.0, jnp.zeros(K), 0 * noise, d)  # and a shift of one
    rest = lambda rows: pooled_risk(rows, 0.0, jnp.zeros(K), noise, d)
    sizes = jnp.zeros(K)
    for i in range(K - 1):
        rows = take(i)
        one = jnp.zeros(K).at[i].set(1.0)
        sizes = sizes.at[i].set((ones[i] - rest(rows)) / (unit(rows) * n[i] ** 2 + slope(rows, one)))
    shift = jnp.sum(n**2 * sizes)
    for i in range(K - 1):
        for j in range(i):
            rows = take(i, j)
            both = (twos[i, j] - rest(rows) - slope(rows, sizes)) / unit(rows)
            shift = shift + both - n[i] ** 2 * sizes[i] - n[j] ** 2 * sizes[j]
    return pooled_risk(n, shift, sizes, noise, d)


def predict(cell, key):
    tasks = tasks_of(cell, key)
    K, n, d = tasks.n_tasks, tasks.n_samples, tasks.n_features
    deltas = tasks.covariances[-1].root_transpose((tasks.parameters - tasks.parameters[-1]).T).T
    sets = np.zeros((K - 1, K - 1, K))
    for i in range(K - 1):
        for j in range(K - 1):
            sets[i, j, [i, j, K - 1]] = 1
    risks = risk_of_sets(jnp.asarray(sets.reshape(-1, K)), n, deltas, tasks.noise, d).reshape(K - 1, K - 1)
    return {"risk_multi": from_ones_and_twos(jnp.diagonal(risks), risks, n, tasks.noise, d)}


def instance(place: str, rng: np.random.Generator) -> Transfer:
    """Sources that differ from the target in much the same way, so that the cross term weighs."""
    d, n_tasks = 8, 4
    tasks = LinearTasks(
        n_features=d,
        n_samples=(*rng.integers(10, 60, n_tasks - 1).tolist(), int(rng.integers(d + 6, 60))),
        cosine=rng.uniform(-1, 0.5, n_tasks - 1).tolist(),
        noise=rng.uniform(0.1, 2, n_tasks).tolist(),
        design=PowerLaw(float(rng.uniform(0, 1.5))),
        relation="disjoint" if place == OUTSIDE else "same",
    )
    return Transfer(tasks, sharing="pooled")


STATEMENT = Statement(
    name="sets-from-pairs",
    claim="The pooled risk of a target with any set of sources follows from its risks with one and with two of them.",
    source=("derived",),
    kind="equality",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("risk_multi"),
    cells=Cells(sharing="pooled"),
    places=(INSIDE, OUTSIDE),
)
