"""Covariance alignment: a matrix R_k of its own for each task in front of the shared layer, learned with it [wu2020understanding].

    f_k(x) = g(x'R_k B) A_k,      penalty strength sum_k |R_k - I|_F^2,      R_k = I at the start.

Algorithm 1 of the source trains R_k and A_k before a layer B that is held (`mtlsim.align_covariances`); here B is learned too.
With linear units the matrices can be taken out, which is ours: the least |R_k - I|_F^2 that turns B A_k into theta_k != 0 is
|theta_k - B A_k|^2 / |B A_k|^2, and of all A_k the least of that is the squared sine of an angle, so that the tasks minimise

    sum_k w_k |X_k theta_k - y_k|^2  +  strength sum_k sin^2 angle(theta_k, span B),

whatever their covariances are. strength 0 is every task alone, strength -> infinity hard sharing, and no task ever pays more than
`strength`: what cannot be aligned is let go. Trained, as this is not convex.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mtlsim.core.checks import require_one
from mtlsim.core.keys import normal, stream
from mtlsim.core.linalg import multiply
from mtlsim.sharing._sharing import Shape, Sharing, identity
from mtlsim.solvers.network import Layers


class Turned(NamedTuple):
    """The shared layer B (d, r), R_k (K, d, d) and A (K, r)."""

    shared: Float[Array, "d r"]
    alignments: Float[Array, "K d d"]
    heads: Float[Array, "K r"]


class CovarianceAlignment(Sharing):
    """strength: of the pull of every R_k towards the identity, >= 0, on the scale of the sums of squares."""

    strength: Array | float = 1.0

    on_networks = True

    def __check_init__(self):
        require_one(self.strength, lambda s: (s >= 0) & np.isfinite(s), "strength", "a number >= 0", "use 1")

    def init(self, key, shape: Shape, size=0.3) -> Turned:
        K, d, r = shape.n_tasks, shape.n_features, shape.rank
        shared = size * normal(stream(key, "shared"), (d, r)) / d**0.5
        heads = size * normal(stream(key, "heads"), (K, r)) / r**0.5
        return Turned(shared, jnp.broadcast_to(jnp.eye(d, dtype=shared.dtype), (K, d, d)), heads)

    def layers(self, params: Turned) -> Layers:
        """The columns R_k B of all tasks side by side, of which each has its own."""
        n_tasks, r = params.heads.shape
        columns = jnp.concatenate([multiply(turn, params.shared) for turn in params.alignments], 1)
        own = jnp.eye(n_tasks, dtype=params.heads.dtype)[:, :, None]
        return Layers(columns, (own * params.heads[:, None]).reshape(n_tasks, n_tasks * r))

    def outputs(self, params: Turned, X, task, unit=identity):
        return multiply(unit(multiply(X, params.alignments[task], params.shared)), params.heads[task])

    def rebuild(self, leaves) -> Turned:
        return Turned(*leaves)

    def penalty(self, params: Turned):
        eye = jnp.eye(params.shared.shape[0], dtype=params.shared.dtype)
        return self.strength * jnp.sum((params.alignments - eye) ** 2)

    def owned(self, params: Turned) -> Turned:
        return Turned(False, True, True)


SHARING = CovarianceAlignment
REDUCTIONS = ()
EXAMPLES = ()
