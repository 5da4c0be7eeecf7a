"""Merging fits: a target's estimate mixed with a source's, and the sum of many tasks' parameters with one scale."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from mtlsim.core.checks import is_whole, require, require_choice, require_one
from mtlsim.core.keys import check_key, normal, stream
from mtlsim.core.status import with_status

RULES = ("best", "rows", "mean")


class Merged(eqx.Module):
    """A cell: (1 - c) theta^_2 + c theta^_1 of least squares of a source and a target, X_k'X_k = n_k I, against theta^_2 alone.

    The parameters are `distance` apart. c by rule: "rows", n_1 / (n_1 + n_2), which is pooling; "mean", one half; "best", what is
    least in expectation, D / (n_2 + D) with D the effective rows of transfer (`effective_rows`). noise: of both labels.

    Returns risk_single, risk_multi, gain; worth = noise^2 d / n_2 - risk_multi, which has the mean of the gain and no noise of
    what is alone; and a status.
    """

    n_source: Array | float = 200.0
    n_target: Array | float = 50.0
    distance: Array | float = 0.5
    noise: Array | float = 1.0
    rule: str = eqx.field(default="best", static=True)
    n_features: int = eqx.field(default=20, static=True)

    def __check_init__(self):
        require(is_whole(self.n_features) and self.n_features >= 1, "n_features", "a whole number >= 1", self.n_features, "use 20")
        for name in ("n_source", "n_target"):
            require_one(getattr(self, name), lambda n: (n > 0) & np.isfinite(n), name, "a number > 0", "use 50.0")
        for name in ("distance", "noise"):
            require_one(getattr(self, name), lambda v: (v >= 0) & np.isfinite(v), name, "a number >= 0", "use 1.0")
        require_choice(self.rule, RULES, "rule")

    @property
    def share(self) -> Array:
        """c, of the source's estimate."""
        rows = effective_rows(self) if self.rule == "best" else jnp.asarray(self.n_source, float)
        return jnp.asarray(0.5) if self.rule == "mean" else rows / (self.n_target + rows)

    def __call__(self, *, key: Key[Array, ""] | None = None) -> dict[str, Array]:
        errors = normal(stream(check_key(key), "noise"), (2, self.n_features))
        first = jnp.eye(1, self.n_features)[0]
        source = self.distance * first + self.noise / jnp.sqrt(jnp.asarray(self.n_source, float)) * errors[0]
        target = self.noise / jnp.sqrt(jnp.asarray(self.n_target, float)) * errors[1]
        merged = (1 - self.share) * target + self.share * source
        risk_single, risk_multi = jnp.sum(target**2), jnp.sum(merged**2)
        expected = jnp.asarray(self.noise, float) ** 2 * self.n_features / self.n_target
        numbers = {
            "gain": risk_single - risk_multi,
            "risk_single": risk_single,
            "risk_multi": risk_multi,
            "worth": expected - risk_multi,
        }
        return with_status(numbers)


def effective_rows(cell: Merged) -> Array:
    """D = 1 / (1 / n_1 + distance^2 / (noise^2 d)): the rows of the target that the source is worth, whatever n_2 is; at most
    noise^2 d / distance^2."""
    variance = jnp.asarray(cell.noise, float) ** 2 * cell.n_features
    off = jnp.asarray(cell.distance, float) ** 2
    return cell.n_source * variance / jnp.where(variance + cell.n_source * off > 0, variance + cell.n_source * off, 1)


class TaskVectors(eqx.Module):
    """A cell: scale * sum_k theta^_k serves K tasks at once, theta^_k least squares on X_k'X_k = n I (task arithmetic).

    All tasks have length one and one common cosine. Returns risk_multi = mean over tasks of |scale sum_l theta^_l - theta_k|^2,
    risk_single, the mean of |theta^_k - theta_k|^2, base = 1, the risk of zero (the base that all start from); gain = base -
    risk_multi: whether adding the tasks is better than none of them; and a status.
    """

    scale: Array | float = 0.25
    cosine: Array | float = 0.5
    n_samples: Array | float = 100.0
    noise: Array | float = 1.0
    n_tasks: int = eqx.field(default=4, static=True)
    n_features: int = eqx.field(default=20, static=True)

    def __check_init__(self):
        for name, least in (("n_tasks", 1), ("n_features", self.n_tasks)):
            value = getattr(self, name)
            require(is_whole(value) and value >= least, name, f"a whole number >= {least}", repr(value), f"use {max(least, 4)}")
        least = -1 / max(self.n_tasks - 1, 1)
        near = lambda c: (c >= least - 1e-12) & (c <= 1)
        require_one(self.cosine, near, "cosine", f"from {least:.4g}, the least of so many tasks, to 1", "use 0.5")
        require_one(self.n_samples, lambda n: (n > 0) & np.isfinite(n), "n_samples", "a number > 0", "use 100.0")
        require_one(self.noise, lambda s: (s >= 0) & np.isfinite(s), "noise", "a standard deviation >= 0", "use 0 for no noise")
        require_one(self.scale, np.isfinite, "scale", "a number", "use 0.25")

    def __call__(self, *, key: Key[Array, ""] | None = None) -> dict[str, Array]:
        K, cosine = self.n_tasks, jnp.asarray(self.cosine, float)
        # the root of the matrix of cosines: its mean direction, and all others
        mean, others = jnp.sqrt(jnp.maximum(1 + (K - 1) * cosine, 0)), jnp.sqrt(jnp.maximum(1 - cosine, 0))
        root = others * jnp.eye(K) + (mean - others) / K
        parameters = jnp.concatenate([root, jnp.zeros((K, self.n_features - K))], 1)
        errors = normal(stream(check_key(key), "noise"), (K, self.n_features))
        fits = parameters + self.noise / jnp.sqrt(jnp.asarray(self.n_samples, float)) * errors
        merged = self.scale * jnp.sum(fits, 0)
        risk = lambda estimates: jnp.mean(jnp.sum((estimates - parameters) ** 2, 1))
        found = {"risk_single": risk(fits), "risk_multi": risk(merged), "base": risk(0 * fits)}
        return with_status(found | {"gain": found["base"] - found["risk_multi"]})


def best_scale(cell: TaskVectors) -> Array:
    """The scale of least expected risk: s / (K s + noise^2 d / n), s = 1 + (K - 1) cosine; 1 / K without noise, at any cosine."""
    together = 1 + (cell.n_tasks - 1) * jnp.asarray(cell.cosine, float)
    noise = jnp.asarray(cell.noise, float) ** 2 * cell.n_features / cell.n_samples
    return together / (cell.n_tasks * together + noise)
