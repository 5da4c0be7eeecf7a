"""One held-out split of a target's rows: learned alone and together with the sources, each with its own chosen ridge."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from mtlsim.core import linalg
from mtlsim.core.extremes import largest_of
from mtlsim.core.status import Status, flag, worst
from mtlsim.samples.moments import Moments
from mtlsim.similarity import cosine_similarity, covariance_similarity
from mtlsim.solvers.leave_one_out import residuals_alone, residuals_together, source_spectrum
from mtlsim.solvers.single import solve_single
from mtlsim.solvers.solve import LOST_DIGITS, solve

# Ridges over the rows' total variance, tr X'X / m. Where parameters have no preferred direction, the best is noise variance over
# signal variance there. Less than 0.01 would only let a noisy choice interpolate few rows, and moves no well-posed answer.
GRID = tuple(10 ** (step / 2) for step in range(-4, 9))

Rows = tuple[Float[Array, "_ d"], Float[Array, " _"]]


class Outcome(NamedTuple):
    """Predictions of the test rows in the target's units, the target's ridges on the scale of X'X, and the solver's word.

    tuned: alone with the ridge that the target's own rows choose, which is `alone` where all ridges are chosen. left (2, m): what
    alone and together say of every training row that is left out, NaN where ridges are given.
    """

    alone: Float[Array, " n"]
    tuned: Float[Array, " n"]
    together: Float[Array, " n"]
    left: Float[Array, "2 m"]
    ridge_alone: Float[Array, ""]
    ridge_together: Float[Array, ""]
    certificate: Int[Array, ""]
    status: Int[Array, ""]


class Description(NamedTuple):
    """Per source: covariance similarity with the target, literal and normalised, and the cosine of the parameters."""

    similarity: Float[Array, " S"]
    similarity_normalized: Float[Array, " S"]
    cosine: Float[Array, " S"]


class Standardised(NamedTuple):
    """Training rows of all tasks in common coordinates, the target last, and how to bring a parameter and a row there.

    A row x of the target becomes lift' ((x - centre) / scale), its label (y - label_centre) / label_scale.
    """

    rows: tuple[Rows, ...]
    lift: Float[Array, "d p"] | None
    centre: Float[Array, " d"]
    scale: Float[Array, " d"]
    label_centre: Float[Array, ""]
    label_scale: Float[Array, ""]

    def predict(self, parameters: Float[Array, " p"], X: Float[Array, "n d"]) -> Float[Array, " n"]:
        parameters = parameters if self.lift is None else linalg.multiply(self.lift, parameters)
        return self.label_centre + self.label_scale * linalg.multiply((X - self.centre) / self.scale, parameters)


def standardise(tasks: tuple[Rows, ...]) -> Standardised:
    """Each task's features and labels less their own means, features over one scale for all tasks, labels over their own.

    Own means are the same as an intercept of its own for every task. Features take one common scale, the root of the tasks'
    mean variance, because a direction that is shared in the features' units must stay shared. Labels are in units of their own
    standard deviation, so that a source's unit of measurement does not weigh it; heads are free, so this moves no direction.
    With more features than rows in all, everything is expressed in an orthonormal basis of the rows, which is exact for ridge.
    """
    centred = [_centre(X) for X, _ in tasks]
    variances = jnp.stack([jnp.mean(X**2, 0) for X, _ in centred])
    scale = _safe(jnp.sqrt(jnp.mean(variances, 0)), largest_of(jnp.stack([largest_of(jnp.abs(X), 0) for X, _ in tasks]), 0))
    scaled = [X / scale for X, _ in centred]
    lift = None
    if sum(len(X) for X in scaled) < scaled[0].shape[1]:
        lift, triangle = jnp.linalg.qr(jnp.concatenate(scaled).T)
        starts = [sum(len(X) for X in scaled[:i]) for i in range(1, len(scaled))]
        scaled = jnp.split(triangle.T, starts)
    labels = [_centre(y) for _, y in tasks]
    sizes = [_safe(jnp.sqrt(jnp.mean(y**2)), largest_of(jnp.abs(raw[1]))) for (y, _), raw in zip(labels, tasks, strict=True)]
    rows = tuple((X, y / size) for X, (y, _), size in zip(scaled, labels, sizes, strict=True))
    return Standardised(rows, lift, centred[-1][1], scale, labels[-1][1], sizes[-1])


def _centre(values: Float[Array, "m *d"]):
    centre = jnp.mean(values, 0)
    return values - centre, centre


def _safe(spread: Float[Array, "*d"], size: Float[Array, "*d"]) -> Float[Array, "*d"]:
    """One where the spread is only rounding."""
    return jnp.where(spread > 8 * jnp.finfo(spread.dtype).eps * size, spread, 1)


def _moments(X: Float[Array, "m p"], y: Float[Array, " m"]) -> Moments:
    return Moments(linalg.multiply(X.T, X), linalg.multiply(X.T, y), linalg.multiply(y, y), jnp.asarray(len(X), X.dtype))


def _total_variance(X: Float[Array, "m p"]) -> Float[Array, ""]:
    """tr X'X / m of centred rows; 1 where all rows are the same."""
    total = jnp.sum(X**2) / len(X)
    return jnp.where(total > 0, total, 1)


