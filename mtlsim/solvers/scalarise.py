"""Tuned scalarisation: the fixed weights whose exact optimum is best by a criterion, and what is proven of them.

Under weights w the optimal layer is known exactly: on shared rows of any rank by one eigendecomposition of a K x K matrix, on
different rows for one column by the solver of `mtlsim.solvers.newton`. What is left is a search over the simplex of weights.

A criterion c maps the tasks' parameters and mean losses to a number, or to several of which the largest counts: then its slopes
jump, and where tasks balance its minimum is an edge. Steps in log w minimise max_j (c + J s)_j + |s|^2 / (2 rho), whose dual is a
shortest mixture over the simplex, from many starts (a proximal linear method [lewis2016proximal]); J is by differences. At an edge
they converge faster than linearly, along it as steepest descent does, so that from the best end they go on. Nothing is proven of
the end: what three eighths of the starts and more end at is, in the tests, within 10^-6 of the best on grids, but what two of eight
ended at was once 7 % off. Where the best weight of a task is none, no search ends.

Of the largest loss max_k L_k / p_k a lower bound is proven, for any layer and so for any weights:

    rank K - 1, shared rows   `least_scaled_loss`: what one direction left out must cost, exactly
    all others                max over w seen of (min over layers of w'L) / w'p, by weak duality

less what rounding of rows, labels and decompositions may have added to either. The optimum under the best weights may lie above
both: no weights reach a point of the front above its convex hull (`mtlsim.theory.statements.scalarisation_gap`).
"""

