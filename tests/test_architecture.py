"""The house keeps its floors: who imports whom, where the heavy libraries live, and how large a module grows.

`violations` reads source only (AST), so that imports inside functions and names loaded through `mtlsim.Name` count too.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import mtlsim

ROOT = Path(mtlsim.__file__).parent
FLOORS = {  # a room imports only rooms of lower number, and its own modules
    "core": 0,
    "launcher": 0,
    "glossary": 0.5,
    "tasks": 1,
    "samples": 2,
    "similarity": 2.5,  # beside the samples, and made of them
    "models": 3,
    "weighting": 3,
    "solvers": 4,
    "sharing": 4.2,  # what is shared, solved exactly
    "training": 4.4,  # or by gradient steps
    "alignment": 4.6,
    "cells": 5,
    "theory": 6,
    "results": 7,
    "arrays": 7.2,  # the practitioner's door, whose answers are datasets
    "sweeps": 7.5,
    "plots": 8,
    "pages": 8.2,
    "mechanisms": 8.3,  # why sharing helps: made of cells, tried by sweeps
    "verification": 8.5,
    "experiments": 9,
    "configuration": 9,
    "reproduction": 9.5,
    "citations": 0.5,
    "doctor": 9,
    "probes": 9,
    "commands": 10,
    "cli": 11,
}
MACHINE = {"results", "sweeps", "plots", "pages", "configuration"}  # knows a cell only as a callable of a key
BELOW_THE_MACHINE = {"core", "launcher", "glossary"}
EXEMPT = {"__init__", "__main__", "citations", "doctor", "probes"}  # may import from any floor
ONLY_IN = {
    "matplotlib": {"plots"},
    "mpl_toolkits": {"plots"},
    "bokeh": {"pages"},
    "xarray": {"results", "sweeps", "arrays"},
    "optax": {"training"},
}
HINTS = {"xarray"}  # may be imported anywhere for type hints alone
VMAP_IN = {"sweeps", "probes"}
LOSES_NAN = {"max", "min", "amax", "amin"}  # of jax.numpy, in compiled programs of some releases
EXTREMES_IN = {"core/extremes.py", "probes.py"}
NAMELESS = {"utils", "util", "helpers", "helper", "misc"}
LONGEST = 400
OUTSIDE = "/".join(("..", "shared"))
TEXTS = {".py", ".md", ".toml", ".bib", ".ipynb", ".sh", ".cfg", ".txt", ".yml", ".yaml", ""}


def violations(root: Path) -> list[str]:
    """Every broken rule below the folder of a package called mtlsim, as '<file>: <what>'."""
    homes = _homes(root / "__init__.pyi")
    found = []
    for file in sorted(root.rglob("*.py")):
        path, source = file.relative_to(root), file.read_text(encoding="utf-8")
        found += [f"{path}: {what}" for what in _broken(path, source, homes)]
    return found


def _broken(path: Path, source: str, homes: dict[str, str]) -> Iterator[str]:
    tree, room = ast.parse(source), path.parts[0].removesuffix(".py")
    if len(source.splitlines()) > LONGEST:
        yield f"longer than {LONGEST} lines"
    if NAMELESS & {part.removesuffix(".py") for part in path.parts}:
        yield "named after nothing"
    if room not in FLOORS.keys() | EXEMPT:
        yield "on no floor; give it one here"
    hints = {id(node) for block in ast.walk(tree) if _is_for_hints(block) for node in ast.walk(block)}
    for node, target, way in _imports(tree, path):
        top, other = target.split(".")[0], _room(target, homes)
        if room not in ONLY_IN.get(top, {room}) and not (top in HINTS and id(node) in hints):
            yield f"imports {top}"
        if other not in (None, room) and room not in EXEMPT and FLOORS.get(other, 99) >= FLOORS.get(room, 99):
            yield f"imports {other}, which is not on a lower floor"
        elif room in MACHINE and other not in (None, *MACHINE, *BELOW_THE_MACHINE):
            yield f"imports {other}, of the laboratory"
        if other not in (None, room) and way == "import":
            yield f"imports {target} whole; import names from it"
        if other is not None and way == "from" and target.split(".")[-1].startswith("_"):
            yield f"imports the private {target}"
    borrowed = _names_of_modules(tree)
    for node in ast.walk(tree):
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        if isinstance(node, ast.alias):
            name = node.name
        if name.split(".")[-1].endswith("vmap") and room not in VMAP_IN:
            yield "uses vmap"
        if name in LOSES_NAN and ast.unparse(node).startswith(("jnp.", "jax.numpy.")) and path.as_posix() not in EXTREMES_IN:
            yield f"uses {ast.unparse(node)}, which can lose NaN; use those of core.extremes"
        private = isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__")
        if private and isinstance(node.value, ast.Name) and node.value.id in borrowed:
            yield f"uses the private {node.value.id}.{node.attr}"


def _imports(tree: ast.AST, path: Path) -> Iterator[tuple[ast.AST, str, str]]:
    """(node, dotted target, way) of everything imported, at any depth and in any way."""
    package = ("mtlsim", *path.parts[:-1])
    whole = {"mtlsim"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            whole |= {alias.asname for alias in node.names if alias.name == "mtlsim" and alias.asname}
            yield from ((node, alias.name, "import") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node, f"{base}.{alias.name}", "from") for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
            yield from ((node, str(name.value), "call") for name in node.args[:1] if isinstance(name, ast.Constant))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in whole:
            yield node, f"mtlsim.{node.attr}", "attribute"


def _names_of_modules(tree: ast.AST) -> set[str]:
    """Names in this file that stand for something imported from mtlsim."""
    return {
        alias.asname or alias.name.split(".")[-1]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
        if (getattr(node, "module", None) or alias.name).split(".")[0] == "mtlsim" or getattr(node, "level", 0)
    }


def _room(target: str, homes: dict[str, str]) -> str | None:
    """The room of this package that a dotted target is in; public names count for the room they live in."""
    parts = target.split(".")
    if parts[0] != "mtlsim" or len(parts) == 1 or parts[1].startswith("__"):
        return None
    return homes.get(parts[1], target).split(".")[1]


def _homes(stub: Path) -> dict[str, str]:
    """Where each public name lives, of a stub that `lazy_loader` reads."""
    found = [node for node in ast.parse(stub.read_text(encoding="utf-8")).body if isinstance(node, ast.ImportFrom)]
    return {alias.name: f"mtlsim.{node.module or alias.name}" for node in found for alias in node.names}


def circles(root: Path) -> list[str]:
    """Modules that need each other, directly or through others, hints and imports inside functions included."""
    modules = {f"mtlsim.{'.'.join(file.relative_to(root).with_suffix('').parts)}": file for file in sorted(root.rglob("*.py"))}
    needs = {}
    for name, file in modules.items():
        targets = [target for _, target, _ in _imports(ast.parse(file.read_text(encoding="utf-8")), file.relative_to(root))]
        found = {target if target in modules else target.rpartition(".")[0] for target in targets}
        needs[name] = (found & modules.keys()) - {name}
    reach = {name: set(needs[name]) for name in needs}
    for middle in needs:
        for name in needs:
            if middle in reach[name]:
                reach[name] |= reach[middle]
    return [name for name in needs if name in reach[name]]


def _is_for_hints(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).split(".")[-1] == "TYPE_CHECKING"


def mentions(root: Path) -> list[str]:
    """Files of the repository that point out of it."""
    shown = (path for path in root.rglob("*") if not any(_is_hidden(part) for part in path.relative_to(root).parts))
    texts = (path for path in shown if path.is_file() and path.suffix in TEXTS)
    return sorted(str(path.relative_to(root)) for path in texts if OUTSIDE in path.read_text(encoding="utf-8", errors="replace"))


def _is_hidden(part: str) -> bool:
    return (part.startswith(".") and part not in (".ci", ".gitignore")) or part in ("__pycache__", "build", "dist", "figures")


def test_the_house_keeps_its_floors():
    assert violations(ROOT) == []


def test_no_module_needs_itself():
    assert circles(ROOT) == []


def test_a_circle_is_found(tmp_path):
    for name, line in (("a", "from mtlsim.b import x"), ("b", "def f():\n    from mtlsim import c"), ("c", "import mtlsim.a")):
        (tmp_path / f"{name}.py").write_text(line)
    (tmp_path / "d.py").write_text("from mtlsim.a import y")
    assert circles(tmp_path) == ["mtlsim.a", "mtlsim.b", "mtlsim.c"]


def test_the_repository_stands_alone():
    assert mentions(ROOT.parent) == []


def test_every_public_name_has_a_home():
    homes = _homes(ROOT / "__init__.pyi")
    for name, home in homes.items():
        if (ROOT / name).is_dir():
            continue  # a room
        file = ROOT.parent / Path(*home.split(".")).with_suffix(".py")
        assert file.exists(), name
        defined = {node.name for node in ast.parse(file.read_text()).body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
        assert name in defined, name


PLANTED = [
    ("tasks/a.py", "from mtlsim.samples.data import Data", "imports samples, which is not on a lower floor"),
    ("tasks/a.py", "def f():\n    from mtlsim.samples.data import Data", "imports samples, which"),
    ("tasks/a.py", "from mtlsim import Data", "imports samples, which"),
    ("tasks/a.py", "import mtlsim as m\nm.Data()", "imports samples, which"),
    ("tasks/a.py", "from ..samples.data import Data", "imports samples, which"),
    ("tasks/a.py", "from .. import samples", "imports samples, which"),
    ("tasks/a.py", "import importlib\nimportlib.import_module('mtlsim.samples.data')", "imports samples, which"),
    ("similarity.py", "from mtlsim.plots.style import figure", "imports plots, which"),
    ("plots/a.py", "from mtlsim.verification.run import verify", "imports verification, which"),
    ("samples/a.py", "from mtlsim.doctor import main", "imports doctor, which"),
    ("sweeps/a.py", "from mtlsim.cells.transfer import Transfer", "imports cells, of the laboratory"),
    ("plots/a.py", "from mtlsim.tasks.linear import LinearTasks", "imports tasks, of the laboratory"),
    ("tasks/a.py", "from mtlsim.elsewhere import x", "imports elsewhere, which"),
    ("elsewhere.py", "x = 1", "on no floor"),
    ("solvers/a.py", "def f():\n    import matplotlib.pyplot as plt", "imports matplotlib"),
    ("cli.py", "from matplotlib import pyplot", "imports matplotlib"),
    ("plots/a.py", "import xarray as xr", "imports xarray"),
    ("citations.py", "import xarray as xr", "imports xarray"),
    ("theory/a.py", "import optax", "imports optax"),
    ("theory/a.py", "import jax\nf = jax.vmap(abs)", "uses vmap"),
    ("theory/a.py", "from jax import vmap as v", "uses vmap"),
    ("theory/a.py", "import equinox as eqx\n@eqx.filter_vmap\ndef f(x): ...", "uses vmap"),
    ("theory/a.py", "import jax.numpy as jnp\nf = jnp.max", "uses jnp.max, which can lose NaN"),
    ("theory/a.py", "import jax\ndef f(x):\n    return jax.numpy.min(x)", "uses jax.numpy.min, which"),
    ("core/a.py", "x = 1\n" * (LONGEST + 1), "longer than"),
    ("core/utils.py", "x = 1", "named after nothing"),
    ("tasks/helpers/a.py", "x = 1", "named after nothing"),
    ("solvers/a.py", "from mtlsim.core.checks import _shown", "imports the private mtlsim.core.checks._shown"),
    ("solvers/a.py", "from mtlsim.solvers.solve import _take", "imports the private mtlsim.solvers.solve._take"),
    ("solvers/a.py", "from mtlsim.core import checks as c\nc._shown(1)", "uses the private c._shown"),
    ("solvers/a.py", "import mtlsim.core.checks", "imports mtlsim.core.checks whole"),
]
ALLOWED = [
    ("training/a.py", "import optax\nfrom mtlsim.samples import Data\nfrom mtlsim.training.b import c"),
    ("solvers/a.py", "from mtlsim import Data, __version__\nimport jax\njax.lax.map(abs, 1)"),
    ("plots/a.py", "import matplotlib\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import xarray as xr"),
    ("sweeps/a.py", "import xarray\nimport jax\njax.vmap(abs)"),
    ("core/a.py", '"""vmap, xarray, matplotlib."""\n' + "x = 1\n" * (LONGEST - 1)),
    ("core/extremes.py", "import jax.numpy as jnp\nf = jnp.max"),
    ("plots/a.py", "import numpy as np\nf = np.max"),
    ("cli.py", "def f():\n    from mtlsim.doctor import main\n    from mtlsim.experiments.a import b"),
    ("citations.py", "import mtlsim\nmtlsim.Data"),
    ("experiments/a.py", "from mtlsim.experiments._b import c\nimport mtlsim.experiments as e\ne.names"),
]


def _house(folder: Path, path: str, source: str) -> Path:
    """A package with one planted module beside a table of public names."""
    root = folder / "mtlsim"
    (root / path).parent.mkdir(parents=True)
    (root / "__init__.pyi").write_text("from .samples.data import Data as Data\n")
    (root / path).write_text(source)
    return root


@pytest.mark.parametrize(("path", "source", "says"), PLANTED)
def test_each_rule_can_fail(path, source, says, tmp_path):
    found = violations(_house(tmp_path, path, source))
    assert found and all(line.startswith(f"{path}: ") and says in line for line in found), found


@pytest.mark.parametrize(("path", "source"), ALLOWED)
def test_what_is_allowed(path, source, tmp_path):
    assert violations(_house(tmp_path, path, source)) == []


@pytest.mark.parametrize("name", ["README.md", ".ci/run", "mtlsim/tasks/a.py", "notebooks/a.ipynb", "pyproject.toml"])
def test_mention_of_a_place_outside_is_found(name, tmp_path):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("fine\n")
    assert mentions(tmp_path) == []
    (tmp_path / name).write_text(f"see {OUTSIDE}/design.md\n")
    assert mentions(tmp_path) == [name]
