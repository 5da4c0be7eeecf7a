"""More weight for the task that is hardest now."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from mtlsim.core.checks import require_choice
from mtlsim.weighting._scheme import FLOOR, Example, Facts, Scheme, Signals, above

NEAREST = 1e-3  # that a score comes to 0 and 1
SCORES = ("explained", "fall")


class DynamicTaskPrioritization(Scheme):
    """w_k = -(1 - kappa_k)^gamma log kappa_k, kappa_k a moving mean of a score in (0, 1) [guo2018dynamic].

    score: "explained" = 1 - L_k / Var(y_k), "fall" = exp(-L_k / L_k(0)); held at least 0.001 from 0 and 1, which is counted. The
    paper takes accuracies, and the same focal form for each example. gamma: 1, memory: share 0.5 of the newest score; both are
    ours, for the paper leaves them open (to be verified).
    """

    gamma: Array | float = 1.0
    memory: Array | float = 0.5
    score: str = eqx.field(default="explained", static=True)

    def __check_init__(self):
        require_choice(self.score, SCORES, "score")

    def init(self, facts):
        sizes, _ = above(facts.variances if self.score == "explained" else facts.losses, FLOOR)
        return jnp.zeros_like(sizes), sizes

    def weights(self, signals, state):
        mean, sizes = state
        ratio = signals.losses / sizes
        raw = 1 - ratio if self.score == "explained" else jnp.exp(-ratio)
        score = jnp.clip(raw, NEAREST, 1 - NEAREST)
        mean = jnp.where(signals.step == 0, score, self.memory * score + (1 - self.memory) * mean)
        return -((1 - mean) ** self.gamma) * jnp.log(mean), (mean, sizes), jnp.sum(score != raw)


SCHEME = DynamicTaskPrioritization
LOG2 = 0.6931471805599453
SEEN = Signals([0.5, 1.5], [[1.0, 0.0], [0.0, 1.0]], 0)
CONFORMANCE = (
    # scores 1/2 and 1/4, then 1/2 and 3/4, of which the moving mean of the second is 1/2
    Example(
        DynamicTaskPrioritization(),
        Facts([1.0, 2.0], [1.0, 2.0]),
        [SEEN, SEEN._replace(losses=[0.5, 0.5], step=1)],
        [[LOG2 / 2, 1.5 * LOG2], [LOG2 / 2, LOG2 / 2]],
    ),
    # scores e^-1 and e^-2
    Example(
        DynamicTaskPrioritization(0.0, score="fall"),
        Facts([0.5, 0.75], [1.0, 1.0]),
        [SEEN],
        [[1.0, 2.0]],
    ),
)
