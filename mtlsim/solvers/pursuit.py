"""A thin network out of a wide one: simultaneous orthogonal matching pursuit [tropp2006algorithms] as in [lu2017fully].

Of n vectors t_1 .. t_n, those are kept one after the other that all of them together lie along most,

    argmax_i |R t_i| / |t_i|,      R (n, p) what the kept ones leave of all n.

The vectors of a layer are the weights of its units, restricted to inputs that were kept in the layer before.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from mtlsim.core.checks import is_whole, require
from mtlsim.core.linalg import multiply

NOTHING = 1e-12  # of a vector's length


def pursue(vectors: Float[Array, "n p"], count: int) -> Int[Array, " count"]:
    """Which `count` of the vectors are kept, in their order of choice; where nothing is left to explain, the first of the others
    (released code takes any). Raises ValueError for a count beyond n."""
    n = len(vectors)
    require(
        is_whole(count) and 1 <= count <= n, "count", f"a whole number from 1 to {n}, as many as there are", repr(count), "lower it"
    )
    lengths = jnp.linalg.norm(vectors, axis=1)

    def choose(step, state):
        left, kept = state
        seen = jnp.linalg.norm(multiply(left, vectors.T), axis=0) / jnp.where(lengths > 0, lengths, 1)
        chosen = jnp.argmax(seen.at[kept].set(-1.0, mode="drop"))
        own = left[chosen]
        size = jnp.linalg.norm(own)
        own = jnp.where(size > NOTHING * lengths[chosen], own / jnp.where(size > 0, size, 1), 0)
        return left - jnp.outer(multiply(left, own), own), kept.at[step].set(chosen)

    return jax.lax.fori_loop(0, count, choose, (vectors, jnp.full(count, n)))[1]


def thin(
    columns: Sequence[Array], heads: Float[Array, "K r"], count: int
) -> tuple[list[Float[Array, "_ count"]], Float[Array, "K count"]]:
    """Layers of `count` units each out of wide ones, from the input on, and what the heads make of those that are left."""
    kept = None
    found = []
    for layer in columns:
        layer = layer if kept is None else layer[kept]
        kept = jnp.sort(pursue(layer.T, count))
        found.append(layer[:, kept])
    return found, heads[:, kept]
