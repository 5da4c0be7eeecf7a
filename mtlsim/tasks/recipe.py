"""The recipe of a family of tasks (what it looks like) and the tasks that a key draws from it."""

import dataclasses
import reprlib
from collections.abc import Mapping, Set
from functools import partial
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from mtlsim.core import linalg
from mtlsim.core.checks import (
    is_concrete,
    is_number_to_be,
    is_whole,
    require,
    require_all,
    require_bool,
    require_choice,
    require_finite,
)
from mtlsim.core.keys import check_key, stream, streams
from mtlsim.core.status import worst
from mtlsim.tasks.covariance import Covariance, Spiked, require_design
from mtlsim.tasks.relations import OWN, RELATIONS, USE_ALIGNMENT, lowest_alignment, relate
from mtlsim.tasks.rows import require_rows

ORDERS = ("rdq", "rqd")
MOST_FEATURES = 1_000_000


class Tasks(eqx.Module):
    """K concrete linear tasks, the target last: y_i = X_i theta_i + noise_i * standard normal, rows of covariance Sigma_i.

    >>> tasks = mtl.LinearTasks(n_features=3, n_samples=(50, 20)).draw(key=jax.random.key(0))
    >>> float(tasks.excess_risk(tasks.parameters[1], 1))  # of the true rule
    0.0
    """

    parameters: Float[Array, "K d"]
    covariances: tuple[Covariance, ...]
    noise: Float[Array, " K"]
    n_samples: Float[Array, " K"]
    status: Int[Array, ""]
    shared_covariates: bool = eqx.field(default=False, static=True)
    rows: str = eqx.field(default="gaussian", static=True)

    @property
    def n_tasks(self) -> int:
        return self.parameters.shape[0]

    @property
    def n_features(self) -> int:
        return self.parameters.shape[1]

    def stream(self, key: Key[Array, ""], name: str, task: int) -> Key[Array, ""]:
        """The stream `name` of one task. The target is number 0 and the sources follow, so that another source moves no draw."""
        return stream(key, name, (task + 1) % self.n_tasks)

    def streams(self, key: Key[Array, ""], name: str) -> Key[Array, " K"]:
        """The same of every task, which compiles as fast as one."""
        return streams(key, *((name, (task + 1) % self.n_tasks) for task in range(self.n_tasks)))

    def signal(self, task: int | Int[Array, ""], scores: Float[Array, " m"]) -> Float[Array, " m"]:
        """Labels without noise, of rows with scores X theta."""
        return scores

    def label(self, task: int | Int[Array, ""], scores: Float[Array, " m"], key: Key[Array, ""]) -> Float[Array, " m"]:
        """Labels of rows with scores X theta."""
        return scores + self.noise[task] * jax.random.normal(key, scores.shape)

    def excess_risk(self, estimate: Float[Array, " d"], task: int = -1) -> Float[Array, ""]:
        """Exact expected squared error on new rows above the noise: (estimate - theta)' Sigma (estimate - theta)."""
        return self.covariances[task].quadratic(estimate - self.parameters[task])

    def explained(self, cosine: Float[Array, "..."]) -> Float[Array, "..."]:
        """Share of the squared label, noise apart, that the best head explains on a direction of this cosine in Sigma_i."""
        return cosine**2


def cosine_of(angle):
    """The cosine of an angle in degrees, one number or a sequence of them.

    Where the cosine is 1 or -1 the derivative is zero, whatever follows: tasks turn to either side alike, so that no mean over
    draws has a slope there (one draw may have one, which is that of a kink). By the cosine itself there is none (NaN), as the other
    direction comes with sqrt(1 - cosine^2).
    """
    if isinstance(angle, (tuple, list)):
        return tuple(map(cosine_of, angle))
    require_all(angle, lambda a: (a >= 0) & (a <= 180), "angle", "between 0 and 180 degrees", "use 0 for equal directions")
    if is_concrete(angle):
        return float(np.cos(np.deg2rad(angle)))
    radians = jnp.deg2rad(angle)
    held = jax.lax.stop_gradient(jnp.cos(radians))
    straight = held**2 >= 1
    # its slope is zero there, and that of the sine infinite: without the inner where their product would be NaN
    return jnp.where(straight, held, jnp.cos(jnp.where(straight, 1.0, radians)))


