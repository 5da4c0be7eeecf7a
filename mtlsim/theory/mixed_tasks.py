"""Tasks whose columns are mixed in fixed amounts: what the statements about architectures draw, and their normal equations."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from mtlsim.core.keys import stream
from mtlsim.core.linalg import multiply
from mtlsim.samples.moments import Moments
from mtlsim.samples.wishart import draw_moments
from mtlsim.tasks.covariance import PowerLaw
from mtlsim.tasks.linear import LinearTasks
from mtlsim.tasks.recipe import Tasks


class MixedTasks(eqx.Module):
    """K tasks, and the amounts H (C, K) in which C columns are mixed, each with the same decay on the scale of X'X."""

    tasks: LinearTasks
    amounts: Float[Array, "C K"]
    decay: Array | float = 1.0

    def draw(self, *, key: Key[Array, ""]) -> tuple[Tasks, Moments]:
        tasks = self.tasks.draw(key=key)
        return tasks, draw_moments(tasks, key=stream(key, "samples"))

    @property
    def task_covariance(self) -> Float[Array, "K K"]:
        """Sigma = H'H."""
        return multiply(self.amounts.T, self.amounts)


def metric_system(moments: Moments, covariance: Float[Array, "K K"]) -> Float[Array, "Kd Kd"]:
    """blockdiag(S_k) (Sigma (x) I), what a step against the gradient of the columns does to vec W."""
    n_tasks, d = moments.cross.shape
    grams = jnp.broadcast_to(moments.gram, (n_tasks, d, d))
    return jnp.einsum("kl,kde->kdle", covariance, grams, precision="highest").reshape(n_tasks * d, -1)


def ridge_in_metric(moments: Moments, covariance: Float[Array, "K K"], decay) -> Float[Array, "K d"]:
    """The minimiser of sum_k |X_k theta_k - y_k|^2 + decay tr(W' Sigma^+ W), rows of W' in the range of Sigma.

    W = Sigma Z with (blockdiag(S_k) (Sigma (x) I) + decay I) vec Z = vec [b_k], which needs no inverse of Sigma.
    """
    system = metric_system(moments, covariance)
    dual = jnp.linalg.solve(system + decay * jnp.eye(len(system)), moments.cross.reshape(-1))
    return multiply(covariance, dual.reshape(moments.cross.shape))


def draw_instance(rng: np.random.Generator, few_rows: bool = False) -> MixedTasks:
    """Three tasks of four features, rows of their own, random amounts of four columns."""
    d, n_tasks = 4, 3
    low, high = (2, d) if few_rows else (d + 2, 40)
    tasks = LinearTasks(
        n_features=d,
        n_samples=rng.integers(low, high, n_tasks).tolist(),
        cosine=rng.uniform(-1, 1, n_tasks - 1).tolist(),
        noise=rng.uniform(0.1, 2, n_tasks).tolist(),
        design=PowerLaw(float(rng.uniform(0, 1.5))),
        relation="disjoint",
    )
    return MixedTasks(tasks, jnp.asarray(rng.normal(size=(n_tasks + 1, n_tasks))), float(np.exp(rng.uniform(-2, 3))))
