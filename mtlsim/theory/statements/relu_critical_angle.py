"""Two equal ReLU tasks share one unit at their bisector, up to a critical angle of 85.406 degrees, beyond which it goes to one.

With one covariance and equal energies p, a unit at the angles phi and omega - phi from the tasks' own explains

    p [kappa(phi)^2 + kappa(omega - phi)^2],    kappa of `mtlsim.core.arc_cosine` [cho2009kernel].

The bisector phi = omega / 2 is its maximum while kappa^2 is concave there, that is for omega < omega_c with
(kappa^2)''(omega_c / 2) = 0. Beyond omega_c the maximum splits in two (a pitchfork) that run towards one task each: at 88 degrees
the shares of energy kept are .83 and .35, at 90 .88 and .27, at 100 .97 and .10, at 120 .999 and .014 (.371 midway). The linear
model has nothing like it: cos^2 shares opposite tasks perfectly, because a head can change its sign.
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.population import Population
from mtlsim.core.arc_cosine import kappa
from mtlsim.core.extremes import largest_of
from mtlsim.tasks.covariance import PowerLaw
from mtlsim.tasks.relu import ReluTasks
from mtlsim.theory.statement import EDGE, INSIDE, Statement, tasks_of

CRITICAL = 1.490610378  # radians: twice the root of (kappa^2)''


def _angle(tasks):
    root = tasks.covariances[-1].root_transpose
    first, second = root(tasks.parameters[0]), root(tasks.parameters[-1])
    cosine = jnp.sum(first * second) / (jnp.linalg.norm(first) * jnp.linalg.norm(second))
    return jnp.arccos(jnp.clip(cosine, -1, 1))


def assume(cell, key):
    tasks = tasks_of(cell, key)
    heavy = tasks.energies() * tasks.n_samples
    matrices = [covariance.matrix() for covariance in tasks.covariances]
    return {
        "an angle below the critical one": CRITICAL - _angle(tasks),
        "equal energies": 1e-9 - jnp.abs(heavy[0] / heavy[1] - 1),
        "one covariance": 1e-9 - largest_of(jnp.abs(matrices[0] - matrices[1])),
    }


def predict(cell, key):
    tasks = tasks_of(cell, key)
    explained = kappa(jnp.cos(_angle(tasks) / 2)) ** 2
    return {"explained_source": explained, "risk_multi": (1 - explained) * tasks.energies()[-1]}


def measure(cell, key):
    found = cell(key=key)
    return {"explained_source": found.explained_source, "risk_multi": found.risk_multi}


def instance(place: str, rng: np.random.Generator) -> Population:
    d, low, high = 6, *{INSIDE: (0.1, 1.2), EDGE: (1.4, 1.48)}.get(place, (1.52, 2.8))
    angle, exponent = rng.uniform(low, high), float(rng.uniform(0, 1.5))
    spectrum = np.asarray(PowerLaw(exponent).draw(d).eigenvalues)
    plane = np.linalg.qr(rng.normal(size=(d, 2)))[0].T
    directions = np.stack([np.cos(angle) * plane[0] + np.sin(angle) * plane[1], plane[0]]) / np.sqrt(spectrum)
    n, parameters = int(rng.integers(50, 500)), directions * rng.uniform(0.5, 2)
    # one capacity, for one program
    return Population(ReluTasks(d, (n, n), design=PowerLaw(exponent), relation="same", parameters=parameters, capacity=500))


STATEMENT = Statement(
    name="relu-critical-angle",
    claim="Two equal ReLU tasks share one unit at their bisector if their angle is below 85.406 degrees.",
    source=("derived", "cho2009kernel"),
    kind="identity",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
)
