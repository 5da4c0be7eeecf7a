"""What two tasks share that go through the same blocks in another order: a spectrum, r of 2 r^2 parameters, and nothing else.

PQ and QP have the same eigenvalues, and any two matrices with the same distinct eigenvalues, none of them zero, are such a pair. So
of the 2 r^2 parameters of two tasks of r outputs the words share r, one for each eigenvalue; with n orthonormal rows and small
noise learning them together lowers the summed risk 2 r^2 noise^2 / n by r noise^2 / n, one part in 2 r.
"""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.words import Words
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement


def level(cell):
    """noise^2 / n."""
    return jnp.asarray(cell.noise, float) ** 2 / cell.n_samples


def assume(cell, key):
    if not cell.is_pair or cell.maps.shape[-1] != 2:
        return {"two maps of two outputs, as PQ and QP": -1.0}
    first, second = cell.maps
    size = jnp.linalg.norm(first)
    of = lambda one: jnp.stack([jnp.trace(one), jnp.linalg.det(one) / size])
    off = jnp.sum(jnp.abs(of(first) - of(second)))
    return well_apart(cell) | {"one spectrum": 1e-2 * jnp.sqrt(level(cell)) + 1e-12 * size - off}


def well_apart(cell):
    """Margins of eigenvalues of the first map that are apart from each other and from zero, and of noise that is small beside."""
    first = cell.maps[0]
    square, trace, determinant = jnp.sum(first**2), jnp.trace(first), jnp.linalg.det(first)
    return {
        "eigenvalues apart": jnp.abs(trace**2 - 4 * determinant) / square - 0.2,
        "no eigenvalue near zero": jnp.abs(determinant) / square - 0.05,
        "noise, and little of it": jnp.where(level(cell) > 0, 2e-3 * square - level(cell), -1.0),
    }


def predict(cell, key):
    return {"gain": cell.maps.shape[-1] * level(cell)}


def measure(cell, key):
    return {"gain": cell(key=key)["gain"]}


def trust(cell) -> float:
    return 25 * float(level(cell))


def more_rows(cell: Words) -> Words:
    """Four times as many rows."""
    return replace(cell, n_samples=4 * cell.n_samples)


def instance(place: str, rng: np.random.Generator) -> Words:
    """Well apart from equal eigenvalues and from zero; outside, a pair whose spectra differ, which cannot be such words."""
    turn = lambda: (
        np.linalg.qr(rng.normal(size=(2, 2)))[0] @ np.diag(rng.uniform(0.7, 1.4, 2)) @ np.linalg.qr(rng.normal(size=(2, 2)))[0]
    )
    values = np.array([rng.uniform(1.5, 2.5), rng.uniform(-1.5, -0.5)])
    pair = [basis @ np.diag(values) @ np.linalg.inv(basis) for basis in (turn(), turn())]
    if place == OUTSIDE:
        pair[1] = pair[1] + rng.uniform(0.3, 0.6) * np.eye(2)
    return Words(jnp.asarray(np.stack(pair)), float(rng.integers(80, 160)), float(rng.uniform(0.5, 0.7)))


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
