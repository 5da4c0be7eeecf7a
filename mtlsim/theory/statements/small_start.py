"""What Proposition 1 does not say: "no transfer at rank r >= K" as a claim about training [wu2020understanding].

The claim as read: with at least as many columns as tasks (K = 2), joint training leaves the target where learning it alone does.
Where the target has fewer rows than features, its own optimum is a continuum, and the start of training picks one point of it.
Full-batch gradient descent on sum_i |X_i B A_i - y_i|^2 from entries of size `start` is tested against the target's own solution
of minimum norm: noiseless tasks with equal parameters, r = 4, d = 12, 600 steps. From 0.001 the trained target has nearly no
error, a full transfer at r >= K, while alone it keeps about the share 1 - n/d of the energy: refuted. From starts of about 0.5
and more (outside) the error grows past that of learning alone.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from mtlsim.core.keys import normal, stream
from mtlsim.core.linalg import multiply
from mtlsim.samples.moments import Moments
from mtlsim.samples.wishart import draw_moments
from mtlsim.solvers.single import solve_single
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement, tasks_of


class Training(eqx.Module):
    """Gradient descent on the joint loss of `tasks`: rank (columns), start (standard deviation of all entries), step, n_steps."""

    tasks: LinearTasks
    start: Array | float
    step: Array | float
    rank: int = eqx.field(default=4, static=True)
    n_steps: int = eqx.field(default=600, static=True)


def train(moments: Moments, training: Training, key: Key[Array, ""]) -> Float[Array, "K d"]:
    """Parameters B A_i of all tasks after plain gradient steps on sum_i |X_i B A_i - y_i|^2."""
    layer_key, head_key = stream(key, "layer"), stream(key, "heads")
    layer = training.start * normal(layer_key, (moments.n_features, training.rank))
    heads = training.start * normal(head_key, (moments.n_tasks, training.rank))

    def update(_, state):
        layer, heads = state
        parameters = multiply(heads, layer.T)
        slopes = 2 * (jnp.einsum("kde,ke->kd", moments.gram, parameters, precision="highest") - moments.cross)
        return layer - training.step * multiply(slopes.T, heads), heads - training.step * multiply(slopes, layer)

    layer, heads = jax.lax.fori_loop(0, training.n_steps, update, (layer, heads))
    return multiply(heads, layer.T)


def assume(training, key):
    tasks = tasks_of(training, key)
    return {
        "a layer of at least as many columns as tasks": jnp.asarray(training.rank - tasks.n_tasks + 0.5),
        "fewer target rows than features": tasks.n_features - tasks.n_samples[-1] - 0.5,
        "a small start": 0.1 - training.start,
    }


def predict(training, key):
    tasks = tasks_of(training, key)
    moments = draw_moments(tasks, key=stream(key, "samples"))
    return {"risk_multi": tasks.excess_risk(solve_single(moments[-1]))}


def measure(training, key):
    tasks = tasks_of(training, key)
    moments = draw_moments(tasks, key=stream(key, "samples"))
    return {"risk_multi": tasks.excess_risk(train(moments, training, stream(key, "training"))[-1])}


def instance(place: str, rng: np.random.Generator) -> Training:
    rows = int(rng.integers(60, 100)), int(rng.integers(2, 7))
    tasks = LinearTasks(n_features=12, n_samples=rows, cosine=1.0, noise=0.0, design=Isotropic(), relation="same")
    if place == OUTSIDE:  # a large layer is steep: smaller steps
        return Training(tasks, start=float(rng.uniform(0.6, 0.8)), step=0.015 / sum(rows))
    return Training(tasks, start=float(10 ** rng.uniform(-4, -2.5)), step=0.12 / sum(rows))


STATEMENT = Statement(
    name="small-start",
    claim="With a layer of at least as many columns as tasks, training the tasks together leaves the target at its own solution.",
    source=("wu2020understanding",),
    kind="equality",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    places=(INSIDE, OUTSIDE),
    expected="refuted",
    says="With at least as many columns as tasks there is no transfer between any two tasks.",
    proves="Only that an optimum exists whose parameters are every task's own (see proposition-1).",
    inferred=(
        "That the sentence speaks of training, also where the target has fewer rows than features: the reading that is "
        "tested, and false."
    ),
)
