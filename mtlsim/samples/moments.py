"""Moments: all that a linear problem needs of its rows, at a size that does not depend on how many there are."""

from collections.abc import Iterable
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mtlsim.core.checks import require, require_finite, require_finite_rows
from mtlsim.core.containers import numbers_of, require_no_names, require_one_label, require_same_rows
from mtlsim.core.labels import warn_of_codes
from mtlsim.core.linalg import multiply
from mtlsim.core.words import counted, with_article

BLOCK_BYTES = 64 * 2**20


class Moments(eqx.Module):
    """Sums over the rows of one task (or of K, with a leading axis; one gram for all where the rows are shared).

    gram (d, d) = X'X, cross (d,) = X'y, energy = y'y, n_samples = rows. Squares lose half of the digits, so that moments of rows,
    and those drawn from an invertible covariance, also carry factor (d, d), lower triangular, and scores (d,) with
    gram = factor factor' and cross = factor scores: d equivalent rows and labels.
    rank_known: whether n rows are known to see min(n, d) directions; then the columns of factor from n on are exactly zero.

    >>> X, y = np.array([[1.0, 0.0], [1.0, 2.0]]), np.array([1.0, 3.0])
    >>> moments = mtl.Moments.from_data(X, y)
    >>> moments.gram.tolist(), moments.cross.tolist(), float(moments.energy)
    ([[2.0, 2.0], [2.0, 4.0]], [4.0, 6.0], 10.0)
    """

    gram: Float[Array, "... d d"]
    cross: Float[Array, "*K d"]
    energy: Float[Array, "*K"]
    n_samples: Float[Array, "*K"]
    factor: Float[Array, "... d d"] | None = None
    scores: Float[Array, "*K d"] | None = None
    rank_known: bool = eqx.field(default=False, static=True)

    @property
    def n_features(self) -> int:
        return self.cross.shape[-1]

    @property
    def n_tasks(self) -> int:
        return self.cross.shape[0] if self.cross.ndim == 2 else 1

    @property
    def squares(self) -> Float[Array, "... d"]:
        """Sums of squares of each column of X, the diagonal of the gram; drawn moments need no gram for it."""
        if self.factor is None:
            return jnp.diagonal(self.gram, axis1=-2, axis2=-1)
        return jnp.sum(self.factor**2, -1)

    @property
    def shared_covariates(self) -> bool:
        """Whether K tasks are labels on the same rows, so that one gram serves all."""
        return self.cross.ndim == 2 and self.gram.ndim == 2

    def __getitem__(self, task: int) -> "Moments":
        """The moments of one of K tasks."""
        if self.shared_covariates:
            scores = None if self.scores is None else self.scores[task]
            parts = self.gram, self.cross[task], self.energy[task], self.n_samples[task], self.factor, scores
            return Moments(*parts, self.rank_known)
        return jax.tree.map(lambda leaf: leaf[task], self)

    def less(self, parameters: Float[Array, " d"]) -> "Moments":
        """Moments of one task's rows with the labels y - X theta."""
        if self.factor is None:
            fitted = multiply(self.gram, parameters)
            energy = self.energy - 2 * self.cross @ parameters + parameters @ fitted
            return replace(self, cross=self.cross - fitted, energy=jnp.maximum(energy, 0))
        scores = self.scores - multiply(parameters, self.factor)
        beside = jnp.maximum(self.energy - jnp.sum(self.scores**2), 0)
        return replace(self, cross=multiply(self.factor, scores), energy=beside + jnp.sum(scores**2), scores=scores)

    def without_factor(self) -> "Moments":
        """The sums alone."""
        return Moments(self.gram, self.cross, self.energy, self.n_samples)

    def __add__(self, other: "Moments") -> "Moments":
        """Moments of both sets of rows together, of the same features and tasks. Raises ValueError for others."""
        require(
            isinstance(other, Moments), "other", "Moments", with_article(type(other).__name__), "make them by Moments.from_data"
        )
        alike = self.gram.shape == other.gram.shape and self.cross.shape == other.cross.shape
        wanted, found = (f"a gram of shape {one.gram.shape} and a cross of {one.cross.shape}" for one in (self, other))
        require(alike, "other", f"of {wanted}", f"of {found}", "add up rows of the same columns, for the same tasks")
        return Moments(
            self.gram + other.gram, self.cross + other.cross, self.energy + other.energy, self.n_samples + other.n_samples
        )

    @classmethod
    def from_data(cls, X, y) -> "Moments":
        """Sums over the rows of X (m, d) and y (m,), in blocks: a memory-mapped array of any length is read once.

        Raises ValueError for other shapes, for what is no real number, for masked entries, for named columns (names are not kept,
        so that tasks could not be matched by them), for NaN or infinity, and for squares that overflow or underflow.
        """
        X, y = _as_rows(X, y, "y")
        require_one_label(y, "y")
        return cls(*_add_up(X, y, "y"))

    @classmethod
    def from_shared_rows(cls, X, Y) -> "Moments":
        """The same of K tasks on the same rows, with labels Y (m, K) and one gram."""
        X, Y = _as_rows(X, Y, "Y")
        require(np.ndim(Y) == 2 and np.shape(Y)[1] > 0, "Y", "of shape (m, K)", f"of shape {np.shape(Y)}", "pass a column per task")
        gram, cross, energy, n_samples, *rows = _add_up(X, Y, "Y")
        return cls(gram, cross, energy, jnp.full(energy.shape, n_samples), *rows)

    @classmethod
    def of_rows(cls, X) -> "Moments":
        """The same of rows without labels."""
        rows = numbers_of(X, "X")
        require_no_names(X, "X")
        require(np.ndim(rows) == 2, "X", "of shape (m, d)", f"of shape {np.shape(rows)}", "pass one row per sample")
        return cls(*_add_up(rows, np.zeros(len(rows)), "y", factorised=False))


