"""Tuned scalarisation: the fixed weights whose exact optimum is best by a criterion, and what is proven of them.

Under weights w the optimal layer is known exactly: on shared rows of any rank by one eigendecomposition of a K x K matrix, on
different rows for one column by the solver of `mtlsim.solvers.newton`. What is left is a search over the simplex of weights.

A criterion c maps the tasks' parameters and mean losses to a number, or to several of which the largest counts: then its slopes
jump, and where tasks balance its minimum is an edge. Steps in log w minimise max_j (c + J s)_j + |s|^2 / (2 rho), whose dual is a
shortest mixture over the simplex, from many starts (a proximal linear method [lewis2016proximal]); J is by differences. At an edge
they converge faster than linearly, along it as steepest descent does, so that from the best end they go on (for three tasks
within 10^-5 of grids, in the tests).

Of the largest loss max_k L_k / p_k a lower bound is proven, for any layer and so for any weights:

    rank K - 1, shared rows   `least_scaled_loss`: what one direction left out must cost, exactly
    all others                max over w seen of (min over layers of w'L) / w'p, by weak duality

The optimum under the best weights may lie above both: no weights reach a point of the front above its convex hull
(`mtlsim.theory.statements.scalarisation_gap`).
"""

from collections.abc import Callable, Sequence
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from mtlsim.core import linalg
from mtlsim.core.checks import is_whole, require
from mtlsim.core.extremes import largest_of, smallest_of
from mtlsim.core.keys import check_key, normal, stream
from mtlsim.core.status import Certificate, Status, flag, worst
from mtlsim.samples.moments import Moments, stack
from mtlsim.solvers.objective import observed_rows, per_task
from mtlsim.solvers.rows import look
from mtlsim.solvers.solution import EXACT_WITHIN, Solution, penalised_loss
from mtlsim.solvers.solve import solve
from mtlsim.weighting.mgda import shortest_mixture

FURTHEST = 2.0  # of a step in the logarithms of weights
WIDEST = 25.0  # of a weight's logarithm from where a search starts
DIFFERENCE = 1e-6  # of logarithms, for slopes; in float32 the root of its rounding, in which less is lost
TIED = 1e-9  # of the largest eigenvalue: nearer ones make an optimum that is not unique
MOST_SIGNS = 10  # tasks, for which all patterns of signs are gone through
N_HALVINGS = 60
N_ONWARDS = 4  # times that the steps go on from the best end of all starts
N_MIXED = 25  # of the iterations for a mixture

Criterion = Callable[[Float[Array, "K d"], Float[Array, " K"]], Float[Array, "..."]]


class WorstLoss(eqx.Module):
    """The criterion max_k L_k / scales_k of mean losses; scales: K numbers, one each if left out."""

    scales: Array | np.ndarray | tuple | None = None

    def __call__(self, parameters: Float[Array, "K d"], losses: Float[Array, " K"]) -> Float[Array, " K"]:
        return losses if self.scales is None else losses / self.scales


class Tuned(eqx.Module):
    """weights (K,) of mean one, the criterion's value at their optimum, and a proven lower bound on it (-inf: none is known).

    certificate: exact (the bound is met to 10^-6), interval, or none. agreement: share of the starts that end within 10^-6 of the
    best: a search that few starts agree on may have missed better weights. solution: the optimum under them. Weights under which
    many layers are optimal are not among those searched.
    status: not_converged where the best start still gained by 10^-6 in its last step.
    """

    weights: Float[Array, " K"]
    value: Float[Array, ""]
    bound: Float[Array, ""]
    certificate: Int[Array, ""]
    agreement: Float[Array, ""]
    solution: Solution
    status: Int[Array, ""]


