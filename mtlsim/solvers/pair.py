"""Two tasks with different covariates and one shared direction: the certified global optimum, as a Solution."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from mtlsim.core import linalg
from mtlsim.core.status import Status, flag, worst
from mtlsim.samples.moments import Moments
from mtlsim.solvers import secular
from mtlsim.solvers.objective import best_heads, observed_rows, too_few_rows
from mtlsim.solvers.pencil import choose_form, name_route
from mtlsim.solvers.single import solve_single
from mtlsim.solvers.solution import Solution, certify

Pair = tuple[Array, Array]
UNSEEN = 8  # times d * rounding of a share: a task that sees a smaller share of a direction does not see it


def solve_pair(moments: Moments, weights: Float[Array, "2"], ridge: Float[Array, "2"], form: str | None = None) -> Solution:
    """Global optimum of rank one for two tasks by the secular function (see `mtlsim.solvers.secular`).

    form: of the pencil, a name in `mtlsim.solvers.pencil.FORMS`; None is the fastest here.
    Degenerate (too few rows in all, or the same loss at every head ratio) gives a status and NaN for B, heads and parameters:
    there the data do not determine the answer.
    """
    view = _look_at(moments, weights, ridge)

    # the larger task that sees every direction goes first: the other is measured against it
    swap = jnp.where(view.singular[0] == view.singular[1], moments.n_samples[1] > moments.n_samples[0], view.singular[0])
    order = lambda leaves: tuple(jnp.where(swap, leaves[1 - i], leaves[i]) for i in range(2))
    crosses, singular, energies = order(view.crosses), order(view.singular), order(view.energies)
    safe = view.too_few * jnp.eye(crosses[0].shape[-1], dtype=crosses[0].dtype)
    grams = order(view.grams)
    grams = grams[0] + safe, grams[1]
    form = form or choose_form(jax.default_backend(), moments.n_features)
    drawn = moments.factor is not None
    data = jax.lax.stop_gradient((grams, crosses, energies))
    if drawn:
        basis = whiten_factors(*jax.lax.stop_gradient((order(moments.factor), order(ridge))), singular[0], safe)
    else:  # the view is the eigenbasis
        basis = secular.whiten(data[0], singular[0])
    pencil = secular.make_pencil(*basis, *data[1:], singular, form if drawn else "diagonal")
    optimum = secular.maximize(pencil)
    ratio = stationary(optimum.ratio, grams, crosses)
    if drawn:  # no gram is needed then; of arrays, grams say more than their factors where they are nearly singular
        direction = linalg.found_otherwise(_direction, pencil.solve(optimum.ratio), ratio, grams, crosses)
    else:
        direction = _direction(ratio, grams, crosses)
    direction = direction if view.lift is None else linalg.multiply(view.lift, direction)
    heads, explained = best_heads(moments, weights, ridge, direction)
    own = jnp.where(view.too_few, view.energies, pencil.energies)
    return _conclude(direction, heads, explained, jnp.sum(weights * moments.energy), optimum, own, view.too_few, form)


def whiten_factors(
    factors: Pair, ridge: Pair, singular: Bool[Array, ""], safe: Float[Array, "d d"]
) -> tuple[Float[Array, "d d"], Float[Array, "d d"]]:
    """L and W as of `secular.whiten`, from factors of both grams: the first is L unless a ridge or missing rows forbid it."""

    def factorise(*factors):
        eye = jnp.eye(len(safe), dtype=safe.dtype)
        grams = [linalg.multiply(factors[i], factors[i].T) + ridge[i] * eye for i in range(2)]
        first = linalg.cholesky(grams[0] + safe + singular.astype(safe.dtype) * grams[1])
        return first, jnp.where(ridge[1] > 0, linalg.cholesky(grams[1]), factors[1])

    first, second = linalg.repair(singular | (ridge[0] > 0) | (ridge[1] > 0), factorise, factors, *factors)
    half = linalg.solve_lower_right(first, second.T)
    return first, linalg.multiply(half.T, half)


def _direction(ratio: Float[Array, ""], grams: Pair, crosses: Pair) -> Float[Array, " d"]:
    """B(t) up to its length, (S1 + t^2 S2)^-1 (b1 + t b2) sqrt(1 + t^2)."""
    size = jnp.hypot(1, ratio)
    mixed = (grams[0] + ratio**2 * grams[1]) / size**2
    return linalg.solve_positive(mixed, (crosses[0] + ratio * crosses[1]) / size)


@jax.custom_jvp
def stationary(ratio: Float[Array, ""], grams: Pair, crosses: Pair) -> Float[Array, ""]:
    """The optimal head ratio, which was found by a search, with the derivative that the implicit function theorem gives.

    At the optimum dG/dt = 0, and this stays so: dt = -(dG/dt moved by the data) / (d2G/dt2).
    """
    return ratio


@stationary.defjvp
def _(primals, tangents):
    ratio, grams, crosses = primals

    def slope(ratio, grams, crosses):
        """Half of dG/dt = B'(b2 - t S2 B), B not normalised."""
        direction = _direction(ratio, grams, crosses) / jnp.hypot(1, ratio)
        return linalg.multiply(direction, crosses[1] - ratio * linalg.multiply(grams[1], direction))

    curvature = jax.grad(slope)(ratio, grams, crosses)
    _, moved = jax.jvp(lambda *data: slope(ratio, *data), (grams, crosses), tangents[1:])
    return ratio, -moved / jnp.where(curvature == 0, 1, curvature)


