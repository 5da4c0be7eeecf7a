"""The protocol of a weighting scheme: what it may know, what it sees at every step, and what it answers.

Training descends sum_k w_k L_k over a shared module and a head for each of K tasks; L_k is the mean squared error of task k. A
scheme chooses w (K,) from the unweighted losses and the inner products of their gradients in the shared module. Its answer is
literal: whoever trains may divide it by its mean (see `normalise`).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from mtlsim.samples.moments import Moments

FLOOR = 1e-12  # relative to a loss or gradient norm of one, or of the start if that is larger


class Facts(NamedTuple):
    """What is known before the first step: losses (K,) there, variances (K,) of the labels, moments, columns of the layer, and the
    key of what a scheme draws.
    """

    losses: Float[Array, " K"]
    variances: Float[Array, " K"]
    moments: Moments | None = None
    rank: int = 1
    key: Key[Array, ""] | None = None


class Signals(NamedTuple):
    """What a step shows: unweighted losses (K,), gram (K, K) of the tasks' gradients in the shared module, and its number."""

    losses: Float[Array, " K"]
    gram: Float[Array, "K K"]
    step: Int[Array, ""]


class Scheme(eqx.Module):
    """A rule for task weights; its fields are its hyperparameters."""

    def init(self, facts: Facts) -> Any:
        """The state before the first step."""
        return ()

    def weights(self, signals: Signals, state: Any) -> tuple[Float[Array, " K"], Any, Int[Array, ""]]:
        """Weights (K,) of this step, the next state, and how many floors and caps fired."""
        raise NotImplementedError


class FixedScheme(Scheme):
    """A rule that decides before training."""

    def decide(self, facts: Facts) -> tuple[Float[Array, " K"], Int[Array, ""]]:
        """The weights (K,), and how many floors fired."""
        raise NotImplementedError

    def init(self, facts: Facts) -> tuple[Float[Array, " K"], Int[Array, ""]]:
        return self.decide(facts)

    def weights(self, signals, state):
        weights, n_floored = state
        return weights, state, jnp.where(signals.step == 0, n_floored, 0)


class Example(NamedTuple):
    """Weights worked by hand: what a scheme knows and sees, step after step, and what it must answer each time."""

    scheme: Scheme
    facts: Facts
    signals: Sequence[Signals]
    weights: Sequence[Sequence[float]]


def above(values: Float[Array, " K"], floor: Float[Array, " K"] | float) -> tuple[Float[Array, " K"], Int[Array, ""]]:
    """The values, none below the floor, and how many were."""
    return jnp.maximum(values, floor), jnp.sum(values < floor)


def floor_of(start: Float[Array, " K"]) -> Float[Array, " K"]:
    """The floor of a loss that began at `start`."""
    return FLOOR * jnp.maximum(1, start)


def normalise(weights: Float[Array, " K"]) -> Float[Array, " K"]:
    """Weights of mean one; all one where all are zero. NaN stays NaN."""
    mean = jnp.mean(weights)
    return jnp.where(mean == 0, 1, weights / jnp.where(mean == 0, 1, mean))
