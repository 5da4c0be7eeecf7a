"""Normalised units: any architecture with hidden units, every row's of which are normalised [xu2019understanding].

    f_k(x) = N(g(x'B)) A_k  (after the unit g), or  g(N(x'B)) A_k  (before it),      N of `mtlsim.core.normalisation`,

here for hard sharing; of others the r units of every column module, mixture or mask are normalised where they are computed, in
every layer. N loses the length of x: tasks that differ in scale alone become equal, and labels that grow with x can no longer be
told. With free heads that is a factor of each task, which its head absorbs; with one head for all it turns the sign of transfer
(`normalisation-tied`, `normalisation-amplitude`).

A task is no linear function of x, so that it is trained, on rows. The gain and bias of layer-norm are held at one and zero, or
trained: `shared`, or every task its `own`. Before a free head with a bias of its own they are redundant
(`normalisation-redundant`); own gains before one head for all are a head for each task, and what was shared there is lost. The
length of B does nothing: gradient steps turn it the slower the longer it is, and a decay of the columns decays no function. A
task with a head of its own has the same optimum whatever the scale of its rows (`normalisation-free-heads`).
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mtlsim.core.checks import require, require_choice
from mtlsim.core.normalisation import NORMALISATIONS, require_units
from mtlsim.sharing import as_sharing
from mtlsim.sharing._sharing import MixedSharing, Params, Shape, Sharing, identity
from mtlsim.sharing.hard import Hard

PLACES = ("before", "after")
GAINS = ("held", "shared", "own")


class Gained(NamedTuple):
    """Parameters of the architecture, and the gains and biases of all its units (G, C): of every task, or G = 1."""

    of: Params
    gains: Float[Array, "G C"]
    biases: Float[Array, "G C"]


class Normalised(Sharing):
    """of: the architecture, its name or a table, whose units are normalised. rule: "layer-norm", "layer-norm-simple", "ada-norm" or
    "detach-norm". where: "before" or "after" the unit; of linear units that is the same. gain: of layer-norm, with its bias:
    "held" at one and zero, trained and "shared" by all tasks, or trained for each as its "own".
    """

    of: Sharing | str | Mapping[str, Any] = eqx.field(default=Hard(), converter=as_sharing)  # a Sharing from then on
    rule: str = eqx.field(default="layer-norm", static=True)
    where: str = eqx.field(default="before", static=True)
    gain: str = eqx.field(default="held", static=True)

    on_networks = True

    def __check_init__(self):
        of, cure = self.of, "use 'hard', 'cross-stitch', 'attention' or 'mixture-of-experts'"
        require(isinstance(of, Sharing), "of", "an architecture or its name", repr(of), cure)
        require(not isinstance(of, Normalised), "of", "an architecture whose units are not normalised yet", of.name, cure)
        require(of.on_networks and of.trains, "of", "an architecture with hidden units", repr(of.name), cure)
        held = isinstance(of, MixedSharing) and of.held
        require(not held, "of", "one with several units a column", f"{of.name}, whose mixing is held", "use learned=True")
        require_choice(self.rule, NORMALISATIONS, "rule")
        require_choice(self.where, PLACES, "where")
        require_choice(self.gain, GAINS, "gain")
        right = self.gain == "held" or self.rule == "layer-norm"
        require(right, "gain", f"'held' for {self.rule}, which has none", repr(self.gain), "use rule='layer-norm'")

    @property
    def needs_source(self):
        return self.of.needs_source

    @property
    def needs_rows(self):
        return True

    def check(self, n_tasks, rank):
        self.of.check(n_tasks, rank)
        shapes = jax.eval_shape(lambda key: self.of.init(key, Shape(n_tasks, 1, rank)), jax.random.key(0))
        require_units(_units_of(shapes))

    def init(self, key, shape: Shape, size=0.3) -> Params:
        params = self.of.init(key, shape, size)
        if self.gain == "held":
            return params
        counts = []

        def count(scores):
            counts.append(scores.size)
            return scores

        jax.eval_shape(lambda params: self.of.outputs(params, jnp.zeros((1, shape.n_features)), 0, count), params)
        ones = jnp.ones((shape.n_tasks if self.gain == "own" else 1, sum(counts)))
        return Gained(params, ones, 0 * ones)

    def linear(self, params: Params) -> None:
        """There are none, whatever the units."""

    def outputs(self, params: Params, X, task, unit=identity):
        trained = None if self.gain == "held" else [part[task if self.gain == "own" else 0] for part in params[1:]]
        inner = self._inner(params)
        return self.of.outputs(inner, X, task, self._normalising(unit, _units_of(inner), trained))

    def _normalising(self, unit: Callable, n_units: int, trained: list | None) -> Callable:
        """The unit with its normalisation, of as many units together as a module has, and with gains and biases, in the order in
        which the architecture asks for its layers."""
        rule, done = NORMALISATIONS[self.rule], 0

        def normalised(scores):
            # architectures of one layer hand over the units of all their modules side by side
            found = rule(scores.reshape(*scores.shape[:-1], -1, n_units)).reshape(scores.shape)
            if trained is None:
                return found
            nonlocal done
            each = (*scores.shape[:-2], 1, scores.shape[-1])  # rows come last but one
            first, done = done, done + int(np.prod(each))
            gain, bias = (part[first:done].reshape(each) for part in trained)
            return gain * found + bias

        return (lambda scores: unit(normalised(scores))) if self.where == "before" else lambda scores: normalised(unit(scores))

    def _inner(self, params: Params) -> Params:
        """The parameters of the architecture."""
        return params if self.gain == "held" else params.of

    def _outer(self, inner: Params, rest: Any) -> Params:
        """The same in the form of all that is trained, with one entry for gains and for biases."""
        return inner if self.gain == "held" else Gained(inner, rest, rest)

    def rebuild(self, leaves) -> Params:
        return self.of.rebuild(leaves) if self.gain == "held" else Gained(self.of.rebuild(leaves[:-2]), *leaves[-2:])

    def n_tasks(self, params: Params):
        return self.of.n_tasks(self._inner(params))

    def n_features(self, params: Params):
        return self.of.n_features(self._inner(params))

    def penalty(self, params: Params):
        return self.of.penalty(self._inner(params))

    def owned(self, params: Params) -> Params:
        return self._outer(self.of.owned(self._inner(params)), self.gain == "own")

    def rates(self, params: Params) -> Params | None:
        inner = self.of.rates(self._inner(params))
        return None if inner is None else self._outer(inner, 1.0)

    def shares(self, n_tasks, rank):
        return self.of.shares(n_tasks, rank)


def _units_of(params: Params) -> int:
    """r: units of one module, whose columns (..., d, r) are the first leaf of all that is trained."""
    return jax.tree.leaves(params)[0].shape[-1]


SHARING = Normalised
REDUCTIONS = ()
EXAMPLES = ()
