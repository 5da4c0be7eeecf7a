"""What two tasks share that go through the same blocks in another order: a spectrum, r of 2 r^2 parameters, and nothing else.

PQ and QP have the same eigenvalues, and any two matrices with the same distinct eigenvalues, none of them zero, are such a pair. So
of the 2 r^2 parameters of two tasks of r outputs the words share r, one for each eigenvalue; with n orthonormal rows and small
noise learning them together lowers the summed risk 2 r^2 noise^2 / n by r noise^2 / n, one part in 2 r. The r constraints are
equal traces of powers, whose slopes are the powers themselves: noise is small beside the least part of them that is their own.
"""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.words import Words
from mtlsim.core.compiler import jit_hastily
from mtlsim.core.linalg import multiply
from mtlsim.theory.statement import EDGE, INSIDE, OUTSIDE, Statement, drawn_until

FALSE = 0.1  # a formula that is so far off must be told from the right one


def level(cell):
    """noise^2 / n."""
    return jnp.asarray(cell.noise, float) ** 2 / cell.n_samples


def assume(cell, key):
    if not cell.is_pair or cell.maps.shape[-1] < 2:
        return {"two maps of two outputs or more, as PQ and QP": -1.0}
    size = jnp.sqrt(mean_square(cell))
    traces = jnp.trace(powers(cell.maps / size), axis1=-2, axis2=-1)
    off = size * jnp.sum(jnp.abs(traces[:, 0] - traces[:, 1]))
    return well_apart(cell) | {"one spectrum": 1e-2 * jnp.sqrt(level(cell)) + 1e-12 * size - off}


def mean_square(cell):
    """sum of the squares of the first map, over r."""
    return jnp.sum(cell.maps[0] ** 2) / cell.maps.shape[-1]


def powers(maps):
    """Of both maps, to the exponents 1..r: (r, 2, r, r)."""
    found = [maps]
    while len(found) < maps.shape[-1]:
        found.append(multiply(found[-1], maps))
    return jnp.stack(found)


def slopes(cell):
    """Of (trace(T_1^k) - trace(T_2^k)) / k, k = 1..r, in both maps, over their size: (r, 2 r^2)."""
    ones = jnp.broadcast_to(jnp.eye(cell.maps.shape[-1]), cell.maps.shape)
    before = jnp.concatenate([ones[None], powers(cell.maps / jnp.sqrt(mean_square(cell)))[:-1]])
    signed = before * jnp.array([1.0, -1.0])[:, None, None]
    return jnp.swapaxes(signed, 2, 3).reshape(len(before), -1)


def own_part(cell):
    """Least over largest eigenvalue of the inner products of the slopes of the traces of powers, in units of the first map's
    size: zero where two eigenvalues are equal."""
    across = slopes(cell)
    values = jnp.linalg.eigvalsh(multiply(across, across.T))
    return jnp.maximum(values[0], 0) / values[-1]


def noise_over(cell):
    """noise^2 / n over the first map's squares and their `own_part`: the order of the relative error."""
    scale = jnp.sum(cell.maps[0] ** 2) * own_part(cell)
    return jnp.where(scale > 0, level(cell) / jnp.where(scale > 0, scale, 1), jnp.inf)


def well_apart(cell):
    """Margins of eigenvalues of the first map that are apart from each other and from zero, and of noise that is small beside."""
    size, r = jnp.linalg.norm(cell.maps[0]), cell.maps.shape[-1]
    determinant = jnp.linalg.det(cell.maps[0] / jnp.where(size > 0, size, 1))
    return {
        "eigenvalues apart": own_part(cell) - 0.02,
        "no eigenvalue near zero": jnp.abs(determinant) ** (2 / r) - 0.05,
        "noise, and little of it": jnp.where(level(cell) > 0, 0.0075 - noise_over(cell), -1.0),
    }


def predict(cell, key):
    return {"gain": cell.maps.shape[-1] * level(cell)}


def measure(cell, key):
    """The gain, less what chance did to |Q'Z|^2, whose mean is r exactly: Q spans the slopes of the constraints, along
    which sharing takes the errors Z away."""
    across = jnp.linalg.qr(slopes(cell).T)[0]
    away = jnp.sum(multiply(across.T, cell.errors(key=key).reshape(-1)) ** 2)
    return {"gain": cell(key=key)["gain"] - (away - cell.maps.shape[-1]) * level(cell)}


@jit_hastily
def trust(cell):
    """Measured: up to 3 times `noise_over`, of three outputs and tiny noise."""
    return 25 * noise_over(cell)


def more_rows(cell: Words) -> Words:
    """Four times as many rows."""
    return replace(cell, n_samples=4 * cell.n_samples)


@drawn_until(lambda cell: trust(cell) < FALSE / 1.5, (INSIDE, EDGE))
def instance(place: str, rng: np.random.Generator) -> Words:
    """A pair of two outputs or three, well apart from equal eigenvalues and from zero, where less is allowed than a formula may be
    off. Outside, one whose spectra differ, which cannot be such words."""
    r = 3 if rng.random() > 0.7 else 2
    ortho = lambda: np.linalg.qr(rng.normal(size=(r, r)))[0]
    turn = lambda: ortho() @ np.diag(rng.uniform(0.7, 1.4, r)) @ ortho()
    values = [rng.uniform(1.5, 2.5), rng.uniform(-1.5, -0.5)]
    values = np.array(values if r == 2 else [values[0], values[1] - 0.4, rng.uniform(0.4, 0.6)])
    pair = [basis @ np.diag(values) @ np.linalg.inv(basis) for basis in (turn(), turn())]
    if place == OUTSIDE:
        pair[1] = pair[1] + rng.uniform(0.3, 0.6) * np.eye(r)
    return Words(jnp.asarray(np.stack(pair)), float(rng.integers(80, 160)), float(rng.uniform(0.5, 1.1)) * 2 / r)


STATEMENT = Statement(
    name="order-shares-a-spectrum",
    claim="Two tasks that use the same blocks in another order share the spectrum of their maps, r of 2 r^2 parameters.",
    source=("derived",),
    kind="limit",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    trust=trust,
    places=(INSIDE, OUTSIDE),
    resized=more_rows,
)
