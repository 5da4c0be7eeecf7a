"""Multilinear Relationship Networks: the tasks' heads are drawn together, with a covariance between tasks [long2017learning].

    minimise over theta_1..theta_K   sum_k w_k |X_k theta_k - y_k|^2 + decay tr(W' Sigma^+ W),     W = [theta_1 .. theta_K]'.

Given Sigma (K, K), this is one ridge regression. Of two tasks with Sigma = [[1, rho], [rho, 1]]: rho = 0 is a ridge of `decay`
on each, rho -> 1 pools under one ridge of `decay`, rho = -1 makes them opposite, and in between it is `soft` with strength
decay rho / (1 - rho^2) and ridge decay / (1 + rho).

Learned (covariance=None), Sigma is W W' itself, renewed in turn with W as in the released code, which keeps neither determinants
nor a normalisation: this descends decay log det(W W' + eps I), a surrogate of the rank. With orthonormal rows n it keeps a
singular value s of the tasks' own solutions, as (s + sqrt(s^2 - 4 decay / n)) / 2, where s^2 >= 4 decay / n, and drops it
elsewhere: harder than the trace norm, and with local optima. eps = 10^-5 of the tasks' mean square under a ridge.

released=True renews it by the rule of the released code: with W W' + 10^-5 I = U diag(v) U', the next Sigma^-1 is U diag(f(v)) U',
f(v) = 1/v for v > 0.1 and v itself below, scaled down to a trace of 3000 at most. (Between renewals that code takes 100 steps on W;
here W is solved.) What is below is hardly
penalised, where the surrogate drops it: with orthonormal rows s becomes the root of s + decay s^3 / n. A mode with
.1 <= s^2 < 4 decay / n, which the first rule shrinks below the threshold and the second lets grow back, is at rest nowhere:
`not_converged`. The threshold is absolute, so that the units of labels decide which rule holds.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mtlsim.core.checks import as_numbers, is_concrete, require, require_bool, require_one
from mtlsim.core.linalg import multiply
from mtlsim.core.status import Certificate, Status, flag, worst
from mtlsim.sharing._sharing import Answer, MixedSharing, Problem, require_no_ridge
from mtlsim.solvers.mixed import Mixing, mixing_of_covariance, mixing_of_precision, solve_mixed
from mtlsim.solvers.network import Layers

ROUNDS = 400
JITTER = 1e-5
MOVED = 1e-6  # of the length of all parameters, in the last round
SMALL, LARGEST_TRACE = 0.1, 3000.0  # of the released code: what is not inverted, and the most that a precision is


def as_matrix(value: Any) -> Any:
    """An array, if anything is given."""
    if value is None:
        return None
    return jnp.asarray(value if isinstance(value, jax.Array) else as_numbers(value, "covariance"), float)


def check_covariance(covariance: Any) -> tuple[float, float]:
    """The least eigenvalue and the largest entry of a covariance between tasks that can be looked at.

    Raises ValueError for what is no symmetric matrix of finite numbers, or zero.
    """
    given = np.asarray(covariance, float)
    square = given.ndim == 2 and given.shape[0] == given.shape[1]
    require(square, "covariance", "a square matrix", f"of shape {given.shape}", "pass one row and column per task")
    require(np.isfinite(given).all(), "covariance", "of finite numbers", given.tolist(), "mend those entries")
    size = float(np.max(np.abs(given), initial=0))
    require(size > 0, "covariance", "positive semidefinite and not zero", given.tolist(), "use the identity")
    require(np.allclose(given, given.T, atol=1e-9 * size), "covariance", "symmetric", given.tolist(), "use (S + S') / 2")
    return float(np.linalg.eigvalsh(given)[0]), size


def require_tasks(covariance: Any, n_tasks: int) -> None:
    """Refuse a covariance of another number of tasks."""
    shape, wanted = np.shape(covariance), (n_tasks, n_tasks)
    right = covariance is None or shape == wanted
    require(right, "covariance", f"of shape {wanted}", f"of shape {shape}", "give one row per task")


class MultilinearRelationship(MixedSharing):
    """covariance: of the tasks, (K, K), symmetric and positive semidefinite; None learns it. decay: > 0, on the scale of X'X.
    released: learn it by the rule of the released code."""

    covariance: Array | None = eqx.field(default=None, converter=as_matrix)
    decay: Array | float = 1.0
    released: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        require_bool(self.released, "released")
        cure = "leave covariance out: the rule is how it is learned"
        require(not self.released or self.covariance is None, "released", "False with a covariance", True, cure)
        require_one(self.decay, lambda s: (s > 0) & np.isfinite(s), "decay", "a number > 0", "use 1")
        if self.covariance is None or not is_concrete(self.covariance):
            return
        least, size = check_covariance(self.covariance)
        require(
            least >= -1e-9 * size,
            "covariance",
            "positive semidefinite and not zero",
            f"of eigenvalue {least:.3g}",
            "lower the correlations",
        )

    def check(self, n_tasks, rank):
        require_tasks(self.covariance, n_tasks)

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
            products = multiply(found.parameters, found.parameters.T)
            precision = released_precision(products) if self.released else jnp.linalg.inv(products + jitter * eye)
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


def released_precision(products: Float[Array, "K K"]) -> Float[Array, "K K"]:
    """What the released code makes of W W' (see above)."""
    values, vectors = jnp.linalg.eigh(products + JITTER * jnp.eye(len(products), dtype=products.dtype))
    values = jnp.where(values > SMALL, 1 / values, values)
    values = values * jnp.fmin(LARGEST_TRACE / jnp.sum(values), 1)
    return multiply(vectors * values, vectors.T)


SHARING = MultilinearRelationship
REDUCTIONS = ()
RHO = np.array([[1.0, 0.5], [0.5, 1.0]])
EXAMPLES = (
    (MultilinearRelationship(np.eye(2), 1.0), {}, [[0.875, 0.375], [0.5, 0.8]]),
    (MultilinearRelationship(RHO, 1.0), {}, [[0.88760, 0.49612], [0.68217, 0.81202]]),
    (MultilinearRelationship(np.ones((2, 2)), 1.0), {}, [[0.81481, 0.74074]] * 2),
)
