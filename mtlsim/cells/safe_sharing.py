"""Sharing that never costs much: estimates pulled to a centre by a penalty, of tasks of which some are far off."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from mtlsim.core.checks import is_whole, require, require_choice, require_one
from mtlsim.core.extremes import largest_of
from mtlsim.core.keys import check_key, normal, stream
from mtlsim.core.status import Status, flag, with_status

PENALTIES = ("norm", "square")
N_STEPS, SETTLED = 300, 1e-6  # of the search for the centre; of its length, the last move


class SafeSharing(eqx.Module):
    """A cell: K tasks on orthonormal rows, X_k'X_k = n I, of one parameter vector but for some outliers; alone against pulled.

    From least squares theta^_k, with errors noise sqrt(1 / n) z_k, the estimates are the least of

        sum_k |theta_k - theta^_k|^2 / 2 + lambda |theta_k - beta|           penalty "norm" [duan2023adaptive]
        sum_k |theta_k - theta^_k|^2 / 2 + strength |theta_k - beta|^2 / 2   penalty "square" [evgeniou2004regularized]

    over theta_k and the centre beta, lambda = strength * unit, unit = noise sqrt(d / n) the usual length of an error. Under the
    norm beta is the least of sum_k huber_lambda(|theta^_k - beta|), and no task moves by more than lambda.

    All lengths are in this unit, so that noise and n are no fields: both change nothing else. n_tasks: K, of which n_outliers are
    drift * unit away from the rest, in one direction, the worst for it.

    Returns mean risks |estimate - theta_k|^2 over unit^2, alone one in expectation, of the rest and of the outliers: clean,
    outlier; and gain = 1 - clean, gain_outlier = 1 - outlier (positive helps). Status not_converged where the centre still moved.
    """

    strength: Array | float = 1.0
    drift: Array | float = 10.0
    penalty: str = eqx.field(default="norm", static=True)
    n_features: int = eqx.field(default=50, static=True)
    n_tasks: int = eqx.field(default=10, static=True)
    n_outliers: int = eqx.field(default=1, static=True)

    def __check_init__(self):
        for name in ("strength", "drift"):
            require_one(getattr(self, name), lambda v: (v >= 0) & np.isfinite(v), name, "a number >= 0", "use 1.0")
        require_choice(self.penalty, PENALTIES, "penalty")
        require(is_whole(self.n_features) and self.n_features >= 1, "n_features", "a whole number >= 1", self.n_features, "use 50")
        require(is_whole(self.n_tasks) and self.n_tasks >= 3, "n_tasks", "a whole number >= 3", self.n_tasks, "use 10")
        few = is_whole(self.n_outliers) and 1 <= self.n_outliers < self.n_tasks / 2
        require(few, "n_outliers", f"from 1 to less than half of n_tasks = {self.n_tasks}", self.n_outliers, "use 1")

    def __call__(self, *, key: Key[Array, ""] | None = None) -> dict[str, Array]:
        is_outlier = jnp.arange(self.n_tasks) >= self.n_tasks - self.n_outliers
        truth = self.drift * jnp.where(is_outlier[:, None], jnp.eye(1, self.n_features), 0)  # in units
        seen = truth + normal(stream(check_key(key), "noise"), truth.shape) / jnp.sqrt(self.n_features)
        strength = jnp.asarray(self.strength, float)
        if self.penalty == "square":
            estimates, moving = seen + strength / (1 + strength) * (jnp.mean(seen, 0) - seen), jnp.asarray(False)
        else:
            estimates, moving = pull_by_norm(seen, strength)
        risks = jnp.sum((estimates - truth) ** 2, 1)
        clean, outlier = jnp.mean(risks, where=~is_outlier), jnp.mean(risks, where=is_outlier)
        numbers = {
            "clean": clean,
            "outlier": outlier,
            "gain": 1 - clean,
            "gain_outlier": 1 - outlier,
        }
        return with_status(numbers, flag(moving, Status.not_converged))


def pull_by_norm(seen: Float[Array, "K d"], length: Float[Array, ""]) -> tuple[Float[Array, "K d"], Array]:
    """theta^_k moved by at most `length` towards the centre beta, and whether it still moved."""

    def step(_, state):
        centre, _ = state
        far = jnp.linalg.norm(seen - centre, axis=1)
        weights = jnp.where(far > length, length / jnp.where(far > length, far, 1), 1) + jnp.finfo(far.dtype).tiny
        onward = jnp.sum(weights[:, None] * seen, 0) / jnp.sum(weights)
        return onward, jnp.linalg.norm(onward - centre)

    centre, moved = jax.lax.fori_loop(0, N_STEPS, step, (jnp.median(seen, 0), jnp.zeros(())))
    away = seen - centre
    far = jnp.linalg.norm(away, axis=1, keepdims=True)
    pulled = seen - jnp.minimum(1, length / jnp.where(far > 0, far, 1)) * away
    return pulled, (length > 0) & (moved > SETTLED * largest_of(far))
