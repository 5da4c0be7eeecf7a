"""Columns mixed in fixed amounts and kept small: one ridge regression for all tasks, with a Kronecker product for its penalty.

C columns b_c (d,), the rows of B (C, d), make the tasks' parameters W = H'B (K, d) by a fixed mixing H (C, K), and

    minimise over B   sum_k w_k |X_k B'h_k - y_k|^2 + sum_c ridge_c |b_c|^2,      h_k the k-th column of H.

With one ridge for all columns this is the ridge of W in the metric of the task covariance Sigma = H'H,

    minimise over W (rows of W' in the range of Sigma)   sum_k w_k |X_k theta_k - y_k|^2 + ridge tr(W' Sigma^+ W),

so that every architecture whose mixing is not learned is known exactly, at a cost that no number of rows changes.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from mtlsim.core import linalg
from mtlsim.core.extremes import largest_of, smallest_of
from mtlsim.core.status import Certificate, Status, flag
from mtlsim.samples.moments import Moments, stack
from mtlsim.solvers.rows import ROUNDINGS, UNSEEN, hidden, rows_of, taken_for_rounding, unseen_directions
from mtlsim.solvers.single import penalised_losses
from mtlsim.solvers.solution import LOST, certify


class Mixing(NamedTuple):
    """H (C, K), what every column gives to every task, and the ridge (C,) of each column, on the scale of X'X."""

    amounts: Float[Array, "C K"]
    ridge: Float[Array, " C"]

    def task_covariance(self) -> Float[Array, "K K"]:
        """Sigma = sum_c h_c h_c' / ridge_c, the prior covariance of the tasks that the penalty stands for; infinite without."""
        return linalg.multiply(self.amounts.T / self.ridge, self.amounts)


class Mixed(NamedTuple):
    """Columns B (C, d), parameters H'B (K, d), the objective and its gap over a proven lower bound, certificate and status."""

    columns: Float[Array, "C d"]
    parameters: Float[Array, "K d"]
    loss: Float[Array, ""]
    gap: Float[Array, ""]
    certificate: Int[Array, ""]
    status: Int[Array, ""]


def mixing_of_precision(precision: Float[Array, "K K"]) -> Mixing:
    """Columns along the eigenvectors of a penalty tr(W' P W), P (K, K) positive semidefinite, each with its eigenvalue as ridge."""
    values, vectors = jnp.linalg.eigh(precision)
    return Mixing(vectors.T, jnp.where(values > linalg.rank_tolerance(values), values, 0))


def mixing_of_covariance(covariance: Float[Array, "K K"], decay: Float[Array, ""] | float) -> Mixing:
    """Columns along the eigenvectors of a task covariance, whose penalty is decay tr(W' Sigma^+ W)."""
    values, vectors = jnp.linalg.eigh(covariance)
    roots = jnp.sqrt(jnp.where(values > linalg.rank_tolerance(values), values, 0))
    return Mixing(roots[:, None] * vectors.T, jnp.full_like(values, decay))


@jax.jit
def solve_mixed(moments: Moments, mixing: Mixing, weights: Float[Array, " K"], lengths: Float[Array, " K"] | float = 0.0) -> Mixed:
    """The best columns, of least norm where neither rows nor ridges determine them.

    Drawn moments are solved by their squares. Others may lie anywhere, and are solved by equivalent rows: what these have lost
    to rounding has the status `ill_conditioned`, and no certificate. lengths: of what the labels are a difference of, if they are.
    """
    columns, lost, free, unseen = (_by_squares if moments.rank_known else _by_rows)(moments, mixing, weights)
    dropped = taken_for_rounding(moments, weights, jnp.zeros_like(weights))
    lost = lost | ((dropped > 0) & jnp.any(mixing.ridge <= 0))
    parameters = linalg.multiply(mixing.amounts.T, columns)
    sizes = linalg.multiply(jnp.abs(mixing.amounts).T, jnp.abs(columns))  # columns may cancel, their rounding does not
    penalty = jnp.sum(mixing.ridge * jnp.sum(columns**2, -1))
    own = penalised_losses(moments, parameters, jnp.zeros_like(weights))
    loss, energy = jnp.sum(weights * own) + penalty, jnp.sum(weights * moments.energy)
    # the objective is quadratic: its distance from the optimum is g'M^+g / 4, g the gradient
    gradient = 2 * _gradient(moments, mixing, weights, columns, parameters)
    gap = (
        jnp.sum(gradient * free(gradient)) / 4
        + unseen(parameters)
        + rounding_of(moments, weights, sizes, loss, energy + penalty, lengths)
    )
    all_there_is = energy + penalty + jnp.sum(weights * lengths**2)
    known = (gap <= all_there_is) & ~lost  # or the parameters are nothing but rounding; NaN too
    certificate = jnp.where(known, certify(gap, weights * moments.energy), int(Certificate.none)).astype(jnp.int32)
    return Mixed(columns, parameters, loss, jnp.where(known, gap, loss), certificate, flag(~known, Status.ill_conditioned))