class View(NamedTuple):
    """Both tasks in coordinates where the sum of their grams is invertible, and the way back (None: the original ones).

    energies are what each task explains alone where its gram is singular or rows are too few; they are not read elsewhere.
    """

    grams: tuple[Float[Array, "d d"], Float[Array, "d d"]]
    crosses: Float[Array, "2 d"]
    energies: Float[Array, "2"]
    singular: Bool[Array, "2"]
    too_few: Bool[Array, ""]
    lift: Float[Array, "d d"] | None


def _look_at(moments: Moments, weights: Float[Array, "2"], ridge: Float[Array, "2"]) -> View:
    """Drawn moments know their rank from n, and fewer rows than features explain all their energy.

    Moments of arrays are brought to the common range of both tasks first.
    """
    d = moments.n_features
    rows = observed_rows(moments, ridge)
    grams = tuple(moments.gram[i] + ridge[i] * jnp.eye(d, dtype=ridge.dtype) for i in range(2))
    crosses = jnp.sqrt(weights)[:, None] * moments.cross
    if moments.factor is not None:
        return View(grams, crosses, weights * moments.energy, rows < d, too_few_rows(rows, 1, d), None)
    sizes = jnp.stack([jnp.trace(gram) for gram in grams])
    sizes = jnp.where(sizes > 0, sizes, 1)
    grams, crosses = [grams[i] / sizes[i] for i in range(2)], crosses / jnp.sqrt(sizes)[:, None]
    lift, inside = linalg.inverse_square_root(grams[0] + grams[1])
    # the first task's share of each direction: 0 where only the second sees it, 1 where only the first does, -1 where neither
    shares, turn = jnp.linalg.eigh(linalg.multiply(lift.T, grams[0], lift) - jnp.diag(~inside).astype(lift.dtype))
    lift = linalg.multiply(lift, turn)
    unseen = UNSEEN * d * jnp.finfo(lift.dtype).eps * jnp.sum(lift**2, 0)
    observed = shares > -0.5
    seen = observed & jnp.stack([shares > unseen, shares < 1 - unseen])
    # a coordinate that stands for no direction gets a one, so that it solves to zero
    empty = jnp.diag(~observed).astype(lift.dtype)
    single = jnp.stack([solve_single(moments[i], ridge[i]) for i in range(2)])
    return View(
        tuple(linalg.multiply(lift.T, grams[i], lift) * (seen[i][:, None] & seen[i][None, :]) + empty for i in range(2)),
        linalg.multiply(crosses, lift) * seen,
        weights * jnp.sum(moments.cross * single, -1),
        jnp.any(observed & ~seen, 1),
        too_few_rows(jnp.minimum(rows, jnp.sum(seen, 1)), 1, jnp.sum(inside)),
        lift,
    )


def _conclude(
    direction: Float[Array, " d"],
    heads: Float[Array, "2"],
    explained: Float[Array, ""],
    total: Float[Array, ""],
    optimum: secular.Optimum,
    energies: Float[Array, "2"],
    too_few: Bool[Array, ""],
    form: str,
) -> Solution:
    """The loss that the direction and its best heads reach, and what the bound proves about it."""
    least = jnp.min(energies)
    rounding = 16 * jnp.finfo(total.dtype).eps * jnp.sum(energies)
    flat = (optimum.variation <= 1e-9 * least + 4 * rounding) & (least > 0)
    degenerate = too_few | flat
    gap = jnp.where(degenerate, 0, jnp.maximum(optimum.bound - explained, 0) + jnp.abs(optimum.value - explained)) + rounding
    broken = ~jnp.isfinite(explained)
    status = worst(flag(degenerate, Status.degenerate), flag(broken & ~degenerate, Status.ill_conditioned))
    length = jnp.linalg.norm(direction)
    length = jnp.where(length == 0, 1, length) * jnp.where(heads[-1] < 0, -1, 1)
    unknown = jnp.where(status == Status.ok, 0.0, jnp.nan)
    shared, heads = direction / length + unknown, heads * length + unknown
    return Solution(
        shared[:, None],
        heads[:, None],
        heads[:, None] * shared,
        total - jnp.where(too_few, jnp.sum(energies), explained),
        gap,
        certify(gap, jnp.maximum(least, 1e7 * rounding)),
        status,
        name_route(form),
    )
