"""Theorem 2 [wu2020understanding]: how far one shared direction, learned from an abundant source, is from the target's parameters.

With r = 1, X_2 (m_2, d) of full rank and c = kappa(X_2) sin(theta_1, theta_2) <= 1/3, kappa the ratio of extreme singular values,

    |B A_2 - theta_2| / |theta_2| <= 6 c + |eps_2| / ((1 - 3 c) |X_2 theta_2|),

with high probability once m_1 is of the order of kappa(Sigma_1)^2 kappa(X_2)^4 |y_2|^2 / c^4 rows (hidden constant here: one).
Judged as stated in the main text, informally; that this number is not unit-consistent (y -> 10 y asks for 100 times as many) is
not held against it. Nothing is said about learning alone, so the bound by itself does not certify positive transfer, and predicting
zero has a relative error of one. It is below one for c < 1/6 only, and where it applies the error is about sin(theta_1, theta_2):
for nearly equal directions it holds on every draw, 7 to 35 times above the error (median draw of each instance). At the cosine of
the paper's own example it is vacuous (`theorem_2_at_its_parameters`), with its covariance not applicable
(`theorem_2_at_its_covariance`). It is about the plain loss: with a ridge on the target, or a small
weight on the source, the error passes the bound, so that no cell with either may be bound.
"""

import jax.numpy as jnp
import numpy as np

from mtlsim.cells.transfer import Transfer
from mtlsim.core.extremes import largest_of, smallest_of
from mtlsim.core.keys import stream
from mtlsim.solvers.solve import solve
from mtlsim.tasks.covariance import PowerLaw
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.draws import moments_of
from mtlsim.theory.statement import EDGE, INSIDE, OUTSIDE, Cells, Statement, tasks_of


def condition_number(gram, n_samples):
    """kappa(X) of rows with X'X = gram (d, d): infinite with fewer rows than features."""
    values = jnp.linalg.eigvalsh(gram)
    enough = n_samples >= gram.shape[0]
    return jnp.where(enough, jnp.sqrt(values[-1] / jnp.where(enough, values[0], 1)), jnp.inf)


def sine(first, second):
    """Sine of the angle between two vectors (d,), also accurate where it is small."""
    first, second = (vector / jnp.linalg.norm(vector) for vector in (first, second))
    across = jnp.sum((first - second * jnp.sum(first * second)) ** 2)
    return jnp.where(across > 0, jnp.sqrt(jnp.where(across > 0, across, 1)), 0)


def constant(cell, key):
    """c = kappa(X_2) sin(theta_1, theta_2) of the drawn target rows."""
    tasks, target = tasks_of(cell, key), moments_of(cell, key)[-1]
    return condition_number(target.gram, target.n_samples) * sine(tasks.parameters[0], tasks.parameters[-1])


def bound(c, noise_length, fitted_length):
    """The theorem's bound from c, |eps_2| and |X_2 theta_2|; NaN where c >= 1/3."""
    fits = c < 1 / 3
    c = jnp.where(fits, c, 0)
    return jnp.where(fits, 6 * c + noise_length / ((1 - 3 * c) * fitted_length), jnp.nan)


def source_samples_needed(c, source_condition_number, target_condition_number, label_energy):
    """Rows of the source that the theorem asks for, its hidden constant taken as one.

    Condition numbers of the covariance Sigma_1 and of the rows X_2; label_energy = |y_2|^2.
    """
    return source_condition_number**2 * target_condition_number**4 * label_energy / c**4


def assume(cell, key):
    tasks, target = tasks_of(cell, key), moments_of(cell, key)[-1]
    c = constant(cell, key)
    values = tasks.covariances[0].eigenvalues
    spread = largest_of(values) / smallest_of(values)
    needed = source_samples_needed(c, spread, condition_number(target.gram, target.n_samples), target.energy)
    return {
        "kappa(X_2) sin(theta_1, theta_2) below 1/3": 1 / 3 - c,
        "enough source rows (decades)": jnp.log10(tasks.n_samples[0] / needed),
    }


def predict(cell, key):
    tasks, target = tasks_of(cell, key), moments_of(cell, key)[-1]
    truth = tasks.parameters[-1]
    if target.factor is None:  # rows of another law than the Gaussian come without one
        clean_energy = truth @ target.gram @ truth
        noise_energy = jnp.maximum(target.energy - 2 * truth @ target.cross + clean_energy, 0)
    else:
        # rows F' of X_2 = O F' have the labels F' theta + noise; the energy beside their labels is noise alone
        clean = target.factor.T @ truth
        beside = jnp.maximum(target.energy - jnp.sum(target.scores**2), 0)
        clean_energy, noise_energy = jnp.sum(clean**2), jnp.sum((target.scores - clean) ** 2) + beside
    noisy = noise_energy > 0
    noise_length = jnp.where(noisy, jnp.sqrt(jnp.where(noisy, noise_energy, 1)), 0)
    return {"relative_error": bound(constant(cell, key), noise_length, jnp.sqrt(clean_energy))}


def measure(cell, key):
    target = tasks_of(cell, key).parameters[-1]
    learned = solve(moments_of(cell, key), 1, key=stream(key, "solver")).parameters[-1]
    return {"relative_error": jnp.linalg.norm(learned - target) / jnp.linalg.norm(target)}


def predicting_zero(cell, key):
    """The relative error of the zero vector."""
    return jnp.ones(())


def instance(place: str, rng: np.random.Generator) -> Transfer:
    sizes = {INSIDE: (0.005, 0.05), EDGE: (0.15, 0.24), OUTSIDE: (0.5, 0.9)}[place]
    tasks = LinearTasks(
        n_features=6,
        n_samples=(1e12, int(rng.integers(200, 3000))),
        cosine=float(np.sqrt(1 - rng.uniform(*sizes) ** 2)),
        noise=(float(rng.uniform(0, 1)), float(rng.uniform(0, 0.3))),
        parameter_norm=rng.uniform(0.5, 2, 2).tolist(),
        design=PowerLaw(float(rng.uniform(0, 0.2))),
        relation="disjoint",
    )
    return Transfer(tasks)


STATEMENT = Statement(
    name="theorem-2",
    claim="Learned with an abundant source, the target's relative error is below six times a condition number times a sine.",
    source=("wu2020understanding",),
    kind="bound",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    cells=Cells(sharing="hard", n_tasks=2, rank=1),
    trivial=predicting_zero,
    places=(INSIDE, EDGE, OUTSIDE),
    says=(
        "With r = 1 and c = kappa(X_2) sin(theta_1, theta_2) at most 1/3, the relative error of the target is with high "
        "probability at most 6 c + |eps_2| / ((1 - 3 c) |X_2 theta_2|), given source rows of the order of "
        "kappa(Sigma_1)^2 kappa(X_2)^4 |y_2|^2 / c^4. It is said to explain the plateau of the figure."
    ),
    proves=(
        "Judged as stated in the main text, which is informal; the formal version and its proof are in an appendix that "
        "was not read. The units of the informal number of rows are not held against it."
    ),
    inferred="The hidden constant of the number of source rows is taken as one, and rows without end stand for enough of them.",
)