def solve_ridge(moments: Moments, ridge: Float[Array, ""] | float, centre: Float[Array, " d"] | None = None) -> Mixed:
    """One task alone, |X theta - y|^2 + ridge |theta - centre|^2, as the one column that it is; columns hold theta - centre."""
    dtype = moments.cross.dtype
    one = jnp.ones((1, 1), dtype)
    mixing = Mixing(one, jnp.asarray(ridge, dtype)[None])
    if centre is None:
        return solve_mixed(stack(moments), mixing, one[0])
    around = stack(moments.less(centre))
    lengths = jnp.sqrt(moments.energy + fitted_sizes(stack(moments), jnp.abs(centre)[None]))
    found = solve_mixed(around, mixing, one[0], lengths)
    return found._replace(parameters=centre + found.parameters)


def fitted_sizes(moments: Moments, sizes: Float[Array, "K d"]) -> Float[Array, " K"]:
    """(sum of |X_k| sizes_k)^2 over the rows of each task: what fitted values are rounded against."""
    of_each = lambda squares: jnp.broadcast_to(jnp.abs(squares), (len(sizes), *squares.shape[-2:]))
    if moments.factor is None:
        return jnp.einsum("kd,kde,ke->k", sizes, of_each(moments.gram), sizes, precision="highest")
    return jnp.sum(jnp.einsum("kde,kd->ke", of_each(moments.factor), sizes, precision="highest") ** 2, -1)


def rounding_of(moments: Moments, weights, parameters, loss, energy, lengths) -> Float[Array, ""]:
    """How far rounding may have moved a loss of these parameters and its bound."""
    eps = ROUNDINGS * jnp.finfo(loss.dtype).eps
    sizes = jnp.sum(weights * (fitted_sizes(moments, jnp.abs(parameters)) + lengths**2))
    if moments.factor is None:
        return eps * (energy + sizes)
    return eps * energy + 2 * jnp.sqrt(jnp.abs(loss) * sizes) * eps + sizes * eps**2


def _gradient(moments: Moments, mixing: Mixing, weights, columns, parameters) -> Float[Array, "C d"]:
    """Half the gradient of the objective in the columns, from equivalent rows where there are any."""
    if moments.factor is None:
        grams = jnp.broadcast_to(moments.gram, (len(weights), *moments.gram.shape[-2:]))
        slopes = jnp.einsum("kde,ke->kd", grams, parameters, precision="highest") - moments.cross
    else:
        factors = jnp.broadcast_to(moments.factor, (len(weights), *moments.factor.shape[-2:]))
        misses = jnp.einsum("kde,kd->ke", factors, parameters, precision="highest") - moments.scores
        slopes = jnp.einsum("kde,ke->kd", factors, misses, precision="highest")
    return linalg.multiply(mixing.amounts * weights, slopes) + mixing.ridge[:, None] * columns


def _by_squares(moments: Moments, mixing: Mixing, weights):
    """Columns, whether digits are lost, M^+ as a function and what is hidden in the squares, from the normal equations."""
    count, d = mixing.ridge.shape[0], moments.n_features
    grams = jnp.broadcast_to(moments.gram, (len(weights), d, d))
    matrix = jnp.einsum("k,ak,bk,kde->adbe", weights, mixing.amounts, mixing.amounts, grams, precision="highest")
    matrix = matrix.reshape(count * d, -1) + jnp.diag(jnp.repeat(mixing.ridge, d))
    cross = linalg.multiply(mixing.amounts * weights, moments.cross).reshape(-1)
    sizes = jnp.sqrt(jnp.diagonal(matrix))
    sizes = jnp.where(sizes > 0, sizes, 1)
    scaled = linalg.with_missing_directions(matrix / sizes / sizes[:, None])
    factor = linalg.cholesky(scaled)
    plain = lambda right: linalg.solve_upper(factor, linalg.solve_lower(factor, right / sizes)) / sizes
    pivots = jnp.diagonal(factor)
    eps = jnp.finfo(matrix.dtype).eps
    singular = ~(smallest_of(pivots) ** 2 > UNSEEN * len(sizes) * eps)  # NaN too: no positive pivot was found
    root = linalg.repair(singular, lambda m: linalg.inverse_square_root(m)[0], jnp.zeros_like(matrix), matrix)
    least = lambda right: linalg.multiply(root, linalg.multiply(root.T, right))
    found = jnp.where(singular, least(cross), plain(cross))
    inverse = lambda right: jnp.where(singular, least(right.reshape(-1)), plain(right.reshape(-1))).reshape(count, d)
    too_few = jnp.sum(jnp.any(root != 0, 0)) < _determined(moments, mixing, weights)
    lost = jnp.where(singular, too_few, smallest_of(pivots) ** 2 * LOST < eps * len(sizes))
    return found.reshape(count, d), lost, inverse, lambda parameters: 0.0