class Scalarised(eqx.Module):
    """The optima under all weights, on shared rows: what rows see of the labels (K, q), q = min(d, K), and the way back.

    hidden (K,): mean losses that no layer lowers.
    """

    sides: Float[Array, "K q"]
    lift: Float[Array, "d q"]
    hidden: Float[Array, " K"]
    n_samples: Float[Array, " K"]
    rank: int = eqx.field(static=True)

    @classmethod
    def of(cls, moments: Moments, rank: int) -> "Scalarised":
        rows = observed_rows(moments, jnp.zeros_like(moments.energy))[0]
        sight = look(moments, jnp.zeros((), moments.cross.dtype), rows)
        basis, inner = jnp.linalg.qr(sight.sides.T)
        hidden = jnp.maximum(moments.energy - jnp.sum(inner**2, 0), 0) / moments.n_samples
        return cls(inner.T, sight.solve(basis), hidden, moments.n_samples, rank)

    def optimum(self, logs: Float[Array, " K"]) -> tuple[Float[Array, "K d"], Float[Array, " K"], Float[Array, ""]]:
        """Parameters, mean losses and the least weighted sum of losses, under weights exp(logs); a tie is NaN."""
        weights = jnp.exp(logs - largest_of(logs)) / self.n_samples
        values, vectors = jnp.linalg.eigh(linalg.multiply(self.sides.T * weights, self.sides))
        n_left = max(len(values) - self.rank, 0)
        parts = linalg.multiply(self.sides, vectors)
        losses = self.hidden + jnp.sum(parts[:, :n_left] ** 2, 1) / self.n_samples
        parameters = linalg.multiply(parts[:, n_left:], vectors[:, n_left:].T, self.lift.T)
        tie = values[n_left] - values[n_left - 1] <= TIED * values[-1] if n_left else jnp.zeros((), bool)
        tie = tie & (values[n_left] > len(values) * jnp.finfo(values.dtype).eps * values[-1])  # else nothing is left to explain
        unknown = jnp.where(tie, jnp.nan, 0.0)
        return parameters + unknown, losses + unknown, jnp.sum(weights * self.n_samples * losses)


class Solved(eqx.Module):
    """The same on different rows, for one column, by the exact solver of two tasks and the search of more."""

    moments: Moments
    key: Key[Array, ""]

    def optimum(self, logs):
        weights, n = jnp.exp(logs - largest_of(logs)), self.moments.n_samples
        found = solve(self.moments, 1, weights / n, key=self.key)
        losses = penalised_loss(self.moments, found.parameters) / n
        return found.parameters, jnp.maximum(losses, 0), found.loss - found.gap


def tune_weights(
    moments: Moments | Sequence[Moments],
    rank: int,
    criterion: Criterion | None = None,
    key: Key[Array, ""] | None = None,
    n_starts: int = 16,
    n_steps: int = 60,
) -> Tuned:
    """The weights of mean losses whose optimal shared layer has the least criterion (see the top of this file).

    moments: K tasks, stacked or in a sequence, on shared rows, or on different rows for rank one. rank: columns of the layer.
    criterion: `WorstLoss()` if left out, or any function of parameters (K, d) and mean losses (K,), of one number or more.
    key: of the starts; the first is in inverse proportion to the energies, the second equal weights. n_steps: of each, and of
    every one of four searches that go on from the best end.
    Raises ValueError for two columns or more on different rows, whose optima are not known exactly.

    >>> X, Y = np.eye(3), np.array([[1.0, 0, 0], [1.0, 1.0, 0]]).T
    >>> tuned = mtl.tune_weights(mtl.Moments.from_shared_rows(X, Y), rank=1)
    >>> [round(float(number), 6) for number in (tuned.value, tuned.bound)]
    [0.066667, 0.066667]
    """
    moments = stack(moments)
    require(
        moments.shared_covariates or rank == 1 or rank >= moments.n_tasks,
        "rank",
        "1 on different rows",
        rank,
        "use rank=1, or labels on the same rows",
    )
    for name, value in (("n_starts", n_starts), ("n_steps", n_steps)):
        require(is_whole(value) and value >= 1, name, "a whole number >= 1", repr(value), "leave it out")
    key = jax.random.key(0) if key is None else check_key(key)
    criterion = WorstLoss() if criterion is None else criterion
    if isinstance(criterion, WorstLoss):
        criterion = WorstLoss(per_task(criterion.scales, 1.0, moments.n_tasks, "scales", moments.cross.dtype))
    if rank >= moments.n_tasks:
        return _without_choice(moments, rank, criterion)
    problem = Scalarised.of(moments, rank) if moments.shared_covariates else Solved(moments, stream(key, "solver"))
    starts = _starts(moments, stream(key, "weights"), n_starts)
    logs, value, bound, agreement, last = search(problem, criterion, starts, n_steps)
    solution = solve(moments, rank, jnp.exp(logs) / moments.n_samples, key=stream(key, "solver"))
    if isinstance(criterion, WorstLoss) and moments.shared_covariates and rank == moments.n_tasks - 1 <= MOST_SIGNS - 1:
        bound = jnp.maximum(bound, least_scaled_loss(problem, criterion.scales))
    bound = jnp.minimum(bound, value)  # but for rounding it is
    met = jnp.isfinite(value) & (value - bound <= EXACT_WITHIN * jnp.abs(value))
    known = jnp.where(jnp.isfinite(bound), int(Certificate.interval), int(Certificate.none))
    certificate = jnp.where(met, int(Certificate.exact), known).astype(jnp.int32)
    moving = flag((last > EXACT_WITHIN * jnp.abs(value)) | ~jnp.isfinite(value), Status.not_converged)
    weights = jnp.exp(logs) / jnp.mean(jnp.exp(logs))
    return Tuned(weights, value, bound, certificate, agreement, solution, worst(solution.status, moving))


