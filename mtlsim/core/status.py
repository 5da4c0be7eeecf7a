"""What went wrong, as data that travels with a result through jit, vmap and files."""

from collections.abc import Mapping
from enum import IntEnum

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Status(IntEnum):
    """Worst thing that happened to a result; larger is worse, but heavy tails, which leave the draw itself right, are mildest.

    >>> mtl.Status(2).name
    'degenerate'
    >>> mtl.Status.ok.sentence
    'fine.'
    """

    ok = 0
    ill_conditioned = 1
    degenerate = 2
    not_converged = 3
    out_of_range = 4
    heavy_tailed = 5

    @property
    def sentence(self) -> str:
        return SENTENCES[self]


class Certificate(IntEnum):
    """How much is proven about an optimum: its value, an interval that holds it, or nothing beyond the trivial bound.

    >>> [certificate.name for certificate in mtl.Certificate]
    ['exact', 'interval', 'none']
    >>> moments = [mtl.Moments.from_data(np.eye(2), np.array([1.0, n])) for n in (0, 1)]
    >>> mtl.Certificate(int(mtl.solve(moments, rank=2).certificate)).name
    'exact'
    """

    exact = 0
    interval = 1
    none = 2


SENTENCES = {
    Status.ok: "fine.",
    Status.ill_conditioned: "the problem is too ill-conditioned for this precision; "
    "add jax.config.update('jax_enable_x64', True) before the first array is made, or give the tasks a ridge.",
    Status.degenerate: "many shared layers are optimal and they predict differently on the target "
    "(too few rows in all, a flat objective, or a target outside of what the sources span), so there is no one answer; add "
    "samples, a source that differs, or a ridge.",
    Status.not_converged: "the iterations stopped at their limit before the objective settled; raise max_iterations or n_starts, "
    "of training n_steps or the learning rate.",
    Status.out_of_range: "a parameter is outside its domain (an alignment below what the spectrum allows, more rows than room: "
    "see mtlsim.lowest_alignment), or the gain is no finite number (it overflowed, or nothing defines it there).",
    Status.heavy_tailed: "draws are right, but so near to interpolation their mean hangs on a few rare ones (its variance may "
    "be infinite), and no interval would cover it; use more or fewer rows, or a ridge.",
}


IN_FLOAT32 = "computed in float32, 7 digits: call mtlsim.launcher.prepare() before jax is imported"


def note_on_precision(number: Array) -> str:
    """A line that follows a result's repr where it was computed in less than float64."""
    return "" if number.dtype == jnp.float64 else f"\n  {IN_FLOAT32.replace('float32', str(number.dtype), 1)}"


def flag(condition: Bool[Array, "..."], status: Status) -> Int[Array, "..."]:
    """`status` where the condition holds, ok elsewhere."""
    return jnp.where(condition, int(status), int(Status.ok)).astype(jnp.int32)


def worst(*statuses: Int[Array, "..."]) -> Int[Array, "..."]:
    """The worst of several statuses, elementwise."""
    severity = lambda status: jnp.where(status == Status.heavy_tailed, 0.5, status)
    result = statuses[0]
    for status in statuses[1:]:
        result = jnp.where(severity(result) >= severity(status), result, status)
    return result


def with_status(numbers: Mapping[str, Array], *statuses: Int[Array, "..."]) -> dict[str, Array]:
    """What a draw found and its status: the worst of these, and `out_of_range` where none says why its gain is no finite number."""
    return {**numbers, "status": status_of(numbers["gain"], *statuses)}


def status_of(gain: Float[Array, "..."], *statuses: Int[Array, "..."]) -> Int[Array, "..."]:
    """The worst of these statuses, and `out_of_range` where none says why the gain is no finite number."""
    found = worst(*statuses) if statuses else jnp.zeros(jnp.shape(gain), jnp.int32)
    return jnp.where((found == Status.ok) & ~jnp.isfinite(gain), int(Status.out_of_range), found).astype(found.dtype)
