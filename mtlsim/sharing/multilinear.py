"""Multilinear Relationship Networks: the tasks' heads are drawn together, with a covariance between tasks [long2017learning].

    minimise over theta_1..theta_K   sum_k w_k |X_k theta_k - y_k|^2 + decay tr(W' Sigma^+ W),     W = [theta_1 .. theta_K]'.

Given Sigma (K, K), this is one ridge regression. Of two tasks with Sigma = [[1, rho], [rho, 1]]: rho = 0 is a ridge of `decay`
on each, rho -> 1 pools under one ridge of `decay`, rho = -1 makes them opposite, and in between it is `soft` with strength
decay rho / (1 - rho^2) and ridge decay / (1 + rho).

Learned (covariance=None), Sigma is W W' itself, renewed in turn with W as in the released code, which keeps neither determinants
nor a normalisation: this descends decay log det(W W' + eps I), a surrogate of the rank. With orthonormal rows n it keeps a
singular value s of the tasks' own solutions, as (s + sqrt(s^2 - 4 decay / n)) / 2, where s^2 >= 4 decay / n, and drops it
elsewhere: harder than the trace norm, and with local optima. eps = 10^-5 of the tasks' mean square under a ridge.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.core.checks import as_numbers, is_concrete, require, require_one
from mtlsim.core.linalg import multiply
from mtlsim.core.status import Certificate, Status, flag, worst
from mtlsim.sharing._sharing import Answer, MixedSharing, Problem, require_no_ridge
from mtlsim.solvers.mixed import Mixing, mixing_of_covariance, mixing_of_precision, solve_mixed
from mtlsim.solvers.network import Layers

ROUNDS = 400
JITTER = 1e-5
MOVED = 1e-6  # of the length of all parameters, in the last round


def as_matrix(value: Any) -> Any:
    """An array, if anything is given."""
    if value is None:
        return None
    return jnp.asarray(value if isinstance(value, jax.Array) else as_numbers(value, "covariance"), float)


class MultilinearRelationship(MixedSharing):
    """covariance: of the tasks, (K, K), symmetric and positive semidefinite; None learns it. decay: > 0, on the scale of X'X."""

    covariance: Array | None = eqx.field(default=None, converter=as_matrix)
    decay: Array | float = 1.0

    def __check_init__(self):
        require_one(self.decay, lambda s: (s > 0) & np.isfinite(s), "decay", "a number > 0", "use 1")
        if self.covariance is None or not is_concrete(self.covariance):
            return
        given = np.asarray(self.covariance, float)
        square = given.ndim == 2 and given.shape[0] == given.shape[1]
        require(square, "covariance", "a square matrix", f"of shape {given.shape}", "pass one row and column per task")
        require(np.isfinite(given).all(), "covariance", "of finite numbers", given.tolist(), "mend those entries")
        size = np.max(np.abs(given), initial=0)
        require(np.allclose(given, given.T, atol=1e-9 * size), "covariance", "symmetric", given.tolist(), "use (S + S') / 2")
        least = np.linalg.eigvalsh(given)[0]
        require(
            least >= -1e-9 * size and size > 0,
            "covariance",
            "positive semidefinite and not zero",
            f"of eigenvalue {least:.3g}",
            "lower the correlations",
        )

    def check(self, n_tasks, rank):
        if self.covariance is not None:
            shape = np.shape(self.covariance)
            require(
                shape == (n_tasks, n_tasks),
                "covariance",
                f"of shape {(n_tasks, n_tasks)}",
                f"of shape {shape}",
                "give one row per task",
            )

    def route(self, n_tasks, rank, shared_covariates, n_features):
        return "mixed" if self.covariance is not None else "majorise-minimise"

    @property
    def held(self):
        return self.covariance is not None

    @property
    def trains(self):
        return self.held

    def mixing(self, n_tasks: int) -> Mixing:
        return mixing_of_covariance(jnp.asarray(self.covariance, float), self.decay)

    def exact(self, problem: Problem) -> Answer:
        if self.covariance is not None:
            return super().exact(problem)
        require_no_ridge(problem)
        moments, eye = problem.moments, jnp.eye(problem.n_tasks, dtype=problem.moments.cross.dtype)
        decay = jnp.asarray(self.decay, eye.dtype)

        def renew(_, state):
            found, _ = state
            precision = jnp.linalg.inv(multiply(found.parameters, found.parameters.T) + jitter * eye)
            return solve_mixed(moments, mixing_of_precision(decay * precision), problem.weights), found.parameters

        start = solve_mixed(moments, Mixing(eye, decay * jnp.ones(len(eye))), problem.weights)
        square = jnp.sum(start.parameters**2) / len(eye)
        jitter = JITTER * jnp.where(square > 0, square, 1)
        found, before = jax.lax.fori_loop(0, ROUNDS, renew, (start, start.parameters))
        moved = jnp.linalg.norm(found.parameters - before) > MOVED * jnp.linalg.norm(found.parameters)
        layers = Layers(found.parameters.T, eye)  # each task its own column
        status = worst(found.status, flag(moved, Status.not_converged))
        none = jnp.full((), int(Certificate.none), jnp.int32)
        return Answer(layers, found.parameters, found.loss, found.loss, none, status)


SHARING = MultilinearRelationship
REDUCTIONS = ()
RHO = np.array([[1.0, 0.5], [0.5, 1.0]])
EXAMPLES = (
    (MultilinearRelationship(np.eye(2), 1.0), {}, [[0.875, 0.375], [0.5, 0.8]]),
    (MultilinearRelationship(RHO, 1.0), {}, [[0.88760, 0.49612], [0.68217, 0.81202]]),
    (MultilinearRelationship(np.ones((2, 2)), 1.0), {}, [[0.81481, 0.74074]] * 2),
)
