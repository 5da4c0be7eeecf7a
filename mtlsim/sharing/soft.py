"""Soft sharing: every task has parameters of its own, and every pair of tasks pulls at each other.

    minimise over theta_1..theta_K   sum_k w_k |X_k theta_k - y_k|^2 + strength sum_(k<l) |theta_k - theta_l|^2
                                     + ridge sum_k |theta_k|^2,

ridge regression in the task covariance whose inverse is strength (K I - 11') + ridge I. strength 0 is every task alone, strength ->
infinity pools. The pull is on the products theta_k = B_k A_k; `soft-parameters` pulls at the layers B_k.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.core.checks import require_one
from mtlsim.sharing._sharing import MixedSharing
from mtlsim.solvers.mixed import Mixing, mixing_of_precision


class Soft(MixedSharing):
    """strength: of the pull between every pair of tasks. ridge: of every task. Both >= 0, on the scale of X'X."""

    strength: Array | float = 1.0
    ridge: Array | float = 0.0

    def __check_init__(self):
        for name in ("strength", "ridge"):
            require_one(getattr(self, name), lambda s: (s >= 0) & np.isfinite(s), name, "a number >= 0", "use 1")

    def mixing(self, n_tasks: int) -> Mixing:
        pull = n_tasks * jnp.eye(n_tasks) - jnp.ones((n_tasks, n_tasks))
        return mixing_of_precision(jnp.asarray(self.strength) * pull + jnp.asarray(self.ridge) * jnp.eye(n_tasks))


SHARING = Soft
REDUCTIONS = ("single", "single when weak", "pooled when strong")
EXAMPLES = (
    (Soft(1.0), {}, [[7 / 6, 7 / 12], [13 / 12, 11 / 12]]),
    (Soft(10.0), {}, [[1.07616, 0.77844], [1.06924, 0.84174]]),
)
