"""One pair of tasks, four ways of learning them together: which learner finds the tasks related, over their cosine."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mtlsim.cells.transfer import Transfer
from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.curves import finish_gain_axis, gain_curve
from mtlsim.plots.legends import legend
from mtlsim.plots.style import figure
from mtlsim.sharing.from_source import FromSource
from mtlsim.sharing.hard import Hard
from mtlsim.sharing.mean_regularised import MeanRegularised
from mtlsim.sharing.pooled import Pooled
from mtlsim.tasks.covariance import Isotropic
from mtlsim.tasks.linear import LinearTasks

COSINE, LEARNER = "cosine", "learner"
LEARNERS = {
    "one direction, free heads": Hard(),
    "one parameter vector": Pooled(),
    "pulled to the mean": MeanRegularised(10.0),
    "pulled to the source": FromSource(10.0),
}


class PairLearnedBy(eqx.Module):
    """A cell: gain of one learner over least squares; ten isotropic features, 100 source and 25 target rows, noise one.

    learner: one of `LEARNERS`; or, if choice is given, that of these several at this place (see `among`).
    """

    cosine: Array | float = 0.5
    learner: str | tuple[str, ...] = eqx.field(default="one parameter vector", static=True)
    choice: Array | int | None = None

    def __call__(self, *, key):
        tasks = LinearTasks(10, (100, 25), cosine=self.cosine, noise=1.0, design=Isotropic(), relation="same")
        several = [self.learner] if self.choice is None else self.learner
        draws = [Transfer(tasks, sharing=LEARNERS[name])(key=key) for name in several]
        place = jnp.asarray(0 if self.choice is None else self.choice, int)
        chosen = lambda name: jnp.stack([getattr(draw, name) for draw in draws])[place]
        return {name: chosen(name) for name in ("gain", "risk_single", "risk_multi", "status")}

    def among(self, name: str, values: tuple) -> "PairLearnedBy":
        """As `Weighting.among`: all learners of a sweep share a program, which draws the tasks once."""
        if name != LEARNER or self.choice is not None:
            return self
        return PairLearnedBy(self.cosine, tuple(values), values.index(self.learner))


def setting(options: Options) -> Setting:
    cosines = np.linspace(-1, 1, 5 if options.fast else 17).round(6).tolist()
    return Setting(PairLearnedBy(), {LEARNER: list(LEARNERS), COSINE: cosines}, 100 if options.fast else 1000)


def draw(data):
    fig, ((ax,),) = figure(1, 4.8, 3.6)
    for i, name in enumerate(data[LEARNER].values):
        gain_curve(ax, data.sel({LEARNER: name}), COSINE, str(name), i)
    finish_gain_axis(ax, COSINE, data[COSINE].values)
    legend(fig, "outside lower center", 2)
    return fig


EXPERIMENT = Experiment(
    "related-to-whom",
    "Whether two tasks are related depends on the learner: opposite ones help one direction with free heads and hurt pooling.",
    setting,
    draw,
    along=(COSINE,),
)
