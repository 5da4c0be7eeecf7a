"""What there is, read from the files and not by running them, so that a list is there at once: jax alone takes longer to load."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = {"STATEMENT": "theory/statements", "EXPERIMENT": "experiments", "MECHANISM": "mechanisms"}
INSTANCE = re.compile(r"^def instance\(.*?\) -> \"?(\w+)\"?:", re.MULTILINE | re.DOTALL)


def claims_of(kind: str) -> dict[str, str]:
    """{name: claim} of our statements, experiments or mechanisms, sorted; of a statement with the cells that it speaks of."""
    found = {}
    for file in _files(ROOMS[kind]):
        text = file.read_text(encoding="utf-8")
        made = ast.parse(text[text.index(f"\n{kind} = ") + 1 :]).body[0].value
        given = dict(zip(("name", "claim"), made.args, strict=False)) | {one.arg: one.value for one in made.keywords}
        name, claim = (ast.literal_eval(given[entry]) for entry in ("name", "claim"))
        found[name] = claim + (f" [{_cells(text, given)}]" if kind == "STATEMENT" else "")
    return dict(sorted(found.items()))


def first_lines(room: str) -> dict[str, str]:
    """{name: first line of its docstring} of every file of a room."""
    lines = {file.stem.replace("_", "-"): file.read_text(encoding="utf-8").split('"""')[1] for file in _files(room)}
    return {name: text.splitlines()[0] for name, text in sorted(lines.items())}


def names_of_ours(kind: str) -> set[str]:
    """Names that a new statement, experiment, mechanism, sharing, scheme or cell of a user's own would share with one of ours."""
    rooms = {"sharing": "sharing", "scheme": "weighting"}
    if kind == "cell":
        return set(kinds_of_cells())
    return set(first_lines(rooms[kind]) if kind in rooms else claims_of(kind.upper()))


def kinds_of_cells() -> dict[str, str]:
    """{kind: first line of its module} of the cells that a TOML file may name."""
    made = ast.parse((ROOT / "configuration.py").read_text(encoding="utf-8")).body
    tables = [one.value for one in made if isinstance(one, ast.Assign) and one.targets[0].id in ("CELLS", "TASKLESS")]
    lines = first_lines("cells")
    kinds = {kind: module for table in tables for kind, (module, *_) in ast.literal_eval(table).items()}
    return {kind: lines[module.rpartition(".")[2].replace("_", "-")] for kind, module in sorted(kinds.items())}


def _files(room: str) -> list[Path]:
    return [file for file in sorted((ROOT / room).glob("*.py")) if not file.name.startswith("_")]


def _cells(text: str, given: dict[str, ast.expr]) -> str:
    """The class of the cells, and the architecture that they must have."""
    match, limits = INSTANCE.search(text), given.get("cells")
    kind = match[1] if match else "cells of its own"
    named = {one.arg: one.value for one in limits.keywords} if isinstance(limits, ast.Call) else {}
    sharing = named.get("sharing")
    return f"{kind}, {sharing.value}" if isinstance(sharing, ast.Constant) and sharing.value else kind
