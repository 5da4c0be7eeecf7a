"""As many columns as tasks, and nothing that keeps them small: whatever the mixing is, every task is learned alone.

W = H'B with H (C, K) of rank K reaches every W (K, d), so that the least sum of squares is the sum of the tasks' own, and sharing
gains nothing, in any draw. It is so for every mixing, hence for one that is learned: what learned stitches, gates and sluices of
linear models gain without a decay they gain by where training stops. (A decay of the columns alone changes nothing once the
mixing is learned: B -> B / t with H -> t H makes it vanish.) Outside, a decay or fewer columns than tasks.
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.core.extremes import smallest_of
from mtlsim.solvers.mixed import Mixing, solve_mixed
from mtlsim.solvers.single import solve_single
from mtlsim.theory.margins import keeps_digits
from mtlsim.theory.mixed_tasks import MixedTasks, draw_instance
from mtlsim.theory.statement import EDGE, OUTSIDE, Statement

DIGITS = 1e3  # the condition number of a mixing that leaves every task its digits


def assume(case, key):
    d, (_, moments) = case.tasks.n_features, case.draw(key=key)
    values = jnp.linalg.svd(case.amounts, compute_uv=False)
    least = values[-1] if case.amounts.shape[0] >= case.amounts.shape[1] else 0.0
    return {
        "as many columns as tasks, none of them idle": least / values[0] - 1 / DIGITS,
        "no decay": 1e-12 - jnp.asarray(case.decay, float),
        "more rows than features in every task": smallest_of(jnp.asarray(case.tasks.n_samples, float)) - d - 0.5,
        "systems that keep their digits": keeps_digits(moments.gram),
    }


def predict(case, key):
    tasks, moments = case.draw(key=key)
    alone = [solve_single(moments[k]) for k in range(len(moments.cross))]
    return {f"risk_of_task_{k}": tasks.excess_risk(one, k) for k, one in enumerate(alone[:2])}


def measure(case, key):
    tasks, moments = case.draw(key=key)
    mixing = Mixing(case.amounts, jnp.full(len(case.amounts), case.decay, float))
    found = solve_mixed(moments, mixing, jnp.ones(case.amounts.shape[1])).parameters
    return {f"risk_of_task_{k}": tasks.excess_risk(found[k], k) for k in range(2)}


def instance(place: str, rng: np.random.Generator) -> MixedTasks:
    """On the edge the mixing is nearly singular."""
    case = draw_instance(rng)
    if place == OUTSIDE:
        return case
    left, _, right = np.linalg.svd(case.amounts, full_matrices=False)
    weakest = 3 / DIGITS if place == EDGE else rng.uniform(0.05, 1)
    return MixedTasks(case.tasks, jnp.asarray(left * [1.0, rng.uniform(weakest, 1), weakest] @ right), 0.0)


STATEMENT = Statement(
    name="free-columns",
    claim="With as many columns as tasks and no decay, every mixing learns each task alone, and sharing gains nothing.",
    source=("derived",),
    kind="identity",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
)
