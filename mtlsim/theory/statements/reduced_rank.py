"""Risk of hard sharing with shared covariates (reduced-rank regression) when the kept modes stand above the noise.

All K tasks are labels on the same n Gaussian rows of covariance Sigma. Let Theta (d, K) hold the parameters, D = diag(sqrt w)
the task weights, and P (K, K) the projector on the r strongest modes of what least squares explains,

    M = D (Theta' Sigma Theta + diag(noise^2) d / n) D.

Different noises turn P away from the modes of Theta alone, however many features there are. With Q = D P D^-1

    E risk_t = |Sigma^1/2 Theta (I - Q) e_t|^2 + (sum_i Q_it^2 noise_i^2) d / (n - d - 1),

and in total, with equal weights and noise, sum_{j > r} s_j^2 + r noise^2 d / (n - d - 1) for the singular values s of
Sigma^1/2 Theta: a mode is worth keeping if and only if s_j^2 > noise^2 d / (n - d - 1), which `best_rank` counts. It is a limit
for K / d -> 0 and modes that are separated: the kept subspace of tasks is estimated, which to first order in the noise adds to
the total, for s_j^2 what Theta has in mode j,

    noise^2 / (n - d - 1) times the sum over kept i and dropped j of (s_i^2 + s_j^2) / (s_i^2 - s_j^2),

a share of about (K - r) / d of the variance; the trust allows twice that. Where a kept mode is below the noise, P is made by
the noise and the total risk is larger, by 7 to 31 % in instances outside.
"""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mtlsim.cells.transfer import Transfer
from mtlsim.core.extremes import largest_of
from mtlsim.core.keys import stream
from mtlsim.core.linalg import multiply
from mtlsim.samples.wishart import draw_moments
from mtlsim.solvers.expected_risk import single_risk
from mtlsim.solvers.objective import per_task
from mtlsim.solvers.solve import solve
from mtlsim.tasks.covariance import PowerLaw
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.margins import decades, full_rank
from mtlsim.theory.statement import EDGE, INSIDE, OUTSIDE, Cells, Statement, tasks_of

ABOVE = 5.0  # kept modes stand out from dropped ones by this many times the variance of one mode


def best_rank(singular_values, noise, n_samples, n_features: int):
    """How many modes of Sigma^1/2 Theta (K,) are worth keeping: those with s_j^2 > noise^2 d / (n - d - 1), for n > d + 1."""
    level = single_risk(jnp.asarray(noise, float), jnp.asarray(n_samples, float), n_features)
    return jnp.sum(jnp.asarray(singular_values) ** 2 > level)


class Modes(NamedTuple):
    """signals (d, K): Sigma^1/2 Theta. scales (K,): square roots of the weights. values (K,), right (K, K): of M, strongest first.

    squares (K,): what Theta has in each mode.
    """

    signals: Float[Array, "d K"]
    scales: Float[Array, " K"]
    values: Float[Array, " K"]
    right: Float[Array, "K K"]
    squares: Float[Array, " K"]


def _modes(cell, tasks) -> Modes:
    scales = jnp.sqrt(per_task(cell.weights, 1.0, tasks.n_tasks, "weights", tasks.noise.dtype))
    signals = tasks.covariances[-1].root_transpose(tasks.parameters.T)
    scaled, noise = signals * scales, (scales * tasks.noise) ** 2 * tasks.n_features / tasks.n_samples[-1]
    values, vectors = jnp.linalg.eigh(multiply(scaled.T, scaled) + jnp.diag(noise))
    right = vectors[:, ::-1].T
    return Modes(signals, scales, values[::-1], right, jnp.sum(multiply(scaled, right.T) ** 2, 0))


def _estimated(cell, tasks, target_risk, total_risk):
    """What estimating the kept subspace adds, as a share of what the trust allows: of the target's risk and of the total.

    Label noise adds what the head of this module says, half of it to either task's side of a pair of modes. And n rows turn the
    modes i and j of X Theta by a squared angle s_i^2 s_j^2 / ((s_i^2 - s_j^2)^2 n), noise or not.
    """
    _, scales, values, right, squares = _modes(cell, tasks)
    mine, apart = right**2, values[: cell.rank, None] - values[None, cell.rank :]
    first, second = squares[: cell.rank, None], squares[None, cell.rank :]
    kept, dropped = mine[: cell.rank, None], mine[None, cell.rank :]  # shares of each task's label, (r, 1, K) and (1, K - r, K)
    variance = largest_of(single_risk(scales * tasks.noise, tasks.n_samples, tasks.n_features)) / tasks.n_features
    noisy = variance * (first + second) / apart
    turned = first * second / (apart**2 * tasks.n_samples[-1])  # squared angle by which the rows mix two modes
    mixed = turned[..., None] * (first[..., None] * dropped + second[..., None] * kept)
    added = jnp.sum(noisy[..., None] * (kept + dropped) / 2 + mixed, (0, 1)) / scales**2
    allowed = trust(cell)
    return jnp.maximum(added[cell.target] / (allowed * target_risk), jnp.sum(added) / (allowed * total_risk))


