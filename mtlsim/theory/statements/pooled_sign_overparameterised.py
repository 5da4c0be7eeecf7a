"""When pooling a source helps with fewer rows than features: two isotropic tasks of equal noise, n_1 + n_2 < d - 1.

With norms in Sigma = scale * identity, SNR = |theta_2|^2 / noise^2 and n = n_1 + n_2, the pooled interpolator of least norm beats
the target's own in expectation if and only if

    |theta_1 - theta_2|^2 / |theta_2|^2 < (d - n - 1) / (d - n_1 - 1) - d (d - 1) / [SNR (d - n_1 - 1) (d - n_2 - 1)].

Where the right side is negative (low SNR) a source hurts however similar it is: its rows bring the interpolation peak nearer.
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.transfer import Transfer
from mtlsim.core.extremes import largest_of
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.statement import OUTSIDE, Cells, Statement, measured, tasks_of
from mtlsim.theory.statements.pooled_overparameterised import assume as assume_pooled

N_FEATURES = 20  # of the instances


def largest_relative_shift(n_source, n_target, signal_to_noise, n_features):
    """|theta_1 - theta_2|^2 / |theta_2|^2 up to which pooling helps (negative: never); NaN for n_1 + n_2 >= d - 1."""
    d, room = n_features, n_features - n_source - n_target - 1
    rest = jnp.where(room > 0, d - n_source - 1, 1), jnp.where(room > 0, d - n_target - 1, 1)
    shift = room / rest[0] - d * (d - 1) / (signal_to_noise * rest[0] * rest[1])
    return jnp.where(room > 0, shift, jnp.nan)


def assume(cell, key):
    tasks = tasks_of(cell, key)
    return {
        **assume_pooled(cell, key),
        "equal noise": 1e-9 * tasks.noise[-1] - largest_of(jnp.abs(tasks.noise - tasks.noise[-1])),
    }


def predict(cell, key):
    """The room left below the largest relative shift that helps: of the sign of the gain."""
    tasks = tasks_of(cell, key)
    signal = tasks.covariances[-1].quadratic(tasks.parameters[-1])
    shift = tasks.covariances[-1].quadratic(tasks.parameters[0] - tasks.parameters[-1])
    n_source, n_target = tasks.n_samples[0], tasks.n_samples[-1]
    largest = largest_relative_shift(n_source, n_target, signal / tasks.noise[-1] ** 2, tasks.n_features)
    return {"gain": largest - shift / signal}


def instance(place: str, rng: np.random.Generator) -> Transfer:
    d = N_FEATURES
    n_target = int(rng.integers(3, 9))
    rows = int(rng.integers(3, d - 6 - n_target)), n_target
    target = rng.normal(size=d)
    noise = np.linalg.norm(target) / np.sqrt(10 ** rng.uniform(-0.5, 2.5))
    largest = float(largest_relative_shift(*rows, np.sum(target**2) / noise**2, d))
    gap = rng.uniform(0.3, 1)
    shift = largest - gap if largest > gap and rng.random() < 0.7 else max(largest, 0) + gap
    return _at(shift, rows, target, noise, rng, 4.0 if place == OUTSIDE else 1.0)


def threshold(factor: float, rng: np.random.Generator) -> Transfer:
    """A relative shift of `factor` times the largest that helps, little noise, and rows at which 10 % of it are seen soonest."""
    d, rows = N_FEATURES, (int(rng.integers(8, 12)), int(rng.integers(3, 6)))
    target = rng.normal(size=d)
    noise = np.linalg.norm(target) / 100
    return _at(factor * float(largest_relative_shift(*rows, 1e4, d)), rows, target, noise, rng)


def _at(
    shift: float, rows: tuple[int, int], target: np.ndarray, noise: float, rng: np.random.Generator, source_noise: float = 1.0
) -> Transfer:
    d = N_FEATURES
    delta = rng.normal(size=d)
    delta *= np.sqrt(shift) * np.linalg.norm(target) / np.linalg.norm(delta)
    noises = source_noise * noise, noise
    parameters = np.stack([target + delta, target])
    design = Isotropic(float(rng.uniform(0.5, 2)))
    noises = tuple(np.sqrt(design.scale) * one for one in noises)
    return Transfer(LinearTasks(d, rows, noise=noises, design=design, relation="same", parameters=parameters), sharing="pooled")


STATEMENT = Statement(
    name="pooled-sign-overparameterised",
    claim="With fewer rows than features, pooling a source helps if and only if its relative shift is below a known size.",
    source=("derived",),
    kind="sign",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("gain"),
    cells=Cells(sharing="pooled", n_tasks=2),
    threshold=threshold,
)
