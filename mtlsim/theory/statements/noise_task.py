"""What tasks of pure noise do to the main task: they shrink it, which helps exactly where its signal is weaker than its noise.

M noise tasks beside a main task on the same n orthonormal rows, under one shared direction. With T = |theta|^2, N = d noise^2 / n
the risk of the main task alone and N_0 = d noise_0^2 / n that of a noise task, the squared lengths of least squares tend to T + N
and N_0 as d grows, their inner product c has E c^2 = (T + N) N_0 / d, and the best direction leaves the main task's by v = c / (T
+ N - N_0) towards each noise task. To the order of v^2 the risk rises by -2 N v^2 + 2 v e'z + v^2 N_0 (e: the main task's errors,
z: the noise task's), of which the expectation leaves

    gain = M N_0^2 (N - T) / (d (T + N - N_0)^2),        N_0 < T + N.

The sign is that of N - T whatever noise the extra labels have, and however many they are: at a signal-to-noise ratio T / N of one.
It is that of shrinking too, which gives more (see the mechanism overfitting-prevention).
"""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.orthonormal_rows import OrthonormalRows
from mtlsim.theory.statement import EDGE, INSIDE, Statement, drawn_until

STAND_OUT = 4.0  # how far N_0 must stay below T + N, in what one draw of it moves


def levels(cell):
    """(N, N_0), where T = 1."""
    alone = cell.n_features * jnp.asarray(cell.noise, float) ** 2 / cell.n_samples
    return alone, alone * jnp.asarray(cell.extra_noise, float) ** 2


def relative_error(cell):
    """Of the prediction: the second-order change of (T + N - N_0)^-2 by the lengths' variances, over d, and what is left of v^4
    where these are small. Measured there: 1 to 2 over d (T + N - N_0)^2."""
    alone, extra = levels(cell)
    spread = 2 * alone**2 + 4 * alone + 2 * extra**2 + 0.7
    return 3 * spread / (cell.n_features * (1 + alone - extra) ** 2)


def moves(cell):
    """What one draw moves of T + N - N_0."""
    alone, extra = levels(cell)
    return jnp.sqrt((2 * alone**2 + 4 * alone + 2 * extra**2) / cell.n_features)


def pure_noise(cell):
    """Margins of what the statements on noise tasks assume of them."""
    alone, extra = levels(cell)
    return {
        "extra labels without a signal": 1e-9 - jnp.asarray(cell.extra_size, float),
        "independent noise": 1e-9 - jnp.asarray(cell.correlation, float),
        "a single task as it is": 1e-9 - jnp.abs(jnp.asarray(cell.shrinkage, float) - 1),
        "noise tasks that stand out less than the main task": 1 + alone - extra - STAND_OUT * moves(cell),
    }


def assume(cell, key):
    return pure_noise(cell) | {"lengths that hardly vary": 0.17 - relative_error(cell)}


def predict(cell, key):
    alone, extra = levels(cell)
    return {"gain": cell.n_extra * extra**2 * (alone - 1) / (cell.n_features * (1 + alone - extra) ** 2)}


def measure(cell, key):
    """The gain, less what chance did to c^2 and c e'z (see above), whose means are known exactly: it has a tenth of the spread, and
    less of it where noise tasks stand out as the main one does."""
    parameters, seen = cell.estimates(key=key)
    alone, extra = levels(cell)
    wrong, noise = seen[0] - parameters[0], seen[1:]
    inner, turned = jnp.sum(seen[0] * noise, 1), jnp.sum(wrong * noise, 1)
    squares = inner**2 - (1 + alone) * extra / cell.n_features
    products = inner * turned - alone * extra / cell.n_features
    apart = 1 + alone - extra
    inverse = apart / (apart**2 + (moves(cell) / 2) ** 2)
    return {"gain": cell(key=key)["gain"] - jnp.sum((2 * alone - extra) * squares * inverse**2 - 2 * products * inverse)}


@drawn_until(lambda cell: all(margin > 0 for margin in assume(resized(cell), None).values()), (INSIDE, EDGE))
def instance(place: str, rng: np.random.Generator) -> OrthonormalRows:
    """Signals well above or below the noise, so that a quarter of the features is enough too; outside, extra labels of a signal."""
    d, ratio = 400, rng.choice([rng.uniform(0.4, 0.6), rng.uniform(1.8, 4)])
    most = 0.5 if place == INSIDE else 0.6
    extra = float(rng.uniform(0.3, most) * (1 + 1 / ratio) * ratio)  # N_0 / N
    signal = 0.0 if place in (INSIDE, EDGE) else float(rng.uniform(0.5, 1))
    n_extra, noise = int(rng.integers(1, 4)), float(rng.uniform(0.5, 2))
    return OrthonormalRows(float(ratio * d * noise**2), noise, 0.0, signal, extra**0.5, n_features=d, n_extra=n_extra)


def resized(cell: OrthonormalRows) -> OrthonormalRows:
    """A quarter of the features and rows."""
    return replace(cell, n_samples=cell.n_samples / 4, n_features=cell.n_features // 4)


STATEMENT = Statement(
    name="noise-task",
    claim="Tasks of pure noise lower the risk of the main task by a known amount where its signal-to-noise ratio is below one, and "
    "raise it above.",
    source=("derived",),
    kind="limit",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    trust=lambda cell: float(relative_error(cell)),
    resized=resized,
)
