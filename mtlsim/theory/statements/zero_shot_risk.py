"""A target without rows: its risk is that of the sources, times how far out its descriptor lies.

Heads linear in a descriptor, theta_k = M t_k, are one linear model of t (x) x. With n orthonormal rows for each source, the
estimate M^ t* of a target that has none has the risk

    (noise^2 d / n) t*'(sum_k t_k t_k')^-1 t* + misfit^2,

misfit the part of the target that no descriptor tells. It beats the target's own rows below a number of them that this gives.
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.zero_shot import ZeroShot, expected_risks, identified
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement, measured


def assume(cell, key):
    return {
        "orthonormal rows": -1.0 if cell.gaussian else 1.0,
        "a descriptor in the span of the sources'": jnp.where(identified(cell.descriptors, cell.target), 1.0, -1.0),
    }


def predict(cell, key):
    return expected_risks(cell)


def instance(place: str, rng: np.random.Generator) -> ZeroShot:
    """Outside, Gaussian rows, of which few more than features cost more."""
    outside = place == OUTSIDE
    descriptors, target = rng.normal(size=(5, 2)), rng.uniform(0.5, 2) * rng.normal(size=2)
    n = 13.0 if outside else float(rng.integers(20, 100))
    cell = ZeroShot(descriptors, target, n, float(rng.integers(15, 60)), float(rng.uniform(0.5, 1.5)))
    return ZeroShot(*(jnp.asarray(part) for part in (descriptors, target)), n, cell.n_own, cell.noise, 0.2, 8, outside)


STATEMENT = Statement(
    name="zero-shot-risk",
    claim="Heads that are linear in a descriptor give a target without rows the sources' risk, times the leverage of its "
    "descriptor.",
    source=("derived",),
    kind="equality",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("risk_single", "risk_multi"),
    places=(INSIDE, OUTSIDE),
)
