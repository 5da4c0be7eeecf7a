"""What a representation misses of a target: as much as the heads of its sources leave out the target's.

K sources of n rows each with heads H (K, r) on one layer, far above their noise, show the layer up to

    E |theta* - its projection|^2 = (noise^2 (d - r) / n) a'(H'H)^-1 a,

a the target's head: at most |a|^2 over the squared smallest singular value of H, the diversity of the tasks, and much less for a
target like the sources. The target's own n_2 rows add noise^2 r / n_2. Both to first order in the noise.
"""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.representation import Representation, diversity_cost
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement, measured


def level(cell):
    """Squared noise of the sources' least squares in all directions, over the squared smallest singular value of their heads."""
    smallest = jnp.linalg.svd(cell.heads, compute_uv=False)[-1] ** 2
    return jnp.asarray(cell.noise, float) ** 2 * (cell.n_features + cell.heads.shape[0]) / (cell.n_samples * smallest)


def assume(cell, key):
    return {"diverse sources far above their noise": 0.05 - level(cell), "noise": jnp.asarray(cell.noise, float) - 1e-9}


def predict(cell, key):
    d, r = cell.n_features, cell.heads.shape[1]
    return {"missed": jnp.asarray(cell.noise, float) ** 2 * (d - r) / cell.n_samples * diversity_cost(cell.heads, cell.target)}


def trust(cell) -> float:
    return 2 * float(level(cell))


def more_rows(cell: Representation) -> Representation:
    """Four times as many source rows."""
    return replace(cell, n_samples=4 * cell.n_samples)


def instance(place: str, rng: np.random.Generator) -> Representation:
    """Outside, sources that hardly differ."""
    r, K = 2, 5
    heads = rng.normal(size=(K, r))
    heads[:, 1] = (0.02 if place == OUTSIDE else 1.0) * heads[:, 1]
    cell = Representation(heads, rng.normal(size=r), 100.0, 40.0, 1.0, 20)
    usual = level(cell) if place == INSIDE else level(replace(cell, heads=cell.heads * jnp.asarray([1.0, 50.0])))
    return replace(cell, noise=float(np.sqrt(rng.uniform(0.02, 0.04) / usual)))


STATEMENT = Statement(
    name="task-diversity",
    claim="A layer learned from several tasks misses of another what their heads leave out of its own, times their noise.",
    source=("derived",),
    kind="limit",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("missed"),
    trust=trust,
    places=(INSIDE, OUTSIDE),
    resized=more_rows,
)
