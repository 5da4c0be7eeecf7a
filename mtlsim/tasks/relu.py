"""ReLU tasks: labels are a ReLU unit of the row, and noise."""

import dataclasses
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from mtlsim.core.arc_cosine import angle_between, kappa, shortfall
from mtlsim.core.checks import require, require_all
from mtlsim.core.linalg import minimum_norm, multiply
from mtlsim.tasks.recipe import Recipe, Tasks, check_capacity, entries


class ReluPopulation(Tasks):
    """K concrete ReLU tasks: y_i = amplitude_i relu(X_i theta_i) + noise_i * standard normal, rows of covariance Sigma_i.

    capacity: how many rows of each task there is room for, at least n_samples.
    """

    amplitude: Float[Array, " K"] = None
    capacity: int = eqx.field(default=0, static=True)
    activation: ClassVar[str] = "relu"

    def signal(self, task: int | Int[Array, ""], scores: Float[Array, " m"]) -> Float[Array, " m"]:
        return self.amplitude[task] * jax.nn.relu(scores)

    def label(self, task: int | Int[Array, ""], scores: Float[Array, " m"], key: Key[Array, ""]) -> Float[Array, " m"]:
        """Labels of rows with scores X theta."""
        return self.signal(task, scores) + self.noise[task] * jax.random.normal(key, scores.shape)

    def energies(self) -> Float[Array, " K"]:
        """E of the squared label without noise, amplitude_i^2 theta_i' Sigma_i theta_i / 2."""
        squares = [covariance.quadratic(theta) for covariance, theta in zip(self.covariances, self.parameters, strict=True)]
        return self.amplitude**2 * jnp.stack(squares) / 2

    def explained(self, cosine: Float[Array, "..."]) -> Float[Array, "..."]:
        return kappa(cosine) ** 2

    def best_heads(self, shared: Float[Array, "d r"]) -> Float[Array, "K r"]:
        """Heads of least excess risk on the units relu(x'B), those of smallest norm where units coincide; Gaussian rows."""
        right = np.ndim(shared) == 2 and np.shape(shared)[0] == self.n_features
        require(right, "shared", f"of shape ({self.n_features}, r)", f"of shape {np.shape(shared)}", "pass a column per unit")
        heads = []
        for i in range(self.n_tasks):
            products = self._products(shared, i)
            heads.append(self.amplitude[i] * minimum_norm(products[:-1, :-1], products[:-1, -1]))
        return jnp.stack(heads)

    def _products(self, shared: Float[Array, "d r"], task: int) -> Float[Array, "s s"]:
        """`unit_products` of the units and the truth, under the task's covariance."""
        every = jnp.concatenate([shared, self.parameters[task][:, None]], 1)
        return unit_products(self.covariances[task].root_transpose(every))

    def excess_risk(self, shared: Float[Array, "d r"], head: Float[Array, " r"], task: int = -1) -> Float[Array, ""]:
        """Exact E (relu(x'B) A - amplitude relu(x'theta))^2 over Gaussian rows, by the arc-cosine kernel [cho2009kernel]."""
        amplitude = self.amplitude[task]
        if shared.shape[1] == 1:  # no digit is lost where the two nearly agree
            root = self.covariances[task].root_transpose
            units, truth = root(shared), root(self.parameters[task])
            learned, wanted = head[0] * jnp.linalg.norm(units), amplitude * jnp.linalg.norm(truth)
            return (learned - wanted) ** 2 / 2 + learned * wanted * shortfall(angle_between(units[:, 0], truth))
        signed = jnp.append(head, -amplitude)
        return jnp.maximum(multiply(signed, self._products(shared, task), signed), 0)


def unit_products(units: Float[Array, "d r"]) -> Float[Array, "r r"]:
    """E[relu(u_j'z) relu(u_k'z)] for standard normal z."""
    squares = jnp.sum(units**2, 0)
    lengths = jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1)), 0)  # a unit of length zero has a derivative
    directions = units / jnp.where(lengths > 0, lengths, 1)
    return lengths[:, None] * lengths * kappa(multiply(directions.T, directions)) / 2


class ReluTasks(Recipe):
    """Recipe of K ReLU tasks, sources first, target last. A key draws a concrete `ReluPopulation` from it.

    y = amplitude relu(x'theta) + noise. All other fields are those of `LinearTasks`, and the cosine now has a sign that
    matters: a head of the other sign does not turn a unit around. amplitude: one number or K. capacity: rows per task that
    there is room for, a shape; the largest of n_samples if left out (`mtlsim.sweep` makes room for its grid).

    Raises ValueError for values outside their domain. Source: [wu2020understanding], Section 2.1.

    >>> tasks = mtl.ReluTasks(n_features=3, n_samples=(300, 60), cosine=0.9, noise=0.5)
    >>> tasks.draw(key=jax.random.key(0)).parameters.shape
    (2, 3)
    """

    need_rows = True

    amplitude: tuple
    capacity: int = eqx.field(static=True)

    def __init__(self, n_features=40, n_samples=(1000, 200), cosine=None, amplitude=1.0, capacity=None, **recipe):
        super().__init__(n_features=n_features, n_samples=n_samples, cosine=cosine, **recipe)
        self.amplitude = entries(amplitude, self.n_tasks, "amplitude")
        self.capacity = check_capacity(self.n_samples, capacity)

    def __check_init__(self):
        require_all(self.amplitude, np.isfinite, "amplitude", "a finite number", "use 1")

    def draw(self, *, key: Key[Array, ""] | None = None) -> ReluPopulation:
        plain = super().draw(key=key)
        fields = {field.name: getattr(plain, field.name) for field in dataclasses.fields(plain)}
        amplitude = jnp.stack([jnp.asarray(a, float) for a in self.amplitude])
        return ReluPopulation(**fields, amplitude=amplitude, capacity=self.capacity)
