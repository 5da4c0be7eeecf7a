"""Label shift: two tasks of the same classes in other proportions, and what of the decision they should share.

The setting of [zhou2021multitask] at its plainest, where everything is known; nothing of that algorithm is used.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm
from jaxtyping import Array, Float, Key

from mtlsim.core.checks import is_concrete, is_whole, require, require_one
from mtlsim.core.keys import check_key, normal, stream
from mtlsim.core.linalg import multiply
from mtlsim.core.status import with_status
from mtlsim.similarity import jensen_shannon


class LabelShift(eqx.Module):
    """A cell: labels -1 and 1, rows x | y ~ N(y separation e_1, I_d), the same in both tasks, which differ in P(y = 1) alone;
    with a drift, rows of the source have the means y (separation e_1 + drift e_2), and its classes are not the target's.

    Discriminant analysis: with class means p, q and counts k, l of the rows it sees, x is decided positive where x'(p - q) exceeds
    (|p|^2 - |q|^2) / 2 - log(k / l). Alone it sees the target's rows; pooled, all rows; together, means are those of all rows, and
    the proportion k / l that of the target's (one direction, a bias for each head). The Bayes rules of both tasks have one
    direction, 2 separation e_1, and the thresholds log((1 - prior) / prior); a drift turns the source's direction, which a bias for
    each head does not mend. Only counts and means are drawn, at a cost that is flat in n.

    n_source, n_target: rows. prior_source, prior_target: P(y = 1). separation: half the distance of the class means. drift: how
    far each class mean of the source lies from the target's, along e_2, the two of them to opposite sides.

    Returns errors on new rows of the target, error_single, error_pooled, error_multi, error_bayes; gain = error_single -
    error_multi, gain_pooled = error_single - error_pooled; difference: of the pooled rule's errors on source and target, absolute;
    divergence: Jensen-Shannon, of the label marginals, in nats (of the tasks' laws too, where nothing drifts). A class without rows
    is never decided for. Besides, a status.
    """

    n_source: Array | float = 300.0
    n_target: Array | float = 30.0
    prior_source: Array | float = 0.5
    prior_target: Array | float = 0.5
    separation: Array | float = 1.0
    n_features: int = eqx.field(default=20, static=True)
    drift: Array | float = 0.0

    def __check_init__(self):
        require(is_whole(self.n_features) and self.n_features >= 1, "n_features", "a whole number >= 1", self.n_features, "use 20")
        for name in ("n_source", "n_target"):
            whole = lambda n: (n >= 1) & (n == np.round(n)) & np.isfinite(n)
            require_one(getattr(self, name), whole, name, "a whole number >= 1", "round it")
        for name in ("prior_source", "prior_target"):
            require_one(getattr(self, name), lambda p: (p >= 0) & (p <= 1), name, "a probability", "use 0.5")
        require_one(self.separation, lambda s: (s > 0) & (s <= 1e6), "separation", "a number > 0, up to 1e6", "use 1.0")
        require_one(self.drift, lambda t: np.abs(t) <= 1e6, "drift", "a number, up to 1e6", "use 0.0")
        still = self.n_features > 1 or (is_concrete(self.drift) and float(self.drift) == 0)
        require(still, "drift", "zero with one feature", self.drift, "use n_features=2 or more")

    @property
    def means(self) -> Float[Array, "2 d"]:
        """Of the rows with label 1 in the source and in the target."""
        off = jnp.stack([jnp.asarray(self.drift, float), jnp.zeros(())])
        first, second = jnp.eye(1, self.n_features)[0], jnp.eye(1, self.n_features, 1)[0]
        return self.separation * first + off[:, None] * second

    @property
    def priors(self) -> Float[Array, " 2"]:
        """P(y = 1) of the source and of the target."""
        return jnp.stack([jnp.asarray(self.prior_source, float), jnp.asarray(self.prior_target, float)])

    @property
    def sizes(self) -> Float[Array, " 2"]:
        """Rows of the source and of the target."""
        return jnp.stack([jnp.asarray(self.n_source, float), jnp.asarray(self.n_target, float)])

    def __call__(self, *, key: Key[Array, ""] | None = None) -> dict[str, Array]:
        key, d = check_key(key), self.n_features
        positive = jax.random.binomial(stream(key, "labels"), self.sizes, self.priors)
        counts = jnp.stack([positive, self.sizes - positive], -1)  # (task, class)
        signs = jnp.asarray([1.0, -1.0])
        normals = normal(stream(key, "means"), (4, d)).reshape(2, 2, d)
        # sums over the rows of a class: count times mean, and noise of variance count
        centre = signs[:, None] * self.means[:, None]
        sums = counts[..., None] * centre + jnp.sqrt(counts)[..., None] * normals
        single = self._errors(sums[1], counts[1], counts[1])
        pooled = self._errors(jnp.sum(sums, 0), jnp.sum(counts, 0), jnp.sum(counts, 0))
        multi = self._errors(jnp.sum(sums, 0), jnp.sum(counts, 0), counts[1])
        target = {"error_single": single[1], "error_pooled": pooled[1], "error_multi": multi[1]}
        numbers = target | {
            "error_bayes": threshold_error(self.separation, self.priors[1], -log_odds(self.priors[1]) / (2 * self.separation)),
            "gain": single[1] - multi[1],
            "gain_pooled": single[1] - pooled[1],
            "difference": jnp.abs(pooled[0] - pooled[1]),
            "divergence": self.divergence,
        }
        return with_status(numbers)

    @property
    def divergence(self) -> Float[Array, ""]:
        both = jnp.stack([self.priors, 1 - self.priors], -1)
        return jensen_shannon(both[0], both[1])

    def _errors(self, sums: Float[Array, "2 d"], counts: Float[Array, " 2"], proportion: Float[Array, " 2"]):
        """Errors on both tasks of the rule with means sums / counts and log(k / l) of the proportion."""
        means = sums / jnp.maximum(counts, 1)[:, None]
        direction = means[0] - means[1]
        length = jnp.linalg.norm(direction)
        middle = (multiply(means[0], means[0]) - multiply(means[1], means[1])) / 2
        threshold = (middle - jnp.log(proportion[0]) + jnp.log(proportion[1])) / length
        reach = multiply(self.means, direction) / length
        return threshold_error(reach, self.priors, threshold)


def log_odds(prior) -> Float[Array, "..."]:
    """log(prior / (1 - prior)), infinite at 0 and 1."""
    return jnp.log(prior) - jnp.log1p(-prior)


def threshold_error(reach, prior, threshold) -> Float[Array, "..."]:
    """Share decided wrongly where a score ~ N(y reach, 1) decides for y = 1 above the threshold, and P(y = 1) = prior."""
    return prior * norm.cdf(threshold - reach) + (1 - prior) * norm.cdf(-threshold - reach)


def expected_errors(cell: LabelShift) -> dict[str, Float[Array, ""]]:
    """Errors of the three rules with many features and rows in proportion to them, where their scores concentrate.

    With a_k and a_l the shares of the source in the rows of both classes, the means of the rows lie a_k drift and a_l drift off:
    |p - q|^2 -> 4 separation^2 + (a_k + a_l)^2 drift^2 + d (1 / k + 1 / l), and (|p|^2 - |q|^2) / 2 -> (a_k^2 - a_l^2) drift^2 / 2
    + d (1 / k - 1 / l) / 2.
    """
    priors, sizes = cell.priors, cell.sizes
    counts = jnp.stack([sizes * priors, sizes * (1 - priors)], -1)

    def error(seen, proportion, off):
        length = jnp.sqrt(4 * cell.separation**2 + jnp.sum(off) ** 2 + cell.n_features * jnp.sum(1 / seen))
        middle = (off[0] ** 2 - off[1] ** 2 + cell.n_features * (1 / seen[0] - 1 / seen[1])) / 2
        threshold = (middle - jnp.log(proportion[0] / proportion[1])) / length
        return threshold_error(2 * cell.separation**2 / length, priors[1], threshold)

    both = jnp.sum(counts, 0)
    off = counts[0] / both * cell.drift
    return {
        "error_single": error(counts[1], counts[1], 0 * off),
        "error_pooled": error(both, both, off),
        "error_multi": error(both, counts[1], off),
    }
