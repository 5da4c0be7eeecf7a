"""`solve`: one verb that picks the exact route where there is one, and names the route it took."""

import reprlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from mtlsim.core.checks import is_concrete, is_whole, require, require_bool, require_choice
from mtlsim.core.extremes import largest_of, smallest_of
from mtlsim.core.keys import check_key
from mtlsim.core.status import Certificate, Status, flag, worst
from mtlsim.samples.moments import Moments, stack
from mtlsim.solvers.columns import solve_by_columns
from mtlsim.solvers.newton import solve_by_newton
from mtlsim.solvers.objective import check_weights, per_task
from mtlsim.solvers.pair import solve_pair
from mtlsim.solvers.pencil import FORMS, choose_form, name_route
from mtlsim.solvers.rows import UNSEEN, is_double, rows_of, taken_for_rounding
from mtlsim.solvers.separate import solve_separately
from mtlsim.solvers.shared import solve_shared
from mtlsim.solvers.solution import Solution

ROUTES = {
    "separate": "rank >= tasks: each task keeps its own solution (exact)",
    "shared_covariates": "same rows for all tasks, any rank and weights: a singular value decomposition (exact)",
    "secular": "two tasks, rank one: global optimum of the secular function (exact, with a certificate)",
    "secular-eigh": "the same by an eigendecomposition, where that is faster",
    "secular-jacobi": "the same by Jacobi rotations, which accelerators alone offer",
    "secular-cholesky": "the same by Cholesky factorisations alone, where that is faster",
    "newton": "more tasks, rank one: Newton steps over the heads, many starts (interval from all pairs)",
    "newton-columns": "everything else: the same over the heads of several columns (no certificate)",
}
PAIR_FORMS = {name_route(form): form for form in FORMS}
ITERATED = ("newton", "newton-columns")
LOST_DIGITS = 1e-2  # condition number times rounding at which a result is called ill-conditioned


def choose_route(n_tasks: int, rank: int, shared_covariates: bool, n_features: int) -> str:
    """The route that `solve` takes for these sizes."""
    if rank >= n_tasks:
        return "separate"
    if shared_covariates:
        return "shared_covariates"
    if rank == 1:
        return name_route(choose_form(jax.default_backend(), n_features)) if n_tasks == 2 else "newton"
    return "newton-columns"


def solve(
    moments: Moments | Sequence[Moments],
    rank: int,
    weights=None,
    ridge=None,
    *,
    route: str = "auto",
    key: Key[Array, ""] | None = None,
    n_starts: int = 8,
    max_iterations: int = 200,
    certify: bool = False,
) -> Solution:
    """Optimal shared layer B (d, r) and heads A (K, r) of hard sharing (see `mtlsim.solvers.objective`).

    moments: K tasks, stacked or in a sequence. rank: r >= 1, at most d. weights: per task, >= 0, not all zero; None is one
    each. ridge: per task, >= 0, on the scale of X'X. route: "auto" or a name in `ROUTES`, to compare solvers. key, n_starts:
    for the routes with random starts; key defaults to jax.random.key(0). max_iterations: per start.
    certify: whether to prove the optimum of rank one for more than two tasks, by a search of all heads (see
    `mtlsim.solvers.boxes`; of more than five tasks a bound is proven for groups of five).
    Raises ValueError for sizes, weights and routes that make no sense; trouble with the numbers becomes `status`.

    >>> X, y = np.eye(2), np.array([1.0, 1.0])
    >>> moments = [mtl.Moments.from_data(X, y), mtl.Moments.from_data(X, -3 * y)]
    >>> solution = mtl.solve(moments, rank=1)  # one direction, and heads of both signs
    >>> solution.route.startswith("secular"), solution.parameters.round(6).tolist()  # its form depends on the processor
    (True, [[1.0, 1.0], [-3.0, -3.0]])
    """
    moments = stack(moments)
    n_tasks, d = moments.n_tasks, moments.n_features
    whole = is_whole(rank)
    require(whole and 1 <= rank <= d, "rank", f"a whole number from 1 to n_features = {d}", rank, "use 1 to force sharing")
    weights = per_task(weights, 1.0, n_tasks, "weights", moments.gram.dtype)
    check_weights(weights)
    ridge = per_task(ridge, 0.0, n_tasks, "ridge", moments.gram.dtype)
    key = jax.random.key(0) if key is None else check_key(key)
    if moments.shared_covariates and rank < n_tasks and is_concrete(ridge):
        equal = bool(np.all(ridge == ridge[0]))
        require(equal, "ridge", "the same for all tasks on shared rows", ridge, "give one number, or rank >= tasks")
    best = choose_route(n_tasks, rank, moments.shared_covariates, d)
    require_choice(route, ["auto", *ROUTES], "route")
    require_bool(certify, "certify")
    for name, value in (("n_starts", n_starts), ("max_iterations", max_iterations)):
        require(is_whole(value) and value >= 0, name, "a whole number >= 0", reprlib.repr(value), "leave it out")
    route = best if route == "auto" else route
    solution = _take(route, moments, int(rank), weights, ridge, key, n_starts, max_iterations, certify)
    hidden = taken_for_rounding(moments, weights, ridge)
    half_of_digits = jnp.sqrt(jnp.finfo(weights.dtype).eps)
    impossible = solution.loss < -half_of_digits * jnp.sum(weights * moments.energy)  # sums that no rows have
    trouble = worst(_conditioning(moments, ridge, solution.route), flag((hidden > 0) | impossible, Status.ill_conditioned))
    status = worst(solution.status, trouble)
    certificate = jnp.where(impossible, int(Certificate.none), solution.certificate)
    if not moments.rank_known and not is_double(weights):  # arrays may have lost more when they were made than is seen now
        certificate = jnp.where(status == Status.ill_conditioned, int(Certificate.none), certificate)
    known = solution.gap + hidden, certificate, status
    return eqx.tree_at(lambda s: (s.gap, s.certificate, s.status), solution, known)


