"""The claim that all local minima are global, for two tasks with different rows and rank one: false.

For fixed heads (cos phi, sin phi) the best shared direction explains the energy

    G(phi) = (cos b_1 + sin b_2)' (cos^2 S_1 + sin^2 S_2)^-1 (cos b_1 + sin b_2),   S_i = X_i'X_i (d, d), b_i = X_i'y_i (d,),

and a local maximum of G is a local minimum of the loss in (B, A). Where S_1 is no multiple of S_2, G can have several. Alternating
least squares (direction given heads, heads given direction, each exactly; it never raises the loss) from one random direction is
tested against the certified global optimum, with spectra that run in opposite order and directions far apart. About half of the
starts stop at a higher loss (48 % of 8000, the same after three times as many rounds), so the claim that holds for shared rows
[wu2020understanding] does not extend to different ones: refuted.
"""

import jax
import jax.numpy as jnp
import numpy as np

from mtlsim.cells.transfer import Transfer
from mtlsim.core.extremes import smallest_of
from mtlsim.core.keys import stream
from mtlsim.core.linalg import inverse_square_root, multiply
from mtlsim.solvers.solve import solve
from mtlsim.tasks.covariance import PowerLaw
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.draws import moments_of
from mtlsim.theory.statement import INSIDE, Cells, Statement, tasks_of

ROUNDS = 2000


def climb(moments, direction):
    """The energy that both tasks explain together after `ROUNDS` of alternating least squares from a direction (d,)."""
    # where the sum of the grams is the identity and the first is diagonal, a round costs O(d)
    root, _ = inverse_square_root(moments.gram[0] + moments.gram[1])
    first, turn = jnp.linalg.eigh(multiply(root.T, moments.gram[0], root))
    sizes = jnp.stack([first, 1 - first])
    crosses = multiply(moments.cross, root, turn)

    def heads_of(direction):
        return multiply(crosses, direction) / multiply(sizes, direction**2)

    def update(_, direction):
        heads = heads_of(direction)
        direction = multiply(heads, crosses) / multiply(heads**2, sizes)
        return direction / jnp.linalg.norm(direction)

    direction = jax.lax.fori_loop(0, ROUNDS, update, direction)
    return jnp.sum(heads_of(direction) * multiply(crosses, direction))


def assume(cell, key):
    tasks = tasks_of(cell, key)
    return {"as many rows as features in every task": smallest_of(tasks.n_samples) - tasks.n_features + 0.5}


def predict(cell, key):
    return {"loss": solve(moments_of(cell, key), 1).loss}


def measure(cell, key):
    moments = moments_of(cell, key)
    start = jax.random.normal(stream(key, "start"), (moments.n_features,))
    return {"loss": jnp.sum(moments.energy) - climb(moments, start)}


def instance(place: str, rng: np.random.Generator) -> Transfer:
    d = 5
    tasks = LinearTasks(
        n_features=d,
        n_samples=tuple(int(n) for n in rng.integers(d + 6, 40, 2)),
        cosine=float(rng.uniform(-0.3, 0.3)),
        noise=float(rng.uniform(0.05, 0.3)),
        design=PowerLaw(float(rng.uniform(2, 4))),
        relation="disjoint",
    )
    return Transfer(tasks)


STATEMENT = Statement(
    name="local-minima-different",
    claim="For two tasks with different rows and one shared direction, all local minima are global.",
    source=("wu2020understanding",),
    kind="identity",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    cells=Cells(sharing="hard", n_tasks=2, rank=1, same_rows=False),
    places=(INSIDE,),
    predicts=("loss",),
    expected="refuted",
    says=("Proposition 3 can be extended to show that all local minima of equation 3 are global minima in the linear setting."),
    proves="Proposition 3, on the same rows for all tasks.",
    inferred=(
        "One of two readings: equation 3 as printed, with rows of its own for every task. This one is false; for the "
        "other see local-minima-shared."
    ),
)
