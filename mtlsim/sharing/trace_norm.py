"""A trace norm over the tasks' parameters: few common directions are kept, whatever the width of the layer [yang2016trace].

    minimise over W = [theta_1 .. theta_K]'   sum_k w_k |X_k theta_k - y_k|^2 + strength sum_j sigma_j(W),

convex, with exact ranks and a proven gap. It is what weight decay of hard sharing with r >= K columns does, strength = 2 decay.
With orthonormal rows n it takes strength / (2 n) off every singular value of the tasks' own solutions. strength -> infinity is
zero, and not pooling.

Of o outputs, labels (m, o), the tasks' parameters are a tensor (K, o, d) that is unfolded to matrices, whose norms are added:

    "tasks"         K x o d:  tasks are mixtures of few;
    "tensor-train"  that, and K o x d:  all outputs of all tasks use few directions of x, too;
    "tucker"        these, and o x K d:  outputs are mixtures of few, too.

Of one output the last matrix of each form but "tasks" is left out: they are once and twice the norm of W.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.core.checks import require_choice, require_one
from mtlsim.sharing._sharing import Answer, Problem, Sharing, require_no_ridge
from mtlsim.solvers.network import Layers
from mtlsim.solvers.penalised import FORMS, solve_trace_norm


class TraceNorm(Sharing):
    """strength: of the sum of singular values, > 0, on the scale of X'y. form: "tasks", "tensor-train" or "tucker", the matrices
    that the parameters make.
    """

    strength: Array | float = 1.0
    form: str = eqx.field(default="tasks", static=True)

    several_outputs = True

    def __check_init__(self):
        require_choice(self.form, FORMS, "form")
        require_one(self.strength, lambda s: (s > 0) & np.isfinite(s), "strength", "a number > 0", "use 1")

    def exact(self, problem: Problem) -> Answer:
        require_no_ridge(problem)
        strength = jnp.asarray(self.strength, problem.ridge.dtype)
        found = solve_trace_norm(problem.moments, problem.weights, strength, problem.n_outputs, self.form)
        return Answer(found.parameters, found.parameters, found.loss, found.gap, found.certificate, found.status)

    def layers(self, params):
        return Layers(params.T, jnp.eye(len(params), dtype=params.dtype))

    def rebuild(self, leaves):
        return leaves[0]


SHARING = TraceNorm
REDUCTIONS = ("single when weak",)
EXAMPLES = (
    (TraceNorm(1.0), {}, [[0.97492, 0.55880], [0.90749, 0.87716]]),
    (TraceNorm(0.5, "tucker"), {}, [[0.97492, 0.55880], [0.90749, 0.87716]]),
)
