"""The command that writes the API pages, from the docstrings, by pdoc."""

from dataclasses import dataclass
from pathlib import Path

from mtlsim.commands._report import report


@dataclass(frozen=True)
class Api:
    """Write the API pages: every public name with its example, and what each package says of itself (needs pdoc)."""

    out: Path = Path("api")
    """Folder for the pages; begin at mtlsim.html."""

    def run(self) -> int:
        write_pages(self.out)
        return report([self.out / "mtlsim.html"])


def write_pages(out: Path) -> None:
    """Pages of the package and of the packages in it. Public names are loaded first, as pdoc reads what a module holds."""
    from importlib import import_module
    from importlib.util import find_spec
    from pkgutil import iter_modules

    from mtlsim.core.checks import require
    from mtlsim.results.store import check_writable

    require(find_spec("pdoc") is not None, "pdoc", "installed", "missing", "run pip install 'mtlsim[dev]'")
    check_writable(Path(out), "out")
    from pdoc import pdoc, render

    mtlsim = import_module("mtlsim")
    rooms = [f"mtlsim.{room.name}" for room in iter_modules(mtlsim.__path__) if room.ispkg and room.name != "commands"]
    for name in ["mtlsim", *rooms]:
        module = import_module(name)
        if {"__getattr__", "__all__"} <= vars(module).keys():  # names that are loaded on first use
            vars(module).update({public: getattr(module, public) for public in module.__all__})
    render.configure(docformat="markdown", search=False, show_source=False, math=False)
    pdoc("mtlsim", *rooms, r"!mtlsim\.\w+\..*", output_directory=Path(out))
