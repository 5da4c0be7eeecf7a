"""A trace norm over the tasks' parameters: few common directions are kept, whatever the width of the layer [yang2016trace].

    minimise over W = [theta_1 .. theta_K]'   sum_k w_k |X_k theta_k - y_k|^2 + strength sum_j sigma_j(W),

convex, with exact ranks and a proven gap. It is what weight decay of hard sharing with r >= K columns does, strength = 2 decay.
With orthonormal rows n it takes strength / (2 n) off every singular value of the tasks' own solutions. strength -> infinity is
zero, and not pooling. Of layers of a network stacked over tasks it is the norm of the unfolding along the tasks; at depth one the
sums over the unfoldings of the Tucker and tensor-train forms are twice and once this one.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.core.checks import require_one
from mtlsim.sharing._sharing import Answer, Problem, Sharing, require_no_ridge
from mtlsim.solvers.network import Layers
from mtlsim.solvers.penalised import solve_trace_norm


class TraceNorm(Sharing):
    """strength: of the sum of singular values, > 0, on the scale of X'y."""

    strength: Array | float = 1.0

    def __check_init__(self):
        require_one(self.strength, lambda s: (s > 0) & np.isfinite(s), "strength", "a number > 0", "use 1")

    def exact(self, problem: Problem) -> Answer:
        require_no_ridge(problem)
        strength = jnp.asarray(self.strength, problem.ridge.dtype)
        found = solve_trace_norm(problem.moments, problem.weights, strength)
        return Answer(found.parameters, found.parameters, found.loss, found.gap, found.certificate, found.status)

    def layers(self, params):
        return Layers(params.T, jnp.eye(len(params), dtype=params.dtype))

    def rebuild(self, leaves):
        return leaves[0]


SHARING = TraceNorm
REDUCTIONS = ("single when weak",)
EXAMPLES = ((TraceNorm(1.0), {}, [[0.97492, 0.55880], [0.90749, 0.87716]]),)
