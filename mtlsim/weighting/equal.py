"""Every task counts the same."""

import jax.numpy as jnp

from mtlsim.weighting._scheme import Example, Facts, FixedScheme, Signals


class Equal(FixedScheme):
    """w_k = 1."""

    def decide(self, facts):
        return jnp.ones_like(facts.losses), jnp.zeros((), jnp.int32)


SCHEME = Equal
SEEN = Signals([0.1, 5.0], [[1.0, 0.0], [0.0, 9.0]], 0)
CONFORMANCE = (Example(Equal(), Facts([1.0, 2.0], [1.0, 1.0]), [SEEN], [[1.0, 1.0]]),)
