"""Theorem 2 at the parameters of its own paper [wu2020understanding]: cosine 0.96, a tenth of the coordinates at scale 100.

The sine is 0.28, so c = kappa(X_2) sin <= 1/3 asks for kappa(X_2) <= 1.19. Rows with the paper's covariance have kappa(X_2) > 100
and none of their draws satisfies the assumption. The best case is half of the instances: isotropic rows in such numbers that
kappa(X_2) is one. There the assumption holds and the bound is 6 sin = 1.68 and more, while predicting zero has a relative error
of one and the actual error is 0.28 (with the paper's covariance it is 0.42 on average). Either way the bound says nothing:
vacuous. 20 features stand for the paper's 100, at the same condition number.
"""

import dataclasses

import numpy as np

from mtlsim.tasks.covariance import Isotropic, Spiked
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.statement import INSIDE
from mtlsim.theory.statements import theorem_2
from mtlsim.transfer.cell import Transfer


def instance(place: str, rng: np.random.Generator) -> Transfer:
    best_case = rng.random() < 0.5
    tasks = LinearTasks(
        n_features=20,
        n_samples=(1e12, 1e8 if best_case else float(rng.integers(40, 10_000))),
        cosine=0.96,
        noise=float(rng.uniform(0, 0.5)),
        design=Isotropic() if best_case else Spiked(1e4, fraction=0.1),
        relation="same",
    )
    return Transfer(tasks)


STATEMENT = dataclasses.replace(
    theorem_2.STATEMENT,
    name="theorem-2-at-its-parameters",
    claim="The bound of Theorem 2 says something at the parameters of the paper's own example.",
    instance=instance,
    places=(INSIDE,),
    expected="vacuous",
)