def _without_choice(moments: Moments, rank: int, criterion: Criterion) -> Tuned:
    """With a column for each task weights change nothing."""
    solution, ones = solve(moments, rank), jnp.ones_like(moments.energy)
    losses = jnp.maximum(penalised_loss(moments, solution.parameters), 0) / moments.n_samples
    value = largest_of(jnp.atleast_1d(criterion(solution.parameters, losses)))
    return Tuned(ones, value, value, jnp.zeros((), jnp.int32), jnp.ones_like(value), solution, solution.status)


def _starts(moments: Moments, key: Key[Array, ""], n_starts: int) -> Float[Array, "n K"]:
    energies = moments.energy / moments.n_samples
    inverse = -jnp.log(jnp.where(energies > 0, energies, largest_of(energies)))  # no task starts with all of the weight
    inverse = jnp.where(jnp.isfinite(inverse), inverse, 0)
    drawn = inverse + normal(key, (n_starts, len(energies)), energies.dtype)
    return drawn.at[0].set(inverse).at[1 : min(n_starts, 2)].set(0.0)


def search(
    problem: Scalarised | Solved, criterion: Criterion, starts: Float[Array, "n K"], n_steps: int
) -> tuple[Float[Array, " K"], Float[Array, ""], Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """The best end of all starts: log weights, value, bound of all weights seen, share that agrees, and its last gain."""
    scales = criterion.scales if isinstance(criterion, WorstLoss) else None
    identity = jnp.eye(starts.shape[1], dtype=starts.dtype)
    nudge = max(DIFFERENCE, float(jnp.finfo(starts.dtype).eps) ** 0.5)

    def see(logs):
        parameters, losses, least = problem.optimum(logs)
        costs = jnp.atleast_1d(criterion(parameters, losses))
        proven = -jnp.inf if scales is None else least / jnp.sum(jnp.exp(logs - largest_of(logs)) * scales)
        return jnp.where(jnp.isfinite(costs), costs, jnp.inf), jnp.where(jnp.isnan(proven), -jnp.inf, proven)

    def around(logs):
        """Costs and their slopes; none where costs or neighbours are unknown."""
        costs, bounds = jax.lax.map(see, jnp.concatenate([logs[None], logs + nudge * identity]))
        slopes = (costs[1:] - costs[0]).T / nudge
        return costs[0], jnp.where(jnp.isfinite(slopes), slopes, 0), largest_of(bounds)

    def step(centre, state, turn):
        logs, costs, slopes, rho, bound, _ = state
        first = turn == 0  # which looks at the start itself, so that a program holds one view
        move = _proximal(costs, slopes, rho)
        move = jnp.where(first, 0, move * jnp.minimum(1, FURTHEST / jnp.maximum(jnp.linalg.norm(move), FURTHEST)))
        promised = largest_of(costs) - largest_of(costs + linalg.multiply(slopes, move))
        onward = jnp.clip(logs + move - jnp.mean(logs + move), centre - WIDEST, centre + WIDEST)
        found, onward_slopes, proven = around(onward)
        gain = largest_of(costs) - largest_of(found)
        took = first | ((gain > 0.1 * promised) & (gain > 0))
        size = jnp.sum(onward_slopes**2)
        begun = jnp.where((size > 0) & jnp.isfinite(largest_of(found)), largest_of(found) / jnp.where(size > 0, size, 1), 1)
        rho = jnp.where(first, begun, rho * jnp.where(gain > 0.5 * promised, 4.0, jnp.where(took, 1.0, 0.25)))
        logs, costs, slopes = (jnp.where(took, new, old) for new, old in ((onward, logs), (found, costs), (onward_slopes, slopes)))
        return (logs, costs, slopes, rho, jnp.maximum(bound, proven), jnp.where(took & ~first, gain, 0)), None

    zero = jnp.zeros((), starts.dtype)
    nothing = jax.tree.map(lambda part: jnp.zeros(part.shape, part.dtype), jax.eval_shape(around, starts[0])[:2])

    def run(begun, start):
        """From a start, or from the best end so far where there is none."""
        best, least = begun
        start = jnp.where(jnp.isnan(start), best, start)
        state = (start, *nothing, zero + 1, zero - jnp.inf, zero)
        (logs, costs, _, _, bound, last), _ = jax.lax.scan(partial(step, start - jnp.mean(start)), state, jnp.arange(n_steps + 1))
        value = largest_of(costs)
        better = value < least
        return (jnp.where(better, logs, best), jnp.where(better, value, least)), (value, bound, last)

    onwards = jnp.full((N_ONWARDS, starts.shape[1]), jnp.nan, starts.dtype)
    end, (values, bounds, lasts) = jax.lax.scan(
        run, (starts[0] - jnp.mean(starts[0]), zero + jnp.inf), jnp.concatenate([starts, onwards])
    )
    first = values[: len(starts)]
    agreement = jnp.mean(first <= smallest_of(first) + EXACT_WITHIN * jnp.abs(smallest_of(first)))
    return *end, largest_of(bounds), agreement, lasts[-1]


def _proximal(costs: Float[Array, " J"], slopes: Float[Array, "J K"], rho: Float[Array, ""]) -> Float[Array, " K"]:
    """argmin over s of max_j (c + J s)_j + |s|^2 / (2 rho): s = -rho J'v, v on the simplex the least of rho |J'v|^2 / 2 - c'v."""
    if len(costs) == 1:
        return -rho * slopes[0]
    # on the simplex a linear term is a quadratic one, and a constant makes it a gram's
    gram = rho * linalg.multiply(slopes, slopes.T) - costs[:, None] - costs + 2 * largest_of(jnp.abs(costs))
    return -rho * linalg.multiply(shortest_mixture(gram, N_MIXED, 1e-12)[0], slopes)


def least_scaled_loss(problem: Scalarised, scales: Float[Array, " K"]) -> Float[Array, ""]:
    """The least max_k L_k / scales_k of any layer of K - 1 columns on shared rows.

    Such a layer leaves out one direction n of length one, and of task k the part z_k = u_k'n: L_k = hidden_k + z_k^2 / n_samples.
    For a level t there is one if and only if some z with |z_k| <= b_k(t) has |U^-1 z| >= 1, a convex function that is largest
    at a corner of the box: all signs are tried, and t is halved to the last digit, from below. Where labels are nearly
    dependent, so that U^-1 has lost its digits, less is proven; zero where they are dependent.
    """
    n_tasks = len(scales)
    if n_tasks > problem.sides.shape[1]:
        return smallest_of(jnp.zeros_like(scales))
    signs = np.array([[1 - 2 * (pattern >> k & 1) for k in range(n_tasks)] for pattern in range(2 ** (n_tasks - 1))], float)
    sides = problem.sides / jnp.sqrt(problem.n_samples)[:, None]
    singular = jnp.linalg.svd(sides, compute_uv=False)
    inverse = jnp.linalg.inv(sides)

    def is_reached(level):
        room = jnp.sqrt(jnp.maximum(level * scales - problem.hidden, 0))
        corners = linalg.multiply(jnp.asarray(signs, room.dtype) * room, inverse.T)
        return largest_of(jnp.sum(corners**2, 1)) >= 1

    floor = largest_of(problem.hidden / scales)
    most = largest_of((problem.hidden + jnp.sum(sides**2, 1)) / scales)

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2
        reached = is_reached(middle)
        return jnp.where(reached, low, middle), jnp.where(reached, middle, high)

    low, _ = jax.lax.fori_loop(0, N_HALVINGS, halve, (floor, most))
    lost = 16 * n_tasks * jnp.finfo(low.dtype).eps * singular[0] / jnp.where(singular[-1] > 0, singular[-1], 1)
    proven = floor + (low - floor) * jnp.maximum(1 - lost, 0)
    return jnp.where(jnp.isfinite(proven) & (singular[-1] > 0), proven, 0)
