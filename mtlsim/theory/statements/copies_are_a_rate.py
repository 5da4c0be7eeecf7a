"""The alternative explanation by update dynamics: K copies of a task are one task whose shared layer learns K times as fast.

With heads that start alike, copies of a task have the same slopes in the layer, which adds them up, and each head sees its own
alone: at every step the parameters are those of the task alone with K times the rate of the layer. So what copies earn is speed,
and nothing is left of it where training has converged; what tasks of independent noise earn (`amplified-direction`) is no such
thing.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.core.keys import normal, stream
from mtlsim.core.linalg import multiply
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement


class Copies(eqx.Module):
    """Gradient steps on |X B a_k - y|^2 / n of K copies of one task; apart: how far their heads are apart at first."""

    rate: Array | float = 0.05
    apart: Array | float = 0.0
    n_copies: int = eqx.field(default=4, static=True)
    n_steps: int = eqx.field(default=40, static=True)


def train(X, y, layer, heads, layer_rate, head_rate, n_steps: int):
    """Parameters B a_0 after n_steps of plain gradient descent from B (d, r) and heads (K, r), each on the same rows and labels."""

    def step(state, _):
        layer, heads = state
        errors = multiply(multiply(X, layer), heads.T) - y[:, None]
        slopes = multiply(X.T, errors) / len(y)
        return (layer - layer_rate * multiply(slopes, heads), heads - head_rate * multiply(slopes.T, layer)), None

    (layer, heads), _ = jax.lax.scan(step, (layer, heads), None, n_steps)
    return multiply(layer, heads[0])


def _drawn(case, key):
    X = normal(stream(key, "rows"), (12, 4))
    y = X[:, 0] + normal(stream(key, "noise"), (12,))
    head = normal(stream(key, "head"), (2,))
    others = case.apart * normal(stream(key, "other heads"), (case.n_copies, 2))
    return X, y, normal(stream(key, "layer"), (4, 2)) / 2, (head + others.at[0].set(0)) / 2


def assume(case, key):
    return {
        "heads that start alike": 1e-9 - jnp.abs(jnp.asarray(case.apart, float)),
        "steps that do not diverge": 0.15 - case.n_copies * jnp.asarray(case.rate, float),
    }


def _named(parameters):
    return {f"parameter {i}": parameters[i] for i in range(2)}


def predict(case, key):
    X, y, layer, heads = _drawn(case, key)
    return _named(train(X, y, layer, heads[:1], case.n_copies * case.rate, case.rate, case.n_steps))


def measure(case, key):
    X, y, layer, heads = _drawn(case, key)
    return _named(train(X, y, layer, heads, case.rate, case.rate, case.n_steps))


def instance(place: str, rng: np.random.Generator) -> Copies:
    """Outside, heads that start apart, which the layer tells from each other."""
    apart = float(rng.uniform(0.5, 1)) if place == OUTSIDE else 0.0
    return Copies(float(rng.uniform(0.005, 0.03)), apart, n_copies=int(rng.choice([2, 4])))


STATEMENT = Statement(
    name="copies-are-a-rate",
    claim="Copies of a task beside it do what a larger rate of the shared layer does to the task alone, at every step.",
    source=("derived",),
    kind="identity",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    places=(INSIDE, OUTSIDE),
)
