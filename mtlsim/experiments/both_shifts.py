"""Pooling under covariate and model shift at once: points simulated, lines predicted [yang2025precise]."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from mtlsim import theory
from mtlsim.cells.transfer import Transfer
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import legend_above, points_on_lines
from mtlsim.plots.style import figure
from mtlsim.tasks.covariance import Covariance, Spiked
from mtlsim.tasks.linear import LinearTasks

SOURCE, SIZE, CONDITION = "tasks.n_samples[0]", "tasks.parameter_norm", "tasks.design.condition_number"
RATIOS, RATIO = (100.0, 16.0, 4.0, 1.0), 16.0  # lambda^2 for lambda = 10, 4, 2, 1
SIZES, SIZE_OF_RATIOS = (0.35, 0.27, 0.20), 0.1
LAST = 1000  # source samples in the first panel


class IsotropicTarget(LinearTasks):
    """The recipe with isotropic target rows; the source has the spectrum of the design, scaled to geometric mean one."""

    def draw(self, *, key=None):
        tasks = super().draw(key=key)
        values = tasks.covariances[-1].eigenvalues
        source = Covariance(values / jnp.exp(jnp.mean(jnp.log(values))))
        return dataclasses.replace(tasks, covariances=(source, Covariance(jnp.ones_like(values))))


def cell() -> Transfer:
    """100 features, 300 target rows, noise 0.5, both parameters independent and of length mu.

    The source's covariance is lambda^2 on half of the features and lambda^-2 on the others: of condition number lambda^4.
    """
    design = Spiked(RATIO**2, fraction=0.5)
    tasks = IsotropicTarget(100, (300, 300), cosine=0.0, noise=0.5, parameter_norm=SIZE_OF_RATIOS, design=design)
    return Transfer(tasks, sharing="pooled")


def setting(options: Options) -> Setting:
    sources = [20, 150, LAST, 6000] if options.fast else [20, 50, 100, *range(200, LAST, 100), *range(LAST, 6001, 500)]
    grid = {SIZE: [SIZE_OF_RATIOS, *SIZES], CONDITION: np.square(RATIOS).tolist(), SOURCE: sources}
    return Setting(cell(), grid, 20 if options.fast else 200)


def draw(data):
    """The lines average over the draws of the parameters that the points do: with anisotropic rows, their direction matters."""
    fig, (axes,) = figure(2, 4.4, 3.9)
    ratios = {f"{ratio:g}": {CONDITION: ratio**2, SIZE: SIZE_OF_RATIOS} for ratio in RATIOS}
    sizes = {f"{size:g}": {CONDITION: RATIO**2, SIZE: size} for size in SIZES}
    for ax, series, last in zip(axes, (ratios, sizes), (LAST, None), strict=True):
        shown = data.sel({SOURCE: slice(None, last)})
        points_on_lines(
            ax, shown, SOURCE, series, theory.general_predictor(cell()), n_draws=data.sizes["seed"], label=ax is axes[0]
        )
    legend_above(axes[0], f"ratio of the covariances, for parameters of length {SIZE_OF_RATIOS:g}")
    legend_above(axes[1], f"length of the parameters, for the ratio {RATIO:g}")
    return fig


EXPERIMENT = Experiment(
    "both-shifts",
    "Under both shifts the gain may rise, fall and rise again as the source grows; the prediction for many features follows it.",
    setting,
    draw,
    along=(SOURCE,),
    whole=(SIZE, CONDITION),
)
