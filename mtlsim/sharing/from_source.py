"""Fine-tuning: the last task's rows with a ridge around what the first task has learned alone.

    theta_1 = its own least squares (with ridge_1);      theta_K minimises |X_K theta - y_K|^2 + strength |theta - theta_1|^2.

strength -> 0 is least squares alone, strength -> infinity the source's own estimate. Tasks between keep their own least squares.
Each step is solved for its own optimum: the gap is the sum of theirs, given the theta_1 that was found.
Its risk is known for many features, and when it beats the best ridge: the statements soft-transfer and soft-transfer-sign.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.core.checks import require_one
from mtlsim.sharing._sharing import Answer, Problem, Sharing, gathered
from mtlsim.solvers.expected_risk import is_near
from mtlsim.solvers.mixed import solve_ridge
from mtlsim.solvers.network import Layers


class FromSource(Sharing):
    """The last task's rows with the ridge `strength` (> 0, on the scale of X'X) around the first task's own estimate."""

    strength: Array | float = 1.0

    needs_source = True

    def __check_init__(self):
        require_one(self.strength, lambda s: (s > 0) & np.isfinite(s), "strength", "a number > 0", "use 1")

    def exact(self, problem: Problem) -> Answer:
        moments, ridge = problem.moments, problem.ridge
        sources = [solve_ridge(moments[i], ridge[i]) for i in range(problem.n_tasks - 1)]
        centre = sources[0].parameters[0]
        moved = solve_ridge(moments[-1], self.strength, centre)
        parameters = jnp.concatenate([one.parameters for one in (*sources, moved)])
        return gathered(parameters, parameters, [*sources, moved], problem.weights)

    def layers(self, params):
        return Layers(params.T, jnp.eye(len(params), dtype=params.dtype))

    def rebuild(self, leaves):
        return leaves[0]

    def infinite_variance(self, tasks, rank, weights, ridge, target):
        return is_near(tasks.n_samples[0], tasks.n_features, ridge[0])


SHARING = FromSource
REDUCTIONS = ()
EXAMPLES = ((FromSource(1.0), {}, [[4 / 3, 1 / 3], [(1 + 4 / 3) / 2, (4 + 1 / 3) / 5]]),)
