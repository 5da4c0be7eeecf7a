"""What verification found about statements, and the error of all verdicts of a run together."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mtlsim.core.words import counted
from mtlsim.theory.statement import Statement
from mtlsim.verification.evidence import Evidence
from mtlsim.verification.holes import Search
from mtlsim.verification.rules import FAMILY, REFUTED, UNDECIDED, Judgement, holm


@dataclass(frozen=True)
class Finding:
    """What verification found about one statement.

    worst_instance: the instance of `worst_evidence`, which of all that count speaks most against the statement. command: what
    repeats its instances and draws. search: for holes, where one was asked for (`verify(holes=200)`).
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
    search: Search | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return self.statement.name

    @property
    def as_expected(self) -> bool:
        return self.verdict == self.statement.expected

    @property
    def n_holes(self) -> int:
        return 0 if self.search is None else self.search.n_holes

    @property
    def says(self) -> str:
        """The verdict and, where a search found cells in which the statement is false, how many."""
        return f"{self.verdict}, with {counted(self.n_holes, 'hole')} found" if self.n_holes else self.verdict

    def __str__(self) -> str:
        note = "" if self.as_expected else f" (expected: {self.statement.expected})"
        size = f"{counted(self.n_instances, 'instance')} x {counted(self.n_seeds, 'draw')}"
        looked = "" if self.search is None else f"; {self.search.seen}"
        lacks = f"; lacking: {'; '.join(self.judgement.lacks)}" if self.verdict == UNDECIDED else ""
        return f"{self.statement.name}: {self.says}{note}; worst score {self.worst:.3g}, {size}{lacks}{looked}"


def settle(findings: Sequence[Finding], level: float = FAMILY) -> list[Finding]:
    """Findings with p-values adjusted by Holm's rule; those that it refutes and no look did become refuted."""
    adjusted = holm([finding.p_value for finding in findings])
    settled = [replace(finding, adjusted=float(p)) for finding, p in zip(findings, adjusted, strict=True)]
    return [replace(one, verdict=REFUTED) if one.verdict == UNDECIDED and one.adjusted <= level else one for one in settled]


def family_wise(findings: Sequence[Finding]) -> str:
    """One sentence on the error of all verdicts together: of those that are refuted, and of which is nearest to being so."""
    kept = sorted((one.adjusted, one.statement.name) for one in findings if one.verdict != REFUTED)
    n_refuted, level = len(findings) - len(kept), f"{FAMILY:g}, over all statements (Holm), instances and looks"
    said = f"{counted(len(findings), 'statement')}, {n_refuted or 'none'} refuted"
    if n_refuted:
        said += f": the probability that {'any of them' if n_refuted > 1 else 'it'} is so by chance is at most {level}"
    else:
        said += f" at a level of {level}"
    if not kept:
        return said
    (p_value, name), *others = kept
    if others:
        nearest = f"{'of the others ' if n_refuted else ''}{name} is nearest, at"
    else:
        nearest = f"{name} is not, at" if n_refuted else f"{name} has"
    return f"{said}; {nearest} an adjusted p-value of {p_value:.2g}"
