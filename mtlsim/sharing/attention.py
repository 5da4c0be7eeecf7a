"""Multi-task attention: one stack of shared layers, and masks by which every task turns its units up and down [liu2019end].

    h_l = g(h_(l-1) B_l),      mask_kl = sigmoid(relu([u, e_k(l-1)] U_kl) V_kl),      e_kl = g((mask_kl * h_l) R_l),
    f_k = (mask_kL * h_L) A_k,

with h_0 = x, B_l (r, r) but for B_1 (d, r), masks (0, 1)^r of u = h_l ("features") or u = h_(l-1) ("input", x itself in the first
layer), and a refinement R_l (r, r) that the tasks share and hand to the next layer. The published one has convolutions, and
normalises batches before relu and sigmoid; here are neither.

A mask looks at x, so that even with linear units a task is no linear function of it; it is trained, on rows. With V = 0 every mask
is 1/2: hard sharing with heads twice as large. A mask that does not look at x is absorbed by the head; one task is a gated unit.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mtlsim.core.checks import is_whole, require, require_choice
from mtlsim.core.keys import normal, stream
from mtlsim.core.linalg import multiply
from mtlsim.sharing._sharing import Shape, Sharing, identity, require_depth

SEES = ("features", "input")


class Masked(NamedTuple):
    """Of every layer: columns B_l (p, r), masks U_l (K, u, q) and V_l (K, q, r), refinements R_l (r, r), one fewer; A (K, r)."""

    columns: list[Float[Array, "p r"]]
    hidden: list[Float[Array, "K u q"]]
    masks: list[Float[Array, "K q r"]]
    refinements: list[Float[Array, "r r"]]
    heads: Float[Array, "K r"]


class MultiTaskAttention(Sharing):
    """sees: what the masks look at, "features" or "input". width: q, hidden units of a mask, as many as columns if left out.
    depth: number of shared layers.
    """

    sees: str = eqx.field(default="features", static=True)
    width: int | None = eqx.field(default=None, static=True)
    depth: int = eqx.field(default=1, static=True)

    on_networks = True

    def __check_init__(self):
        require_choice(self.sees, SEES, "sees")
        whole = self.width is None or (is_whole(self.width) and self.width >= 1)
        require(whole, "width", "a whole number >= 1", repr(self.width), "leave it out")
        require_depth(self.depth)

    @property
    def needs_rows(self):
        return True

    def init(self, key, shape: Shape, size=0.3) -> Masked:
        """Masks start near 1/2, their entries of unit size over the square root of their fan-in."""
        K, d, r = shape[:3]
        q = self.width or r
        columns, hidden, masks, refinements = [], [], [], []
        for layer in range(self.depth):
            below = r if layer else d
            seen = (below if self.sees == "input" else r) + (r if layer else 0)
            draw = lambda name, *entries: normal(stream(key, name, layer), entries) / entries[-2] ** 0.5  # noqa: B023
            columns.append(size * draw("shared", below, r))
            hidden.append(draw("hidden", K, seen, q))
            masks.append(draw("masks", K, q, r))
            refinements.append(draw("refinements", r, r))
        heads = size * normal(stream(key, "heads"), (K, r)) / r**0.5
        return Masked(columns, hidden, masks, refinements[:-1], heads)

    def outputs(self, params: Masked, X, task, unit=identity):
        below, refined = X, X[:, :0]
        for layer, columns in enumerate(params.columns):
            features = unit(multiply(below, columns))
            seen = jnp.concatenate([below if self.sees == "input" else features, refined], 1)
            mask = jax.nn.sigmoid(multiply(jax.nn.relu(multiply(seen, params.hidden[layer][task])), params.masks[layer][task]))
            kept, below = mask * features, features
            if layer < len(params.refinements):
                refined = unit(multiply(kept, params.refinements[layer]))
        return multiply(kept, params.heads[task])

    def rebuild(self, leaves) -> Masked:
        L = self.depth
        return Masked(leaves[:L], leaves[L : 2 * L], leaves[2 * L : 3 * L], leaves[3 * L : -1], leaves[-1])

    def owned(self, params: Masked) -> Masked:
        L = self.depth
        return Masked([False] * L, [True] * L, [True] * L, [False] * (L - 1), True)


SHARING = MultiTaskAttention
REDUCTIONS = ()
EXAMPLES = ()
