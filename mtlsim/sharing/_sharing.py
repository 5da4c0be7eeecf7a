"""The protocol of an architecture: what the tasks' functions share, what keeps it small, and where the best of them is known.

K tasks minimise, over the parameters that an architecture declares,

    sum_k w_k ( |f_k(X_k) - y_k|^2 + ridge_k |theta_k|^2 )  +  penalty(parameters),      squares summed over rows,

f_k the function of task k, and theta_k (d,) its effective parameters where it is linear in x. Tasks never need common rows.
"""

import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from mtlsim.core.checks import is_concrete, is_whole, require
from mtlsim.core.extremes import largest_of
from mtlsim.core.keys import normal, stream
from mtlsim.core.linalg import multiply
from mtlsim.core.registry import OWN, all_in, file_of
from mtlsim.core.status import worst
from mtlsim.samples.moments import Moments, stack
from mtlsim.solvers.expected_risk import is_near
from mtlsim.solvers.mixed import Mixing, solve_mixed
from mtlsim.solvers.network import Layers
from mtlsim.solvers.solve import solve

Params = Any  # of an architecture: a pytree
identity: Callable = lambda scores: scores


class Problem(NamedTuple):
    """What is to be learned: K tasks as moments, columns of a shared layer, weights (K,), ridges (K,) and a key for searches.

    n_outputs: o; of more than one every task is o entries of all of these, one after the other, on the same rows.
    """

    moments: Moments
    rank: int
    weights: Float[Array, " K"]
    ridge: Float[Array, " K"]
    key: Key[Array, ""]
    n_outputs: int = 1

    @property
    def n_tasks(self) -> int:
        return self.moments.n_tasks // self.n_outputs


class Answer(eqx.Module):
    """The optimum of an architecture and what is proven of it: see `mtlsim.Solution` for loss, gap, certificate and status.

    params: in the form that the architecture declares. parameters (K, d): the effective ones of every task, of o outputs (K o, d).
    """

    params: Params
    parameters: Float[Array, "K d"]
    loss: Float[Array, ""]
    gap: Float[Array, ""]
    certificate: Int[Array, ""]
    status: Int[Array, ""]


class Shape(NamedTuple):
    """Sizes of the parameters: K tasks, d features, r columns."""

    n_tasks: int
    n_features: int
    rank: int


