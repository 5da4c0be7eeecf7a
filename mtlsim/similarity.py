"""How alike two tasks are: covariance similarity (literal and normalised), cosine of parameters, principal angles, labels."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mtlsim.core import linalg
from mtlsim.core.checks import as_array, is_concrete, require, require_bool, require_finite, require_finite_rows, require_one
from mtlsim.core.containers import column_order, numbers_of
from mtlsim.samples.moments import BLOCK_BYTES, Moments
from mtlsim.tasks.covariance import Covariance

Rows = Array | np.ndarray


def covariance_similarity(first, second, kept: float = 0.99, normalized: bool = False, centred: bool = False) -> Float[Array, ""]:
    """Covariance similarity score of two tasks, Eq. 5 of [wu2020understanding].

        score = |(U1 D1^1/2)' U2 D2^1/2|_F / (|U1 D1^1/2|_F |U2 D2^1/2|_F),

    with U_i D_i U_i' the best low-rank approximation of C_i = X_i'X_i whose eigenvalues hold `kept` of their sum. It does not
    change under a common rotation or when a C_i is rescaled. A task with itself scores |D|_F / tr D, not 1;
    `normalized` divides by the geometric mean of both self-scores, so that 1 = same. Rows without any signal score 0.
    first, second: rows X (m, d), `Moments`, or a population `Covariance`; columns of two data frames are matched by name.
    centred: take each task's own means off its rows first, as `mtlsim transfer` and `mtlsim score` do; the paper does not, and a
    common offset then makes everything alike. Raises ValueError for different d, other names, and moments to be centred.

    >>> X = np.diag([2.0, 1.0])
    >>> round(float(mtl.covariance_similarity(X, 3 * X, normalized=True)), 6)
    1.0
    """
    require_one(kept, lambda share: (share > 0) & (share <= 1), "kept", "in (0, 1]", "use 0.99 as in the paper")
    require_bool(normalized, "normalized")
    require_bool(centred, "centred")
    order = column_order(second, first, "second", "first")
    grams = _gram(first, "first", centred), _gram(second, "second", centred)
    grams = grams if order is None else (grams[0], grams[1][jnp.asarray(order)][:, jnp.asarray(order)])
    sizes = [gram.shape[-1] for gram in grams]
    require(
        sizes[0] == sizes[1], "second", f"of {sizes[0]} features like first", f"of {sizes[1]}", "give both tasks the same columns"
    )
    return _covariance_similarity(*grams, kept, normalized)


@partial(jax.jit, static_argnames="normalized")
def _covariance_similarity(
    first: Float[Array, "d d"], second: Float[Array, "d d"], kept: Float[Array, ""] | float, normalized: bool
) -> Float[Array, ""]:
    (values1, vectors1), (values2, vectors2) = (_low_rank(gram, kept) for gram in (first, second))
    overlap = linalg.multiply(vectors1.T, vectors2)
    shared = jnp.sum(values1[:, None] * values2[None] * overlap**2)
    if normalized:  # the sums cancel
        return jnp.sqrt(_ratio(shared, jnp.linalg.norm(values1) * jnp.linalg.norm(values2)))
    return jnp.sqrt(_ratio(shared, jnp.sum(values1) * jnp.sum(values2)))


def cosine_similarity(first: Float[Rows, " d"], second: Float[Rows, " d"]) -> Float[Array, ""]:
    """Euclidean cosine of two parameter vectors; NaN-free: zero where one of them is zero.

    >>> float(mtl.cosine_similarity(np.array([1.0, 0.0]), np.array([3.0, 4.0])))
    0.6
    """
    first, second = _alike(first, second, 1, "one number per feature", "pass (0.3, 0.7)")
    return _ratio(linalg.multiply(first, second), jnp.linalg.norm(first) * jnp.linalg.norm(second))


def _alike(first, second, ndim: int, must_be: str, cure: str) -> tuple[Array, Array]:
    """Both as arrays of so many axes and of the same features."""
    arrays = []
    for value, argument in ((first, "first"), (second, "second")):
        arrays.append(jnp.asarray(as_array(value, argument), float))
        require_finite(arrays[-1], argument)
        require(arrays[-1].ndim == ndim, argument, must_be, f"of shape {arrays[-1].shape}", cure)
    sizes = [array.shape[0] for array in arrays]
    require(sizes[0] == sizes[1], "second", f"of {sizes[0]} features like first", f"of {sizes[1]}", "give both the same features")
    return tuple(arrays)


def principal_angles(first: Float[Rows, "d r"], second: Float[Rows, "d s"]) -> Float[Array, " k"]:
    """Angles in radians, smallest first, between the spans of two layers [bjorck1973numerical].

    >>> first, second = np.array([[1.0], [0.0]]), np.array([[1.0], [1.0]])
    >>> np.degrees(mtl.principal_angles(first, second)).round(6).tolist()
    [45.0]
    """
    bases = [jnp.linalg.qr(layer)[0] for layer in _alike(first, second, 2, "a matrix, a row per feature", "pass B of shape (d, r)")]
    cosines = jnp.linalg.svd(linalg.multiply(bases[0].T, bases[1]), compute_uv=False)
    return jnp.arccos(jnp.clip(cosines, -1, 1))


def jensen_shannon(first, second) -> Float[Array, ""]:
    """Jensen-Shannon divergence of two laws of c labels, in nats: 0 for equal ones, log 2 for disjoint ones.

        JS = (KL(p | m) + KL(q | m)) / 2 with m = (p + q) / 2 [lin1991divergence]
           = sum over labels of m (t atanh t + log(1 - t^2) / 2) with t = (p - q) / (p + q), which keeps its digits near zero.

    first, second: (c,) probabilities, or counts, which are divided by their sum. Raises ValueError for negative ones and other
    lengths.

    >>> round(float(mtl.jensen_shannon(np.array([1.0, 0.0]), np.array([0.0, 1.0]))), 6)  # log 2
    0.693147
    """
    laws = [jnp.asarray(law, float) for law in (as_array(first, "first"), as_array(second, "second"))]
    for law, argument in zip(laws, ("first", "second"), strict=True):
        require(law.ndim == 1 and law.size > 0, argument, "one probability per label", f"of shape {law.shape}", "pass (0.3, 0.7)")
    sizes = [law.shape[0] for law in laws]
    require(sizes[0] == sizes[1], "second", f"of {sizes[0]} labels like first", f"of {sizes[1]}", "give both the same labels")
    for law, argument in zip(laws, ("first", "second"), strict=True):
        if is_concrete(law):
            numbers = np.asarray(law)
            sound = bool(np.isfinite(numbers).all() and (numbers >= 0).all() and numbers.sum() > 0)
            require(sound, argument, "numbers >= 0, not all zero", numbers, "pass probabilities or counts")
    p, q = (law / jnp.sum(law) for law in laws)
    total = p + q
    t = jnp.where(total > 0, (p - q) / jnp.where(total > 0, total, 1), 0)
    inner = jnp.where(jnp.abs(t) < 1, t, 0)
    term = jnp.where(jnp.abs(t) < 1, inner * jnp.arctanh(inner) + jnp.log1p(-(inner**2)) / 2, jnp.log(2.0))
    return jnp.sum(total / 2 * term)


def _ratio(part: Float[Array, ""], size: Float[Array, ""]) -> Float[Array, ""]:
    """part / size, and zero where there is nothing to compare."""
    return jnp.where(size > 0, part / jnp.where(size > 0, size, 1), 0)


def _gram(thing, argument: str, centred: bool) -> Float[Array, "d d"]:
    if isinstance(thing, Moments):
        cure = "pass the rows, or moments of rows less their means and centred=False"
        require(not centred, argument, "rows or a Covariance to be centred", "Moments, which keep no means", cure)
        return thing.gram
    if isinstance(thing, Covariance):
        return thing.matrix()
    return scatter(thing, argument, centred)


def scatter(X, argument: str, centred: bool) -> Float[Array, "d d"]:
    """X'X of rows (m, d), or of rows less their means, up to a factor that keeps squares in range; memory-mapped rows are read in
    blocks. Raises ValueError for other shapes, for what is no number, NaN and infinity.
    """
    X = numbers_of(X, argument)
    cure = "pass one row per sample"
    require(np.ndim(X) == 2, argument, "rows (m, d), Moments or a Covariance", f"of shape {np.shape(X)}", cure)
    require(min(X.shape) > 0, argument, "at least one row and one column", f"of shape {X.shape}", "load some rows")
    if isinstance(X, jax.core.Tracer):
        X = X - jnp.mean(X, 0) if centred else X
        return linalg.multiply(X.T, X)
    block = max(1, BLOCK_BYTES // (8 * X.shape[1]))
    starts, bad, peak = range(0, len(X), block), 0, 0.0
    for start in starts:
        rows = np.asarray(X[start : start + block]).astype(float)
        bad += int(np.sum(~np.isfinite(rows).all(1)))
        peak = max(peak, float(np.max(np.abs(rows))))
    require_finite_rows(bad, len(X), argument)
    shrink = -int(np.frexp(peak)[1])
    first = np.ldexp(np.asarray(X[:1]).astype(float), shrink) if centred else np.zeros((1, X.shape[1]))
    gram, total = np.zeros((X.shape[1],) * 2), np.zeros(X.shape[1])
    for start in starts:
        rows = np.ldexp(np.asarray(X[start : start + block]).astype(float), shrink) - first
        gram, total = gram + rows.T @ rows, total + rows.sum(0)
    return jnp.asarray(gram - np.outer(total, total) / len(X) if centred else gram, float)


def _low_rank(gram: Float[Array, "d d"], kept: Float[Array, ""] | float) -> tuple[Float[Array, " d"], Float[Array, "d d"]]:
    """Eigenvalues in falling order, those past the kept share set to zero, and their eigenvectors."""
    values, vectors = jnp.linalg.eigh(gram)
    values, vectors = jnp.maximum(values[::-1], 0), vectors[:, ::-1]
    before = jnp.cumsum(values) - values
    total = jnp.sum(values)
    inside = before < kept * total * (1 - 4 * jnp.finfo(values.dtype).eps)
    return jnp.where(inside, values, 0) / jnp.where(total > 0, total, 1), vectors
