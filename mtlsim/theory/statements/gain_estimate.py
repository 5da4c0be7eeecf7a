"""An unbiased estimate of what pooling gains, from the data that would be pooled.

Given the rows of two tasks of equal label noise, with S_i = X_i'X_i, S = S_1 + S_2 and S_2 invertible, the pooled estimate improves
on the target's own least squares, in expectation over label noise, by

    gain = noise^2 tr Sigma (S_2^-1 - S^-1) - |S^-1 S_1 (theta_1 - theta_2)|_Sigma^2,

and, because the covariance of the pooled and the own estimate is noise^2 S^-1 (so that the variances of their difference subtract),

    estimate = 2 noise^2 tr Sigma (S_2^-1 - S^-1) - |theta_pooled - theta_own|_Sigma^2

has exactly this mean. It keeps it if noise^2 is replaced by the target's residual variance. Accepting the source where the
estimate is positive is a test of it; it errs on single draws where the gain is small.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mtlsim.core.compiler import jit_hastily
from mtlsim.core.linalg import multiply, solve_positive
from mtlsim.samples.moments import Moments, stack
from mtlsim.theory.statement import EDGE, INSIDE, OUTSIDE, Statement, drawn_until

SMALL = 0.2  # of what one draw moves: a gain that takes many draws to tell from nothing


class TwoDesigns(eqx.Module):
    """Fixed rows of a source and a target; a key draws label noise alone. Rows of zeros stand for no row."""

    source: Float[Array, "n d"]
    target: Float[Array, "m d"]
    covariance: Float[Array, "d d"]
    parameters: Float[Array, "2 d"]
    noise: Float[Array, "2"]

    def draw(self, key) -> Moments:
        moments = []
        for X, theta, noise, own_key in zip(self.designs, self.parameters, self.noise, jax.random.split(key), strict=True):
            rows = jnp.any(X != 0, 1)
            y = multiply(X, theta) + noise * jnp.where(rows, jax.random.normal(own_key, X.shape[:1]), 0)
            moments.append(Moments(multiply(X.T, X), multiply(X.T, y), multiply(y, y), jnp.sum(rows).astype(float)))
        return stack(moments)

    @property
    def designs(self):
        return self.source, self.target


def variance_saved(grams, n_target, covariance):
    """tr Sigma (S_2^-1 - S^-1) for the grams of a source and a target; NaN for n_2 < d, where S_2 has no inverse."""
    saved = jnp.trace(solve_positive(grams[1], covariance) - solve_positive(grams[0] + grams[1], covariance))
    return jnp.where(n_target >= covariance.shape[0], saved, jnp.nan)


def expected_gain(grams, difference, variance, n_target, covariance):
    """The gain given the rows, in expectation over label noise; difference = theta_1 - theta_2, variance = noise^2."""
    moved = solve_positive(grams[0] + grams[1], multiply(grams[0], difference))
    return variance * variance_saved(grams, n_target, covariance) - multiply(moved, covariance, moved)


def residual_variance(moments: Moments):
    """The unbiased estimate of noise^2 from the target's residuals; NaN for n_2 <= d."""
    freedom = moments.n_samples[1] - moments.n_features
    left = moments.energy[1] - multiply(moments.cross[1], solve_positive(moments.gram[1], moments.cross[1]))
    return jnp.where(freedom > 0, left / jnp.where(freedom > 0, freedom, 1), jnp.nan)


def estimate_gain(moments: Moments, covariance, variance=None):
    """The estimate for the moments of a source and a target; variance: noise^2, or None for that of the target's residuals."""
    variance = residual_variance(moments) if variance is None else variance
    own = solve_positive(moments.gram[1], moments.cross[1])
    pooled = solve_positive(moments.gram[0] + moments.gram[1], moments.cross[0] + moments.cross[1])
    saved = variance_saved(moments.gram, moments.n_samples[1], covariance)
    return 2 * variance * saved - multiply(pooled - own, covariance, pooled - own)


def accept_source(moments: Moments, covariance, variance=None):
    """Whether the estimate says that pooling helps (not where it is NaN, for n_2 < d)."""
    return estimate_gain(moments, covariance, variance) > 0


def assume(designs, key):
    rows = jnp.sum(jnp.any(designs.target != 0, 1))
    return {
        "more target rows than features": rows - designs.target.shape[1] - 0.5,
        "equal noise": 1e-9 * designs.noise[1] - jnp.abs(designs.noise[0] - designs.noise[1]),
    }


def predict(designs, key):
    grams, difference = [multiply(X.T, X) for X in designs.designs], designs.parameters[0] - designs.parameters[1]
    n_target = jnp.sum(jnp.any(designs.target != 0, 1))
    gain = expected_gain(grams, difference, designs.noise[1] ** 2, n_target, designs.covariance)
    return dict.fromkeys(("gain", "estimate", "estimate with residual variance"), gain)


def measure(designs, key):
    moments, covariance = designs.draw(key), designs.covariance
    own = solve_positive(moments.gram[1], moments.cross[1]) - designs.parameters[1]
    pooled = solve_positive(moments.gram[0] + moments.gram[1], moments.cross[0] + moments.cross[1]) - designs.parameters[1]
    return {
        "gain": multiply(own, covariance, own) - multiply(pooled, covariance, pooled),
        "estimate": estimate_gain(moments, covariance, designs.noise[1] ** 2),
        "estimate with residual variance": estimate_gain(moments, covariance),
    }


@jit_hastily
def relative_gain(designs):
    """The gain over what one draw moves its estimates: the variance saved, and twice the error of the residual variance of it."""
    grams = [multiply(X.T, X) for X in designs.designs]
    n_target = jnp.sum(jnp.any(designs.target != 0, 1))
    moves = 1 + 2 * jnp.sqrt(2 / (n_target - designs.target.shape[1]))
    unit = designs.noise[1] ** 2 * variance_saved(grams, n_target, designs.covariance) * moves
    return jnp.abs(predict(designs, None)["gain"]) / unit


@drawn_until(lambda designs: relative_gain(designs) > SMALL, (INSIDE, EDGE))
def instance(place: str, rng: np.random.Generator) -> TwoDesigns:
    """Rows of which no gain is small beside what one draw moves, as draws hardly tell such from nothing."""
    d, most = 8, 40
    root = rng.normal(size=(d, d)) / np.sqrt(d) + np.eye(d)
    designs = []
    for n in (rng.integers(1, most), rng.integers(d + 2, most)):
        designs.append(np.where(np.arange(most)[:, None] < n, rng.normal(size=(most, d)) @ root.T, 0))
    target, delta = rng.normal(size=(2, d))
    parameters = np.stack([target + rng.uniform(0, 0.6) * delta, target])
    noise = rng.uniform(0.2, 2)
    noises = np.asarray([3 * noise if place == OUTSIDE else noise, noise])
    return TwoDesigns(*(jnp.asarray(numbers) for numbers in (*designs, root @ root.T, parameters, noises)))


STATEMENT = Statement(
    name="gain-estimate",
    claim="The gain of pooling a source can be estimated without bias from the data that would be pooled.",
    source=("derived",),
    kind="equality",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    places=(INSIDE, OUTSIDE),
)
