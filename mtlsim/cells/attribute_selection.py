"""Which inputs matter: tasks that use the same few of many inputs, of which each keeps those that score highest."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from mtlsim.cells.orthonormal_rows import share_direction
from mtlsim.cells.tails import gain_of
from mtlsim.core.checks import is_whole, require, require_one
from mtlsim.core.keys import check_key, correlated_normals, stream
from mtlsim.core.status import Status, flag, with_status


class AttributeSelection(eqx.Module):
    """A cell: K tasks of the same parameters, theta_j = 1 / sqrt(n_used) for the first n_used of d inputs and 0 for all others.

    Least squares on common orthonormal rows, X'X = n I, are theta + noise z_k / sqrt(n). Alone, an input j scores the size of its
    coefficient; together, that of the best common direction (see `OrthonormalRows`). Either side keeps the `keep` (alone) or
    n_used (together) inputs of the highest scores and their coefficients, and drops the others.

    n_samples: n. correlation: of the label noise of any two tasks. related: 1, or 0 for extra labels that are dealt to other rows,
    whose least squares are noise of standard deviation sqrt((noise^2 + 1) / n). keep: inputs that the single task keeps, a number.

    Returns risks |estimate - theta|^2 as risk_single and risk_multi, their difference as gain; area_single, area_multi: the area
    under the curve of the scores, the share of pairs of a used and an unused input that they put in the right order; found: by how
    much sharing raises the share of used inputs that are kept; given_found: risk of the single task's own coefficients of the
    inputs kept together, minus risk_multi.
    """

    n_samples: Array | float = 60.0
    noise: Array | float = 1.0
    correlation: Array | float = 0.0
    related: Array | float = 1.0
    keep: Array | float = 5.0
    n_features: int = eqx.field(default=200, static=True)
    n_used: int = eqx.field(default=5, static=True)
    n_tasks: int = eqx.field(default=4, static=True)

    def __check_init__(self):
        require_one(self.n_samples, lambda n: (n > 0) & np.isfinite(n), "n_samples", "a number > 0", "use 60")
        require_one(self.noise, lambda s: (s >= 0) & np.isfinite(s), "noise", "a number >= 0", "use 1.0")
        for name in ("correlation", "related"):
            require_one(getattr(self, name), lambda c: (c >= 0) & (c <= 1), name, "from 0 to 1", "use 1.0")
        for name, least in (("n_tasks", 1), ("n_used", 1), ("n_features", self.n_used + 1)):
            value = getattr(self, name)
            require(is_whole(value) and value >= least, name, f"a whole number >= {least}", repr(value), f"use {least}")
        require_one(self.keep, lambda n: (n >= 0) & (n <= self.n_features), "keep", "from 0 to n_features", f"use {self.n_used}")

    def __call__(self, *, key: Key[Array, ""] | None = None) -> dict[str, Array]:
        key, d = check_key(key), self.n_features
        used = jnp.arange(d) < self.n_used
        theta = used / jnp.sqrt(self.n_used * 1.0)
        errors = correlated_normals(stream(key, "noise"), (self.n_tasks, d), self.correlation)
        signal = jnp.full(self.n_tasks, self.related, float).at[0].set(1)[:, None]
        spread = jnp.sqrt(self.noise**2 + 1 - signal)
        seen = signal * theta + spread * errors / jnp.sqrt(jnp.asarray(self.n_samples, float))
        own = seen[0]
        if self.n_tasks == 1:
            together, tie = own, jnp.zeros((), bool)
        else:
            together, tie = share_direction(seen)
        alone, chosen = highest(jnp.abs(own), self.keep), highest(jnp.abs(together), self.n_used)
        few = highest(jnp.abs(own), self.n_used)
        risk = lambda estimate, kept: jnp.sum((jnp.where(kept, estimate, 0) - theta) ** 2)
        risk_single, risk_multi = risk(own, alone), risk(together, chosen)
        numbers = {
            "gain": gain_of(risk_single, risk_multi, 1.0),
            "risk_single": risk_single,
            "risk_multi": risk_multi,
            "area_single": area(jnp.abs(own), used),
            "area_multi": area(jnp.abs(together), used) + jnp.where(tie, jnp.nan, 0.0),
            "found": (jnp.sum(chosen & used) - jnp.sum(few & used)) / self.n_used + jnp.where(tie, jnp.nan, 0.0),
            "given_found": risk(own, chosen) - risk_multi,
        }
        return with_status(numbers, flag(tie, Status.degenerate))


def highest(scores: Float[Array, " d"], count: Array | float | int) -> Bool[Array, " d"]:
    """Which are among the `count` highest; those that are equal stand in their order."""
    places = jnp.zeros(len(scores), int).at[jnp.argsort(-scores)].set(jnp.arange(len(scores)))
    return places < count


def area(scores: Float[Array, " d"], used: Bool[Array, " d"]) -> Float[Array, ""]:
    """Share of pairs of a used and an unused input in which the used one scores higher: the area under the curve."""
    ranks = jnp.zeros(len(scores)).at[jnp.argsort(scores)].set(jnp.arange(1.0, len(scores) + 1))
    n_used = jnp.sum(used)
    return (jnp.sum(jnp.where(used, ranks, 0)) - n_used * (n_used + 1) / 2) / (n_used * jnp.sum(~used))
