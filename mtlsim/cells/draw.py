"""What one draw of a transfer or weighting cell says."""

import equinox as eqx
from jaxtyping import Array, Float, Int

from mtlsim.core.checks import is_concrete
from mtlsim.core.status import Certificate, Status, note_on_precision


class TransferDraw(eqx.Module):
    """Outcome of one draw. gain = risk_single - risk_multi on the target: positive helps.

    Risks are exact excess risks under the population covariance. control: risk_single minus its expectation over draws where
    that is known, else 0: a control variate [glasserman2003monte] of which verdicts know that its mean is zero. steep: 1 where the
    gain may grow as the square of the risk alone, so near to interpolation that verdicts do not trust a slope that is fitted to it
    (`mtlsim.core.mean_gain`), else 0. gap: the
    multi-task loss minus its proven lower bound, over the target's label energy; of networks, of which nothing is proven, the
    spread of the losses that the starts lead to. Where the data do not determine an answer, status says so, and its risk and the
    gain are NaN.

    >>> pair = mtl.LinearTasks(n_features=5, n_samples=(50, 20), cosine=0.9)
    >>> draw = mtl.Transfer(pair, sharing="pooled")(key=jax.random.key(0))
    >>> mtl.Status(int(draw.status)).name
    'ok'
    """

    gain: Float[Array, ""]
    risk_single: Float[Array, ""]
    risk_multi: Float[Array, ""]
    control: Float[Array, ""]
    steep: Float[Array, ""]
    gap: Float[Array, ""]
    certificate: Int[Array, ""]
    status: Int[Array, ""]
    route: str = eqx.field(static=True)

    def __repr__(self) -> str:
        if not is_concrete(self.gain) or self.gain.ndim:
            return f"TransferDraw(route={self.route!r}, shape={self.gain.shape})"
        status = Status(int(self.status))
        helps = (
            "undetermined" if status == Status.degenerate else "helps" if self.gain > 0 else "hurts" if self.gain < 0 else "neither"
        )
        diagnosis = "" if status == Status.ok else f"\n  {status.name}: {status.sentence}"
        diagnosis += note_on_precision(self.gain)
        return (
            f"gain {float(self.gain):+.4g} ({helps}): risk {float(self.risk_single):.4g} alone, "
            f"{float(self.risk_multi):.4g} together; "
            f"{Certificate(int(self.certificate)).name} by {self.route}{diagnosis}"
        )


class WeightingDraw(eqx.Module):
    """Outcome of one draw. gain = risk_single - risk_multi on the target: positive helps; gain_all: its mean over all tasks.

    Risks are exact excess risks. control: as of `TransferDraw`. share_source, share_target: of the first task and the target in
    the sum of the weights, mean over the second half of training. loss_source, loss_target: their mean squared errors on the rows
    they learned from, and
    path_source, path_target (T,) the same after T equal parts of training; exact optima have no path but their end.
    stationarity: the shortest mixture of the tasks' gradients in the shared layer over the longest gradient; 0 where no
    direction lowers all losses. n_floored: floors and caps that fired in all steps.
    """

    gain: Float[Array, ""]
    gain_all: Float[Array, ""]
    risk_single: Float[Array, ""]
    risk_multi: Float[Array, ""]
    control: Float[Array, ""]
    share_source: Float[Array, ""]
    share_target: Float[Array, ""]
    loss_source: Float[Array, ""]
    loss_target: Float[Array, ""]
    path_source: Float[Array, " *T"]
    path_target: Float[Array, " *T"]
    stationarity: Float[Array, ""]
    n_floored: Int[Array, ""]
    status: Int[Array, ""]
    route: str = eqx.field(static=True)

    def __repr__(self) -> str:
        if not is_concrete(self.gain) or self.gain.ndim:
            return f"WeightingDraw(route={self.route!r}, shape={self.gain.shape})"
        status = Status(int(self.status))
        diagnosis = "" if status == Status.ok else f"\n  {status.name}: {status.sentence}"
        diagnosis += note_on_precision(self.gain)
        return (
            f"gain {float(self.gain):+.4g} on the target, {float(self.gain_all):+.4g} over all tasks; {self.route}, the first task "
            f"has {float(self.share_source):.3g} of the weight, the target {float(self.share_target):.3g}{diagnosis}"
        )


class AlignmentDraw(eqx.Module):
    """Outcome of one draw. gain = risk_without - risk_with on the target, the gain from alignment: positive helps.

    Risks are exact excess risks: of learning together without alignment and with, and of the target alone. control: risk_alone
    minus its known expectation, as of `TransferDraw`. score_before,
    score_after: mean over the sources of their normalised covariance similarity with the target on the rows drawn, before and
    after alignment; literal_before, literal_after: as printed in Eq. 5. path_score, path_risk (T,): after T equal parts of
    training; a closed form has its end alone.
    """

    gain: Float[Array, ""]
    risk_without: Float[Array, ""]
    risk_with: Float[Array, ""]
    risk_alone: Float[Array, ""]
    control: Float[Array, ""]
    score_before: Float[Array, ""]
    score_after: Float[Array, ""]
    literal_before: Float[Array, ""]
    literal_after: Float[Array, ""]
    path_score: Float[Array, " T"]
    path_risk: Float[Array, " T"]
    status: Int[Array, ""]
    route: str = eqx.field(static=True)

    def __repr__(self) -> str:
        if not is_concrete(self.gain) or self.gain.ndim:
            return f"AlignmentDraw(route={self.route!r}, shape={self.gain.shape})"
        status = Status(int(self.status))
        diagnosis = "" if status == Status.ok else f"\n  {status.name}: {status.sentence}"
        diagnosis += note_on_precision(self.gain)
        return (
            f"gain from alignment {float(self.gain):+.4g} ({self.route}): risk {float(self.risk_without):.4g} without, "
            f"{float(self.risk_with):.4g} with, {float(self.risk_alone):.4g} alone; "
            f"score {float(self.score_before):.3g} before, {float(self.score_after):.3g} after{diagnosis}"
        )
