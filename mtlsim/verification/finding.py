"""What verification found about statements, and the error of all verdicts of a run together."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mtlsim.theory.statement import Statement
from mtlsim.verification.evidence import Evidence
from mtlsim.verification.rules import FAMILY, REFUTED, UNDECIDED, Judgement, holm


@dataclass(frozen=True)
class Finding:
    """What verification found about one statement.

    worst_instance: the instance of `worst_evidence`, which of all that count speaks most against the statement. command: what
    repeats its instances and draws.
    n_seeds: draws per instance inside and on the edge at the last look; looks: how often they were judged, at twice as many draws
    each time. p_value: of the evidence against, all looks paid for; adjusted: by Holm's rule over all statements of the run.
    """

    statement: Statement
    verdict: str
    worst: float
    evidence: list[Evidence] = field(repr=False)
    n_instances: int
    n_seeds: int
    seconds: float
    looks: int
    p_value: float
    adjusted: float
    judgement: Judgement = field(repr=False)
    worst_evidence: Evidence | None = field(default=None, repr=False)
    worst_instance: Any = field(default=None, repr=False)
    command: str = ""

    @property
    def name(self) -> str:
        return self.statement.name

    @property
    def as_expected(self) -> bool:
        return self.verdict == self.statement.expected

    def __str__(self) -> str:
        note = "" if self.as_expected else f" (expected: {self.statement.expected})"
        size = f"{self.n_instances} instances x {self.n_seeds} draws"
        lacks = f"; lacking: {'; '.join(self.judgement.lacks)}" if self.verdict == UNDECIDED else ""
        return f"{self.statement.name}: {self.verdict}{note}; worst score {self.worst:.3g}, {size}{lacks}"


def settle(findings: Sequence[Finding], level: float = FAMILY) -> list[Finding]:
    """Findings with p-values adjusted by Holm's rule; those that it refutes and no look did become refuted."""
    adjusted = holm([finding.p_value for finding in findings])
    settled = [replace(finding, adjusted=float(p)) for finding, p in zip(findings, adjusted, strict=True)]
    return [replace(one, verdict=REFUTED) if one.verdict == UNDECIDED and one.adjusted <= level else one for one in settled]


def family_wise(findings: Sequence[Finding]) -> str:
    """One sentence on the error of all verdicts together."""
    kept = [(one.adjusted, one.statement.name) for one in findings if one.verdict != REFUTED]
    nearest = f"; of the others {min(kept)[1]} is nearest, at an adjusted p-value of {min(kept)[0]:.2g}" if kept else ""
    n_refuted = len(findings) - len(kept)
    return (
        f"{len(findings)} statements, {n_refuted} refuted: the probability that any of them is so by chance is at most {FAMILY:g}, "
        f"over all statements (Holm), instances and looks{nearest}"
    )
