"""A cell that compiles at once, for tests of sweeps in other processes; workers import it from here."""

import equinox as eqx
import jax
import jax.numpy as jnp


class Noisy(eqx.Module):
    """gain = drift + a standard normal; every seventh or so has a bad status, where `bad` is set."""

    drift: float = 0.0
    bad: float = 0.0

    def __call__(self, *, key):
        gain = self.drift + jax.random.normal(key)
        return {"gain": gain, "status": jnp.where((self.bad > 0) & (gain > self.drift + 1), 3, 0).astype(jnp.int32)}
