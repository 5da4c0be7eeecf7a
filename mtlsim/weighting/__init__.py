"""How much each task counts: one file per scheme, all behind the protocol of `mtlsim.weighting._scheme`.

```python
import jax

import mtlsim as mtl
from mtlsim import LinearTasks, Weighting
from mtlsim.weighting import find_scheme, scheme_names

tasks = LinearTasks(n_features=20, n_samples=(60, 60), cosine=0.9, noise=(2.0, 0.5))
bench = mtl.sweep(Weighting(tasks), {"scheme": ["oracle", *scheme_names()]}, 100, jax.random.key(0))
print(bench.gain_mean.to_pandas())  # gain of the target, a scheme each; the oracle is the best that any weights could do
tuned = Weighting(tasks, "gradnorm", hyperparameters=find_scheme("gradnorm")(alpha=0.12))
```

A scheme is one file in `mtlsim/weighting/`: its equation, its options where papers and released code differ, and examples worked
by hand that the tests run. All see the same signals (unweighted mean losses, inner products of the tasks' gradients in the
shared layer) and are trained by the same scan: `mtl.train_weighted`, `mtl.WeightedTraining`; in a TOML file, `scheme` in `[cell]`
or `[grid]` does this. Floors that fire are counted. With linear tasks the exact solver gives what schemes are measured against:
the weights of least exact risk ("oracle") and the optimum under any weights ("given"); `mtl.tune_weights` finds the best fixed
weights for any criterion, the worst loss with a proven bound; `mtl.pareto_front` is the whole front of any number of tasks, also
where no weights lead, and says of losses how far they lie behind it and beyond all weights.

Beside weightings stand the optimisers of the field, from the same losses and inner products: `mgda`, `pcgrad` (the mean over all
orders), `cagrad`, `imtl-g`, `imtl-l`, `nash-mtl`, `famo`, `aligned-mtl`, `upgrad` and `smooth-chebyshev`, each tested against its
definition on the gradients themselves; and `random-loss-weighting`, which draws its weights and looks at nothing.

Whether one of them can beat every weighting, and what weights know, stands in `notebooks/README.md`.
"""

import sys
from collections.abc import Sequence

from mtlsim.core.checks import require, require_choice
from mtlsim.core.registry import find, is_own, names, own_words
from mtlsim.weighting._one_of import OneOf as OneOf
from mtlsim.weighting._scheme import FLOOR as FLOOR
from mtlsim.weighting._scheme import Facts as Facts
from mtlsim.weighting._scheme import Scheme as Scheme
from mtlsim.weighting._scheme import Signals as Signals
from mtlsim.weighting._scheme import normalise as normalise


def scheme_names() -> list[str]:
    return names(sys.modules[__name__], "SCHEME")


def find_scheme(name: str) -> type[Scheme]:
    """The scheme called `name`, to be made with hyperparameters of its own or those of its paper."""
    found = find(sys.modules[__name__], name, "SCHEME")
    right = isinstance(found, type) and issubclass(found, Scheme)
    require(right, "scheme", "a class made of mtlsim.weighting.Scheme", repr(found), "see `mtlsim new scheme NAME`")
    return found


def describe_scheme(name: str) -> str:
    """The first line of its file."""
    return str(sys.modules[find_scheme(name).__module__].__doc__).splitlines()[0]


def require_scheme(name: str, others: Sequence[str] = ()) -> None:
    """Raise ValueError in one sentence for what is no scheme's name, no file of a user's own with one, and none of the others."""
    if is_own(name):
        find_scheme(name)
    else:
        require_choice(name, [*scheme_names(), *others], "scheme", own_words("scheme"))


def conformance(name: str) -> tuple:
    """The examples worked by hand that stand in the scheme's file."""
    return find(sys.modules[__name__], name, "CONFORMANCE")
