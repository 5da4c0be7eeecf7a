"""Population covariances: what one is (its spectrum, its eigenvectors) and the designs that make one."""

import dataclasses
import reprlib
from numbers import Real

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from mtlsim.core import linalg
from mtlsim.core.checks import as_array, is_concrete, is_number, is_whole, require, require_bool, require_finite, require_one
from mtlsim.core.containers import numbers_of, require_no_names
from mtlsim.core.keys import normal


class PairRotation(eqx.Module):
    """Rotation of eigenvector k towards eigenvector partner[k], for all pairs at once: R v = cosine * v + sine * v[partner]."""

    cosine: Float[Array, " d"]
    sine: Float[Array, " d"]
    partner: Int[Array, " d"]

    def apply(self, rows: Float[Array, "d *n"]) -> Float[Array, "d *n"]:
        shape = (-1,) + (1,) * (rows.ndim - 1)
        return self.cosine.reshape(shape) * rows + self.sine.reshape(shape) * rows[self.partner]

    def apply_transpose(self, rows: Float[Array, "d *n"]) -> Float[Array, "d *n"]:
        shape = (-1,) + (1,) * (rows.ndim - 1)
        return self.cosine.reshape(shape) * rows - self.sine.reshape(shape) * rows[self.partner]

    def factorise(self, eigenvalues: Float[Array, " d"]) -> tuple[Float[Array, " d"], Float[Array, " d"]]:
        """Cholesky factor of R diag(eigenvalues) R', pair by pair: its diagonal, and what it has in the partner's column."""
        other = eigenvalues[self.partner]
        own = self.cosine**2 * eigenvalues + self.sine**2 * other
        pivot = jnp.sqrt(own[self.partner])
        later = (self.partner < jnp.arange(len(self.partner))) & (pivot > 0)
        pivot = jnp.where(later, pivot, 1)
        between = self.cosine * self.sine * (other - eigenvalues)
        diagonal = jnp.where(later, jnp.sqrt(eigenvalues * other) / pivot, jnp.sqrt(own))
        return diagonal, jnp.where(later, between / pivot, 0)


class Covariance(eqx.Module):
    """Sigma = V R diag(eigenvalues) R' V' of shape (d, d), with orthonormal V (identity if None) and a rotation R of pairs.

    singular: whether some eigenvalues are zero, so that rows drawn from it do not see every direction however many they are.
    """

    eigenvalues: Float[Array, " d"]
    rotation: PairRotation | None = None
    basis: Float[Array, "d d"] | None = None
    singular: bool = eqx.field(default=False, static=True)

    @property
    def n_features(self) -> int:
        return self.eigenvalues.shape[0]

    def root(self, rows: Float[Array, "d *n"]) -> Float[Array, "d *n"]:
        """F Z with F F' = Sigma: turns standard normal columns into columns of covariance Sigma."""
        shape = (-1,) + (1,) * (rows.ndim - 1)
        rows = jnp.sqrt(self.eigenvalues).reshape(shape) * rows
        rows = rows if self.rotation is None else self.rotation.apply(rows)
        return rows if self.basis is None else linalg.multiply(self.basis, rows)

    def lower_root(self, rows: Float[Array, "d *n"]) -> Float[Array, "d *n"]:
        """L Z with lower triangular L and L L' = Sigma: what a Cholesky factor of Sigma does."""
        if self.basis is not None:
            turned = jnp.linalg.qr(self.root(jnp.eye(self.n_features, dtype=self.eigenvalues.dtype)).T, mode="r")
            return linalg.multiply(turned.T * jnp.where(jnp.diagonal(turned) < 0, -1, 1), rows)
        if self.rotation is None:
            return self.root(rows)
        diagonal, below = self.rotation.factorise(self.eigenvalues)
        shape = (-1,) + (1,) * (rows.ndim - 1)
        return diagonal.reshape(shape) * rows + below.reshape(shape) * rows[self.rotation.partner]

    def root_transpose(self, rows: Float[Array, "d *n"]) -> Float[Array, "d *n"]:
        """F' Z, so that |F' v|^2 = v' Sigma v."""
        rows = rows if self.basis is None else linalg.multiply(self.basis.T, rows)
        rows = rows if self.rotation is None else self.rotation.apply_transpose(rows)
        return jnp.sqrt(self.eigenvalues).reshape((-1,) + (1,) * (rows.ndim - 1)) * rows

    def quadratic(self, vector: Float[Array, " d"]) -> Float[Array, ""]:
        """v' Sigma v."""
        return jnp.sum(self.root_transpose(vector) ** 2)

    def matrix(self) -> Float[Array, "d d"]:
        """Sigma itself."""
        return self.root(self.root_transpose(jnp.eye(self.n_features, dtype=self.eigenvalues.dtype)))


