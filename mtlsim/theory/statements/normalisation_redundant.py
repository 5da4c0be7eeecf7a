"""The gain and bias of layer normalisation before a free linear head with a bias of its own: redundant, whatever they are.

    gain * y + bias  under a head (a, c):   y'(gain * a) + bias'a + c,

which is the head (gain * a, c + bias'a) on y alone, and back again where no gain is zero. So the least squares of both are one
function, in every draw, trained to any gain or held at one: no over-fitting can come from them there [xu2019understanding]. They
are not redundant before a head without a bias, nor where something bends between them and the head; and a gain of its own for each
task before one head for all is a head of its own for each task.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from mtlsim.core.extremes import smallest_of
from mtlsim.core.keys import normal, stream
from mtlsim.core.linalg import multiply
from mtlsim.core.normalisation import layer_norm
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement

CAPACITY = 40


class HeadOnUnits(eqx.Module):
    """Least squares of a head on normalised Gaussian units (r,) with gains and biases, n rows of labels x'theta + noise."""

    gain: Float[Array, " r"]
    bias: Float[Array, " r"]
    n_samples: Array | float
    noise: Array | float
    head_bias: bool = eqx.field(default=True, static=True)

    def fit(self, key: Key[Array, ""], plain: bool) -> dict[str, Array]:
        """Sum of squares on the rows, and what is said of one new row; plain: without gain and bias."""
        r = len(self.gain)
        units = normal(stream(key, "covariates"), (CAPACITY + 1, r))
        labels = multiply(units, normal(stream(key, "parameters"), (r,)))
        labels = labels + self.noise * normal(stream(key, "noise"), (CAPACITY + 1,))
        features = layer_norm(units) if plain else layer_norm(units, self.gain, self.bias)
        if self.head_bias:
            features = jnp.append(features, jnp.ones((CAPACITY + 1, 1)), 1)
        used = jnp.arange(CAPACITY) < self.n_samples
        rows, seen = jnp.where(used[:, None], features[:-1], 0), jnp.where(used, labels[:-1], 0)
        head = jnp.linalg.lstsq(rows, seen)[0]  # without squares, and of least norm: centred units are of rank r - 1
        return {"loss": jnp.sum((multiply(rows, head) - seen) ** 2), "said": multiply(features[-1], head)}


def assume(one, key):
    return {
        "a head with a bias": jnp.asarray(1.0 if one.head_bias else -1.0),
        "no gain that is zero": smallest_of(jnp.abs(one.gain)) - 0.05,
        "more rows than units": jnp.minimum(jnp.asarray(one.n_samples, float), CAPACITY) - len(one.gain) - 1.5,
        "no more rows than there is room for": CAPACITY - jnp.asarray(one.n_samples, float) + 0.5,
        "biases that leave digits to the rest": 1e4 - jnp.sqrt(jnp.sum(one.bias**2)),
    }


def predict(one, key):
    return one.fit(key, plain=True)


def measure(one, key):
    return one.fit(key, plain=False)


def instance(place: str, rng: np.random.Generator) -> HeadOnUnits:
    """Outside, a head without a bias, or a gain of zero."""
    r = 6
    gain = rng.choice([-1, 1], r) * rng.uniform(0.1, 3, r)
    bare = place == OUTSIDE and rng.random() < 0.5
    if place == OUTSIDE and not bare:
        gain[:2] = 0.0
    bias, rows = rng.normal(size=r), float(rng.integers(r + 3, CAPACITY + 1))
    return HeadOnUnits(jnp.asarray(gain), jnp.asarray(bias), rows, float(rng.uniform(0.1, 2)), head_bias=not bare)


STATEMENT = Statement(
    name="normalisation-redundant",
    claim="Before a free linear head with a bias, the gain and bias of layer normalisation change no optimum, nor its risk.",
    source=("xu2019understanding",),
    kind="identity",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    places=(INSIDE, OUTSIDE),
    says="Gain and bias raise the risk of over-fitting, and most of its tasks do better without them.",
    proves="Not judged: its proofs were not read. Of gain and bias, curves of training and validation losses.",
    inferred="The setting, a free linear head right behind them, which is not that of its networks: there it is not refuted.",
)
