"""Where sharing one ReLU unit ends up when the source has rows without end: the source's own unit, and a head on few rows.

With B = theta_1, omega the angle of the tasks in the target's covariance and E_2 = E[label_2^2] without noise, the target's head
A is a regression through the origin on the feature phi = relu(x'B), and with n = n_2 rows

    tau^2 = E_2 (1 - kappa(omega)^2),    E risk = tau^2 + E[phi^2 (noise_2^2 + miss^2)] / (n E[phi^2]) + O(1 / n^2),

where miss = label_2 - A* phi. All moments are integrals over a plane: E[u^2 v^2], E[u^3 v] and E[u^4] of two ReLU units of
length one are J(omega) / (2 pi), 4 (cos(omega) I(omega) + sin^5(omega) / 4) / pi and 3 / 2, with

    J = 3 sin(omega) cos(omega) + (pi - omega) (1 + 2 cos^2(omega)),
    I = 3 (pi - omega) / 8 + sin(2 omega) / 4 - sin(4 omega) / 32.

Compare `plateau` of the linear model.
"""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mtlsim.core.arc_cosine import angle_between, kappa
from mtlsim.core.keys import stream
from mtlsim.core.linalg import multiply
from mtlsim.samples.data import draw_rows
from mtlsim.tasks.covariance import PowerLaw
from mtlsim.tasks.relu import ReluTasks
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement, tasks_of

FEWEST = 40.0  # target rows


class EndlessSource(eqx.Module):
    """Two ReLU tasks whose source's unit is known; the target's head is fitted to its rows."""

    tasks: ReluTasks


def plateau(angle, amplitude, truth, unit, noise, n_samples):
    """The formula, for lengths of the target's parameters and of the unit in the target's covariance."""
    sine, cosine, rest = jnp.sin(angle), jnp.cos(angle), np.pi - angle
    even = (3 * sine * cosine + rest * (1 + 2 * cosine**2)) / (2 * np.pi)
    fourth = 3 * rest / 8 + jnp.sin(2 * angle) / 4 - jnp.sin(4 * angle) / 32
    odd = 4 * (cosine * fourth + sine**5 / 4) / np.pi
    head = amplitude * truth * kappa(cosine) / unit
    missed = (amplitude * truth) ** 2 * even - 2 * amplitude * truth * head * unit * odd + 1.5 * (head * unit) ** 2
    lost = (amplitude * truth) ** 2 / 2 * (1 - kappa(cosine) ** 2)
    return lost + (noise**2 / 2 + missed) / (n_samples / 2)


def _pieces(case, key):
    tasks = tasks_of(case, key)
    root = tasks.covariances[-1].root_transpose
    return tasks, root(tasks.parameters[0]), root(tasks.parameters[-1])


def assume(case, key):
    tasks = tasks_of(case, key)
    return {
        "Gaussian rows": 1.0 if tasks.rows == "gaussian" else -1.0,
        f"at least {FEWEST:g} target rows": tasks.n_samples[-1] - FEWEST + 0.5,
    }


def predict(case, key):
    tasks, unit, truth = _pieces(case, key)
    lengths = jnp.linalg.norm(truth), jnp.linalg.norm(unit)
    angle = angle_between(unit, truth)
    return {"risk_multi": plateau(angle, tasks.amplitude[-1], *lengths, tasks.noise[-1], tasks.n_samples[-1])}


def measure(case, key):
    tasks = tasks_of(case, key)
    rows = draw_rows(tasks, key=stream(key, "samples"))
    feature = jax.nn.relu(multiply(rows.X[-1], tasks.parameters[0]))
    energy = multiply(feature, feature)
    head = multiply(feature, rows.y[-1]) / jnp.where(energy > 0, energy, 1)
    return {"risk_multi": tasks.excess_risk(tasks.parameters[0][:, None], head[None], -1)}


def trust(case) -> float:
    return 3.0 / case.tasks.n_samples[-1]


def instance(place: str, rng: np.random.Generator) -> EndlessSource:
    n = int(rng.integers(60, 400) if place == INSIDE else rng.integers(4, 7))
    tasks = ReluTasks(
        n_features=5,
        n_samples=(1, n),
        capacity=400,
        cosine=float(rng.uniform(-0.6, 1)),
        noise=float(rng.uniform(0.1, 1.5)),
        amplitude=(1.0, float(rng.uniform(0.5, 2) * rng.choice([-1, 1]))),
        design=PowerLaw(float(rng.uniform(0, 1))),
        relation="disjoint",
    )
    return EndlessSource(tasks)


def resized(case: EndlessSource) -> EndlessSource:
    """Twice as many target rows: the limit is one of rows."""
    tasks = case.tasks
    larger = dataclasses.replace(tasks, n_samples=(1, 2 * tasks.n_samples[-1]), capacity=2 * tasks.capacity)
    return EndlessSource(larger)


STATEMENT = Statement(
    name="relu-plateau",
    claim="With source rows without end, a shared ReLU unit has the risk of a head on the source's own unit.",
    source=("derived", "cho2009kernel"),
    kind="limit",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    trust=trust,
    places=(INSIDE, OUTSIDE),
    resized=resized,
)
