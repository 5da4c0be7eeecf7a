"""FAMO: weights that make all losses fall in the same proportion, learned from the losses alone."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.core.checks import require_one
from mtlsim.weighting._scheme import Example, Facts, Scheme, Signals, above, floor_of

DECAYS = 0.9, 0.999  # of Adam's means
SMALL = 1e-8


class FAMO(Scheme):
    """w = c z / L with z = softmax(xi) and c = 1 / sum_k z_k / L_k; xi by Adam steps on how the losses fell [liu2023famo].

    The slope in xi is J'(log L(t-1) - log L(t)), J the derivative of the softmax at xi(t-1): a task that fell less than the others
    gains. learning_rate: of xi, 0.025. decay: of xi, 0.001, added to the slope. Released code looks at the new losses of the same
    rows, here those of the next step.
    """

    learning_rate: Array | float = 0.025
    decay: Array | float = 0.001

    def __check_init__(self):
        for name in ("learning_rate", "decay"):
            require_one(getattr(self, name), lambda r: (r >= 0) & np.isfinite(r), name, "a number >= 0", "use 0.025")

    def init(self, facts):
        zero = jnp.zeros_like(facts.losses)
        return zero, zero, zero, jnp.log(jnp.maximum(facts.losses, floor_of(facts.losses))), floor_of(facts.losses)

    def weights(self, signals, state):
        xi, mean, square, before, floor = state
        losses, n_floored = above(signals.losses, floor)
        now = jnp.log(losses)
        fell, z = before - now, jax.nn.softmax(xi)
        slope = z * (fell - jnp.sum(z * fell)) + self.decay * xi
        count = jnp.asarray(signals.step, slope.dtype)
        first, second = DECAYS
        mean, square = first * mean + (1 - first) * slope, second * square + (1 - second) * slope**2
        # nothing has fallen before the first step
        begun = count > 0
        mean, square = jnp.where(begun, mean, 0), jnp.where(begun, square, 0)
        steps = jnp.maximum(count, 1)
        move = mean / (1 - first**steps) / (jnp.sqrt(square / (1 - second**steps)) + SMALL)
        xi = xi - self.learning_rate * move
        z = jax.nn.softmax(xi) / losses
        return z / jnp.sum(z), (xi, mean, square, now, floor), n_floored


SCHEME = FAMO
CONFORMANCE = (
    # inverse losses at first; then the first task, which stood still, gains a step of Adam: softmax of (.025, -.025)
    Example(
        FAMO(decay=0.0),
        Facts([1.0, 2.0], [1.0, 1.0]),
        [Signals([1.0, 2.0], [[1.0, 0.0], [0.0, 1.0]], 0), Signals([1.0, 1.0], [[1.0, 0.0], [0.0, 1.0]], 1)],
        [[2 / 3, 1 / 3], [0.5124973957726128, 0.4875026042273872]],
    ),
)
