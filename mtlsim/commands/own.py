"""Commands for what a user brings: new files, their conformance, and the instance that speaks most against a statement."""

from dataclasses import dataclass
from keyword import iskeyword
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from mtlsim.commands._report import report, use_all


@dataclass(frozen=True)
class New:
    """Write a small file of your own that runs and explains itself."""

    kind: Positional[Literal["statement", "cell", "sharing", "scheme", "experiment", "mechanism"]]
    """What it is."""
    name: Positional[str]
    """Its name, in words with hyphens or underscores."""
    out: Path = Path()
    """Folder for it."""

    def run(self) -> int:
        from mtlsim.commands._templates import written
        from mtlsim.core.catalogue import names_of_ours
        from mtlsim.core.checks import require

        plain = self.name.replace("-", "_").replace(" ", "_")
        fits = plain.isidentifier() and not any(map(iskeyword, (plain, plain.lower(), plain.capitalize())))
        cure = "write for example my-conjecture"
        require(fits, "name", "made of letters, digits and hyphens, and no word of Python", repr(self.name), cure)
        ours = plain.lower().replace("_", "-")
        require(ours not in names_of_ours(self.kind), "name", "other than ours", repr(self.name), f"call it my-{ours}")
        file, text = written(self.kind, self.name)
        path = self.out / file
        require(not path.exists(), "name", "that of a new file", f"that of {path}, which is there", "choose another")
        require(self.out.is_dir(), "out", "a folder that is there", self.out, "make it first")
        path.write_text(text, encoding="utf-8")
        return report([path])


@dataclass(frozen=True)
class Check:
    """Check a file of your own as ours are checked: what is missing or wrong, one sentence each."""

    files: Positional[tuple[Path, ...]]
    """.py files, or folders of them."""

    def run(self) -> int:
        from mtlsim.verification.conformance import check_file

        found = [(path, sentence) for path in self.files for sentence in check_file(path)]
        for path, sentence in found:
            print(f"{path}: {sentence}")
        if not found:
            print("nothing is wrong")
        return 1 if found else 0


@dataclass(frozen=True)
class ExplainCell:
    """Say which statements speak of the cell of a TOML file, in which cells of its grid, and (--all) why the others do not."""

    config: Positional[Path]
    """TOML as for `mtlsim sweep`."""
    overrides: Annotated[tuple[str, ...], arg(name="set")] = ()
    """Settings that replace those of the file."""
    all: bool = False
    """Say of every other statement why it does not speak of such a cell."""
    sources: Annotated[tuple[Path, ...], arg(name="from")] = ()
    """Files or folders of your own statements, which are asked with ours, and of what the TOML file calls by name."""

    def run(self) -> int:
        use_all(self.sources)
        from mtlsim.configuration import build, read

        settings = read(self.config, self.overrides)
        from mtlsim.verification.binding import as_text, statements_for

        cell, grid = build(settings)
        print(as_text(statements_for(cell, grid=grid), self.all))
        return 0


@dataclass(frozen=True)
class Counterexample:
    """Search the instance that violates a statement most: a scan over ranges of its parameters, then climbs."""

    statement: Positional[str]
    """A name as in `mtlsim list`, or a file of your own."""
    over: tuple[str, ...]
    """Ranges of parameters, such as tasks.noise[0]=0.1:10."""
    place: Literal["inside", "edge", "outside"] = "inside"
    """Of the random instance whose other parameters stay."""
    scan: int = 64
    """Points that fill the ranges evenly."""
    starts: int = 6
    """Climbs from the highest of them."""
    seed: int = 0
    """Random seed of the instance and the draws."""
    out: Annotated[Path | None, arg(help="A .json file that reproduces it.")] = None
    sources: Annotated[tuple[Path, ...], arg(name="from")] = ()
    """Files or folders of your own statements, to be called by name."""

    def run(self) -> int:
        use_all(self.sources)
        from mtlsim.core.checks import require
        from mtlsim.theory import find_statement
        from mtlsim.verification.counterexample import VIOLATES, search_counterexample

        ranges = {}
        for one in self.over:
            name, _, ends = one.partition("=")
            cure = "write for example tasks.noise[0]=0.1:10"
            try:
                low, high = map(float, ends.split(":"))
            except ValueError:
                low = high = float("nan")
            require(low < high, "over", "NAME=LOW:HIGH", repr(one), cure)
            ranges[name] = (low, high)
        statement = find_statement(self.statement)
        found = search_counterexample(statement, ranges, place=self.place, n_scan=self.scan, n_starts=self.starts, seed=self.seed)
        print(found)
        if self.out is not None:
            found.save(self.out)
            report([self.out])
        return 1 if found.z >= VIOLATES else 0
