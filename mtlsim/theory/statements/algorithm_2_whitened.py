"""Algorithm 2 of [wu2020understanding] after whitening finds the best layer's subspace on shared rows, of any covariance.

With X'X = L L', take the top r left singular vectors Q of L^-1 [X'y_1 .. X'y_K] and bring them back as L^-1' Q (d, r): they span
the best layer. Without whitening the span is another one: see `algorithm_2_subspace`. Fewer rows than features leave no L.
"""

import dataclasses

import jax.numpy as jnp

from mtlsim.core.keys import stream
from mtlsim.core.linalg import cholesky, solve_lower, solve_upper
from mtlsim.similarity import principal_angles
from mtlsim.solvers.solve import solve
from mtlsim.theory.draws import moments_of
from mtlsim.theory.statements import algorithm_2_subspace
from mtlsim.theory.statements.algorithm_2_subspace import top_directions


def whitened_layer(gram, cross, rank):
    """The layer (d, rank) from X'X (d, d) and the tasks' X'y_i (K, d)."""
    root = cholesky(gram)
    return solve_upper(root, top_directions(solve_lower(root, cross.T), rank))


def measure(cell, key):
    moments = moments_of(cell, key)
    best = solve(moments, cell.rank, key=stream(key, "solver")).shared
    layer = whitened_layer(moments.gram, moments.cross, cell.rank)
    return {"cosine_of_spans": jnp.cos(principal_angles(layer, best)[-1])}


STATEMENT = dataclasses.replace(
    algorithm_2_subspace.STATEMENT,
    name="algorithm-2-whitened",
    claim="The top singular vectors of the whitened columns, brought back, span the best shared layer.",
    measure=measure,
    expected="confirmed",
)
