"""Margins of assumptions that several statements share: positive where one holds, in decades where no unit is natural."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from mtlsim.core import linalg
from mtlsim.core.extremes import largest_of, smallest_of
from mtlsim.tasks.covariance import Covariance
from mtlsim.tasks.recipe import Tasks

EXACTLY = 1e-3  # of the risk: what counts as nothing, below what thousands of draws can tell from nothing
DIGITS = 1e3  # roundings that inverting a covariance may cost in each direction
LEFT = 1e8  # roundings of the labels' energy from which on what is left of it has six digits
SOLVED = 1e6  # the condition number up to which a system, solved as it stands, leaves a small risk its six digits


def decades(allowed, found) -> Float[Array, ""]:
    """log10(allowed / found): infinite where nothing was found, -1 where that has no value."""
    found = jnp.asarray(found, float)
    margin = jnp.log10(allowed / jnp.where(found > 0, found, 1))
    return jnp.where(found == 0, jnp.inf, jnp.where((found > 0) & jnp.isfinite(margin), margin, -1.0))


def full_rank(tasks: Tasks, ridge: Float[Array, " K"] | float = 0.0) -> Float[Array, ""]:
    """Decades by which every covariance, with a ridge on the scale of X'X in it, is better conditioned than the precision needs.

    Negative for a singular one.
    """
    more = jnp.broadcast_to(ridge / tasks.n_samples, (tasks.n_tasks,))
    spectra = [covariance.eigenvalues + more[k] for k, covariance in enumerate(tasks.covariances)]
    least = smallest_of(jnp.stack([smallest_of(values) / largest_of(values) for values in spectra]))
    return digits_left(least)


def digits_left(share: Float[Array, ""], roundings: float = DIGITS) -> Float[Array, ""]:
    """Decades by which the least eigenvalue, as a share of the largest, stands above roundings; -1 where it is not positive."""
    return jnp.where(share > 0, decades(share, roundings * jnp.finfo(share.dtype).eps), -1.0)


def least_pivot(system: Float[Array, "n n"], factor: Float[Array, "n n"]) -> Float[Array, ""]:
    """The least share of a diagonal entry that elimination leaves: a system and its Cholesky factor, at any scale of rows."""
    return smallest_of(jnp.diagonal(factor) ** 2 / jnp.diagonal(system))


def keeps_digits(systems: Float[Array, "*k n n"], condition: float = SOLVED) -> Float[Array, ""]:
    """Decades by which every system is better conditioned than this; negative for a singular one."""
    return decades(condition, largest_of(jnp.linalg.cond(systems).reshape(-1)))


def stands_apart(strengths: Float[Array, " K"], rank: int) -> Float[Array, ""]:
    """Decades by which the r-th singular value is further above the next than roundings of a system that `keeps_digits`.

    Of tied ones no r span the strongest directions: any of theirs do.
    """
    gap = strengths[rank - 1] - jnp.append(strengths, 0)[rank]
    return digits_left(gap / strengths[0], SOLVED * DIGITS)


def loss_stands_out(loss: Float[Array, ""], energy: Float[Array, ""]) -> Float[Array, ""]:
    """Decades by which a loss stands above the rounding of the labels' energy, from which it is what the fit leaves."""
    return decades(loss, LEFT * jnp.finfo(energy.dtype).eps * energy)


def one_covariance(tasks: Tasks) -> Float[Array, ""]:
    """Positive where all covariances are the target's, up to 1e-9 of its smallest eigenvalue."""
    target = tasks.covariances[-1]
    apart = [largest_of(jnp.abs(covariance.matrix() - target.matrix())) for covariance in tasks.covariances]
    return 1e-9 - largest_of(jnp.stack(apart)) / jnp.maximum(smallest_of(target.eigenvalues), jnp.finfo(float).tiny)


def one_number(values: Float[Array, " K"]) -> Float[Array, ""]:
    """Positive where all are equal, up to 1e-9 of the largest, and not all zero."""
    return 1e-9 * largest_of(jnp.abs(values)) - largest_of(jnp.abs(values - values[-1]))


def trace_ratio(target: Covariance, source: Covariance) -> Float[Array, ""]:
    """tr Sigma_target Sigma_source^-1."""
    return jnp.trace(linalg.solve_positive(source.matrix(), target.matrix()))


def own_variance(tasks: Tasks, source: int) -> Float[Array, ""]:
    """noise_i^2 tr(Sigma_target Sigma_i^-1) / n_i: of a source's own least squares, as the target's risk sees it; many rows."""
    ratio = trace_ratio(tasks.covariances[-1], tasks.covariances[source])
    return tasks.noise[source] ** 2 * ratio / tasks.n_samples[source]


def source_prevails(tasks: Tasks, weights: Float[Array, "2"], missed, risk) -> Float[Array, ""]:
    """Decades by which source 0 alone sets the direction that it shares with the target, so that `risk` needs no correction.

    missed = tau^2, what the target loses on the source's direction. With E = |theta_1|^2 in the target's covariance, a^2 the mean
    square of its head, T = tr Sigma_2 Sigma_1^-1 and u = w_2 n_2 / (w_1 n_1), each of these must be nothing beside what it stands
    by: the source's label noise, a^2 noise_1^2 T / n_1 of the risk; the pull of the target's rows on the direction,
    u a^2 T sqrt(tau^2 + (noise_2^2 + tau^2) d / n_2) of the root of the risk; and what the target could explain on a direction
    of its own, u (|theta_2|^2 + noise_2^2), or the source's noise, noise_1^2 d / n_1, of what the source explains.
    """
    target, n, noise = tasks.covariances[-1], tasks.n_samples, tasks.noise
    length, energy = target.quadratic(tasks.parameters[0]), target.quadratic(tasks.parameters[-1])
    left = missed + noise[-1] ** 2
    head = (jnp.maximum(energy - missed, 0) + left / n[-1]) / length
    ratio, heavy = trace_ratio(target, tasks.covariances[0]), weights[-1] * n[-1] / (weights[0] * n[0])
    explained = tasks.covariances[0].quadratic(tasks.parameters[0])
    errors = (
        head * own_variance(tasks, 0) / risk,
        heavy * head * ratio * jnp.sqrt((missed + left * tasks.n_features / n[-1]) / risk),
        heavy * (energy + noise[-1] ** 2) / explained,
        noise[0] ** 2 * tasks.n_features / n[0] / explained,
    )
    return smallest_of(jnp.stack([decades(EXACTLY, error) for error in errors]))