class Isotropic(eqx.Module):
    """Sigma = scale * I.

    >>> mtl.Isotropic(4.0).draw(2).matrix().tolist()
    [[4.0, 0.0], [0.0, 4.0]]
    """

    scale: Float[Array, ""] | Real = 1.0

    def __check_init__(self):
        require_one(self.scale, lambda s: (s > 0) & np.isfinite(s), "scale", "a variance > 0", "use 1")

    def draw(self, n_features: int) -> Covariance:
        return Covariance(jnp.broadcast_to(jnp.asarray(self.scale, float), (n_features,)))


class Spiked(eqx.Module):
    """Eigenvalue `condition_number` on a set of coordinates, 1 elsewhere.

    The set is the first `fraction` of the coordinates, or the given `coordinates`. The condition number is that of the
    covariance: the founding paper's D with 100 on its diagonal (rows x = D z) is condition_number = 10^4 [wu2020understanding].

    >>> np.diag(mtl.Spiked(condition_number=100.0, fraction=0.25).draw(4).matrix()).tolist()
    [100.0, 1.0, 1.0, 1.0]
    """

    condition_number: Float[Array, ""] | Real = 10.0
    fraction: float = eqx.field(default=0.2, static=True)
    coordinates: tuple[int, ...] | None = eqx.field(default=None, static=True)

    def __check_init__(self):
        require_one(self.condition_number, lambda k: k >= 1, "condition_number", "at least 1", "use 1 for an isotropic covariance")
        require_one(self.condition_number, np.isfinite, "condition_number", "finite", "use 1e6, which is far from isotropic")
        cure = "use 0.2 for a fifth of the coordinates"
        require_one(self.fraction, lambda share: (share > 0) & (share < 1), "fraction", "strictly between 0 and 1", cure)
        chosen, places = self.coordinates, "a tuple of whole numbers from 0"
        whole = chosen is None or (isinstance(chosen, (tuple, list)) and all(map(is_whole, chosen)) and len(chosen) > 0)
        require(whole, "coordinates", places, reprlib.repr(chosen), "use (0, 1), or leave it out")

    def draw(self, n_features: int) -> Covariance:
        if self.coordinates is None:
            inside = np.arange(n_features) < max(1, round(self.fraction * n_features))
        else:
            known = [c for c in self.coordinates if 0 <= c < n_features]
            require(
                len(known) == len(self.coordinates), "coordinates", f"in 0..{n_features - 1}", self.coordinates, "drop the others"
            )
            inside = np.isin(np.arange(n_features), self.coordinates)
        return Covariance(jnp.where(inside, jnp.asarray(self.condition_number, float), 1.0))


class PowerLaw(eqx.Module):
    """Eigenvalues j^-exponent, j = 1..d, scaled to mean one.

    >>> np.diag(mtl.PowerLaw(1.0).draw(2).matrix()).round(4).tolist()
    [1.3333, 0.6667]
    """

    exponent: Float[Array, ""] | Real = 1.0

    def __check_init__(self):
        require_one(self.exponent, np.isfinite, "exponent", "a finite number", "use 1")

    def draw(self, n_features: int) -> Covariance:
        values = jnp.arange(1, n_features + 1, dtype=jnp.asarray(0.0).dtype) ** -jnp.asarray(self.exponent, float)
        return Covariance(values / values.mean())


class Diagonal(eqx.Module):
    """Uncorrelated features of given variances (d,), in any order; some may be zero, not all.

    >>> mtl.Diagonal([4.0, 1.0]).draw(2).matrix().tolist()
    [[4.0, 0.0], [0.0, 1.0]]
    """

    variances: Float[Array, " d"]
    singular: bool = eqx.field(static=True)

    def __init__(self, variances, singular: bool = False):
        """singular: whether some are zero; found where they can be looked at, as for `FromMatrix`."""
        require_bool(singular, "singular")
        self.singular, variances = singular, as_array(variances, "variances")
        if is_concrete(variances):
            numbers = np.asarray(variances)
            several = numbers.ndim == 1 and numbers.size > 0
            require(several, "variances", "one number per feature", f"of shape {numbers.shape}", "pass (4.0, 1.0, 0.5)")
            require_finite(numbers, "variances")
            cure = "pass a variance per feature"
            require(bool((numbers >= 0).all() and numbers.any()), "variances", "numbers >= 0, not all zero", numbers, cure)
            self.singular = bool((numbers == 0).any())
        self.variances = jnp.asarray(variances, float)

    def draw(self, n_features: int) -> Covariance:
        d = self.variances.shape[0]
        require(d == n_features, "variances", f"n_features = {n_features} numbers", d, f"pass n_features={d}")
        return Covariance(self.variances, singular=self.singular)


