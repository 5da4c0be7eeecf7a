"""Sharing without sampling error: what one shared direction costs the target when every task has its whole population."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from mtlsim.core.checks import as_numbers, is_concrete, require
from mtlsim.core.extremes import smallest_of
from mtlsim.core.keys import check_key
from mtlsim.core.status import Status, flag, worst
from mtlsim.core.words import counted
from mtlsim.samples.moments import Moments
from mtlsim.solvers.objective import check_per_task, check_weights, per_task
from mtlsim.solvers.relu_population import solve_relu_population
from mtlsim.solvers.solve import solve
from mtlsim.tasks.classification import ClassificationTasks
from mtlsim.tasks.recipe import Recipe, require_recipe
from mtlsim.tasks.relu import ReluPopulation


class SharedDirection(eqx.Module):
    """The best shared direction of two tasks. cosine_*: with each task's parameters, in its covariance. explained_*: share of
    E[label^2], noise apart, that the task's best head then explains. risk_multi: excess risk on the target, which alone would
    be zero. gap: the objective minus its proven lower bound, over the smaller task's energy.
    """

    risk_multi: Float[Array, ""]
    cosine_source: Float[Array, ""]
    cosine_target: Float[Array, ""]
    explained_source: Float[Array, ""]
    explained_target: Float[Array, ""]
    gap: Float[Array, ""]
    certificate: Int[Array, ""]
    status: Int[Array, ""]


class Population(eqx.Module):
    """A cell: `cell(key=...)` draws two tasks and shares one direction between their whole populations, exactly.

    Tasks count by weights_i n_samples_i, so that n_samples says how heavy each is and nothing else. tasks: `LinearTasks` or
    `ReluTasks`, a source and the target. Source: [wu2020understanding], Section 2; [cho2009kernel] for ReLU.

    >>> tasks = mtl.LinearTasks(n_features=3, n_samples=(1, 1), cosine=0.5, design=mtl.Isotropic(), relation="same")
    >>> draw = mtl.Population(tasks)(key=jax.random.key(0))
    >>> round(float(draw.explained_source + draw.explained_target), 6)  # midway: twice cos^2(30 degrees)
    1.5
    """

    tasks: Recipe
    weights: tuple | Array | None = None

    def __check_init__(self):
        require_recipe(self.tasks)
        require(self.tasks.n_tasks == 2, "tasks", "a source and the target", counted(self.tasks.n_tasks, "task"), "drop the others")
        known = not isinstance(self.tasks, ClassificationTasks)
        require(
            known,
            "tasks",
            "linear or ReLU tasks",
            "classification tasks",
            "see theory.classification_least_squares",
        )
        gaussian = self.tasks.rows == "gaussian" or not hasattr(self.tasks, "amplitude")
        require(gaussian, "tasks", "with Gaussian rows for ReLU units", repr(self.tasks.rows), "use rows='gaussian'")
        check_weights(self.weights)
        if self.weights is not None and all(is_concrete(weight) for weight in jax.tree.leaves(self.weights)):
            check_per_task(as_numbers(self.weights, "weights"), 2, "weights")

    def __call__(self, *, key: Key[Array, ""] | None = None) -> SharedDirection:
        tasks = self.tasks.draw(key=check_key(key))
        sizes = per_task(self.weights, 1.0, 2, "weights", tasks.parameters.dtype) * tasks.n_samples
        relu = isinstance(tasks, ReluPopulation)
        squares = jnp.stack([tasks.covariances[i].quadratic(tasks.parameters[i]) for i in range(2)])
        energies = tasks.energies() if relu else squares
        if relu:
            found = solve_relu_population(tasks.covariances, tasks.parameters, sizes * energies)
            direction, gap, certificate = found.direction, found.gap, found.certificate
            status = jnp.zeros((), jnp.int32)
        else:
            crosses = jnp.stack(
                [tasks.covariances[i].root(tasks.covariances[i].root_transpose(tasks.parameters[i])) for i in range(2)]
            )
            grams = jnp.stack([covariance.matrix() for covariance in tasks.covariances])
            scale = sizes[:, None, None]
            found = solve(Moments(scale * grams, sizes[:, None] * crosses, sizes * squares, jnp.full(2, 2.0 * tasks.n_features)), 1)
            direction, gap, certificate, status = found.shared[:, 0], found.gap, found.certificate, found.status
        cosines = jnp.stack([_cosine(tasks, i, direction) for i in range(2)])
        explained = tasks.explained(cosines)
        return SharedDirection(
            (1 - explained[1]) * energies[1],
            *cosines,
            *explained,
            gap / jnp.maximum(smallest_of(sizes * energies), jnp.finfo(gap.dtype).tiny),
            certificate,
            worst(tasks.status, status, flag(~jnp.isfinite(direction[0]), Status.ill_conditioned)),
        )


def _cosine(tasks, i: int, direction: Float[Array, " d"]) -> Float[Array, ""]:
    root = tasks.covariances[i].root_transpose
    learned, wanted = root(direction), root(tasks.parameters[i])
    size = jnp.linalg.norm(learned) * jnp.linalg.norm(wanted)
    return jnp.sum(learned * wanted) / jnp.where(size > 0, size, 1)
