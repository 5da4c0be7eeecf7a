"""By how much a layer can beat tuned weights in the worst loss: of two tasks on the same rows not at all, of three by a factor.

Labels on the same rows; a layer of K - 1 columns leaves out one direction n of length one, L_k = (n'u_k)^2, and with z_k = n'u_k
and M = (U'U)^-1 these are the z with z'M z = 1.

Two tasks: for one choice of signs M_12 z_1 z_2 >= 0, and along that arc of an ellipse L_2 is a convex function of L_1. So the front
bounds a convex set, every point of it is the optimum under some weights, and no optimiser ends where none leads. Three tasks of
equal energy and cosine c > 0: of three signs two are alike, that arc is missing, and the balanced point
beats the best weights by (see `scalarisation_gap`)

    (1 - c) / 2  over  (1 - c)(1 + 2c) / (3 + 5c)   =   (3 + 5c) / (2 (1 + 2c)),      for c <= 0 by nothing.

So both sides of the dispute are right, each of its tasks: that no optimiser beats tuned weights [kurin2022defense],
[xin2022current], and that no weights reach the balanced part of the front [hu2023revisiting].
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from mtlsim.core.extremes import largest_of, smallest_of
from mtlsim.core.keys import stream
from mtlsim.samples.moments import Moments
from mtlsim.solvers.scalarise import Scalarised, least_scaled_loss, tune_weights
from mtlsim.theory.statement import EDGE, INSIDE, OUTSIDE, Statement
from mtlsim.theory.statements import scalarisation_gap
from mtlsim.theory.statements.scalarisation_gap import LOWEST, Alike, balanced_loss, weighted_loss

N_STARTS, N_STEPS = 4, 30  # of the search


class Rivals(eqx.Module):
    """Three tasks alike on shared rows, or two of any energies."""

    tasks: Alike
    n_tasks: int = eqx.field(default=3, static=True)

    def draw(self, *, key) -> Moments:
        moments, n = self.tasks.draw(key=key), self.n_tasks
        parts = (moments.cross[:n], moments.energy[:n], moments.n_samples[:n])
        return Moments(moments.gram, *parts, moments.factor, moments.scores[:n], moments.rank_known)


def assume(rivals, key):
    tasks, size = rivals.tasks, largest_of(rivals.tasks.energies)
    spread = (size - smallest_of(tasks.energies)) / size
    return {
        "two tasks or three": 1.0 if rivals.n_tasks in (2, 3) else -1.0,
        "tasks of equal energy, if they are three": 1e-9 - (spread if rivals.n_tasks == 3 else 0 * spread),
        "a cosine that three tasks can have in pairs": jnp.minimum(tasks.cosine - LOWEST, 1 - tasks.cosine) - 0.02,
    }


def predict(rivals, key):
    factor = weighted_loss(rivals.tasks.cosine) / balanced_loss(rivals.tasks.cosine)
    return {"factor": factor if rivals.n_tasks == 3 else jnp.ones_like(factor)}


def measure(rivals, key):
    """The best weights by a search over them, the best layer by a search over levels and signs."""
    moments = rivals.draw(key=key)
    tuned = tune_weights(moments, rivals.n_tasks - 1, None, stream(key, "weights"), N_STARTS, N_STEPS)
    best = least_scaled_loss(Scalarised.of(moments, rivals.n_tasks - 1), jnp.ones_like(moments.energy))
    return {"factor": tuned.value / best}


def instance(place: str, rng: np.random.Generator) -> Rivals:
    """Inside and on the edge half are two tasks, of any energies; outside three, of different ones."""
    n_tasks = 3 if place == OUTSIDE else int(rng.choice([2, 3]))
    tasks = scalarisation_gap.instance(place, rng)
    if n_tasks == 2:
        tasks = eqx.tree_at(lambda t: t.energies, tasks, jnp.asarray(10 ** rng.uniform(-0.5, 0.5, 3)))
    return Rivals(tasks, n_tasks)


STATEMENT = Statement(
    name="beyond-weights",
    claim="On two tasks of the same rows no optimiser beats tuned weights; on three alike one can, by a known factor.",
    source=("hu2023revisiting", "kurin2022defense", "xin2022current"),
    kind="identity",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    places=(INSIDE, EDGE, OUTSIDE),
    says="Two papers find no optimiser that beats tuned scalarisation; a third says it cannot reach balanced points of the front.",
    proves="Of the third, conditions for linear models on the same rows; all three read in their abstracts alone.",
    inferred="That both hold at once, which tasks tell them apart, and the factor.",
)