class Sharing(eqx.Module):
    """An architecture; its fields are its hyperparameters.

    on_networks: whether units that bend (ReLU) and losses other than squares are fitted too. needs_source: whether the last task
    is learned from the others, so that there must be some. several_outputs: whether tasks may have more than one label a row.
    bends: whether the target's own rows are used freely where they say much, so that the gain may grow as the square of the risk
    alone; not where all tasks have one layer or one parameter, whose gain grows as that risk.
    """

    on_networks: ClassVar[bool] = False
    needs_source: ClassVar[bool] = False
    several_outputs: ClassVar[bool] = False
    bends: ClassVar[bool] = True

    @property
    def text(self) -> str:
        """Words from which `mtlsim.sharing.as_sharing` makes it again: "soft(strength=2.0)", its name and what is not by default.

        Raises ValueError for a class that no name stands for.
        """
        kind, own = type(self), file_of(type(self))
        cure = "put its class into a file of its own, my_sharing.py, and name that"
        named = own is not None or kind.__module__.startswith(f"{__package__}.")
        require(named, "sharing", "an architecture that has a name", f"{kind.__name__} of {kind.__module__}", cure)
        name = self.name
        if own is not None and own.module.__name__.startswith(OWN):
            name = os.path.relpath(own.path) + ("" if len(all_in(own, "SHARING")) == 1 else f":{kind.__name__}")
        given = [(field, plain(getattr(self, field.name))) for field in dataclasses.fields(kind)]
        number = lambda field, value: float(value) if is_whole(value) and not field.metadata.get("static") else value
        shown = ", ".join(f"{field.name}={number(field, value)!r}" for field, value in given if value != plain(field.default))
        return f"{name}({shown})" if shown else name

    def check(self, n_tasks: int, rank: int) -> None:
        """Raises ValueError for hyperparameters that do not fit so many tasks."""

    def route(self, n_tasks: int, rank: int, shared_covariates: bool, n_features: int) -> str:
        """How the optimum is found, a name."""
        return self.name

    @property
    def name(self) -> str:
        """The name in the registry, that of the file."""
        return type(self).__module__.rpartition(".")[2].replace("_", "-")

    def exact(self, problem: Problem) -> Answer | None:
        """The optimum in closed form or by a certified search; None where it must be trained."""
        return None

    @property
    def solved(self) -> bool:
        """Whether the optimum of linear units is known without training them."""
        return type(self).exact is not Sharing.exact

    @property
    def needs_rows(self) -> bool:
        """Whether tasks are no linear functions of x even where units are, so that sums over rows are not enough."""
        return False

    @property
    def flat(self) -> bool:
        """Whether every task is one layer of columns under a head, see `layers`."""
        return not self.needs_rows

    @property
    def trains(self) -> bool:
        """Whether it can be trained by gradient steps from a start of its own."""
        return type(self).init is not Sharing.init

    def init(self, key: Key[Array, ""], shape: Shape, size: Float[Array, ""] | float = 0.3) -> Params:
        """Parameters before training, their random entries of size `size` / sqrt(fan-in)."""
        raise NotImplementedError

    def layers(self, params: Params) -> Layers:
        """All columns (d, C) and what every task makes of them (K, C): at depth one an architecture is a rule for these heads."""
        return params

    def n_features(self, params: Params) -> int:
        """d: the first leaf of all that is trained are columns (..., d, r)."""
        return jax.tree.leaves(params)[0].shape[-2]

    def linear(self, params: Params) -> Float[Array, "K d"]:
        """Effective parameters of the tasks, where units do not bend."""
        if self.flat:
            columns, heads = self.layers(params)
            return multiply(heads, columns.T)
        every = jnp.eye(self.n_features(params))
        return jnp.stack([self.outputs(params, every, task) for task in range(self.n_tasks(params))])

    def n_tasks(self, params: Params) -> int:
        """K: the last leaf of all that is trained are heads (K, ...)."""
        return jax.tree.leaves(params)[-1].shape[0]

    def outputs(self, params: Params, X: Float[Array, "m d"], task: int, unit: Callable = identity) -> Float[Array, " m"]:
        """What task k says of its rows, with hidden units of that function."""
        columns, heads = self.layers(params)
        return multiply(unit(multiply(X, columns)), heads[task])

    def rebuild(self, leaves: list[Array]) -> Params:
        """The parameters from their leaves, as a file holds them."""
        return Layers(*leaves)

    def penalty(self, params: Params) -> Float[Array, ""] | float:
        """What is added to the sum of squares."""
        return 0.0

    def owned(self, params: Params) -> Params:
        """True for the leaves of which each task has its own along the first axis, False for what schemes see as shared."""
        raise NotImplementedError

    def rates(self, params: Params) -> Params | None:
        """Learning rate of each leaf over that of training; 0 is held. None: one rate."""
        return None

    def shares(self, n_tasks: int, rank: int) -> bool:
        """Whether any task's answer depends on another's rows; where not, the gain is zero in every draw."""
        return True

    def infinite_variance(
        self, tasks: Any, rank: int, weights: Float[Array, " K"], ridge: Float[Array, " K"], target: int
    ) -> Bool[Array, ""]:
        """Whether the risk of what is learned together has no finite variance over draws, near interpolation."""
        return jnp.zeros((), bool)


def plain(value: Any) -> Any:
    """A hyperparameter as numbers, words and lists of these; an architecture as its `text`."""
    if isinstance(value, Sharing):
        return value.text
    return np.asarray(value).tolist() if eqx.is_array_like(value) else value


