"""Covariances of several tasks, before and after an alignment matrix each, and how alike they are."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from mtlsim.samples.data import Rows
from mtlsim.samples.moments import Moments
from mtlsim.similarity import covariance_similarity


def covariances_of(tasks: Moments | Rows) -> Float[Array, "K d d"]:
    """X_k'X_k over the number of rows, one for each task also where the tasks share their rows."""
    if isinstance(tasks, Moments):
        grams = jnp.broadcast_to(tasks.gram, (*tasks.cross.shape, tasks.n_features))
        return grams / tasks.n_samples[:, None, None]
    X = jnp.where(tasks.used[..., None], tasks.X, 0)
    counts = jnp.maximum(jnp.sum(tasks.used, -1), 1)
    return jnp.einsum("kmd,kme->kde", X, X, precision="highest") / counts[:, None, None]


def turn_covariances(covariances: Float[Array, "K d d"], alignments: Float[Array, "K d d"]) -> Float[Array, "K d d"]:
    """R_k'S_k R_k, the covariances of the rows X_k R_k."""
    turned = jnp.einsum("kde,kdf,kfg->keg", alignments, covariances, alignments, precision="highest")
    return (turned + jnp.swapaxes(turned, -1, -2)) / 2


def turn_tasks(tasks: Moments | Rows, alignments: Float[Array, "K d d"]) -> Moments | Rows:
    """The same labels on the rows X_k R_k."""
    if isinstance(tasks, Rows):
        return Rows(jnp.einsum("kmd,kde->kme", tasks.X, alignments, precision="highest"), tasks.y, tasks.used)
    gram = turn_covariances(covariances_of(tasks), alignments) * tasks.n_samples[:, None, None]
    cross = jnp.einsum("kd,kde->ke", tasks.cross, alignments, precision="highest")
    return Moments(gram, cross, tasks.energy, tasks.n_samples)


def scores_with_last(covariances: Float[Array, "K d d"], normalized: bool = True) -> Float[Array, " K-1"]:
    """Covariance similarity of every task but the last with the last."""
    means = [_as_moments(covariance) for covariance in covariances]
    scores = [covariance_similarity(one, means[-1], normalized=normalized) for one in means[:-1]]
    return jnp.stack(scores) if scores else jnp.zeros((0,), covariances.dtype)


def _as_moments(gram: Float[Array, "d d"]) -> Moments:
    zero = jnp.zeros((), gram.dtype)
    return Moments(gram, jnp.zeros_like(gram[0]), zero, zero + 1)
