"""Two tasks as words over the same blocks: what order can and cannot do, and where sharing blocks turns the sign."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from mtlsim.core.checks import as_array, is_concrete, is_whole, require, require_finite, require_one
from mtlsim.core.keys import check_key, normal, stream
from mtlsim.core.linalg import multiply
from mtlsim.core.status import Status, flag, with_status
from mtlsim.sharing.modular import as_words, check_words

N_STEPS = 150
MAPS = (((1.5, 1.0), (0.5, 1.0)), ((1.0, 1.0), (0.5, 1.5)))  # PQ and QP of the shears (1, 1; 0, 1) and (1, 0; .5, 1)
SETTLED = 1e-7  # length of the gradient, over the labels' energy


class Fitted(NamedTuple):
    """maps: W_k (K, r, r). loss: sum_k |Y_k - W_k|^2. settled: whether its gradient is small."""

    maps: Float[Array, "K r r"]
    loss: Float[Array, ""]
    settled: Bool[Array, ""]


class Words(eqx.Module):
    """A cell: K tasks of r outputs, y = x T_k + noise e, learned each on its own, or as words over shared blocks (r, r).

    With n orthonormal rows, X'X = n I, least squares of a task alone are Y_k = T_k + noise Z_k / sqrt(n), Z_k standard normal;
    words minimise sum_k |Y_k - W_k|^2, W_k the product of the blocks of word k, by damped Gauss-Newton steps from several starts.
    Two tasks with the words PQ and QP can be any two matrices of the same spectrum (generically): of 2 r^2 parameters order shares
    r, and no more.

    maps: T (K, r, r). words: of every task the numbers of its blocks, from 0, or "01 10". n_samples: n. n_starts: of the
    search; the first two put one task's least squares into the first block and the identity into the others.

    Returns sums over tasks of |estimate - T_k|^2: risk_single, risk_multi, and risk_hard with one matrix for all tasks; gain =
    risk_single - risk_multi, gain_hard; loss: sum_k |Y_k - W_k|^2; status: not_converged where the gradient is not small.
    """

    maps: Float[Array, "K r r"] = eqx.field(default=MAPS, converter=lambda maps: as_array(maps, "maps"))
    n_samples: Array | float = 100.0
    noise: Array | float = 1.0
    words: tuple[tuple[int, ...], ...] = eqx.field(default=((0, 1), (1, 0)), converter=as_words, static=True)
    n_starts: int = eqx.field(default=4, static=True)

    def __check_init__(self):
        check_words(self.words, "words")
        shape = np.shape(self.maps)
        square = len(shape) == 3 and shape[0] == len(self.words) and shape[1] == shape[2] > 0
        require(square, "maps", f"of shape ({len(self.words)}, r, r), one map per word", shape, "give every task a square matrix")
        if is_concrete(self.maps):
            require_finite(self.maps, "maps")
        require_one(self.n_samples, lambda n: (n > 0) & np.isfinite(n), "n_samples", "a number > 0", "use 100.0")
        require_one(self.noise, lambda s: (s >= 0) & np.isfinite(s), "noise", "a standard deviation >= 0", "use 0 for no noise")
        require(is_whole(self.n_starts) and self.n_starts >= 1, "n_starts", "a whole number >= 1", repr(self.n_starts), "use 4")

    @property
    def n_blocks(self) -> int:
        return 1 + max(max(word) for word in self.words)

    @property
    def is_pair(self) -> bool:
        """Whether two tasks go through the same two blocks in both orders, PQ and QP."""
        return len(self.words) == 2 and len(self.words[0]) == 2 and self.words[0][::-1] == self.words[1] != self.words[0]

    def compose(self, blocks: Float[Array, "J r r"]) -> Float[Array, "K r r"]:
        """W_k, the products of the words' blocks."""
        return jnp.stack([multiply(*(blocks[j] for j in word)) if len(word) > 1 else blocks[word[0]] for word in self.words])

    def fit(self, seen: Float[Array, "K r r"], key: Key[Array, ""]) -> Fitted:
        """The best words for these matrices, of all starts; of the maps themselves, what is lost however many rows there are."""
        J, r = self.n_blocks, seen.shape[-1]
        size = jnp.sqrt(jnp.mean(seen**2))
        seen = seen / jnp.where(size > 0, size, 1)  # W_k is of the degree of its word: blocks in units of the labels
        plain = jnp.broadcast_to(jnp.eye(r), (J, r, r))
        random = normal(stream(key, "starts"), (self.n_starts * J * r, r)).reshape(self.n_starts, J, r, r)
        starts = random.at[0].set(plain.at[0].set(seen[0])).at[min(1, self.n_starts - 1)].set(plain.at[0].set(seen[-1]))
        residuals = lambda flat: (self.compose(flat.reshape(J, r, r)) - seen).reshape(-1)
        enough = SETTLED * jnp.sum(seen**2)

        def look(flat):
            off, slope = residuals(flat), jax.jacfwd(residuals)(flat)
            return jnp.sum(off**2), multiply(slope.T, off), multiply(slope.T, slope)

        def step(state):
            count, flat, damping, (loss, gradient, square) = state
            new = flat - jnp.linalg.solve(square + damping * jnp.eye(len(flat)), gradient)
            seen_there = look(new)
            better = seen_there[0] < loss
            damping = jnp.clip(jnp.where(better, damping / 3, damping * 4), 1e-12, 1e6)
            kept = jax.tree.map(lambda a, b: jnp.where(better, a, b), (new, seen_there), (flat, (loss, gradient, square)))
            return count + 1, kept[0], damping, kept[1]

        def climb(start):
            flat = start.reshape(-1)
            unsettled = lambda state: (state[0] < N_STEPS) & (jnp.linalg.norm(state[3][1]) > enough / 100)
            _, flat, _, (loss, gradient, _) = jax.lax.while_loop(unsettled, step, (0, flat, jnp.asarray(0.1), look(flat)))
            return flat, loss, jnp.linalg.norm(gradient)

        flats, losses, slopes = jax.lax.map(climb, starts)
        best = jnp.argmin(losses)
        return Fitted(size * self.compose(flats[best].reshape(J, r, r)), losses[best] * size**2, slopes[best] <= enough)

    def errors(self, *, key: Key[Array, ""]) -> Float[Array, "K r r"]:
        """Z of this key."""
        K, r = self.maps.shape[:2]
        return normal(stream(key, "noise"), (K * r, r)).reshape(K, r, r)

    def __call__(self, *, key: Key[Array, ""] | None = None) -> dict[str, Array]:
        key = check_key(key)
        alone = self.maps + self.noise / jnp.sqrt(jnp.asarray(self.n_samples, float)) * self.errors(key=key)
        together = self.fit(alone, key)
        risk = lambda estimates: jnp.sum((estimates - self.maps) ** 2)
        found = {"risk_single": risk(alone), "risk_multi": risk(together.maps), "risk_hard": risk(jnp.mean(alone, 0))}
        gains = {"gain": found["risk_single"] - found["risk_multi"], "gain_hard": found["risk_single"] - found["risk_hard"]}
        return with_status(found | gains | {"loss": together.loss}, flag(~together.settled, Status.not_converged))


def shared_dimensions(words: tuple[tuple[int, ...], ...], blocks) -> int:
    """K r^2 less the dimension of what the words can be near these blocks (J, r, r): the parameters that sharing them saves.

    The rank of the derivative of all words with respect to all blocks; r for PQ and QP, r^2 for one word of two tasks.
    """
    blocks = jnp.asarray(blocks, float)
    slope = jax.jacfwd(Words(jnp.zeros((len(words), *blocks.shape[1:])), words=words).compose)(blocks)
    size = int(np.prod(slope.shape[:3]))
    return size - int(np.linalg.matrix_rank(np.asarray(slope).reshape(size, -1), rtol=1e-9))


def trace_bound(maps: Float[Array, "2 r r"]) -> Array:
    """(tr T_1 - tr T_2)^2 / (2 r): what two words of the same blocks in cyclically shifted order lose at least."""
    traces = jnp.trace(maps, axis1=-2, axis2=-1)
    return (traces[0] - traces[1]) ** 2 / (2 * maps.shape[-1])
