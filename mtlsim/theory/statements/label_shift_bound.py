"""A bound by the Jensen-Shannon divergence: no rule's errors on two tasks of the same classes differ by more than sqrt(2 JS).

|R_1 - R_2| <= TV <= sqrt(2 JS) for every rule and a loss from 0 to 1: TV is twice that of either law and their mean, to which
Pinsker's inequality applies. Under pure label shift JS of the laws of (x, y) is that of the label marginals. The bound is true
and loose, by a factor of 2 to 20 for rules that learn both classes, of which the difference of errors is the shift times the
difference of the classes' errors. Half of the constant, sqrt(JS / 2), would be wrong: a rule that always decides for one class
differs by TV.
"""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.label_shift import LabelShift
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement, measured


def assume(cell, key):
    return {"the same classes in both tasks": 1e-9 - jnp.abs(jnp.asarray(cell.drift, float))}


def predict(cell, key):
    return {"difference": jnp.sqrt(2 * cell.divergence)}


def trivial(cell, key):
    return jnp.ones(())


def instance(place: str, rng: np.random.Generator) -> LabelShift:
    """Outside, equal proportions and classes that are not the same: the laws differ, and the labels do not."""
    sizes, priors = (float(rng.integers(1, 400)), float(rng.integers(1, 60))), rng.uniform(0.05, 0.95, 2).tolist()
    cell = LabelShift(*sizes, *priors, float(rng.uniform(0.02, 2)))
    return replace(cell, prior_source=priors[1], drift=float(rng.uniform(1, 3))) if place == OUTSIDE else cell


STATEMENT = Statement(
    name="label-shift-bound",
    claim="The errors of the pooled rule on two tasks under label shift differ by at most the root of twice their divergence.",
    source=("derived",),
    kind="bound",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("difference"),
    trivial=trivial,
    places=(INSIDE, OUTSIDE),
)