def _as_rows(X, y, name: str) -> tuple:
    """Rows and labels as arrays of real numbers; see `mtlsim.core.containers`."""
    require_no_names(X, "X")
    require_same_rows(X, y, "X", name)
    X, y = numbers_of(X, "X"), numbers_of(y, name, labels=True)
    if not isinstance(y, jax.Array):
        warn_of_codes(y, name)
    return X, y


def _add_up(X, y, name: str, factorised: bool = True) -> tuple[Array, ...]:
    """X'X, y'X, y'y and the number of rows, for labels (m,) or (m, K); then the factor and the scores, unless traced."""
    require(np.ndim(X) == 2, "X", "of shape (m, d)", f"of shape {np.shape(X)}", "pass one row per sample")
    require(len(X) == len(y), name, f"as long as X, {len(X)} rows", f"of length {len(y)}", "drop the rows without a label")
    require(len(X) > 0 and X.shape[1] > 0, "X", "at least one row and one column", f"of shape {X.shape}", "load some rows")
    if isinstance(X, jax.core.Tracer) or isinstance(y, jax.core.Tracer):
        return multiply(X.T, X), multiply(y.T, X), jnp.sum(y**2, 0), jnp.asarray(float(len(X)))
    dtype = jnp.result_type(float)
    block = max(1, BLOCK_BYTES // (X.shape[1] * np.dtype(dtype).itemsize))
    require_finite(np.asarray(y), name)
    bad, sums, peak = 0, (np.zeros((), dtype),) * 3, np.zeros(X.shape[1])
    triangle = np.zeros((0, X.shape[1] + y[:1].size))
    for start in range(0, len(X), block):
        raw = np.asarray(X[start : start + block])
        with np.errstate(all="ignore"):
            rows, labels = raw.astype(dtype), np.asarray(y[start : start + block]).astype(dtype)
            new = rows.T @ rows, labels.T @ rows, np.sum(labels**2, 0)
        if not np.isfinite(np.trace(new[0])):  # only then are the rows looked at one by one
            bad += int(np.sum(~np.isfinite(raw).all(1)))
        elif factorised:
            triangle = np.linalg.qr(np.concatenate([triangle, np.column_stack([rows, labels])]), mode="r")
        peak = np.maximum(peak, np.max(np.abs(raw), 0))
        sums = tuple(old + more for old, more in zip(sums, new, strict=True))
    require_finite_rows(bad, len(X), "X")
    for part, whose in ((sums[0], "X"), (sums[2], name)):
        require(np.isfinite(part).all(), whose, "of squares that can be summed", "too large for that", "divide it by its scale")
    _require_no_underflow(peak, dtype, "X")
    _require_no_underflow(np.max(np.abs(np.asarray(y)), 0), dtype, name)
    parts = *(jnp.asarray(part) for part in sums), jnp.asarray(float(len(X)))
    if not factorised:
        return parts
    d = X.shape[1]
    top = np.zeros((d, triangle.shape[1]))
    top[: len(triangle)] = triangle[:d]
    top *= np.where(np.diagonal(top) < 0, -1, 1)[:, None]  # the one sign that does not depend on blocks
    scores = top[:, d:].T if np.ndim(y) == 2 else top[:, d]
    return *parts, jnp.asarray(top[:, :d].T, dtype), jnp.asarray(scores, dtype)


def _require_no_underflow(largest: np.ndarray | np.generic, dtype, name: str) -> None:
    """Refuse columns that are not zero, whose squares are: they would drop out in silence."""
    lost = int(np.sum((largest > 0) & (largest < np.sqrt(np.finfo(dtype).tiny))))
    found = f"too small for that in {lost} of {counted(np.size(largest), 'column')}"
    require(lost == 0, name, f"of squares that {np.dtype(dtype).name} can hold", found, "divide each column by its largest entry")


def require_one_task(moments, argument: str) -> None:
    """Refuse what is not the Moments of one task: rows and labels, several tasks, lists."""
    found, cure = with_article(type(moments).__name__), "pass Moments.from_data(X, y) of its rows and labels"
    require(isinstance(moments, Moments), argument, "the Moments of one task", found, cure)
    of_one = moments.cross.ndim == 1
    require(of_one, argument, "the Moments of one task", f"that of {moments.n_tasks}", "pass its tasks one by one, moments[i]")


def stack(moments) -> Moments:
    """K tasks in one `Moments` with a leading axis, from a sequence of one-task moments (or one that is stacked already)."""
    if isinstance(moments, Moments):
        return moments if moments.cross.ndim == 2 else jax.tree.map(lambda leaf: leaf[None], moments)
    several = isinstance(moments, Iterable)
    require(several, "moments", "Moments, or several in a list", with_article(type(moments).__name__), "pass one Moments per task")
    moments = list(moments)
    require(len(moments) > 0, "moments", "at least one task", "empty", "pass one Moments per task")
    for i, own in enumerate(moments):
        require_one_task(own, f"moments[{i}]")
    sizes = {m.n_features for m in moments}
    require(len(sizes) == 1, "moments", "of one number of features", f"of {sorted(sizes)}", "give all tasks the same columns")
    if any(m.factor is None for m in moments):
        moments = [m.without_factor() for m in moments]
    elif not all(m.rank_known for m in moments):
        moments = [Moments(m.gram, m.cross, m.energy, m.n_samples, m.factor, m.scores) for m in moments]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *moments)
