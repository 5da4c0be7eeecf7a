"""Where attribute selection is no matter of tasks times rows: inputs scored one at a time on common rows.

With n Gaussian rows that all K tasks share, x_j'y / n of an unused input has the variance (|theta|^2 + noise^2 / K) / n: the rows'
chance correlations with the signal itself are the same for every task, and no number of tasks averages them away. The area under
the curve is that of `selection-area` at mu = |theta_j| sqrt(n / (|theta|^2 + noise^2 / K)), up to terms of the order of 1 / n; as
K grows it saturates, where rows in place of tasks would not.
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.marginal_screening import MarginalScreening
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement, measured
from mtlsim.theory.statements.selection_area import selection_area


def assume(cell, key):
    return {
        "many rows for the used inputs": jnp.asarray(cell.n_samples, float) / cell.n_used - 3.9,
        "a coefficient far below the signal": 1.0 if cell.n_used >= 16 else -1.0,
    }


def predict(cell, key):
    mu = jnp.sqrt(jnp.asarray(cell.n_samples, float) / cell.n_used / (1 + jnp.asarray(cell.noise, float) ** 2 / cell.tasks))
    return {"area": selection_area(mu)}


def instance(place: str, rng: np.random.Generator) -> MarginalScreening:
    """Sixteen used inputs; outside two, whose scores vary more, as x_j^2 does."""
    used = 2 if place == OUTSIDE else 16
    rows = used * float(rng.uniform(4, 8))
    return MarginalScreening(rows, float(rng.uniform(0.5, 3)), float(rng.choice([1, 4, 16])), 12 * used, used)


STATEMENT = Statement(
    name="screening-saturates",
    claim="Scores of single inputs on common rows tell used inputs from others as well as the rows allow, however many tasks "
    "there are.",
    source=("derived",),
    kind="limit",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("area"),
    trust=lambda cell: float(0.5 / cell.n_used),
    resized=lambda cell: MarginalScreening(cell.n_samples * 4, cell.noise, cell.tasks, 4 * cell.n_features, 4 * cell.n_used),
    places=(INSIDE, OUTSIDE),
)
