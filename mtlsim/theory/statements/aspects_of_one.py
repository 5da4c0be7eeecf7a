"""What several aspects of the same individuals are worth: exact risks beside those of different individuals.

K tasks of the same parameters, pooled, on n Gaussian rows each. On the same rows their K labels are one of noise variance noise^2
(1 + (K - 1) rho) / K, rho the correlation of the noise of two aspects of one individual:

    same individuals: noise^2 (1 + (K - 1) rho) / K  d / (n - d - 1),      different ones: noise^2 d / (K n - d - 1).

Different rows tell more of the design too, and a trait that aspects share is noise that no aspect averages away.
"""

import numpy as np

from mtlsim.cells.aspects import Aspects, expected_risks
from mtlsim.theory.statement import EDGE, INSIDE, Statement, measured


def assume(cell, key):
    return {"errors of a finite variance": cell.n_samples - cell.n_features - 3.5}


def predict(cell, key):
    return expected_risks(cell.n_samples, cell.noise, cell.correlation, cell.n_features, cell.n_tasks)


def instance(place: str, rng: np.random.Generator) -> Aspects:
    d, tasks = int(rng.choice([4, 10])), int(rng.choice([2, 5]))
    rows = d + (6.0 if place == EDGE else float(rng.integers(8, 60)))
    return Aspects(rows, float(rng.uniform(0.3, 2)), float(rng.uniform(0, 1)), d, tasks)


STATEMENT = Statement(
    name="aspects-of-one",
    claim="Several aspects of the same individuals average their label noise, as far as it is not common, and nothing else.",
    source=("derived",),
    kind="equality",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("risk_multi", "risk_different"),
    places=(INSIDE, EDGE),
)
