"""Heads that are drawn together, on layers that all tasks share: Multilinear Relationship Networks of hidden units
[long2017learning].

    f_k(x) = g(.. g(x'B_1) .. B_L) A_k,      penalty decay ( sum_l |B_l|^2 + tr(A' Sigma^-1 A) ),      A = [A_1 .. A_K]'.

Without a decay of the layers the relation would do nothing: B -> t B, A -> A / t is the same function of linear or ReLU units. Of
linear units and one layer of r >= min(K, d) columns, what is left of both is a trace norm in the metric of the tasks,

    sum_k w_k |X_k theta_k - y_k|^2 + 2 decay sum_j sigma_j(Sigma^-1/2 W),      W = [theta_1 .. theta_K]',

that of `trace-norm` with strength 2 decay where Sigma is the identity. `multilinear` relates the parameters themselves, without
layers in front, and learns Sigma too.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.core.checks import is_concrete, require, require_one
from mtlsim.core.linalg import solve_positive
from mtlsim.sharing._sharing import Sharing, identity, require_depth
from mtlsim.sharing.hard import Hard
from mtlsim.sharing.multilinear import as_matrix, check_covariance, require_tasks


class MultilinearHeads(Sharing):
    """covariance: of the tasks, (K, K), symmetric and positive definite; None is the identity. decay: >= 0, on the scale of X'X.
    depth: L, how many shared layers follow each other.
    """

    covariance: Array | None = eqx.field(default=None, converter=as_matrix)
    decay: Array | float = 1.0
    depth: int = eqx.field(default=1, static=True)

    on_networks = True

    def __check_init__(self):
        require_one(self.decay, lambda s: (s >= 0) & np.isfinite(s), "decay", "a number >= 0", "use 1")
        require_depth(self.depth)
        if self.covariance is None or not is_concrete(self.covariance):
            return
        least, size = check_covariance(self.covariance)
        cure = "lower the correlations"
        require(least > 1e-9 * size, "covariance", "positive definite", f"of eigenvalue {least:.3g}", cure)

    def check(self, n_tasks, rank):
        require_tasks(self.covariance, n_tasks)

    @property
    def _layers(self) -> Hard:
        return Hard(self.depth)

    @property
    def flat(self):
        return self._layers.flat

    def init(self, key, shape, size=0.3):
        return self._layers.init(key, shape, size)

    def outputs(self, params, X, task, unit=identity):
        return self._layers.outputs(params, X, task, unit)

    def rebuild(self, leaves):
        return self._layers.rebuild(leaves)

    def owned(self, params):
        return self._layers.owned(params)

    def penalty(self, params):
        *layers, heads = jax.tree.leaves(params)
        related = heads if self.covariance is None else solve_positive(jnp.asarray(self.covariance, heads.dtype), heads)
        return self.decay * (sum(jnp.sum(columns**2) for columns in layers) + jnp.sum(heads * related))


SHARING = MultilinearHeads
REDUCTIONS = ()
EXAMPLES = ()
