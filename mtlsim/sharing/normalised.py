"""Normalised units: any architecture with hidden units, every row's of which are normalised [xu2019understanding].

    f_k(x) = N(g(x'B)) A_k  (after the unit g), or  g(N(x'B)) A_k  (before it),      N of `mtlsim.core.normalisation`,

here for hard sharing; of others the r units of every column module, mixture or mask are normalised where they are computed, in
every layer. N loses the length of x: tasks that differ in scale alone become equal, and labels that grow with x can no longer be
told. With free heads that is a factor of each task, which its head absorbs; with one head for all it turns the sign of transfer
(`normalisation-tied`, `normalisation-amplitude`).

A task is no linear function of x, so that it is trained, on rows. The gain and bias of layer-norm are held at one and zero: before
a free head with a bias of its own they are redundant (`normalisation-redundant`). The length of B does nothing: gradient steps
turn it the slower the longer it is, and a decay of the columns decays no function.
"""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax

from mtlsim.core.checks import require, require_choice
from mtlsim.core.normalisation import NORMALISATIONS, require_units
from mtlsim.sharing import as_sharing
from mtlsim.sharing._sharing import MixedSharing, Params, Shape, Sharing, identity
from mtlsim.sharing.hard import Hard

PLACES = ("before", "after")


class Normalised(Sharing):
    """of: the architecture, its name or a table, whose units are normalised. rule: "layer-norm", "layer-norm-simple", "ada-norm" or
    "detach-norm". where: "before" or "after" the unit; of linear units that is the same.
    """

    of: Sharing | str | Mapping[str, Any] = eqx.field(default=Hard(), converter=as_sharing)  # a Sharing from then on
    rule: str = eqx.field(default="layer-norm", static=True)
    where: str = eqx.field(default="before", static=True)

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
        return self.of.init(key, shape, size)

    def linear(self, params: Params) -> None:
        """There are none, whatever the units."""

    def outputs(self, params: Params, X, task, unit=identity):
        return self.of.outputs(params, X, task, self._normalising(unit, _units_of(params)))

    def _normalising(self, unit: Callable, n_units: int) -> Callable:
        """The unit with its normalisation, of as many units together as a module has."""
        rule = NORMALISATIONS[self.rule]
        both = (lambda scores: unit(rule(scores))) if self.where == "before" else lambda scores: rule(unit(scores))
        # architectures of one layer hand over the units of all their modules side by side
        return lambda scores: both(scores.reshape(*scores.shape[:-1], -1, n_units)).reshape(scores.shape)

    def rebuild(self, leaves) -> Params:
        return self.of.rebuild(leaves)

    def n_tasks(self, params: Params):
        return self.of.n_tasks(params)

    def n_features(self, params: Params):
        return self.of.n_features(params)

    def penalty(self, params: Params):
        return self.of.penalty(params)

    def owned(self, params: Params) -> Params:
        return self.of.owned(params)

    def rates(self, params: Params) -> Params | None:
        return self.of.rates(params)

    def shares(self, n_tasks, rank):
        return self.of.shares(n_tasks, rank)


def _units_of(params: Params) -> int:
    """r: units of one module, whose columns (..., d, r) are the first leaf of all that is trained."""
    return jax.tree.leaves(params)[0].shape[-1]


SHARING = Normalised
REDUCTIONS = ()
EXAMPLES = ()
