"""Sluice networks: every task's columns come in two subspaces, and each task reads a mixture of all of them [ruder2019latent].

    f_k(x) = sum_(l, s) alpha_(k, l, s) x'b_(l, s),      penalty decay sum_(l, s) |b_(l, s)|^2,

heads of one, the mixing held: "private" averages the first subspace over the tasks and keeps the second (task correlation 1/3 of
two tasks), "balanced" gives every task 1/2 of the mean of all columns, so that all tasks are one (pooled ridge). The penalty on
inner products of the two subspaces, which a learned mixing has, is not part of it. The mixing of the released code concatenates
tasks in an order in which it weighs one task's features against each other; this is the one of the text.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.core.checks import require_choice, require_one
from mtlsim.sharing._sharing import MixedSharing
from mtlsim.solvers.mixed import Mixing

MIXTURES = ("private", "balanced")


class Sluice(MixedSharing):
    """mixture: "private" or "balanced", see the module. decay: of all columns, >= 0, on the scale of X'X."""

    mixture: str = eqx.field(default="private", static=True)
    decay: Array | float = 1.0

    one_decay = True

    def __check_init__(self):
        require_choice(self.mixture, MIXTURES, "mixture")
        require_one(self.decay, lambda s: (s >= 0) & np.isfinite(s), "decay", "a number >= 0", "use 1")

    def mixing(self, n_tasks: int) -> Mixing:
        mean = jnp.full((n_tasks, n_tasks), 1 / n_tasks)
        halves = [mean, jnp.eye(n_tasks)] if self.mixture == "private" else [mean / 2, mean / 2]
        return Mixing(jnp.concatenate(halves), jnp.full(2 * n_tasks, self.decay, float))


SHARING = Sluice
REDUCTIONS = ()
EXAMPLES = ()