class Recipe(eqx.Module):
    """What every family of K tasks is made of, sources first, target last: directions, covariances, noises and sizes.

    See `LinearTasks` for the fields; families differ in how labels come from a row's score x'theta.
    """

    OTHER_WORDS: ClassVar[dict] = {"angle": ("cosine", cosine_of)}  # in which a field can be given and swept too
    need_rows: ClassVar[bool] = False  # whether learning needs rows, and not their moments alone
    losses: ClassVar[tuple[str, ...]] = ("squared",)  # that may be fitted, the default first

    n_features: int = eqx.field(static=True)
    n_samples: tuple
    cosine: tuple
    alignment: tuple
    noise: tuple
    parameter_norm: tuple
    design: eqx.Module | tuple[eqx.Module, ...]
    parameters: Float[Array, "K d"] | None
    relation: str = eqx.field(static=True)
    order: str = eqx.field(static=True)
    rows: str = eqx.field(static=True)
    shared_covariates: bool = eqx.field(static=True)

    def __init__(
        self,
        n_features=40,
        n_samples=(1000, 200),
        cosine=None,
        alignment=1.0,
        noise=1.0,
        parameter_norm=1.0,
        design=None,
        relation=None,
        order="rdq",
        rows="gaussian",
        parameters=None,
        shared_covariates=False,
        angle=None,
    ) -> None:
        require(is_whole(n_features) and n_features >= 1, "n_features", "a whole number >= 1", n_features, "use 40")
        require(
            n_features <= MOST_FEATURES, "n_features", f"at most {MOST_FEATURES}", n_features, "use fewer: X'X holds d x d numbers"
        )
        several = hasattr(n_samples, "__len__") and not isinstance(n_samples, (Set, Mapping))  # which have no order
        source_and_target = (n_samples, n_samples) if is_whole(n_samples) and n_samples >= 1 else (1000, 200)
        cure = f"pass n_samples={source_and_target} for source and target"
        require(several, "n_samples", "one number of rows per task", n_samples, cure)
        n_tasks = len(n_samples)
        require(n_tasks > 0, "n_samples", "one number of rows per task", n_samples, "pass n_samples=(1000, 200)")
        self.n_features = int(n_features)
        self.n_samples = entries(n_samples, n_tasks, "n_samples")
        require(cosine is None or angle is None, "angle", "left out where a cosine is given", angle, "give one of them")
        cosine = (0.8 if cosine is None else cosine) if angle is None else entries(angle, n_tasks - 1, "angle")
        self.cosine = entries(cosine, n_tasks - 1, "cosine") if angle is None else tuple(map(cosine_of, cosine))
        self.alignment = entries(alignment, n_tasks - 1, "alignment")
        self.noise = entries(noise, n_tasks, "noise")
        self.parameter_norm = entries(parameter_norm, n_tasks, "parameter_norm")
        self.design = tuple(design) if isinstance(design, (tuple, list)) else Spiked() if design is None else design
        relation = (OWN if self.has_own_designs else "geodesic") if relation is None else relation
        self.relation, self.order, self.rows, self.shared_covariates = relation, order, rows, shared_covariates
        self.parameters = parameters if parameters is None else jnp.asarray(parameters, float)

    def __check_init__(self):
        require_rows_of(self.n_samples)
        require_all(self.cosine, lambda c: np.abs(c) <= 1, "cosine", "between -1 and 1", "use 1 for equal directions")
        require_all(self.noise, lambda s: (s >= 0) & np.isfinite(s), "noise", "a standard deviation >= 0", "use 0 for no noise")
        require_all(self.parameter_norm, lambda s: (s >= 0) & np.isfinite(s), "parameter_norm", "a length >= 0", "use 1")
        for design in self.design if self.has_own_designs else (self.design,):
            require_design(design)
        if self.has_own_designs:
            self._check_own_designs()
        else:
            require_choice(self.relation, RELATIONS, "relation")
        require_choice(self.order, ORDERS, "order")
        require_rows(self.rows)
        require_bool(self.shared_covariates, "shared_covariates")
        if self.n_features == 1 and self.parameters is None:
            require_all(
                self.cosine, lambda c: np.abs(c) == 1, "cosine", "1 or -1 with one feature", "use more features, or cosine=1"
            )
        if self.parameters is not None:
            wanted = (self.n_tasks, self.n_features)
            require(
                self.parameters.shape == wanted, "parameters", f"of shape {wanted}", self.parameters.shape, "pass one row per task"
            )
            require_finite(self.parameters, "parameters")
        if self.shared_covariates:
            equal = len({float(n) for n in self.n_samples if is_concrete(n)}) <= 1
            require(equal, "n_samples", "the same for all tasks with shared_covariates", self.n_samples, "repeat one number")
        require_all(
            self.alignment, lambda a: (a >= 0) & (a <= 1), "alignment", "between 0 and 1 (1 = same)", "use 1 for equal covariances"
        )
        used = self.relation in USE_ALIGNMENT and not self.shared_covariates
        if used and all(is_concrete(leaf) for leaf in jax.tree.leaves((self.design, self.alignment))):
            with jax.ensure_compile_time_eval():  # a recipe may be made inside a jitted function
                least = float(lowest_alignment(self.design.draw(self.n_features)))
            require_all(
                self.alignment,
                lambda a: a >= least - 1e-6,
                "alignment",
                f"at least {least:.4f} for this spectrum",
                "raise the condition number to allow less, or use relation='disjoint' for the least",
            )

    @property
    def n_tasks(self) -> int:
        return len(self.n_samples)

    @property
    def has_own_designs(self) -> bool:
        """Whether every task has a design of its own, so that no relation makes a source's covariance from the target's."""
        return isinstance(self.design, tuple)

    def _check_own_designs(self) -> None:
        several = f"one design, or {self.n_tasks}, one per task with the target last"
        require(len(self.design) == self.n_tasks, "design", several, f"{len(self.design)} designs", "give one per task")
        require(self.relation == OWN, "relation", "left out where every task has its own design", repr(self.relation), "drop it")
        cure = "leave it out, or give one design"
        require_all(self.alignment, lambda a: a == 1, "alignment", "left out where every task has its own design", cure)
        shared = "False where every task has its own design"
        require(not self.shared_covariates, "shared_covariates", shared, True, "give one design for the rows that all share")
        if all(is_concrete(leaf) for leaf in jax.tree.leaves(self.design)):
            for design in self.design:  # sizes are checked where a covariance is drawn
                jax.eval_shape(lambda design=design: design.draw(self.n_features).eigenvalues)

    def with_equal_covariances(self) -> "Recipe":
        """The same recipe with the target's covariance for every task."""
        design = self.design[-1] if self.has_own_designs else self.design
        return dataclasses.replace(self, design=design, relation="same")

    def draw(self, *, key: Key[Array, ""] | None = None) -> Tasks:
        """Concrete tasks: parameters and (for rotated relations) bases come from `key`."""
        key = check_key(key)
        covariances, status = self._draw_covariances(key)
        return Tasks(
            self._draw_parameters(key),
            covariances,
            jnp.stack([jnp.asarray(s, float) for s in self.noise]),
            jnp.stack([jnp.asarray(n, float) for n in self.n_samples]),
            status,
            self.shared_covariates,
            self.rows,
        )

    def _draw_covariances(self, key) -> tuple[tuple[Covariance, ...], Int[Array, ""]]:
        """The covariance of every task, and the worst status of how they were made."""
        ok = jnp.zeros((), jnp.int32)
        if self.has_own_designs:
            return tuple(design.draw(self.n_features) for design in self.design), ok
        target = self.design.draw(self.n_features)
        relation = "same" if self.shared_covariates else self.relation
        every = range(self.n_tasks - 1)
        related = [relate(target, relation, self.alignment[i], stream(key, "rotation", i), self.order) for i in every]
        return (*(covariance for covariance, _ in related), target), worst(ok, *(status for _, status in related))

    def _draw_parameters(self, key) -> Float[Array, "K d"]:
        if self.parameters is not None:
            return self.parameters
        cosine, norm = (tuple(jnp.asarray(one, float) for one in part) for part in (self.cosine, self.parameter_norm))
        return _draw_parameters(cosine, norm, self.n_features, key)


