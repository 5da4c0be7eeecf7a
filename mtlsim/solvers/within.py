"""One task within a given layer: only its head is free."""

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from mtlsim.core import linalg
from mtlsim.core.status import Certificate, Status, flag
from mtlsim.samples.moments import Moments, stack
from mtlsim.solvers.mixed import fitted_sizes, rounding_of
from mtlsim.solvers.rows import ROUNDINGS, UNSEEN, hidden, rows_of
from mtlsim.solvers.single import penalised_losses
from mtlsim.solvers.solution import LOST, certify


class Within(NamedTuple):
    """Parameters B a (1, d), the loss |X B a - y|^2 + ridge |B a|^2, its gap, certificate and status."""

    parameters: Float[Array, "1 d"]
    loss: Float[Array, ""]
    gap: Float[Array, ""]
    certificate: Int[Array, ""]
    status: Int[Array, ""]


def solve_within(moments: Moments, shared: Float[Array, "d r"], ridge: Float[Array, ""] | float = 0.0) -> Within:
    """The best parameters in the span of a given layer B (d, r), on equivalent rows.

    Columns of B that are others' sums to the last digit add nothing. Where the rows that the layer leaves are lost in the rounding
    of all rows, the status says `ill_conditioned` and there is no certificate.
    """
    ridge, d = jnp.asarray(ridge, moments.cross.dtype), len(shared)
    rows, labels = rows_of(moments, jnp.zeros_like(ridge))
    hide = partial(hidden, moments, rows, labels)
    inner = jnp.concatenate([linalg.multiply(rows, shared), jnp.sqrt(ridge) * shared])
    labels = jnp.concatenate([labels, jnp.zeros(d, labels.dtype)])
    sizes = jnp.stack([fitted_sizes(stack(moments), jnp.abs(own)[None])[0] + ridge * own @ own for own in shared.T])
    sizes = jnp.sqrt(jnp.where(sizes > 0, sizes, 1))
    left, values, right = jnp.linalg.svd(inner / sizes, full_matrices=False)
    eps = jnp.finfo(values.dtype).eps
    safe = jnp.where(values > 0, values, 1)
    noise = eps / (safe**2 if moments.factor is None else safe)
    seen = (values > 0) & (noise * (UNSEEN * len(values)) < 1)
    sides = linalg.multiply(left.T, labels)
    heads = linalg.multiply(right.T, jnp.where(seen, sides / safe, 0)) / sizes
    parameters = linalg.multiply(shared, heads)[None]
    misses = labels - linalg.multiply(inner, heads)
    loss = penalised_losses(stack(moments), parameters, ridge[None])[0]
    weights, size = jnp.ones_like(loss)[None], moments.energy + ridge * jnp.sum(parameters**2)
    # no head explains more of what is missed than its projection on all that the layer makes of the rows
    gap = jnp.sum(jnp.where(seen, linalg.multiply(left.T, misses), 0) ** 2)
    gap += ROUNDINGS * jnp.sqrt(moments.energy) * jnp.sum(jnp.where(seen, jnp.abs(sides) * noise, 0))
    gap += hide(parameters[0]) + rounding_of(stack(moments), weights, parameters, loss, size, jnp.zeros_like(weights))
    known = jnp.isfinite(loss) & ~jnp.any(seen & (noise > LOST))
    certificate = jnp.where(known, certify(gap, moments.energy[None]), int(Certificate.none)).astype(jnp.int32)
    return Within(parameters, loss, jnp.where(known, gap, loss), certificate, flag(~known, Status.ill_conditioned))
