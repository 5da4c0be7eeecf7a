"""Cross-stitch units: one set of columns per task, and every task reads a mixture of all of them [misra2016cross].

    f_k(x) = sum_l alpha_kl g(x'B_l) A_k,      penalty decay sum_l |B_l|^2,      B_l (d, r), A_k (r,), mixed after the unit g,

    of depth L:  h_kl = sum_j alpha_l,kj g(h_j(l-1) B_lj),      h_k0 = x,      f_k(x) = h_kL A_k,

with alpha_kk = own and alpha_kl = (1 - own) / (K - 1) at the start: .9 and .1 of two tasks in the paper, from columns trained
alone; a released reimplementation gives alpha 100 times the rate of the rest under plain gradient steps.

Held (learned=False) and linear, with r = 1 and heads of one, it is ridge regression in the task covariance alpha alpha': alpha = I
is single-task ridge, alpha = 11' / K pools. Learned, alpha gives every task what it likes: with K columns every matrix of
parameters can be written so, and a decay on the columns alone regularises nothing (B -> B / t, alpha -> t alpha makes it vanish).
The infimum is then that of every task alone, and what joint training gains it gains by stopping early.

per_channel: every hidden unit has an alpha of its own, alpha_l,kj (r,), as the reimplementation has.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mtlsim.core.checks import require, require_bool, require_one
from mtlsim.core.keys import normal, stream
from mtlsim.core.linalg import multiply
from mtlsim.sharing._sharing import MixedSharing, Problem, Shape, alone, identity, require_depth
from mtlsim.solvers.mixed import Mixing
from mtlsim.solvers.network import Layers


class Stitched(NamedTuple):
    """Columns B (K, d, r), what each task takes of each, alpha (K, K) or (K, K, r), and heads A (K, r); of many layers, a list of
    each.
    """

    columns: Float[Array, "K d r"] | list[Float[Array, "K p r"]]
    amounts: Float[Array, "K K *r"] | list[Float[Array, "K K *r"]]
    heads: Float[Array, "K r"]


def stitch(X: Float[Array, "K m p"], columns: Float[Array, "K s p h"], amounts: Float[Array, "S S *h"], unit: Callable):
    """Every task's features (K, m, s h) after one layer: S = K s streams of h units each, mixed after the unit."""
    units = unit(jnp.einsum("kmp,ksph->ksmh", X, columns, precision="highest"))
    streams = units.reshape(len(amounts), *units.shape[2:])
    mixed = jnp.einsum("kl,lmh->kmh" if amounts.ndim == 2 else "klh,lmh->kmh", amounts, streams, precision="highest")
    return jnp.moveaxis(mixed.reshape(units.shape), 1, 2).reshape(*X.shape[:2], -1)


