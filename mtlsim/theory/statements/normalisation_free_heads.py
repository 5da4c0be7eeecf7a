"""With a head for each task, normalised units know nothing of the scale of a task's rows, nor does its pull on the layer.

f(s x) = f(x) for s > 0, whatever the layer B (d, r) is. Labels that no length moves are fitted as before; labels that grow with
the row, s y, by a head s a, at s^2 times the loss, which a weight of 1 / s^2 gives back. So with its heads at their best the loss
as a function of B, its slope in B, and all that is said of the target are those of s = 1: the sign of transfer cannot turn with
the scale, as it does with one head for all (`normalisation-tied`, `normalisation-amplitude`) [xu2019understanding].
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from mtlsim.core.extremes import smallest_of
from mtlsim.core.keys import normal, stream
from mtlsim.core.linalg import multiply
from mtlsim.core.normalisation import layer_norm
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement

ROWS = 12, 9  # of the source and of the target
LENGTH = 1000.0  # of every feature, beside which the 1e-5 is nothing


class HeadsOnLayer(eqx.Module):
    """Best heads on normalised ReLU units (d, r) of two tasks; the source's rows are `scale` times as long, its labels
    scale^power times as large, and its weight is scale^(-2 power). tied: one head for both."""

    columns: Float[Array, "d r"]
    scale: Array | float
    power: Array | float
    tied: bool = eqx.field(default=False, static=True)

    def tasks(self, key: Key[Array, ""]) -> list[tuple[Array, Array]]:
        """Rows and labels of both, of the same scale."""
        rows = [LENGTH * normal(stream(key, "covariates", k), (n, len(self.columns))) for k, n in enumerate(ROWS)]
        return [(X, multiply(X, normal(stream(key, "parameters", k), (X.shape[1],)))) for k, X in enumerate(rows)]

    def fit(self, key: Key[Array, ""], scale) -> dict[str, Array]:
        """The weighted loss at the best heads, the length of its slope in the layer, and what is said of the last target row."""
        (X, y), (Z, v) = self.tasks(key)
        X, y, weight = scale * X, scale**self.power * y, scale ** (-2 * self.power)

        def units(columns):
            return [jax.nn.relu(layer_norm(multiply(rows, columns))) for rows in (X, Z)]

        best = lambda A, b: jnp.linalg.lstsq(A, b)[0]  # without squares
        F, G = units(self.columns)
        root = jnp.sqrt(weight)
        both = best(jnp.concatenate([root * F, G]), jnp.append(root * y, v)) if self.tied else None
        heads = [both, both] if self.tied else [best(F, y), best(G, v)]

        def loss(columns):  # the slope of what is left at the best heads is that at heads which are held
            F, G = units(columns)
            return weight * jnp.sum((multiply(F, heads[0]) - y) ** 2) + jnp.sum((multiply(G, heads[1]) - v) ** 2)

        value, slope = jax.value_and_grad(loss)(self.columns)
        return {"loss": value, "slope": jnp.sqrt(jnp.sum(slope**2)), "said": multiply(G[-1], heads[1])}


def assume(one, key):
    scores = [multiply(X, one.columns) for X, _ in one.tasks(key)]
    spread = smallest_of(jnp.stack([smallest_of(jnp.var(part, -1)) for part in scores]))
    scale = jnp.asarray(one.scale, float)
    return {
        "a head for each task": 1.0 if not one.tied else -1.0,
        "units whose spread leaves nothing to the 1e-5": jnp.minimum(spread, spread * scale**2) - 1e3,
        "a scale within a factor of a thousand": 3 - jnp.abs(jnp.log10(scale)),
        "labels whose weight does not leave the numbers": 50 - jnp.abs(one.power * jnp.log10(scale)),
    }


def predict(one, key):
    return one.fit(key, jnp.ones(()))


def measure(one, key):
    return one.fit(key, jnp.asarray(one.scale, float))


def instance(place: str, rng: np.random.Generator) -> HeadsOnLayer:
    """Outside, one head for both tasks, and labels that grow with the row."""
    scale = float(np.exp(rng.choice([-1, 1]) * rng.uniform(0.5, 2)))
    power = 1.0 if place == OUTSIDE else float(rng.integers(2))
    return HeadsOnLayer(jnp.asarray(rng.normal(size=(4, 5))), scale, power, tied=place == OUTSIDE)


STATEMENT = Statement(
    name="normalisation-free-heads",
    claim="With normalised units and a head for each task, the scale of a task's rows moves neither the best fit of any layer nor "
    "its slope.",
    source=("xu2019understanding",),
    kind="identity",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    places=(INSIDE, OUTSIDE),
    says="The derivatives of mean and variance matter more than the normalisation itself.",
    proves="Not judged: its proofs were not read.",
    inferred="Several tasks, heads of their own, and what this means for transfer.",
)
