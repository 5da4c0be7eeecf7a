"""A second label as an input: exact errors of least squares with and without it, for Gaussian rows.

With y = x'theta + e, z = x'phi + h, noises of variance one and correlation rho, least squares on x and z is that of d + 1 Gaussian
inputs whose best prediction leaves the variance 1 - rho^2 of e:

    error = (1 - rho^2) (1 + (d + 1) / (n - d - 2)),        without z: 1 + d / (n - d - 1),

whatever phi is: what z knows of x is no news. So an input must earn its column, and pays for it where |rho| is small.
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.extra_label import ExtraLabel, expected_errors
from mtlsim.theory.statement import EDGE, INSIDE, Statement, measured


def assume(cell, key):
    return {"errors of a finite variance": jnp.asarray(cell.n_samples, float) - cell.n_features - 5.5}


def predict(cell, key):
    errors = expected_errors(cell.n_samples, cell.n_features, cell.correlation)
    return {name: errors[name] for name in ("error_plain", "error_input")}


def instance(place: str, rng: np.random.Generator) -> ExtraLabel:
    d = int(rng.choice([4, 10]))
    rows = d + (6.0 if place == EDGE else float(rng.integers(10, 80)))
    return ExtraLabel(rows, float(rng.uniform(-0.9, 0.9)), float(rng.uniform(-1, 1)), float(rng.uniform(0.2, 3)), n_features=d)


STATEMENT = Statement(
    name="label-as-input",
    claim="A second label as an input takes away the variance that it explains, and costs what one more input costs.",
    source=("derived",),
    kind="equality",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("error_plain", "error_input"),
    places=(INSIDE, EDGE),
)