import reprlib
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
from mtlsim.solvers.rows import ROUNDINGS, look, unexplained
from mtlsim.solvers.separate import explained_alone
from mtlsim.solvers.single import penalised_losses
from mtlsim.solvers.solution import EXACT_WITHIN, LAST_DIGITS, Solution
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

    certificate: exact (the bound is met to 10^-6, or in the last three digits of all energy), interval, or none. agreement: share
    of the starts that end within 10^-6 of the best: a search that few starts agree on may have missed better weights. solution:
    the optimum under them. Weights under which many layers are optimal are not among those searched.
    status: not_converged where the last of the searches that go on from the best end still gained by 10^-6.
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

    hidden (K,): mean losses that no layer lowers. rounding (K,): by how much it may have moved the mean losses of any layer.
    """

    sides: Float[Array, "K q"]
    lift: Float[Array, "d q"]
    hidden: Float[Array, " K"]
    rounding: Float[Array, " K"]
    n_samples: Float[Array, " K"]
    rank: int = eqx.field(static=True)

    @classmethod
    def of(cls, moments: Moments, rank: int) -> "Scalarised":
        rows = observed_rows(moments, jnp.zeros_like(moments.energy))[0]
        sight = look(moments, jnp.zeros((), moments.cross.dtype), rows)
        basis, inner = jnp.linalg.qr(sight.sides.T)
        hidden = jnp.maximum(moments.energy - jnp.sum(inner**2, 0), 0) / moments.n_samples
        # a layer may mix directions, so that what one is off by counts with the size of all
        lengths, noise = jnp.sqrt(moments.energy), jnp.sqrt(jnp.sum(jnp.where(sight.seen, sight.noise, 0) ** 2))
        off = ROUNDINGS * lengths * jnp.sqrt(sight.energies()) * noise + unexplained(moments, sight, rows, lengths)
        off = off + ROUNDINGS * len(sight.seen) * jnp.finfo(off.dtype).eps * moments.energy
        return cls(inner.T, sight.solve(basis), hidden, off / moments.n_samples, moments.n_samples, rank)

    def optimum(self, logs: Float[Array, " K"]) -> tuple[Float[Array, "K d"], Float[Array, " K"], Float[Array, ""]]:
        """Parameters, mean losses and what no weighted sum of losses is less than, under weights exp(logs); a tie is NaN."""
        weights = jnp.exp(logs - largest_of(logs)) / self.n_samples
        values, vectors = jnp.linalg.eigh(linalg.multiply(self.sides.T * weights, self.sides))
        n_left = max(len(values) - self.rank, 0)
        parts = linalg.multiply(self.sides, vectors)
        losses = self.hidden + jnp.sum(parts[:, :n_left] ** 2, 1) / self.n_samples
        parameters = linalg.multiply(parts[:, n_left:], vectors[:, n_left:].T, self.lift.T)
        tie = values[n_left] - values[n_left - 1] <= TIED * values[-1] if n_left else jnp.zeros((), bool)
        tie = tie & (values[n_left] > len(values) * jnp.finfo(values.dtype).eps * values[-1])  # else nothing is left to explain
        unknown = jnp.where(tie, jnp.nan, 0.0)
        least = jnp.sum(weights * self.n_samples * (losses - self.rounding))
        last_digits = ROUNDINGS * len(values) * jnp.finfo(values.dtype).eps * jnp.sum(values)  # of an eigendecomposition
        return parameters + unknown, losses + unknown, least - last_digits


class Solved(eqx.Module):
    """The same on different rows, by `mtlsim.solvers.solve`: exact of two tasks and one column, else the best that it finds."""

    moments: Moments
    key: Key[Array, ""]
    rank: int = eqx.field(default=1, static=True)

    def optimum(self, logs):
        weights, n = jnp.exp(logs - largest_of(logs)), self.moments.n_samples
        found = solve(self.moments, self.rank, weights / n, key=self.key)
        losses = penalised_losses(self.moments, found.parameters, jnp.zeros_like(n)) / n
        last_digits = ROUNDINGS * jnp.finfo(n.dtype).eps * jnp.sum(weights / n * self.moments.energy)
        return found.parameters, jnp.maximum(losses, 0), found.loss - found.gap - last_digits


def optima_of(moments: Moments, rank: int, key: Key[Array, ""]) -> Scalarised | Solved:
    """Layers under all weights, for `search`."""
    return Scalarised.of(moments, rank) if moments.shared_covariates else Solved(moments, key, rank)


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
    whole = is_whole(rank) and 1 <= rank <= moments.n_features
    require(whole, "rank", f"a whole number from 1 to n_features = {moments.n_features}", reprlib.repr(rank), "use 1")
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
    cure = "leave it out for the worst loss"
    require(callable(criterion), "criterion", "a function of parameters and losses", reprlib.repr(criterion), cure)
    if isinstance(criterion, WorstLoss):
        criterion = WorstLoss(per_task(criterion.scales, 1.0, moments.n_tasks, "scales", moments.cross.dtype))
    if rank >= moments.n_tasks:
        return _without_choice(moments, rank, criterion)
    problem = optima_of(moments, rank, stream(key, "solver"))
    starts = starts_of(moments, stream(key, "weights"), n_starts)
    # a program that is kept would not see what a user's function holds and changes
    searched = _search_once if isinstance(criterion, WorstLoss) else search
    logs, value, bound, agreement, last = searched(problem, criterion, starts, n_steps)
    solution = solve(moments, rank, jnp.exp(logs) / moments.n_samples, key=stream(key, "solver"))
    if isinstance(criterion, WorstLoss) and moments.shared_covariates and rank == moments.n_tasks - 1 <= MOST_SIGNS - 1:
        bound = jnp.maximum(bound, least_scaled_loss(problem, criterion.scales))
    certificate = _certificate(value, bound, _scaled_energies(moments, criterion))
    moving = flag((last > EXACT_WITHIN * jnp.abs(value)) | ~jnp.isfinite(value), Status.not_converged)
    weights = jnp.exp(logs) / jnp.mean(jnp.exp(logs))
    return Tuned(weights, value, bound, certificate, agreement, solution, worst(solution.status, moving))


def _certificate(value: Float[Array, ""], bound: Float[Array, ""], energies: Float[Array, " K"]) -> Int[Array, ""]:
    """exact, interval or none, of a value and what it is proven not to be less than."""
    last_digits = LAST_DIGITS * jnp.finfo(value.dtype).eps * jnp.sum(energies)
    exact = value - bound <= jnp.maximum(EXACT_WITHIN * jnp.abs(value), last_digits)
    known = jnp.where(exact, int(Certificate.exact), int(Certificate.interval))
    return jnp.where(jnp.isfinite(value) & jnp.isfinite(bound), known, int(Certificate.none)).astype(jnp.int32)


def _scaled_energies(moments: Moments, criterion: Criterion) -> Float[Array, " K"]:
    """What the criterion of the worst loss makes of labels of which nothing is explained; zero of others."""
    return moments.energy / moments.n_samples / criterion.scales if isinstance(criterion, WorstLoss) else 0 * moments.energy


def _without_choice(moments: Moments, rank: int, criterion: Criterion) -> Tuned:
    """With a column for each task weights change nothing."""
    solution, ones = solve(moments, rank), jnp.ones_like(moments.energy)
    losses = penalised_losses(moments, solution.parameters, 0 * ones) / moments.n_samples
    value = largest_of(jnp.atleast_1d(criterion(solution.parameters, losses)))
    bound, certificate = value, solution.certificate
    if isinstance(criterion, WorstLoss):
        explained, off, _ = explained_alone(moments, ones, 0 * ones, observed_rows(moments, 0 * ones))
        off = off + ROUNDINGS * moments.n_features * jnp.finfo(off.dtype).eps * moments.energy
        bound = largest_of((moments.energy - explained - off) / moments.n_samples / criterion.scales)
        certificate = _certificate(value, bound, _scaled_energies(moments, criterion))
    return Tuned(ones, value, bound, certificate, jnp.ones_like(value), solution, solution.status)


def starts_of(moments: Moments, key: Key[Array, ""], n_starts: int) -> Float[Array, "n K"]:
    """Logarithms of weights: in inverse proportion to the energies, equal, and random ones."""
    energies = moments.energy / moments.n_samples
    inverse = -jnp.log(jnp.where(energies > 0, energies, largest_of(energies)))  # no task starts with all of the weight
    inverse = jnp.where(jnp.isfinite(inverse), inverse, 0)
    drawn = inverse + normal(key, (n_starts, len(energies)), energies.dtype)
    return drawn.at[0].set(inverse).at[1 : min(n_starts, 2)].set(0.0)


def search(
    problem: Scalarised | Solved, criterion: Criterion, starts: Float[Array, "n K"], n_steps: int, n_onwards: int = N_ONWARDS
) -> tuple[Float[Array, " K"], Float[Array, ""], Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """The best end of all starts: log weights, value, bound of all weights seen, share that agrees, gain of the last run."""
    scales = criterion.scales if isinstance(criterion, WorstLoss) else None
    identity = jnp.eye(starts.shape[1], dtype=starts.dtype)
    eps = float(jnp.finfo(starts.dtype).eps)
    nudge, shrink = max(DIFFERENCE, eps**0.5), 1 - 4 * starts.shape[1] * eps

    def see(logs):
        parameters, losses, least = problem.optimum(logs)
        costs = jnp.atleast_1d(criterion(parameters, losses))
        proven = -jnp.inf if scales is None else least * shrink / jnp.sum(jnp.exp(logs - largest_of(logs)) * scales)
        return jnp.where(jnp.isfinite(costs), costs, jnp.inf), jnp.where(jnp.isnan(proven), -jnp.inf, proven)

    def around(logs):
        """Costs and their slopes; none where costs or neighbours are unknown."""
        costs, bounds = jax.lax.map(see, jnp.concatenate([logs[None], logs + nudge * identity]))
        slopes = (costs[1:] - costs[0]).T / nudge
        return costs[0], jnp.where(jnp.isfinite(slopes), slopes, 0), largest_of(bounds)

    def step(centre, state, turn):
        logs, costs, slopes, reach, bound, _ = state
        first = turn == 0  # which looks at the start itself, so that a program holds one view
        move = _proximal(costs, slopes, reach)
        move = jnp.where(first, 0, move * jnp.minimum(1, FURTHEST / jnp.maximum(jnp.linalg.norm(move), FURTHEST)))
        promised = largest_of(costs) - largest_of(costs + linalg.multiply(slopes, move))
        onward = jnp.clip(logs + move - jnp.mean(logs + move), centre - WIDEST, centre + WIDEST)
        found, onward_slopes, proven = around(onward)
        gain = largest_of(costs) - largest_of(found)
        took = first | ((gain > 0.1 * promised) & (gain > 0))
        size = jnp.linalg.norm(onward_slopes / (steepest := _or_one(largest_of(jnp.abs(onward_slopes))))) * steepest
        begun = jnp.sqrt(_or_one(jnp.abs(largest_of(found)))) / _or_one(size)
        reach = jnp.where(first, begun, reach * jnp.where(gain > 0.5 * promised, 2.0, jnp.where(took, 1.0, 0.5)))
        logs, costs, slopes = (jnp.where(took, new, old) for new, old in ((onward, logs), (found, costs), (onward_slopes, slopes)))
        return (logs, costs, slopes, reach, jnp.maximum(bound, proven), jnp.where(took & ~first, gain, 0)), None

    zero = jnp.zeros((), starts.dtype)
    nothing = jax.tree.map(lambda part: jnp.zeros(part.shape, part.dtype), jax.eval_shape(around, starts[0])[:2])

    def run(begun, start):
        """From a start, or from the best end so far where there is none."""
        best, least = begun
        onward = jnp.isnan(start[0])
        start = jnp.where(onward, best, start)
        state = (start, *nothing, zero + 1, zero - jnp.inf, zero)
        (logs, costs, _, _, bound, last), _ = jax.lax.scan(partial(step, start - jnp.mean(start)), state, jnp.arange(n_steps + 1))
        value = largest_of(costs)
        better = value < least
        return (jnp.where(better, logs, best), jnp.where(better, value, least)), (
            value,
            bound,
            jnp.where(onward, least - value, last),
        )

    onwards = jnp.full((n_onwards, starts.shape[1]), jnp.nan, starts.dtype)
    end, (values, bounds, lasts) = jax.lax.scan(
        run, (starts[0] - jnp.mean(starts[0]), zero + jnp.inf), jnp.concatenate([starts, onwards])
    )
    first = values[: len(starts)]
    agreement = jnp.mean(first <= smallest_of(first) + EXACT_WITHIN * jnp.abs(smallest_of(first)))
    return *end, largest_of(bounds), agreement, lasts[-1]


_search_once = eqx.filter_jit(search)  # compiled once for each shape


def _or_one(size: Float[Array, ""]) -> Float[Array, ""]:
    return jnp.where((size > 0) & jnp.isfinite(size), size, 1)


def _proximal(costs: Float[Array, " J"], slopes: Float[Array, "J K"], reach: Float[Array, ""]) -> Float[Array, " K"]:
    """argmin over s of max_j (c + J s)_j + |s|^2 / (2 rho): s = -rho J'v, v on the simplex the least of rho |J'v|^2 / 2 - c'v.

    reach: the root of rho, as squares of slopes overflow where labels are of units far from one.
    """
    slopes = reach * slopes
    if len(costs) == 1:
        return -reach * slopes[0]
    # on the simplex a linear term is a quadratic one, and a constant makes it a gram's
    gram = linalg.multiply(slopes, slopes.T) - costs[:, None] - costs + 2 * largest_of(jnp.abs(costs))
    return -reach * linalg.multiply(shortest_mixture(gram, N_MIXED, 1e-12)[0], slopes)


@eqx.filter_jit
def least_scaled_loss(problem: Scalarised, scales: Float[Array, " K"]) -> Float[Array, ""]:
    """The least max_k L_k / scales_k of any layer of K - 1 columns on shared rows, less what rounding may have added to it.

    Such a layer leaves out one direction n of length one, and of task k the part z_k = u_k'n: L_k = hidden_k + z_k^2 / n_samples.
    For a level t there is one if and only if some z with |z_k| <= b_k(t) has |U^-1 z| >= 1, a convex function that is largest
    at a corner of the box: all signs are tried, and t is halved to the last digit, from below. Of the computed inverse X and
    N = |U X - I|, U^-1 z = X z' with z' in a box of half sides b + N b + N^2 b + ..., which is tried in place of b: less is
    proven where labels are nearly dependent, and nothing but what no layer lowers where they are dependent.
    """
    n_tasks, eps = len(scales), jnp.finfo(problem.sides.dtype).eps
    floor = largest_of(problem.hidden / scales)
    moved = largest_of(problem.rounding / scales)
    if n_tasks > problem.sides.shape[1]:
        return jnp.maximum(floor - moved, 0)
    signs = np.array([[1 - 2 * (pattern >> k & 1) for k in range(n_tasks)] for pattern in range(2 ** (n_tasks - 1))], float)
    lengths = jnp.sqrt(jnp.sum(problem.sides**2, 1))
    units = problem.sides / jnp.where(lengths > 0, lengths, 1)[:, None]
    inverse = jnp.linalg.inv(units)
    error = jnp.abs(linalg.multiply(units, inverse) - jnp.eye(n_tasks, dtype=units.dtype))
    error = error + 2 * n_tasks * eps * linalg.multiply(jnp.abs(units), jnp.abs(inverse))
    widening = jnp.linalg.inv(jnp.eye(n_tasks, dtype=units.dtype) - error)  # I + N + N^2 + ... where N is small
    is_small = largest_of(jnp.sum(error, 1)) < 0.5

    def is_reached(level):
        room = jnp.sqrt(jnp.maximum(level * scales - problem.hidden, 0) * problem.n_samples) / lengths
        corners = linalg.multiply(jnp.asarray(signs, room.dtype) * linalg.multiply(widening, room), inverse.T)
        return largest_of(jnp.sum(corners**2, 1)) >= 1 - 16 * n_tasks**2 * eps

    most = largest_of((problem.hidden + lengths**2 / problem.n_samples) / scales)

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2
        reached = is_reached(middle)
        return jnp.where(reached, low, middle), jnp.where(reached, middle, high)

    low, _ = jax.lax.fori_loop(0, N_HALVINGS, halve, (floor, most))
    return jnp.maximum(jnp.where(is_small, low, floor) * (1 - 4 * eps) - moved, 0)