class Chosen(NamedTuple):
    """A ridge on the scale of X'X and the leave-one-out residuals of the rows with it."""

    ridge: Float[Array, ""]
    residuals: Float[Array, " m"]


def _grid(X: Float[Array, "m p"]) -> Float[Array, " L"]:
    return _total_variance(X) * jnp.array(GRID, X.dtype)


def _ridge_alone(X: Float[Array, "m p"], y: Float[Array, " m"]) -> Chosen:
    """The ridge of the grid with the least leave-one-out error of a task learned alone, and its residuals."""
    ridges = _grid(X)
    return _least(ridges, residuals_alone(X, y, ridges))


def _least(ridges: Float[Array, " L"], residuals: Float[Array, "L m"]) -> Chosen:
    best = jnp.argmin(jnp.mean(residuals**2, 1))
    return Chosen(ridges[best], residuals[best])


def _ridge_together(rows: tuple[Rows, ...], moments: list[Moments], ridge: Float[Array, " K"]) -> tuple[Chosen, Int[Array, ""]]:
    """The target's ridge with the least leave-one-out error on its rows under hard sharing, and whether digits were lost."""
    X, y = rows[-1]
    weights = jnp.ones(1, X.dtype)
    if len(rows) > 2:
        heads = solve(moments, 1, ridge=ridge).heads[:-1, 0]
        weights = heads / jnp.where(jnp.any(heads != 0), largest_of(jnp.abs(heads)), 1)
    gram = sum(w**2 * (m.gram + r * jnp.eye(X.shape[1], dtype=X.dtype)) for w, m, r in zip(weights, moments, ridge, strict=False))
    source = source_spectrum(gram, sum(w * m.cross for w, m in zip(weights, moments, strict=False)))
    ratio = sum(w**2 * m.n_samples for w, m in zip(weights, moments, strict=False)) / len(X)
    ridges = _grid(X)
    residuals = residuals_together(source, X, y, ridges, ratio)
    lost = source.values[-1] * jnp.finfo(X.dtype).eps > LOST_DIGITS * source.values[0]
    return _least(ridges, residuals), flag(lost, Status.ill_conditioned)


@partial(jax.jit, static_argnames="rank")
def compare(
    sources: tuple[Rows, ...],
    target: Rows,
    train: Int[Array, " m"],
    test: Int[Array, " n"],
    ridge: Float[Array, " K"] | None,
    rank: int,
) -> Outcome:
    """Learn the target's `train` rows alone and together with all rows of the sources, and predict its `test` rows.

    Nothing but the predictions looks at the test rows: means, scales, basis and ridges come from training rows. ridge: per
    task, the target last, on the scale of X'X of the standardised rows, the same on both sides; None chooses them by
    leave-one-out error: each source's alone, and the target's from one grid, once alone and once together. Where ridges are
    given, the target is also learned alone with the ridge that it would choose.
    """
    X, y = target
    standard = standardise((*sources, (X[train], y[train])))
    moments = [_moments(*rows) for rows in standard.rows]
    labels, lost, left = y[train], jnp.zeros((), jnp.int32), jnp.full((2, len(train)), jnp.nan, X.dtype)
    given = ridge is not None
    if given:
        ridge_together = ridge
    else:
        own = [_ridge_alone(*rows) for rows in standard.rows]
        ridge = jnp.stack([one.ridge for one in own])
        chosen, lost = _ridge_together(standard.rows, moments, ridge)
        ridge_together = ridge.at[-1].set(chosen.ridge)
        left = labels - standard.label_scale * jnp.stack([own[-1].residuals, chosen.residuals])
    alone = solve_single(moments[-1], ridge[-1])
    tuned = solve_single(moments[-1], _ridge_alone(*standard.rows[-1]).ridge) if given else alone
    solution = solve(moments, rank, ridge=ridge_together)
    return Outcome(
        standard.predict(alone, X[test]),
        standard.predict(tuned, X[test]),
        standard.predict(solution.parameters[-1], X[test]),
        left,
        ridge[-1],
        ridge_together[-1],
        solution.certificate,
        worst(solution.status, lost),
    )


@jax.jit
def describe(sources: tuple[Rows, ...], target: Rows, ridge: Float[Array, " K"] | None) -> Description:
    """How alike each source and the target are, from all their rows, standardised as for learning."""
    rows = standardise((*sources, target)).rows
    moments = [_moments(*task) for task in rows]
    ridge = jnp.stack([_ridge_alone(*task).ridge for task in rows]) if ridge is None else ridge
    single = [solve_single(task, strength) for task, strength in zip(moments, ridge, strict=True)]
    every = range(len(sources))
    return Description(
        jnp.stack([covariance_similarity(moments[i], moments[-1]) for i in every]),
        jnp.stack([covariance_similarity(moments[i], moments[-1], normalized=True) for i in every]),
        jnp.stack([cosine_similarity(single[i], single[-1]) for i in every]),
    )
