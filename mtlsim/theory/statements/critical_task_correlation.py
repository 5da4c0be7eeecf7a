"""How related two tasks must be before an architecture with a fixed mixing beats the same ridge on each: a critical correlation.

Two tasks of n orthonormal rows (X'X = n I) and noise s^2, whose parameters are drawn with correlation rho* in every coordinate,
E theta_k^2 = tau^2. The architecture has the task covariance [[1, rho], [rho, 1]] / decay with 0 < rho < 1; its estimate shrinks
the sum of both tasks by h+ and their difference by h-, ridge regression with the same decay both by h0:

    h+- = n (1 +- rho) / (n (1 +- rho) + decay),      h0 = n / (n + decay).

On average over tasks and draws sharing helps if and only if rho* > rho_c,

    rho_c = [ (h+^2 + h-^2 - 2 h0^2) s^2 / n + tau^2 ((1 - h+)^2 + (1 - h-)^2 - 2 (1 - h0)^2) ]
            / [ tau^2 ((1 - h-)^2 - (1 - h+)^2) ],

about rho / 2 for a small rho. An architecture that is not learned yet says by its rho how related tasks must be for it to help.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.core.checks import require_all
from mtlsim.core.keys import normal, stream
from mtlsim.samples.moments import Moments
from mtlsim.solvers.mixed import mixing_of_covariance, solve_mixed
from mtlsim.theory.statement import OUTSIDE, Statement


class RelatedTasks(eqx.Module):
    """Two tasks of n rows each, their true correlation, the one that the architecture implies, and its decay over n.

    noise: s of both tasks, on the scale of tau = 1; n_samples: of each.
    """

    n_samples: Array | float
    correlation: Array | float
    implied: Array | float
    decay: Array | float
    noise: Array | float = 1.0
    n_features: int = eqx.field(default=40, static=True)

    def __check_init__(self):
        for name in ("correlation", "implied"):
            require_all(getattr(self, name), lambda r: np.abs(r) <= 1, name, "a correlation, from -1 to 1", "use 0.5")

    def draw(self, *, key) -> tuple[Array, Moments]:
        """theta (2, d), and the moments of both tasks."""
        first, second = normal(stream(key, "parameters"), (2, self.n_features))
        sine = jnp.sqrt(jnp.maximum(1 - jnp.asarray(self.correlation) ** 2, 0))
        theta = jnp.stack([first, self.correlation * first + sine * second])
        n = jnp.asarray(self.n_samples, theta.dtype)
        seen = theta + self.noise / jnp.sqrt(n) * normal(stream(key, "noise"), theta.shape)
        eye = jnp.eye(self.n_features)
        grams, factors = (jnp.stack([scale * eye] * 2) for scale in (n, jnp.sqrt(n)))
        scores = jnp.sqrt(n) * seen
        return theta, Moments(grams, n * seen, jnp.sum(scores**2, -1), jnp.stack([n, n]), factors, scores, rank_known=True)


def critical_correlation(implied, n_samples, noise, decay, size=1.0):
    """rho_c for tasks of size tau."""
    plus, minus, alone = (n_samples * share / (n_samples * share + decay) for share in (1 + implied, 1 - implied, 1.0))
    variance = (plus**2 + minus**2 - 2 * alone**2) * noise**2 / n_samples
    bias = size**2 * ((1 - plus) ** 2 + (1 - minus) ** 2 - 2 * (1 - alone) ** 2)
    return (variance + bias) / (size**2 * ((1 - minus) ** 2 - (1 - plus) ** 2))


def _critical(case: RelatedTasks):
    return critical_correlation(case.implied, case.n_samples, case.noise, case.decay)


def assume(case, key):
    return {
        "an architecture that takes the tasks for related": jnp.asarray(case.implied, float) - 1e-3,
        "and not for one": 1 - 1e-3 - jnp.asarray(case.implied, float),
        "a true correlation": 1 + 1e-9 - jnp.abs(jnp.asarray(case.correlation, float)),
        "a decay that shrinks": jnp.asarray(case.decay, float) / case.n_samples - 1e-6,
        "and leaves something": 1e4 - jnp.asarray(case.decay, float) / case.n_samples,
    }


def predict(case, key):
    return {"gain": case.correlation - _critical(case)}


def measure(case, key):
    """Mean over both tasks of what sharing takes from the squared error of the same ridge on each."""
    theta, moments = case.draw(key=key)
    covariance = jnp.array([[1.0, 0.0], [0.0, 1.0]]) + case.implied * jnp.array([[0.0, 1.0], [1.0, 0.0]])
    together = solve_mixed(moments, mixing_of_covariance(covariance, case.decay), jnp.ones(2)).parameters
    alone = moments.cross / (case.n_samples + case.decay)
    error = lambda found: jnp.mean(jnp.sum((found - theta) ** 2, -1))
    return {"gain": error(alone) - error(together)}


def instance(place: str, rng: np.random.Generator) -> RelatedTasks:
    """Outside, the architecture takes the tasks for opposites: then it helps below a critical correlation."""
    case = _drawn(rng)
    critical = float(_critical(case))
    apart = rng.choice([rng.uniform(-0.5, 0.7 * critical), rng.uniform(min(1.3 * critical, 1), 1)])
    turned = -case.implied if place == OUTSIDE else case.implied
    return eqx.tree_at(lambda c: (c.correlation, c.implied), case, (float(apart), turned))


def threshold(factor: float, rng: np.random.Generator) -> RelatedTasks:
    """A true correlation of `factor` times the critical one."""
    while True:
        case = _drawn(rng)
        correlation = factor * float(_critical(case))
        if 0.2 < correlation < 0.95:
            return eqx.tree_at(lambda c: c.correlation, case, correlation)


def _drawn(rng: np.random.Generator) -> RelatedTasks:
    n, noise = float(rng.integers(5, 60)), float(rng.uniform(0.5, 3))
    return RelatedTasks(n, 0.0, float(rng.uniform(0.3, 0.95)), float(noise**2 * 10 ** rng.uniform(-0.5, 0.5)), noise)


STATEMENT = Statement(
    name="critical-task-correlation",
    claim="A fixed mixing of two tasks beats the same ridge on each if and only if they are more related than a known correlation.",
    source=("derived",),
    kind="sign",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    threshold=threshold,
)
