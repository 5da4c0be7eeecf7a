"""Several aspects of the same individuals, or each of different ones: what K labels a row are worth beside K times the rows."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from mtlsim.core import linalg
from mtlsim.core.checks import is_whole, require, require_one
from mtlsim.core.keys import check_key, correlated_normals, normal, stream
from mtlsim.core.status import with_status
from mtlsim.samples.wishart import draw_triangle


class Aspects(eqx.Module):
    """A cell: K tasks of the same parameters on n rows x ~ N(0, I_d) each, pooled; the noise of any two has a correlation.

    With the same individuals all tasks are K labels on the same n rows, whose mean has the noise variance noise^2 (1 + (K - 1)
    correlation) / K; with different individuals they are labels on K n rows. Only X'X and X'e are drawn, at a cost flat in n.

    n_samples: n > d + 1. correlation: of the noise of two aspects of one individual (a trait that they share), from 0 to 1; those
    of different individuals are independent.

    Returns excess risks of least squares: risk_single of one task alone, risk_multi of all on the same individuals, risk_different
    of all on different ones; gain = risk_single - risk_multi, same_better = risk_different - risk_multi, and a status.
    """

    n_samples: Array | float = 30.0
    noise: Array | float = 1.0
    correlation: Array | float = 0.0
    n_features: int = eqx.field(default=10, static=True)
    n_tasks: int = eqx.field(default=4, static=True)

    def __check_init__(self):
        for name, least in (("n_features", 1), ("n_tasks", 2)):
            value = getattr(self, name)
            require(is_whole(value) and value >= least, name, f"a whole number >= {least}", repr(value), f"use {least}")
        least = self.n_features + 2
        require_one(self.n_samples, lambda n: (n >= least) & np.isfinite(n), "n_samples", f"at least {least}", f"use {least}")
        require_one(self.noise, lambda s: (s >= 0) & np.isfinite(s), "noise", "a number >= 0", "use 1.0")
        require_one(self.correlation, lambda c: (c >= 0) & (c <= 1), "correlation", "from 0 to 1", "use 0.5")

    def __call__(self, *, key: Key[Array, ""] | None = None) -> dict[str, Array]:
        key, d, tasks = check_key(key), self.n_features, self.n_tasks
        n = jnp.asarray(self.n_samples, float)

        def error(name, rows, within):
            """Of least squares on these rows: (X'X)^-1 X'e = T'^-1 g with Bartlett's factor T of X'X."""
            return jnp.sum(linalg.solve_upper(draw_triangle(stream(key, name), rows, d), self.noise * within) ** 2)

        aspects = correlated_normals(stream(key, "noise"), (tasks, d), self.correlation)
        alone, same = error("rows", n, aspects[0]), error("rows", n, jnp.mean(aspects, 0))
        different = error("other rows", tasks * n, normal(stream(key, "other noise"), (d,)))
        numbers = {
            "gain": alone - same,
            "same_better": different - same,
            "risk_single": alone,
            "risk_multi": same,
            "risk_different": different,
        }
        return with_status(numbers)


def expected_risks(n_samples, noise, correlation, n_features: int, n_tasks: int) -> dict[str, Array]:
    """risk_multi: noise^2 (1 + (K - 1) correlation) / K d / (n - d - 1); risk_different: noise^2 d / (K n - d - 1)."""
    n, d = jnp.asarray(n_samples, float), n_features
    worth = (1 + (n_tasks - 1) * jnp.asarray(correlation, float)) / n_tasks
    return {"risk_multi": noise**2 * worth * d / (n - d - 1), "risk_different": noise**2 * d / (n_tasks * n - d - 1)}
