"""When one direction that k tasks share is visible in their noisy parameters: the threshold of a spiked rectangular matrix.

M (d, k) = s u v' + Z with unit vectors u (d,), v (k,) and Z_ij ~ N(0, 1/d). In the limit d, k -> infinity at A = k / d, the top
singular value of M and the squared overlaps of its singular vectors with u and v are, for s > A^(1/4),

    sqrt((1 + s^2) (A + s^2)) / s,    (s^4 - A) / (s^4 + s^2)  with u (of length d),    (s^4 - A) / (s^4 + A s^2)  with v,

and below the threshold 1 + sqrt(A), 0 and 0: the direction is there, and nothing of it is seen. What is compared are the parts
that are missed, 1 - overlap^2, since a relative error of zero is of no use. Classical for spiked random matrices.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.core.keys import normal, stream
from mtlsim.core.linalg import multiply
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement

NAMES = ("top_singular_value", "missed_left", "missed_right")


class SpikedMatrix(eqx.Module):
    """M (d, k) = strength u v' + Z, Z_ij ~ N(0, 1/d); u and v are coordinates, as Z looks the same in every basis."""

    n_features: int = eqx.field(static=True)
    n_tasks: int = eqx.field(static=True)
    strength: Array | float

    @property
    def aspect(self) -> float:
        return self.n_tasks / self.n_features

    def draw(self, *, key) -> Array:
        shape = self.n_features, self.n_tasks
        return normal(stream(key, "noise"), shape).at[0, 0].add(self.strength * self.n_features**0.5) / shape[0] ** 0.5


def spiked_singular(strength, aspect):
    """Top singular value, squared overlap with u (length d) and with v (length k = aspect d), on both sides of the threshold."""
    seen = strength > aspect**0.25
    square = jnp.where(seen, strength, 1.0 + aspect) ** 2
    value = jnp.sqrt((1 + square) * (aspect + square) / square)
    left, right = ((square**2 - aspect) / (square**2 + factor * square) for factor in (1.0, aspect))
    return jnp.where(seen, value, 1 + aspect**0.5), jnp.where(seen, left, 0), jnp.where(seen, right, 0)


def assume(case, key):
    threshold = case.aspect**0.25
    return {"strength away from the threshold": jnp.abs(case.strength / threshold - 1) - 0.3}


def predict(case, key):
    value, left, right = spiked_singular(case.strength, case.aspect)
    return dict(zip(NAMES, (value, 1 - left, 1 - right), strict=True))


def measure(case, key):
    matrix = case.draw(key=key)
    squares, vectors = jnp.linalg.eigh(multiply(matrix.T, matrix))
    value, right = jnp.sqrt(squares[-1]), vectors[:, -1]
    left = multiply(matrix[0], right) / value
    return dict(zip(NAMES, (value, 1 - left**2, 1 - right[0] ** 2), strict=True))


def trust(case) -> float:
    """The edge of the noise moves by d^(-2/3), and below the threshold chance alone shows a part of that order of the shorter
    vector. Measured, .7 of the threshold: .87 min(d, k)^(-2/3) at 80, .94 at 40, .92 at 12.
    """
    return 1.1 * min(case.n_features, case.n_tasks) ** (-2 / 3)


def instance(place: str, rng: np.random.Generator) -> SpikedMatrix:
    d, k = (200, 80) if rng.random() < 0.6 else (80, 80)
    ratio = rng.choice([rng.uniform(0.1, 0.5), rng.uniform(1.6, 3)]) if place == INSIDE else rng.uniform(0.9, 1.15)
    return SpikedMatrix(d, k, float(ratio * (k / d) ** 0.25))


def resized(case: SpikedMatrix) -> SpikedMatrix:
    return SpikedMatrix(case.n_features // 2, case.n_tasks // 2, case.strength)


STATEMENT = Statement(
    name="detectability",
    claim="A direction shared by k tasks is seen in their noisy parameters if and only if its strength exceeds (k / d)^(1/4).",
    source=("derived",),
    kind="limit",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    trust=trust,
    places=(INSIDE, OUTSIDE),
    resized=resized,
)
