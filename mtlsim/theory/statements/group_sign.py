"""Where the gain of the minority turns: at a shift of the source that is known in that group's metric.

Pooled risk in the metric of a group is a number plus a multiple of the squared shift of the source's parameters (`group-gain`), so
that the group gains if and only if the shift is below a root. A group that varies strongly where the source is off turns first:
the others, and the mean, may gain far beyond.

What the limit leaves out moves the root (measured: by up to 3 % with 30 features), so that nothing is said where the gain is less
than a share 3 / d of what it would be without a shift.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mtlsim.cells.groups import Groups
from mtlsim.core.compiler import jit_hastily
from mtlsim.tasks.covariance import Diagonal
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.statement import OUTSIDE, Statement, measured
from mtlsim.theory.statements import group_gain


def assume(cell, key):
    gain, most = (jnp.abs(_gain(cell, key, alike)) for alike in (False, True))
    return group_gain.assume(cell, key) | {
        "many features": jnp.asarray(cell.tasks.n_features - 29.5),
        "a gain beyond what the limit leaves out": gain - group_gain.OFF / cell.tasks.n_features * most,
    }


def predict(cell, key):
    return {"gain_minority": _gain(cell, key)}


def _gain(cell, key, alike: bool = False):
    single, multi = group_gain.predicted_risks(cell, key, alike)
    return single.risk[-1] - multi.risk[-1]


def instance(place: str, rng: np.random.Generator) -> Groups:
    """Outside, few features."""
    factor = float(rng.choice([rng.uniform(0.1, 0.75), rng.uniform(1.3, 2.5)]))
    return at_shift(draw_cell(rng, 8 if place == OUTSIDE else 30), factor)


def threshold(factor: float, rng: np.random.Generator) -> Groups:
    """A shift of `factor` times that at which the sign turns."""
    return at_shift(draw_cell(rng, 30), factor)


def draw_cell(rng: np.random.Generator, d: int) -> Groups:
    """A source that is one off along the second feature, along which the minority varies more than the others."""
    along = lambda variance: Diagonal(np.where(np.arange(d) == 1, variance, 1.0))
    target = float(rng.uniform(0.5, 2)) * np.eye(d)[0]
    rows = (int(rng.integers(3 * d, 8 * d)), int(rng.integers(2 * d, 3 * d)), int(rng.integers(0.4 * d, 0.7 * d)))
    designs = (along(float(rng.uniform(0.1, 1))), along(0.3), along(float(rng.uniform(2, 6))))
    parameters = np.stack([target + np.eye(d)[1], target, target])
    return Groups(LinearTasks(d, rows, design=designs, parameters=parameters, noise=float(rng.uniform(0.7, 1.5))))


def at_shift(cell: Groups, factor: float) -> Groups:
    """The same with the source's parameters `factor` times as far off as where the minority's predicted gain is zero."""
    without, with_one = (float(_gain_at(cell, shift)) for shift in (0.0, 1.0))
    return shifted(cell, factor * (without / (without - with_one)) ** 0.5)


def shifted(cell: Groups, shift) -> Groups:
    """The source's parameters at `shift` times their distance from the target's."""
    target = cell.tasks.parameters[-1]
    parameters = target + jnp.asarray(shift) * (cell.tasks.parameters - target)
    return eqx.tree_at(lambda one: one.tasks.parameters, cell, parameters)


@jit_hastily
def _gain_at(cell: Groups, shift):
    return predict(shifted(cell, shift), jax.random.key(0))["gain_minority"]


STATEMENT = Statement(
    name="group-sign",
    claim="With many features the minority gains from a source if and only if the source is off by less than a known shift.",
    source=("derived",),
    kind="sign",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("gain_minority"),
    threshold=threshold,
)
