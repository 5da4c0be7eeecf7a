"""Any tasks, any rank: the heads A (K, r) of r columns, by the steps of `mtlsim.solvers.heads`.

With x = B laid out in one row, G = sum_k a_k a_k' (x) S_k and c = sum_k a_k (x) b_k, the best layer and the energy it explains are
x = G^-1 c and V(A) = c'G^-1 c. V(A M) = V(A) for every invertible M, so that heads count by the columns they span. With
u_ki = e_i (x) (b_k - S_k B a_k) - a_k (x) S_k B e_i the derivatives are

    dV/da_k = 2 (B'b_k - B'S_k B a_k),    d2V/da_ki da_lj = 2 u_ki'G^-1 u_lj - 2 [k = l] (B'S_k B)_ij.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from mtlsim.core import linalg
from mtlsim.core.extremes import largest_of
from mtlsim.core.keys import normal, stream
from mtlsim.core.status import Certificate, Status, flag, worst
from mtlsim.samples.moments import Moments
from mtlsim.solvers.heads import Place, climb, factorise
from mtlsim.solvers.newton import look_at, rounding_of_loss
from mtlsim.solvers.objective import absorb, observed_rows, too_few_rows
from mtlsim.solvers.separate import explained_alone
from mtlsim.solvers.single import penalised_losses
from mtlsim.solvers.solution import Solution, certify


class Columns(eqx.Module):
    """Grams and sides of the tasks, as in `Heads`, and the number of columns; heads are laid out in rows of K r."""

    grams: Float[Array, "K d d"]
    sides: Float[Array, "K d"]
    rank: int = eqx.field(static=True)

    def fit(self, heads: Float[Array, "n Kr"]) -> tuple[Float[Array, "n rd rd"], Float[Array, "n r d"], Float[Array, " n"]]:
        """The factor of G, the best columns and V."""
        n, (n_tasks, d), r = len(heads), self.sides.shape, self.rank
        heads = heads.reshape(n, n_tasks, r)
        products = jnp.einsum("nki,nkj->nijk", heads, heads).reshape(n, r * r, n_tasks)
        grams = linalg.multiply(products, self.grams.reshape(n_tasks, d * d)).reshape(n, r, r, d, d)
        factor = factorise(jnp.swapaxes(grams, 2, 3).reshape(n, r * d, r * d))
        sides = jnp.einsum("nki,kd->nid", heads, self.sides, precision="highest").reshape(n, r * d)
        half = linalg.solve_lower(factor, sides)
        return factor, linalg.solve_upper(factor, half).reshape(n, r, d), jnp.sum(half**2, 1)

    def look(self, heads: Float[Array, "n Kr"]) -> Place:
        """V and the next step at each of n heads, of orthonormal columns."""
        heads = self.normalise(heads)
        return Place.between(heads, *self.steps(heads))

    def steps(self, heads: Float[Array, "n Kr"]):
        """V, Newton's step and what it promises, that of alternation and what it gains at least."""
        n, (n_tasks, d), r = len(heads), self.sides.shape, self.rank
        factor, columns, value = self.fit(heads)
        heads = heads.reshape(n, n_tasks, r)
        images = jnp.einsum("kde,nie->nkid", self.grams, columns, precision="highest")
        inner = jnp.einsum("nkid,njd->nkij", images, columns, precision="highest")
        overlaps = jnp.einsum("kd,nid->nki", self.sides, columns, precision="highest")
        slope = (overlaps - jnp.einsum("nkij,nkj->nki", inner, heads, precision="highest")).reshape(n, -1)
        residuals = self.sides - jnp.einsum("nkid,nki->nkd", images, heads, precision="highest")
        eye = jnp.eye(r, dtype=heads.dtype)
        changes = eye[:, :, None] * residuals[:, :, None, None] - heads[:, :, None, :, None] * images[:, :, :, None]
        changes = linalg.solve_lower(factor, jnp.swapaxes(changes.reshape(n, n_tasks * r, r * d), 1, 2))
        bends = jnp.einsum("ndj,ndk->njk", changes, changes, precision="highest")
        own = jnp.einsum("nkij,kl->nkilj", inner, jnp.eye(n_tasks, dtype=heads.dtype)).reshape(bends.shape)
        # V does not change within the span of the columns; a bend of the usual size there makes the system regular
        basis = jnp.linalg.qr(jax.lax.stop_gradient(heads))[0]
        span = linalg.multiply(basis, jnp.swapaxes(basis, 1, 2))
        span = jnp.einsum("nkl,ij->nkilj", span, eye).reshape(bends.shape)
        across = jnp.eye(n_tasks * r, dtype=heads.dtype) - span
        usual = largest_of(jnp.diagonal(own, axis1=1, axis2=2), 1)[:, None, None]
        step = linalg.solve_positive(usual * span - linalg.multiply(across, bends - own, across), slope)
        small = inner.reshape(-1, r, r)
        ahead = linalg.solve_positive(small + _little(small), overlaps.reshape(-1, r)).reshape(heads.shape)
        move = ahead - heads
        surely = jnp.einsum("nki,nkij,nkj->n", move, inner, move, precision="highest")
        return value, step, 2 * jnp.sum(step * slope, 1), move.reshape(n, -1), surely

    def among(self, heads: Float[Array, "n Kr"]) -> "Columns":
        """The problem itself: the first steps are its own."""
        return self

    def alike(self, heads: Float[Array, "n Kr"], one: Float[Array, " Kr"]) -> Float[Array, " n"]:
        """The mean squared cosine between the spans of orthonormal columns and those of one of them."""
        shape = (-1, len(self.sides), self.rank)
        cosines = jnp.einsum("nki,kj->nij", heads.reshape(shape), one.reshape(shape)[0], precision="highest")
        return jnp.sum(cosines**2, (1, 2)) / self.rank

    def normalise(self, heads: Float[Array, "n Kr"]) -> Float[Array, "n Kr"]:
        """Heads of orthonormal columns that span the same."""
        return jnp.linalg.qr(heads.reshape(len(heads), -1, self.rank))[0].reshape(heads.shape)


