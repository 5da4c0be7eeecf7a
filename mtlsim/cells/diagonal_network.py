"""Which of two equally good representations tasks learn: a network of one shared weight and one own weight for every feature."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from mtlsim.core.checks import require_one
from mtlsim.core.flow import follow
from mtlsim.core.keys import check_key, normal, stream
from mtlsim.core.status import Status, flag, with_status

A, OTHER = 0, jnp.array([1, 2])  # features: A serves both tasks, B the first, C the second
USED = jnp.array([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]])  # and the third is noise to a task
LONG, MORE = 60.0, 4.0  # time of the flow: what a feature needs once it is large, and as many times log(1 / start)
STEPS = 50, 1450  # until weights are seen while they are small, and from there to the end
EARLY = 0.5  # of log(1 / start), and the least such time
FITTED = 1e-3  # loss, of one at the start


class DiagonalNetwork(eqx.Module):
    """A cell: f_k(x) = sum_j u_kj v_j x_j, the layer v (3,) shared, for two tasks that can each be solved by feature A or another.

    Features A and B are the label of the first task, A and C of the second; the third is independent noise of variance one. The
    population losses are (1 - u_A v_A - u_B v_B)^2 / 2 + (u_C v_C)^2 / 2, and with B and C exchanged, descended by their gradient
    flow, from weights of standard deviation `start`. A task has learned A if that is the larger of its products.

    start: size of all weights at first, more than 0, less than 1 for the prediction. private: 1 gives the second task a layer of
    its own, and nothing is shared. start_single: by what the start of tasks alone is multiplied. related: 1, or 0 for labels of the
    second task that are dealt to other rows, of which the best prediction is zero. positive: 1 makes all weights positive at first.
    preference: size of feature B, that of all others is one; where it is larger the first task is faster with B, and prefers it.

    Returns 0 or 1 for every draw: first_multi, first_single, whether the first task learned A together and alone, their difference
    as gain; second_multi, second_single: the same of the second; both_multi, both_single: whether both tasks did; representation =
    both_multi - both_single; predicted: whether the first task should learn A (see `shared_feature_wins`); grown: by how much
    sharing has raised ln |v_A / v_B| of the first task's layer by the time ln(1 / start) / 2 (at least .5), while weights are
    small; loss_single, loss_multi: its losses at the end; status: not_converged where a loss is above .001 still, and NaN for
    whether that task learned A.
    """

    start: Array | float = 0.01
    private: Array | float = 0.0
    start_single: Array | float = 1.0
    related: Array | float = 1.0
    positive: Array | float = 0.0
    preference: Array | float = 1.0

    def __check_init__(self):
        require_one(self.start, lambda a: (a > 0) & np.isfinite(a), "start", "a number > 0", "use 0.01")
        for name in ("start_single", "preference"):
            require_one(getattr(self, name), lambda a: (a > 0) & np.isfinite(a), name, "a number > 0", "use 1.0")
        for name, default in (("private", 0.0), ("related", 1.0), ("positive", 0.0)):
            require_one(getattr(self, name), lambda p: (p == 0) | (p == 1), name, "0 or 1", f"use {default}")

    def begin(self, *, key: Key[Array, ""]) -> tuple[Float[Array, "2 3"], Float[Array, "2 3"]]:
        """Own weights of both tasks and the layers that they see, over `start`."""
        own, layers = normal(stream(key, "own weights"), (2, 3)), normal(stream(key, "layers"), (2, 3))
        own, layers = (jnp.where(jnp.asarray(self.positive) > 0, jnp.abs(part), part) for part in (own, layers))
        return own, layers.at[1].set(jnp.where(jnp.asarray(self.private) > 0, layers[1], layers[0]))

    def __call__(self, *, key: Key[Array, ""] | None = None) -> dict[str, Array]:
        own, layers = self.begin(key=check_key(key))
        apart = jnp.asarray(self.private, float)
        start = jnp.asarray(self.start, float)
        joined = jnp.ones((2, 2)) + apart * (jnp.eye(2) - 1)
        labels = jnp.ones(2).at[1].set(self.related)
        soon = EARLY * jnp.maximum(-jnp.log(start), 1)
        weights = start * jnp.stack([own, layers])
        sizes = jnp.ones(3).at[OTHER[0]].set(self.preference)
        alone, losses_alone, lead_alone = _learned(self.start_single * weights, jnp.eye(2), labels, sizes, soon)
        together, losses, lead = _learned(weights, joined, labels, sizes, soon)
        both_single, both_multi = (jnp.prod(picked) for picked in (alone, together))
        numbers = {
            "gain": together[0] - alone[0],
            "first_single": alone[0],
            "first_multi": together[0],
            "second_single": alone[1],
            "second_multi": together[1],
            "both_single": both_single,
            "both_multi": both_multi,
            "representation": both_multi - both_single,
            "predicted": 1.0 * shared_feature_wins(own, layers[0], start),
            "grown": lead - lead_alone,
            "loss_single": losses_alone[0],
            "loss_multi": losses[0],
        }
        return with_status(numbers, flag(~jnp.all(jnp.stack([losses, losses_alone]) < FITTED), Status.not_converged))


def shared_feature_wins(own: Float[Array, "2 3"], layer: Float[Array, "3"], start) -> Array:
    """Whether the first task learns A, from the weights at first: own (2, 3) and shared (3,), times `start`.

    Small weights grow along u_kj ~ v_j as e^(sqrt(k) t) for a feature of k tasks, from start times q_A = v_A / sqrt(2) + (u_1A +
    u_2A) / 2 and q_B = (v_B + u_1B) / sqrt(2), up to signs. A is large first where |q_B| < start^-(1 - 1/sqrt(2))
    |q_A|^(1/sqrt(2)).
    """
    both, first = jnp.abs(layer[0] / jnp.sqrt(2) + jnp.sum(own[:, 0]) / 2), jnp.abs(layer[1] + own[0, 1]) / jnp.sqrt(2)
    return first < start ** -(1 - jnp.sqrt(0.5)) * both ** jnp.sqrt(0.5)


def lead_of_common(start, preference):
    """By what A is ahead of C for the second task, where the first is sure to prefer B: c start^-((sqrt(2) - 1) / preference).

    The first has learned B after the time ln(1 / start) / preference. Until then A grows as e^(sqrt(2) t), from the slopes of both
    tasks, and C as e^t; from then on both as e^t, of A the part c = (1 + sqrt(1/2)) / 2 that lies along the second task's own
    growth. Of deviates of one size, q_A and q_C, the second learns A with the probability (2 / pi) arctan(lead).
    """
    return (1 + jnp.sqrt(0.5)) / 2 * jnp.asarray(start, float) ** -((jnp.sqrt(2) - 1) / jnp.asarray(preference, float))


def _learned(
    weights: Float[Array, "2 2 3"],
    joined: Float[Array, "2 2"],
    labels: Float[Array, " 2"],
    sizes: Float[Array, "3"],
    soon: Float[Array, ""],
) -> tuple[Float[Array, " 2"], Float[Array, " 2"], Float[Array, ""]]:
    """Whether each task learned A, its loss, and the first one's ln |v_A / v_B| after the time `soon`.

    joined (2, 2): which tasks' slopes move which layer; labels: what each learns; sizes: of the features.
    """

    def slopes(state):
        own, layers = state
        products = sizes * own * layers
        errors = USED * (jnp.sum(USED * products, 1, keepdims=True) - labels[:, None]) + (1 - USED) * products
        errors = sizes * errors
        return jnp.stack([-errors * layers, -jnp.sum(joined[:, :, None] * (errors * own), 1)])

    waits = -jnp.minimum(jnp.log(jnp.std(weights)), 0)
    early, _ = follow(slopes, weights, soon, STEPS[0])
    (own, layers), _ = follow(slopes, early, LONG + MORE * waits - soon, STEPS[1])
    products = sizes * own * layers
    losses = (labels - jnp.sum(USED * products, 1)) ** 2 / 2 + jnp.sum(((1 - USED) * products) ** 2, 1) / 2
    parts = jnp.abs(products)
    learned = 1.0 * (parts[:, A] > parts[jnp.arange(2), OTHER])
    lead = jnp.log(jnp.abs(early[1, 0, A] / early[1, 0, OTHER[0]]))
    return jnp.where(losses < FITTED, learned, jnp.nan), losses, lead
