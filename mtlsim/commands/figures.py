"""Commands that draw, and the list of what there is to draw and to verify."""

from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from mtlsim.commands._report import report, use_all

if TYPE_CHECKING:
    from mtlsim.plots.style import Look


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """What every command that draws takes."""

    only: tuple[str, ...] = ()
    """Of some axes these values alone, such as relation=same tasks.noise=1: one panel or curve of many."""
    title: bool = True
    """The claim, or what is left out, above the picture; --no-title for papers."""
    width: Literal["single", "double"] | None = None
    """Width of a paper's column or page (3.5 or 7.2 inches); as wide as the panels if left out."""
    format: tuple[Literal["png", "pdf", "svg"], ...] = ("png", "pdf")
    """Kinds of files."""
    style: Path | None = None
    """A matplotlib style sheet (.mplstyle) that changes ours: fonts, sizes, dpi."""

    def look(self) -> "Look":
        from mtlsim.plots.style import Look

        return Look(self.title, self.width, self.format, self.style)


@dataclass(frozen=True)
class Figure(Drawing):
    """Make a figure: the picture (PNG and PDF) and its data (netCDF)."""

    name: Positional[str] = "transfer-map"
    """Which figure; see `mtlsim list`. Or a file of your own."""
    out: Path = Path("figures")
    """Folder for the picture and its data."""
    fast: bool = False
    """A coarse version with fewer points and seeds."""
    seeds: int | None = None
    """Seeds per cell."""
    seed: int = 0
    """Random seed of the whole figure."""
    model: str | None = None
    """similarity, capacity, alignment-gain: kind of tasks (linear, relu; for similarity also logistic, relu-classification)."""
    x: str | None = None
    """transfer-map only: parameter along x (alignment, cosine, source-samples or n_samples[0], target-samples, noise)."""
    y: str | None = None
    """transfer-map only: parameter along y."""
    panels: str | None = None
    """transfer-map only: parameter of the panels (also rank, or none)."""
    quiet: bool = False
    """Say nothing while it runs."""
    sources: Annotated[tuple[Path, ...], arg(name="from")] = ()
    """Files or folders of your own figures."""

    def run(self) -> int:
        use_all(self.sources)
        from mtlsim.experiments._experiment import Options, make_figure

        options = Options(self.fast, self.seeds, self.seed, self.model, self.x, self.y, self.panels)
        return report(make_figure(self.name, self.out, options, self.look(), self.only, progress=not self.quiet))


@dataclass(frozen=True)
class Plot(Drawing):
    """Draw a saved result again."""

    result: Positional[Path]
    """A .nc file made by `mtlsim figure` or `mtlsim sweep`."""
    out: Path | None = None
    """Folder for the picture; beside the result if left out."""
    x: str | None = None
    """For a sweep of your own: the parameter along x (as swept, noise, or source-samples); without --y the gain is a curve."""
    y: str | None = None
    """The parameter along y, of a map."""
    panels: str | None = None
    """The parameter of the panels."""
    sources: Annotated[tuple[Path, ...], arg(name="from")] = ()
    """The file of your own figure, or its folder."""

    def run(self) -> int:
        use_all(self.sources)
        from mtlsim.experiments._experiment import redraw

        return report(redraw(self.result, self.out, self.look(), self.only, self.x, self.y, self.panels))


@dataclass(frozen=True)
class List:
    """List all figures, statements, mechanisms, architectures, weighting schemes and cells, and what each is about."""

    sources: Annotated[tuple[Path, ...], arg(name="from")] = ()
    """Files or folders of your own, which are listed with ours."""

    def run(self) -> int:
        lists = _with_own(self.sources) if self.sources or entry_points(group="mtlsim") else _ours()
        width = max(len(name) for things in lists.values() for name in things) + 2
        for title, things in lists.items():
            print("\n".join([title, *(f"  {name:{width}s}{about}" for name, about in things.items())]))
        return 0


TITLES = (
    "figures (mtlsim figure NAME)",
    "statements (mtlsim verify NAME) [of these cells]",
    "mechanisms (mtlsim verify NAME)",
    "architectures (sharing = NAME)",
    "weighting schemes (scheme = NAME)",
    "cells (kind = NAME)",
)


def _ours() -> dict[str, dict[str, str]]:
    """All of ours, without loading any."""
    from mtlsim.core.catalogue import claims_of, first_lines, kinds_of_cells

    rooms = first_lines("sharing"), first_lines("weighting"), kinds_of_cells()
    found = (*(claims_of(kind) for kind in ("EXPERIMENT", "STATEMENT", "MECHANISM")), *rooms)
    return dict(zip(TITLES, found, strict=True))


def _with_own(sources: tuple[Path, ...]) -> dict[str, dict[str, str]]:
    """Ours, and those of a user's files and of installed packages."""
    use_all(sources)
    from mtlsim.experiments._experiment import experiment_names, find_experiment
    from mtlsim.mechanisms import find_mechanism, mechanism_names
    from mtlsim.sharing import describe_sharing, sharing_names
    from mtlsim.theory import find_statement, statement_names
    from mtlsim.weighting import describe_scheme, scheme_names

    found = (
        {name: find_experiment(name).claim for name in experiment_names()},
        {name: find_statement(name).claim for name in statement_names()},
        {name: find_mechanism(name).claim for name in mechanism_names()},
        {name: describe_sharing(name) for name in sharing_names()},
        {name: describe_scheme(name) for name in scheme_names()},
        {},
    )
    return {title: own | ours for (title, ours), own in zip(_ours().items(), found, strict=True)}
