"""Aligned-MTL: the gradients turned into orthogonal ones of one length before they are added."""

import jax.numpy as jnp

from mtlsim.core.extremes import smallest_of
from mtlsim.core.linalg import multiply
from mtlsim.weighting._scheme import Example, Facts, Scheme, Signals

RELATIVE = 1e-10  # of the largest eigenvalue: below it a direction is none


class AlignedMTL(Scheme):
    """w = sqrt(lambda_min) M^(-1/2) (1 / K), M the gram of the gradients, lambda_min its least eigenvalue that is not zero
    [senushkin2023independent].

    The step is the mean of the nearest orthogonal system, as long as its shortest principal component. Directions of no length
    are left out, and counted; w may be negative.
    """

    def weights(self, signals, state):
        values, vectors = jnp.linalg.eigh(signals.gram)
        kept = values > RELATIVE * values[-1]
        least = smallest_of(jnp.where(kept, values, jnp.inf))
        roots = jnp.where(kept, jnp.sqrt(jnp.where(kept, least, 1) / jnp.where(kept, values, 1)), 0)
        n = len(values)
        weights = multiply(vectors, roots * multiply(jnp.full(n, 1 / n, values.dtype), vectors))
        return weights + 0 * values, state, jnp.sum(~kept)


SCHEME = AlignedMTL
FACTS = Facts([1.0, 1.0], [1.0, 1.0])
CONFORMANCE = (
    # orthogonal of lengths 1 and 2: the longer is cut to the shorter
    Example(AlignedMTL(), FACTS, [Signals([1.0, 1.0], [[1.0, 0.0], [0.0, 4.0]], 0)], [[0.5, 0.25]]),
    # unit gradients of cosine -1/2: the least eigenvalue is that of their mean
    Example(AlignedMTL(), FACTS, [Signals([1.0, 1.0], [[1.0, -0.5], [-0.5, 1.0]], 0)], [[0.5, 0.5]]),
)
