"""The best ReLU unit that two tasks share lies on a curve known in closed form, and no other direction explains more.

For any two covariances the search is one-dimensional (`mtlsim.solvers.relu_population`, which proves an upper bound beside the
value). Measured: the best of gradient ascents over all directions from several starts, which must stay below that bound.
"""

import jax
import jax.numpy as jnp
import numpy as np

from mtlsim.cells.population import Population
from mtlsim.core.extremes import largest_of, smallest_of
from mtlsim.core.keys import normal, stream
from mtlsim.core.linalg import diagonalise_pair, multiply
from mtlsim.solvers.relu_population import make_pair, solve_relu_pair
from mtlsim.tasks.covariance import PowerLaw
from mtlsim.tasks.relu import ReluTasks
from mtlsim.theory.margins import full_rank
from mtlsim.theory.statement import EDGE, INSIDE, Statement, tasks_of

N_STARTS, N_STEPS = 2, 80


def _pair(cell, key):
    tasks = tasks_of(cell, key)
    energies = tasks.energies() * tasks.n_samples
    values, factor, vectors = diagonalise_pair(*(covariance.matrix() for covariance in tasks.covariances))
    coordinates = multiply(tasks.parameters, factor, vectors)
    return make_pair(jnp.stack([values, jnp.ones_like(values)]), coordinates, energies / jnp.sum(energies))


def assume(cell, key):
    tasks = tasks_of(cell, key)
    return {"labels in both tasks": smallest_of(tasks.energies()), "covariances of full rank": full_rank(tasks)}


def predict(cell, key):
    found = solve_relu_pair(_pair(cell, key))
    return {"explained": found.explained + found.gap}


def measure(cell, key):
    """Ascent along the whitened gradient, with a step that shrinks."""
    pair = _pair(cell, key)
    scale = 1 / jnp.sqrt(jnp.mean(pair.spectra, 0))
    value = lambda point: pair.explained(pair.cosines(scale * point))

    def climb(point):
        def step(i, point):
            slope = jax.grad(value)(point)
            length = jnp.linalg.norm(slope)
            point = point + 2.0 ** (-i / 10) * slope / jnp.where(length > 0, length, 1)
            return point / jnp.linalg.norm(point)

        return value(jax.lax.fori_loop(0, N_STEPS, step, point / jnp.linalg.norm(point)))

    starts = normal(stream(key, "ascent"), (N_STARTS, pair.sides.shape[1]), pair.sides.dtype)
    return {"explained": largest_of(jax.lax.map(climb, starts))}


def trivial(cell, key):
    return jnp.ones(())


def instance(place: str, rng: np.random.Generator) -> Population:
    """On the edge the tasks point away from each other, and cosines of both signs occur."""
    cosine = rng.uniform(0.2, 0.95) if place == INSIDE else rng.uniform(-0.9, -0.1)
    n = rng.integers(50, 500, 2).tolist()
    design = PowerLaw(float(rng.uniform(0, 2)))
    # one capacity, for one program
    return Population(ReluTasks(8, n, cosine=float(cosine), design=design, relation="disjoint", capacity=500))


STATEMENT = Statement(
    name="relu-frontier",
    claim="No shared ReLU unit explains more than the best one on the frontier of the two cosines.",
    source=("derived",),
    kind="bound",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    trivial=trivial,
    places=(INSIDE, EDGE),
)
