"""Several schemes in one program: which of them decides is a number that is traced."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from mtlsim.weighting._scheme import Scheme


class OneOf(Scheme):
    """The scheme number `which` of several. A sweep over schemes compiles once: all hold their state, and one of them moves it."""

    schemes: tuple[Scheme, ...]
    which: Int[Array, ""] | int | Array

    def init(self, facts):
        return tuple(scheme.init(facts) for scheme in self.schemes)

    def weights(self, signals, state):
        def decide(i, state):
            weights, moved, fired = self.schemes[i].weights(signals, state[i])
            return weights, (*state[:i], moved, *state[i + 1 :]), jnp.asarray(fired, jnp.int32)

        branches = [lambda state, i=i: decide(i, state) for i in range(len(self.schemes))]
        return jax.lax.switch(jnp.asarray(self.which, jnp.int32), branches, state)
