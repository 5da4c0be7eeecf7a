"""What one threshold for two proportions costs: as much as the Jensen-Shannon divergence, for small shifts.

Class-conditional Gaussian rows, a balanced target, unlimited rows, and a source whose share of all rows is a. The pooled
threshold is off by log(pooled odds) / (2 mu), and the error above the Bayes error goes with its square; the divergence of the
label marginals too. With half of the rows each

    excess error = (4 a^2 phi(mu) / mu) JS = (phi(mu) / mu) JS,     phi the standard normal density,

up to a relative error of (2 a delta / mu)^2 / 4 + 4 JS, delta the shift of the proportions: how far the threshold moves, and how
far the odds are from linear. So the cost is linear in JS, where what `label-shift-bound` proves goes with its root. With a bias for
each head label shift costs nothing in the limit.
"""

import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm

from mtlsim.cells.label_shift import LabelShift
from mtlsim.core.extremes import smallest_of
from mtlsim.theory.statement import INSIDE, OUTSIDE, Statement

ROWS = 1e9


def threshold_move(cell):
    """2 a delta / mu."""
    return 2 * cell.sizes[0] / jnp.sum(cell.sizes) * jnp.abs(cell.priors[0] - cell.priors[1]) / cell.separation


def assume(cell, key):
    share = cell.sizes[0] / jnp.sum(cell.sizes)
    return {
        "the same classes in both tasks": 1e-9 - jnp.abs(jnp.asarray(cell.drift, float)),
        "a balanced target": 1e-9 - jnp.abs(cell.priors[1] - 0.5),
        "a small move of the threshold": 0.35 - threshold_move(cell),
        "a small shift": 0.2 - jnp.abs(cell.priors[0] - cell.priors[1]),
        "rows without limit beside it": share * cell.divergence * smallest_of(cell.sizes) / cell.n_features - 1e4,
    }


def predict(cell, key):
    share = cell.sizes[0] / jnp.sum(cell.sizes)
    return {"excess": 4 * share**2 * norm.pdf(cell.separation) / cell.separation * cell.divergence}


def measure(cell, key):
    found = cell(key=key)
    return {"excess": found["error_pooled"] - found["error_bayes"]}


def trust(cell) -> float:
    return float(threshold_move(cell)) ** 2 / 4 + 4 * float(cell.divergence) + 0.002


def smaller_shift(cell: LabelShift) -> LabelShift:
    """Half of the divergence, to first order."""
    return LabelShift(cell.n_source, cell.n_target, 0.5 + (cell.prior_source - 0.5) / 2**0.5, 0.5, cell.separation, cell.n_features)


def instance(place: str, rng: np.random.Generator) -> LabelShift:
    """Outside, a large shift, whose cost grows less than the divergence."""
    shift = rng.uniform(0.4, 0.48) if place == OUTSIDE else rng.uniform(0.06, 0.15)
    share = float(rng.uniform(0.4, 0.7))
    sizes = float(round(ROWS * share)), float(round(ROWS * (1 - share)))
    return LabelShift(*sizes, 0.5 + float(rng.choice([-1, 1]) * shift), 0.5, float(rng.uniform(0.7, 1.5)), 4)


STATEMENT = Statement(
    name="label-shift-cost",
    claim="For a small label shift the error that one common threshold adds is a known multiple of the Jensen-Shannon divergence.",
    source=("derived",),
    kind="limit",
    instance=instance,
    assume=assume,
    predict=predict,
    measure=measure,
    trust=trust,
    places=(INSIDE, OUTSIDE),
    resized=smaller_shift,
)