@partial(jax.jit, static_argnames=("route", "rank", "n_starts", "max_iterations", "certify"))
def _take(
    route: str, moments: Moments, rank: int, weights, ridge, key, n_starts: int, max_iterations: int, certify: bool
) -> Solution:
    n_tasks, shared = moments.n_tasks, moments.shared_covariates
    if route == "separate":
        require(rank >= n_tasks, "route", "one that fits", repr(route), f"it needs rank >= {n_tasks} tasks")
        return solve_separately(_unshare(moments), rank, weights, ridge)
    if route == "shared_covariates":
        require(
            shared and rank <= n_tasks, "route", "one that fits", repr(route), "it needs one gram for all tasks and rank <= tasks"
        )
        return solve_shared(moments, rank, weights, ridge[0])
    if shared:  # equal rows have a common null space, which no number of rows tells
        moments = replace(_unshare(moments), rank_known=False)
    if route in PAIR_FORMS:
        require(n_tasks == 2 and rank == 1, "route", "one that fits", repr(route), "it needs two tasks and rank 1")
        offered = PAIR_FORMS[route] != "jacobi" or jax.default_backend() != "cpu"
        require(offered, "route", "one that fits", repr(route), "Jacobi rotations need an accelerator; use 'secular-eigh'")
        return solve_pair(moments, weights, ridge, PAIR_FORMS[route])
    if route == "newton":
        require(n_tasks >= 2 and rank == 1, "route", "one that fits", repr(route), "it needs rank 1")
        return solve_by_newton(moments, weights, ridge, key, n_starts, max_iterations, certify)
    require(rank <= n_tasks, "route", "one that fits", repr(route), f"it needs rank <= {n_tasks} tasks; use 'separate'")
    return solve_by_columns(moments, rank, weights, ridge, key, n_starts, max_iterations)


def _unshare(moments: Moments) -> Moments:
    """One gram per task also where the tasks share their rows."""
    if not moments.shared_covariates:
        return moments
    every = lambda leaf: None if leaf is None else jnp.broadcast_to(leaf, (moments.n_tasks, *leaf.shape))
    parts = every(moments.gram), moments.cross, moments.energy, moments.n_samples, every(moments.factor), moments.scores
    return Moments(*parts, moments.rank_known)


@partial(jax.jit, static_argnames="route")
def _conditioning(moments: Moments, ridge, route: str):
    """ill_conditioned where the observed directions' scales span more than the precision resolves.

    Routes over pairs, shared rows and single tasks count their own rounding where moments do not know their rank; the others
    work with squares. Of drawn moments it is a lower bound, by features.
    """
    if not moments.rank_known:
        if route not in ITERATED:
            return jnp.zeros((), jnp.int32)
        values = [jnp.linalg.svd(_unit_columns(rows_of(moments[i], ridge[i])[0]), compute_uv=False) for i in range(moments.n_tasks)]
        values = jnp.stack(values)
        largest = largest_of(values, 1)
        seen = values > UNSEEN * moments.n_features * jnp.finfo(values.dtype).eps * largest[:, None]
        spread = largest / smallest_of(jnp.where(seen, values, largest[:, None]), 1)
        return flag(jnp.any(spread**2 * jnp.finfo(values.dtype).eps > LOST_DIGITS), Status.ill_conditioned)
    diagonal = jnp.atleast_2d(moments.squares) + ridge[: 1 if moments.shared_covariates else None, None]
    largest = largest_of(diagonal, 1)
    smallest = smallest_of(jnp.where(diagonal > 0, diagonal, largest[:, None]), 1)
    return flag(jnp.any(largest * jnp.finfo(largest.dtype).eps > LOST_DIGITS * smallest), Status.ill_conditioned)


def _unit_columns(rows):
    """Columns of length one, or zero."""
    rows = rows / jnp.maximum(largest_of(jnp.abs(rows)), jnp.finfo(rows.dtype).tiny)
    sizes = jnp.sqrt(jnp.sum(rows**2, 0))
    return rows / jnp.where(sizes > 0, sizes, 1)
