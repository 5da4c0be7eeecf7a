"""The claim that a source of the target's covariance helps more than one of another covariance [wu2020understanding]: not always.

Paper's covariance (scale 100 on a tenth S of the coordinates, 1 elsewhere), cosine 0.96 of dense random parameters, little noise,
more target rows than |S|. Compared on the same target draw: the gain from a source of the same covariance minus the gain from one
with the spectrum reversed. The claim says positive; it is negative: refuted. An abundant source fixes the shared direction at
theta_1, and what the target loses by it, (1 - cos^2) theta' Sigma theta, is paid on S at 10^4 times the price, while a source that
is weak on S leaves S to the target's own rows and fills in the rest.

Noise alone does not make it hold: the source must know S better than the target does. With E = theta' Sigma theta and P the price,

    P < noise^2 |S| / n_2    and    noise^2 |S| / n_1 < E    and    n_1 >= n_2

(`source_of_same_helps_more`): the target's own rows leave more of S unknown than sharing costs, and the source's rows, which are no
fewer, show S at all. At d = 20, over 300 settings of noise (1 to 3000), n_1 (30 to 10^6) and n_2 (4 to 1000) with 100 draws each,
the two orders differ at 95 % in 38 of 91 settings inside, for the claim in all of them, and in 111 of 209 outside, against it in
103 and for it in 8, most of them just below the first bound. With noise 300, n_2 = 200 and n_1 = 60 the claim is wrong by much.
With parameters that agree on S there is no price, and either order occurs.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from mtlsim.cells.transfer import Transfer
from mtlsim.core.extremes import largest_of
from mtlsim.tasks.covariance import Spiked
from mtlsim.tasks.linear import LinearTasks
from mtlsim.tasks.relations import lowest_alignment
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement, tasks_of


class TwoSources(eqx.Module):
    """One target with a source of the same covariance, and with one of another alignment (as drawn here, the reversed spectrum)."""

    same: Transfer
    other: Transfer


def balance(sources, key):
    """noise^2 |S| / n_2 and (1 - cos^2) theta_2' Sigma theta_2 of the drawn tasks, S the coordinates of the largest eigenvalue."""
    tasks = tasks_of(sources.same, key)
    covariance = tasks.covariances[-1]
    n_strong = jnp.sum(covariance.eigenvalues == largest_of(covariance.eigenvalues))
    price = (1 - sources.same.tasks.cosine[0] ** 2) * covariance.quadratic(tasks.parameters[-1])
    return tasks.noise[-1] ** 2 * n_strong / tasks.n_samples[-1], price


def source_of_same_helps_more(noise, n_source, n_target, n_strong, energy, cosine):
    """The condition at the head of this module, for n_strong = |S| and energy = theta' Sigma theta: all three hold."""
    unknown = jnp.asarray(noise) ** 2 * n_strong
    pays = unknown > (1 - cosine**2) * energy * n_target
    return pays & (unknown < energy * n_source) & (jnp.asarray(n_source) >= n_target)


def assume(sources, key):
    noise, price = balance(sources, key)
    tasks = tasks_of(sources.same, key)
    values = tasks.covariances[-1].eigenvalues
    return {
        "little noise": price - noise,
        "more target rows than strong coordinates": tasks.n_samples[-1] - jnp.sum(values == largest_of(values)) - 0.5,
    }


def predict(sources, key):
    return {"advantage_of_same": jnp.ones(())}


def measure(sources, key):
    return {"advantage_of_same": sources.same(key=key).gain - sources.other(key=key).gain}


def instance(place: str, rng: np.random.Generator) -> TwoSources:
    d, noisy = 20, place == OUTSIDE
    recipe = {
        "n_features": d,
        "n_samples": (int(rng.integers(500, 3000)), int(rng.integers(d + 6, d + 20) if noisy else rng.integers(9, d - 4))),
        "cosine": 0.96,
        "noise": float(rng.uniform(50, 100) if noisy else rng.uniform(0, 1)),
        "design": Spiked(1e4, fraction=0.1),
    }
    least = float(lowest_alignment(recipe["design"].draw(d)))
    other = LinearTasks(relation="geodesic", alignment=least, **recipe)
    return TwoSources(Transfer(LinearTasks(relation="same", **recipe)), Transfer(other))


STATEMENT = Statement(
    name="alignment-claim",
    claim="A source with the target's covariance helps the target more than one with another covariance.",
    source=("wu2020understanding",),
    kind="sign",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    places=(INSIDE, OUTSIDE),
    expected="refuted",
    says=(
        "With the target's covariance few source rows help; with another one the effect stays small or negative until the "
        "source has rows enough to estimate all of its parameters. Shown without label noise, at a cosine of about 0.96."
    ),
    proves="Nothing in general: an illustration and the analysis of one figure.",
    inferred="That it says which of two sources helps more, at given numbers of rows.",
)
