"""What the order of two residual blocks changes is their commutator: nothing if they commute, and second order in their size.

(I + e M_1)(I + e M_2) - (I + e M_2)(I + e M_1) = e^2 (M_1 M_2 - M_2 M_1). So two tasks that go through the same two blocks in both
orders, under one head a, differ by e^2 B (M_1 M_2 - M_2 M_1) a and by nothing else [zhmoginov2021compositional]: blocks that start
near zero tell all tasks apart in second order only, and multiples of one block never do. With heads of their own the tasks differ
by these too.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mtlsim.core.linalg import multiply
from mtlsim.sharing.modular import Blocks, Modular
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement

WORDS = ((0, 1), (1, 0))


class TwoOrders(eqx.Module):
    """Columns (d, r), blocks of this size (2, r, r) and heads (1, r) or (2, r) of the architecture `modular`, of both orders."""

    columns: Float[Array, "d r"]
    blocks: Float[Array, "2 r r"]
    heads: Float[Array, "h r"]
    size: Array | float

    @property
    def tied(self) -> bool:
        return self.heads.shape[0] == 1


def assume(one, key):
    grown = (1 + jnp.abs(jnp.asarray(one.size, float)) * jnp.sqrt(jnp.sum(one.blocks**2))) ** 2
    scale = grown * jnp.sqrt(jnp.sum(one.columns**2) * jnp.sum(one.heads**2))
    return {
        "one head for both tasks": 1.0 if one.tied else -1.0,
        "an order that changes more than rounding does": predict(one, key)["apart"] / jnp.where(scale > 0, scale, 1) - 1e-8,
    }


def predict(one, key):
    first, second = one.blocks
    commutator = multiply(first, second) - multiply(second, first)
    return {"apart": jnp.asarray(one.size, float) ** 2 * jnp.sum(multiply(one.columns, commutator, one.heads[0]) ** 2) ** 0.5}


def measure(one, key):
    amounts = jnp.stack([jnp.eye(2)[jnp.asarray(word)] for word in WORDS])
    params = Blocks(one.columns, one.size * one.blocks, amounts, one.heads)
    first, second = Modular(words=WORDS, tied=one.tied).linear(params)
    return {"apart": jnp.sum((first - second) ** 2) ** 0.5}


def instance(place: str, rng: np.random.Generator) -> TwoOrders:
    """Outside, a head for each task."""
    d, r = 5, 3
    parts = (rng.normal(size=shape) for shape in ((d, r), (2, r, r), (2 if place == OUTSIDE else 1, r)))
    return TwoOrders(*map(jnp.asarray, parts), float(np.exp(rng.uniform(-3, 1))))


STATEMENT = Statement(
    name="order-is-a-commutator",
    claim="Under one head, two tasks with the same two residual blocks in both orders differ by the blocks' commutator alone.",
    source=("derived",),
    kind="identity",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    places=(INSIDE, OUTSIDE),
)
