"""Classification tasks: labels are the side of a row's score, some of them wrong."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from mtlsim.core.arc_cosine import angle_between
from mtlsim.core.checks import require_all, require_choice
from mtlsim.core.keys import stream
from mtlsim.tasks.recipe import Recipe, Tasks, check_capacity, entries

LABELS = {
    "sign": "the sign of s + noise * standard normal, a coin's where that is zero",
    "logistic": "1 with probability 1 / (1 + exp(-s)), else -1; noise is not used",
}
ACTIVATIONS = {"identity": "s = x'theta", "relu": "s = relu(x'theta): where the unit is off, the label is a coin's"}


class ClassificationPopulation(Tasks):
    """K concrete classification tasks with labels -1 and 1, a share flip_i of which is turned round: `LABELS`, `ACTIVATIONS`."""

    flip: Float[Array, " K"] = None
    labels: str = eqx.field(default="sign", static=True)
    activation: str = eqx.field(default="identity", static=True)
    capacity: int = eqx.field(default=0, static=True)

    def label(self, task: int | Int[Array, ""], scores: Float[Array, " m"], key: Key[Array, ""]) -> Float[Array, " m"]:
        """Labels of rows with scores X theta."""
        scores = jax.nn.relu(scores) if self.activation == "relu" else scores
        if self.labels == "sign":
            normal = jax.random.normal(key, scores.shape)
            moved = scores + self.noise[task] * normal
            positive = jnp.where(moved == 0, normal, moved) > 0
        else:
            positive = jax.random.uniform(key, scores.shape) < jax.nn.sigmoid(scores)
        turned = jax.random.uniform(stream(key, "flip"), scores.shape) < self.flip[task]
        return jnp.where(positive ^ turned, 1.0, -1.0)

    def excess_error(self, direction: Float[Array, " d"], task: int = -1) -> Float[Array, ""]:
        """Share of Gaussian rows that sign(x'direction) decides wrongly, exactly.

        Those on which it differs from sign(x'theta): the angle of the two in Sigma, over pi. Of a ReLU unit half of them: where
        the true unit is off, neither decision is wrong.
        """
        root = self.covariances[task].root_transpose
        angle = angle_between(root(direction), root(self.parameters[task]))
        return angle / (2 * np.pi if self.activation == "relu" else np.pi)


class ClassificationTasks(Recipe):
    """Recipe of K classification tasks, sources first, target last. A key draws a `ClassificationPopulation` from it.

    labels, activation: see `LABELS` and `ACTIVATIONS` of `mtlsim.tasks.classification`; the units that `mtlsim.Transfer` fits have
    the same activation. flip: share of labels that is turned round, one number or K, below 1/2. noise: standard deviation of
    what is added to a score before its sign is taken. capacity: as for `ReluTasks`. All other fields are those of `LinearTasks`.

    Raises ValueError for values outside their domain. Source: [wu2020understanding], Section 2.1.

    >>> tasks = mtl.ClassificationTasks(n_features=3, n_samples=(300, 60), cosine=0.9, flip=0.1)
    >>> tasks.draw(key=jax.random.key(0)).n_tasks
    2
    """

    need_rows = True
    losses = ("logistic", "squared")

    flip: tuple
    labels: str = eqx.field(static=True)
    activation: str = eqx.field(static=True)
    capacity: int = eqx.field(static=True)

    def __init__(
        self,
        n_features=40,
        n_samples=(1000, 200),
        cosine=None,
        noise=0.0,
        flip=0.0,
        labels="sign",
        activation="identity",
        capacity=None,
        **recipe,
    ):
        super().__init__(n_features=n_features, n_samples=n_samples, cosine=cosine, noise=noise, **recipe)
        self.flip = entries(flip, self.n_tasks, "flip")
        self.labels, self.activation = labels, activation
        self.capacity = check_capacity(self.n_samples, capacity)

    def __check_init__(self):
        require_choice(self.labels, LABELS, "labels")
        require_choice(self.activation, ACTIVATIONS, "activation")
        require_all(self.flip, lambda p: (p >= 0) & (p < 0.5), "flip", "a share of labels from 0 to 1/2", "use 0 for none")

    def draw(self, *, key: Key[Array, ""] | None = None) -> ClassificationPopulation:
        plain = super().draw(key=key)
        fields = {field.name: getattr(plain, field.name) for field in dataclasses.fields(plain)}
        flip = jnp.stack([jnp.asarray(p, float) for p in self.flip])
        kinds = {"labels": self.labels, "activation": self.activation, "capacity": self.capacity}
        return ClassificationPopulation(**fields, flip=flip, **kinds)
