"""Semantic alignment in the linear lab: a ridge that forbids the directions in which the tasks' class means differ."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from mtlsim.core.checks import is_whole, require, require_one
from mtlsim.core.keys import check_key, normal, stream
from mtlsim.core.status import with_status


class SemanticAlignment(eqx.Module):
    """A cell: one parameter vector for two tasks on orthonormal rows, and a pull on what it sees of the class means' difference.

    X_k'X_k = n_k I; parameters of the target are `signal` along e_1 and zero elsewhere, which moves nothing, those of the source
    `signal + shift`; the tasks' class means differ along e_1. Minimises |X_1 w - y_1|^2 + |X_2 w - y_2|^2 + strength (w'e_1)^2: the
    squared distance of the class means in a layer w, summed over classes, is w'M w with M the sum of outer products of their
    differences (here e_1 e_1'). Without strength this is pooling; a strength without end projects e_1 out.

    n_source, n_target: rows. noise: of the labels. Returns risks |estimate - theta_2|^2: risk_single of the target alone,
    risk_pooled, risk_multi; gain = risk_single - risk_multi, gain_aligning = risk_pooled - risk_multi, and a status.
    """

    n_source: Array | float = 100.0
    n_target: Array | float = 20.0
    signal: Array | float = 0.5
    shift: Array | float = 1.0
    strength: Array | float = 1000.0
    noise: Array | float = 1.0
    n_features: int = eqx.field(default=10, static=True)

    def __check_init__(self):
        require(is_whole(self.n_features) and self.n_features >= 2, "n_features", "a whole number >= 2", self.n_features, "use 10")
        for name in ("n_source", "n_target"):
            require_one(getattr(self, name), lambda n: (n > 0) & np.isfinite(n), name, "a number > 0", "use 100.0")
        for name in ("strength", "noise"):
            require_one(getattr(self, name), lambda v: (v >= 0) & np.isfinite(v), name, "a number >= 0", "use 1.0")
        for name in ("signal", "shift"):
            require_one(getattr(self, name), np.isfinite, name, "a number", "use 1.0")

    def __call__(self, *, key: Key[Array, ""] | None = None) -> dict[str, Array]:
        first = jnp.eye(1, self.n_features)[0]
        sizes = jnp.stack([jnp.asarray(self.n_source, float), jnp.asarray(self.n_target, float)])
        target = self.signal * first
        truth = jnp.stack([target + self.shift * first, target])
        errors = normal(stream(check_key(key), "noise"), (2, self.n_features))
        sums = sizes[:, None] * truth + self.noise * jnp.sqrt(sizes)[:, None] * errors  # X_k'y_k
        risk = lambda estimate: jnp.sum((estimate - target) ** 2)
        pooled = jnp.sum(sums, 0)
        single = risk(sums[1] / sizes[1])
        without, together = (risk(pooled / (jnp.sum(sizes) + pull * first)) for pull in (0.0, self.strength))
        found = {"risk_single": single, "risk_pooled": without, "risk_multi": together}
        return with_status(found | {"gain": single - together, "gain_aligning": without - together})


def expected_gain(cell: SemanticAlignment) -> Array:
    """E risk_single - E risk_multi, exactly, with N = n_source + n_target:

    noise^2 d / n_target - noise^2 ((d - 1) / N + N / (N + strength)^2) - ((n_source shift - strength signal) / (N + strength))^2.
    """
    rows, variance = jnp.asarray(cell.n_source, float) + cell.n_target, jnp.asarray(cell.noise, float) ** 2
    all_of_it = rows + cell.strength
    kept = (cell.n_features - 1) / rows + rows / all_of_it**2
    bias = (cell.n_source * cell.shift - cell.strength * cell.signal) / all_of_it
    return variance * (cell.n_features / cell.n_target - kept) - bias**2


def turning_signal(cell: SemanticAlignment) -> Array:
    """The signal on the forbidden direction at which the gain is zero for a strength without end, zero where it never is above:

    signal^2 = noise^2 (d / n_target - (d - 1) / (n_source + n_target)).
    """
    rows = jnp.asarray(cell.n_source, float) + cell.n_target
    return cell.noise * jnp.sqrt(jnp.maximum(cell.n_features / cell.n_target - (cell.n_features - 1) / rows, 0))
