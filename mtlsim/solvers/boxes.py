"""A proof that no heads explain more: branch and bound over boxes of heads.

Heads count up to a common factor, so that one of them may be one and the others lie between -1 and 1: a cube's faces. In a box
a + t with |t_k| <= h_k around heads a, with x = G(a)^-1 c(a), p_k = b_k'x and q_k = x'S_k x as of `mtlsim.solvers.heads`,

    V(a + t) = V(a) + 2 sum_k t_k (p_k - a_k q_k) - sum_k t_k^2 q_k + r'G(a + t)^-1 r,
    r = sum_k t_k (b_k - 2 a_k S_k x) - t_k^2 S_k x,

exactly, for V(a) = max_x 2 c'x - x'G x. G(a + t) is at least G at the box's heads nearest to zero, which makes a bound of it whose
error is of third order in h: near the top, where V bends downwards, so does the bound, and boxes need not become small.
A box whose bound is below the best value known is done; others are halved. Ours.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from mtlsim.core import linalg
from mtlsim.core.extremes import largest_of
from mtlsim.solvers.heads import Heads, unit

AT_ONCE = 8  # boxes that are looked at together
DEEP = 64  # times AT_ONCE boxes may wait
MOST = 2**16  # boxes that are looked at before the search gives up
LARGEST = 5  # tasks whose boxes can be counted


class Boxes(NamedTuple):
    """n boxes: their centres and half widths (n, K), and what V is proven not to exceed in each (n,)."""

    centres: Float[Array, "n K"]
    halves: Float[Array, "n K"]
    bounds: Float[Array, " n"]


class Proof(NamedTuple):
    """Heads (K,) of the highest value met, that value, what V is proven not to exceed, and how many boxes were looked at."""

    heads: Float[Array, " K"]
    value: Float[Array, ""]
    bound: Float[Array, ""]
    n_boxes: Int[Array, ""]


class Search(NamedTuple):
    """Boxes that wait, how many, and what is proven of those that are done."""

    waiting: Boxes
    n_waiting: Int[Array, ""]
    found: Proof


def prove(problem: Heads, heads: Float[Array, " K"], value: Float[Array, ""], tolerance: Float[Array, ""]) -> Proof:
    """Search all heads for a value above that of the given ones, up to the tolerance.

    Where the search gives up, bound is what is proven by then.
    """
    n_tasks = len(heads)
    room = n_tasks + AT_ONCE * DEEP
    eye = jnp.eye(n_tasks, dtype=heads.dtype)
    pad = lambda faces, rest: jnp.concatenate([faces, jnp.full((room - n_tasks, *faces.shape[1:]), rest, faces.dtype)])
    faces = Boxes(pad(eye, 0), pad(1 - eye, 0), pad(jnp.full(n_tasks, jnp.inf, heads.dtype), -jnp.inf))
    start = Search(faces, jnp.asarray(n_tasks), Proof(heads, value, value, jnp.asarray(0)))

    def look(search: Search) -> Search:
        first = jnp.maximum(search.n_waiting - AT_ONCE, 0)
        boxes = jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, first, AT_ONCE), search.waiting)
        real = first + jnp.arange(AT_ONCE) < search.n_waiting
        values, bounds, widths = bound(problem, boxes.centres, boxes.halves)
        bounds = jnp.fmin(bounds, boxes.bounds)  # half of a box is a part of it, and what is no number proves nothing
        values = jnp.where(real & jnp.isfinite(values), values, -jnp.inf)
        highest = jnp.argmax(values)
        better = values[highest] > search.found.value
        heads = jnp.where(better, boxes.centres[highest], search.found.heads)
        value = jnp.where(better, values[highest], search.found.value)
        split = real & ~(bounds <= value + tolerance)
        closed = largest_of(jnp.where(real & ~split, bounds, -jnp.inf))
        # the halves of those that are split go to the end of the line, the others to a place beyond it
        along = jnp.argmax(widths, 1)[:, None] == jnp.arange(n_tasks)
        halves = jnp.where(along, boxes.halves / 2, boxes.halves)
        moves = jnp.where(along, halves, 0)
        centres = jnp.concatenate([boxes.centres - moves, boxes.centres + moves])
        twice = lambda leaf: jnp.concatenate([leaf, leaf])
        kept = twice(split)
        places = jnp.where(kept, first + jnp.cumsum(kept) - 1, room)
        lost = largest_of(jnp.where(kept & (places >= room), twice(bounds), -jnp.inf))
        new = Boxes(centres, twice(halves), twice(bounds))
        waiting = jax.tree.map(lambda old, new: old.at[places].set(new, mode="drop"), search.waiting, new)
        proven = jnp.maximum(jnp.maximum(search.found.bound, closed), lost)
        found = Proof(heads, value, proven, search.found.n_boxes + jnp.sum(real))
        return Search(waiting, jnp.minimum(first + jnp.sum(kept), room), found)

    goes_on = lambda search: (search.n_waiting > 0) & (search.found.n_boxes < MOST) & ~(search.found.bound == jnp.inf)
    end = jax.lax.while_loop(goes_on, look, start)
    left = jnp.where(jnp.arange(room) < end.n_waiting, end.waiting.bounds, -jnp.inf)
    found = end.found
    return found._replace(heads=unit(found.heads), bound=jnp.maximum(jnp.maximum(found.bound, found.value), largest_of(left)))


def bound(
    problem: Heads, centres: Float[Array, "n K"], halves: Float[Array, "n K"]
) -> tuple[Float[Array, " n"], Float[Array, " n"], Float[Array, "n K"]]:
    """V at the centres of n boxes, what it does not exceed in them, and how much of that each head's width may cause."""
    n_tasks = centres.shape[1]
    _, directions, values = problem.fit(centres)
    p, q, images = problem.overlaps(directions)
    factor = problem.factorise(jnp.maximum(jnp.abs(centres) - halves, 0))
    changes = jnp.concatenate([problem.sides - 2 * centres[..., None] * images, images], 1)
    changes = linalg.solve_lower(factor, jnp.swapaxes(changes, 1, 2))
    products = jnp.einsum("ndj,ndk->njk", changes, changes, precision="highest")
    first, second = products[:, :n_tasks, :n_tasks], products[:, n_tasks:, n_tasks:]
    # |t_j t_k| <= (t_j^2 h_k / h_j + t_k^2 h_j / h_k) / 2 makes the quadratic part a sum over heads
    eye = jnp.eye(n_tasks, dtype=q.dtype)
    beside = jnp.einsum("njk,nk->nj", jnp.abs(first) * (1 - eye), halves, precision="highest")
    bends = jnp.sum(first * eye, 2) - q + beside / jnp.where(halves > 0, halves, 1)
    slopes = 2 * jnp.abs(p - centres * q)
    turn = jnp.where(bends < 0, slopes / jnp.where(bends < 0, -2 * bends, 1), jnp.inf)
    steps = jnp.minimum(halves, turn)
    once = jnp.sqrt(jnp.einsum("nj,njk,nk->n", halves, jnp.abs(first), halves, precision="highest"))
    twice = jnp.sqrt(jnp.einsum("nj,njk,nk->n", halves**2, jnp.maximum(second, 0), halves**2, precision="highest"))
    bounds = values + jnp.sum(slopes * steps + bends * steps**2, 1) + (2 * once + twice) * twice
    lengths = lambda squares: jnp.sqrt(jnp.maximum(jnp.sum(squares * eye, 2), 0))
    widths = jnp.where(halves > 0, halves * lengths(first) + halves**2 * lengths(second), -1)
    # where the grams nearest to zero have no inverse nothing is proven, and the widest side is halved
    return values, bounds, jnp.where(jnp.isfinite(widths), widths, halves)
