"""More weight for the task whose loss fell least of late."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mtlsim.weighting._scheme import Example, Facts, Scheme, Signals, above, floor_of


class Epochs(NamedTuple):
    """Mean losses (K,) of this epoch so far, of the last one and of the one before; floor (K,)."""

    current: Float[Array, " K"]
    last: Float[Array, " K"]
    before: Float[Array, " K"]
    floor: Float[Array, " K"]


class DynamicWeightAverage(Scheme):
    """w = K softmax(rho / T) with rho_k = L_k(t-1) / L_k(t-2), means over epochs, and w = 1 in the first two [liu2019end].

    temperature: T = 2; large T means equal weights. epoch: steps that are averaged, 1 for full batches. Near the end of training
    rho tends to one, and so do the weights.
    """

    temperature: Array | float = 2.0
    epoch: int = eqx.field(default=1, static=True)

    def init(self, facts):
        zero = jnp.zeros_like(facts.losses)
        return Epochs(zero, zero, zero, floor_of(facts.losses))

    def weights(self, signals, state):
        last, before = jnp.maximum(state.last, state.floor), jnp.maximum(state.before, state.floor)
        early = signals.step < 2 * self.epoch
        weights = len(last) * jax.nn.softmax(jnp.where(early, 1, last / before) / self.temperature)
        current = state.current + signals.losses / self.epoch
        ends = (signals.step + 1) % self.epoch == 0
        moved = Epochs(jnp.zeros_like(current), current, state.last, state.floor)
        kept = state._replace(current=current)
        _, n_floored = above(state.before, state.floor)
        return weights, jax.tree.map(lambda a, b: jnp.where(ends, a, b), moved, kept), jnp.where(early, 0, n_floored)


SCHEME = DynamicWeightAverage
FACTS = Facts([1.0, 1.0], [1.0, 1.0])
LOSSES = ([1.0, 1.0], [1.0, 0.5], [9.0, 9.0])
FIRST = 1.1243530017715962  # 2 / (1 + e^-0.25): rho is 1 and 0.5, T is 2
CONFORMANCE = (
    Example(
        DynamicWeightAverage(),
        FACTS,
        [Signals(losses, [[1.0, 0.0], [0.0, 1.0]], step) for step, losses in enumerate(LOSSES)],
        [[1.0, 1.0], [1.0, 1.0], [FIRST, 2 - FIRST]],
    ),
)
