"""Discriminant analysis under label shift: the errors of the target alone, pooled, and with a bias for each head.

Tasks of the same classes in other proportions share the direction of their Bayes rules and differ in the threshold. With many
features and rows in proportion to them the scores concentrate (`mtlsim.cells.label_shift.expected_errors`): pooling pays for the
threshold of the wrong proportions, a bias for each head only for class means from unbalanced rows. Where the source's class
means drift, both pay for a direction that is not the target's.
"""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.label_shift import LabelShift, expected_errors
from mtlsim.core.extremes import smallest_of
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement, measured


def assume(cell, key):
    rows = cell.sizes * jnp.minimum(cell.priors, 1 - cell.priors) / cell.n_features
    return {
        "many features": jnp.asarray(cell.n_features - 79.5),
        "class means that are not far apart": 1.5 - jnp.asarray(cell.separation, float),
        "nor off the source's": 2.0 - jnp.hypot(jnp.asarray(cell.separation, float), cell.drift),
        "rows of every class": smallest_of(rows) - 0.2,
        "and more of the target, whose counts move its threshold": rows[1] - 1 / 3,
    }


def predict(cell, key):
    return expected_errors(cell)


def trust(cell) -> float:
    """Measured: up to 4.8 / d, at the largest separation and fewest rows."""
    return 6 / cell.n_features


def half_the_size(cell: LabelShift) -> LabelShift:
    """Half as many features and rows."""
    return replace(cell, n_source=cell.n_source / 2, n_target=cell.n_target / 2, n_features=cell.n_features // 2)


def instance(place: str, rng: np.random.Generator) -> LabelShift:
    """Outside, few features."""
    d = 10 if place == OUTSIDE else 160
    rows = lambda low, high: 2.0 * round(rng.uniform(low, high) * d / 2)
    priors = float(rng.uniform(0.3, 0.9)), float(rng.uniform(0.35, 0.65))
    drift = float(rng.choice([0.0, rng.uniform(-1.2, 1.2)]))
    return LabelShift(rows(2, 10), rows(1, 2), *priors, float(rng.uniform(0.8, 1.3)), d, drift)


STATEMENT = Statement(
    name="label-shift-errors",
    claim="With many features the errors of discriminant analysis under label shift are known, pooled and with a bias for each "
    "head.",
    source=("derived",),
    kind="limit",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("error_single", "error_pooled", "error_multi"),
    trust=trust,
    places=(INSIDE, OUTSIDE),
    resized=half_the_size,
)
