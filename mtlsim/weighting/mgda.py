"""The shortest mixture of the tasks' gradients: a direction in which every loss falls, if there is one."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mtlsim.core.checks import require_choice
from mtlsim.core.extremes import largest_of, smallest_of
from mtlsim.core.linalg import multiply, solver_of_few
from mtlsim.weighting._scheme import FLOOR, Example, Facts, Scheme, Signals

NORMALISERS = ("none", "l2", "loss", "loss+")
STEPS = ("pairwise", "plain")
RIDGE = 1e-15  # of the trace: dependent gradients have one answer all the same


def shortest_mixture(
    gram: Float[Array, "K K"], n_iterations: int = 100, tolerance: float = 1e-10, steps: str = "pairwise"
) -> tuple[Float[Array, " K"], Float[Array, ""]]:
    """w (K,) on the simplex with the least w'Mw, and its gap w'Mw - min_k (Mw)_k: w'Mw is at most twice that above the least.

    Frank-Wolfe from equal weights until the gap is at most tolerance * w'Mw, or rounding of the trace. "plain" steps go towards the
    best vertex [sener2018multi]; "pairwise" steps take the mass from the worst vertex in use, so that the gap falls geometrically
    [lacostejulien2015global], each followed by a step towards the best point of the plane through the vertices in use, as far as
    all weights stay positive: so it ends after few steps, however long and short the gradients are [wolfe1976finding]. Two tasks
    need one pairwise step. A gap near w'Mw = 0 means Pareto stationary [desideri2012multiple].
    """
    scale = jnp.trace(gram)
    matrix = gram / jnp.where(scale > 0, scale, 1)
    n_tasks = len(gram)
    corners = jnp.eye(n_tasks, dtype=gram.dtype)

    def gap_of(weights, pulls):
        return jnp.maximum(multiply(weights, pulls) - smallest_of(pulls), 0)

    def step(state):
        weights, pulls, _, iteration = state
        best = corners[jnp.argmin(pulls)]
        worst = corners[jnp.argmax(jnp.where(weights > 0, pulls, -jnp.inf))]
        most = multiply(worst, weights) if steps == "pairwise" else jnp.ones((), gram.dtype)
        move = best - (worst if steps == "pairwise" else weights)
        moved = multiply(matrix, move)
        curvature = multiply(move, moved)
        length = jnp.clip(-multiply(move, pulls) / jnp.where(curvature > 0, curvature, 1), 0, most)
        weights = jnp.maximum(weights + jnp.where(curvature > 0, length, 0) * move, 0)
        weights = _within(matrix, weights) if steps == "pairwise" else weights
        pulls = multiply(matrix, weights)
        return weights, pulls, gap_of(weights, pulls), iteration + 1

    weights = jnp.full((n_tasks,), 1 / n_tasks, gram.dtype)
    pulls = multiply(matrix, weights)
    state = (weights, pulls, gap_of(weights, pulls), 0)
    rounding = n_tasks * jnp.finfo(gram.dtype).eps

    def unfinished(state):
        weights, pulls, gap, iteration = state
        return (gap > jnp.maximum(tolerance * multiply(weights, pulls), rounding)) & (iteration < n_iterations)

    weights, _, gap, _ = jax.lax.while_loop(unfinished, step, state)
    return jnp.where(jnp.isnan(scale), jnp.nan, weights), gap * scale


def _within(matrix: Float[Array, "K K"], weights: Float[Array, " K"]) -> Float[Array, " K"]:
    """From weights towards the least w'Mw of those with the same zeros and any signs, until a further one is zero."""
    used = weights > 0
    inner = jnp.where(used[:, None] & used, matrix, 0) + jnp.diag(jnp.where(used, RIDGE, 1.0))
    aim = jnp.where(used, solver_of_few(inner)(used.astype(weights.dtype)), 0)
    total = jnp.sum(aim)
    aim = aim / jnp.where(total > 0, total, 1)
    falls = aim < 0
    room = jnp.where(falls, weights / jnp.where(falls, weights - aim, 1), 1)
    length = jnp.minimum(smallest_of(room), 1)
    moved = jnp.maximum(weights + length * (aim - weights), 0)
    moved = jnp.where(falls & (room <= length), 0, moved)
    lower = multiply(moved, matrix, moved) < multiply(weights, matrix, weights)  # false for what rounding has spoiled, and NaN
    return jnp.where((total > 0) & lower, moved / jnp.sum(moved), weights)


