"""Weights from noise levels that are learned beside the tasks."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from mtlsim.weighting._scheme import Example, Facts, Scheme, Signals, above, floor_of

REACH = 20.0  # of the logarithm of a noise level, so that a solved task stays finite


class Uncertainty(Scheme):
    """w_k = 1 / (2 s_k), where s_k = exp(eta_k) descends sum_k L_k / (2 s_k) + eta_k / 2 [kendall2018multi].

    start: eta of all tasks (released multi-task code begins at -0.5, the authors' demonstration at 0; to be verified).
    learning_rate: of eta's own plain gradient steps. profiled: take the best eta at every step, s_k = L_k, which is the limit of
    many steps: then w_k = 1 / (2 L_k), half of `inverse-loss`. The authors' demonstration descends L_k / s_k + eta_k, twice this.
    """

    start: Array | float = 0.0
    learning_rate: Array | float = 0.025
    profiled: bool = eqx.field(default=False, static=True)

    def init(self, facts):
        return jnp.full_like(facts.losses, self.start), floor_of(facts.losses)

    def weights(self, signals, state):
        eta, floor = state
        if self.profiled:
            losses, n_floored = above(signals.losses, floor)
            return 1 / (2 * losses), state, n_floored
        precision = jnp.exp(-eta)
        moved = eta - self.learning_rate * (1 - signals.losses * precision) / 2
        return precision / 2, (jnp.clip(moved, -REACH, REACH), floor), jnp.sum(jnp.abs(moved) > REACH)


SCHEME = Uncertainty
FACTS = Facts([1.0, 1.0], [1.0, 1.0])
SEEN = Signals([1.0, 3.0], [[1.0, 0.0], [0.0, 9.0]], 0)
MOVED = 1.105170918075648  # e^0.1: the slope in eta of the second task is (1 - 3) / 2 = -1
CONFORMANCE = (
    Example(Uncertainty(learning_rate=0.1), FACTS, [SEEN, SEEN._replace(step=1)], [[0.5, 0.5], [0.5, 0.5 / MOVED]]),
    Example(Uncertainty(profiled=True), FACTS, [SEEN._replace(losses=[0.25, 4.0])], [[2.0, 0.125]]),
)
