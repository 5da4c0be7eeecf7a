"""Inputs scored one at a time on common random rows: what more tasks can, and cannot, average away."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from mtlsim.cells.attribute_selection import area
from mtlsim.core.checks import is_whole, require, require_one
from mtlsim.core.keys import check_key, normal, stream
from mtlsim.samples.chi_square import draw_chi_squares
from mtlsim.samples.wishart import draw_triangle


class MarginalScreening(eqx.Module):
    """A cell: K tasks of the same parameters, theta_j = 1 / sqrt(n_used) for n_used of d inputs, on n common rows x ~ N(0, I_d).

    An input scores |x_j'y| for the mean y of all tasks' labels, whose noise has the variance noise^2 / K. Given y an unused input
    scores |y| |z| with a standard normal z, so that of the rows only what the used inputs and y have in common is drawn, at a cost
    that is flat in n.

    n_samples: n, at least n_used + 1. tasks: K, any number >= 1.

    Returns area, the share of pairs of a used and an unused input that the scores put in the right order, and loss = 1 - area.
    """

    n_samples: Array | float = 60.0
    noise: Array | float = 1.0
    tasks: Array | float = 4.0
    n_features: int = eqx.field(default=200, static=True)
    n_used: int = eqx.field(default=5, static=True)

    def __check_init__(self):
        require(is_whole(self.n_used) and self.n_used >= 1, "n_used", "a whole number >= 1", repr(self.n_used), "use 5")
        more = is_whole(self.n_features) and self.n_features > self.n_used
        require(more, "n_features", f"a whole number > n_used = {self.n_used}", repr(self.n_features), "use 200")
        least = self.n_used + 1
        require_one(self.n_samples, lambda n: (n >= least) & np.isfinite(n), "n_samples", f"at least {least}", f"use {least}")
        require_one(self.noise, lambda s: (s >= 0) & np.isfinite(s), "noise", "a number >= 0", "use 1.0")
        require_one(self.tasks, lambda k: (k >= 1) & np.isfinite(k), "tasks", "a number >= 1", "use 4")

    def __call__(self, *, key: Key[Array, ""] | None = None) -> dict[str, Float[Array, ""]]:
        key, u = check_key(key), self.n_used
        n = jnp.asarray(self.n_samples, float)
        # X_u = Q T' by Bartlett's factor T of the used inputs' rows, in a basis Q of their span; y = X_u theta + noise
        factor = draw_triangle(key, n, u)
        rest = draw_chi_squares(stream(key, "rest"), jnp.full(1, n - u))[0]
        noise = self.noise / jnp.sqrt(self.tasks)
        within = factor.T @ jnp.full(u, u**-0.5) + noise * normal(stream(key, "noise"), (u,))
        length = jnp.sqrt(jnp.sum(within**2) + noise**2 * rest)
        unused = length * normal(stream(key, "unused"), (self.n_features - u,))
        scores = jnp.abs(jnp.concatenate([factor @ within, unused]))
        found = area(scores, jnp.arange(self.n_features) < u)
        return {"area": found, "loss": 1 - found}
