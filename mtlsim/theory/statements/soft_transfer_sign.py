"""When a ridge around a source beats a ridge around zero, both of their best strength: where the source is nearer than zero.

Isotropic Gaussian rows, label noise, and any centre w that does not depend on the target's rows. The expected risk is
|theta_2 - w|^2 a + noise^2 b with a, b > 0 that depend on the strength, n and d alone, because the rows do not tell directions
apart; so its least value over strengths grows with the distance and

    soft transfer of best strength helps  if and only if  |theta_2 - w| < |theta_2|,

at every n and d, with the best strength noise^2 d / |theta_2 - w|^2 (rows of covariance identity; squared norms in Sigma
otherwise). For w = theta_1 this is cos(theta_1, theta_2) > |theta_1| / (2 |theta_2|): more than 1/2 at equal lengths.
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.transfer import Transfer
from mtlsim.core.extremes import smallest_of
from mtlsim.sharing.from_source import FromSource
from mtlsim.solvers.expected_risk import ROUNDING, anisotropy
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.margins import EXACTLY, decades, full_rank, own_variance
from mtlsim.theory.statement import OUTSIDE, Cells, Statement, gaussian_rows, measured, tasks_of
from mtlsim.theory.statements.frozen_layer import ENDLESS


def assume(cell, key):
    tasks = tasks_of(cell, key)
    covariance = tasks.covariances[-1]
    ridge = jnp.broadcast_to(jnp.asarray(0.0 if cell.ridge is None else cell.ridge, float), (tasks.n_tasks,))
    wanted = covariance.eigenvalues[0] * tasks.noise[-1] ** 2 * tasks.n_features
    distance = covariance.quadratic(tasks.parameters[0] - tasks.parameters[-1])
    energy = covariance.quadratic(tasks.parameters[-1])
    source = tasks.covariances[0]
    shrunk = ridge[0] / (tasks.n_samples[0] * smallest_of(source.eigenvalues)) * jnp.sqrt(covariance.quadratic(tasks.parameters[0]))
    apart = jnp.abs(jnp.sqrt(energy) - jnp.sqrt(distance))
    return {
        "Gaussian rows of their own for each task": gaussian_rows(cell),
        "a source without end of rows": jnp.log10(tasks.n_samples[0] / ENDLESS),
        "a source whose label noise decides nothing (decades)": decades(EXACTLY * apart, jnp.sqrt(own_variance(tasks, 0))),
        "a source whose ridge decides nothing (decades)": decades(EXACTLY * apart, shrunk),
        "covariances of full rank": full_rank(tasks),
        "isotropic covariance": ROUNDING - anisotropy(covariance),
        "soft transfer of best strength": 1e-6 - jnp.abs(cell.sharing.strength * distance / wanted - 1),
        "ridge of best strength alone": 1e-6 - jnp.abs(ridge[-1] * energy / wanted - 1),
    }


def predict(cell, key):
    """How much nearer the source is than zero, in squared distances: of the sign of the gain."""
    tasks = tasks_of(cell, key)
    square = tasks.covariances[-1].quadratic
    return {"gain": square(tasks.parameters[-1]) - square(tasks.parameters[0] - tasks.parameters[-1])}


def instance(place: str, rng: np.random.Generator) -> Transfer:
    ratio, gap = rng.uniform(0.3, 1.5), rng.choice([-1, 1]) * rng.uniform(0.2, 0.6)
    return _at(
        float(np.clip(ratio / 2 + gap, -0.95, 0.95)), ratio, int(rng.integers(3, 30)), rng, 50.0 if place == OUTSIDE else 1.0
    )


def threshold(factor: float, rng: np.random.Generator) -> Transfer:
    """A source at the cosine `factor` |theta_1| / (2 |theta_2|), long, so that 10 % of it are seen soonest."""
    ratio = rng.uniform(1.3, 1.6)
    return _at(float(factor * ratio / 2), ratio, int(rng.integers(3, 8)), rng)


def _at(cosine: float, ratio: float, n_target: int, rng: np.random.Generator, ridge_factor: float = 1.0) -> Transfer:
    d = 10
    scale, noise, norm = rng.uniform(0.5, 2), rng.uniform(0.3, 1.5), rng.uniform(0.7, 1.5)
    distance = norm**2 * (1 + ratio**2 - 2 * ratio * cosine)
    ridge, strength = ridge_factor * noise**2 * d / norm**2, noise**2 * d / distance
    tasks = LinearTasks(
        n_features=d,
        n_samples=(1e12, n_target),
        cosine=cosine,
        noise=(1.0, noise),
        parameter_norm=(ratio * norm, norm),
        design=Isotropic(scale),
        relation="same",
    )
    return Transfer(tasks, ridge=(0.0, float(ridge)), sharing=FromSource(float(strength)))


STATEMENT = Statement(
    name="soft-transfer-sign",
    claim="Soft transfer of best strength beats the best ridge if and only if the source is nearer to the target than zero is.",
    source=("derived",),
    kind="sign",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("gain"),
    cells=Cells(sharing="from-source", n_tasks=2, weights=True, ridge=True),
    threshold=threshold,
)
