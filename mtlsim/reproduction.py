"""From a stored result back to the cell that it is of, and to the command or the TOML file that make it again.

A result says what its cell was, but holds no code and runs none. So the cell is built anew from what is said, by the doors that a
user has (`mtlsim.configuration`, `mtlsim.experiments`), and only one that says the very same of itself is given back.
"""

import dataclasses
import itertools
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from mtlsim.configuration import CELLS, DESIGNS, FAMILIES, TASKLESS, build
from mtlsim.core.words import with_article
from mtlsim.experiments._experiment import Options, experiment_names, find_experiment
from mtlsim.results.grid import make_grid
from mtlsim.results.settings import describe_value
from mtlsim.sharing import find_sharing, sharing_names
from mtlsim.weighting import find_scheme, scheme_names

if TYPE_CHECKING:
    import xarray as xr

NAME_OF = {class_name: name for name, (_, class_name) in FAMILIES.items()}
KIND_OF = {class_name: name for name, (_, class_name, _) in (CELLS | TASKLESS).items()}
DESIGN_OF = {class_name: name for name, (class_name, _) in DESIGNS.items()}


class Reproduction(NamedTuple):
    """How a result can be made again: the command, the text of its TOML file (none for a figure), and the cell; where there is
    none, command is a sentence on what is missing."""

    command: str
    toml: str | None = None
    cell: Any = None


def reproduce(data: "xr.Dataset") -> Reproduction:
    """How `data`, a result of `mtlsim.sweep` or of `mtlsim figure`, is made again."""
    settings = json.loads(data.attrs["settings"])
    seed = _seed_of(settings.get("key", {}))
    if seed is None or not isinstance(settings.get("cell"), dict):
        return Reproduction("It was made in Python, with a key or a cell of its own.")
    if not settings.get("float64", True):
        return Reproduction("It was computed in float32, in Python: every command computes in float64, whose draws are others.")
    if "experiment" in data.attrs:
        name = data.attrs["experiment"]
        return _as_figure(data, settings, seed) or Reproduction(f"It is of a figure {name} whose settings are not those of today.")
    cure = f"It was made in Python, of {with_article(settings['cell']['type'])} that no file of settings builds."
    return _as_sweep(settings, seed) or Reproduction(cure)


def _seed_of(key: dict[str, Any]) -> int | None:
    """The s of jax.random.key(s) with the default generator; None for other keys."""
    words = key.get("data")
    fits = key.get("implementation") == "threefry2x32" and isinstance(words, list) and len(words) == 2
    seed = (words[0] << 32) + words[1] if fits else None
    return None if seed is None or seed >= 2**63 else seed  # of split keys, say


def _as_figure(data: "xr.Dataset", settings: dict[str, Any], seed: int) -> Reproduction | None:
    """By `mtlsim figure`, if a figure of this name with these options sweeps this very cell over this very grid."""
    name, model = data.attrs["experiment"], data.attrs.get("model") or None
    if name not in experiment_names():
        return None
    experiment = find_experiment(name)
    usual = settings.get("keep") is None and settings["n_rounds"] == 1 and settings["level"] == 0.95
    if not usual:  # options that the command does not have
        return None
    words = {dotted: word for word, dotted in experiment.words.items()}
    chosen = {axis: words.get(str(data.attrs.get(axis))) for axis in ("x", "y", "panels")} if words else {}
    for fast, along in itertools.product((False, True), ({}, chosen) if chosen else ({},)):
        try:
            options = Options(fast=fast, model=model if experiment.models else None, **along)
            setting = experiment.setting(options)
        except ValueError:  # other names of axes than those of today
            continue
        if _same(setting.cell, setting.grid, settings):
            parts = ["mtlsim figure", name, *(["--fast"] if fast else []), *([f"--model {model}"] if options.model else [])]
            parts += [f"--{axis} {value}" for axis, value in along.items() if value is not None]
            parts += [f"--seeds {settings['n_seeds']}"] if settings["n_seeds"] != setting.n_seeds else []
            parts += [f"--seed {seed}"] if seed else []
            return Reproduction(" ".join(parts), None, setting.cell)
    return None


