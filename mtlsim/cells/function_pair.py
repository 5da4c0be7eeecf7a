"""A second function of the same codes, as an input or as an output of a network: the nonlinear twin of `extra_label`."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from mtlsim.cells.extra_label import compare_ways
from mtlsim.core.checks import is_whole, require, require_one
from mtlsim.core.extremes import smallest_of
from mtlsim.core.keys import check_key, normal, stream
from mtlsim.core.linalg import multiply
from mtlsim.core.status import Status, flag, with_status
from mtlsim.training.engine import make_optimiser, move, walk

BITS, REACH = 10, 5.0  # of a code, and how far from zero numbers go
EVERY, RATE = 20, 0.02
HELD_OUT = 1000  # rows that choose the stop, and as many that judge it


class FunctionPair(eqx.Module):
    """A cell: F1 = sigmoid(A + B) and F2 = sigmoid(A - B) of A, B uniform on [-5, 5], each seen as a code of ten bits.

    A layer of sigmoid units over the 20 bits (-1 or 1) and a constant, and a sigmoid output over these and a constant, learn F1
    from n rows by full steps of adam on the mean squared error, and stop where that is least on 1000 further rows. F2 is not used,
    or is one more input, or one more output, whose loss is added with this weight. All three have the same rows and start.

    start: entries of the layer and the heads are this times N(0, 1) / sqrt(fan-in) at first. noise: standard deviation of what is
    added to F2, wherever it is seen, on new rows too. weight: of the second output. n_samples: n. n_units: of the layer.

    Returns root mean squared errors of F1 on 1000 new rows: error_plain, error_input, error_output; gain = error_plain -
    error_output, gain_input = error_plain - error_input, output_better = error_input - error_output; status: not_converged where
    training diverged.
    """

    start: Array | float = 0.3
    noise: Array | float = 0.0
    weight: Array | float = 1.0
    n_samples: int = eqx.field(default=50, static=True)
    n_units: int = eqx.field(default=16, static=True)
    n_steps: int = eqx.field(default=1000, static=True)

    def __check_init__(self):
        require_one(self.start, lambda s: (s > 0) & np.isfinite(s), "start", "a number > 0", "use 0.3")
        for name in ("noise", "weight"):
            require_one(getattr(self, name), lambda s: (s >= 0) & np.isfinite(s), name, "a number >= 0", "use 1.0")
        for name in ("n_samples", "n_units"):
            value = getattr(self, name)
            require(is_whole(value) and value >= 1, name, "a whole number >= 1", repr(value), "use 50")
        right = is_whole(self.n_steps) and self.n_steps >= EVERY and self.n_steps % EVERY == 0
        require(right, "n_steps", f"a multiple of {EVERY}", repr(self.n_steps), "use 1000")

    def draw(self, key: Key[Array, ""], count: int) -> tuple[Float[Array, "m 21"], Float[Array, "2 m"]]:
        """Codes and a constant of so many rows, and F1 and F2 (with its noise) of them."""
        steps = jax.random.randint(stream(key, "codes"), (2 * count,), 0, 2**BITS).reshape(2, count)
        first, second = REACH * (2 * (steps + 0.5) / 2**BITS - 1)
        bits = 2.0 * ((steps[..., None] >> jnp.arange(BITS)) & 1) - 1
        X = jnp.concatenate([bits[0], bits[1], jnp.ones((count, 1))], 1)
        seen = jax.nn.sigmoid(first - second) + self.noise * normal(stream(key, "noise"), (count,))
        return X, jnp.stack([jax.nn.sigmoid(first + second), seen])

    def begin(self, key: Key[Array, ""]) -> tuple[Float[Array, "22 r"], Float[Array, "2 r"], Float[Array, "2"]]:
        """The layer, the heads and their constants at first; the last input is F2, or zero."""
        width, size = 2 * BITS + 2, self.n_units
        fans = np.repeat([width, size], [width, 2])[:, None]  # of the layer, and of both heads
        entries = self.start * normal(key, (width + 2, size)) / np.sqrt(fans)
        return entries[:width], entries[width:], jnp.zeros(2)

    def __call__(self, *, key: Key[Array, ""] | None = None) -> dict[str, Array]:
        key = check_key(key)
        counts = {"samples": self.n_samples, "stopping": HELD_OUT, "held out": HELD_OUT}
        learned, *others = (self.draw(stream(key, name), count) for name, count in counts.items())
        method, start = make_optimiser("adam", RATE), self.begin(stream(key, "start"))

        def outputs(params, X, y, as_input):
            """Both outputs (m, 2) for rows whose further input is F2, or zero."""
            layer, heads, offsets = params
            units = jax.nn.sigmoid(multiply(jnp.concatenate([X, as_input * y[1][:, None]], 1), layer))
            return jax.nn.sigmoid(multiply(units, heads.T) + offsets)

        def error(way):
            as_input, weight = way
            weights = jnp.stack([jnp.ones(()), weight])
            loss = lambda params: jnp.sum(weights * jnp.mean((outputs(params, *learned, as_input) - learned[1].T) ** 2, 0))

            def step(state, t):
                params, memory = state
                return move(method, jax.grad(loss)(params), memory, params), None

            def look(state, _):
                return jnp.stack([jnp.mean((outputs(state[0], *rows, as_input)[:, 0] - rows[1][0]) ** 2) for rows in others])

            _, (stopping, judged) = walk(
                step, (start, method.init(start)), self.n_steps, self.n_steps // EVERY, lambda *a: tuple(look(*a))
            )
            return jnp.sqrt(judged[jnp.argmin(stopping)]) + 0 * smallest_of(stopping)

        zero, one = jnp.zeros(()), jnp.ones(())
        ways = jnp.stack([jnp.stack([zero, zero]), jnp.stack([one, zero]), jnp.stack([zero, jnp.asarray(self.weight, float)])])
        plain, as_input, as_output = jax.lax.map(error, ways)
        diverged = ~jnp.isfinite(plain + as_input + as_output)
        return with_status(compare_ways(plain, as_input, as_output), flag(diverged, Status.not_converged))
