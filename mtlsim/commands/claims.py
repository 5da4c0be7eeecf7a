"""Commands on statements, words, references and the numerical stack."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from mtlsim.commands._report import report, use_all

FAST = (
    "a fast look, at a sixth of the instances and, to begin with, a tenth of the draws (a fortieth where every one must hold): "
    "a formula that is off by some per cent may pass as confirmed, or one that fails on few draws; leave --fast away to find it out"
)


@dataclass(frozen=True)
class Verify:
    """Test statements of theory against simulation: predicted beside measured, and a verdict by a written rule."""

    names: Positional[tuple[str, ...]] = ()
    """Which statements (all if left out) or mechanisms. See `mtlsim list`. A file of your own stands for those in it."""
    out: Path | None = None
    """Folder for report.html and report.json."""
    latex: bool = False
    """Write report.tex there too, the table of verdicts for a paper."""
    fast: bool = False
    """Fewer instances, and fewer draws to begin with."""
    instances: int = 50
    """Random instances inside the assumptions; a fifth as many on their edge and outside."""
    seeds: int = 2000
    """Draws per instance at the first look; they are doubled while a statement is undecided."""
    budget: int = 32
    """How many times the draws of the first look may be drawn in all."""
    seed: int = 0
    """Random seed of instances and draws."""
    holes: int = 0
    """Random cells over all that a statement may be bound to, as many for each: those in which it is false are said."""
    sources: Annotated[tuple[Path, ...], arg(name="from")] = ()
    """Files or folders of your own statements, to be called by name."""

    def run(self) -> int:
        use_all(self.sources)
        from mtlsim.core.checks import require
        from mtlsim.core.registry import file_and_name, is_own
        from mtlsim.verification.conformance import check_file
        from mtlsim.verification.finding import Finding
        from mtlsim.verification.run import things_of, verify

        require(not self.latex or self.out is not None, "latex", "given with --out alone", "without it", "add --out FOLDER")
        sizes = {
            "n_instances": self.instances,
            "n_seeds": self.seeds,
            "budget": self.budget,
            "latex": self.latex,
            "holes": self.holes,
        }
        for name in filter(is_own, self.names):
            things_of(name)
            wrong = check_file(file_and_name(name)[0])
            cure = "mend it; `mtlsim check` says all that is wrong in a file"
            require(not wrong, "names", "files that `mtlsim check` finds nothing wrong in", f"{name}: {''.join(wrong[:1])}", cure)
        findings = verify(self.names, self.out, seed=self.seed, fast=self.fast, progress=True, **sizes)
        if self.fast:
            print(FAST, file=sys.stderr)
        surprises = [finding.name for finding in findings if not finding.as_expected]
        if surprises:
            print(f"not as expected: {', '.join(surprises)}", file=sys.stderr)
        if self.out is not None:
            report([self.out / f"report.{suffix}" for suffix in ("html", "json", *(["tex"] if self.latex else []))])
        return 1 if surprises or any(finding.n_holes for finding in findings if isinstance(finding, Finding)) else 0


@dataclass(frozen=True)
class Cite:
    """Print the references of a key, of a public name or one in `mtlsim list`, or (without one) of the project."""

    thing: Positional[str | None] = None
    """A key of references.bib, a public name such as Transfer, or a name such as plateau."""

    def run(self) -> int:
        from mtlsim.citations import cite

        print(cite(self.thing))
        return 0


@dataclass(frozen=True)
class Glossary:
    """Say what a word means, in one sentence, or (without one) what all of them do."""

    term: Positional[tuple[str, ...]] = ()
    """A word such as rank, or words such as excess risk."""

    def run(self) -> int:
        from mtlsim.glossary import as_lines

        print(as_lines(" ".join(self.term) or None))
        return 0


@dataclass(frozen=True)
class Doctor:
    """Check the numerical stack and say what to do."""

    full: bool = False
    """Longer runs of the checks."""

    def run(self) -> int:
        from mtlsim.doctor import main as examine

        return examine(self.full)
