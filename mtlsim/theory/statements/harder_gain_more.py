"""Harder tasks gain most: of two tasks of one function the noisier gains the larger share of its risk, whatever their weights.

Both tasks are labels on the same n orthonormal rows under one shared direction, which the weights w_k choose: the top right
singular vector u of the rows sqrt(w_k) theta^_k. Each has a head of its own, theta^_k'u, and so the risk (scale of its own) +
(error of the common direction): the first, noise_k^2 / n, is the same share 1 / d of the risk alone of either, and the second the
same for both, a smaller share of the larger risk. So the order holds at any weights, those that let the noisy task spoil the
direction too: there the noisy one loses less. It ends where the harder task is of another function, which a direction that
follows the easy one serves less.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.core.keys import normal, stream
from mtlsim.core.linalg import multiply
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement


class TwoNoises(eqx.Module):
    """An easy task of this noise and one whose noise is `harder` times as large; weight: of the second, the first one's is 1."""

    n_samples: Array | float
    noise: Array | float
    harder: Array | float
    weight: Array | float = 1.0
    cosine: Array | float = 1.0
    n_features: int = eqx.field(default=20, static=True)


def _strength(case):
    """n |theta|^2 / (d noise^2) of the harder task."""
    return case.n_samples / (case.n_features * (jnp.asarray(case.noise, float) * case.harder) ** 2)


def assume(case, key):
    weight = jnp.asarray(case.weight, float)
    return {
        "a second task that is clearly harder": jnp.asarray(case.harder, float) - 1.2,
        "noise": jnp.asarray(case.noise, float) - 1e-9,
        "signals above the noise": _strength(case) - 2.5,
        "one function": jnp.asarray(case.cosine, float) - 1 + 1e-9,
        "of a cosine": 1 + 1e-9 - jnp.asarray(case.cosine, float),
        "weights of some size": 4.7 - jnp.abs(jnp.log(weight)),
    }


def predict(case, key):
    return {"harder_gains_more": jnp.asarray(case.harder, float) - 1}


def relative_gains(case, key):
    """What each task gains, over its expected risk alone (2,)."""
    d = case.n_features
    aside = jnp.sqrt(jnp.maximum(1 - jnp.asarray(case.cosine, float) ** 2, 0))
    theta = jnp.zeros((2, d)).at[0, 0].set(1.0).at[1, 0].set(case.cosine).at[1, 1].set(aside)
    spread = jnp.asarray(case.noise, float) / jnp.sqrt(case.n_samples) * jnp.stack([jnp.ones(()), jnp.asarray(case.harder, float)])
    seen = theta + spread[:, None] * normal(stream(key, "noise"), (2, d))
    weighted = jnp.stack([jnp.ones(()), jnp.sqrt(jnp.asarray(case.weight, float))])[:, None] * seen
    _, left = jnp.linalg.eigh(multiply(weighted, weighted.T))
    direction = multiply(left[:, -1], weighted)
    direction = direction / jnp.linalg.norm(direction)
    together = multiply(seen, direction)[:, None] * direction
    risk = lambda estimates: jnp.sum((estimates - theta) ** 2, 1)
    return (risk(seen) - risk(together)) / (d * spread**2)


def measure(case, key):
    easy, hard = relative_gains(case, key)
    return {"harder_gains_more": hard - easy}


def instance(place: str, rng: np.random.Generator) -> TwoNoises:
    """Weights from a tenth to ten; outside, a harder task of another function."""
    noise, harder = float(rng.uniform(0.5, 2)), float(rng.uniform(1.5, 4))
    weight = float(np.exp(rng.uniform(-2.3, 2.3)))
    rows = float(20 * (noise * harder) ** 2 * rng.uniform(3, 30))
    if place == OUTSIDE:
        return TwoNoises(rows * 4, noise, 1.5, 0.1, float(rng.uniform(0.3, 0.6)))
    return TwoNoises(rows, noise, harder, weight)


STATEMENT = Statement(
    name="harder-gain-more",
    claim="Of two tasks of one function that share a direction the noisier one gains the larger share of its risk, at any weights.",
    source=("caruana1997multitask",),
    kind="sign",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    places=(INSIDE, OUTSIDE),
    says="Multitask learning helps the harder tasks most, and may hurt easy ones.",
    proves="Nothing: it is seen in one experiment, where predictions one metre ahead gain 2.7 % and those eight metres ahead lose "
    "10.9 %.",
    inferred="What is harder: more noise on the labels of the same function. Where it is of another function the order may turn.",
)
