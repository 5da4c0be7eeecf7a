"""Weight decay makes the width irrelevant: with r >= K columns it is a soft threshold on the singular values.

For single-task solutions Theta (d, K) on orthonormal rows and any r >= K,

    min over B (d, r), A (K, r) of  |B A' - Theta|_F^2 + lambda (|B|_F^2 + |A|_F^2)
        = min over W of  |W - Theta|_F^2 + 2 lambda |W|_*  =  sum_j [ min(sigma_j, lambda)^2 + 2 lambda (sigma_j - lambda)_+ ],

reached at W = B A' with singular values (sigma_j - lambda)_+, sigma_j those of Theta. Measured by alternating ridge regression from
a random start, and at the balanced factors of the thresholded matrix. Each regression multiplies what alternation has left to go in
mode j by sigma_j / lambda below the threshold and by |1 - 2 lambda / sigma_j| above: near the threshold and far above it the
rounds do not suffice. With r < K (outside) the width cuts further.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mtlsim.core.extremes import largest_of
from mtlsim.core.keys import normal, stream
from mtlsim.core.linalg import multiply, solve_positive
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement

ROUNDS = 200
SETTLED = 1e-10  # of what alternation starts with


class Decayed(eqx.Module):
    """Tasks' solutions with given singular values (K,) in random bases, weight decay lambda, and the width of the layer."""

    strengths: Float[Array, " K"]
    decay: Array | float
    rank: int = eqx.field(static=True)
    n_features: int = eqx.field(default=8, static=True)

    def draw(self, key) -> Float[Array, "d K"]:
        n_tasks = self.strengths.shape[0]
        left = jnp.linalg.qr(normal(stream(key, "left"), (self.n_features, n_tasks)))[0]
        right = jnp.linalg.qr(normal(stream(key, "right"), (n_tasks, n_tasks)))[0]
        return multiply(left * self.strengths, right.T)


def objective(layer, heads, targets, decay):
    """|B A' - Theta|^2 + lambda (|B|^2 + |A|^2)."""
    return jnp.sum((multiply(layer, heads.T) - targets) ** 2) + decay * (jnp.sum(layer**2) + jnp.sum(heads**2))


def alternate(targets, decay, layer):
    """Layer and heads after `ROUNDS` of ridge regressions in turn."""
    ridge = decay * jnp.eye(layer.shape[1])
    heads_of = lambda layer: solve_positive(multiply(layer.T, layer) + ridge, multiply(layer.T, targets)).T

    def update(_, layer):
        heads = heads_of(layer)
        return solve_positive(multiply(heads.T, heads) + ridge, multiply(heads.T, targets.T)).T

    layer = jax.lax.fori_loop(0, ROUNDS, update, layer)
    return layer, heads_of(layer)


def balanced(targets, decay, rank):
    """Factors of equal size of the soft-thresholded matrix, padded with zeros to the rank."""
    left, values, right = jnp.linalg.svd(targets, full_matrices=False)
    root = jnp.sqrt(jnp.maximum(values - decay, 0))
    pad = lambda factor: jnp.pad(factor, ((0, 0), (0, max(rank - values.shape[0], 0))))[:, :rank]
    return pad(left * root), pad(right.T * root)


def assume(decayed, key):
    ratio = jnp.maximum(decayed.strengths, jnp.finfo(float).tiny) / decayed.decay
    left = jnp.where(ratio < 1, ratio, jnp.abs(1 - 2 / ratio))
    return {
        "a layer of at least as many columns as tasks": jnp.asarray(decayed.rank - decayed.strengths.shape[0] + 0.5),
        "a search that settles within its rounds": jnp.log(SETTLED) / (2 * ROUNDS) - jnp.log(largest_of(left)),
    }


def predict(decayed, key):
    values, decay = decayed.strengths, decayed.decay
    kept = jnp.maximum(values - decay, 0)
    least = jnp.sum(jnp.minimum(values, decay) ** 2 + 2 * decay * kept)
    return {
        "least_by_alternation": least,
        "least_at_balance": least,
        "taken_from_norm": jnp.linalg.norm(values) - jnp.linalg.norm(kept),
    }


def measure(decayed, key):
    targets, decay = decayed.draw(key), decayed.decay
    start = normal(stream(key, "start"), (decayed.n_features, decayed.rank))
    layer, heads = alternate(targets, decay, start)
    return {
        "least_by_alternation": objective(layer, heads, targets, decay),
        "least_at_balance": objective(*balanced(targets, decay, decayed.rank), targets, decay),
        "taken_from_norm": jnp.linalg.norm(targets) - jnp.linalg.norm(multiply(layer, heads.T)),
    }


def instance(place: str, rng: np.random.Generator) -> Decayed:
    decay = float(rng.uniform(0.5, 2))
    above = rng.uniform(1.3, 4, 2)  # with one kept mode more than the outside width
    values = decay * np.array([*np.sort(above)[::-1], rng.uniform(0.1, 0.75)])
    rank = 1 if place == OUTSIDE else int(rng.choice([3, 5]))
    return Decayed(jnp.asarray(values), decay, rank)


STATEMENT = Statement(
    name="nuclear-norm",
    claim="With weight decay and at least as many columns as tasks, the shared layer soft-thresholds singular values at any width.",
    source=("derived",),
    kind="identity",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    places=(INSIDE, OUTSIDE),
)
