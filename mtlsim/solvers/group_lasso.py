"""The group lasso of tasks on common rows: an input is kept by all tasks or by none [yuan2006model].

    minimise over B (d, K)   |Y - X B|^2 / 2 + lambda sum_j |b_j|,       b_j (K,) the coefficients of input j,

is convex. All groups see the same squares, X_j'X_j = G_jj I, so that the best b_j beside the others is in closed form, with z_j =
(X'Y)_j - sum_{l != j} G_jl b_l:  b_j = z_j max(0, 1 - lambda / |z_j|) / G_jj. Descent input by input ends where a duality gap
proves it. Only sums over rows are needed.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from mtlsim.core.checks import require
from mtlsim.core.extremes import largest_of
from mtlsim.core.linalg import multiply
from mtlsim.samples.moments import Moments

TOLERANCE = 1e-7  # of the labels' energy, of a duality gap
MOST_SWEEPS = 400


class GroupPath(eqx.Module):
    """Coefficients (L, K, d) at L strengths, from the strongest on, and for each the duality gap over the labels' energy (L,)."""

    strengths: Float[Array, " L"]
    parameters: Float[Array, "L K d"]
    gaps: Float[Array, " L"]

    @property
    def settled(self) -> Bool[Array, ""]:
        return jnp.all(self.gaps <= TOLERANCE)

    def entered(self) -> Int[Array, " d"]:
        """At which strength each input was first kept; L if at none."""
        kept = jnp.any(self.parameters != 0, 1)
        return jnp.where(jnp.any(kept, 0), jnp.argmax(kept, 0), len(kept))


class _State(NamedTuple):
    coefficients: Float[Array, "d K"]
    gap: Float[Array, ""]
    sweeps: Int[Array, ""]


def group_lasso(moments: Moments, shares: Float[Array, " L"]) -> GroupPath:
    """The path over strengths lambda = share * lambda_max, shares falling from at most 1; lambda_max = max_j |(X'Y)_j|.

    moments: of K tasks on common rows. Raises ValueError for rows of their own.

    >>> X, Y = np.eye(3), np.array([[3.0, 4.0], [0.0, 1.0], [0.0, 0.0]])
    >>> gram, cross = jnp.asarray(X.T @ X), jnp.asarray((X.T @ Y).T)
    >>> path = group_lasso(mtl.Moments(gram, cross, jnp.asarray((Y**2).sum(0)), jnp.full(2, 3.0)), jnp.array([0.5, 0.1]))
    >>> path.parameters[:, :, 0].round(2).tolist(), path.entered().tolist()
    ([[1.5, 2.0], [2.7, 3.6]], [0, 1, 2])
    """
    cure = "build it from one X: gram (d, d), cross (K, d)"
    require(moments.shared_covariates, "moments", "of K tasks on common rows", "of rows of their own", cure)
    gram, cross, energy = moments.gram, moments.cross.T, jnp.sum(moments.energy)
    squares = jnp.diagonal(gram)
    unit = jnp.where(energy > 0, energy, 1)
    norms = lambda rows: jnp.sqrt(jnp.sum(rows**2, -1))
    most = largest_of(norms(cross))

    def gap_at(strength, coefficients):
        """Primal minus dual at the residual, scaled until no input's correlation is above the strength."""
        fitted = multiply(gram, coefficients)
        inner, seen = jnp.sum(coefficients * cross), jnp.sum(coefficients * fitted)
        rest, along = energy - 2 * inner + seen, energy - inner
        left = largest_of(norms(cross - fitted))
        scale = jnp.minimum(1.0, strength / jnp.where(left > 0, left, 1))
        primal = rest / 2 + strength * jnp.sum(norms(coefficients))
        return (primal - scale * along + scale**2 * rest / 2) / unit

    def solve(start, strength):
        def visit(j, coefficients):
            here = coefficients[j]
            pull = cross[j] - multiply(gram[j], coefficients) + squares[j] * here
            size = jnp.sqrt(jnp.sum(pull**2))
            share = jnp.where(size > strength, 1 - strength / jnp.where(size > 0, size, 1), 0)
            return coefficients.at[j].set(jnp.where(squares[j] > 0, share * pull / jnp.where(squares[j] > 0, squares[j], 1), 0))

        def sweep(state):
            coefficients = jax.lax.fori_loop(0, len(gram), visit, state.coefficients)
            return _State(coefficients, gap_at(strength, coefficients), state.sweeps + 1)

        unfinished = lambda state: (state.gap > TOLERANCE) & (state.sweeps < MOST_SWEEPS)
        begin = _State(start, jnp.asarray(jnp.inf, gram.dtype), jnp.zeros((), jnp.int32))
        end = jax.lax.while_loop(unfinished, sweep, begin)
        return end.coefficients, (end.coefficients.T, end.gap)

    strengths = jnp.asarray(shares, gram.dtype) * most
    _, (parameters, gaps) = jax.lax.scan(solve, jnp.zeros_like(cross), strengths)
    return GroupPath(strengths, parameters, gaps)
