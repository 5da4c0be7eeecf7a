"""Modular blocks: tasks share a set of residual blocks and differ in the order, or the mixture, in which they go through them.

    h_0 = x B,      h_l = h_(l-1) + sum_j p_klj g(h_(l-1) M_j),   l = 1..L,      f_k = h_L a_k
    [zhmoginov2021compositional]

with J blocks M_j (r, r) shared by all tasks, and amounts p_kl (J,) of task k in layer l: learned ("soft"), or one block each, the
word of the task ("hard"). With linear units the amounts mix templates, sum_j p_klj M_j. The blocks' insides are ours: the
published abstract says that blocks of one size are reused, reordered and repeated.

Words of the same blocks in a cyclically shifted order have one spectrum (and are similar where the blocks are invertible): order
alone changes no trace and no eigenvalue, and with a free head
of one output every order of invertible blocks can say the same. One head for all (`tied`) leaves the order alone to tell the tasks
apart. With blocks near zero all orders agree to first order, and what tells them apart is the commutator.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mtlsim.core.checks import is_whole, require, require_bool
from mtlsim.core.keys import normal, stream
from mtlsim.core.linalg import multiply
from mtlsim.sharing._sharing import Shape, Sharing, identity, require_depth


def as_words(words: object) -> object:
    """Nested lists, of a TOML file say, as tuples; digits stand for blocks, "01 10" for ((0, 1), (1, 0)), along an axis too."""
    if isinstance(words, str) and words.replace(" ", "").isdecimal():
        return tuple(as_word(word) for word in words.split())
    return tuple(as_words(word) for word in words) if isinstance(words, (list, tuple)) else words


def as_word(word: object) -> object:
    """The same of one word: "01" for (0, 1)."""
    return tuple(map(int, word)) if isinstance(word, str) and word.isdecimal() else as_words(word)


class Blocks(NamedTuple):
    """Columns B (d, r), blocks (J, r, r), amounts (K, L, J), and heads (K, r), or (1, r) where one serves all."""

    columns: Float[Array, "d r"]
    blocks: Float[Array, "J r r"]
    amounts: Float[Array, "K L J"]
    heads: Float[Array, "h r"]


class Modular(Sharing):
    """n_blocks: J. depth: L, layers of blocks that each task goes through. words: of every task the numbers of its blocks, from 0,
    one tuple of L per task, or "01 10"; None for amounts that are learned. tied: one head for all tasks.
    """

    n_blocks: int = eqx.field(default=2, static=True)
    depth: int = eqx.field(default=2, static=True)
    words: tuple[tuple[int, ...], ...] | None = eqx.field(default=None, converter=as_words, static=True)
    tied: bool = eqx.field(default=False, static=True)

    on_networks = True

    def __check_init__(self):
        whole = is_whole(self.n_blocks) and self.n_blocks >= 1
        require(whole, "n_blocks", "a whole number >= 1", repr(self.n_blocks), "use 2")
        require_depth(self.depth)
        require_bool(self.tied, "tied")
        if self.words is not None:
            check_words(self.words, "words")
            used = 1 + max(max(word) for word in self.words)
            require(used <= self.n_blocks, "words", f"made of blocks 0 to {self.n_blocks - 1}", self.words, f"use n_blocks={used}")
            lengths = sorted({len(word) for word in self.words})
            require(lengths == [self.depth], "words", f"of {self.depth} blocks each", self.words, f"use depth={lengths[-1]}")

    def check(self, n_tasks, rank):
        if self.words is not None:
            require(len(self.words) == n_tasks, "words", f"one per task, {n_tasks}", self.words, "give every task its word")

    @property
    def flat(self):
        return False

    def init(self, key, shape: Shape, size=0.3) -> Blocks:
        """Learned amounts start at 1 / J each, a tenth of that at random, so that blocks that start alike come apart."""
        K, d, r = shape[:3]
        J, L = self.n_blocks, self.depth
        columns = size * normal(stream(key, "shared"), (d, r)) / d**0.5
        blocks = size * normal(stream(key, "blocks"), (J * r, r)).reshape(J, r, r) / r**0.5
        heads = size * normal(stream(key, "heads"), (1 if self.tied else K, r)) / r**0.5
        if self.words is not None:
            return Blocks(columns, blocks, jax.nn.one_hot(jnp.asarray(self.words), J, dtype=columns.dtype), heads)
        noise = normal(stream(key, "amounts"), (K * L, J)).reshape(K, L, J)
        return Blocks(columns, blocks, (1 + 0.1 * noise) / J, heads)

    def outputs(self, params: Blocks, X, task, unit=identity):
        seen = multiply(X, params.columns)
        for amounts in params.amounts[task]:
            seen = seen + sum(amount * unit(multiply(seen, block)) for amount, block in zip(amounts, params.blocks, strict=True))
        return multiply(seen, params.heads[0 if self.tied else task])

    def n_tasks(self, params: Blocks) -> int:
        return params.amounts.shape[0]

    def rebuild(self, leaves) -> Blocks:
        return Blocks(*leaves)

    def owned(self, params: Blocks) -> Blocks:
        return Blocks(False, False, True, not self.tied)

    def rates(self, params: Blocks) -> Blocks | None:
        return None if self.words is None else Blocks(1.0, 1.0, 0.0, 1.0)


def check_words(words: object, argument: str) -> None:
    """Refuse what are no words: tuples of block numbers from 0, one per task."""
    sound = isinstance(words, tuple) and bool(words) and all(isinstance(word, tuple) and word for word in words)
    sound = sound and all(is_whole(block) and block >= 0 for word in words for block in word)
    require(sound, argument, "tuples of block numbers, one per task", repr(words), "use ((0, 1), (1, 0))")


SHARING = Modular
REDUCTIONS = ()
EXAMPLES = ()
