"""Early stopping for several tasks: a stop for each against one for all, along the flow of least squares."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from mtlsim.core.checks import is_whole, require, require_one
from mtlsim.core.extremes import largest_of, smallest_of
from mtlsim.core.keys import check_key, normal, stream
from mtlsim.core.status import Status, flag, with_status

N_SCANS, N_TIMES = 6, 513


class StoppedFlow(eqx.Module):
    """A cell: two tasks without anything shared, on n orthonormal rows each, whose gradient flow from zero is stopped.

    Least squares are w = theta + noise_k z / sqrt(n); after the time t the flow of a rate rate_k is at (1 - e^(-rate_k t)) w.
    Each task has |theta| = 1. With h_k = 1 / (1 + d noise_k^2 / n) its own best stop is at t = -ln(1 - h_k) / rate_k, in
    expectation; the best common stop is the best of both tasks' risks added.

    n_samples: n. noise, second_noise: of the tasks. rate_exponent: rates are (-ln(1 - h_k))^rate_exponent; 0 makes them equal, 1
    such that both tasks are best at the same time.

    Returns risks added over both tasks: risk_own, stopped each at its own best time; risk_common, at the best common time;
    risk_late, never stopped; cost = risk_common - risk_own; gain = risk_late - risk_own; and time_own (2,), time_common;
    status: ill_conditioned where sizes are so far apart that it is no number.
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
        return own / rates, self._common(own / rates, rates), rates

    def _common(self, own: Float[Array, "2"], rates: Float[Array, "2"]) -> Float[Array, ""]:
        """The best time for both, between their own; with unequal rates there may be two valleys, so that all of it is scanned.

        Each of N_SCANS rounds looks at N_TIMES times and goes on between the neighbours of the best.
        """
        variances, ends = self.variances(), jnp.log(own)
        low, high = smallest_of(ends), largest_of(ends)
        for _ in range(N_SCANS):
            times = jnp.linspace(low, high, N_TIMES)
            left = jnp.exp(-rates[:, None] * jnp.exp(times))
            best = jnp.argmin(jnp.sum(left**2 + (1 - left) ** 2 * variances[:, None], 0))
            low, high = times[jnp.maximum(best - 1, 0)], times[jnp.minimum(best + 1, N_TIMES - 1)]
        return jnp.exp((low + high) / 2)

    def __call__(self, *, key: Key[Array, ""] | None = None) -> dict[str, Array]:
        errors = normal(stream(check_key(key), "noise"), (2, self.n_features))
        theta = jnp.eye(1, self.n_features)[0]
        seen = theta + jnp.sqrt(self.variances() / self.n_features)[:, None] * errors
        own, common, rates = self.times()
        risk = lambda time: jnp.sum(((1 - jnp.exp(-rates * time))[:, None] * seen - theta) ** 2)
        at_own, at_common, late = risk(own), risk(common), risk(jnp.inf)
        numbers = {
            "gain": late - at_own,
            "cost": at_common - at_own,
            "risk_own": at_own,
            "risk_common": at_common,
            "risk_late": late,
            "time_own": own,
            "time_common": common,
        }
        return with_status(numbers, flag(~jnp.isfinite(at_common), Status.ill_conditioned))
