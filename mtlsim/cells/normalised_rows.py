"""One head for two tasks on normalised rows: what normalisation of a representation takes away, and what that does to transfer."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key
from scipy.special import k0e

from mtlsim.core.checks import is_concrete, is_whole, require, require_choice, require_one
from mtlsim.core.keys import check_key, normal, stream
from mtlsim.core.linalg import minimum_norm, multiply, quadratic
from mtlsim.core.normalisation import EPSILON, NORMALISATIONS, SLOPE
from mtlsim.core.status import Status, flag, with_status
from mtlsim.samples.data import draw_entries
from mtlsim.solvers.expected_risk import is_near

LABELS = ("direction", "amplitude")
RULES = ("none", "layer-norm", "layer-norm-simple", "ada-norm")  # detach-norm has the numbers of the last but one
N_NODES = 40


class Law(NamedTuple):
    """Of features h and signal y without noise: E hh' (d, d), E hy (d,), and E y^2."""

    gram: Float[Array, "d d"]
    cross: Float[Array, " d"]
    energy: Float[Array, ""]

    def risk_of(self, head: Float[Array, " d"]) -> Float[Array, ""]:
        """E (y - h'w)^2."""
        return quadratic(self.gram, head) - 2 * multiply(head, self.cross) + self.energy


class NormalisedRows(eqx.Module):
    """A cell: a source and a target with one head w (d,) for both, least squares on rows h = N(x), so that B = I and r = d.

    x = q s u with u ~ N(0, I_d), s = scale for the source and 1 for the target, and q = 1 - spread or 1 + spread by a fair coin for
    every row. Labels of either task, for one theta (d,) on the unit sphere, drawn anew:

        direction  y = sqrt(d) u'theta / |u| + noise,  which no length of x moves;      amplitude  y = x'theta + noise.

    n_source, n_target: rows; `capacity` has room for as many or more. noise: of both. normalisation: "none" (h = x),
    "layer-norm", "layer-norm-simple" or "ada-norm", without gain and bias (`mtlsim.core.normalisation`) [xu2019understanding].
    Least squares of least norm: a centred row says nothing of theta along (1, ..., 1), 1 / d of it on average.

    Returns mean squared errors on new target rows less noise^2: risk_single of the target alone, risk_multi of both tasks' rows,
    each weighing the same, and their difference as gain. They are exact for the head found (`law`): no new rows are drawn, and
    the only integral, over the length of a row, is a Gauss quadrature (to 1e-8 from ten features on, 1e-3 at three). status:
    heavy_tailed within three rows of interpolation, out_of_range (and NaN) beyond the capacity.
    """

    n_source: Array | float = 400.0
    n_target: Array | float = 80.0
    scale: Array | float = 1.0
    spread: Array | float = 0.0
    noise: Array | float = 0.5
    label: str = eqx.field(default="direction", static=True)
    normalisation: str = eqx.field(default="none", static=True)
    n_features: int = eqx.field(default=50, static=True)
    capacity: tuple[int, int] = eqx.field(default=(400, 80), converter=tuple, static=True)

    def __post_init__(self):
        given = list(self.capacity)
        for i, n in enumerate((self.n_source, self.n_target)[: len(given)]):
            if is_concrete(n) and np.ndim(n) == 0 and is_whole(given[i]) and 1 <= n < 2**31:
                given[i] = max(given[i], int(n))
        self.capacity = tuple(given)

    def with_room(self, largest: Mapping[str, float]) -> "NormalisedRows":
        """The same with room for the largest numbers of rows that a sweep asks for."""
        rooms = zip(("n_source", "n_target"), self.capacity, strict=True)
        return replace(self, capacity=tuple(max(room, int(largest.get(name, 1))) for name, room in rooms))

    def __check_init__(self):
        require(is_whole(self.n_features) and self.n_features >= 3, "n_features", "a whole number >= 3", self.n_features, "use 50")
        two = len(self.capacity) == 2 and all(is_whole(room) and room >= 1 for room in self.capacity)
        require(two, "capacity", "two whole numbers of rows >= 1", self.capacity, "use the largest n_source and n_target")
        for name in ("n_source", "n_target"):
            fits = lambda n: (n >= 1) & (n == np.round(n)) & np.isfinite(n)
            require_one(getattr(self, name), fits, name, "a whole number of rows >= 1", "round it")
        require_one(self.scale, lambda s: (s > 0) & np.isfinite(s), "scale", "a number > 0", "use 1.0")
        require_one(self.spread, lambda s: (s >= 0) & (s <= 1), "spread", "from 0 to 1", "use 0.6")
        require_one(self.noise, lambda s: (s >= 0) & np.isfinite(s), "noise", "a number >= 0", "use 0.5")
        require_choice(self.label, LABELS, "label")
        require_choice(self.normalisation, RULES, "normalisation")

    @property
    def n_seen(self) -> int:
        """How many directions of theta the features show."""
        return self.n_features - (self.normalisation in ("layer-norm", "layer-norm-simple"))

    def __call__(self, *, key: Key[Array, ""] | None = None) -> dict[str, Array]:
        key = check_key(key)
        theta = normal(stream(key, "parameters"), (self.n_features,))
        theta = theta / jnp.sqrt(jnp.sum(theta**2))
        source, target = (self._sums(key, theta, task) for task in range(2))
        law = self.law(theta)
        risk = lambda sums: law.risk_of(minimum_norm(*sums))
        alone, together = risk(target), risk(tuple(a + b for a, b in zip(source, target, strict=True)))
        rows = jnp.stack([jnp.asarray(n, float) for n in (self.n_source, self.n_target)])
        near = is_near(rows[1], self.n_seen) | is_near(jnp.sum(rows), self.n_seen)
        beyond = jnp.any(rows > jnp.asarray(self.capacity))  # of a sweep, which looks at no value by itself
        unknown = jnp.where(beyond, jnp.nan, 0.0)
        numbers = {
            "gain": alone - together + unknown,
            "risk_single": alone + unknown,
            "risk_multi": together + unknown,
        }
        return with_status(numbers, flag(near, Status.heavy_tailed), flag(beyond, Status.out_of_range))

    def _sums(self, key, theta, task: int) -> tuple[Float[Array, "d d"], Float[Array, " d"]]:
        """H'H and H'y of one task's rows."""
        d, m = self.n_features, self.capacity[task]
        u = draw_entries(stream(key, "covariates", task), "gaussian", m, d)
        coins = normal(stream(key, "amplitudes", task), (m,)) > 0
        size = jnp.where(coins, 1 + self.spread, 1 - self.spread) * (1.0 if task else self.scale)
        rows = size[:, None] * u
        signal = multiply(rows, theta)
        if self.label == "direction":
            signal = jnp.sqrt(d) * multiply(u, theta) / jnp.sqrt(jnp.sum(u**2, -1))
        labels = signal + self.noise * normal(stream(key, "noise", task), (m,))
        features = rows if self.normalisation == "none" else NORMALISATIONS[self.normalisation](rows)
        used = jnp.arange(m) < (self.n_target if task else self.n_source)
        features = jnp.where(used[:, None], features, 0)
        return multiply(features.T, features), multiply(labels, features)

    def law(self, theta: Float[Array, " d"], of_source: bool = False) -> Law:
        """Moments of one task's features and signal, the target's if not said.

        With u = (u'1) 1 / d + t v, 1 the vector of ones, v is uniform on the unit sphere across it, t^2 chi-squared of d - 1
        degrees, and a normalised row y = m r v, m = sqrt(d) or sqrt(d - 1): r < 1 is what the 1e-5 leaves of it.
        """
        d = self.n_features
        size = (jnp.asarray(self.scale, float) if of_source else 1.0) * jnp.stack([1 - self.spread, 1 + self.spread])
        lengths, chances = (jnp.asarray(part, float) for part in _lengths(d - 1))
        mean = lambda values: jnp.mean(multiply(values, chances))  # over the coin and the length
        square, amplitude = jnp.mean(size**2), self.label == "amplitude"
        energy = square if amplitude else jnp.ones_like(square)
        if self.normalisation == "none":
            shrunk = float(np.dot(*_lengths(d))) / d**0.5  # E |u| / sqrt(d)
            return Law(square * jnp.eye(d), (square if amplitude else shrunk * jnp.mean(size)) * theta, energy)
        centre, biased = jnp.eye(d) - 1 / d, self.normalisation == "layer-norm"
        root = (d if biased else d - 1) ** 0.5
        long = size[:, None] * lengths
        left = long / (jnp.sqrt(long**2 + d * EPSILON) if biased else long + root * EPSILON)
        share = jnp.asarray(d**0.5 * _share(np.asarray(_lengths(d - 1)[0])))  # of the signal in v: sqrt(d) t / |u|
        told = mean(left * (long if amplitude else share)) * root / (d - 1)
        gram = mean(left**2) * root**2 / (d - 1) * centre
        if self.normalisation == "ada-norm":  # y - slope y^2, whose second part is even and knows nothing of the signal
            even = jnp.outer(jnp.diag(centre), jnp.diag(centre)) + 2 * centre**2
            gram = gram + SLOPE**2 * mean(left**4) * root**4 / ((d - 1) * (d + 1)) * even
        return Law(gram, told * multiply(centre, theta), energy)


def _lengths(freedom: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes t and weights for the mean over t^2 chi-squared: Gauss-Laguerre in t^2 / 2, by the eigenvectors of its recurrence."""
    i, order = np.arange(N_NODES), freedom / 2 - 1
    links = np.sqrt(i[1:] * (i[1:] + order))
    values, vectors = np.linalg.eigh(np.diag(2 * i + 1 + order) + np.diag(links, 1) + np.diag(links, -1))
    return np.sqrt(2 * values), vectors[0] ** 2


def _share(lengths: np.ndarray) -> np.ndarray:
    """E t / sqrt(t^2 + a^2) over a ~ N(0, 1): t exp(t^2 / 4) K_0(t^2 / 4) / sqrt(2 pi), K_0 a Bessel function."""
    return lengths * k0e(lengths**2 / 4) / np.sqrt(2 * np.pi)
