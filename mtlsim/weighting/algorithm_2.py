"""Weights from the singular value decomposition of the tasks' directions, Algorithm 2 of [wu2020understanding]."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from mtlsim.core.checks import is_concrete, is_whole, require
from mtlsim.core.linalg import inverse_square_root, multiply
from mtlsim.core.words import counted
from mtlsim.samples.moments import Moments, stack
from mtlsim.weighting._scheme import Example, Facts, FixedScheme, Signals

TIED = 1e-9  # times the largest singular value: two that differ by less are one
SILENT = 10  # roundings of |X||y|: an X'y that is shorter is zero


def svd_task_weights(X, Y, rank: int, normalized: bool = False, whitened: bool = False) -> Float[Array, " K"]:
    """w_k = |U_r' theta_k| with theta_k = X_k'y_k and U_r the top r left singular vectors of [theta_1 .. theta_K].

    X: rows (m, d) of all tasks with labels Y (m, K), or a sequence of K arrays (m_k, d) with labels (m_k,) each; memory-mapped
    arrays are read in blocks. rank: r, from 1 to K. normalized: over |theta_k|, so that the scale of labels does not matter; the
    paper's form (the default) doubles a weight with its labels. whitened: directions (X'X)^-1/2 X'y_k, whose span is that of the
    optimal shared layer (Proposition 3; see `mtlsim.theory.statements.algorithm_2_whitened`); tasks with rows of their own take
    the mean of their grams. One task alone gets the weight one. If the r-th and the next singular value are tied, squared weights
    are averaged over the tied directions. A task without a direction (X_k'y_k = 0, as of labels of zero) has the weight zero.
    Returns w (K,). Raises ValueError for lengths that differ, NaN or infinity, a rank over K, and where no task has a direction.

    >>> X, Y = np.eye(3), np.array([[1.0, 2.0], [0.0, 0.0], [0.0, 0.0]])  # the same direction, twice as large
    >>> mtl.svd_task_weights(X, Y, rank=1).round(6).tolist()
    [1.0, 2.0]
    >>> mtl.svd_task_weights(X, Y, rank=1, normalized=True).round(6).tolist()
    [1.0, 1.0]
    """
    if isinstance(X, (list, tuple)):
        require(
            len(X) == len(Y),
            "Y",
            f"labels of {counted(len(X), 'task')} like X",
            f"of {len(Y)}",
            "give one array of labels per task",
        )
        moments = stack([Moments.from_data(*task) for task in zip(X, Y, strict=True)])
    else:
        moments = Moments.from_shared_rows(X, Y)
    check_rank(rank, moments.n_tasks)
    weights, n_silent = weigh(moments, int(rank), normalized, whitened)
    heard = not is_concrete(n_silent) or int(n_silent) < moments.n_tasks
    require(heard, "Y", "labels of which some depend on the rows", "X'y = 0 for every task", "leave out labels that are all zero")
    return weights


def check_rank(rank, n_tasks: int) -> None:
    whole = is_whole(rank) and 1 <= rank <= n_tasks
    require(whole, "rank", f"a whole number from 1 to the {n_tasks} tasks", rank, "use the columns of the shared layer")


def weigh(moments: Moments, rank: int, normalized: bool, whitened: bool) -> tuple[Float[Array, " K"], Int[Array, ""]]:
    """The weights of `svd_task_weights` (K,), and how many tasks have no direction at all."""
    if moments.n_tasks == 1:
        return jnp.ones_like(moments.energy), jnp.zeros((), jnp.int32)
    sizes = jnp.sqrt(jnp.trace(moments.gram, axis1=-2, axis2=-1)) * jnp.sqrt(moments.energy)
    heard = jnp.linalg.norm(moments.cross, axis=-1) > SILENT * jnp.finfo(sizes.dtype).eps * sizes
    columns = jnp.where(heard, whiten(moments)[0] if whitened else moments.cross.T, 0)
    left, strengths, _ = jnp.linalg.svd(columns, full_matrices=False)
    edge = strengths[min(rank, len(strengths)) - 1]
    above, tied = strengths > edge + TIED * strengths[0], jnp.abs(strengths - edge) <= TIED * strengths[0]
    shares = jnp.where(above, 1, jnp.where(tied, (rank - jnp.sum(above)) / jnp.sum(tied), 0))
    weights = jnp.sqrt(multiply(jnp.minimum(shares, 1), multiply(left.T, columns) ** 2))
    lengths = jnp.where(heard, jnp.linalg.norm(columns, axis=0), 1)
    return weights / lengths if normalized else weights, jnp.sum(~heard)


def whiten(moments: Moments) -> tuple[Float[Array, "d K"], Float[Array, "d d"]]:
    """Columns P'X'y_k, and P with P'X'X P = identity on the range of X'X: P brings a direction among them back to the features."""
    gram = moments.gram if moments.shared_covariates else jnp.mean(moments.gram, 0)
    root, _ = inverse_square_root(gram)
    return multiply(root.T, moments.cross.T), root


def top_directions(columns: Float[Array, "d K"], rank: int) -> Float[Array, "d r"]:
    """The top left singular vectors of the columns."""
    return jnp.linalg.svd(columns, full_matrices=False)[0][:, :rank]


class Algorithm2(FixedScheme):
    """The weights of `svd_task_weights`, with `rank` that of the shared layer if left out, on mean losses.

    A weight acts on columns by its square root (Proposition 3); the paper's running example multiplies them by the weight itself.
    A task without a direction has the weight zero, and is counted. Columns of the layer beyond K weigh nothing more; a `rank` given
    here must be one of 1 to K.
    """

    rank: int | None = eqx.field(default=None, static=True)
    normalized: bool = eqx.field(default=False, static=True)
    whitened: bool = eqx.field(default=False, static=True)

    def decide(self, facts):
        require(facts.moments is not None, "moments", "among the facts for Algorithm 2", None, "train with `train_weighted`")
        n_tasks = facts.moments.n_tasks
        if self.rank is not None:
            check_rank(self.rank, n_tasks)
        return weigh(facts.moments, self.rank or min(facts.rank, n_tasks), self.normalized, self.whitened)


SCHEME = Algorithm2
SEEN = Signals([1.0, 1.0], [[1.0, 0.0], [0.0, 1.0]], 0)
MOMENTS = Moments(jnp.diag(jnp.array([1.0, 16.0])), jnp.diag(jnp.array([3.0, 4.0])), jnp.full(2, 99.0), jnp.full(2, 9.0))
FACTS = Facts([1.0, 1.0], [1.0, 1.0], MOMENTS)
CONFORMANCE = (
    # orthogonal directions of lengths 3 and 4: the longer one is kept; whitened lengths are 3 and 1
    Example(Algorithm2(), FACTS, [SEEN], [[0.0, 4.0]]),
    Example(Algorithm2(normalized=True), FACTS, [SEEN], [[0.0, 1.0]]),
    Example(Algorithm2(whitened=True), FACTS, [SEEN], [[3.0, 0.0]]),
    Example(Algorithm2(rank=2), FACTS, [SEEN], [[3.0, 4.0]]),
)
