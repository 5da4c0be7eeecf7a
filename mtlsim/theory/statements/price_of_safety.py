"""The price of safety: what outliers pay where a norm penalty lets the other tasks share, with its constants.

K tasks on orthonormal rows, of which K_c have one parameter vector and the rest, a share q = (K - K_c) / K_c of those, are far off
in one direction. Each estimate is pulled by at most lambda = l noise sqrt(d / n) to a centre (`mtlsim.cells.safe_sharing`). With
many features all residuals have the same length, so that the centre is the mean of the K_c moved towards the outliers by q lambda,
or q rho while lambda is shorter than the residuals are, and over noise^2 d / n, the risk alone,

    the rest        1 / K_c + (1 - 1 / K_c) max(1 - l / rho, 0)^2 + q^2 l^2,      rho^2 = (1 - 1 / K_c) / (1 - q^2),
    an outlier      1 + l^2 - 2 l / r,      r^2 = (D - q max(l, rho))^2 + 1 + 1 / K_c,      D its distance over noise sqrt(d / n).

So safety is real, as no outlier pays more than l^2 however far it is off, and has a price: who wants all that pooling the rest
would give, l = rho, lets an outlier pay nearly its whole risk once more. Half of that pull earns three quarters of it for a
quarter.

At l = rho lengths that vary by 1 / sqrt(2 d) leave (1 - 1 / K_c) / (4 d) unshared, which is nothing beside 1 / K_c only where K_c
is small beside d.
"""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.safe_sharing import SafeSharing
from mtlsim.theory.statement import EDGE, INSIDE, OUTSIDE, Statement, measured

FAR, NEAR = 6.0, 1.5  # of outliers beyond the pull, and where they are not outliers any more
EXPONENT = 2 / 3  # in d, of the rounding of the kink at l = rho


def turn(cell: SafeSharing):
    """rho, the pull from which the tasks that are alike share all, and q."""
    alike = cell.n_tasks - cell.n_outliers
    share = cell.n_outliers / alike
    return np.sqrt((1 - 1 / alike) / (1 - share**2)), share


def risks(cell: SafeSharing):
    """Of the rest, and of an outlier, over the risk alone."""
    rho, share = turn(cell)
    alike, pull = cell.n_tasks - cell.n_outliers, jnp.asarray(cell.strength, float)
    rest = 1 / alike + (1 - 1 / alike) * jnp.maximum(1 - pull / rho, 0) ** 2 + (share * pull) ** 2
    distance = jnp.sqrt((cell.drift - share * jnp.maximum(pull, rho)) ** 2 + 1 + 1 / alike)
    return rest, 1 + pull**2 - 2 * pull / distance


def assume(cell, key):
    reach = (1 + turn(cell)[1]) * jnp.maximum(jnp.asarray(cell.strength, float), 1.0)
    return {
        "a penalty on the norm": 1.0 if cell.penalty == "norm" else -1.0,
        "outliers out of reach": jnp.asarray(cell.drift, float) / reach - FAR,
        "enough features for lengths to be known": cell.n_features / 20.0 - 1,
        "of all tasks that are alike": 3 * cell.n_features ** (1 / 3) / (cell.n_tasks - cell.n_outliers) - 1,
    }


def predict(cell, key):
    rest, outlier = risks(cell)
    return {"clean": rest, "outlier": outlier}


def trust(cell) -> float:
    return 1.5 / cell.n_features**EXPONENT + 1 / float(cell.drift) ** 2


def instance(place: str, rng: np.random.Generator) -> SafeSharing:
    """At the edge outliers barely out of reach; outside they are within it."""
    pull, n_outliers = float(rng.uniform(0.2, 1.6)), int(rng.choice([1, 3]))
    cell = SafeSharing(pull, 1.0, "norm", 200, 10, n_outliers)
    reach = (1 + turn(cell)[1]) * max(pull, 1.0)
    drift = reach * {INSIDE: rng.uniform(20, 100), EDGE: rng.uniform(1.05, 1.3) * FAR, OUTSIDE: rng.uniform(0.3, 1) * NEAR}[place]
    return replace(cell, drift=float(drift))


STATEMENT = Statement(
    name="price-of-safety",
    claim="A norm penalty lets alike tasks share and bounds what an outlier pays: nearly its whole risk again, if they want all.",
    source=("derived",),
    kind="limit",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("clean", "outlier"),
    trust=trust,
    resized=lambda cell: replace(cell, n_features=cell.n_features // 2),
)
