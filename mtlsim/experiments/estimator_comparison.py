"""Four estimators of the target's parameters against the size of the model shift, with their predicted risks.

Pooling is tuned in the source's weight and the ridge, ridge regression in its ridge. Both are tuned by the predicted risk at the
tasks' true distance and noise, so that no test row is used and no tuning error is in the picture.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mtlsim.core.keys import stream
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import finish_risk_axis, legend_above, risk_curve
from mtlsim.plots.predictions import DASHES
from mtlsim.plots.style import SERIES, figure
from mtlsim.samples.wishart import draw_moments
from mtlsim.solvers.expected_risk import single_risk
from mtlsim.solvers.pooled import solve_pooled
from mtlsim.solvers.single import solve_single
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.linear import LinearTasks
from mtlsim.theory.predictor import predict_pooled, simplest_form
from mtlsim.theory.statements.soft_transfer import best_strength, soft_risk

COSINE, DISTANCE = "tasks.cosine", "distance"
NAMES = {
    "average": "average of both least squares",
    "least_squares": "least squares alone",
    "ridge": "ridge alone, tuned",
    "pooled": "pooled, weight and ridge tuned",
}
WEIGHTS, RIDGES = np.linspace(0, 1, 21), np.concatenate([[0.0], np.geomspace(0.5, 50, 11)])


class Estimators(eqx.Module):
    """A cell: the target's risk under each estimator, measured and predicted, and the tuned weight and ridges."""

    tasks: LinearTasks

    def tune(self):
        """(weight, ridge) of least predicted risk of pooling, that risk, the best ridge alone, and its predicted risk.

        With isotropic rows the risks depend on the parameters' lengths and angle alone, so that any draw of them serves.
        """
        tasks = self.tasks.draw(key=jax.random.key(0))
        form, (_, n_target), noise = simplest_form(tasks, False), tasks.n_samples, tasks.noise
        weights, ridges = (jnp.asarray(grid.ravel()) for grid in np.meshgrid(WEIGHTS, RIDGES))

        def risk(choice):
            return predict_pooled(form, tasks.n_samples, noise, jnp.stack([choice[0], jnp.ones(())]), choice[1]).risk[-1]

        risks = jax.lax.map(risk, (weights, ridges))
        best, energy = jnp.nanargmin(risks), jnp.sum(tasks.parameters[-1] ** 2)
        alone = best_strength(energy, noise[-1], tasks.n_features)
        predicted = soft_risk(energy, noise[-1], n_target, tasks.n_features, alone)
        return weights[best], ridges[best], risks[best], alone, predicted

    def __call__(self, *, key):
        weight, ridge, risk_pooled, alone, risk_ridge = self.tune()
        tasks = self.tasks.draw(key=key)
        moments = draw_moments(tasks, key=stream(key, "samples"))
        own = [solve_single(moments[i]) for i in range(2)]
        pair, ridges = jnp.stack([weight, jnp.ones_like(weight)]), jnp.stack([jnp.zeros_like(ridge), ridge])
        found = {
            "pooled": solve_pooled(moments, pair, ridges),
            "average": (own[0] + own[1]) / 2,
            "least_squares": own[1],
            "ridge": solve_single(moments[1], alone),
        }
        risks = [single_risk(noise, n, tasks.n_features) for noise, n in zip(tasks.noise, tasks.n_samples, strict=True)]
        shift = jnp.sum((tasks.parameters[0] - tasks.parameters[1]) ** 2)
        predicted = {
            "pooled": risk_pooled,
            "average": (shift + risks[0] + risks[1]) / 4,
            "least_squares": risks[1],
            "ridge": risk_ridge,
        }
        values = {name: tasks.excess_risk(estimate) for name, estimate in found.items()}
        return values | {f"predicted_{name}": value for name, value in predicted.items()} | {"weight": weight, "tuned_ridge": ridge}


def setting(options: Options) -> Setting:
    """50 isotropic features, 100 rows of each task, noise 0.5, parameters of length one at distances from 0 to 2."""
    tasks = LinearTasks(n_features=50, n_samples=(100, 100), noise=0.5, design=Isotropic())
    distances = np.linspace(0, 2, 6 if options.fast else 21)
    return Setting(Estimators(tasks), {COSINE: (1 - distances**2 / 2).round(12).tolist()}, 50 if options.fast else 500)


def draw(data):
    fig, axes = figure(1, 5.2, 3.9)
    ax = axes[0, 0]
    distances = np.sqrt(2 - 2 * data[COSINE].values)
    shown = data.assign_coords({COSINE: distances}).rename({COSINE: DISTANCE})
    for i, (name, label) in enumerate(NAMES.items()):
        risk_curve(ax, shown, DISTANCE, name, label, i, line=False)
        ax.plot(distances, shown[f"predicted_{name}"].mean("seed"), color=SERIES[i], linestyle=DASHES, linewidth=1.3)
    finish_risk_axis(ax, DISTANCE, distances)
    ax.set_ylim(0, 3 * float(data["predicted_least_squares"].mean()))
    ax.set_xlabel("distance of the parameters (of length one)")
    ax.plot([], [], color="black", linestyle=DASHES, label="prediction")
    legend_above(ax, "", 2)
    return fig


EXPERIMENT = Experiment(
    "estimator-comparison",
    "Tuned pooling is never worse than least squares or ridge alone; the plain average soon is.",
    setting,
    draw,
    along=(COSINE,),
)
