"""Regularisation to the mean: every task has parameters of its own, pulled to the mean of all.

    minimise over theta_1..theta_K   sum_k ( |X_k theta_k - y_k|^2 + strength |theta_k - mean|^2 ).

It is the pull between all pairs of `soft` with strength / K, the shared and own columns of [evgeniou2004regularized] with a free
shared one, and ridge regression in the task covariance whose inverse is strength (I - 11'/K). strength -> 0 is every task alone,
strength -> infinity pools.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.core.checks import require_one
from mtlsim.sharing._sharing import MixedSharing
from mtlsim.solvers.mixed import Mixing, mixing_of_precision


class MeanRegularised(MixedSharing):
    """Every task's rows with the ridge `strength` (> 0, on the scale of X'X) around the mean of all tasks."""

    strength: Array | float = 1.0

    def __check_init__(self):
        require_one(self.strength, lambda s: (s > 0) & np.isfinite(s), "strength", "a number > 0", "use 1")

    def mixing(self, n_tasks: int) -> Mixing:
        return mixing_of_precision(jnp.asarray(self.strength) * (jnp.eye(n_tasks) - 1 / n_tasks))


SHARING = MeanRegularised
REDUCTIONS = ("single when weak", "pooled when strong")
EXAMPLES = ((MeanRegularised(2.0), {}, [[7 / 6, 7 / 12], [13 / 12, 11 / 12]]),)
