"""Where hard sharing of rank one ends up when the source has rows without end: a plateau that does not depend on them.

The shared layer then is the source's direction theta_1, whatever the target says, and only the target's head is fitted to its
n_2 rows. With norms and angle in the target's covariance Sigma_2, for any source covariance and Gaussian rows,

    tau^2 = (1 - cos^2(theta_1, theta_2)) |theta_2|^2,      E risk = tau^2 + (noise_2^2 + tau^2) / (n_2 - 2),      n_2 > 2.

Transfer is positive if and only if tau^2 < [risk alone - noise_2^2 / (n_2 - 2)] (n_2 - 2) / (n_2 - 1), so that without label noise
and with n_2 >= d no source can help, and where the right side exceeds |theta_2|^2 every angle does.

Rows without end are not enough: with noise 1e6 on 1e12 rows, or weights (1e-12, 1), the source no longer sets the direction, and
the risk is several times this. `source_prevails` (`mtlsim.theory.margins`) says by how much it does.
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.transfer import Transfer
from mtlsim.solvers.expected_risk import least_squares_risk
from mtlsim.solvers.objective import per_task
from mtlsim.tasks.covariance import PowerLaw
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.margins import full_rank, source_prevails
from mtlsim.theory.statement import INSIDE, OUTSIDE, Cells, Statement, gaussian_rows, measured, tasks_of
from mtlsim.theory.statements.frozen_layer import ENDLESS, frozen_risk, unreachable


def critical_cosine(risk_alone, noise, n_samples, energy):
    """|cos| in Sigma_2 above which the plateau helps: 0 where every angle does, 1 or more where none; energy = |theta_2|^2.

    NaN for n_samples <= 2.
    """
    freedom = jnp.where(n_samples > 2, n_samples - 2, jnp.nan)
    largest = (risk_alone - noise**2 / freedom) * freedom / (n_samples - 1)
    share = 1 - largest / energy
    return jnp.where(share <= 0, 0, jnp.sqrt(jnp.where(share <= 0, 1, share)))


def assume(cell, key):
    tasks = tasks_of(cell, key)
    weights = per_task(cell.weights, 1.0, 2, "weights", tasks.parameters.dtype)
    missed = unreachable(tasks.parameters[-1], tasks.parameters[:1].T, tasks.covariances[-1])
    risk = frozen_risk(missed, tasks.noise[-1], tasks.n_samples[-1], 1)
    return {
        "Gaussian rows of their own for each task": gaussian_rows(cell),
        "more target rows than 2": tasks.n_samples[-1] - 2.5,
        "a source without end of rows": jnp.log10(tasks.n_samples[0] / ENDLESS),
        "a source that prevails over its noise and the target's rows (decades)": source_prevails(tasks, weights, missed, risk),
        "covariances of full rank": full_rank(tasks),
    }


def predict(cell, key):
    tasks = tasks_of(cell, key)
    missed = unreachable(tasks.parameters[-1], tasks.parameters[:1].T, tasks.covariances[-1])
    risk_multi = frozen_risk(missed, tasks.noise[-1], tasks.n_samples[-1], 1)
    return {"risk_multi": risk_multi, "gain": least_squares_risk(tasks) - risk_multi}


def instance(place: str, rng: np.random.Generator) -> Transfer:
    fewer = rng.random() < 0.5
    d, n_target, relation = (16, rng.integers(8, 10), "disjoint") if fewer else (6, rng.integers(12, 60), "rotated")
    tasks = LinearTasks(
        n_features=d,
        n_samples=(4 * d if place == OUTSIDE else 1e12, int(n_target)),
        cosine=rng.uniform(-1, 1),
        noise=(rng.uniform(0, 2), rng.uniform(0.1, 2)),
        parameter_norm=rng.uniform(0.5, 2, 2).tolist(),
        design=PowerLaw(0.0 if fewer else float(rng.uniform(0, 1.5))),
        relation=relation,
    )
    return Transfer(tasks)


STATEMENT = Statement(
    name="plateau",
    claim="With source rows without end, hard sharing of rank one has the risk of a head on the source's own direction.",
    source=("derived",),
    kind="equality",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("risk_multi", "gain"),
    cells=Cells(sharing="hard", n_tasks=2, rank=1, weights=True),
    places=(INSIDE, OUTSIDE),
)
