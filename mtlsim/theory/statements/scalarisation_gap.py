"""What no weights reach: the balanced point of three tasks that are alike, under a layer of two columns [hu2023revisiting].

Labels on the same rows of rank d; u_k (d,) what the rows see of task k's labels, of equal energy e and equal cosines c in pairs.
A layer of two columns leaves of each task the part along one direction n of length one, L_k = (n'u_k)^2. With z_k = n'u_k and
M = (U'U)^-1 these are the z with z'M z = 1, a surface for every choice of signs, so that

    the least worst loss of any layer    e (1 - c)(1 + 2c) / (3 + 5c)    for c > 0,    e (1 + 2c) / 3    for c <= 0,
    the same of the optima under weights    e (1 - c) / 2                for c > 0,    e (1 + 2c) / 3    for c <= 0.

For c > 0 the balanced point has one sign that differs, on a surface that bends away from the origin. Weights (1, 1, w) with any
w > 1 reach the second line exactly: they give the third task all it asks for, and halve the rest.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mtlsim.core.checks import require
from mtlsim.core.extremes import largest_of, smallest_of
from mtlsim.core.keys import normal, stream
from mtlsim.core.linalg import multiply
from mtlsim.samples.moments import Moments
from mtlsim.solvers.solution import penalised_loss
from mtlsim.solvers.solve import solve
from mtlsim.theory.statement import EDGE, INSIDE, OUTSIDE, Statement

N_WEIGHTS = 14
# of the search for the balanced layer: directions tried first, points along a side of a patch, patches
N_TRIED, GRID, ROUNDS = 300, 7, 40
LOWEST = -0.5  # cosine below which three vectors cannot have it in pairs


class Alike(eqx.Module):
    """Labels of three tasks on the same rows of d features: their cosine in pairs, and the energies (3,) that rows see of them."""

    cosine: Array | float
    energies: Float[Array, "3"]
    n_features: int = eqx.field(default=4, static=True)

    def __check_init__(self):
        enough = self.n_features >= 3
        require(enough, "n_features", "at least 3, for as many directions as tasks", self.n_features, "use 4")

    def draw(self, *, key) -> Moments:
        cosine = jnp.asarray(self.cosine, float)
        basis = jnp.linalg.qr(normal(stream(key, "labels"), (self.n_features, 3)))[0]
        inner = jnp.linalg.cholesky((1 - cosine) * jnp.eye(3) + cosine)
        scores = jnp.sqrt(self.energies)[:, None] * multiply(inner, basis.T)
        factor = jnp.tril(normal(stream(key, "rows"), (self.n_features,) * 2), -1) / 4 + jnp.eye(self.n_features)
        gram, n_samples = multiply(factor, factor.T), jnp.full(3, float(2 * self.n_features))
        return Moments(gram, multiply(scores, factor.T), self.energies * 1.0, n_samples, factor, scores, rank_known=True)


def balanced_loss(cosine):
    """The least worst loss of any layer, over the energy of a task."""
    positive = jnp.maximum(cosine, 0)
    return jnp.where(cosine > 0, (1 - positive) * (1 + 2 * positive) / (3 + 5 * positive), (1 + 2 * cosine) / 3)


def weighted_loss(cosine):
    """The least worst loss of the optima under weights, over the energy of a task."""
    return jnp.where(cosine > 0, (1 - cosine) / 2, (1 + 2 * cosine) / 3)


def assume(alike, key):
    size = largest_of(alike.energies)
    return {
        "tasks of equal energy": 1e-9 - (size - smallest_of(alike.energies)) / size,
        "a cosine that three tasks can have in pairs": jnp.minimum(alike.cosine - LOWEST, 1 - alike.cosine) - 0.02,
    }


def predict(alike, key):
    energy = jnp.mean(alike.energies)
    return {"any_layer": energy * balanced_loss(alike.cosine), "under_weights": energy * weighted_loss(alike.cosine)}


def measure(alike, key):
    """By a search over all layers, and by the exact optima under equal, unequal and many random weights."""
    moments = alike.draw(key=key)
    weights = 10 ** (1.5 * normal(stream(key, "weights"), (N_WEIGHTS, 3)))
    weights = jnp.concatenate([weights, jnp.array([[1.0, 1.0, 2.0], [1.0, 1.0, 1.0]])])

    def worst(weights):
        found = largest_of(penalised_loss(moments, solve(moments, 2, weights).parameters))
        return jnp.where(jnp.isnan(found), jnp.inf, found)  # where weights leave a tie there is no one answer

    return {"any_layer": least_worst_loss(moments), "under_weights": smallest_of(jax.lax.map(worst, weights))}


def least_worst_loss(moments: Moments) -> Float[Array, ""]:
    """By a search over the directions left out, for each choice of signs on patches that shrink around the best of it."""
    span = jnp.linalg.qr(moments.scores.T)[0]
    unmix = jnp.linalg.inv(multiply(moments.scores, span))  # directions with these parts z, so that patches are not narrow
    sides = jnp.linspace(-1, 1, GRID)
    patch = jnp.stack(jnp.meshgrid(sides, sides), -1).reshape(-1, 2)

    def left(parts):
        directions = multiply(parts, unmix.T)
        return multiply(directions / jnp.sqrt(jnp.sum(directions**2, 1, keepdims=True)), span.T, moments.scores.T)

    def closer(_, state):
        centre, width = state
        across = jnp.cross(centre, jnp.eye(3)[jnp.argmin(jnp.abs(centre))])
        across = across / jnp.linalg.norm(across)
        tried = centre + width * multiply(patch, jnp.stack([across, jnp.cross(centre, across)]))
        best = tried[jnp.argmin(largest_of(left(tried) ** 2, 1))]
        return best / jnp.linalg.norm(best), width * 0.6

    everywhere = normal(jax.random.key(0), (N_TRIED, 3))
    parts = left(everywhere)
    alike = jnp.sign(parts[:, 1:] * parts[:, :1])

    def best_of(signs):
        worst = jnp.where(jnp.all(alike == signs, 1), largest_of(parts**2, 1), jnp.inf)
        start = everywhere[jnp.argmin(worst)]
        centre, _ = jax.lax.fori_loop(0, ROUNDS, closer, (start / jnp.linalg.norm(start), jnp.asarray(0.3)))
        return centre, largest_of(left(centre[None]) ** 2)

    centres, losses = jax.lax.map(best_of, jnp.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]))
    centre = centres[jnp.argmin(losses)]
    # the layer itself: what is across this direction, its heads by least squares on the rows that stand for the moments
    across = multiply(span, jnp.linalg.svd(multiply(unmix, centre)[None])[2][1:].T)
    layer = jnp.linalg.solve(moments.factor.T, across)
    fitted = multiply(moments.factor.T, layer)
    heads = jnp.linalg.lstsq(fitted, moments.scores.T)[0]
    return largest_of(jnp.sum((moments.scores.T - multiply(fitted, heads)) ** 2, 0))


def instance(place: str, rng: np.random.Generator) -> Alike:
    """Inside a cosine of either sign, at the edge one near what three tasks can have or near zero; outside energies differ."""
    cosine = {
        INSIDE: rng.choice([rng.uniform(0.1, 0.9), rng.uniform(-0.4, -0.05)]),
        EDGE: rng.choice([rng.uniform(0.93, 0.97), rng.uniform(-0.47, -0.44), rng.uniform(-0.02, 0.02)]),
        OUTSIDE: rng.uniform(0.3, 0.7),
    }[place]
    energies = 10 ** rng.uniform(-1, 1) * np.array([1, 1, rng.uniform(2, 4) if place == OUTSIDE else 1])
    return Alike(float(cosine), jnp.asarray(energies))


STATEMENT = Statement(
    name="scalarisation-gap",
    claim="Of three tasks alike, two columns, no weights reach the balanced point, by a known factor; of tasks at odds they do.",
    source=("hu2023revisiting",),
    kind="identity",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    says="Scalarisation cannot trace the whole Pareto front of an under-parametrised linear model, balanced points least of all.",
    proves="Conditions under which the whole front is reached, for labels on the same rows; read in the abstract alone.",
    inferred="The closed forms for equal energies and cosines, and that the sign of the cosine decides.",
)