def is_pareto_stationary(gram: Float[Array, "K K"], tolerance: float = 1e-6) -> Array:
    """Whether no direction lowers all losses: the shortest mixture of gradients is shorter than tolerance times the longest."""
    weights, _ = shortest_mixture(gram)
    return multiply(weights, gram, weights) <= tolerance**2 * largest_of(jnp.diagonal(gram))


class MGDA(Scheme):
    """w = argmin over the simplex of |sum_k w_k g_k / c_k|^2, over c_k [sener2018multi], [desideri2012multiple].

    normaliser: c_k = 1 ("none"), |g_k| ("l2"), L_k(0) ("loss") or their product ("loss+"). n_iterations, tolerance, steps: of
    `shortest_mixture`; an end at the cap is counted. Released code clips the corners of two tasks to 0.999 and 0.001, and
    elsewhere replaces Frank-Wolfe by projected gradients; a solved task (g_k = 0) takes all the weight and stops the others.
    """

    normaliser: str = eqx.field(default="none", static=True)
    n_iterations: int = eqx.field(default=100, static=True)
    tolerance: float = eqx.field(default=1e-10, static=True)
    steps: str = eqx.field(default="pairwise", static=True)

    def __check_init__(self):
        require_choice(self.normaliser, NORMALISERS, "normaliser")
        require_choice(self.steps, STEPS, "steps")

    def init(self, facts):
        return facts.losses

    def weights(self, signals, state):
        sizes = jnp.ones_like(state)
        if self.normaliser in ("l2", "loss+"):
            sizes = sizes * jnp.sqrt(jnp.diagonal(signals.gram))
        if self.normaliser in ("loss", "loss+"):
            sizes = sizes * state
        floored = sizes < FLOOR
        sizes = jnp.where(floored, 1, sizes)
        gram = signals.gram / (sizes[:, None] * sizes)
        weights, gap = shortest_mixture(gram, self.n_iterations, self.tolerance, self.steps)
        capped = gap > self.tolerance * jnp.trace(gram)
        return weights / sizes, state, jnp.sum(floored) + capped


SCHEME = MGDA
FACTS = Facts([1.0, 2.0], [1.0, 1.0])
CONFORMANCE = (
    # orthogonal: weights in inverse proportion to squared lengths 1 and 4; parallel: all on the shorter; opposite: they cancel
    Example(MGDA(), FACTS, [Signals([1.0, 1.0], [[1.0, 0.0], [0.0, 4.0]], 0)], [[0.8, 0.2]]),
    Example(MGDA(), FACTS, [Signals([1.0, 1.0], [[1.0, 2.0], [2.0, 4.0]], 0)], [[1.0, 0.0]]),
    Example(MGDA(), FACTS, [Signals([1.0, 1.0], [[1.0, -2.0], [-2.0, 4.0]], 0)], [[2 / 3, 1 / 3]]),
    Example(MGDA("l2"), FACTS, [Signals([1.0, 1.0], [[4.0, 1.0], [1.0, 25.0]], 0)], [[0.25, 0.1]]),
    Example(MGDA("loss"), FACTS, [Signals([1.0, 1.0], [[1.0, 0.0], [0.0, 4.0]], 0)], [[0.5, 0.25]]),
    Example(MGDA(), FACTS, [Signals([1.0, 1.0], [[0.0, 0.0], [0.0, 0.0]], 0)], [[0.5, 0.5]]),
)
