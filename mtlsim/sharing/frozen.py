"""A frozen layer: learned from the sources alone, and held while the target's head is fitted on it.

    B, A_1..A_(K-1) minimise the sources' sum of hard sharing;      A_K minimises |X_K B A_K - y_K|^2 + ridge_K |B A_K|^2.

The gap is that of the sources and that of the head, given the layer that was found. With as many columns as features it is
least squares of the target. Source: [wu2020understanding], Section 2.4.
"""

import jax.numpy as jnp

from mtlsim.samples.moments import stack
from mtlsim.sharing._sharing import Answer, Problem, gathered
from mtlsim.sharing.hard import Hard, own_head_is_near
from mtlsim.solvers.network import Layers
from mtlsim.solvers.solve import solve
from mtlsim.solvers.within import solve_within


class Frozen(Hard):
    """The shared layer of the sources alone, of the given rank, on which only the last task's head is fitted."""

    on_networks = False
    needs_source = True

    def route(self, n_tasks, rank, shared_covariates, n_features):
        return self.name

    def exact(self, problem: Problem) -> Answer:
        moments, ridge = problem.moments, problem.ridge
        sources = stack([moments[i] for i in range(moments.n_tasks - 1)])
        found = solve(sources, problem.rank, problem.weights[:-1], ridge[:-1], key=problem.key)
        last = solve_within(moments[-1], found.shared, ridge[-1])
        heads = jnp.linalg.lstsq(found.shared, last.parameters[0])[0]
        layers = Layers(found.shared, jnp.concatenate([found.heads, heads[None]]))
        parameters = jnp.concatenate([found.parameters, last.parameters])
        return gathered(layers, parameters, [found, last], (1, problem.weights[-1]))

    @property
    def trains(self):
        return False

    def shares(self, n_tasks, rank):
        return True

    def infinite_variance(self, tasks, rank, weights, ridge, target):
        return own_head_is_near(tasks, rank, ridge, target)


SHARING = Frozen
REDUCTIONS = ()
EXAMPLES = ((Frozen(), {"rank": 1}, [[4 / 3, 1 / 3], [1.6, 0.4]]),)