class MixedSharing(Sharing):
    """An architecture whose columns are mixed in fixed amounts: `mtlsim.solvers.mixed` knows its optimum.

    one_decay: whether all columns have the same ridge.
    """

    one_decay: ClassVar[bool] = False

    @property
    def held(self) -> bool:
        """Whether the amounts are fixed, and not learned with the columns."""
        return True

    def mixing(self, n_tasks: int) -> Mixing:
        raise NotImplementedError

    def exact(self, problem: Problem) -> Answer | None:
        require_no_ridge(problem)
        mixing = self.mixing(problem.n_tasks)
        mixing = Mixing(*(jnp.asarray(part, problem.moments.cross.dtype) for part in mixing))
        turn = jnp.eye(len(mixing.ridge), dtype=mixing.ridge.dtype)
        fewer = mixing
        if self.one_decay and len(turn) > problem.n_tasks:  # K turned columns do what all of them do, at the same length
            turn, values, right = jnp.linalg.svd(mixing.amounts, full_matrices=False)
            fewer = Mixing(values[:, None] * right, mixing.ridge[: problem.n_tasks])
        columns, *rest = solve_mixed(problem.moments, fewer, problem.weights)
        return Answer(Layers(multiply(turn, columns).T, mixing.amounts.T), *rest)

    def infinite_variance(self, tasks, rank, weights, ridge, target):
        """Columns without a ridge are least squares on all rows, however strong the others' ridges."""
        if not self.held:
            return jnp.zeros((), bool)
        free = jnp.sum(jnp.asarray(self.mixing(tasks.n_tasks).ridge) == 0)
        n_parameters = (1 if tasks.shared_covariates else free) * tasks.n_features
        return (free > 0) & is_near(rows_together(tasks, target), n_parameters)

    def init(self, key, shape: Shape, size=0.3) -> Layers:
        """Columns at random; the amounts are held."""
        amounts = jnp.asarray(self.mixing(shape.n_tasks).amounts, float)
        columns = size * normal(stream(key, "shared"), (shape.n_features, len(amounts))) / shape.n_features**0.5
        return Layers(columns, amounts.T)

    def penalty(self, params: Layers):
        return jnp.sum(self.mixing(len(params.heads)).ridge * jnp.sum(params.shared**2, 0))

    def owned(self, params: Layers) -> Layers:
        return Layers(False, True)

    def rates(self, params: Layers) -> Layers | None:
        return Layers(1.0, 0.0)


def rows_together(tasks: Any, target: int) -> Array:
    """How many rows speak of a parameter that all tasks share: equal rows see no more together."""
    return tasks.n_samples[target] if tasks.shared_covariates else jnp.sum(tasks.n_samples)


def require_depth(depth: object) -> None:
    """Refuse what is no number of layers."""
    require(is_whole(depth) and depth >= 1, "depth", "a whole number >= 1", repr(depth), "use 1")


def require_no_ridge(problem: Problem) -> None:
    """Refuse a ridge, where it can be looked at, of architectures that have a decay of their own."""
    if is_concrete(problem.ridge):
        none = not bool(jnp.any(problem.ridge > 0))
        require(none, "ridge", "left out for this sharing", problem.ridge, "set the sharing's own decay or strength instead")


def alone(problem: Problem, params_of: Callable[[Float[Array, "K d"]], Params]) -> Answer:
    """The answer of architectures that can write any parameters: every task's own least squares, by `mtlsim.solve`."""
    each = [stack(problem.moments[k]) for k in range(problem.n_tasks)]
    found = [solve(one, 1, None, problem.ridge[k]) for k, one in enumerate(each)]  # a weight moves no task of its own
    parameters = jnp.concatenate([one.parameters for one in found])
    return gathered(params_of(parameters), parameters, found, problem.weights)


def gathered(params: Params, parameters: Float[Array, "K d"], found: Sequence, weights: Iterable) -> Answer:
    """One answer of parts that were solved one by one: losses and gaps add up by weight, and the worst certificate counts."""
    loss, gap = (sum(w * getattr(one, name) for w, one in zip(weights, found, strict=True)) for name in ("loss", "gap"))
    certificate = largest_of(jnp.stack([one.certificate for one in found]))
    return Answer(params, parameters, loss, gap, certificate, worst(*(one.status for one in found)))