def _little(grams: Float[Array, "n r r"]) -> Float[Array, "n r r"]:
    """What makes a gram regular that is not."""
    size = jnp.trace(grams, axis1=1, axis2=2)
    more = jnp.where(size > 0, 4 * jnp.finfo(grams.dtype).eps * size, 1)
    return more[:, None, None] * jnp.eye(grams.shape[-1], dtype=grams.dtype)


def solve_by_columns(
    moments: Moments,
    rank: int,
    weights: Float[Array, " K"],
    ridge: Float[Array, " K"],
    key: Key[Array, ""],
    n_starts: int,
    max_iterations: int,
) -> Solution:
    """1 < r < K columns for tasks with rows of their own; the highest of all tops wins.

    Starts: the principal combinations of the tasks' own solutions, those of tasks that all had the same rows, and `n_starts` random
    ones. The only lower bound is the sum of the tasks' own losses, so the certificate is none unless that bound is met.
    """
    fixed = jax.lax.stop_gradient((moments, weights, ridge))
    view = look_at(*fixed)
    problem = Columns(view.problem.grams, view.problem.sides, rank)
    starts = _starts(problem, stream(key, "starts"), n_starts)
    places, best, settled = climb(problem, starts, max_iterations)
    top = places.heads[best]
    absorbed, alone = absorb(moments, weights, ridge), explained_alone(moments, weights, ridge, observed_rows(moments, ridge))
    columns = linalg.multiply(problem.fit(top[None])[1][0], view.lift.T)
    raw = (top.reshape(-1, rank) / view.sizes[:, None]).reshape(-1)
    columns = linalg.found_otherwise(lambda *data: _columns(rank, *data), columns, raw, absorbed.gram, absorbed.cross)
    shared = jnp.linalg.qr(columns.T)[0]
    heads = _best_heads(absorb(moments, jnp.ones_like(weights), ridge), shared)
    parameters = linalg.multiply(heads, shared.T)
    losses = weights * penalised_losses(moments, parameters, ridge)
    loss, (energies, rounding, _) = jnp.sum(losses), alone
    gap = jnp.maximum(jnp.sum(losses - weights * moments.energy + energies), 0) + jnp.sum(rounding)
    gap = gap + rounding_of_loss(*fixed, jax.lax.stop_gradient(parameters))
    few = too_few_rows(observed_rows(moments, ridge), rank, moments.n_features)
    status = worst(
        flag(~settled & ~few & jnp.isfinite(loss), Status.not_converged),
        flag(few, Status.degenerate),
        flag(~jnp.isfinite(loss), Status.ill_conditioned),
    )
    unknown = jnp.where(few, jnp.nan, 0.0)
    return Solution(
        shared + unknown,
        heads + unknown,
        parameters + unknown,
        loss,
        gap,
        certify(gap, energies, Certificate.none),
        status,
        "newton-columns",
    )


def _starts(problem: Columns, key: Key[Array, ""], n_starts: int) -> Float[Array, "n Kr"]:
    """Heads (K, r) laid out in rows."""
    n_tasks, rank = len(problem.sides), problem.rank
    own = linalg.solve_positive(problem.grams + _little(problem.grams), problem.sides)
    combined = jnp.linalg.svd(own)[0][:, :rank]
    whole = factorise(jnp.sum(problem.grams, 0, keepdims=True))[0]
    sides = linalg.solve_lower(whole, problem.sides.T)
    principal = jnp.linalg.eigh(linalg.multiply(sides.T, sides))[1][:, n_tasks - rank :]
    random = normal(key, (n_starts, n_tasks * rank), own.dtype)
    return jnp.concatenate([combined.reshape(1, -1), principal.reshape(1, -1), random])


def _columns(rank: int, heads: Float[Array, " Kr"], grams: Float[Array, "K d d"], sides: Float[Array, "K d"]):
    """The best columns at heads that were found, after a last step of Newton's: its derivatives are those of the optimum."""
    problem, fixed = Columns(grams, sides, rank), jax.lax.stop_gradient(heads)[None]
    return problem.fit(fixed + problem.steps(fixed)[1])[1][0]


def _best_heads(problem: Moments, shared: Float[Array, "d r"]) -> Float[Array, "K r"]:
    """a_i = (B'S_i B)^-1 B'b_i, a direction nobody sees getting no head."""
    grams = jnp.einsum("dr,kde,es->krs", shared, problem.gram, shared, precision="highest")
    sides = linalg.multiply(problem.cross, shared)
    return jnp.stack([linalg.minimum_norm(gram, side) for gram, side in zip(grams, sides, strict=True)])


def best_shared(problem: Moments, heads: Float[Array, "K r"]) -> Float[Array, "d r"]:
    """The best layer for heads that are given."""
    return Columns(problem.gram, problem.cross, heads.shape[1]).fit(heads.reshape(1, -1))[1][0].T
