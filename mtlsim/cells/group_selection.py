"""Which inputs matter, told jointly: the group lasso of several tasks on common random rows, beside scores of single inputs."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from mtlsim.cells.attribute_selection import area, highest
from mtlsim.core.checks import is_whole, require, require_one
from mtlsim.core.keys import check_key, normal, stream
from mtlsim.core.linalg import multiply, solve_positive
from mtlsim.core.status import Status, flag, with_status
from mtlsim.samples.moments import Moments
from mtlsim.solvers.group_lasso import GroupPath, group_lasso

SHARES = np.geomspace(0.95, 0.1, 12)  # of the strength from which on nothing is kept


class GroupSelection(eqx.Module):
    """A cell: K tasks that use the same n_used of d inputs, each with coefficients of its own (uniform on the unit sphere), on n
    common rows x ~ N(0, I_d), label noise independent.

    Together inputs are ranked by when the group lasso of all tasks takes them, alone by when the lasso of the first task does, and
    by screening: the length of (x_j'y_1, ..., x_j'y_K). Either lasso's first n_used inputs are the support on which the first task
    is then refitted by least squares, so that the support is all that tasks share.

    n_samples: n, from n_used + 2 to `capacity`. tasks: K, from 1 to `n_tasks`. noise: of the labels.

    Returns area_multi, area_single, area_screened: the share of pairs of a used and an unused input in the right order; of the
    first task the excess risks risk_single on its own support, risk_multi on the shared one, risk_known on the true one, gain =
    risk_single - risk_multi; status: not_converged where the path is not proven to TOLERANCE of the labels' energy.
    """

    n_samples: Array | float = 40.0
    tasks: Array | float = 4.0
    noise: Array | float = 0.5
    n_features: int = eqx.field(default=40, static=True)
    n_used: int = eqx.field(default=5, static=True)
    n_tasks: int = eqx.field(default=8, static=True)
    capacity: int = eqx.field(default=120, static=True)

    def __check_init__(self):
        for name, least in (("n_used", 1), ("n_features", self.n_used + 1), ("n_tasks", 1), ("capacity", self.n_used + 2)):
            value = getattr(self, name)
            require(is_whole(value) and value >= least, name, f"a whole number >= {least}", repr(value), f"use {least}")
        least, most = self.n_used + 2, self.capacity
        require_one(self.n_samples, lambda n: (n >= least) & (n <= most), "n_samples", f"from {least} to capacity", f"use {least}")
        require_one(self.tasks, lambda k: (k >= 1) & (k <= self.n_tasks), "tasks", "from 1 to n_tasks", f"use {self.n_tasks}")
        require_one(self.noise, lambda s: (s >= 0) & np.isfinite(s), "noise", "a number >= 0", "use 0.5")

    def draw(self, *, key: Key[Array, ""]) -> tuple[Float[Array, "K d"], Float[Array, "m d"], Float[Array, "m K"]]:
        """Parameters, rows and labels; rows beyond n and the labels of tasks beyond K are zero."""
        used = jnp.arange(self.n_features) < self.n_used
        chosen = jnp.where(used, normal(stream(key, "parameters"), (self.n_tasks, self.n_features)), 0)
        parameters = chosen / jnp.linalg.norm(chosen, axis=1, keepdims=True)
        there = (jnp.arange(self.capacity) < self.n_samples)[:, None]
        X = jnp.where(there, normal(stream(key, "rows"), (self.capacity, self.n_features)), 0)
        noise = self.noise * normal(stream(key, "noise"), (self.capacity, self.n_tasks))
        return parameters, X, jnp.where(there & (jnp.arange(self.n_tasks) < self.tasks), multiply(X, parameters.T) + noise, 0)

    def __call__(self, *, key: Key[Array, ""] | None = None) -> dict[str, Array]:
        parameters, X, Y = self.draw(key=check_key(key))
        gram, cross, used = multiply(X.T, X), multiply(Y.T, X), jnp.arange(self.n_features) < self.n_used

        def select(tasks):
            """When each input is taken from the sums of these tasks, as a score, and whether the path is proven."""
            seen = jnp.where(tasks[:, None], cross, 0)
            energy = jnp.where(tasks, jnp.sum(Y**2, 0), 0)
            path = group_lasso(Moments(gram, seen, energy, jnp.full(self.n_tasks, self.n_samples, float)), jnp.asarray(SHARES))
            return order(path, gram, seen), path.settled

        every = jnp.arange(self.n_tasks)
        scores, settled = jax.lax.map(select, jnp.stack([every < 1, every < self.tasks]))
        screened = jnp.sqrt(jnp.sum(cross**2, 0))
        supports = jnp.stack([highest(scores[0], self.n_used), highest(scores[1], self.n_used), used])
        risks = [_refitted(gram, cross[0], kept, parameters[0]) for kept in supports]
        numbers = {
            "gain": risks[0] - risks[1],
            "risk_single": risks[0],
            "risk_multi": risks[1],
            "risk_known": risks[2],
            "area_single": area(scores[0], used),
            "area_multi": area(scores[1], used),
            "area_screened": area(screened, used),
        }
        return with_status(numbers, flag(~jnp.all(settled), Status.not_converged))


def order(path: GroupPath, gram: Float[Array, "d d"], cross: Float[Array, "K d"]) -> Float[Array, " d"]:
    """A score that is the higher the earlier an input is taken; among those of one strength its size there decides, and among those
    that are never taken what is left of their correlation at the end.
    """
    count, entered = len(path.strengths), path.entered()
    first = path.parameters[jnp.minimum(entered, count - 1), :, jnp.arange(len(gram))]
    size, left = jnp.sqrt(jnp.sum(first**2, -1)), jnp.sqrt(jnp.sum((cross - multiply(path.parameters[-1], gram)) ** 2, 0))
    waiting = left / jnp.where(path.strengths[-1] > 0, path.strengths[-1], 1)  # at most one
    return jnp.where(entered < count, 2 + count - entered + size / (1 + size), waiting)


def _refitted(gram: Float[Array, "d d"], cross: Float[Array, " d"], kept: Bool[Array, " d"], truth: Float[Array, " d"]):
    """Excess risk of least squares on the inputs that are kept."""
    alone = jnp.where(kept[:, None] & kept, gram, 0) + jnp.diag(1.0 * ~kept)
    return jnp.sum((solve_positive(alone, jnp.where(kept, cross, 0)) - truth) ** 2)
