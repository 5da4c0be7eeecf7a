"""What the covariance similarity score is: Eq. 5 of [wu2020understanding] on population covariances C_1, C_2 (d, d).

    score(Q C_1 Q', Q C_2 Q') = score(C_1, C_2)  for every rotation Q, and  score(C, C) = 1 / sqrt(effective rank of C),

effective rank = (tr C)^2 / |C|_F^2 with the whole spectrum kept. So a task with itself scores one only where its rows have one
direction; with d equal eigenvalues it scores 1 / sqrt(d). Independent rotations of the two (outside) change the score. The
eigenvalues must be distinct where a share of the spectrum is dropped, since the cut falls anywhere in a tie.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.core.keys import stream
from mtlsim.core.linalg import multiply
from mtlsim.similarity import covariance_similarity
from mtlsim.tasks.covariance import Covariance, PowerLaw, random_basis
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement


class TwoSpectra(eqx.Module):
    """Power-law covariances of two tasks, the second in a random basis; `apart` is 1 where a rotation of each is drawn, else 0."""

    exponents: tuple
    apart: Array | int
    n_features: int = eqx.field(default=8, static=True)

    def draw(self, key) -> tuple[Covariance, Covariance]:
        first, second = (PowerLaw(exponent).draw(self.n_features) for exponent in self.exponents)
        return first, Covariance(second.eigenvalues, basis=random_basis(stream(key, "basis"), self.n_features))


def rotated(covariance, key):
    """The covariance of rows that are turned by a random rotation."""
    turn = random_basis(key, covariance.n_features)
    basis = turn if covariance.basis is None else multiply(turn, covariance.basis)
    return Covariance(covariance.eigenvalues, basis=basis)


def assume(pair, key):
    return {"one rotation for both": 0.5 - jnp.asarray(pair.apart, float)}


def predict(pair, key):
    first, second = pair.draw(key)
    values = second.eigenvalues
    effective_rank = jnp.sum(values) ** 2 / jnp.sum(values**2)
    return {"score_after_rotation": covariance_similarity(first, second), "score_with_itself": 1 / jnp.sqrt(effective_rank)}


def measure(pair, key):
    first, second = pair.draw(key)
    turn = stream(key, "turn")
    # the same key twice is the same rotation
    turns = jax.random.fold_in(turn, 0), jax.random.fold_in(turn, pair.apart)
    score = covariance_similarity(rotated(first, turns[0]), rotated(second, turns[1]))
    return {"score_after_rotation": score, "score_with_itself": covariance_similarity(second, second, kept=1.0)}


def instance(place: str, rng: np.random.Generator) -> TwoSpectra:
    return TwoSpectra(tuple(rng.uniform(0.3, 2.5, 2).tolist()), int(place == OUTSIDE))


STATEMENT = Statement(
    name="similarity-invariance",
    claim="The covariance similarity score ignores a common rotation and scores a task with itself by its effective rank.",
    source=("wu2020understanding",),
    kind="identity",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    places=(INSIDE, OUTSIDE),
    says="The score compares covariances and does not depend on a common rotation of the columns.",
    proves="The score is a definition, from which the invariance follows.",
    inferred="The score of a task with itself, one over the root of its effective rank.",
)
