"""High-dimensional risk of weighted, ridge-regularised pooled least squares: any number of tasks, covariances, models and noises.

For the minimiser over theta of sum_i w_i |X_i theta - y_i|^2 + lam |theta|^2, with d, n_i large and comparable, solve for A (K,)

    K = sum_i A_i Sigma_i + lam I,      e_i = w_i tr(Sigma_i K^-1),      A_i (1 + e_i) = w_i n_i;
    mean = K^-1 sum_i A_i Sigma_i theta_i,
    rho_i = noise_i^2 + |mean - theta_i|^2_Sigma_i + sum_l (A_l^2 / n_l) tr(Sigma_i K^-1 Sigma_l K^-1) rho_l,

and task i has the excess risk rho_i - noise_i^2 and the training loss |X_i theta - y_i|^2 = n_i rho_i / (1 + e_i)^2. The
error is O(1 / d). Where all covariances are diagonal in one basis, or there are two and no ridge (any pair is diagonal after
a common congruence), all of it costs O(K^2 d) once the spectra are known. First derivatives are those of the fixed point
(implicit function theorem); second ones are not.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mtlsim.core import linalg
from mtlsim.core.extremes import largest_of, smallest_of
from mtlsim.tasks.recipe import Tasks
from mtlsim.theory.margins import digits_left, least_pivot

N_ITERATIONS = 4  # plain iterations, which bring Newton steps near enough
N_NEWTON = 12
NEAR = 1e-7  # relative length of a step after which the next ones are lost in rounding, as each squares the error
SETTLED = 1e-9  # relative residual of the fixed point
SPREAD = 0.39  # of 1, in the gap of the last linear system: there a task alone is 2.5 / d off the limit, as 1 / (n - d - 1) says
CONGRUENT = 1e5  # roundings that the common congruence of a pair may cost in each direction: it loses more than elimination does


class Spectra(eqx.Module):
    """K tasks whose covariances are all diagonal in one set of coordinates: spectra, parameters (K, d), penalty (d,) = P'P."""

    spectra: Float[Array, "K d"]
    parameters: Float[Array, "K d"]
    penalty: Float[Array, " d"]

    def look(self, amounts: Float[Array, " K"], ridge: Float[Array, ""]):
        """tr(Sigma_i K^-1) (K,), tr(Sigma_i K^-1 Sigma_l K^-1) (K, K), and |mean - theta_i|^2 in Sigma_i (K,)."""
        inverse = 1 / (linalg.multiply(amounts, self.spectra) + ridge * self.penalty)
        seen = self.spectra * inverse
        mean = inverse * linalg.multiply(amounts, self.spectra * self.parameters)
        return jnp.sum(seen, -1), linalg.multiply(seen, seen.T), jnp.sum(self.spectra * (mean - self.parameters) ** 2, -1)

    def keeps_digits(self, amounts: Float[Array, " K"], ridge: Float[Array, ""]) -> Float[Array, ""]:
        """Decades by which the system K keeps its digits: a diagonal one does."""
        return jnp.full((), jnp.inf, self.spectra.dtype)


class Congruent(Spectra):
    """Spectra of two tasks after a congruence, and the least pivot of the way there (`margins.least_pivot`)."""

    pivot: Float[Array, ""]

    def keeps_digits(self, amounts: Float[Array, " K"], ridge: Float[Array, ""]) -> Float[Array, ""]:
        """As `Spectra.keeps_digits`: what is seen of the spectra is right up to roundings of the largest."""
        system = linalg.multiply(amounts, self.spectra)
        return digits_left(jnp.minimum(self.pivot, smallest_of(system) / largest_of(system)), CONGRUENT)


