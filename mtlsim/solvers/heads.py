"""Rank one for any number of tasks, seen from the heads: the energy they explain, its derivatives, and the climb to its top.

With heads a (K,) of any common scale, the best direction and the energy that it explains are

    x = G^-1 c,    V(a) = c'G^-1 c,    G = sum_k a_k^2 S_k,    c = sum_k a_k b_k,

for grams S_k and sides b_k that hold the weights and ridges. With u_k = b_k - 2 a_k S_k x the derivatives are

    dV/da_k = 2 (p_k - a_k q_k),    d2V/da_j da_k = 2 u_j'G^-1 u_k - 2 [j = k] q_k,    p_k = b_k'x,  q_k = x'S_k x,

so that a step of Newton's method costs one factorisation, as does one of alternation, a_k = p_k / q_k, which never loses. Newton's
is taken where V bends downwards, a longer one of alternation elsewhere. A step is kept where it gains, and cut where it does not:
on narrow ridges whole steps lose, and those of alternation hardly gain.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from mtlsim.core import linalg
from mtlsim.core.extremes import largest_of

FIRST_STEPS = 4  # of every start; after them the best places are followed to their tops
FOLLOWED = 4
FAR_MORE = 2  # features a start: the first steps are then taken among the directions that suit the starts
SETTLED = 1e-14  # of V (or 4 roundings): a step that promises less is the last
LONGEST = 0.5  # steps, of heads of length one
CUT, GROWTH = 0.25, 2.0  # of the longest step after a loss, and after a gain
FURTHER = 10.0  # times the step of alternation, where Newton's method has none
SLOW = 100.0  # times the sure gain of a step of alternation: what it may still come to
SAME = 1e-6  # squared sine between heads below which two places are one
JITTER = 4  # times d roundings of the diagonal


class Heads(NamedTuple):
    """Grams and sides of the tasks, with weights and ridges in them, each task in units in which its gram is of size one."""

    grams: Float[Array, "K d d"]
    sides: Float[Array, "K d"]

    def combine(self, squares: Float[Array, "n K"]) -> Float[Array, "n d d"]:
        """sum_k squares_k S_k for each of n."""
        d = self.sides.shape[1]
        return linalg.multiply(squares, self.grams.reshape(len(self.grams), d * d)).reshape(-1, d, d)

    def factorise(self, heads: Float[Array, "n K"]) -> Float[Array, "n d d"]:
        """Cholesky factors of G at each of n heads of length one."""
        return factorise(self.combine(heads**2))

    def fit(self, heads: Float[Array, "n K"]) -> tuple[Float[Array, "n d d"], Float[Array, "n d"], Float[Array, " n"]]:
        """The factor of G, the best direction x and V."""
        factor = self.factorise(heads)
        half = linalg.solve_lower_beside(factor, linalg.multiply(heads, self.sides))
        return factor, linalg.solve_upper(factor, half), jnp.sum(half**2, 1)

    def overlaps(self, directions: Float[Array, "n d"]) -> tuple[Float[Array, "n K"], Float[Array, "n K"], Float[Array, "n K d"]]:
        """p_k, q_k and S_k x of each of n directions."""
        images = jnp.einsum("kde,ne->nkd", self.grams, directions, precision="highest")
        sizes = jnp.einsum("nkd,nd->nk", images, directions, precision="highest")
        return linalg.multiply(directions, self.sides.T), sizes, images

    def look(self, heads: Float[Array, "n K"]) -> "Place":
        """V and the next step at each of n heads."""
        heads = self.normalise(heads)
        factor, directions, value = self.fit(heads)
        p, q, images = self.overlaps(directions)
        residuals = linalg.solve_lower_beside(factor, jnp.swapaxes(self.sides - 2 * heads[..., None] * images, 1, 2))
        bends = 2 * jnp.einsum("ndj,ndk->njk", residuals, residuals, precision="highest")
        bends = bends - 2 * q[..., None] * jnp.eye(heads.shape[1], dtype=q.dtype)
        slope = 2 * (p - heads * q)
        # along the heads themselves V does not change; a bend of the usual size there makes the system regular
        across = jnp.eye(heads.shape[1], dtype=q.dtype) - heads[..., None] * heads[:, None]
        usual = largest_of(q, 1)[:, None, None] * heads[..., None] * heads[:, None]
        newton = linalg.solve_positive(usual - linalg.multiply(across, bends, across), slope)
        alternation = jnp.where(q > 0, p / jnp.where(q > 0, q, 1), 0) - heads
        return Place.between(heads, value, newton, jnp.sum(newton * slope, 1), alternation, jnp.sum(q * alternation**2, 1))

    def normalise(self, heads: Float[Array, "n K"]) -> Float[Array, "n K"]:
        """The same direction's heads of length one."""
        return unit(heads)

    def among(self, heads: Float[Array, "n K"]) -> "Heads":
        """The problem of the directions that suit n heads alone, where there are far more: never above V, and V at these heads."""
        n, d = len(heads), self.sides.shape[1]
        if n <= FOLLOWED or d < FAR_MORE * n:
            return self
        basis = jnp.linalg.qr(unit(self.fit(self.normalise(heads))[1]).T)[0]
        grams = jnp.einsum("dm,kde,en->kmn", basis, self.grams, basis, precision="highest")
        return Heads(grams, linalg.multiply(self.sides, basis))

    def alike(self, heads: Float[Array, "n K"], one: Float[Array, " K"]) -> Float[Array, " n"]:
        """The squared cosine between heads of length one and one of them."""
        return linalg.multiply(heads, one) ** 2


