"""Help without relation: labels of pure noise help a task if and only if n |theta|^2 < d noise^2, with many features.

The sign of `noise-task`, whatever noise the extra labels have and however many there are. With N_0 > T + N the shared direction is
that of the noise, the main task keeps nothing, and its risk T in place of N has the same sign. So "related tasks are those that
help" is no definition: these labels are related to the task by no measure at all.

With d features the gain turns a little below a ratio of one (measured: by 4 % at 200 and by 2 % at 1000, where the extra labels are
about as loud as the main task's noise), so that nothing is said within 1 / sqrt(d) of it.
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.orthonormal_rows import OrthonormalRows
from mtlsim.theory.statement import OUTSIDE, Statement
from mtlsim.theory.statements.noise_task import levels, measure, pure_noise


def assume(cell, key):
    margins = pure_noise(cell)
    margins.pop("noise tasks that stand out less than the main task")
    away = jnp.abs(levels(cell)[0] - 1) - cell.n_features**-0.5
    return margins | {"many features": jnp.asarray(cell.n_features - 199.5), "a ratio away from one": away}


def predict(cell, key):
    return {"gain": levels(cell)[0] - 1}


def instance(place: str, rng: np.random.Generator) -> OrthonormalRows:
    """Outside, extra labels with a signal of their own, which hurt below a ratio of one too, or help above it."""
    return _cell(float(rng.choice([rng.uniform(0.2, 0.7), rng.uniform(1.5, 4)])), rng, 1.0 if place == OUTSIDE else 0.0)


def threshold(factor: float, rng: np.random.Generator) -> OrthonormalRows:
    """A signal-to-noise ratio of `factor`."""
    return _cell(factor, rng, 0.0)


def _cell(ratio: float, rng: np.random.Generator, signal: float) -> OrthonormalRows:
    noise, extra = float(rng.uniform(0.5, 2)), float(rng.uniform(0.7, 1.3))
    return OrthonormalRows(ratio * 200 * noise**2, noise, 0.0, signal, extra, n_features=200, n_extra=int(rng.integers(1, 4)))


STATEMENT = Statement(
    name="noise-task-sign",
    claim="With many features tasks of pure noise help the main task if and only if its signal-to-noise ratio is below one.",
    source=("derived",),
    kind="sign",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    threshold=threshold,
)
