"""A trace norm of stacked layers: every task has layers and a head of its own, and each layer of all tasks is pulled to few
[yang2016trace].

    f_k(x) = g(.. g(x'B_k1) .. B_kL) A_k,      penalty strength ( sum_l sum_j sigma_j(T_l) + sum_j sigma_j(A) ),

T_l (K, p r) the columns B_1l .. B_Kl, each laid out in a row. The norm has kinks, where steps of a slope never come to rest. It is
also the least 1/2 (|M|^2 + |F|^2) over all M F = T_l, so that every task's layer is trained as a mixture of K common ones,

    B_kl = sum_j M_l,kj F_jl,      A_k = sum_j M_A,kj F_jA,      penalty strength / 2 ( sum of all squares ),

which is the same optimum without kinks, and says that cross-stitched columns under a decay of both are this. Layers start equal:
hidden units are known by their place alone, and a copy of a network with two units swapped, the same function, has a larger norm.
`trace-norm` is the convex problem over the parameters of linear tasks themselves.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mtlsim.core.checks import require_one
from mtlsim.core.linalg import multiply
from mtlsim.sharing._sharing import Shape, Sharing, identity, require_depth
from mtlsim.sharing.soft_parameters import Own, SoftParameters
from mtlsim.solvers.network import Layers


class Mixed(NamedTuple):
    """Common layers F (K, p, r) and heads (K, r), and what every task takes of each, M (K, K), of every layer and the heads."""

    common: Own
    mixtures: list[Float[Array, "K K"]]


class TraceNormLayers(Sharing):
    """strength: of the sums of singular values, >= 0. depth: L, how many layers follow each other."""

    strength: Array | float = 1.0
    depth: int = eqx.field(default=1, static=True)

    on_networks = True

    def __check_init__(self):
        require_one(self.strength, lambda s: (s >= 0) & np.isfinite(s), "strength", "a number >= 0", "use 1")
        require_depth(self.depth)

    @property
    def _unmixed(self) -> SoftParameters:
        return SoftParameters(depth=self.depth)

    @property
    def flat(self):
        return self.depth == 1

    def init(self, key, shape: Shape, size=0.3) -> Mixed:
        """That of hard sharing, a copy for each task."""
        return Mixed(self._unmixed.init(key, shape, size), [jnp.eye(shape.n_tasks)] * (self.depth + 1))

    def own(self, params: Mixed) -> Own:
        """Every task's layers and heads."""
        *mixtures, of_heads = params.mixtures
        mixed = [jnp.tensordot(M, F, 1, precision="highest") for M, F in zip(mixtures, params.common.columns, strict=True)]
        return Own(mixed, multiply(of_heads, params.common.heads))

    def layers(self, params: Mixed) -> Layers:
        return self._unmixed.layers(self.own(params))

    def outputs(self, params: Mixed, X, task, unit=identity):
        return self._unmixed.outputs(self.own(params), X, task, unit)

    def rebuild(self, leaves) -> Mixed:
        return Mixed(Own(list(leaves[: self.depth]), leaves[self.depth]), list(leaves[self.depth + 1 :]))

    def penalty(self, params: Mixed):
        return 0.5 * self.strength * sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))

    def owned(self, params: Mixed) -> Mixed:
        return Mixed(Own([False] * self.depth, False), [True] * (self.depth + 1))


SHARING = TraceNormLayers
REDUCTIONS = ()
EXAMPLES = ()
