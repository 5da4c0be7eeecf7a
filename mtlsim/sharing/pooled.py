"""Pooling: one parameter vector for all tasks, every head fixed to one.

    minimise over theta (d,)   sum_k w_k ( |X_k theta - y_k|^2 + ridge_k |theta|^2 ),

of minimum norm where the rows do not determine it. Every other linear architecture of one column has it as a limit: heads held at
one, a pull between the tasks without end, a task covariance of ones.
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.core.extremes import largest_of
from mtlsim.sharing._sharing import Answer, MixedSharing, Problem, rows_together
from mtlsim.solvers.expected_risk import is_near
from mtlsim.solvers.mixed import Mixing, solve_mixed
from mtlsim.solvers.network import Layers


class Pooled(MixedSharing):
    """One parameter vector for all tasks. Nothing to choose."""

    bends = False

    def mixing(self, n_tasks: int) -> Mixing:
        return Mixing(np.ones((1, n_tasks)), np.zeros(1))

    def exact(self, problem: Problem) -> Answer:
        one = self.mixing(problem.n_tasks)._replace(ridge=jnp.sum(problem.weights * problem.ridge)[None])
        mixing = Mixing(*(jnp.asarray(part, problem.ridge.dtype) for part in one))
        columns, *rest = solve_mixed(problem.moments, mixing, problem.weights)
        return Answer(Layers(columns.T, mixing.amounts.T), *rest)

    def infinite_variance(self, tasks, rank, weights, ridge, target):
        return is_near(rows_together(tasks, target), tasks.n_features, largest_of(ridge))


SHARING = Pooled
REDUCTIONS = ("single",)
EXAMPLES = ((Pooled(), {}, [[18 / 17, 14 / 17]] * 2),)
