"""The drawing of hard sharing: one shared module, a head per task."""

import equinox as eqx
import jax.numpy as jnp

from mtlsim.experiments._experiment import Experiment, Options, Setting
from mtlsim.plots.diagrams import hard_sharing


class Size(eqx.Module):
    """A cell without randomness: how many numbers the model has, shared and separate."""

    n_tasks: int = eqx.field(default=3, static=True)
    n_features: int = eqx.field(default=40, static=True)
    rank: int = eqx.field(default=1, static=True)

    def __call__(self, *, key):
        sizes = {
            "n_tasks": self.n_tasks,
            "n_features": self.n_features,
            "n_columns": self.rank,
            "numbers_together": self.n_features * self.rank + self.n_tasks * self.rank,
            "numbers_alone": self.n_tasks * self.n_features,
        }
        return {name: jnp.asarray(size) for name, size in sizes.items()}


def setting(options: Options) -> Setting:
    return Setting(Size(), {"rank": [1]}, 1)


def draw(data):
    n_tasks, n_features, rank = (int(data[name].values.flat[0]) for name in ("n_tasks", "n_features", "n_columns"))
    return hard_sharing(n_tasks, n_features, rank)


EXPERIMENT = Experiment("architecture", "All tasks train one shared module; each has a head of its own.", setting, draw)
