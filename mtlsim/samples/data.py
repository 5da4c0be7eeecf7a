"""Rows and labels of one task or several, and drawing them."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from mtlsim.core.linalg import multiply
from mtlsim.tasks.classification import ClassificationPopulation
from mtlsim.tasks.covariance import Covariance
from mtlsim.tasks.recipe import Tasks
from mtlsim.tasks.relu import ReluPopulation

STUDENT_FREEDOM = 5.0


class Data(eqx.Module):
    """X (m, d) and y (m,) of one task."""

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
    """Uncorrelated entries of mean 0 and variance 1: standard normal, +-1, Student t with 5 degrees, or rows on a sphere."""
    shape = (n_rows, n_features)
    if law == "rademacher":
        return jax.random.rademacher(key, shape, dtype=jnp.asarray(0.0).dtype)
    if law == "student":
        return jax.random.t(key, STUDENT_FREEDOM, shape) * jnp.sqrt((STUDENT_FREEDOM - 2) / STUDENT_FREEDOM)
    normal = jax.random.normal(key, shape)
    if law == "sphere":
        return normal * jnp.sqrt(n_features) / jnp.linalg.norm(normal, axis=1, keepdims=True)
    return normal


def colour(covariance: Covariance, entries: Float[Array, "m d"]) -> Float[Array, "m d"]:
    """Rows of the given covariance from uncorrelated entries: X = Z F'."""
    return covariance.root(entries.T).T


def draw_data(tasks: Tasks, n_samples: tuple[int, ...], *, key: Key[Array, ""]) -> tuple[Data, ...]:
    """Explicit rows and labels of every task. The sizes are static here; moments take them as data (`draw_moments`)."""
    drawn = []
    for i in range(tasks.n_tasks):
        rows_key = tasks.stream(key, "covariates", -1 if tasks.shared_covariates else i)
        X = colour(tasks.covariances[i], draw_entries(rows_key, tasks.rows, n_samples[i], tasks.n_features))
        drawn.append(Data(X, tasks.label(i, multiply(X, tasks.parameters[i]), tasks.stream(key, "noise", i))))
    return tuple(drawn)


def draw_rows(tasks: ReluPopulation | ClassificationPopulation, *, key: Key[Array, ""]) -> Rows:
    """Rows and labels of every task, with room for `tasks.capacity`; the sizes are data, and more room moves no row."""
    X, y = [], []
    for i in range(tasks.n_tasks):
        rows_key = tasks.stream(key, "covariates", -1 if tasks.shared_covariates else i)
        X.append(colour(tasks.covariances[i], draw_entries(rows_key, tasks.rows, tasks.capacity, tasks.n_features)))
        y.append(tasks.label(i, multiply(X[-1], tasks.parameters[i]), tasks.stream(key, "noise", i)))
    used = jnp.arange(tasks.capacity) < tasks.n_samples[:, None]
    return Rows(jnp.where(used[..., None], jnp.stack(X), 0), jnp.where(used, jnp.stack(y), 0), used)
