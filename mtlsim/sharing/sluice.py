"""Sluice networks: every task's columns come in two subspaces, and each task reads a mixture of all of them [ruder2019latent].

    h_(k, s) = sum_(l, t) alpha_(k, s), (l, t) g(x'B_(l, t)),      f_k(x) = [h_(k, 1), h_(k, 2)] A_k,

two subspaces of r / 2 columns for each of K tasks. Of depth L the next layer reads both, and the output is sum_l beta_kl h_kl A_k,
beta .9 on the last layer at the start and the rest shared by the others. Penalties: decay sum |B_(l, t)|^2, and
orthogonality sum_l |B_(l, 1)'B_(l, 2)|^2, which keeps the two subspaces apart.

Held, with heads of one and one column a subspace: "private" averages the first subspace over the tasks and keeps the second (task
correlation 1/3 of two tasks), "balanced" gives every task the mean of all columns, so that all tasks are one (pooled ridge).
Learned, alpha starts there and reaches every task alone, as of cross-stitch units: B -> B / t, alpha -> t alpha makes both
penalties vanish. The mixing of the released code concatenates tasks in an order in which it weighs one task's features against
each other; this is the one of the text.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mtlsim.core.checks import require, require_bool, require_choice, require_one
from mtlsim.core.keys import normal, stream
from mtlsim.core.linalg import multiply
from mtlsim.sharing._sharing import MixedSharing, Problem, Shape, alone, identity, require_depth
from mtlsim.sharing.cross_stitch import stitch
from mtlsim.solvers.mixed import Mixing
from mtlsim.solvers.network import Layers

MIXTURES = ("private", "balanced")
LAST = 0.9  # of beta, what the last layer has at the start


class Sluiced(NamedTuple):
    """Of every layer: columns (K, 2, p, r / 2) and alpha (2 K, 2 K); beta (K, L) and heads A (K, r)."""

    columns: list[Float[Array, "K 2 p h"]]
    amounts: list[Float[Array, "S S"]]
    layers: Float[Array, "K L"]
    heads: Float[Array, "K r"]


class Sluice(MixedSharing):
    """mixture: "private" or "balanced", see the module. decay: of all columns, >= 0, on the scale of X'X. learned: whether alpha,
    beta and heads are learned, too. orthogonality: of the two subspaces of a task, >= 0. depth: L, of learned ones.
    """

    mixture: str = eqx.field(default="private", static=True)
    decay: Array | float = 1.0
    learned: bool = eqx.field(default=False, static=True)
    orthogonality: Array | float = 0.0
    depth: int = eqx.field(default=1, static=True)

    one_decay = True
    on_networks = True

    def __check_init__(self):
        require_choice(self.mixture, MIXTURES, "mixture")
        require_bool(self.learned, "learned")
        for name in ("decay", "orthogonality"):
            require_one(getattr(self, name), lambda s: (s >= 0) & np.isfinite(s), name, "a number >= 0", "use 0")
        require_depth(self.depth)
        require(self.learned or self.depth == 1, "depth", "1 where the mixing is held", self.depth, "use learned=True")

    def check(self, n_tasks, rank):
        even = not self.learned or rank % 2 == 0
        require(even, "rank", "even, for two subspaces of as many columns", rank, f"use rank={rank + 1}")

    @property
    def held(self):
        return not self.learned

    @property
    def flat(self):
        return self.depth == 1

    def mixing(self, n_tasks: int) -> Mixing:
        mean = jnp.full((n_tasks, n_tasks), 1 / n_tasks)
        halves = [mean, jnp.eye(n_tasks)] if self.mixture == "private" else [mean / 2, mean / 2]
        return Mixing(jnp.concatenate(halves), jnp.full(2 * n_tasks, self.decay, float))

    def amounts(self, n_tasks: int) -> Float[Array, "S S"]:
        """alpha at the start, streams in the order (task, subspace)."""
        mean, eye = jnp.full((n_tasks, n_tasks), 1 / n_tasks), jnp.eye(n_tasks)
        if self.mixture == "balanced":
            return jnp.kron(mean / 2, jnp.ones((2, 2)))
        return jnp.kron(mean, jnp.diag(jnp.array([1.0, 0.0]))) + jnp.kron(eye, jnp.diag(jnp.array([0.0, 1.0])))

    def exact(self, problem: Problem):
        if self.held:
            return super().exact(problem)
        K, r, dtype = problem.n_tasks, problem.rank, problem.moments.cross.dtype

        def written(own: Float[Array, "K d"]) -> Sluiced:
            first = jnp.zeros((K, 2, own.shape[1], r // 2), dtype).at[:, 0, :, 0].set(own)
            onward = jnp.broadcast_to(jnp.moveaxis(jnp.eye(r, dtype=dtype).reshape(r, 2, r // 2), 0, 1), (K, 2, r, r // 2))
            last = jnp.zeros((K, self.depth), dtype).at[:, -1].set(1)
            amounts = [jnp.eye(2 * K, dtype=dtype)] * self.depth
            return Sluiced([first, *[onward] * (self.depth - 1)], amounts, last, jnp.zeros((K, r), dtype).at[:, 0].set(1))

        return alone(problem, written)

    def route(self, n_tasks, rank, shared_covariates, n_features):
        return "separate" if self.learned else self.name

    def shares(self, n_tasks, rank):
        return not self.learned

    def init(self, key, shape: Shape, size=0.3):
        """All tasks' columns start equal, the two subspaces apart."""
        if self.held:
            return super().init(key, shape, size)
        K, d, r = shape[:3]
        columns = []
        for layer in range(self.depth):
            below = r if layer else d
            one = (1 if layer else size) * normal(stream(key, "shared", layer), (2, below, r // 2)) / below**0.5
            columns.append(jnp.broadcast_to(one, (K, *one.shape)))
        others = jnp.full((K, self.depth), (1 - LAST) / max(self.depth - 1, 1))
        layers = others.at[:, -1].set(LAST if self.depth > 1 else 1.0)
        heads = size * normal(stream(key, "heads"), (K, r)) / r**0.5
        return Sluiced(columns, [self.amounts(K)] * self.depth, layers, heads)

    def layers(self, params: Layers | Sluiced) -> Layers:
        if self.held:
            return params
        (columns,), (amounts,), scale, heads = params
        K, _, d, h = columns.shape
        taken = jnp.einsum("ksh,kslt->klth", (scale * heads).reshape(K, 2, h), amounts.reshape(K, 2, K, 2), precision="highest")
        return Layers(jnp.moveaxis(columns, 2, 0).reshape(d, -1), taken.reshape(K, -1))

    def outputs(self, params: Layers | Sluiced, X, task, unit=identity):
        if self.flat:
            return super().outputs(params, X, task, unit)
        features, total = jnp.broadcast_to(X, (len(params.heads), *X.shape)), 0.0
        for columns, amounts, share in zip(params.columns, params.amounts, params.layers[task], strict=True):
            features = stitch(features, columns, amounts, unit)
            total = total + share * features[task]
        return multiply(total, params.heads[task])

    def rebuild(self, leaves) -> Layers | Sluiced:
        L = self.depth
        return Layers(*leaves) if self.held else Sluiced(leaves[:L], leaves[L : 2 * L], *leaves[2 * L :])

    def penalty(self, params: Layers | Sluiced):
        if self.held:
            return super().penalty(params)
        sizes = sum(jnp.sum(columns**2) for columns in params.columns)
        products = [multiply(columns[:, 0].mT, columns[:, 1]) for columns in params.columns]
        return self.decay * sizes + self.orthogonality * sum(jnp.sum(product**2) for product in products)

    def owned(self, params: Layers | Sluiced):
        return super().owned(params) if self.held else Sluiced([False] * self.depth, [False] * self.depth, True, True)

    def rates(self, params: Layers | Sluiced):
        return super().rates(params) if self.held else None


SHARING = Sluice
REDUCTIONS = ()
EXAMPLES = ((Sluice(learned=True, depth=2), {"rank": 2}, [[4 / 3, 1 / 3], [1.0, 1.0]]),)
