"""Algorithm 2 of [wu2020understanding] after whitening finds the best layer's subspace on shared rows, of any covariance.

With P'X'X P = identity, take the top r left singular vectors Q of P'[X'y_1 .. X'y_K] and bring them back as P Q (d, r): they span
the best layer. Without whitening the span is another one: see `algorithm_2_subspace`.
"""

import dataclasses

import jax.numpy as jnp

from mtlsim.core.linalg import multiply
from mtlsim.similarity import principal_angles
from mtlsim.theory.draws import moments_of, rows_of
from mtlsim.theory.statements import algorithm_2_subspace
from mtlsim.theory.statements.proposition_3 import layer_from_rows
from mtlsim.weighting.algorithm_2 import top_directions, whiten


def whitened_layer(moments, rank):
    """The layer (d, rank)."""
    columns, root = whiten(moments)
    return multiply(root, top_directions(columns, rank))


def measure(cell, key):
    """Against the layer that a QR of rows finds, which knows neither moments nor whitening."""
    moments = moments_of(cell, key)
    rows, labels, _ = rows_of(moments)
    best = layer_from_rows(rows, labels.T, jnp.ones(moments.n_tasks), cell.rank)
    layer = whitened_layer(moments, cell.rank)
    return {"cosine_of_spans": jnp.cos(principal_angles(layer, best)[-1])}


STATEMENT = dataclasses.replace(
    algorithm_2_subspace.STATEMENT,
    name="algorithm-2-whitened",
    claim="The top singular vectors of the whitened columns, brought back, span the best shared layer.",
    measure=measure,
    expected="confirmed",
    says="Nothing: whitening is ours.",
    proves="Nothing.",
    inferred="All of it, from Proposition 3.",
)