class Matrices(eqx.Module):
    """K tasks with any covariances (K, d, d)."""

    covariances: Float[Array, "K d d"]
    parameters: Float[Array, "K d"]

    def system(self, amounts: Float[Array, " K"], ridge: Float[Array, ""]) -> Float[Array, "d d"]:
        """K."""
        return jnp.einsum("k,kde->de", amounts, self.covariances, precision="highest") + ridge * jnp.eye(self.parameters.shape[1])

    def look(self, amounts: Float[Array, " K"], ridge: Float[Array, ""]):
        """As `Spectra.look`."""
        system = self.system(amounts, ridge)
        seen = [linalg.solve_positive(system, covariance) for covariance in self.covariances]
        seen = jnp.stack(seen)  # K^-1 Sigma_i
        moved = jnp.einsum("k,kde,ke->d", amounts, seen, self.parameters, precision="highest")
        off = moved - self.parameters
        shift = jnp.einsum("kd,kde,ke->k", off, self.covariances, off, precision="highest")
        return jnp.trace(seen, axis1=1, axis2=2), jnp.einsum("kde,led->kl", seen, seen, precision="highest"), shift

    def keeps_digits(self, amounts: Float[Array, " K"], ridge: Float[Array, ""]) -> Float[Array, ""]:
        """As `Spectra.keeps_digits`."""
        system = self.system(amounts, ridge)
        return digits_left(least_pivot(system, linalg.cholesky(system)))


class Predicted(eqx.Module):
    """risk (K,): excess risk per task. training (K,): sum of squared residuals. margin: positive where the limit is trusted.

    margin: distance from the interpolation peak, where the limit fails, less `SPREAD`; negative as well where K has lost its digits
    (decades), and -1 where the fixed point was not found.
    """

    risk: Float[Array, " K"]
    training: Float[Array, " K"]
    margin: Float[Array, ""]


def simplest_form(tasks: Tasks, ridge_is_zero: bool) -> Spectra | Matrices:
    """Spectra where the covariances are diagonal together, matrices elsewhere (see `Spectra`)."""
    bases = [covariance.basis for covariance in tasks.covariances]
    plain = all(covariance.rotation is None for covariance in tasks.covariances)
    if plain and all(basis is None for basis in bases):
        spectra = jnp.stack([covariance.eigenvalues for covariance in tasks.covariances])
        return Spectra(spectra, tasks.parameters, jnp.ones_like(spectra[0]))
    matrices = jnp.stack([covariance.matrix() for covariance in tasks.covariances])
    if tasks.n_tasks == 2 and ridge_is_zero and not any(covariance.singular for covariance in tasks.covariances):
        return diagonalise_pair(matrices, tasks.parameters)
    return Matrices(matrices, tasks.parameters)


def diagonalise_pair(covariances: Float[Array, "2 d d"], parameters: Float[Array, "2 d"]) -> Congruent:
    """P with P' Sigma_2 P = I and P' Sigma_1 P diagonal; theta = P z. The penalty is left out: it is not diagonal there."""
    values, factor, vectors = linalg.diagonalise_pair(*covariances)
    moved = linalg.multiply(linalg.multiply(parameters, factor), vectors)
    pivot = least_pivot(covariances[1], factor)
    return Congruent(jnp.stack([values, jnp.ones_like(values)]), moved, jnp.zeros_like(values), pivot)


def predict_pooled(
    form: Spectra | Matrices,
    n_samples: Float[Array, " K"],
    noise: Float[Array, " K"],
    weights: Float[Array, " K"],
    ridge: Float[Array, ""] | float = 0.0,
) -> Predicted:
    """The equations at the head of this module. ridge: lam, on the scale of X'X. Some weight or the ridge must be positive."""
    ridge = jnp.asarray(ridge, form.parameters.dtype)
    amounts, settled = _fixed_point(form, n_samples, weights, ridge)
    traces, pairs, shift = form.look(amounts, ridge)
    effects = amounts**2 / n_samples
    system = jnp.eye(len(amounts)) - pairs * effects
    rho = _solve(system, noise**2 + shift)
    roots = jnp.sqrt(jax.lax.stop_gradient(effects))
    gap = 1 - _largest_eigenvalue(jax.lax.stop_gradient(pairs) * roots[:, None] * roots)
    margin = jnp.minimum(gap - SPREAD / (1 + SPREAD), jax.lax.stop_gradient(form.keeps_digits(amounts, ridge)))
    margin = jnp.where(settled, margin, -1.0)
    unknown = jnp.where(settled & (gap > 0), 0.0, jnp.nan)
    return Predicted(rho - noise**2 + unknown, n_samples * rho / (1 + weights * traces) ** 2 + unknown, margin)


