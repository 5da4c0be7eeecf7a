"""High-dimensional risk of regularisation to the mean of all tasks, for tasks of one diagonal form of covariance.

Minimising sum_i |X_i theta_i - y_i|^2 + sum_il L_il theta_i'theta_l with L = strength (I - J / K), J all ones, is one ridge
regression on lifted features (`evgeniou_pontil_lifting`), so that the equations of `mtlsim.theory.predictor` apply. With
covariances diagonal in one basis, of eigenvalues s_ij (task i, coordinate j), all they need are K x K matrices per coordinate:

    H_j = (diag_i(A_i s_ij) + L)^-1,   e_i = sum_j s_ij H_j,ii,   A_i (1 + e_i) = n_i,   mean_ij = sum_l H_j,il A_l s_lj theta_lj,

and sum_j s_ij s_lj H_j,il^2 in place of tr(Sigma_i K^-1 Sigma_l K^-1). Strength 0 learns every task alone, without end it pools.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mtlsim.cells.transfer import Transfer
from mtlsim.core.linalg import solver_of_few
from mtlsim.sharing.mean_regularised import MeanRegularised
from mtlsim.solvers.expected_risk import single_risk
from mtlsim.tasks.covariance import PowerLaw
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.margins import full_rank
from mtlsim.theory.predictor import SPREAD, Predicted, Spectra, predict_pooled
from mtlsim.theory.statement import INSIDE, OUTSIDE, Cells, Statement, gaussian_rows, half_as_large, measured, tasks_of


class Coupled(Spectra):
    """Spectra of tasks that each have parameters of their own, under a penalty tr(W' precision W)."""

    precision: Float[Array, "K K"]

    def look(self, amounts: Float[Array, " K"], ridge: Float[Array, ""]):
        n_tasks = len(amounts)
        seen = amounts[:, None] * self.spectra
        system = jnp.einsum("kd,kl->dkl", seen, jnp.eye(n_tasks)) + self.penalty[:, None, None] * self.precision
        inverse = jnp.swapaxes(solver_of_few(system)(jnp.eye(n_tasks)[:, None]), 0, 1)
        off = jnp.einsum("dkl,ld->kd", inverse, seen * self.parameters, precision="highest") - self.parameters
        traces = jnp.einsum("kd,dkk->k", self.spectra, inverse, precision="highest")
        pairs = jnp.einsum("kd,dkl,ld->kl", self.spectra, inverse**2, self.spectra, precision="highest")
        return traces, pairs, jnp.sum(self.spectra * off**2, -1)


def diagonal_together(covariances) -> float:
    """Margin of the assumption that all covariances are diagonal as they stand."""
    return 1.0 if all(covariance.rotation is None and covariance.basis is None for covariance in covariances) else -1.0


def _together(cell, key) -> Predicted:
    tasks = tasks_of(cell, key)
    spectra = jnp.stack([covariance.eigenvalues for covariance in tasks.covariances])
    pull = jnp.asarray(cell.sharing.strength, float) * (jnp.eye(tasks.n_tasks) - 1 / tasks.n_tasks)
    form = Coupled(spectra, tasks.parameters, jnp.ones_like(spectra[0]), pull)
    return predict_pooled(form, tasks.n_samples, tasks.noise, jnp.ones(tasks.n_tasks))


def assume(cell, key):
    tasks = tasks_of(cell, key)
    return {
        "Gaussian rows of their own for each task": gaussian_rows(cell),
        "covariances that are diagonal together": diagonal_together(tasks.covariances),
        "covariances of full rank": full_rank(tasks),
        "rows together away from the number of features": _together(cell, key).margin,
        "target rows away from the number of features": tasks.n_samples[-1] / tasks.n_features - 1 - SPREAD,
    }


def predict(cell, key):
    tasks, together = tasks_of(cell, key), _together(cell, key).risk[-1]
    alone = single_risk(tasks.noise[-1], tasks.n_samples[-1], tasks.n_features)  # for any number of features
    return {"risk_single": alone, "risk_multi": together, "gain": alone - together}


def trust(cell) -> float:
    return 2.5 / cell.tasks.n_features


def instance(place: str, rng: np.random.Generator) -> Transfer:
    d, n_tasks = (60, 2) if rng.random() < 0.5 else (40, 3)
    tasks = LinearTasks(
        n_features=d,
        n_samples=rng.integers(1.4 * d, 4 * d, n_tasks).tolist(),
        cosine=rng.uniform(-0.5, 1, n_tasks - 1).tolist(),
        noise=rng.uniform(0.3, 1.5, n_tasks).tolist(),
        parameter_norm=rng.uniform(0.5, 2, n_tasks).tolist(),
        design=PowerLaw(float(rng.uniform(0, 1))),
        relation="same" if place == INSIDE else "disjoint",
    )
    return Transfer(tasks, sharing=MeanRegularised(float(d * np.exp(rng.uniform(-3, 3)))))


STATEMENT = Statement(
    name="mean-regularised",
    claim="With many features, regularisation to the mean of all tasks has a known risk.",
    source=("derived",),
    kind="limit",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measured("risk_multi"),
    cells=Cells(sharing="mean-regularised"),
    trust=trust,
    places=(INSIDE, OUTSIDE),
    resized=half_as_large,
)
