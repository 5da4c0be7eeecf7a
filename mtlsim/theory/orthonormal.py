"""Tasks on orthonormal designs, X_i'X_i = n_i I: each task's least squares is its parameters plus noise, with no inverse."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from mtlsim.core.keys import normal, stream
from mtlsim.samples.moments import Moments


class OrthonormalTasks(eqx.Module):
    """K tasks of X_i'X_i = n_i I, the target last: parameters (K, d), noise standard deviations (K,), rows n_i (K,)."""

    parameters: Float[Array, "K d"]
    noise: Float[Array, " K"]
    n_samples: Float[Array, " K"]

    @property
    def variances(self) -> Float[Array, " K"]:
        """Risk of each task alone, noise_i^2 d / n_i."""
        return self.noise**2 * self.parameters.shape[1] / self.n_samples

    def draw_moments(self, *, key: Key[Array, ""]) -> Moments:
        """Moments of every task; the energy holds only what the directions explain, which no estimate of parameters needs."""
        d, rows = self.parameters.shape[1], self.n_samples[:, None]
        normals = normal(stream(key, "noise"), self.parameters.shape)
        cross = rows * self.parameters + self.noise[:, None] * jnp.sqrt(rows) * normals
        return Moments(rows[:, None] * jnp.eye(d), cross, jnp.sum(cross**2, -1) / self.n_samples, self.n_samples)
