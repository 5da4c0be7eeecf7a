"""Soft sharing of layers: every task has layers and a head of its own, and the layers of every pair pull at each other.

    f_k(x) = g(.. g(x'B_k1) .. B_kL) A_k,      penalty strength sum_(k<l) sum_layers |B_ks - B_ls|^2 + decay sum_k |A_k|^2.

A trap: without a decay of the heads the pull does nothing. B -> t B, A -> A / t is the same function of linear or ReLU units, and
as t -> 0 the penalty vanishes: the infimum is that of every task alone, whatever the strength. With it only strength times decay
counts, and two linear tasks of one column pay, s over both signs and all sizes,

    2 sqrt(strength decay) min_s sqrt(1 + 1 / s^2) |s theta_1 - theta_2|,

nothing where they are collinear, whatever their lengths: strength times decay -> infinity is hard sharing of one layer with free
heads, and not pooling. `soft` pulls at the products B_k A_k themselves. Layers start equal: hidden units are known by their place
alone, so that layers from starts of their own would be pulled to each other's wrong units.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mtlsim.core.checks import require_one
from mtlsim.core.linalg import multiply
from mtlsim.sharing._sharing import Shape, Sharing, identity, require_depth
from mtlsim.sharing.hard import Hard
from mtlsim.solvers.network import Layers


class Own(NamedTuple):
    """Every task's columns of every layer, and heads A (K, r)."""

    columns: list[Float[Array, "K _ _"]]
    heads: Float[Array, "K r"]


class SoftParameters(Sharing):
    """strength: of the pull between the layers of every pair of tasks, >= 0. decay: of the heads, >= 0, without which strength does
    nothing in the end. depth: L, how many layers follow each other.
    """

    strength: Array | float = 1.0
    decay: Array | float = 1.0
    depth: int = eqx.field(default=1, static=True)

    on_networks = True

    def __check_init__(self):
        for name in ("strength", "decay"):
            require_one(getattr(self, name), lambda s: (s >= 0) & np.isfinite(s), name, "a number >= 0", "use 1")
        require_depth(self.depth)

    @property
    def flat(self):
        return self.depth == 1

    def init(self, key, shape: Shape, size=0.3) -> Own:
        """That of hard sharing, a copy of its layers for each task."""
        columns, heads = Hard(self.depth).init(key, shape, size)
        each = [columns] if self.flat else columns
        return Own([jnp.broadcast_to(one, (shape.n_tasks, *one.shape)) for one in each], heads)

    def layers(self, params: Own) -> Layers:
        (columns,), heads = params
        own = jnp.eye(len(heads), dtype=heads.dtype)[:, :, None] * heads[:, None]
        return Layers(jnp.concatenate(list(columns), 1), own.reshape(len(heads), -1))

    def outputs(self, params: Own, X, task, unit=identity):
        for columns in params.columns:
            X = unit(multiply(X, columns[task]))
        return multiply(X, params.heads[task])

    def rebuild(self, leaves) -> Own:
        return Own(list(leaves[:-1]), leaves[-1])

    def penalty(self, params: Own):
        """The pull between all pairs is K times that to the mean of all."""
        apart = sum(jnp.sum((columns - jnp.mean(columns, 0)) ** 2) for columns in params.columns)
        return self.strength * len(params.heads) * apart + self.decay * jnp.sum(params.heads**2)

    def owned(self, params: Own) -> Own:
        return Own([False] * self.depth, True)


SHARING = SoftParameters
REDUCTIONS = ()
EXAMPLES = ()
