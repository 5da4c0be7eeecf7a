"""Random loss weighting: weights drawn anew at every step, whatever the tasks do."""

import equinox as eqx
import jax
import jax.numpy as jnp

from mtlsim.core.checks import require, require_choice
from mtlsim.core.keys import normal
from mtlsim.weighting._scheme import Example, Facts, Scheme, Signals

DISTRIBUTIONS = ("normal", "dirichlet")


class RandomLossWeighting(Scheme):
    """w = softmax(N(0, I)) ("normal"), or uniform on the simplex ("dirichlet"), drawn for every step [lin2022reasonable].

    The mean over steps is equal weights, so that small steps descend as under those, with noise that does not end: what a rule must
    beat before it is worth its signals. The draws of a run are a stream of its key, a number of their own for each step.
    Raises ValueError where facts hold no key.
    """

    distribution: str = eqx.field(default="normal", static=True)

    def __check_init__(self):
        require_choice(self.distribution, DISTRIBUTIONS, "distribution")

    def init(self, facts):
        cure = "train with `train_weighted`, or give Facts a key"
        require(facts.key is not None, "key", "among the facts for random weights", None, cure)
        return facts.key

    def weights(self, signals, state):
        key, size = jax.random.fold_in(state, signals.step), signals.losses.shape
        logs = normal(key, size, signals.losses.dtype)
        if self.distribution == "dirichlet":
            logs = jnp.log(jax.random.exponential(key, size, signals.losses.dtype))
        return jax.nn.softmax(logs), state, jnp.zeros((), jnp.int32)


SCHEME = RandomLossWeighting
# a task alone has all of the weight; what the draws are like is tested over many steps
CONFORMANCE = tuple(
    Example(RandomLossWeighting(name), Facts([1.0], [1.0]), [Signals([2.0], [[1.0]], 0)], [[1.0]]) for name in DISTRIBUTIONS
)
