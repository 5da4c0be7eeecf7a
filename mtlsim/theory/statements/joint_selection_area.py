"""How well tasks with coefficients of their own tell used inputs from others together: by the length of an input's coefficients.

On orthonormal rows the group lasso takes inputs in the order of the lengths of (w_1j, ..., w_Kj), the K tasks' own least squares.
With independent noise n |w_j|^2 / noise^2 is chi-square of K degrees for an unused input, and noncentral for a used one, delta = n
sum_k theta_kj^2 / noise^2. The area under the curve, the probability that the used one is longer, is

    area = sum_i Poisson(i; delta / 2) I_1/2(K/2, K/2 + i),

I the regularised incomplete beta function. It depends on delta and K, and falls with K at the same delta: unlike the mean of tasks
that share their coefficients (`selection-area`) tasks times rows are not all that counts.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import betainc, gammaln
from jaxtyping import Array

from mtlsim.cells.attribute_selection import area
from mtlsim.core.keys import correlated_normals, normal, stream
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement

TERMS = 200  # of the sum; Poisson of mean delta / 2, below 50


class JointScores(eqx.Module):
    """Least squares of K tasks on n orthonormal rows; n_used inputs have coefficients of the length `size` over tasks."""

    n_samples: Array | float
    noise: Array | float
    size: Array | float
    correlation: Array | float = 0.0
    n_tasks: int = eqx.field(default=4, static=True)
    n_features: int = eqx.field(default=40, static=True)
    n_used: int = eqx.field(default=5, static=True)


def joint_area(noncentrality, n_tasks):
    """The area under the curve for delta >= 0 and K tasks."""
    terms, half = jnp.arange(TERMS), jnp.asarray(noncentrality, float) / 2
    safe = jnp.where(half > 0, half, 1)
    weights = jnp.exp(jnp.where(half > 0, terms * jnp.log(safe) - half - gammaln(terms + 1.0), jnp.where(terms > 0, -jnp.inf, 0.0)))
    return jnp.sum(weights * betainc(n_tasks / 2, n_tasks / 2 + terms, 0.5))


def _strength(case):
    return jnp.asarray(case.n_samples, float) * jnp.asarray(case.size, float) ** 2 / jnp.asarray(case.noise, float) ** 2


def assume(case, key):
    return {
        "independent noise": 1e-9 - jnp.abs(jnp.asarray(case.correlation, float)),
        "a strength for which the sum is complete": 100 - _strength(case),
        "some pairs in the wrong order": 0.999 - joint_area(_strength(case), case.n_tasks),
    }


def predict(case, key):
    return {"area": joint_area(_strength(case), case.n_tasks)}


def measure(case, key):
    used = jnp.arange(case.n_features) < case.n_used
    directions = normal(stream(key, "parameters"), (case.n_tasks, case.n_features))
    parameters = jnp.where(used, case.size * directions / jnp.linalg.norm(directions, axis=0), 0)
    errors = correlated_normals(stream(key, "noise"), (case.n_tasks, case.n_features), case.correlation)
    seen = parameters + case.noise / jnp.sqrt(jnp.asarray(case.n_samples, float)) * errors
    return {"area": area(jnp.linalg.norm(seen, axis=0), used)}


def instance(place: str, rng: np.random.Generator) -> JointScores:
    """delta from 1 to 16; outside, tasks whose noise is nearly one."""
    n_tasks, noise, rows = int(rng.choice([1, 3, 8])), float(rng.uniform(0.3, 2)), float(rng.integers(10, 200))
    size = float(np.sqrt(rng.uniform(1, 16) / rows) * noise)
    if place == OUTSIDE:
        return JointScores(rows, noise, float(np.sqrt(12 / rows) * noise), float(rng.uniform(0.8, 1)), 8)
    return JointScores(rows, noise, size, 0.0, n_tasks)


STATEMENT = Statement(
    name="joint-selection-area",
    claim="How well several tasks with coefficients of their own tell used inputs from others together has a known value, which "
    "tasks times rows alone do not decide.",
    source=("derived",),
    kind="equality",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    places=(INSIDE, OUTSIDE),
)
