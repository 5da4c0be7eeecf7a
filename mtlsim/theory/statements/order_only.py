"""What choosing an order alone costs, where two words are to choose from: known exactly.

Blocks are held, and the rows of a target say which of two products W_1, W_2 of them is nearer to its least squares Y. The
difference of both distances is linear in Y, so that the choice is that of one normal number:

    risk = |W_1 - T|^2 + Phi(m sqrt(n) / (2 D noise)) (|W_2 - T|^2 - |W_1 - T|^2),

m the last bracket with the other sign, D = |W_1 - W_2|, whatever the target T is. Alone it pays noise^2 r^2 / n. A few rows are
enough to choose, and no number of rows is enough for what no order says.
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.order_only import OrderOnly, chance_of_second, expected_risk
from mtlsim.theory.statement import INSIDE, Statement, measured


def assume(cell, key):
    if len(cell.choices) != 2:
        return {"two words to choose from": -1.0}
    products, _ = cell.draw(key)
    apart, size, second = jnp.sum((products[0] - products[1]) ** 2), jnp.sum(products**2), chance_of_second(cell, key)
    return {
        "words of different products": apart - 1e-12 * size,
        "noise": jnp.asarray(cell.noise, float) ** 2 - 1e-12 * size * cell.n_samples,
        "a choice that now and then falls on either": jnp.minimum(second, 1 - second) - 0.01,
    }


def predict(cell, key):
    together = expected_risk(cell, key)
    alone = jnp.asarray(cell.noise, float) ** 2 * cell.blocks.shape[-1] ** 2 / cell.n_samples
    return {"risk_multi": together, "gain": alone - together}


def instance(place: str, rng: np.random.Generator) -> OrderOnly:
    """What no order says lies in a direction of each draw, and moves the choice by less than the words are apart."""
    blocks = np.eye(3) + 0.5 * rng.normal(size=(2, 3, 3))
    apart, rows = float(np.linalg.norm(blocks[0] @ blocks[1] - blocks[1] @ blocks[0])), float(rng.integers(1, 30))
    numbers = rows, apart * rows**0.5 / float(rng.uniform(0.4, 2.4)), float(rng.choice([0.0, rng.uniform(0, 0.5)])) * apart
    return OrderOnly(jnp.asarray(blocks), *numbers, words=((0, 1), (1, 0)))


STATEMENT = Statement(
    name="order-only",
    claim="The risk of a target that only chooses between two orders of given blocks is known, whatever the target is.",
    source=("derived",),
    kind="equality",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("risk_multi", "gain"),
    places=(INSIDE,),
)