@partial(jax.jit, static_argnums=2)
def _draw_parameters(cosine: tuple, norm: tuple, n_features: int, key: Key[Array, ""]) -> Float[Array, "K d"]:
    """The target's in a random direction, last, and each source's at its cosine with them."""
    keys = streams(key, *(("parameters", i) for i in range(len(norm))))
    target, *others = jax.lax.map(lambda own: jax.random.normal(own, (n_features,)), keys)  # compiled once, not once for each use
    target, rows = _unit(target), []
    for own, other in zip(cosine, others, strict=True):
        other = _unit(other - target * linalg.multiply(target, other))
        rows.append(own * target + jnp.sqrt(jnp.maximum(1 - own**2, 0)) * other)
    return jnp.stack([length * row for length, row in zip(norm, [*rows, target], strict=True)])


def _unit(vector: Float[Array, " d"]) -> Float[Array, " d"]:
    length = jnp.linalg.norm(vector)
    return vector / jnp.where(length > 0, length, 1)


def require_recipe(tasks: object) -> None:
    """Refuse what draws no tasks."""
    require(isinstance(tasks, Recipe), "tasks", "a recipe of tasks", reprlib.repr(tasks), "use LinearTasks()")


def entries(value, count: int, argument: str) -> tuple:
    """One number per task: a single number is repeated, a sequence must have `count` entries."""
    several = hasattr(value, "__len__") and not isinstance(value, (str, bytes, Set, Mapping))
    if several and not (hasattr(value, "ndim") and value.ndim == 0):
        require(len(value) == count, argument, f"one number or {count}", f"{len(value)} numbers", "give one per task")
        values = tuple(value)
    else:
        values = (value,) * count
    for one in values:
        number = is_number_to_be(one) and not isinstance(one, bool) and np.ndim(one) == 0
        require(number, argument, "a number", reprlib.repr(one), "pass a number")
    return values


def require_rows_of(n_samples: tuple) -> None:
    """Numbers of rows, one per task."""
    whole = lambda n: (n >= 1) & (n == np.round(n)) & np.isfinite(n)
    cure = "round it (whole = true in a TOML grid), or drop the task"
    require_all(n_samples, whole, "n_samples", "whole numbers >= 1", cure)


def check_capacity(n_samples: tuple, capacity: int | None) -> int:
    """Rows per task that there is room for: what is asked for, or the largest number of rows if that is more."""
    require_rows_of(n_samples)
    known = [int(n) for n in n_samples if is_concrete(n) and np.isfinite(n)]
    whole = capacity is None or (is_whole(capacity) and capacity >= 1)
    require(whole, "capacity", "a whole number of rows >= 1", repr(capacity), "leave it out")
    given = capacity is not None or bool(known)
    require(given, "capacity", "given where n_samples are traced", capacity, "pass the largest n_samples")
    return max([*known, *([] if capacity is None else [int(capacity)])])
