"""A main task beside extra ones on common orthonormal rows: where every mechanism of sharing one direction can be isolated."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from mtlsim.cells.tails import gain_of
from mtlsim.core.checks import is_whole, require, require_one
from mtlsim.core.keys import check_key, correlated_normals, stream
from mtlsim.core.linalg import multiply
from mtlsim.core.status import Status, flag, with_status


class OrthonormalRows(eqx.Module):
    """A cell: K = 1 + n_extra tasks on the same rows, X'X = n I, with parameters theta_k of which the main task's has length one.

    Least squares are theta_k + noise_k z_k / sqrt(n), z_k standard normal; hard sharing of rank one gives the main task
    v_0 sum_k v_k theta^_k, v the top right singular vector of (theta^_0, ..., theta^_{K-1}) [wu2020understanding, Proposition 3].

    n_samples: n, of any size > 0. noise: of the labels of the main task; extra_noise: of the extra ones, as a multiple of it.
    cosine: of every extra task's parameters with the main task's; what is left of them is orthogonal to all else. extra_size:
    their length; 0 makes the extra labels pure noise. correlation: of the label noise of any two tasks, from 0 to 1. shrinkage:
    by what least squares of the main task alone is multiplied.

    Returns risks |estimate - theta_0|^2 as risk_single and risk_multi, and their difference as gain; and what sharing did:
    shrunk: 1 - (its estimate along least squares, over the length of those). beyond_shrinking: risk of least squares shrunk by
    just as much, minus risk_multi. direction, scale: parts of the gain in the d - 1 directions across theta_0, and along it.
    NaN with the status degenerate where two directions are equally good.
    """

    n_samples: Array | float = 200.0
    noise: Array | float = 1.0
    cosine: Array | float = 0.0
    extra_size: Array | float = 1.0
    extra_noise: Array | float = 1.0
    correlation: Array | float = 0.0
    shrinkage: Array | float = 1.0
    n_features: int = eqx.field(default=20, static=True)
    n_extra: int = eqx.field(default=1, static=True)

    def __check_init__(self):
        require_one(self.n_samples, lambda n: (n > 0) & np.isfinite(n), "n_samples", "a number > 0", "use 200")
        for name in ("noise", "extra_size", "extra_noise", "shrinkage"):
            require_one(getattr(self, name), lambda v: (v >= 0) & np.isfinite(v), name, "a number >= 0", "use 1.0")
        require_one(self.cosine, lambda c: np.abs(c) <= 1, "cosine", "from -1 to 1", "use 0.9")
        require_one(self.correlation, lambda c: (c >= 0) & (c <= 1), "correlation", "from 0 to 1", "use 0.5")
        several = is_whole(self.n_extra) and self.n_extra >= 1
        require(several, "n_extra", "a whole number >= 1", repr(self.n_extra), "use 1")
        room = is_whole(self.n_features) and self.n_features > self.n_extra
        require(room, "n_features", f"a whole number > n_extra = {self.n_extra}", repr(self.n_features), "use 20")

    def estimates(self, *, key: Key[Array, ""]) -> tuple[Float[Array, "K d"], Float[Array, "K d"]]:
        """Parameters and least squares of all tasks, the main one first; its parameters are the first coordinate."""
        n_tasks = 1 + self.n_extra
        aside = jnp.sqrt(jnp.maximum(1 - jnp.asarray(self.cosine, float) ** 2, 0))
        extra = self.extra_size * jnp.stack([jnp.asarray(self.cosine, float), aside])
        parameters = jnp.eye(n_tasks, self.n_features) * extra[1]
        parameters = parameters.at[:, 0].set(extra[0]).at[0].set(jnp.eye(1, self.n_features)[0])
        noise = self.noise * jnp.full(n_tasks, self.extra_noise, float).at[0].set(1)
        errors = correlated_normals(stream(key, "noise"), parameters.shape, self.correlation)
        return parameters, parameters + noise[:, None] / jnp.sqrt(jnp.asarray(self.n_samples, float)) * errors

    def __call__(self, *, key: Key[Array, ""] | None = None) -> dict[str, Array]:
        parameters, seen = self.estimates(key=check_key(key))
        truth, own = parameters[0], seen[0]
        together, tie = share_direction(seen)
        alone = self.shrinkage * own
        factor = jnp.sum(together * own) / jnp.sum(own**2)
        risk = lambda estimate: jnp.sum((estimate - truth) ** 2)
        along = lambda estimate: (estimate[0] - truth[0]) ** 2
        risk_single, risk_multi = risk(alone), risk(together)
        scale = along(alone) - along(together)
        numbers = {
            "gain": gain_of(risk_single, risk_multi, 1.0),
            "risk_single": risk_single,
            "risk_multi": risk_multi,
            "shrunk": 1 - factor,
            "beyond_shrinking": risk(factor * own) - risk_multi,
            "direction": risk_single - risk_multi - scale,
            "scale": scale,
        }
        return with_status(numbers, flag(tie, Status.degenerate))


def share_direction(seen: Float[Array, "K d"]) -> tuple[Float[Array, " d"], Array]:
    """What the first of K >= 2 tasks gets from the best direction of all, and whether two are equally good: then it is NaN."""
    strengths, vectors = jnp.linalg.eigh(multiply(seen, seen.T))
    top, tie = vectors[:, -1], strengths[-1] - strengths[-2] <= 1e-9 * strengths[-1]
    return top[0] * jnp.sum(top[:, None] * seen, 0) + jnp.where(tie, jnp.nan, 0.0), tie
