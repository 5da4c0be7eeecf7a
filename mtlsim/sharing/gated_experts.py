"""Shared and own experts under gates that do not look at x: one level of CGC / PLE [tang2020progressive], MMoE without its inputs.

    f_k(x) = gate x'b_0 + (1 - gate) x'b_k,      penalty decay (|b_0|^2 + sum_k |b_k|^2),

heads of one. It is ridge regression in the task covariance gate^2 11' + (1 - gate)^2 I, that is the shared and own parameters of
[evgeniou2004regularized]: gate 0 is single-task ridge, gate 1 pools.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.core.checks import require_one
from mtlsim.sharing._sharing import MixedSharing
from mtlsim.solvers.mixed import Mixing


class GatedExperts(MixedSharing):
    """gate: of the shared expert, from 0 to 1; the task's own has the rest. decay: of all experts, >= 0, on the scale of X'X."""

    gate: Array | float = 0.5
    decay: Array | float = 1.0

    one_decay = True

    def __check_init__(self):
        require_one(self.gate, lambda s: (s >= 0) & (s <= 1), "gate", "a share from 0 to 1", "use 0.5")
        require_one(self.decay, lambda s: (s >= 0) & np.isfinite(s), "decay", "a number >= 0", "use 1")

    def mixing(self, n_tasks: int) -> Mixing:
        gate = jnp.asarray(self.gate, float)
        amounts = jnp.concatenate([gate * jnp.ones((1, n_tasks)), (1 - gate) * jnp.eye(n_tasks)])
        return Mixing(amounts, jnp.full(n_tasks + 1, self.decay, float))


SHARING = GatedExperts
REDUCTIONS = ()
EXAMPLES = (
    (GatedExperts(0.5, 1.0), {}, [[0.68966, 0.47962], [0.52351, 0.69592]]),
    (GatedExperts(0.8, 1.0), {}, [[0.74666, 0.66825], [0.72416, 0.71688]]),
    (GatedExperts(0.2, 1.0), {}, [[0.76650, 0.37329], [0.43081, 0.73642]]),
)