def predict_each(form: Spectra | Matrices, n_samples, noise, weights: Float[Array, "C K"], ridges=None) -> list[Predicted]:
    """The same tasks pooled in several ways, weights and ridges (C,) of each; in a loop, as every copy is slow to compile."""
    ridges = jnp.zeros(len(weights)) if ridges is None else ridges
    found = jax.lax.map(lambda way: predict_pooled(form, n_samples, noise, *way), (weights, ridges))
    return [jax.tree.map(lambda leaf: leaf[way], found) for way in range(len(weights))]  # noqa: B023


def _solve(system: Float[Array, "K K"], right: Float[Array, " K"]) -> Float[Array, " K"]:
    """system^-1 right. Of a few tasks by elimination, a tenth of the time of a call of LAPACK; without pivots, which M-matrices (as
    both systems here are, where there is a limit) do not need."""
    n = len(right)
    if n > linalg.FEW:
        return jnp.linalg.solve(system, right)
    for k in range(n):
        factors = jnp.where(np.arange(n) == k, 0, system[:, k] / system[k, k])
        system, right = system - factors[:, None] * system[k], right - factors * right[k]
    return right / jnp.diagonal(system)


def _largest_eigenvalue(matrix: Float[Array, "K K"]) -> Float[Array, ""]:
    """Of a symmetric matrix; of two tasks in closed form."""
    if len(matrix) != 2:
        return largest_of(jnp.linalg.eigvalsh(matrix))
    half = (matrix[0, 0] - matrix[1, 1]) / 2
    return matrix[1, 1] + half + jnp.hypot(half, matrix[0, 1])


def _fixed_point(form: Spectra | Matrices, n_samples, weights, ridge):
    """A with A_i (1 + w_i tr(Sigma_i K^-1)) = w_i n_i, and whether it was found."""

    def residual(amounts, form, n_samples, weights, ridge):
        traces, pairs, _ = form.look(amounts, ridge)
        slope = jnp.diag(1 + weights * traces) - (amounts * weights)[:, None] * pairs
        return amounts * (1 + weights * traces) - weights * n_samples, slope

    held = jax.lax.stop_gradient((form, n_samples, weights, ridge))
    used = jax.lax.stop_gradient(weights > 0)

    def plain(_, amounts):
        traces, _, _ = held[0].look(amounts, held[3])
        return held[2] * held[1] / (1 + held[2] * traces)

    def newton(state):
        number, amounts, _ = state
        off, slope = residual(amounts, *held)
        moved = jnp.maximum(amounts - _solve(slope, off), amounts / 10)
        return number + 1, moved, jnp.any(jnp.abs(moved - amounts) > NEAR * amounts)

    start = jax.lax.fori_loop(0, N_ITERATIONS, plain, held[2] * held[1])
    unsettled = lambda state: state[2] & (state[0] < N_NEWTON)
    _, amounts, _ = jax.lax.while_loop(unsettled, newton, (0, start, jnp.asarray(True)))
    amounts = jax.lax.stop_gradient(jnp.where(used, amounts, 0))
    off, slope = residual(amounts, form, n_samples, weights, ridge)
    settled = jnp.all(jnp.abs(off) <= SETTLED * jnp.maximum(weights * n_samples, jnp.finfo(off.dtype).tiny))
    # one more Newton step, whose derivative is that of the fixed point
    return amounts - _solve(jax.lax.stop_gradient(slope), off), settled