def assume(cell, key):
    tasks = tasks_of(cell, key)
    modes = _modes(cell, tasks)
    values = jnp.append(modes.values, 0)
    variance = largest_of(single_risk(modes.scales * tasks.noise, tasks.n_samples, tasks.n_features))
    above = (values[cell.rank - 1] - values[cell.rank]) / variance - ABOVE
    fewer = cell.rank < tasks.n_tasks
    risks = predict(cell, key)
    return {
        "Gaussian rows": 1.0 if tasks.rows == "gaussian" else -1.0,
        "a covariance of full rank": full_rank(tasks),
        "a layer of fewer columns than tasks": 1.0 if fewer else -1.0,
        "a kept subspace that is estimated within the trust (decades)": decades(
            1.0, _estimated(cell, tasks, risks["risk_multi"], risks["risk_total"]) if fewer else 2.0
        ),
        "more rows than features + 1": tasks.n_samples[-1] - tasks.n_features - 1.5,
        "kept modes stand out from the dropped ones and the noise": jnp.where(jnp.isfinite(above), above, -ABOVE),
        "shared covariates": 1.0 if tasks.shared_covariates else -1.0,
    }


def predict(cell, key):
    tasks = tasks_of(cell, key)
    signals, scales, _, right, _ = _modes(cell, tasks)
    projector = multiply(right[: cell.rank].T, right[: cell.rank])
    mixing = scales[:, None] * projector / scales
    lost = jnp.sum((signals - multiply(signals, mixing)) ** 2, 0)
    variance = multiply(tasks.noise**2, mixing**2) * single_risk(jnp.ones(()), tasks.n_samples[-1], tasks.n_features)
    risk_single = single_risk(tasks.noise[cell.target], tasks.n_samples[-1], tasks.n_features)
    risks = lost + variance
    return {"risk_single": risk_single, "risk_multi": risks[cell.target], "risk_total": jnp.sum(risks)}


def measure(cell, key):
    tasks = tasks_of(cell, key)
    learned = solve(draw_moments(tasks, key=stream(key, "samples")), cell.rank, cell.weights).parameters
    risks = jnp.stack([tasks.excess_risk(learned[i], i) for i in range(tasks.n_tasks)])
    return {"risk_multi": risks[cell.target], "risk_total": jnp.sum(risks)}


def trust(cell) -> float:
    return 2 * (cell.tasks.n_tasks - cell.rank) / cell.tasks.n_features


def instance(place: str, rng: np.random.Generator) -> Transfer:
    d, n_tasks = 60, 3
    rank = int(rng.integers(1, 3))
    n, noise, design = int(rng.integers(d + 40, 600)), float(rng.uniform(0.3, 2)), PowerLaw(float(rng.uniform(0, 1)))
    variance = noise**2 * d / (n - d - 1)
    above = {INSIDE: rng.uniform(15, 60), EDGE: rng.uniform(8, 10), OUTSIDE: rng.uniform(0.02, 0.2)}[place]
    dropped = rng.uniform(0, 2, n_tasks - rank) * (0.01 if place == OUTSIDE else 1)
    squares = np.concatenate([above + 2.0 + np.sort(rng.uniform(0, 10, rank))[::-1], np.sort(dropped)[::-1]]) * variance
    squares = squares if place != OUTSIDE else np.where(np.arange(n_tasks) == rank - 1, above * variance, squares)
    # the target has a fair share in the kept modes, so that their variance can be told from its own risk
    right = np.eye(n_tasks)
    while not 0.4 < np.sum(right[-1, :rank] ** 2) < 0.98:
        right = np.linalg.qr(rng.standard_normal((n_tasks, n_tasks)))[0]
    left = np.linalg.qr(rng.standard_normal((d, n_tasks)))[0]
    parameters = (right * np.sqrt(squares)) @ left.T / np.sqrt(np.asarray(design.draw(d).eigenvalues))
    tasks = LinearTasks(d, (n,) * n_tasks, noise=noise, design=design, parameters=parameters, shared_covariates=True)
    return Transfer(tasks, rank=rank)


def resized(cell: Transfer) -> Transfer:
    """Half as many features and rows, and parameters with the same inner products in Sigma."""
    tasks, d = cell.tasks, cell.tasks.n_features // 2
    whitened = np.asarray(tasks.parameters) * np.sqrt(np.asarray(tasks.design.draw(tasks.n_features).eigenvalues))
    left = np.linalg.qr(np.random.default_rng(0).standard_normal((d, tasks.n_tasks)))[0]
    parameters = np.linalg.qr(whitened.T)[1].T @ left.T / np.sqrt(np.asarray(tasks.design.draw(d).eigenvalues))
    n_samples = tuple(int(np.ceil(n / 2)) for n in tasks.n_samples)
    smaller = dataclasses.replace(tasks, n_features=d, n_samples=n_samples, parameters=jnp.asarray(parameters))
    return dataclasses.replace(cell, tasks=smaller)


STATEMENT = Statement(
    name="reduced-rank",
    claim="With shared covariates a rank keeps the strongest modes of all tasks and pays the variance of each, no more.",
    source=("derived",),
    kind="limit",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    cells=Cells(sharing="hard", same_rows=True, weights=True, target=True),
    trust=trust,
    resized=resized,
)
