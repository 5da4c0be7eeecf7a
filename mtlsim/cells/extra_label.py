"""A second label as an input, or as an output: what a quantity that comes with every row is better used for."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from mtlsim.cells.orthonormal_rows import share_direction
from mtlsim.core import linalg
from mtlsim.core.checks import is_whole, require, require_one
from mtlsim.core.keys import check_key, normal, stream
from mtlsim.core.status import Status, flag, with_status
from mtlsim.samples.chi_square import draw_chi_squares
from mtlsim.samples.wishart import draw_triangle


class ExtraLabel(eqx.Module):
    """A cell: y = x'theta + e and z = x'phi + h on n common rows x ~ N(0, I_d), with e and h of variance one and correlation rho.

    Both parameters are of length `size`, at an angle of this cosine. y is predicted for new rows, where z is known too. Three ways,
    all by least squares: from x alone (plain); from x and z (as input); from x by the direction that y and z share (as output, hard
    sharing of rank one). Needs n > d + 2. Only X'X, X'e, X'h and three sums of squares are drawn, at a cost that is flat in n.

    n_samples: n. correlation: rho. cosine: of theta and phi. size: their length.

    Returns mean squared errors on new rows, one of noise included: error_plain, error_input, error_output; gain = error_plain -
    error_output, gain_input = error_plain - error_input, and output_better = error_input - error_output; status: degenerate where
    two directions are equally good, ill_conditioned where n is too small.
    """

    n_samples: Array | float = 40.0
    correlation: Array | float = 0.0
    cosine: Array | float = 1.0
    size: Array | float = 1.0
    n_features: int = eqx.field(default=10, static=True)

    def __check_init__(self):
        require(is_whole(self.n_features) and self.n_features >= 2, "n_features", "a whole number >= 2", self.n_features, "use 10")
        least = self.n_features + 3
        require_one(self.n_samples, lambda n: (n >= least) & np.isfinite(n), "n_samples", f"at least {least}", f"use {least}")
        for name in ("correlation", "cosine"):
            require_one(getattr(self, name), lambda c: np.abs(c) <= 1, name, "from -1 to 1", "use 0.5")
        require_one(self.size, lambda s: (s >= 0) & np.isfinite(s), "size", "a number >= 0", "use 1.0")

    def __call__(self, *, key: Key[Array, ""] | None = None) -> dict[str, Array]:
        key, d = check_key(key), self.n_features
        n, rho = jnp.asarray(self.n_samples, float), jnp.asarray(self.correlation, float)
        rest = jnp.sqrt(jnp.maximum(1 - rho**2, 0))
        aside = jnp.sqrt(jnp.maximum(1 - jnp.asarray(self.cosine, float) ** 2, 0))
        theta = self.size * jnp.eye(d)[0]
        phi = self.size * (self.cosine * jnp.eye(d)[0] + aside * jnp.eye(d)[1])
        # X'X = T T' by Bartlett's factor; X'e = T g for what the columns of X hold of e
        factor = draw_triangle(key, n, d)
        normals = normal(stream(key, "noise"), (2, d))
        within = jnp.stack([normals[0], rho * normals[0] + rest * normals[1]])
        # and what they do not hold of (e, h), a Wishart matrix of n - d rows
        freedom = n - d
        first, second = jnp.sqrt(draw_chi_squares(stream(key, "outside"), jnp.stack([freedom, freedom - 1])))
        crossed = normal(stream(key, "crossed"), (1,))[0]
        inner, square = first * (rho * first + rest * crossed), (rho * first + rest * crossed) ** 2 + (rest * second) ** 2
        of_z = inner / jnp.where(square > 0, square, 1)
        solve = lambda side: linalg.solve_upper(factor, side)
        error = lambda sides, noise: 1 + noise + jnp.sum(solve(sides) ** 2)
        shared, tie = share_direction(jnp.stack([factor.T @ theta, factor.T @ phi]) + within)
        plain = error(within[0], 0.0)
        as_input = error(within[0] - of_z * within[1], of_z**2 - 2 * of_z * rho)
        as_output = error(shared - factor.T @ theta, 0.0)
        return with_status(compare_ways(plain, as_input, as_output), flag(tie, Status.degenerate))


def compare_ways(plain: Array, as_input: Array, as_output: Array) -> dict[str, Array]:
    """Errors without the second label, with it as an input and as an output, and what each way gains (positive helps)."""
    return {
        "gain": plain - as_output,
        "gain_input": plain - as_input,
        "output_better": as_input - as_output,
        "error_plain": plain,
        "error_input": as_input,
        "error_output": as_output,
    }


def expected_errors(n_samples, n_features, correlation) -> dict[str, Array]:
    """Expected errors of the three ways, of one noise included, that as output for theta = phi and a signal well above the noise.

    plain: 1 + d / (n - d - 1). input: (1 - rho^2) (1 + (d + 1) / (n - d - 2)). output: 1 + (1 + (d - 1) (1 + rho) / 2) / (n - d -
    1).
    """
    n, d, rho = jnp.asarray(n_samples, float), n_features, jnp.asarray(correlation, float)
    return {
        "error_plain": 1 + d / (n - d - 1),
        "error_input": (1 - rho**2) * (1 + (d + 1) / (n - d - 2)),
        "error_output": 1 + (1 + (d - 1) * (1 + rho) / 2) / (n - d - 1),
    }


def boundary(n_samples, n_features: int):
    """rho* > 0, the correlation beyond which z is better as an input: where the last two of `expected_errors` are equal.

    (1 - rho^2) u = v + w rho, with u = 1 + (d + 1) / (n - d - 2), w = (d - 1) / (2 (n - d - 1)), v = 1 + 1 / (n - d - 1) + w.
    """
    n, d = jnp.asarray(n_samples, float), n_features
    u, w = 1 + (d + 1) / (n - d - 2), (d - 1) / (2 * (n - d - 1))
    v = 1 + 1 / (n - d - 1) + w
    return (-w + jnp.sqrt(w**2 + 4 * u * (u - v))) / (2 * u)
