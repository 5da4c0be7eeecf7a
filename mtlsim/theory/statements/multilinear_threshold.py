"""A learned task covariance keeps or drops whole modes: a threshold that is harder than the trace norm's.

Renewing in turn W and the task covariance W W' descends decay log det(W W' + eps I), a surrogate of the rank. On orthonormal rows,
X_k'X_k = n I, a mode whose singular value in the tasks' own solutions is s ends at

    (s + sqrt(s^2 - 4 decay / n)) / 2    where s^2 >= 4 decay / n,      and at zero elsewhere,

up to eps. A kept mode starts at n s / (n + decay), the ridge estimate, which must be above the lower fixed point,
(s - sqrt(s^2 - 4 decay / n)) / 2: the optimum is a local one, and a large decay can start below it.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mtlsim.core.extremes import largest_of, smallest_of
from mtlsim.core.keys import normal, stream
from mtlsim.core.linalg import multiply
from mtlsim.samples.moments import Moments
from mtlsim.sharing._sharing import Problem
from mtlsim.sharing.multilinear import MultilinearRelationship
from mtlsim.theory.statement import EDGE, INSIDE, Statement


class Modes(eqx.Module):
    """Tasks' own solutions of given singular values (K,) in random bases, on n orthonormal rows each, and the decay."""

    strengths: Float[Array, " K"]
    n_samples: Array | float
    decay: Array | float
    n_features: int = eqx.field(default=4, static=True)

    def draw(self, *, key) -> Moments:
        n_tasks, n = self.strengths.shape[0], jnp.asarray(self.n_samples, float)
        left = jnp.linalg.qr(normal(stream(key, "left"), (self.n_features, n_tasks)))[0]
        right = jnp.linalg.qr(normal(stream(key, "right"), (n_tasks, n_tasks)))[0]
        own = multiply(right * self.strengths, left.T)
        eye, ones = jnp.eye(self.n_features), jnp.ones((n_tasks, 1, 1))
        scores = jnp.sqrt(n) * own
        factors = jnp.sqrt(n) * eye * ones
        return Moments(n * eye * ones, n * own, jnp.sum(scores**2, -1), n * ones[:, 0, 0], factors, scores, rank_known=True)


def kept(strengths, n_samples, decay):
    """Where modes end."""
    left = strengths**2 - 4 * decay / n_samples
    return jnp.where(left >= 0, (strengths + jnp.sqrt(jnp.maximum(left, 0))) / 2, 0.0)


def assume(modes, key):
    ratio = modes.strengths * jnp.sqrt(modes.n_samples / (4 * modes.decay))
    lower = (modes.strengths - jnp.sqrt(jnp.maximum(modes.strengths**2 - 4 * modes.decay / modes.n_samples, 0))) / 2
    start = modes.n_samples * modes.strengths / (modes.n_samples + modes.decay)
    above = jnp.where(ratio >= 1, start / jnp.maximum(lower, jnp.finfo(float).tiny) - 1, jnp.inf)
    return {
        "modes away from the threshold": smallest_of(jnp.abs(ratio - 1)) - 0.05,
        "kept modes that start above the lower fixed point": smallest_of(above) - 0.05,
        "modes of like size": smallest_of(modes.strengths) / largest_of(modes.strengths) - 0.02,
    }


def predict(modes, key):
    """Of the weakest mode, over the least one that is kept."""
    return {"kept": smallest_of(modes.strengths) * jnp.sqrt(modes.n_samples / (4 * modes.decay)) - 1}


def measure(modes, key):
    """What is left of the weakest mode, at least half where it is kept, less a quarter."""
    return {"kept": ends(modes, key)[-1] / smallest_of(modes.strengths) - 0.25}


def ends(modes: Modes, key) -> Float[Array, " K"]:
    """Where modes end, in descending order."""
    moments = modes.draw(key=key)
    ones = jnp.ones(len(moments.cross))
    found = MultilinearRelationship(None, modes.decay).exact(Problem(moments, 1, ones, 0 * ones, jax.random.key(0)))
    return jnp.linalg.svd(found.parameters, compute_uv=False)[: len(ones)]


def instance(place: str, rng: np.random.Generator) -> Modes:
    """Of the weakest of three modes."""
    return threshold(float(rng.choice([rng.uniform(0.2, 0.8), rng.uniform(1.2, 1.3)])), rng)


def threshold(factor: float, rng: np.random.Generator) -> Modes:
    """The weakest mode at `factor` times the least one that is kept."""
    n = float(rng.integers(5, 60))
    decay = float(n * rng.uniform(0.05, 0.6))
    ratios = np.array([*np.sort(rng.uniform(1.3, 3, 2))[::-1], factor])
    return Modes(jnp.asarray(ratios * np.sqrt(4 * decay / n)), n, decay)


STATEMENT = Statement(
    name="multilinear-threshold",
    claim="A learned task covariance keeps a mode of the tasks' own solutions above a known size, and drops it below.",
    source=("derived",),
    kind="sign",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    threshold=threshold,
    places=(INSIDE, EDGE),
)
