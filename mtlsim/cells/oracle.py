"""The weights with the least exact risk: what any weighting scheme could hope for, on linear tasks."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from mtlsim.samples.moments import Moments
from mtlsim.solvers.network import Layers
from mtlsim.solvers.scalarise import optima_of, search, starts_of
from mtlsim.solvers.solution import Solution
from mtlsim.solvers.solve import solve

# of the search of more than two tasks: starts, steps of each, and times that it goes on from the best end
ON_SHARED_ROWS, ON_OWN_ROWS = (4, 40, 4), (2, 12, 2)
REACH, N_NODES, N_ZOOMS, SHRINK = 8.0, 17, 4, 6.0  # of the logarithm of a weight: span, nodes, zooms, and what a zoom divides by


def solve_mean_losses(moments: Moments, rank: int, weights: Float[Array, " K"], key: Key[Array, ""]) -> Solution:
    """The optimal shared layer of sum_k w_k L_k with L_k the mean squared error of task k."""
    return solve(moments, rank, weights / moments.n_samples, key=key)


def best_weights(
    risk: Callable[[Float[Array, "K d"]], Float[Array, ""]], moments: Moments, rank: int, key: Key[Array, ""]
) -> tuple[Float[Array, " K"], Layers, Int[Array, ""]]:
    """Weights (K,) of mean one whose optimal shared layer has the least risk(parameters), that layer with its heads, and status.

    The last task's weight is held, and each other one runs in turn over a grid of its logarithm that contains the present point:
    from e^8 times the last one's down to e^-8 times, and closer around the best for every zoom. So the result is never worse
    than where it begins: of two tasks, which are searched on one line, at equal weights; of more, at the end of a search over all
    weights at once (`mtlsim.solvers.scalarise`), from equal ones and from those in inverse proportion to the energies.
    """
    n_tasks = moments.n_tasks

    def look(logs):
        found = solve_mean_losses(moments, rank, jnp.exp(logs), key)
        return risk(found.parameters), logs, Layers(found.shared, found.heads), found.status

    def along(best, turn):
        zoom, task = turn
        moves = REACH / SHRINK**zoom * jnp.linspace(-1, 1, N_NODES, dtype=best[1].dtype)
        seen = jax.lax.map(look, best[1] + moves[:, None] * jax.nn.one_hot(task, n_tasks, dtype=best[1].dtype))
        least = jnp.argmin(jnp.where(jnp.isfinite(seen[0]), seen[0], jnp.inf))
        return jax.tree.map(lambda leaf: leaf[least], seen), None

    turns = [(zoom, task) for zoom in range(N_ZOOMS) for task in range(max(1, n_tasks - 1))]
    zero = begin = jnp.zeros_like(moments.cross[:, 0])
    if n_tasks > 2:
        cost = lambda parameters, losses: risk(parameters)
        n_starts, n_steps, n_onwards = ON_SHARED_ROWS if moments.shared_covariates else ON_OWN_ROWS
        begin = search(optima_of(moments, rank, key), cost, starts_of(moments, key, n_starts), n_steps, n_onwards)[0]
        begin = begin - begin[-1]
    nothing = Layers(jnp.zeros((moments.n_features, rank), zero.dtype), jnp.zeros((n_tasks, rank), zero.dtype))
    (_, logs, layers, status), _ = jax.lax.scan(
        along, (zero[0], begin, nothing, jnp.zeros((), jnp.int32)), tuple(jnp.array(turns).T)
    )
    return jnp.exp(logs) / jnp.mean(jnp.exp(logs)), layers, status
