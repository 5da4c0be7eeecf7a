"""Heads from task descriptors: a target without a single row, and how many rows of its own that is worth."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from mtlsim.core import linalg
from mtlsim.core.checks import as_array, as_numbers, is_concrete, is_whole, require, require_finite, require_one
from mtlsim.core.extremes import smallest_of
from mtlsim.core.keys import check_key, normal, stream
from mtlsim.core.status import Status, flag, with_status
from mtlsim.samples.wishart import draw_triangle
from mtlsim.solvers.expected_risk import is_near

LINE = ((1.0, -1.0), (1.0, 0.0), (1.0, 1.0))


class ZeroShot(eqx.Module):
    """A cell: y_k = x'M t_k + noise e for K source tasks of known descriptors t_k (p,), and a target of descriptor t* to be
    predicted.

    M (d, p) is drawn with entries of variance 1 / (d p). Sources have n Gaussian rows each, x ~ N(0, I_d), or orthonormal ones,
    X_k'X_k = n I. Learned together: M^ = argmin sum_k |y_k - X_k M t_k|^2 and the parameters M^ t* (heads from
    descriptors, as in [noh2019transfer]); alone: least squares on the target's own n_own Gaussian or orthonormal rows.

    descriptors: (K, p). target: t* (p,). n_samples: n. n_own: rows of the target, which only "alone" sees; with Gaussian rows
    more than d + 1. noise: of all labels. misfit: length of what of the target's parameters no descriptor tells, in a random
    direction. gaussian: whether rows are Gaussian; of
    orthonormal ones n may be any number > 0, as only the law of least squares counts.

    Returns risk_single = |least squares - theta*|^2, risk_multi = |M^ t* - theta*|^2, gain, and energy = |theta*|^2, the risk of
    predicting zero; status: degenerate, with NaN, where t* is not in the span of the descriptors: it is not identified.
    """

    descriptors: Float[Array, "K p"] = eqx.field(default=LINE, converter=lambda rows: as_array(rows, "descriptors"))
    target: Float[Array, " p"] = eqx.field(default=(1.0, 0.5), converter=lambda row: as_array(row, "target"))
    n_samples: Array | float = 100.0
    n_own: Array | float = 40.0
    noise: Array | float = 1.0
    misfit: Array | float = 0.0
    n_features: int = eqx.field(default=20, static=True)
    gaussian: bool = eqx.field(default=False, static=True)

    def __check_init__(self):
        shape, wanted = np.shape(self.descriptors), np.shape(self.target)
        require(len(shape) == 2 and min(shape) >= 1, "descriptors", "of shape (K, p), one row per source", shape, "pass a matrix")
        require(
            wanted == shape[1:], "target", f"of shape ({shape[1]},) like a descriptor", wanted, "describe it as the sources are"
        )
        for name in ("descriptors", "target"):
            if is_concrete(getattr(self, name)):
                require_finite(getattr(self, name), name)
        d = self.n_features
        require(is_whole(d) and d >= 1, "n_features", "a whole number >= 1", repr(d), "use 20")
        least = d + 2 if self.gaussian else 1
        for name in ("n_samples", "n_own"):
            require_one(getattr(self, name), lambda n: (n >= least) & np.isfinite(n), name, f"at least {least}", f"use {least}")
        for name in ("noise", "misfit"):
            require_one(getattr(self, name), lambda v: (v >= 0) & np.isfinite(v), name, "a number >= 0", "use 1.0")

    def _rows(self, key: Key[Array, ""], n_samples: Array, count: int) -> tuple[Float[Array, "c d d"], Float[Array, "c d"]]:
        """X'X and X'e of `count` tasks, e of the noise."""
        d = self.n_features
        errors = self.noise * normal(stream(key, "noise"), (count, d))
        if not self.gaussian:
            return n_samples * jnp.broadcast_to(jnp.eye(d), (count, d, d)), jnp.sqrt(n_samples) * errors
        factors = jnp.stack([draw_triangle(stream(key, "rows", k), n_samples, d) for k in range(count)])
        return linalg.multiply(factors, jnp.swapaxes(factors, 1, 2)), linalg.multiply(factors, errors[..., None])[..., 0]

    def __call__(self, *, key: Key[Array, ""] | None = None) -> dict[str, Array]:
        key = check_key(key)
        d, (K, p) = self.n_features, self.descriptors.shape
        T, target = jnp.asarray(self.descriptors, float), jnp.asarray(self.target, float)
        M = normal(stream(key, "map"), (d, p)) / jnp.sqrt(d * p)
        aside = normal(stream(key, "misfit"), (1, d))[0]
        known = linalg.multiply(M, target)
        truth = known + self.misfit * aside / jnp.linalg.norm(aside)
        grams, errors = self._rows(stream(key, "sources"), jnp.asarray(self.n_samples, float), K)
        T, target, ill = _scaled(T, target)  # which moves no prediction, and keeps the digits of what is squared below
        # of M^ - M: sum_k (t_k t_k') x X_k'X_k, and t_k x X_k'e
        system = jnp.einsum("ki,kj,kde->idje", T, T, grams, precision="highest").reshape(p * d, p * d)
        right = jnp.einsum("ki,kd->id", T, errors, precision="highest").reshape(p * d)
        # singular where descriptors do not span: then what they see of t* counts alone
        off = linalg.minimum_norm(system, right).reshape(p, d)
        together = known + linalg.multiply(target, off)
        gram, error = self._rows(stream(key, "target"), jnp.asarray(self.n_own, float), 1)
        alone = linalg.solve_positive(gram[0], error[0])
        unseen = ~identified(T, target)
        nowhere = jnp.where(unseen, jnp.nan, 0.0)
        risk_single, risk_multi = jnp.sum(alone**2), jnp.sum((together - truth) ** 2) + nowhere
        found = {"gain": risk_single - risk_multi, "risk_single": risk_single, "risk_multi": risk_multi}
        few = jnp.minimum(jnp.asarray(self.n_own, float), jnp.asarray(self.n_samples, float))
        heavy = is_near(few, d, 0.0) if self.gaussian else jnp.zeros((), bool)
        found |= {"energy": jnp.sum(truth**2)}
        trouble = flag(heavy, Status.heavy_tailed), flag(ill, Status.ill_conditioned), flag(unseen, Status.degenerate)
        return with_status(found, *trouble)


def _scaled(descriptors: Float[Array, "K p"], target: Float[Array, " p"]):
    """Both with every coordinate over its size in the sources, and whether they are so near to dependent that digits are lost."""
    sizes = jnp.linalg.norm(descriptors, axis=0)
    sizes = jnp.where(sizes > 0, sizes, 1)
    scaled = descriptors / sizes
    values = jnp.linalg.svd(scaled, compute_uv=False)
    kept = values > _rounding(scaled) * values[0]
    least = smallest_of(jnp.where(kept, values, values[0]))
    return scaled, target / sizes, least < jnp.sqrt(_rounding(scaled)) * values[0]


def _rounding(matrix: Float[Array, "K p"]) -> float:
    """The relative size below which a singular value of the matrix is none."""
    return 10 * max(matrix.shape) * float(jnp.finfo(matrix.dtype).eps)


def _combination(descriptors: Float[Array, "K p"], target: Float[Array, " p"]):
    """u (K,) of least norm with sum_k u_k t_k = t*, and what of t* is left over its length; no squares are formed."""
    T, t, _ = _scaled(descriptors, target)
    left, values, right = jnp.linalg.svd(T, full_matrices=False)
    kept = values > _rounding(T) * values[0]
    along = linalg.multiply(right, t)
    u = linalg.multiply(left, jnp.where(kept, along / jnp.where(kept, values, 1), 0))
    rest = t - linalg.multiply(jnp.where(kept, along, 0), right)
    size = jnp.linalg.norm(t)
    return u, jnp.linalg.norm(rest) / jnp.where(size > 0, size, 1)


def identified(descriptors: Float[Array, "K p"], target: Float[Array, " p"]) -> Array:
    """Whether the target's descriptor is in the span of the sources', up to rounding."""
    _, rest = _combination(descriptors, target)
    return rest <= 10 * _rounding(descriptors)


def leverage(descriptors: Float[Array, "K p"], target: Float[Array, " p"]) -> Array:
    """t*'(sum_k t_k t_k')^+ t* = |u|^2 of the shortest u with sum_k u_k t_k = t*: the risk over that of one source; NaN where there
    is no such u."""
    u, _ = _combination(descriptors, target)
    return jnp.where(identified(descriptors, target), jnp.sum(u**2), jnp.nan)


def expected_risks(cell: ZeroShot) -> dict[str, Array]:
    """Expected risks with orthonormal rows: noise^2 d / n times the leverage, plus misfit^2; alone noise^2 d / n_own, and with
    Gaussian rows noise^2 d / (n_own - d - 1) alone."""
    variance = jnp.asarray(cell.noise, float) ** 2 * cell.n_features
    lost = cell.n_features + 1 if cell.gaussian else 0
    return {
        "risk_single": variance / (jnp.asarray(cell.n_own, float) - lost),
        "risk_multi": variance / cell.n_samples * leverage(cell.descriptors, cell.target) + jnp.asarray(cell.misfit, float) ** 2,
    }


def worth_in_rows(cell: ZeroShot) -> Array:
    """n*, the own rows below which the descriptor beats them (orthonormal rows; n / leverage without a misfit); NaN where nothing
    is known, and without noise, where any rows are enough."""
    lost = cell.n_features + 1 if cell.gaussian else 0
    return jnp.asarray(cell.noise, float) ** 2 * cell.n_features / expected_risks(cell)["risk_multi"] + lost


def best_design(descriptors, target) -> tuple[np.ndarray, float]:
    """(shares, price): of all source rows the share (K,) each source should have, and what the target then pays.

    With N orthonormal rows in all, n_k of source k, the risk is noise^2 d t*'(sum_k n_k t_k t_k')^-1 t* >= noise^2 d price / N; the
    least is reached at n_k = N |u_k| / sum |u|, u the solution of min sum_k |u_k| with sum_k u_k t_k = t*, and the price is (sum
    |u|)^2 [elfving1952optimum]. Inside the hull of descriptors and their negatives it is at most one: as good as own rows.
    Raises ValueError for a target outside of the span.
    """
    T, t = as_numbers(descriptors, "descriptors"), as_numbers(target, "target")
    require(T.ndim == 2 and T.size > 0, "descriptors", "of shape (K, p), one row per source", T.shape, "pass a matrix")
    wanted = f"of shape ({T.shape[1]},) like a descriptor"
    require(t.shape == T.shape[1:], "target", wanted, t.shape, "describe it as the sources are")
    for numbers, name in ((T, "descriptors"), (t, "target")):
        require_finite(numbers, name)
    from scipy.optimize import linprog  # which is long to load

    sizes = np.abs(T).max(0)
    T, t = T / np.where(sizes > 0, sizes, 1), t / np.where(sizes > 0, sizes, 1)
    require(bool(identified(jnp.asarray(T), jnp.asarray(t))), "target", "in the span of the descriptors", t, "add a source")
    found = linprog(np.ones(2 * len(T)), A_eq=np.concatenate([T, -T]).T, b_eq=t)
    sizes = found.x[: len(T)] + found.x[len(T) :]
    total = float(sizes.sum())
    return (sizes / total if total > 0 else np.full(len(T), 1 / len(T))), total**2
