"""A representation learned from many tasks, for one that has few rows: what the diversity of the tasks is worth."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from mtlsim.cells.tails import gain_of
from mtlsim.core import linalg
from mtlsim.core.checks import as_array, is_concrete, is_whole, require, require_finite, require_one
from mtlsim.core.keys import check_key, normal, stream
from mtlsim.core.status import Status, flag, with_status

HEADS = ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0))


class Representation(eqx.Module):
    """A cell: sources theta_k = B h_k share a layer B (d, r); a target theta* = B a learns its head on the layer that they show.

    All rows are orthonormal, X_k'X_k = n I for every source and n_target I for the target. The layer is that of hard sharing, the
    r leading right singular vectors of the sources' least squares (K, d) [wu2020understanding, Proposition 3]; the target's
    estimate is its own least squares projected on it.

    heads: h (K, r), at least as many tasks as columns. target: a (r,). n_samples: n. noise: of all labels. Rows may be any numbers
    > 0, as only the law of least squares counts.

    Returns risk_single = |least squares - theta*|^2, risk_multi, gain; missed: the part of the target outside of the layer,
    squared; status: degenerate where the r-th and the next singular value are equal.
    """

    heads: Float[Array, "K r"] = eqx.field(
        default=((1.0, 0.0), (0.0, 1.0), (1.0, 1.0)), converter=lambda rows: as_array(rows, "heads")
    )
    target: Float[Array, " r"] = eqx.field(default=(1.0, -1.0), converter=lambda row: as_array(row, "target"))
    n_samples: Array | float = 200.0
    n_target: Array | float = 40.0
    noise: Array | float = 0.5
    n_features: int = eqx.field(default=20, static=True)

    def __check_init__(self):
        shape = np.shape(self.heads)
        fits = len(shape) == 2 and shape[0] >= shape[1] >= 1
        require(fits, "heads", "of shape (K, r) with K >= r >= 1", shape, "give at least as many tasks as columns")
        require(
            np.shape(self.target) == shape[1:], "target", f"of shape ({shape[1]},)", np.shape(self.target), "one number a column"
        )
        for name in ("heads", "target"):
            if is_concrete(getattr(self, name)):
                require_finite(getattr(self, name), name)
        room = is_whole(self.n_features) and self.n_features > shape[1]
        require(room, "n_features", f"a whole number > r = {shape[1]}", repr(self.n_features), "use 20")
        for name in ("n_samples", "n_target"):
            require_one(getattr(self, name), lambda n: (n > 0) & np.isfinite(n), name, "a number > 0", "use 100.0")
        require_one(self.noise, lambda s: (s >= 0) & np.isfinite(s), "noise", "a standard deviation >= 0", "use 0 for no noise")

    def __call__(self, *, key: Key[Array, ""] | None = None) -> dict[str, Array]:
        (K, r), d = self.heads.shape, self.n_features
        errors = self.noise * normal(stream(check_key(key), "noise"), (K + 1, d))
        layer = jnp.eye(r, d)
        fits = linalg.multiply(self.heads, layer) + errors[:K] / jnp.sqrt(jnp.asarray(self.n_samples, float))
        truth = linalg.multiply(self.target, layer)
        alone = truth + errors[K] / jnp.sqrt(jnp.asarray(self.n_target, float))
        _, values, vectors = jnp.linalg.svd(fits, full_matrices=True)
        shown = vectors[:r]
        project = lambda vector: linalg.multiply(linalg.multiply(shown, vector), shown)
        values = jnp.append(values, jnp.zeros(1))
        tie = values[r - 1] - values[r] <= 1e-9 * values[0]
        nothing = jnp.where(tie, jnp.nan, 0.0)
        risk_single, risk_multi = jnp.sum((alone - truth) ** 2), jnp.sum((project(alone) - truth) ** 2) + nothing
        numbers = {
            "gain": gain_of(risk_single, risk_multi, jnp.sum(truth**2)),
            "risk_single": risk_single,
            "risk_multi": risk_multi,
            "missed": jnp.sum((project(truth) - truth) ** 2) + nothing,
        }
        return with_status(numbers, flag(tie, Status.degenerate))


def diversity_cost(heads: Float[Array, "K r"], target: Float[Array, " r"]) -> Array:
    """a'(H'H)^-1 a: at most |a|^2 over the square of the smallest singular value of the heads, the diversity of the tasks."""
    triangle = jnp.linalg.qr(heads, mode="r")
    return jnp.sum(jnp.linalg.solve(triangle.T, target) ** 2)
