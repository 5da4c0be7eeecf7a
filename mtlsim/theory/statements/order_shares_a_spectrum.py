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
    first, second = cell.maps
    off = jnp.stack([jnp.trace(first) - jnp.trace(second), jnp.linalg.det(first) - jnp.linalg.det(second)])
    return {
        "two maps of two outputs with one spectrum": 1e-6 - jnp.sum(jnp.abs(off)) if cell.maps.shape[-1] == 2 else -1.0,
        "little noise": 0.01 - level(cell),
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
