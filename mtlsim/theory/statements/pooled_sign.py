"""When pooling a source helps: the necessary and sufficient condition for two tasks of equal covariance and equal noise.

With delta = theta_1 - theta_2, norms in Sigma, n = n_1 + n_2, n_2 > d + 1 and c, g of `pooled_least_squares`, pooled least squares
beats the target's own in expectation if and only if

    |delta|^2 / noise^2 < d / [(n_2 - d - 1) (n - d - 1) (c n_1 + g)].

Without end of source rows the right side tends to d / (n_2 - d - 1). In the limit of many features the condition reads, with
q = |delta|^2 (n_2 - d) / (noise^2 d),

    (q - 1) n_1^2 + (q (n_2 - d) - 2 n_2) n_1 + n_2 (q d - n_2) < 0.

So q <= 1 helps at every n_1, and 1 < q < n_2 / d up to a turning point. For q >= n_2 / d the first source rows hurt; if also
n_2 < 3 d, and q is not much larger, there is a window: more source rows help after all, and many more hurt again. (Seen in
60 000 paired draws at d = 20, n_2 = 40, q = 2.3: the mean gain is -5.6, +8.5 and -75 standard errors at n_1 = 2, 14 and 60.)
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.transfer import Transfer
from mtlsim.core.extremes import largest_of
from mtlsim.tasks.covariance import PowerLaw
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.statement import OUTSIDE, Cells, Statement, measured, tasks_of
from mtlsim.theory.statements.pooled_least_squares import assume as assume_pooled
from mtlsim.theory.statements.pooled_least_squares import pooled_risk


def largest_shift(n_source, n_target, n_features):
    """|delta|^2 / noise^2 up to which pooling helps, exactly; NaN for n_target <= d + 1."""
    d, total = n_features, n_source + n_target
    freedom = jnp.where(n_target > d + 1, n_target - d - 1, 1)
    saved = d * n_source / (freedom * jnp.where(n_target > d + 1, total - d - 1, 1))
    rows = jnp.stack([jnp.asarray(n_source, float), jnp.asarray(n_target, float)])
    bias = pooled_risk(rows, rows[0] ** 2, jnp.asarray([1.0, 0.0]), jnp.zeros(2), d)
    return jnp.where(n_target > d + 1, saved / bias, jnp.nan)


def helpful_sizes(q, n_target, n_features):
    """Source sizes (first, last) between which pooling helps, in the limit of many features; n_target > d.

    first is 0 for q < n_target / d, last is infinite for q <= 1; both are NaN where no size helps.
    """
    d, m = n_features, n_target
    linear, constant = q * (m - d) - 2 * m, m * (q * d - m)
    discriminant = linear**2 - 4 * (q - 1) * constant
    never = (constant >= 0) & ((discriminant <= 0) | (linear >= 0))
    root = jnp.sqrt(jnp.maximum(discriminant, 0))
    last = jnp.where(q > 1, (root - linear) / (2 * jnp.where(q > 1, q - 1, 1)), jnp.inf)
    first = jnp.where(constant > 0, 2 * constant / jnp.where(constant > 0, root - linear, 1), 0)
    return jnp.where(never, jnp.nan, first), jnp.where(never, jnp.nan, last)


def turning_point(q, n_target, n_features):
    """n_1*(q): the source size past which pooling hurts, in the limit of many features; infinite if none, 0 if none helps."""
    last = helpful_sizes(q, n_target, n_features)[1]
    return jnp.where(jnp.isnan(last), 0, last)


def assume(cell, key):
    tasks = tasks_of(cell, key)
    return {
        **assume_pooled(cell, key),
        "equal noise": 1e-9 * tasks.noise[-1] - largest_of(jnp.abs(tasks.noise - tasks.noise[-1])),
    }


def predict(cell, key):
    """The room left below the largest shift that helps: of the sign of the gain."""
    tasks = tasks_of(cell, key)
    shift = tasks.covariances[-1].quadratic(tasks.parameters[0] - tasks.parameters[-1])
    room = largest_shift(tasks.n_samples[0], tasks.n_samples[-1], tasks.n_features) - shift / tasks.noise[-1] ** 2
    return {"gain": room}


def instance(place: str, rng: np.random.Generator) -> Transfer:
    factor = rng.uniform(0, 0.5) if rng.random() < 0.5 else rng.uniform(2, 4)
    return _at(float(factor), (int(rng.integers(4, 80)), int(rng.integers(14, 60))), rng, 3.0 if place == OUTSIDE else 1.0)


def threshold(factor: float, rng: np.random.Generator) -> Transfer:
    """A shift of `factor` times the largest that helps, with rows at which 10 % of it are seen soonest."""
    return _at(factor, (int(rng.integers(100, 200)), int(rng.integers(24, 60))), rng)


def _at(factor: float, rows: tuple[int, int], rng: np.random.Generator, source_noise: float = 1.0) -> Transfer:
    d, noise = 8, rng.uniform(0.2, 2)
    design = PowerLaw(float(rng.uniform(0, 1.5)))
    target, delta = rng.normal(size=(2, d))
    scale = np.sqrt(factor * noise**2 * largest_shift(*rows, d) / design.draw(d).quadratic(jnp.asarray(delta)))
    noises = source_noise * noise, noise
    tasks = LinearTasks(
        d, rows, noise=noises, design=design, relation="same", parameters=np.stack([target + scale * delta, target])
    )
    return Transfer(tasks, sharing="pooled")


STATEMENT = Statement(
    name="pooled-sign",
    claim="Pooling a source of equal covariance and noise helps if and only if its shift is below a known size.",
    source=("derived",),
    kind="sign",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("gain"),
    cells=Cells(sharing="pooled", n_tasks=2),
    threshold=threshold,
)
