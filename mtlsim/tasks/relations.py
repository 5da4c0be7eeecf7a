"""How a source's covariance relates to the target's: same, disjoint, rotated, or turned to a wanted alignment.

The normalised covariance similarity (Eq. 5 of the founding paper over the geometric mean of both self-scores) of two
covariances of equal spectrum is alignment = sqrt(tr(C1 C2) / tr(C2 C2)). Pair the largest eigenvector with the smallest, the
second with the second smallest, and so on, and rotate each pair by its angle: then

    alignment^2 = 1 - sum over pairs of (difference of the pair's eigenvalues)^2 sin^2(angle) / tr(C2 C2),

which is solved in closed form. A quarter turn of all pairs reverses the spectrum, and no rotation reaches a lower score.
"""

import dataclasses
import reprlib
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mtlsim.core.checks import require
from mtlsim.core.status import Status, flag
from mtlsim.tasks.covariance import Covariance, PairRotation, random_basis

RELATIONS = {
    "geodesic": "all pairs of eigenvectors turn by one angle, so that `alignment` is met",
    "coordinates": "pairs swap one after the other (the last one in part), so that `alignment` is met",
    "same": "the source has the target's covariance",
    "disjoint": "the spectrum is reversed: large eigenvalues where the target has small ones",
    "rotated": "the source's rows are X = R D Q' (or, with order='rqd', R Q D) with Q uniformly random, drawn per seed",
}
OWN = "own"  # where every task has a design of its own; no relation then makes one covariance from another
USE_ALIGNMENT = ("geodesic", "coordinates")


def lowest_alignment(target: Covariance) -> Float[Array, ""]:
    """The alignment at the reversed spectrum: no covariance with the target's spectrum has a lower one.

    >>> round(float(mtl.lowest_alignment(mtl.Spiked(100.0, fraction=0.5).draw(4))), 2)
    0.14
    """
    require(isinstance(target, Covariance), "target", "a covariance", reprlib.repr(target), "draw one: Spiked().draw(n_features)")
    values = jnp.sort(target.eigenvalues)
    return jnp.sqrt(values @ values[::-1] / (values @ values))


@partial(jax.jit, static_argnames=("relation", "order"))
def relate(target: Covariance, relation: str, alignment, key, order: str = "rdq"):
    """The source's covariance, and a status: out_of_range where the wanted alignment is below the lowest."""
    ok = jnp.zeros((), jnp.int32)
    if relation == "same":
        return target, ok
    if relation == "rotated":
        # R Q has the law of R for Gaussian rows, so in the printed order Q cancels and the covariance stays D^2
        return (target if order == "rqd" else _in_random_basis(target, key)), ok
    ranks = jnp.argsort(-target.eigenvalues)
    d = target.n_features
    large, small = ranks[: d // 2], ranks[::-1][: d // 2]
    differences = (target.eigenvalues[large] - target.eigenvalues[small]) ** 2
    missing = (1 - jnp.asarray(alignment) ** 2) * jnp.sum(target.eigenvalues**2)
    total = jnp.sum(differences)
    if relation == "disjoint":
        sine_squared = jnp.ones_like(differences)
        missing = total
    elif relation == "coordinates":
        before = jnp.cumsum(differences) - differences
        sine_squared = (missing - before) / jnp.where(differences > 0, differences, 1)
    else:
        sine_squared = jnp.broadcast_to(missing / jnp.where(total > 0, total, 1), differences.shape)
    sine_squared = jnp.clip(sine_squared, 0, 1)
    sine, cosine = jnp.sqrt(sine_squared), jnp.sqrt(1 - sine_squared)
    every = jnp.arange(d)
    rotation = PairRotation(
        jnp.ones(d, sine.dtype).at[large].set(cosine).at[small].set(cosine),
        jnp.zeros(d, sine.dtype).at[large].set(-sine).at[small].set(sine),
        every.at[large].set(small).at[small].set(large),
    )
    tolerance = jnp.sqrt(jnp.finfo(total.dtype).eps) * jnp.sum(target.eigenvalues**2)
    return dataclasses.replace(target, rotation=rotation), flag(missing > total + tolerance, Status.out_of_range)


def _in_random_basis(target: Covariance, key: jax.Array) -> Covariance:
    return dataclasses.replace(target, basis=random_basis(key, target.n_features))
