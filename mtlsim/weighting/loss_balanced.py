"""More weight for the task that has learned least since the start."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from mtlsim.weighting._scheme import Example, Facts, Scheme, Signals, above, floor_of


class LossBalanced(Scheme):
    """w_k = (L_k / L_k(0))^alpha [liu2019loss].

    alpha: 0.5; zero means equal weights. epoch: None takes L_k(0) from the start of the run; a number of steps takes it from the
    first step of every epoch, as released code does (to be verified): with full batches, epoch=1 then makes all weights one.
    """

    alpha: Array | float = 0.5
    epoch: int | None = eqx.field(default=None, static=True)

    def init(self, facts):
        return above(facts.losses, floor_of(facts.losses))[0]

    def weights(self, signals, state):
        losses, n_floored = above(signals.losses, floor_of(state))
        if self.epoch is not None:
            state = jnp.where(signals.step % self.epoch == 0, losses, state)
        return (losses / state) ** self.alpha, state, n_floored


SCHEME = LossBalanced
SEEN = Signals([0.25, 4.0], [[1.0, 0.0], [0.0, 1.0]], 0)
AFTER = SEEN._replace(losses=[1.0, 1.0], step=1)
CONFORMANCE = (
    Example(LossBalanced(), Facts([1.0, 4.0], [1.0, 1.0]), [SEEN, AFTER], [[0.5, 1.0], [1.0, 0.5]]),
    Example(LossBalanced(epoch=2), Facts([1.0, 4.0], [1.0, 1.0]), [SEEN, AFTER], [[1.0, 1.0], [2.0, 0.5]]),
)
