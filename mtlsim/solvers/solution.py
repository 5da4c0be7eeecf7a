"""What every solver returns."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from mtlsim.core.checks import is_concrete
from mtlsim.core.extremes import smallest_of
from mtlsim.core.status import Certificate, Status
from mtlsim.samples.moments import Moments

EXACT_WITHIN = 1e-6  # of the smaller task's explained energy
LOST = 1e-3  # relative error of a direction from which rounding has the better of it
LAST_DIGITS = 1024  # roundings of the energies of all tasks: a gap within these is exact too


class Solution(eqx.Module):
    """Shared layer B (d, r), heads A (K, r), parameters A B' (K, d), and what is known about them.

    loss = sum_i w_i (|X_i B A_i - y_i|^2 + ridge_i |B A_i|^2). gap: loss minus a proven lower bound on it, with the rounding of
    both. certificate: exact (gap within 10^-6 of the smaller task's explained energy, or in the last three digits of all energy),
    interval (the gap is proven but not small), none (only the tasks' own best losses bound it). route: the solver's name.
    status: see `mtlsim.Status`.

    >>> moments = [mtl.Moments.from_data(np.eye(2), np.array([1.0, n])) for n in (0, 1)]
    >>> solution = mtl.solve(moments, rank=2)
    >>> solution.route, solution.parameters.round(6).tolist()
    ('separate', [[1.0, 0.0], [1.0, 1.0]])
    """

    shared: Float[Array, "d r"]
    heads: Float[Array, "K r"]
    parameters: Float[Array, "K d"]
    loss: Float[Array, ""]
    gap: Float[Array, ""]
    certificate: Int[Array, ""]
    status: Int[Array, ""]
    route: str = eqx.field(static=True)

    def __repr__(self) -> str:
        shapes = f"shared {self.shared.shape}, heads {self.heads.shape}"
        if not is_concrete(self.loss) or self.loss.ndim:
            return f"Solution({shapes}, route={self.route!r})"
        certificate, status = Certificate(int(self.certificate)), Status(int(self.status))
        diagnosis = "" if status == Status.ok else f"\n  {status.name}: {status.sentence}"
        value = f"loss={float(self.loss):.6g} - {float(self.gap):.1e}"
        return f"Solution({shapes}, {value}, {certificate.name} by {self.route}){diagnosis}"


def penalised_loss(moments: Moments, parameters: Float[Array, "K d"]) -> Float[Array, " K"]:
    """|X theta - y|^2 of each task, from moments that already hold the ridge."""
    gram = jnp.broadcast_to(moments.gram, (parameters.shape[0], *moments.gram.shape[-2:]))
    fitted = jnp.einsum("kd,kde,ke->k", parameters, gram, parameters, precision="highest")
    return moments.energy - 2 * jnp.sum(moments.cross * parameters, -1) + fitted


def certify(gap: Float[Array, ""], energies: Float[Array, "..."], otherwise: Certificate = Certificate.interval) -> Int[Array, ""]:
    """exact where the gap is within 10^-6 of the least energy, or in the last digits of all; else `otherwise`; none for NaN."""
    last_digits = LAST_DIGITS * jnp.finfo(gap.dtype).eps * jnp.sum(energies)
    exact = gap <= jnp.maximum(EXACT_WITHIN * smallest_of(energies), last_digits)
    known = jnp.where(exact, int(Certificate.exact), int(otherwise))
    return jnp.where(jnp.isnan(gap), int(Certificate.none), known).astype(jnp.int32)
