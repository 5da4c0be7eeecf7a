"""Rows and labels of one task or several, and drawing them."""

import reprlib
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from mtlsim.core.checks import is_whole, require
from mtlsim.core.keys import check_key
from mtlsim.core.linalg import multiply
from mtlsim.core.registry import is_own
from mtlsim.samples.moments import Moments
from mtlsim.tasks.classification import ClassificationPopulation
from mtlsim.tasks.covariance import Covariance
from mtlsim.tasks.recipe import Tasks
from mtlsim.tasks.relu import ReluPopulation
from mtlsim.tasks.rows import own_law

STUDENT_FREEDOM = 5.0


class Data(eqx.Module):
    """X (m, d) and y (m,) of one task.

    >>> mtl.Data(X=jax.numpy.ones((4, 2)), y=jax.numpy.zeros(4)).X.shape
    (4, 2)
    """

    X: Float[Array, "m d"]
    y: Float[Array, " m"]


class Rows(eqx.Module):
    """Rows of K tasks with room for m each: X (K, m, d), y (K, m), and which of them are there (K, m)."""

    X: Float[Array, "K m d"]
    y: Float[Array, "K m"]
    used: Bool[Array, "K m"]

    def __getitem__(self, chosen) -> "Rows":
        return Rows(self.X[chosen], self.y[chosen], self.used[chosen])


def draw_entries(key: Key[Array, ""], law: str, n_rows: int, n_features: int) -> Float[Array, "m d"]:
    """Uncorrelated entries of mean 0 and variance 1: standard normal, +-1, Student t with 5 degrees, rows on a sphere, or a law of
    one's own."""
    if is_own(law):
        return own_law(law)(key, n_rows, n_features).astype(jnp.asarray(0.0).dtype)
    size = (n_rows * n_features,)  # flat, as in `mtlsim.core.keys.normal`
    if law == "rademacher":
        return jax.random.rademacher(key, size, dtype=jnp.asarray(0.0).dtype).reshape(n_rows, n_features)
    if law == "student":
        scale = jnp.sqrt((STUDENT_FREEDOM - 2) / STUDENT_FREEDOM)
        return scale * jax.random.t(key, STUDENT_FREEDOM, size).reshape(n_rows, n_features)
    entries = jax.random.normal(key, size).reshape(n_rows, n_features)
    if law == "sphere":
        return entries * jnp.sqrt(n_features) / jnp.linalg.norm(entries, axis=1, keepdims=True)
    return entries


def colour(covariance: Covariance, entries: Float[Array, "m d"]) -> Float[Array, "m d"]:
    """Rows of the given covariance from uncorrelated entries: X = Z F'."""
    return covariance.root(entries.T).T


def draw_data(tasks: Tasks, n_samples: tuple[int, ...], *, key: Key[Array, ""]) -> tuple[Data, ...]:
    """Explicit rows and labels of every task. The sizes are static here; moments take them as data (`draw_moments`).

    >>> tasks = mtl.LinearTasks(n_features=3, n_samples=(50, 20)).draw(key=jax.random.key(0))
    >>> [data.X.shape for data in mtl.draw_data(tasks, (50, 20), key=jax.random.key(1))]
    [(50, 3), (20, 3)]
    """
    key = check_key(key)
    require(isinstance(tasks, Tasks), "tasks", "concrete tasks", reprlib.repr(tasks), "draw them: LinearTasks().draw(key=key)")
    sizes = isinstance(n_samples, Sequence) and len(n_samples) == tasks.n_tasks and all(is_whole(n) and n >= 0 for n in n_samples)
    found = reprlib.repr(n_samples)
    require(sizes, "n_samples", f"{tasks.n_tasks} whole numbers, one per task", found, "they are static: write (1000, 200)")
    drawn = []
    for i in range(tasks.n_tasks):
        rows_key = tasks.stream(key, "covariates", -1 if tasks.shared_covariates else i)
        X = colour(tasks.covariances[i], draw_entries(rows_key, tasks.rows, n_samples[i], tasks.n_features))
        drawn.append(Data(X, tasks.label(i, multiply(X, tasks.parameters[i]), tasks.stream(key, "noise", i))))
    return tuple(drawn)


def draw_rows(
    tasks: Tasks | ReluPopulation | ClassificationPopulation, capacity: int | None = None, *, key: Key[Array, ""]
) -> Rows:
    """Rows and labels of every task, with room for `capacity`; the sizes are data, and more room moves no row.

    capacity: that of the tasks if left out; linear tasks have none of their own.
    """
    shape = (capacity or tasks.capacity, tasks.n_features)
    # mapped, so that the program draws normals once and not for every task
    rows_keys = tasks.streams(key, "covariates")
    rows_keys = jnp.broadcast_to(rows_keys[-1:], rows_keys.shape) if tasks.shared_covariates else rows_keys
    entries = jax.lax.map(lambda own: draw_entries(own, tasks.rows, *shape), rows_keys)
    X = jnp.stack([colour(covariance, own) for covariance, own in zip(tasks.covariances, entries, strict=True)])
    scores = multiply(X, tasks.parameters[..., None])[..., 0]
    y = jax.lax.map(lambda task: tasks.label(*task), (jnp.arange(tasks.n_tasks), scores, tasks.streams(key, "noise")))
    used = jnp.arange(shape[0]) < tasks.n_samples[:, None]
    return Rows(jnp.where(used[..., None], X, 0), jnp.where(used, y, 0), used)


def moments_of_rows(rows: Rows) -> Moments:
    """Sums over the rows that are there, K tasks; a task without rows counts as one of zeros."""
    counts = jnp.maximum(jnp.sum(rows.used, -1), 1).astype(rows.y.dtype)
    X, y = jnp.where(rows.used[..., None], rows.X, 0), jnp.where(rows.used, rows.y, 0)
    gram = jnp.einsum("kmd,kme->kde", X, X, precision="highest")
    return Moments(gram, jnp.einsum("kmd,km->kd", X, y, precision="highest"), jnp.sum(y**2, -1), counts)
