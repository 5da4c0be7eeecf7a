"""What it costs to stop two tasks at one time: their expected risks along the flow of least squares, exactly.

On orthonormal rows the flow from zero multiplies least squares by 1 - e^-t, so that a task of |theta| = 1 has the expected risk
e^(-2t) + (1 - e^-t)^2 V_k, V_k = d noise_k^2 / n, least at 1 - e^-t = h_k = 1 / (1 + V_k), where it is V_k h_k. One time for both
is best with the mean of the V_k in place of each. So a common stop costs

    2 V h - V_1 h_1 - V_2 h_2,        V = (V_1 + V_2) / 2,  h = 1 / (1 + V),

nothing if and only if the signal-to-noise ratios are equal; or if the rates are such that both are best at the same time.
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.stopped_flow import StoppedFlow
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement, measured


def assume(cell, key):
    return {"equal rates": 1e-9 - jnp.abs(jnp.asarray(cell.rate_exponent, float))}


def predict(cell, key):
    variances = cell.variances()
    risk = lambda variance: variance / (1 + variance)
    own = jnp.sum(risk(variances))
    return {"risk_own": own, "cost": 2 * risk(jnp.mean(variances)) - own}


def instance(place: str, rng: np.random.Generator) -> StoppedFlow:
    """Outside, rates of which the slower task has the higher, so that a common time serves them worse still."""
    noise, ratio = float(rng.uniform(0.5, 1)), float(rng.uniform(2.5, 4))
    exponent = float(rng.uniform(-1, -0.5)) if place == OUTSIDE else 0.0
    return StoppedFlow(float(rng.integers(20, 80)), noise, ratio * noise, exponent)


STATEMENT = Statement(
    name="own-stopping-time",
    claim="Stopping tasks at one time costs what the difference of their signal-to-noise ratios says, and nothing if they are "
    "equal.",
    source=("derived",),
    kind="equality",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("risk_own", "cost"),
    places=(INSIDE, OUTSIDE),
)