class FromMatrix(eqx.Module):
    """A given symmetric positive semidefinite matrix (d, d).

    >>> mtl.FromMatrix([[2.0, 1.0], [1.0, 2.0]]).draw(2).matrix().round(6).tolist()
    [[2.0, 1.0], [1.0, 2.0]]
    """

    matrix: Float[Array, "d d"]
    singular: bool = eqx.field(static=True)
    rounding: float = eqx.field(static=True)

    def __init__(self, matrix, singular: bool = False, rounding: float = 0.0):
        """rounding: an eigenvalue at or below this share of the largest is zero. Both are found where the matrix can be looked at.

        They are arguments because a sweep rebuilds a design from its fields, whose matrix is then traced or in another precision.
        """
        require_bool(singular, "singular")
        require(is_number(rounding) and 0 <= rounding < 1, "rounding", "a number from 0 to below 1", repr(rounding), "use 0")
        self.singular, self.rounding = singular, rounding
        matrix = matrix if isinstance(matrix, np.ndarray) else as_array(matrix, "covariance")
        if is_concrete(matrix):
            numbers = np.asarray(matrix)
            square = numbers.ndim == 2 and numbers.shape[0] == numbers.shape[1]
            require(square, "covariance", "a square matrix", f"of shape {numbers.shape}", "pass X.T @ X / len(X), or from_data(X)")
            require_finite(numbers, "covariance")
            floating = np.issubdtype(numbers.dtype, np.floating)
            self.rounding = max(rounding, float(len(numbers) * np.finfo(numbers.dtype if floating else float).eps))
            numbers = numbers.astype(np.float64)
            allowed = max(1e-8, self.rounding) * np.abs(numbers).max(initial=0)
            asymmetry = np.abs(numbers - numbers.T).max(initial=0)
            require(asymmetry <= allowed, "covariance", "symmetric", f"off by {asymmetry:.3g}", "pass (C + C.T) / 2")
            values = np.linalg.eigvalsh(numbers)
            semidefinite = "positive semidefinite", f"with an eigenvalue {values[0]:.3g}", "clip its negative eigenvalues"
            require(values[0] >= -allowed, "covariance", *semidefinite)
            self.singular = bool(values[0] <= self.rounding * values[-1])
        self.matrix = jnp.asarray(matrix, float)

    def draw(self, n_features: int) -> Covariance:
        d = self.matrix.shape[0]
        require(d == n_features, "covariance", f"of size n_features = {n_features}", f"of size {d}", f"pass n_features={d}")
        values, vectors = jnp.linalg.eigh(self.matrix)
        values = jnp.where(values > self.rounding * values[-1], values, 0)
        return Covariance(values[::-1], basis=vectors[:, ::-1], singular=self.singular)


def from_data(X) -> FromMatrix:
    """The covariance of the rows of X (m, d) about zero, X'X / m.

    >>> mtl.from_data(np.array([[2.0, 0.0], [0.0, 1.0]])).draw(2).matrix().round(6).tolist()
    [[2.0, 0.0], [0.0, 0.5]]
    """
    require_no_names(X, "X")
    rows = np.asarray(numbers_of(X, "X"))
    require(rows.ndim == 2, "X", "a matrix of rows", f"of shape {rows.shape}", "pass shape (m, d)")
    require(len(rows) > 0, "X", "at least one row", f"of shape {rows.shape}", "load some rows")
    require_finite(rows, "X")
    rows = rows if rows.dtype.kind == "f" else rows.astype(float)  # whole numbers would overflow in silence
    with np.errstate(all="ignore"):
        given = rows.T @ rows / len(rows)
        kept = given.astype(jnp.result_type(float))
    sound = np.isfinite(kept).all() and np.array_equal(np.diagonal(kept) > 0, (rows != 0).any(0))
    cure = "divide each column by its largest entry"
    require(bool(sound), "X", f"of squares that {kept.dtype} can hold", "too large or too small for that", cure)
    return FromMatrix(given)


def random_basis(key, n_features: int) -> Float[Array, "d d"]:
    """An orthonormal basis with the uniform (Haar) law."""
    gaussian = normal(key, (n_features, n_features))
    basis, triangle = jnp.linalg.qr(gaussian)
    return basis * jnp.sign(jnp.diagonal(triangle))


def require_design(design: object) -> None:
    """Refuse what draws no covariance."""
    draws = callable(getattr(design, "draw", None)) and not isinstance(design, type)
    require(draws, "design", "a design, such as Isotropic()", reprlib.repr(design), "use Spiked() or FromMatrix(S)")


class Rotated(eqx.Module):
    """Another design seen in a uniformly random orthonormal basis, the same for every seed.

    >>> design = mtl.Rotated(mtl.Diagonal([4.0, 1.0]), seed=1).draw(2).matrix()
    >>> np.linalg.eigvalsh(design).round(6).tolist()
    [1.0, 4.0]
    """

    design: eqx.Module
    seed: int = eqx.field(default=0, static=True)

    def __check_init__(self):
        require_design(self.design)
        require(is_whole(self.seed), "seed", "a whole number", repr(self.seed), "use 0")

    def draw(self, n_features: int) -> Covariance:
        plain = self.design.draw(n_features)
        basis = random_basis(jax.random.key(self.seed), n_features)
        return dataclasses.replace(plain, basis=basis if plain.basis is None else linalg.multiply(basis, plain.basis))
