"""The risk of a low-rank adapter on a frozen base: what it leaves out, and the noise of as many parameters as it has.

A task of o outputs on n orthonormal rows, Theta (d, o), and a base B_0 that is given. With s_j the singular values of
Theta - B_0 and noise^2 per output, the adapter of rank q that fits best has the risk

    E |Theta_hat_q - Theta|_F^2 = sum_{j > q} s_j^2 + noise^2 / n q (d + o - q),      full fine-tuning noise^2 / n d o,

up to a relative error that vanishes as n grows, as long as its q modes stand above the noise, s_q^2 > noise^2 (d + o) / n by far,
and the others below. It beats full fine-tuning if and only if sum_{j > q} s_j^2 < noise^2 / n (d - q)(o - q).
"""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mtlsim.core.extremes import smallest_of
from mtlsim.core.keys import normal, stream
from mtlsim.core.linalg import multiply
from mtlsim.theory.statement import EDGE, INSIDE, OUTSIDE, Statement

ABOVE = 12.0  # how far the squares of fitted modes must stand above noise^2 (d + o) / n


class AdaptedTask(eqx.Module):
    """The difference of a task from its base by its singular values (m,), its rows and noise, and the adapter's rank q."""

    strengths: Float[Array, " m"]
    n_samples: Array | float
    noise: Array | float
    rank: int = eqx.field(static=True)
    n_features: int = eqx.field(default=30, static=True)
    n_outputs: int = eqx.field(default=10, static=True)

    @property
    def unit(self) -> Array:
        """noise^2 / n, the variance of one entry."""
        return jnp.asarray(self.noise, float) ** 2 / self.n_samples

    def draw(self, *, key) -> tuple[Float[Array, "d o"], Float[Array, "d o"]]:
        """The difference, and least squares of it."""
        m = self.strengths.shape[0]
        left = jnp.linalg.qr(normal(stream(key, "left"), (self.n_features, m)))[0]
        right = jnp.linalg.qr(normal(stream(key, "right"), (self.n_outputs, m)))[0]
        difference = multiply(left * self.strengths, right.T)
        return difference, difference + jnp.sqrt(self.unit) * normal(stream(key, "noise"), difference.shape)


def adapter_risk(strengths, unit, rank: int, n_features: int, n_outputs: int):
    """The law, for strengths in descending order."""
    return jnp.sum(strengths[rank:] ** 2) + unit * rank * (n_features + n_outputs - rank)


def adapt(seen: Float[Array, "d o"], rank) -> Float[Array, "d o"]:
    """The best approximation of that rank, which may be traced."""
    left, values, right = jnp.linalg.svd(seen, full_matrices=False)
    return multiply(left * jnp.where(jnp.arange(len(values)) < rank, values, 0), right)


def assume(task, key):
    floor = task.unit * (task.n_features + task.n_outputs)
    left_out = task.strengths[task.rank] if task.rank < task.strengths.shape[0] else jnp.zeros(())
    ordered = jnp.append(task.strengths[:-1] - task.strengths[1:], task.strengths[-1])
    return {
        "a rank from one to the number of modes": jnp.asarray(0.5 if 1 <= task.rank <= task.strengths.shape[0] else -1.0),
        "modes in descending order": smallest_of(ordered) / task.strengths[0] + 1e-9,
        "fitted modes above the noise": task.strengths[task.rank - 1] ** 2 / (ABOVE * floor) - 1,
        "the others below it": 1 - left_out**2 / (0.25 * floor),
    }


def predict(task, key):
    risk = adapter_risk(task.strengths, task.unit, task.rank, task.n_features, task.n_outputs)
    full = task.unit * task.n_features * task.n_outputs
    return {"risk_of_adapter": risk, "risk_of_full_tuning": full}


def measure(task, key):
    difference, seen = task.draw(key=key)
    error = lambda found: jnp.sum((found - difference) ** 2)
    return {"risk_of_adapter": error(adapt(seen, task.rank)), "risk_of_full_tuning": error(seen)}


def instance(place: str, rng: np.random.Generator) -> AdaptedTask:
    """Outside, the adapter has a column more than modes that stand above the noise."""
    d, o, rank = 30, 10, 2
    n, noise = float(rng.integers(50, 500)), float(rng.uniform(0.5, 2))
    floor = noise**2 / n * (d + o)
    least = {INSIDE: rng.uniform(1.5, 6), EDGE: 1.1, OUTSIDE: rng.uniform(2, 6)}[place] * ABOVE * floor
    below = rng.uniform(0.0, 0.2, 2) * floor
    squares = [least * rng.uniform(1.2, 4), least, *np.sort(below)[::-1]]
    return AdaptedTask(jnp.sqrt(jnp.asarray(squares)), n, noise, rank + (place == OUTSIDE), d, o)


def more_rows(task: AdaptedTask) -> AdaptedTask:
    """Twice the rows, and modes below the noise that shrink with it."""
    shrunk = jnp.where(jnp.arange(task.strengths.shape[0]) < task.rank, 1.0, jnp.sqrt(0.5))
    return replace(task, n_samples=2 * jnp.asarray(task.n_samples, float), strengths=task.strengths * shrunk)


def trust(task: AdaptedTask) -> float:
    """noise^2 (d + o) / (n s_q^2), the noise over the weakest fitted mode."""
    return float(task.unit * (task.n_features + task.n_outputs) / task.strengths[task.rank - 1] ** 2)


STATEMENT = Statement(
    name="sequential-adapter",
    claim="A low-rank adapter on a frozen base risks what it leaves out and the noise of q (d + o - q) parameters.",
    source=("derived",),
    kind="limit",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    trust=trust,
    resized=more_rows,
)