def factorise(grams: Float[Array, "n d d"]) -> Float[Array, "n d d"]:
    """Cholesky factors of grams that may be singular: a few roundings of its own diagonal make each of them regular."""
    d = grams.shape[-1]
    sizes = jnp.diagonal(grams, axis1=1, axis2=2)
    more = jnp.where(sizes > 0, JITTER * d * jnp.finfo(grams.dtype).eps * sizes, 1)
    return linalg.cholesky(grams + more[:, None] * jnp.eye(d, dtype=grams.dtype))


class Place(NamedTuple):
    """Heads of length one and V there; the step to the next ones, and what is still to be gained."""

    heads: Float[Array, "n K"]
    value: Float[Array, " n"]
    step: Float[Array, "n K"]
    promise: Float[Array, " n"]

    @classmethod
    def between(cls, heads, value, newton, promise, alternation, surely) -> "Place":
        """Newton's step, and where V does not bend downwards, so that it has none, that of alternation, and more of it.

        promise, surely (n,): twice what Newton's method gains to second order, and what alternation gains at least.
        """
        bends_downwards = jnp.isfinite(promise)
        step = jnp.where(bends_downwards[:, None], newton, FURTHER * alternation)
        return cls(heads, value, step, jnp.where(bends_downwards, promise, SLOW * surely))

    def take(self, chosen: Int[Array, "*m"]) -> "Place":
        return jax.tree.map(lambda leaf: leaf[chosen], self)

    def onward(self, longest: Float[Array, " n"] | float = jnp.inf) -> tuple[Float[Array, "n K"], Float[Array, " n"]]:
        """The heads after the step, cut to be no longer than this, and its length."""
        lengths = jnp.linalg.norm(self.step, axis=1)
        longest = jnp.minimum(lengths, longest)
        return self.heads + self.step * (longest / jnp.where(lengths > 0, lengths, 1))[:, None], longest


def climb(problem, starts: Float[Array, "n K"], max_iterations: int) -> tuple[Place, Int[Array, ""], Bool[Array, ""]]:
    """The places that the best starts lead to, which of them is the highest, and whether it had settled.

    problem: of one column (`Heads`) or of several (`mtlsim.solvers.columns.Columns`, whose heads are laid out in one row). All
    starts take the first steps, in the smaller problem that suits them if there is one (`among`); then the highest are followed.
    """
    eps = float(jnp.finfo(starts.dtype).eps)
    settled, shortest = max(SETTLED, 4 * eps), eps**0.5

    def step(problem, state):
        """A place and how far to go from it at most: on after a gain, less far after a loss."""
        place, longest = state
        heads, length = place.onward(longest)
        new = problem.look(heads)
        better = new.value >= place.value
        kept = jax.tree.map(lambda new, old: jnp.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old), new, place)
        return kept, jnp.where(better, jnp.minimum(GROWTH * longest, LONGEST), CUT * length)

    def onwards(state):
        place, longest, iteration = state
        best = largest_of(place.value)
        # steps so short that V cannot tell them from none are not cut further
        matters = (place.value + 2 * place.promise > best) & (longest > shortest)
        return jnp.any(matters & (place.promise > settled * place.value)) & (iteration < max_iterations)

    first = problem.among(starts)
    place, longest = jax.lax.fori_loop(0, FIRST_STEPS, lambda _, state: step(first, state), _begin(starts))
    chosen = _highest(problem, place, min(FOLLOWED, len(starts)))
    state = (place.take(chosen), longest[chosen]) if first is problem else _begin(place.heads[chosen])
    place, longest, _ = jax.lax.while_loop(onwards, lambda state: (*step(problem, state[:2]), state[2] + 1), (*state, 0))
    best = jnp.argmax(jnp.where(jnp.isfinite(place.value), place.value, -jnp.inf))
    at_rest = place.promise <= settled * place.value
    # where rounding hides what is still promised, V is at its top too, as far as it can be told
    hidden = (longest <= shortest) & (place.promise <= shortest * place.value)
    # a last step, too small to be seen in V, doubles the digits of the heads
    place = place._replace(heads=jnp.where(at_rest[:, None], problem.normalise(place.onward()[0]), place.heads))
    return place, best, (at_rest | hidden)[best]


def _begin(heads: Float[Array, "n K"]) -> tuple[Place, Float[Array, " n"]]:
    """Places that nothing is known of yet, and how far to go from there."""
    nothing = jnp.zeros(len(heads), heads.dtype)
    return Place(heads, nothing, jnp.zeros_like(heads), nothing + jnp.inf), nothing + LONGEST


def _highest(problem, place: Place, n_kept: int) -> Int[Array, " m"]:
    """The highest places of which no two are the same."""
    values = jnp.where(jnp.isfinite(place.value), place.value, -jnp.inf)
    chosen = []
    for _ in range(n_kept):
        best = jnp.argmax(values)
        chosen.append(best)
        # what is the same as a chosen place comes after all others
        least = 2 * largest_of(jnp.where(jnp.isfinite(values), values, 0))
        values = jnp.where(1 - problem.alike(place.heads, place.heads[best]) < SAME, values - least, values)
        values = values.at[best].set(-jnp.inf)
    return jnp.stack(chosen)


def unit(heads: Float[Array, "*n K"]) -> Float[Array, "*n K"]:
    length = jnp.sqrt(jnp.sum(heads**2, -1, keepdims=True))
    return heads / jnp.where(length > 0, length, 1)
