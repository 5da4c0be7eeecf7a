"""A complementary covariate shift costs nothing where source and target have equally many rows.

Two tasks of equal parameters, the target's rows of covariance I and the source's of diag(scale^2 on one half of the features,
scale^-2 on the other). Pooled least squares at n_1 = n_2 = n / 2 has, in the limit d -> infinity at n / d, the same risk for
every scale, so that of no shift at all, which is exact for every d:

    E risk = (noise_1^2 + noise_2^2) / 2 * d / (n - d - 1).

What the limit leaves out is of order 1/d: at d = 40, scale 6 and 30 rows of each the risk is 4 % larger, at d = 80 half of that.
For scale -> infinity each half is known from one task alone, and E risk = noise^2 d / (n - d - 2) at n rows in all: a share
1 / (n - d - 2) more, which the trust 2 / d holds from n = 1.5 d + 2 on, at any scale (scale 20 at n = 48 is 12 % and more off).
The resolvents of the two halves add up, 1 / (1 + x) + 1 / (1 + 1/x) = 1, for any spectrum that is closed under x -> 1/x. With
fewer source rows than target rows the shift helps, with more it hurts (the instances outside).
"""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mtlsim.core import linalg
from mtlsim.core.keys import stream
from mtlsim.samples.wishart import draw_moments
from mtlsim.solvers.expected_risk import single_risk
from mtlsim.tasks.covariance import Covariance
from mtlsim.tasks.recipe import Tasks
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement


class ComplementaryShift(eqx.Module):
    """Rows of source and target (2,), their noise (2,), and by how much the source's features are stretched and shrunk."""

    n_features: int = eqx.field(static=True)
    n_samples: Float[Array, "2"]
    noise: Float[Array, "2"]
    scale: Array | float

    def draw(self) -> Tasks:
        """Both tasks with zero parameters, which lose nothing: where they are equal, the risk does not depend on them."""
        first_half = np.arange(self.n_features) < self.n_features // 2
        shifted = jnp.where(first_half, self.scale**2, self.scale**-2.0)
        covariances = Covariance(shifted), Covariance(jnp.ones_like(shifted))
        return Tasks(jnp.zeros((2, self.n_features)), covariances, self.noise, self.n_samples, jnp.zeros((), jnp.int32))


def assume(case, key):
    total = jnp.sum(case.n_samples)
    return {
        "equally many rows of source and target": 1e-6 - jnp.abs(case.n_samples[0] / case.n_samples[1] - 1),
        "equal noise": 1e-6 - jnp.abs(case.noise[0] / case.noise[1] - 1),
        "an even number of features": 0.5 if case.n_features % 2 == 0 else -0.5,
        "rows in all well above the number of features": total - 1.5 * case.n_features - 2.5,
    }


def predict(case, key):
    noise = jnp.sqrt(jnp.mean(case.noise**2))
    return {"risk_multi": single_risk(noise, jnp.sum(case.n_samples), case.n_features)}


def measure(case, key):
    """The risk on the target over the noise, which is linear in it and so known exactly for the drawn rows."""
    tasks = case.draw()
    grams = draw_moments(tasks, key=stream(key, "samples")).gram
    inverse = linalg.solve_positive(grams[0] + grams[1], jnp.eye(case.n_features, dtype=grams.dtype))
    noisy = case.noise[0] ** 2 * grams[0] + case.noise[1] ** 2 * grams[1]
    return {"risk_multi": jnp.trace(linalg.multiply(inverse, noisy, inverse, tasks.covariances[-1].matrix()))}


def trust(case) -> float:
    return 2 / case.n_features


def instance(place: str, rng: np.random.Generator) -> ComplementaryShift:
    d, n = 40, int(rng.integers(32, 160))
    rows = (n, n) if place == INSIDE else (n // 2, n + 60) if rng.random() < 0.5 else (3 * n, n)
    noise, scale = np.full(2, rng.uniform(0.3, 2)), float(rng.uniform(1.2, 6))
    return ComplementaryShift(d, jnp.asarray(rows, float), jnp.asarray(noise), scale)


def resized(case: ComplementaryShift) -> ComplementaryShift:
    return dataclasses.replace(case, n_features=case.n_features // 2, n_samples=jnp.ceil(case.n_samples / 2))


STATEMENT = Statement(
    name="complementary-shift",
    claim="Pooled least squares with as many source as target rows does not feel a complementary covariate shift.",
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
