"""A target that chooses an order for blocks that others have learned, and learns nothing else."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from mtlsim.core.checks import as_array, is_concrete, require, require_finite, require_one
from mtlsim.core.keys import check_key, normal, stream
from mtlsim.core.linalg import multiply
from mtlsim.core.status import with_status
from mtlsim.sharing.modular import as_word, as_words, check_words

SHEARS = (((1.0, 1.0), (0.0, 1.0)), ((1.0, 0.0), (0.5, 1.0)))


class OrderOnly(eqx.Module):
    """A cell: a target of r outputs, y = x T + noise e, with blocks (J, r, r) that are held, as sources have left them.

    T is the product of the blocks of `word`, and a part of length `misfit` in a direction drawn anew, which no order says. With n
    orthonormal rows least squares are Y = T + noise Z / sqrt(n), Z standard normal (r, r). Alone: Y. Together: of all words the
    one whose product is nearest to Y, the best fit to the rows; blocks may be used twice, or not at all.

    word: numbers of blocks, from 0, or "01". words: those to choose from; all J^L of the length of `word` if left out.
    n_samples: n.

    Returns risk_single = |Y - T|^2, risk_multi = |product chosen - T|^2, gain, lost: the least of |product - T|^2, and right:
    whether the word chosen is as near to T as that; and a status.
    """

    blocks: Float[Array, "J r r"] = eqx.field(default=SHEARS, converter=lambda blocks: as_array(blocks, "blocks"))
    n_samples: Array | float = 10.0
    noise: Array | float = 1.0
    misfit: Array | float = 0.0
    word: tuple[int, ...] = eqx.field(default=(0, 1), converter=as_word, static=True)
    words: tuple[tuple[int, ...], ...] | None = eqx.field(default=None, converter=as_words, static=True)

    def __check_init__(self):
        shape = np.shape(self.blocks)
        square = len(shape) == 3 and shape[0] > 0 and shape[1] == shape[2] > 0
        require(square, "blocks", "of shape (J, r, r)", shape, "give square matrices of one size")
        if is_concrete(self.blocks):
            require_finite(self.blocks, "blocks")
        check_words((self.word,), "word")
        if self.words is not None:
            check_words(self.words, "words")
        used = 1 + max(max(word) for word in (self.word, *(self.words or ())))
        require(used <= shape[0], "word and words", f"made of blocks 0 to {shape[0] - 1}", (self.word, self.words), "add blocks")
        many = shape[0] ** len(self.word)
        require(self.words is not None or many <= 4096, "words", "given for more than 4096", f"all {many}", "name those to try")
        require_one(self.n_samples, lambda n: (n > 0) & np.isfinite(n), "n_samples", "a number > 0", "use 10.0")
        for name in ("noise", "misfit"):
            require_one(getattr(self, name), lambda v: (v >= 0) & np.isfinite(v), name, "a number >= 0", "use 0.0")

    @property
    def choices(self) -> tuple[tuple[int, ...], ...]:
        """The words to choose from."""
        every = itertools.product(range(self.blocks.shape[0]), repeat=len(self.word))
        return tuple(every) if self.words is None else self.words

    def product(self, word: tuple[int, ...]) -> Float[Array, "r r"]:
        """Of the blocks of a word, in the order in which a row meets them."""
        found = self.blocks[word[0]]
        for block in word[1:]:
            found = multiply(found, self.blocks[block])
        return found

    def draw(self, key: Key[Array, ""]) -> tuple[Float[Array, "W r r"], Float[Array, "r r"]]:
        """The products of all words to choose from, and the target T of this key."""
        aside = normal(stream(key, "parameters"), self.blocks.shape[1:])
        aside = aside / jnp.sqrt(jnp.sum(aside**2))
        return jnp.stack([self.product(word) for word in self.choices]), self.product(self.word) + self.misfit * aside

    def __call__(self, *, key: Key[Array, ""] | None = None) -> dict[str, Array]:
        key = check_key(key)
        products, target = self.draw(key)
        errors = normal(stream(key, "noise"), target.shape)
        alone = target + self.noise / jnp.sqrt(jnp.asarray(self.n_samples, float)) * errors
        far = lambda products, point: jnp.sum((products - point) ** 2, (-2, -1))
        away = far(products, target)
        chosen, best = away[jnp.argmin(far(products, alone))], away[jnp.argmin(away)]
        single = far(alone, target)
        right = jnp.asarray(chosen <= best * (1 + 1e-9), single.dtype)
        return with_status({"gain": single - chosen, "risk_single": single, "risk_multi": chosen, "lost": best, "right": right})


def expected_risk(cell: OrderOnly, key: Key[Array, ""]) -> Float[Array, ""]:
    """E risk_multi of two words, over the noise, exactly; NaN for another number of words."""
    products, target = cell.draw(key)
    if len(products) != 2:
        return jnp.full((), jnp.nan)
    first, second = jnp.sum((products - target) ** 2, (-2, -1))
    return first + chance_of_second(cell, key) * (second - first)


def chance_of_second(cell: OrderOnly, key: Key[Array, ""]) -> Float[Array, ""]:
    """That the second of two words is chosen: with m the difference of their squared distances from T, and D theirs from each
    other, Phi(m sqrt(n) / (2 D noise))."""
    products, target = cell.draw(key)
    first, second = jnp.sum((products[:2] - target) ** 2, (-2, -1))
    apart = jnp.sqrt(jnp.sum((products[0] - products[1]) ** 2))
    return jax.scipy.stats.norm.cdf((first - second) * jnp.sqrt(cell.n_samples) / (2 * apart * cell.noise))