def _as_sweep(settings: dict[str, Any], seed: int) -> Reproduction | None:
    """By `mtlsim sweep`, if the file says all of it."""
    try:
        tables = _tables(settings, seed)
        cell, grid = build(json.loads(json.dumps(tables)))
    except (ValueError, TypeError, KeyError):  # an array known by its hash alone, or a class that no file can name
        return None
    if not _same(cell, grid, settings):
        return None
    return Reproduction("mtlsim sweep again.toml", "\n".join(_lines(tables)) + "\n", cell)


def _same(cell: Any, grid: dict[str, Any], settings: dict[str, Any]) -> bool:
    """Whether cell and grid say of themselves what the settings say."""
    axes = [dataclasses.asdict(axis) | {"values": list(axis.values)} for axis in make_grid(cell, grid, check=False).axes]
    return json.loads(json.dumps([describe_value(cell), axes])) == [settings["cell"], settings["axes"]]


def _tables(settings: dict[str, Any], seed: int) -> dict[str, Any]:
    """The tables of a TOML file, from what a result says of its cell."""
    fields = dict(settings["cell"])
    tables: dict[str, Any] = {}
    kind = KIND_OF[fields.pop("type")]
    tasks = fields.pop("tasks", None)
    if tasks is not None:
        family = NAME_OF[tasks["type"]]
        tables["tasks"] = ({} if family == "linear" else {"family": family}) | {
            name: _design(value) if name == "design" else value
            for name, value in tasks.items()
            if name not in ("type",) and value is not None
        }
    cell = {name: _entry(value) for name, value in fields.items() if value is not None}
    if isinstance(cell.get("hyperparameters"), str):  # a scheme without any
        cell["hyperparameters"] = {}
    tables["cell"] = {"kind": kind, **cell}
    tables["grid"] = {axis["name"]: axis["values"] for axis in settings["axes"]}
    tables["sweep"] = {"n_seeds": settings["n_seeds"], "level": settings["level"], "seed": seed}
    tables["sweep"] |= {"keep": settings["keep"]} if "keep" in settings else {}
    tables["sweep"] |= {"budget": settings["n_seeds"] * settings["n_rounds"]} if settings["n_rounds"] > 1 else {}
    return tables


def _design(value: Any) -> Any:
    if isinstance(value, list):
        return [_design(one) for one in value]
    kind = DESIGN_OF[value["type"]]
    return {"kind": kind, **{name: value[name] for name in DESIGNS[kind][1] if value[name] is not None}}


def _entry(value: Any) -> Any:
    """An architecture or a scheme by its name and fields, a table of training without its type, anything else as it is."""
    if not (isinstance(value, dict) and "type" in value):
        return value
    fields = {name: _entry(one) for name, one in value.items() if name != "type" and one is not None}
    for name, thing in _named():
        if thing.__name__ == value["type"]:
            return {"name": name, **fields} if fields else name
    return fields


def _named() -> Iterator[tuple[str, type]]:
    yield from ((name, find_sharing(name)) for name in sharing_names())
    for name in scheme_names():
        scheme = find_scheme(name)
        yield name, scheme if isinstance(scheme, type) else type(scheme)


def _lines(tables: dict[str, Any]) -> Iterator[str]:
    """TOML of tables whose entries are numbers, words, lists, and tables of these."""
    for title, table in tables.items():
        yield f"[{title}]"
        yield from (f"{_key(name)} = {_toml(value)}" for name, value in table.items())
        yield ""


def _key(name: str) -> str:
    return name if name.replace("_", "").isalnum() and name.isascii() else json.dumps(name)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(name)} = {_toml(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float):
        return repr(value)  # inf and nan are words of TOML too
    return json.dumps(value)
