"""Sharing blocks helps as long as what order cannot express costs less than the r parameters that it saves.

`order-shares-a-spectrum` gives the saving r noise^2 / n; two maps whose spectra differ lose `residual`, the least sum of squares
by which they miss being PQ and QP, however many rows there are. So learning them as words of the same blocks helps if and only if
residual < r noise^2 / n, where both are small.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from mtlsim.cells.words import Words
from mtlsim.core.compiler import jit_hastily
from mtlsim.theory.statement import OUTSIDE, Statement
from mtlsim.theory.statements import order_shares_a_spectrum
from mtlsim.theory.statements.order_shares_a_spectrum import level, own_part, well_apart


def residual(cell: Words):
    """What is lost however many rows there are."""
    return cell.fit(cell.maps, jax.random.key(0)).loss


def assume(cell, key):
    if not cell.is_pair or cell.maps.shape[-1] < 2:
        return {"two maps of two outputs or more, as PQ and QP": -1.0}
    allowed = 0.01 * own_part(cell) * jnp.sum(cell.maps[0] ** 2)
    return well_apart(cell) | {"spectra near each other": allowed - residual(cell)}


def predict(cell, key):
    return {"gain": cell.maps.shape[-1] * level(cell) - residual(cell)}


def instance(place: str, rng: np.random.Generator) -> Words:
    """Outside, spectra far apart or much noise."""
    factor = float(rng.choice([rng.uniform(0.2, 0.7), rng.uniform(1.5, 4)]))
    return _cell(factor, rng, 0.5 if place == OUTSIDE else 0.04)


def threshold(factor: float, rng: np.random.Generator) -> Words:
    """A residual of `factor` times what is saved."""
    return _cell(factor, rng, 0.04)


def _cell(factor: float, rng: np.random.Generator, shift: float) -> Words:
    """One spectrum, the second map's moved by a multiple of the identity."""
    pair = order_shares_a_spectrum.instance("inside", rng)
    r = pair.maps.shape[-1]
    cell = replace(pair, maps=pair.maps.at[1].add(shift * jnp.eye(r)))
    return replace(cell, noise=float(jnp.sqrt(_residual(cell) * cell.n_samples / r / factor)))


_residual = jit_hastily(residual)


STATEMENT = Statement(
    name="words-sign",
    claim="Sharing blocks in another order helps if and only if what it cannot express costs less than r parameters.",
    source=("derived",),
    kind="sign",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=order_shares_a_spectrum.measure,
    threshold=threshold,
)
