"""Theorem 2 at the cosine 0.96 of its own paper's example [wu2020understanding], with the rows that suit it best: vacuous.

The sine is 0.28, so c = kappa(X_2) sin <= 1/3 asks for kappa(X_2) <= 1.19: isotropic rows in such numbers that kappa(X_2) is one.
There the assumption holds and the bound is 6 sin = 1.68 and more, while predicting zero has a relative error of one and the actual
error is 0.28: the bound says nothing. With the paper's own covariance it does not even apply: see `theorem_2_at_its_covariance`.
20 features stand for the paper's 100.
"""

import dataclasses

import numpy as np

from mtlsim.cells.transfer import Transfer
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.statement import INSIDE
from mtlsim.theory.statements import theorem_2


def instance(place: str, rng: np.random.Generator) -> Transfer:
    tasks = LinearTasks(
        n_features=20,
        n_samples=(1e12, 1e8),
        cosine=0.96,
        noise=float(rng.uniform(0, 0.5)),
        design=Isotropic(),
        relation="same",
    )
    return Transfer(tasks)


STATEMENT = dataclasses.replace(
    theorem_2.STATEMENT,
    name="theorem-2-at-its-parameters",
    claim="The bound of Theorem 2 says something at the cosine of the paper's own example, where it can be applied at all.",
    instance=instance,
    places=(INSIDE,),
    expected="vacuous",
    inferred=(
        "That the theorem is to be read at the parameters of the example, which the text says it explains; rows that are "
        "isotropic and without end are ours, the best case."
    ),
)
