"""Whether different aspects of one individual are better than aspects of different individuals: in linear models they are not.

The text calls tasks related that are different aspects of one individual, and expects more of them than of tasks on different
individuals [caruana1997multitask], Section 7.6. In linear models with the same parameters for all tasks it is the other way
round, by the exact risks of `aspects-of-one`: K n - d - 1 > K (n - d - 1) always, and a common trait in the noise makes it worse.
So the claim, read for such models, is refuted; it may hold where the trait itself is used (see `label-as-input`), or is a
function of x, and does hold on few rows, where all rows of different individuals are about as many as features (figure
`aspects`).
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.aspects import Aspects
from mtlsim.theory.statement import INSIDE, Statement, measured


def assume(cell, key):
    return {"errors of a finite variance": cell.n_samples - cell.n_features - 3.5}


def predict(cell, key):
    return {"same_better": jnp.ones(())}


def instance(place: str, rng: np.random.Generator) -> Aspects:
    d, tasks = int(rng.choice([4, 10])), int(rng.choice([2, 5]))
    return Aspects(d + float(rng.integers(6, 40)), float(rng.uniform(0.3, 2)), float(rng.uniform(0, 1)), d, tasks)


STATEMENT = Statement(
    name="same-individuals",
    claim="Tasks that are aspects of the same individuals help each other more than tasks on different individuals do.",
    source=("caruana1997multitask",),
    kind="sign",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("same_better"),
    places=(INSIDE,),
    expected="refuted",
    says="Tasks are related if they are different aspects of the same individual, and less so if the individuals differ.",
    proves="Nothing: it is a discussion of what relatedness might be.",
    inferred="The comparison at as many labels, the linear model, equal parameters, pooling, and noise that a trait may share.",
)