def _determined(moments: Moments, mixing: Mixing, weights: Float[Array, " K"]) -> Float[Array, ""]:
    """How many directions of the columns random rows and the ridges determine; ridges alone determine their own columns."""
    count, d = mixing.ridge.shape[0], moments.n_features
    n_free = jnp.sum(mixing.ridge == 0)
    seen = jnp.where(weights > 0, jnp.minimum(moments.n_samples, d), 0)
    observed = largest_of(seen) * n_free if moments.shared_covariates else jnp.sum(seen)
    return (count - n_free) * d + jnp.minimum(observed, n_free * d)


def _by_rows(moments: Moments, mixing: Mixing, weights):
    """The same from equivalent rows, by singular values: what the rows and ridges do not see has no part in the columns."""
    count, d, n_tasks = mixing.ridge.shape[0], moments.n_features, len(weights)
    zero = jnp.zeros((), moments.cross.dtype)
    each = [rows_of(moments[k], zero) for k in range(n_tasks)]
    tops = [jnp.sqrt(weights[k]) * jnp.kron(mixing.amounts[:, k], rows) for k, (rows, _) in enumerate(each)]
    rows = jnp.concatenate([*tops, jnp.diag(jnp.repeat(jnp.sqrt(mixing.ridge), d))])
    labels = jnp.concatenate([jnp.sqrt(weights[k]) * labels for k, (_, labels) in enumerate(each)])
    labels = jnp.concatenate([labels, jnp.zeros(count * d, labels.dtype)])
    sizes = jnp.sqrt(jnp.sum(rows**2, 0))
    sizes = jnp.where(sizes > 0, sizes, 1)
    left, values, right = jnp.linalg.svd(rows / sizes, full_matrices=False)
    eps = jnp.finfo(values.dtype).eps
    spread = values[0] / jnp.where(values > 0, values, 1)
    noise = eps * (spread**2 if moments.factor is None else spread)
    seen = (values > 0) & (noise * (UNSEEN * len(values)) < 1)
    scale = jnp.where(seen, 1 / jnp.where(values > 0, values, 1), 0)
    missing = unseen_directions(right, seen, sizes)
    fitting = lambda labels: linalg.multiply(right.T, scale * linalg.multiply(left.T, labels)) / sizes
    found = fitting(labels)
    found = found - linalg.multiply(missing, linalg.multiply(missing.T, found))
    found = found + fitting(labels - linalg.multiply(rows, found))  # what the rounding of `missing` took from what is seen
    inverse = lambda v: linalg.multiply(right.T, scale**2 * linalg.multiply(right, v.reshape(-1) / sizes)) / sizes
    lost = jnp.any(seen & (noise > LOST)) | ~jnp.all(jnp.isfinite(values)) | _may_hide(moments, values, seen)
    roots = jnp.repeat(jnp.sqrt(mixing.ridge), d)
    small = (roots > 0) & (roots <= UNSEEN * len(values) * eps * values[0] * sizes)
    lost = lost | jnp.any(~seen[:, None] & small & (jnp.abs(right) > eps**0.75))  # a ridge that rounding hides is all that sees it
    unseen = lambda parameters: sum(weights[k] * hidden(moments[k], *each[k], parameters[k]) for k in range(n_tasks))
    return found.reshape(count, d), lost, lambda v: inverse(v).reshape(count, d), unseen


def _may_hide(moments: Moments, values: Float[Array, " n"], seen: Bool[Array, " n"]) -> Bool[Array, ""]:
    """Whether sums alone may have lost a direction in their rounding: they cannot tell a small one from none."""
    return jnp.any(~seen & (values > 0)) if moments.factor is None else jnp.zeros((), bool)
