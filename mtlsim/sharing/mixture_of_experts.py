"""Experts under gates that look at x: MMoE [ma2018modeling], with own experts CGC, in levels PLE [tang2020progressive].

    f_k(x) = sum_e p_ke(x) g(x'B_e) A_k,      p_k(x) = softmax(x'Q_k + q_k),      B_e (d, r), Q_k (d, E), A_k (r,),

the sum over all shared experts and the task's own. Of several levels, task k's mixture is the input of its own experts and its
gate in the next, and a gate that the tasks share mixes all experts of a level for the shared ones of the next: so it stands in
the paper, where a released library feeds the shared experts each task's mixture in its place. One gate for all tasks is OMoE.

A gate that looks at x makes a task no linear function of it, so that it is trained, on rows; without Q ("nothing") and
linear units, sums over rows are enough. One shared expert is hard sharing; own experts alone are every task alone. Gates start near
uniform, where the tasks are almost pooled: MMoE must unlearn sharing, where cross-stitch units learn it. Defaults of the paper's
experiments: 8 experts of 16 units.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mtlsim.core.checks import is_whole, require, require_bool, require_choice
from mtlsim.core.keys import normal, stream
from mtlsim.core.linalg import multiply
from mtlsim.sharing._sharing import Shape, Sharing, identity
from mtlsim.solvers.network import Layers

SEES = ("input", "nothing")


class Level(NamedTuple):
    """Experts shared (S, p, r) and own (K, O, p, r), gates (G, s, S + O) and offsets (G, S + O), G = K or 1; the gate of the next
    level's shared experts over all of this one, (s, S + K O) and (S + K O,), or None in the last. Gates see s = p inputs, or s = 0.
    """

    shared: Float[Array, "S p r"]
    own: Float[Array, "K O p r"]
    gates: Float[Array, "G s E"]
    offsets: Float[Array, "G E"]
    onward: Float[Array, "s F"] | None
    onward_offsets: Float[Array, " F"] | None


class Experts(NamedTuple):
    """Levels, and heads (K, r)."""

    levels: list[Level]
    heads: Float[Array, "K r"]


class MixtureOfExperts(Sharing):
    """shared, own: how many experts all tasks share, and how many each has of its own. sees: what gates look at, "input" or
    "nothing". one_gate: whether all tasks have one, which own experts rule out. levels: of experts, one after another.
    """

    shared: int = eqx.field(default=4, static=True)
    own: int = eqx.field(default=0, static=True)
    sees: str = eqx.field(default="input", static=True)
    one_gate: bool = eqx.field(default=False, static=True)
    levels: int = eqx.field(default=1, static=True)

    on_networks = True

    def __check_init__(self):
        for name, least in (("shared", 0), ("own", 0), ("levels", 1)):
            value = getattr(self, name)
            require(is_whole(value) and value >= least, name, f"a whole number >= {least}", repr(value), "leave it out")
        require(self.shared + self.own > 0, "shared", "at least 1 where no task has experts of its own", self.shared, "use 4")
        require_choice(self.sees, SEES, "sees")
        require_bool(self.one_gate, "one_gate")
        require(not (self.one_gate and self.own), "one_gate", "False where tasks have experts of their own", True, "use own=0")

    @property
    def needs_rows(self):
        return self.sees == "input"

    @property
    def flat(self):
        return self.sees == "nothing" and self.levels == 1

    def shares(self, n_tasks, rank):
        return self.shared > 0

    def init(self, key, shape: Shape, size=0.3) -> Experts:
        """Experts differ from the start, since equal ones would stay so; gates are nearly uniform."""
        K, d, r = shape[:3]
        S, E, every = self.shared, self.shared + self.own, self.shared + K * self.own
        levels = []
        for level in range(self.levels):
            below, last = d if level == 0 else r, level == self.levels - 1
            draw = lambda name, *sizes: size * normal(stream(key, name, level), sizes) / max(sizes[-2], 1) ** 0.5  # noqa: B023
            seen = below if self.sees == "input" else 0
            n_gates = 1 if self.one_gate else K
            levels.append(
                Level(
                    draw("shared", S, below, r),
                    draw("own", K, self.own, below, r),
                    draw("gates", n_gates, seen, E),
                    jnp.zeros((n_gates, E)),
                    None if last else draw("onward", seen, every),
                    None if last else jnp.zeros(every),
                )
            )
        return Experts(levels, size * normal(stream(key, "heads"), (K, r)) / r**0.5)

    def layers(self, params: Experts) -> Layers:
        """Of gates that look at nothing, on one level."""
        (level,), heads = params
        shares, n_tasks = jax.nn.softmax(level.offsets, -1), len(heads)
        shares = jnp.broadcast_to(shares, (n_tasks, shares.shape[1]))
        columns = jnp.concatenate([level.shared, *level.own])
        own = jnp.einsum("ke,kl->kle", shares[:, self.shared :], jnp.eye(n_tasks)).reshape(n_tasks, -1)
        taken = jnp.concatenate([shares[:, : self.shared], own], 1)
        return Layers(jnp.concatenate(list(columns), 1), (taken[:, :, None] * heads[:, None]).reshape(n_tasks, -1))

    def outputs(self, params: Experts, X, task, unit=identity):
        every = range(len(params.heads))
        inputs, common = [X for _ in every], X  # of every task, and of the shared experts
        for level in params.levels[:-1]:
            shared, own = experts(common, level.shared, unit), [experts(inputs[k], level.own[k], unit) for k in every]
            common = mix(common, level.onward, level.onward_offsets, jnp.concatenate([shared, *own]))
            inputs = [self._mixture(level, k, inputs[k], jnp.concatenate([shared, own[k]])) for k in every]
        level, x = params.levels[-1], inputs[task]
        last = jnp.concatenate([experts(common, level.shared, unit), experts(x, level.own[task], unit)])
        return multiply(self._mixture(level, task, x, last), params.heads[task])

    def _mixture(self, level: Level, task: int, inputs, seen) -> Float[Array, "m r"]:
        gate = 0 if self.one_gate else task
        return mix(inputs, level.gates[gate], level.offsets[gate], seen)

    def rebuild(self, leaves) -> Experts:
        levels, rest = [], list(leaves)
        for level in range(self.levels):
            size = 4 if level == self.levels - 1 else 6
            levels.append(Level(*rest[:size], *[None] * (6 - size)))
            rest = rest[size:]
        return Experts(levels, *rest)

    def owned(self, params: Experts) -> Experts:
        private = not self.one_gate
        of_level = lambda level: Level(False, True, private, private, *(None if level.onward is None else False,) * 2)
        return Experts([of_level(level) for level in params.levels], True)


def experts(X: Float[Array, "m p"], columns: Float[Array, "E p r"], unit: Callable) -> Float[Array, "E m r"]:
    """What every expert says of the rows."""
    return unit(jnp.einsum("mp,epr->emr", X, columns, precision="highest"))


def mix(
    inputs: Float[Array, "m p"], gate: Float[Array, "s E"], offsets: Float[Array, " E"], seen: Float[Array, "E m r"]
) -> Float[Array, "m r"]:
    """What the gate makes of the experts, row by row."""
    shares = jax.nn.softmax(multiply(inputs[:, : len(gate)], gate) + offsets, -1)
    return jnp.einsum("me,emr->mr", shares, seen, precision="highest")


SHARING = MixtureOfExperts
REDUCTIONS = ()
EXAMPLES = ()
