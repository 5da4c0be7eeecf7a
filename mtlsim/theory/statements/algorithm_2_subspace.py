"""The claim that the weighting of Algorithm 2 [wu2020understanding] looks at the best layer's subspace: false in general.

Algorithm 2 takes the top r left singular vectors of [X'y_1 .. X'y_K] (d, K). On shared rows X = U D V' the best layer is
(X'X)^-1 V D Q_r with Q_r from U'y_i (`proposition_3`), and U'y_i = D^-1 V' X'y_i: the two spans agree only where X'X is a multiple
of the identity on them, or r = K. Tested is the cosine of the largest principal angle between the spans, one if they agree:
refuted for every spectrum that is not flat. After whitening it is true: see `algorithm_2_whitened`.
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.transfer import Transfer
from mtlsim.core.keys import stream
from mtlsim.similarity import principal_angles
from mtlsim.solvers.solve import solve
from mtlsim.tasks.covariance import PowerLaw
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.draws import moments_of
from mtlsim.theory.margins import keeps_digits, stands_apart
from mtlsim.theory.statement import INSIDE, Cells, Statement, tasks_of
from mtlsim.theory.statements.proposition_3 import strengths_of
from mtlsim.weighting.algorithm_2 import top_directions


def assume(cell, key):
    tasks, moments = tasks_of(cell, key), moments_of(cell, key)
    strengths = strengths_of(moments.gram, moments.cross, jnp.ones(tasks.n_tasks))
    return {
        "all tasks are labels on the same rows": jnp.asarray(0.5 if tasks.shared_covariates else -0.5),
        "as many rows as features": tasks.n_samples[0] - tasks.n_features + 0.5,
        "fewer columns than tasks": jnp.asarray(tasks.n_tasks - cell.rank - 0.5),
        "a system that keeps its digits": keeps_digits(moments.gram),
        "combinations stronger than the next": stands_apart(strengths, cell.rank),
    }


def predict(cell, key):
    return {"cosine_of_spans": jnp.ones(())}


def measure(cell, key):
    moments = moments_of(cell, key)
    best = solve(moments, cell.rank, key=stream(key, "solver")).shared
    return {"cosine_of_spans": jnp.cos(principal_angles(top_directions(moments.cross.T, cell.rank), best)[-1])}


def instance(place: str, rng: np.random.Generator) -> Transfer:
    d, rank = 7, int(rng.integers(1, 3))
    tasks = LinearTasks(
        n_features=d,
        n_samples=(int(rng.integers(d + 6, 200)),) * 3,
        cosine=rng.uniform(-0.8, 0.8, 2).tolist(),
        noise=rng.uniform(0.1, 1, 3).tolist(),
        design=PowerLaw(float(rng.uniform(0.5, 2))),
        shared_covariates=True,
    )
    return Transfer(tasks, rank=rank)


STATEMENT = Statement(
    name="algorithm-2-subspace",
    claim="The top singular vectors of the columns X'y_i span the best shared layer.",
    source=("wu2020understanding",),
    kind="identity",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    cells=Cells(sharing="hard", same_rows=True, target=True),
    places=(INSIDE,),
    expected="refuted",
    says=(
        "A noisy task should weigh less, by its projection on the top r left singular vectors of the columns X'y; "
        "inspired by Proposition 3."
    ),
    proves="Nothing about the span of these vectors.",
    inferred="That the span is that of Proposition 3's layer: ours, not the text's, and false.",
)
