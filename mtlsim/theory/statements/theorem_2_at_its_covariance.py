"""Theorem 2 at the cosine and the covariance of its own paper's example [wu2020understanding]: it does not apply there.

The sine at cosine 0.96 is 0.28, so c = kappa(X_2) sin <= 1/3 asks for kappa(X_2) <= 1.19, and rows with the paper's covariance (a
tenth of the coordinates at scale 100) have kappa(X_2) > 100: the assumption holds on no draw. So the bound is neither confirmed nor
vacuous but not applicable; for the best case of the same cosine see `theorem_2_at_its_parameters`. 20 features stand for the
paper's 100, at the same condition number.
"""

import dataclasses

import numpy as np

from mtlsim.cells.transfer import Transfer
from mtlsim.tasks.covariance import Spiked
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.statement import INSIDE
from mtlsim.theory.statements import theorem_2


def instance(place: str, rng: np.random.Generator) -> Transfer:
    tasks = LinearTasks(
        n_features=20,
        n_samples=(1e12, float(rng.integers(40, 10_000))),
        cosine=0.96,
        noise=float(rng.uniform(0, 0.5)),
        design=Spiked(1e4, fraction=0.1),
        relation="same",
    )
    return Transfer(tasks)


STATEMENT = dataclasses.replace(
    theorem_2.STATEMENT,
    name="theorem-2-at-its-covariance",
    claim="The bound of Theorem 2 holds at the cosine and the covariance of the paper's own example.",
    instance=instance,
    places=(INSIDE,),
    expected="not applicable",
    inferred="That the theorem is to be read at the parameters of the example, which the text says it explains.",
)
