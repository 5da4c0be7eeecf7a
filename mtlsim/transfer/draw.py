"""What one draw of a transfer cell says."""

import equinox as eqx
from jaxtyping import Array, Float, Int

from mtlsim.core.checks import is_concrete
from mtlsim.core.status import Certificate, Status


class TransferDraw(eqx.Module):
    """Outcome of one draw. gain = risk_single - risk_multi on the target: positive helps.

    Risks are exact excess risks under the population covariance. gap: the multi-task loss minus its proven lower bound, over
    the target's label energy. Where the data do not determine an answer, status says so, and its risk and the gain are NaN.
    """

    gain: Float[Array, ""]
    risk_single: Float[Array, ""]
    risk_multi: Float[Array, ""]
    gap: Float[Array, ""]
    certificate: Int[Array, ""]
    status: Int[Array, ""]
    route: str = eqx.field(static=True)

    def __repr__(self) -> str:
        if not is_concrete(self.gain) or self.gain.ndim:
            return f"TransferDraw(route={self.route!r}, shape={self.gain.shape})"
        status = Status(int(self.status))
        helps = "undetermined" if status == Status.degenerate else "helps" if self.gain > 0 else "hurts"
        diagnosis = "" if status == Status.ok else f"\n  {status.name}: {status.sentence}"
        return (
            f"gain {float(self.gain):+.4g} ({helps}): risk {float(self.risk_single):.4g} alone, "
            f"{float(self.risk_multi):.4g} together; "
            f"{Certificate(int(self.certificate)).name} by {self.route}{diagnosis}"
        )
