"""Until how many rows choosing an order is enough: noise^2 r^2 over the square of what no order says.

Of J^L words of held blocks that lie apart from each other, beside the noise of a few rows, the right one is found at once; from
then on the target pays `misfit`^2, and alone noise^2 r^2 / n. So order alone helps if and only if

    n < noise^2 r^2 / misfit^2.
"""

import jax
import jax.numpy as jnp
import numpy as np

from mtlsim.cells.order_only import OrderOnly
from mtlsim.core.extremes import largest_of
from mtlsim.theory.statement import OUTSIDE, Statement, measured

SELDOM = 1e-4


def chance_of_another(cell: OrderOnly, key) -> jnp.ndarray:
    """At most: the sum over words of that of being nearer to the rows than the target's own."""
    products, target = cell.draw(key)
    own = cell.product(cell.word)
    apart = jnp.sqrt(jnp.sum((products - own) ** 2, (-2, -1)))
    nearer = jnp.sum((products - target) ** 2, (-2, -1)) - jnp.sum((own - target) ** 2)
    same = apart <= 1e-9 * jnp.sqrt(largest_of(jnp.sum(products**2, (-2, -1))))  # of words that say the same
    height = nearer * jnp.sqrt(cell.n_samples) / (2 * jnp.where(same, 1, apart) * cell.noise)
    return jnp.sum(jnp.where(same, 0, jax.scipy.stats.norm.cdf(-height)))


def assume(cell, key):
    return {
        "noise, and something that no order says": jnp.minimum(jnp.asarray(cell.noise, float), cell.misfit) - 1e-9,
        "words that the rows tell apart": SELDOM - chance_of_another(cell, key),
        "the target's word among those to choose from": 1.0 if cell.word in cell.choices else -1.0,
    }


def predict(cell, key):
    return {"gain": (cell.noise * cell.blocks.shape[-1]) ** 2 / cell.n_samples - jnp.asarray(cell.misfit, float) ** 2}


def instance(place: str, rng: np.random.Generator) -> OrderOnly:
    """Outside, so much noise that words are confused."""
    factor = float(rng.choice([rng.uniform(0.2, 0.8), rng.uniform(1.25, 4)]))
    return _cell(factor, rng, 3.0 if place == OUTSIDE else 0.1)


def threshold(factor: float, rng: np.random.Generator) -> OrderOnly:
    """`factor` times as many rows as those at which the sign turns."""
    return _cell(factor, rng, 0.1)


def _cell(factor: float, rng: np.random.Generator, noise: float) -> OrderOnly:
    """Three blocks of three outputs, words of length two: nine products, each at least .6 from the first one's."""
    while True:
        blocks = np.eye(3) + 0.6 * rng.normal(size=(3, 3, 3))
        products = np.array([blocks[i] @ blocks[j] for i in range(3) for j in range(3)])
        if np.sort(np.linalg.norm((products - products[1]).reshape(9, -1), axis=1))[1] > 0.6:
            break
    misfit = float(rng.uniform(0.5, 1)) * noise
    return OrderOnly(jnp.asarray(blocks), factor * (3 * noise / misfit) ** 2, noise, misfit)


STATEMENT = Statement(
    name="order-only-sign",
    claim="Choosing an order for given blocks beats learning from n rows if and only if n is below a known number.",
    source=("derived",),
    kind="sign",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("gain"),
    threshold=threshold,
)
