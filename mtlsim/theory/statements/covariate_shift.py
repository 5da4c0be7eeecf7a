"""High-dimensional variance of pooling two tasks of one model and different covariances [yang2025precise].

Source covariance Sigma_1 with n_1 rows, target Sigma_2 with n_2, n = n_1 + n_2 > d, equal parameters and noise. With lambda_j the
eigenvalues of Sigma_2^-1/2 Sigma_1 Sigma_2^-1/2, the target's risk tends to

    (noise^2 / n) sum_j 1 / (a_1 lambda_j + a_2),  where  a_1 + a_2 = 1 - d / n,
    a_1 + (1 / n) sum_j a_1 lambda_j / (a_1 lambda_j + a_2) = n_1 / n.

The left side of the last equation rises in a_1, so that bisection finds it.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mtlsim.cells.transfer import Transfer
from mtlsim.core.extremes import largest_of
from mtlsim.tasks.covariance import Spiked
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.margins import full_rank, one_number
from mtlsim.theory.predictor import SPREAD, predict_pooled, simplest_form
from mtlsim.theory.statement import INSIDE, OUTSIDE, Cells, Statement, gaussian_rows, half_as_large, measured, tasks_of

N_BISECTIONS = 60


def shifted_variance(ratios: Float[Array, " d"], n_samples: Float[Array, "2"], noise: Float[Array, ""]) -> Float[Array, ""]:
    """The formula for eigenvalues lambda (d,) and rows (source, target); NaN where n <= d."""
    total, d = jnp.sum(n_samples), ratios.shape[0]
    room = 1 - d / total
    safe = jnp.where(room > 0, room, 0.5)

    def off(a):
        return a + jnp.mean(a * ratios / (a * ratios + safe - a)) * d / total - n_samples[0] / total

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2
        return jnp.where(off(middle) < 0, middle, low), jnp.where(off(middle) < 0, high, middle)

    low, high = jax.lax.stop_gradient(jax.lax.fori_loop(0, N_BISECTIONS, halve, (jnp.zeros_like(room), safe)))
    a = (low + high) / 2
    a = a - off(a) / jax.lax.stop_gradient(jax.grad(off)(a))  # one Newton step, whose derivative is that of the root
    return jnp.where(room > 0, noise**2 / total * jnp.sum(1 / (a * ratios + safe - a)), jnp.nan)


def assume(cell, key):
    tasks = tasks_of(cell, key)
    total = jnp.sum(tasks.n_samples)
    form, numbers = simplest_form(tasks, True), (tasks.n_samples, tasks.noise, jnp.ones(2))
    return {
        "Gaussian rows of their own for each task": gaussian_rows(cell),
        "rows in all well above the number of features": total / tasks.n_features - 1 - SPREAD,
        "rows of both away from the number of features that they see": predict_pooled(form, *numbers).margin,
        "one model": 1e-9 * largest_of(jnp.abs(tasks.parameters)) - largest_of(jnp.abs(tasks.parameters[0] - tasks.parameters[1])),
        "one noise": one_number(tasks.noise),
        "covariances of full rank": full_rank(tasks),
    }


def predict(cell, key):
    tasks = tasks_of(cell, key)
    spectra = simplest_form(tasks, True).spectra
    return {"risk_multi": shifted_variance(spectra[0] / spectra[1], tasks.n_samples, tasks.noise[-1])}


def trust(cell) -> float:
    return 2.5 / cell.tasks.n_features


def instance(place: str, rng: np.random.Generator) -> Transfer:
    d = 60
    tasks = LinearTasks(
        n_features=d,
        n_samples=(int(rng.integers(d, 8 * d)), int(rng.integers(1.3 * d, 4 * d))),
        cosine=1.0 if place == INSIDE else 0.5,
        noise=float(rng.uniform(0.3, 1.5)),
        design=Spiked(float(rng.uniform(2, 100)), 0.5),
        relation="disjoint",
    )
    return Transfer(tasks, sharing="pooled")


STATEMENT = Statement(
    name="covariate-shift",
    claim="With many features, what a source of another covariance saves in variance has a known limit.",
    source=("yang2025precise",),
    kind="limit",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("risk_multi"),
    cells=Cells(sharing="pooled", n_tasks=2),
    trust=trust,
    places=(INSIDE, OUTSIDE),
    resized=half_as_large,
    says="The limit of the variance of pooled least squares under covariate shift, with its rate.",
    proves="Not judged: its proofs were not read.",
    inferred="The relative error that is allowed at a given number of features.",
)
