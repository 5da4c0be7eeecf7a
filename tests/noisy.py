"""A cell that compiles at once, for tests of sweeps in this and in other processes; workers import it from here."""

import equinox as eqx
import jax
import jax.numpy as jnp


class Noisy(eqx.Module):
    """gain = drift + scale * a standard normal, or a number of another law of `jax.random`; no gain where `void` is set.

    Every seventh or so has a bad status, where `bad` is set.
    """

    drift: float = 0.0
    bad: float = 0.0
    void: float = 0.0
    law: str = eqx.field(default="normal", static=True)
    scale: int = eqx.field(default=1, static=True)

    def __call__(self, *, key):
        gain = self.drift + self.scale * getattr(jax.random, self.law)(key)
        status = jnp.where((self.bad > 0) & (gain > self.drift + 1), 3, jnp.where(self.void > 0, 2, 0))
        return {"gain": jnp.where(self.void > 0, jnp.nan, gain), "status": status.astype(jnp.int32), "route": self.law}
