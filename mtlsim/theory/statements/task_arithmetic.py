"""Adding task vectors: better than the base that all started from only below a scale, and best at a scale of one over their number.

K tasks of length one and common cosine c, least squares on orthonormal rows, s = 1 + (K - 1) c. The sum of their parameters times
lambda has the mean risk

    1 - 2 lambda s + lambda^2 (K s + K noise^2 d / n),

below one, the risk of the base, if and only if 0 < lambda < 2 s / (K s + K noise^2 d / n). Without noise the best scale is 1 / K
at any cosine, and adding them as they are (lambda = 1) is worse than the base for K > 2: four tasks at c = .5 have six times its
risk.
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.merged import TaskVectors
from mtlsim.theory.statement import EDGE, Statement, measured


def assume(cell, key):
    return {"tasks that do not cancel": 1 + (cell.n_tasks - 1) * jnp.asarray(cell.cosine, float) - 1e-6}


def ending(cell) -> jnp.ndarray:
    """The scale at which the gain over the base ends."""
    together = 1 + (cell.n_tasks - 1) * jnp.asarray(cell.cosine, float)
    noise = jnp.asarray(cell.noise, float) ** 2 * cell.n_features / cell.n_samples
    return 2 * together / (cell.n_tasks * (together + noise))


def predict(cell, key):
    return {"gain": cell.scale * (ending(cell) - cell.scale)}


def instance(place: str, rng: np.random.Generator) -> TaskVectors:
    return threshold(float(rng.choice([rng.uniform(-0.5, -0.1), rng.uniform(0.1, 0.8), rng.uniform(1.3, 3)])), rng)


def threshold(factor: float, rng: np.random.Generator) -> TaskVectors:
    """A scale of `factor` times that at which the gain ends."""
    n_tasks = int(rng.choice([2, 4]))
    cell = TaskVectors(0.0, float(rng.uniform(-0.2, 1)), float(rng.uniform(20, 200)), float(rng.uniform(0, 1.5)), n_tasks)
    return TaskVectors(factor * float(ending(cell)), cell.cosine, cell.n_samples, cell.noise, n_tasks)


STATEMENT = Statement(
    name="task-arithmetic",
    claim="A sum of task vectors beats the base that they start from if and only if its scale is below a known one.",
    source=("derived",),
    kind="sign",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("gain"),
    threshold=threshold,
    places=("inside", EDGE),
)
