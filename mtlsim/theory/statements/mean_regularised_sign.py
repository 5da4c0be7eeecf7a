"""When regularisation to the mean of all tasks helps, with orthonormal designs: if and only if the share a is below 2 a*.

The gain over learning alone is a (D_i + v q) (2 a* - a), with the shares and symbols of `mean_regularised_orthonormal`.
"""

import numpy as np

from mtlsim.theory.statement import EDGE, INSIDE, OUTSIDE, Statement
from mtlsim.theory.statements import mean_regularised_orthonormal as risk
from mtlsim.theory.statements.mean_regularised_orthonormal import MeanRegularised, best_share, distance_to_mean, share


def predict(case, key):
    best = best_share(case.tasks.variances[-1], distance_to_mean(case.tasks), len(case.tasks.parameters))
    return {"gain": 2 * best - share(case.strength, case.tasks.n_samples[-1])}


def measure(case, key):
    return {"gain": risk.measure(case, key)["gain"]}


def instance(place: str, rng: np.random.Generator) -> MeanRegularised:
    """Shares at 0.2 to 0.8 or 1.25 to 3 times 2 a*, as far as there are any: no share reaches 1."""
    return _at(lambda: rng.choice([rng.uniform(0.2, 0.8), rng.uniform(1.25, 3)]), place, rng)


def threshold(factor: float, rng: np.random.Generator) -> MeanRegularised:
    """A share of `factor` times 2 a*."""
    return _at(lambda: factor, INSIDE, rng, least=0.6)


def _at(factor, place: str, rng: np.random.Generator, least: float = 0.0) -> MeanRegularised:
    """least: the least share, as small ones change little."""
    while True:
        case = risk.instance(place, rng)
        twice = 2 * best_share(case.tasks.variances[-1], distance_to_mean(case.tasks), len(case.tasks.parameters))
        a = float(twice * factor())
        if least < a < 0.95:
            return MeanRegularised(case.tasks, float(case.tasks.n_samples[-1] * a / (1 - a)))


STATEMENT = Statement(
    name="mean-regularised-sign",
    claim="With orthonormal designs, regularisation to the mean of all tasks helps if and only if its share is below 2 a*.",
    source=("derived",),
    kind="sign",
    instance=instance,
    assume=risk.assume,
    predict=predict,
    measure=measure,
    places=(INSIDE, EDGE, OUTSIDE),
    threshold=threshold,
)