class CrossStitch(MixedSharing):
    """own: what a task takes of its own columns at the start, from 0 to 1; the others share what is left. learned: whether the
    mixing and heads are learned, too. decay: of the columns, >= 0, on the scale of X'X. rate: of alpha over that of the rest; 0
    holds alpha while columns and heads are learned. depth: L, how many layers follow each other; with linear units and learned
    stitches the optimum is that of one. per_channel: whether every hidden unit is mixed in amounts of its own.
    """

    own: Array | float = 0.9
    learned: bool = eqx.field(default=True, static=True)
    decay: Array | float = 0.0
    rate: float = eqx.field(default=1.0, static=True)
    depth: int = eqx.field(default=1, static=True)
    per_channel: bool = eqx.field(default=False, static=True)

    on_networks = True

    def __check_init__(self):
        require_bool(self.learned, "learned")
        require_bool(self.per_channel, "per_channel")
        cure = "held amounts of equal channels are those of one"
        require(self.learned or not self.per_channel, "per_channel", "False where the mixing is held", True, cure)
        require_one(self.own, lambda s: (s >= 0) & (s <= 1), "own", "a share from 0 to 1", "use 0.9")
        require_one(self.decay, lambda s: (s >= 0) & np.isfinite(s), "decay", "a number >= 0", "use 0")
        require_one(self.rate, lambda s: (s >= 0) & np.isfinite(s), "rate", "a number >= 0", "use 1")
        require_depth(self.depth)

    def check(self, n_tasks, rank):
        one = not self.held or rank == 1
        require(
            one, "rank", "1 where the mixing is held, since more columns are no other model", rank, "use rank=1 or learned=True"
        )

    @property
    def held(self):
        return not self.learned and self.flat

    @property
    def solved(self):
        return self.rate > 0 if self.learned else self.flat

    @property
    def flat(self):
        return self.depth == 1

    def amounts(self, n_tasks: int, n_channels: int = 1) -> Float[Array, "K K *r"]:
        """alpha at the start; one task keeps all of its own."""
        own, eye = jnp.asarray(self.own, float), jnp.eye(n_tasks)
        return self._by_channel(own * eye + (1 - own) / max(n_tasks - 1, 1) * (1 - eye), n_channels)

    def _by_channel(self, amounts: Float[Array, "K K"], n_channels: int) -> Float[Array, "K K *r"]:
        return jnp.repeat(amounts[..., None], n_channels, 2) if self.per_channel else amounts

    def mixing(self, n_tasks: int) -> Mixing:
        return Mixing(self.amounts(n_tasks).T, jnp.full(n_tasks, self.decay, float))

    def exact(self, problem: Problem):
        if not self.solved:
            return None
        if self.held:
            found = super().exact(problem)
            amounts, ones = found.params.heads, jnp.ones((problem.n_tasks, 1))
            return eqx.tree_at(lambda f: f.params, found, Stitched(found.params.shared.T[..., None], amounts, ones))
        K, dtype = problem.n_tasks, problem.moments.cross.dtype
        onward = [jnp.ones((K, 1, 1), dtype)] * (self.depth - 1)
        own_all = [self._by_channel(jnp.eye(K, dtype=dtype), 1)] * self.depth
        return alone(problem, lambda own: self._made([own[..., None], *onward], own_all, jnp.ones((K, 1), dtype)))

    def _made(self, columns: list, amounts: list, heads) -> Stitched:
        return Stitched(*(columns[0], amounts[0]) if self.flat else (columns, amounts), heads)

    def route(self, n_tasks, rank, shared_covariates, n_features):
        return "separate" if self.learned else "mixed"

    def shares(self, n_tasks, rank):
        return not self.learned or self.rate == 0

    def init(self, key, shape: Shape, size=0.3) -> Stitched:
        """All columns start equal: columns of their own would fit together only by chance."""
        columns = size * normal(stream(key, "shared"), (shape.n_features, shape.rank)) / shape.n_features**0.5
        heads = size * normal(stream(key, "heads"), (shape.n_tasks, shape.rank)) / shape.rank**0.5
        heads = heads if self.learned else jnp.ones_like(heads)
        square, below = (shape.rank, shape.rank), range(1, self.depth)
        onward = [normal(stream(key, "shared", layer), square) / shape.rank**0.5 for layer in below]
        equal = [jnp.broadcast_to(one, (shape.n_tasks, *one.shape)) for one in (columns, *onward)]
        return self._made(equal, [self.amounts(shape.n_tasks, shape.rank)] * self.depth, heads)

    def layers(self, params: Stitched) -> Layers:
        heads = params.amounts.reshape(*params.amounts.shape[:2], -1) * params.heads[:, None, :]
        return Layers(jnp.concatenate(list(params.columns), 1), heads.reshape(len(heads), -1))

    def outputs(self, params: Stitched, X, task, unit=identity):
        if self.flat:
            return super().outputs(params, X, task, unit)
        features = jnp.broadcast_to(X, (len(params.heads), *X.shape))
        for columns, amounts in zip(params.columns, params.amounts, strict=True):
            features = stitch(features, columns[:, None], amounts, unit)
        return multiply(features[task], params.heads[task])

    def rebuild(self, leaves) -> Stitched:
        return self._made(leaves[: self.depth], leaves[self.depth : -1], leaves[-1])

    def penalty(self, params: Stitched):
        return self.decay * sum(jnp.sum(columns**2) for columns in jax.tree.leaves(params.columns))

    def owned(self, params: Stitched) -> Stitched:
        return self._made([False] * self.depth, [False] * self.depth, True)

    def rates(self, params: Stitched) -> Stitched:
        amounts, heads = (self.rate, 1.0) if self.learned else (0.0, 0.0)
        return self._made([1.0] * self.depth, [amounts] * self.depth, heads)


SHARING = CrossStitch
REDUCTIONS = ("single",)
EXAMPLES = (
    (CrossStitch(0.9, False, 1.0), {}, [[0.83177, 0.42288], [0.54090, 0.77992]]),
    (CrossStitch(0.5, False, 1.0), {}, [[2 / 3, 2 / 3]] * 2),
    (CrossStitch(), {}, [[4 / 3, 1 / 3], [1.0, 1.0]]),
    (CrossStitch(depth=2), {}, [[4 / 3, 1 / 3], [1.0, 1.0]]),
)
