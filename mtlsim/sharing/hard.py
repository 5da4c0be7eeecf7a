"""Hard sharing: one layer B (d, r) for all tasks, and a head A_k (r,) of its own for each.

    f_k(x) = g(x'B) A_k,      g the identity or ReLU;      of depth L the layers follow each other, g(.. g(x'B_1) .. B_L) A_k.

With linear units more layers reach the same functions: the optimum is that of one, and only training comes to it by another path.
At depth one most other architectures are this one with constrained heads. With r >= K an optimum keeps every task's own solution;
with rank one and two tasks the optimum is known with a certificate (`mtlsim.solve`). Source: [wu2020understanding], Section 2.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from mtlsim.core.checks import require_bool
from mtlsim.core.extremes import largest_of
from mtlsim.core.keys import normal, stream
from mtlsim.core.linalg import multiply
from mtlsim.sharing._sharing import Answer, Problem, Shape, Sharing, identity, require_depth
from mtlsim.solvers.expected_risk import HEAD_ROWS, LEAD, is_near
from mtlsim.solvers.network import Layers
from mtlsim.solvers.solve import choose_route, solve


class Deep(NamedTuple):
    """B_1 (d, r), B_2 .. B_L (r, r) and A (K, r)."""

    columns: list[Float[Array, "p r"]]
    heads: Float[Array, "K r"]


class Hard(Sharing):
    """Shared layers of the given rank with free heads, of linear or ReLU units.

    depth: L, how many layers follow each other. certify: whether to prove the optimum of linear tasks where it costs time, as
    `mtlsim.solve(certify=True)` does for three tasks and more.
    """

    depth: int = eqx.field(default=1, static=True)
    certify: bool = eqx.field(default=False, static=True)

    on_networks = True
    bends = False

    def __check_init__(self):
        require_depth(self.depth)
        require_bool(self.certify, "certify")

    @property
    def flat(self):
        return self.depth == 1

    def route(self, n_tasks, rank, shared_covariates, n_features):
        return choose_route(n_tasks, rank, shared_covariates, n_features)

    def exact(self, problem: Problem) -> Answer:
        found = solve(problem.moments, problem.rank, problem.weights, problem.ridge, key=problem.key, certify=self.certify)
        rest = found.parameters, found.loss, found.gap, found.certificate, found.status
        layers = Layers(found.shared, found.heads)
        if not self.flat:  # layers that hand on what they get
            onward = [jnp.eye(problem.rank, dtype=found.heads.dtype)] * (self.depth - 1)
            layers = Deep([found.shared, *onward], found.heads)
        return Answer(layers, *rest)

    def init(self, key, shape: Shape, size=0.3) -> Layers | Deep:
        shared = size * normal(stream(key, "shared"), (shape.n_features, shape.rank)) / shape.n_features**0.5
        heads = size * normal(stream(key, "heads"), (shape.n_tasks, shape.rank)) / shape.rank**0.5
        if self.flat:
            return Layers(shared, heads)
        square, below = (shape.rank, shape.rank), range(1, self.depth)
        onward = [normal(stream(key, "shared", layer), square) / shape.rank**0.5 for layer in below]
        return Deep([shared, *onward], heads)

    def outputs(self, params: Layers | Deep, X, task, unit=identity):
        if self.flat:
            return super().outputs(params, X, task, unit)
        for columns in params.columns:
            X = unit(multiply(X, columns))
        return multiply(X, params.heads[task])

    def rebuild(self, leaves) -> Layers | Deep:
        return Layers(*leaves) if self.flat else Deep(leaves[:-1], leaves[-1])

    def owned(self, params: Layers | Deep) -> Layers | Deep:
        return Layers(False, True) if self.flat else Deep([False] * self.depth, True)

    def shares(self, n_tasks, rank):
        return rank < n_tasks

    def infinite_variance(self, tasks, rank, weights, ridge, target) -> Bool[Array, ""]:
        n, d, n_tasks = tasks.n_samples, tasks.n_features, tasks.n_tasks
        near = own_head_is_near(tasks, rank, ridge, target)
        near |= is_near(jnp.sum(n), rank * (d + n_tasks - rank), largest_of(ridge))
        return near | (is_near(n[target], d, ridge[target]) & ~_sources_lead(tasks, weights, target))


def own_head_is_near(tasks, rank: int, ridge: Float[Array, " K"], target: int) -> Bool[Array, ""]:
    """Whether the target has so few rows that its own head has no finite variance, whatever the layer."""
    return (tasks.n_samples[target] <= rank + HEAD_ROWS) & (ridge[target] == 0)


def _sources_lead(tasks, weights: Float[Array, " K"], target: int) -> Bool[Array, ""]:
    """Whether the sources' signal is so much larger than the target's noise that the layer never turns to the latter."""
    signals = [covariance.quadratic(own) for covariance, own in zip(tasks.covariances, tasks.parameters, strict=True)]
    energies = weights * tasks.n_samples * jnp.stack(signals)
    noise = weights[target] * tasks.n_samples[target] * tasks.noise[target] ** 2
    return jnp.sum(energies) - energies[target] >= LEAD * noise


SHARING = Hard
REDUCTIONS = ("single", "wide")
EXAMPLES = (
    (Hard(), {"rank": 1}, [[0.98249, 0.72186], [1.24677, 0.91603]]),
    (Hard(depth=3), {"rank": 1}, [[0.98249, 0.72186], [1.24677, 0.91603]]),
    (Hard(certify=True), {"rank": 1}, [[0.98249, 0.72186], [1.24677, 0.91603]]),
)
