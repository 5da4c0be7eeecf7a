"""Early stopping for several tasks: a stop for each against one for all, along the flow of least squares."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from mtlsim.core.checks import is_whole, require, require_one
from mtlsim.core.keys import check_key, normal, stream


class StoppedFlow(eqx.Module):
    """A cell: two tasks without anything shared, on n orthonormal rows each, whose gradient flow from zero is stopped.

    Least squares are w = theta + noise_k z / sqrt(n); after the time t the flow of a rate rate_k is at (1 - e^(-rate_k t)) w.
    Each task has |theta| = 1. With h_k = 1 / (1 + d noise_k^2 / n) its own best stop is at t = -ln(1 - h_k) / rate_k, in
    expectation; the best common stop is the best of both tasks' risks added.

    n_samples: n. noise, second_noise: of the tasks. rate_exponent: rates are (-ln(1 - h_k))^rate_exponent; 0 makes them equal, 1
    such that both tasks are best at the same time.

    Returns risks added over both tasks: risk_own, stopped each at its own best time; risk_common, at the best common time;
    risk_late, never stopped; cost = risk_common - risk_own; gain = risk_late - risk_own; and time_own (2,), time_common.
    """

    n_samples: Array | float = 40.0
    noise: Array | float = 1.0
    second_noise: Array | float = 3.0
    rate_exponent: Array | float = 0.0
    n_features: int = eqx.field(default=20, static=True)

    @property
    def dimensions(self) -> dict[str, tuple[str]]:
        return {"time_own": ("task",)}

    def __check_init__(self):
        require_one(self.n_samples, lambda n: (n > 0) & np.isfinite(n), "n_samples", "a number > 0", "use 40")
        for name in ("noise", "second_noise"):
            require_one(getattr(self, name), lambda s: (s > 0) & np.isfinite(s), name, "a number > 0", "use 1.0")
        require_one(self.rate_exponent, np.isfinite, "rate_exponent", "a number", "use 0 for equal rates")
        require(is_whole(self.n_features) and self.n_features >= 1, "n_features", "a whole number >= 1", self.n_features, "use 20")

    def variances(self) -> Float[Array, "2"]:
        """d noise_k^2 / n, the risks of least squares."""
        noise = jnp.stack([jnp.asarray(self.noise, float), jnp.asarray(self.second_noise, float)])
        return self.n_features * noise**2 / self.n_samples

    def times(self) -> tuple[Float[Array, "2"], Float[Array, ""], Float[Array, "2"]]:
        """Own best times (2,), the best common one, and rates (2,)."""
        kept = 1 / (1 + self.variances())
        own = -jnp.log1p(-kept)
        rates = own**self.rate_exponent
        return own / rates, self._common(rates), rates

    def _common(self, rates: Float[Array, "2"]) -> Float[Array, ""]:
        """Where sum_k (e^(-rate_k t) - (1 - e^(-rate_k t)) variance_k) rate_k e^(-rate_k t) = 0, by bisection of log t."""
        variances = self.variances()

        def slope(log_time):
            left = jnp.exp(-rates * jnp.exp(log_time))
            return jnp.sum((left - (1 - left) * variances) * rates * left)

        low, high = jnp.array(-20.0), jnp.array(6.0)
        for _ in range(60):
            middle = (low + high) / 2
            above = slope(middle) > 0
            low, high = jnp.where(above, middle, low), jnp.where(above, high, middle)
        return jnp.exp((low + high) / 2)

    def __call__(self, *, key: Key[Array, ""] | None = None) -> dict[str, Array]:
        errors = normal(stream(check_key(key), "noise"), (2, self.n_features))
        theta = jnp.eye(1, self.n_features)[0]
        seen = theta + jnp.sqrt(self.variances() / self.n_features)[:, None] * errors
        own, common, rates = self.times()
        risk = lambda time: jnp.sum(((1 - jnp.exp(-rates * time))[:, None] * seen - theta) ** 2)
        at_own, at_common, late = risk(own), risk(common), risk(jnp.inf)
        return {
            "gain": late - at_own,
            "cost": at_common - at_own,
            "risk_own": at_own,
            "risk_common": at_common,
            "risk_late": late,
            "time_own": own,
            "time_common": common,
        }
