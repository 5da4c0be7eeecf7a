"""A sweep as a TOML file: tables [tasks], [tasks.design], [cell], [grid] and [sweep], each entry of which can be overridden."""

import dataclasses
import math
import tomllib
from collections.abc import Sequence
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from mtlsim.core.checks import as_numbers, is_number, nearest, require, require_bool, require_choice
from mtlsim.core.registry import file_and_name, is_own, own_thing
from mtlsim.core.words import with_article

TABLES = {
    "tasks": (
        "n_features", "n_samples", "cosine", "alignment", "noise", "parameter_norm", "design", "relation", "order", "rows",
        "shared_covariates", "family", "amplitude", "flip", "labels",
        "activation", "capacity", "parameters", "angle",
    ),
    "cell": (
        "kind", "rank", "target", "weights", "ridge", "method", "sharing", "loss", "training", "scheme", "mode", "population",
        "n_points", "n_records", "hyperparameters", "joint", "capacity", "share", "threshold", "flip", "n_groups",
    ),
    "grid": None,
    "sweep": ("n_seeds", "seed", "budget", "level", "keep", "chunk_draws"),
}  # fmt: skip
FAMILIES = {
    "linear": ("linear", "LinearTasks"),
    "relu": ("relu", "ReluTasks"),
    "classification": ("classification", "ClassificationTasks"),
}
CELLS = {  # module, class, and how it trains
    "transfer": ("cells.transfer", "Transfer", "training.network.Training"),
    "weighting": ("cells.weighting", "Weighting", "training.weighted.WeightedTraining"),
    "alignment": ("cells.alignment", "Alignment", "alignment.training.AlignmentTraining"),
    "training-curve": ("cells.training_curve", "TrainingCurve", "training.weighted.WeightedTraining"),
    "population": ("cells.population", "Population", None),
    "decomposition": ("cells.decomposition", "Decomposition", None),
    "groups": ("cells.groups", "Groups", None),
}
TASKLESS = {  # cells of mechanisms and neighbours, which have tasks of their own
    "orthonormal-rows": ("cells.orthonormal_rows", "OrthonormalRows", None),
    "attribute-selection": ("cells.attribute_selection", "AttributeSelection", None),
    "group-selection": ("cells.group_selection", "GroupSelection", None),
    "marginal-screening": ("cells.marginal_screening", "MarginalScreening", None),
    "hermite-students": ("cells.hermite_students", "HermiteStudents", None),
    "diagonal-network": ("cells.diagonal_network", "DiagonalNetwork", None),
    "two-gates": ("cells.two_gates", "TwoGates", None),
    "extra-label": ("cells.extra_label", "ExtraLabel", None),
    "stopped-flow": ("cells.stopped_flow", "StoppedFlow", None),
    "normalised-rows": ("cells.normalised_rows", "NormalisedRows", None),
    "aspects": ("cells.aspects", "Aspects", None),
    "semantic-alignment": ("cells.semantic_alignment", "SemanticAlignment", None),
    "representation": ("cells.representation", "Representation", None),
    "merged": ("cells.merged", "Merged", None),
    "task-vectors": ("cells.merged", "TaskVectors", None),
    "safe-sharing": ("cells.safe_sharing", "SafeSharing", None),
    "zero-shot": ("cells.zero_shot", "ZeroShot", None),
    "words": ("cells.words", "Words", None),
    "order-only": ("cells.order_only", "OrderOnly", None),
    "label-shift": ("cells.label_shift", "LabelShift", None),
    "function-pair": ("cells.function_pair", "FunctionPair", None),
    "extra-outputs": ("cells.extra_outputs", "ExtraOutputs", None),
}
DESIGNS = {
    "isotropic": ("Isotropic", ("scale",)),
    "spiked": ("Spiked", ("condition_number", "fraction", "coordinates")),
    "power_law": ("PowerLaw", ("exponent",)),
    "diagonal": ("Diagonal", ("variances",)),
    "from_matrix": ("FromMatrix", ("matrix",)),  # rows of numbers, or the name of a .npy file
}


def read(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The settings of a TOML file with overrides such as 'tasks.noise=2.0' in place. Raises ValueError for unknown names."""
    try:
        settings = tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ValueError(f"config must be a TOML file, but {path} cannot be read ({error.strerror}); check its name.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        kind = Path(path).suffix
        require(kind in (".toml", ""), "config", "a TOML file", f"{path}, a {kind} file", "name the .toml file of a sweep")
        raise ValueError(f"config must be valid TOML, but {path} is not ({error}); mend that line.") from None
    require(bool(settings), "config", "a TOML file of a sweep", f"{path}, which says nothing", "see the README for one")
    for override in overrides:
        name, equals, text = override.partition("=")
        require(bool(equals), "set", "NAME=VALUE", repr(override), "write for example tasks.noise=2.0")
        _put(settings, name, _value(text))
    _find_beside(settings, Path(path).parent)
    named = settings.get("cell", {}).get("kind") if isinstance(settings.get("cell"), dict) else None
    own = is_own(named) or (isinstance(named, str) and named in TASKLESS)  # whose entries are fields of their class
    for table, content in settings.items():
        require_choice(table, TABLES, "config's tables")
        require(isinstance(content, dict), f"[{table}]", "a table", repr(content), f"write [{table}] on a line of its own")
        for name in content if TABLES[table] is not None and not (own and table == "cell") else ():
            require_choice(name, TABLES[table], f"[{table}]'s entries")
    for override in overrides:
        name = override.partition("=")[0]
        swept = [axis for axis in settings.get("grid", {}) if axis == name or axis.startswith(f"{name}[")]
        cure = f"write 'grid.{swept[0]}=[...]' to sweep other values" if swept else ""
        require(not swept, "set", "of parameters that the grid does not sweep", repr(override), cure)
    return settings


def _find_beside(table: Any, folder: Path) -> None:
    """Files of a user's own that stand beside the TOML file and not in the working folder, by their place."""
    for name, value in table.items() if isinstance(table, dict) else enumerate(table) if isinstance(table, list) else ():
        _find_beside(value, folder)
        file = file_and_name(value)[0] if is_own(value) else ""
        if file and not Path(file).is_file() and (folder / file).is_file():
            table[name] = str(folder / value)


def _put(settings: dict[str, Any], name: str, value: Any) -> None:
    """Names in [grid] have dots of their own, so that only the first dot splits there."""
    table, _, rest = name.partition(".")
    if table == "grid":
        settings.setdefault("grid", {})[rest] = value
        return
    *tables, last = name.split(".")
    for table in tables:
        settings = settings.setdefault(table, {})
    settings[last] = value


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def axis_values(name: str, axis: Any) -> list:
    """A list, or {from, to, count} with optional spacing = "linear" | "geometric" and whole = true to round."""
    if isinstance(axis, list):
        return axis
    require(isinstance(axis, dict), f"[grid] {name}", "a list or a table {from, to, count}", repr(axis), "see the README")
    known = ("from", "to", "count", "spacing", "whole")
    for entry in axis:
        require_choice(entry, known, f"[grid] {name}'s entries")
    for entry in known[:3]:
        require(entry in axis, f"[grid] {name}", "a table with from, to and count", f"without {entry}", "add it")
    whole = isinstance(axis["count"], int) and not isinstance(axis["count"], bool) and axis["count"] >= 1
    require(whole, f"[grid] {name}'s count", "a whole number >= 1", repr(axis["count"]), "use 13")
    for entry in known[:2]:
        number = is_number(axis[entry]) and math.isfinite(axis[entry])
        require(number, f"[grid] {name}'s {entry}", "a number", repr(axis[entry]), "write it without quotes")
    spacing = axis.get("spacing", "linear")
    require_choice(spacing, ("linear", "geometric"), f"[grid] {name}'s spacing")
    require_bool(axis.get("whole", False), f"[grid] {name}'s whole")
    if spacing == "geometric":
        ends = axis["from"], axis["to"]
        require(min(ends) > 0, f"[grid] {name}'s from and to", "numbers > 0 with geometric spacing", ends, "use 'linear'")
    values = (np.linspace if spacing == "linear" else np.geomspace)(axis["from"], axis["to"], axis["count"])
    return np.unique(values.round() if axis.get("whole", False) else values).tolist()


def build(settings: dict[str, Any]) -> tuple[Any, dict[str, list]]:
    """The cell and the grid that the settings describe: of the [cell]'s kind in `CELLS`, by default "weighting" where a scheme is
    named or swept, else "transfer"; kind = "my_cell.py:Name" is a class of a user's own file."""
    tasks = {name: tuple(v) if isinstance(v, list) else v for name, v in settings.get("tasks", {}).items()}
    if "design" in tasks:
        several = isinstance(tasks["design"], tuple)  # [[tasks.design]], one table per task
        tasks["design"] = tuple(map(_design, tasks["design"])) if several else _design(tasks["design"])
    family = tasks.pop("family", "linear")
    require_choice(family, FAMILIES, "[tasks] family")
    module, class_name = FAMILIES[family]
    recipe = _find(f"tasks.{module}.{class_name}")
    words = {field.name for field in dataclasses.fields(recipe)} | set(recipe.OTHER_WORDS)
    known = [name for name in TABLES["tasks"] if name in words]
    for name in tasks:
        require(name in known, "[tasks]", f"made of entries of {family} tasks", repr(name), nearest(name, known))
    cell = {name: tuple(v) if isinstance(v, list) else v for name, v in settings.get("cell", {}).items()}
    grid = {name: axis_values(name, axis) for name, axis in settings.get("grid", {}).items()}
    name = cell.pop("kind", "weighting" if "scheme" in {**cell, **grid} else "transfer")
    if is_own(name):
        return _own_cell(name, cell, recipe(**tasks) if "tasks" in settings else None), grid
    kinds = CELLS | TASKLESS
    require_choice(name, kinds, "[cell] kind")
    module, class_name, training = kinds[name]
    kind = _find(f"{module}.{class_name}")
    for entry in cell:
        old = entry == "method" and "sharing" in kind.__dataclass_fields__
        require(not old, "[cell] method", "called sharing since 0.2", repr(cell[entry]), f"write sharing = {cell[entry]!r}")
        require_choice(entry, kind.__dataclass_fields__, f"[cell]'s entries of {with_article(class_name)}")
    if "training" in cell:
        require(
            training is not None, "[cell] training", f"left out for {with_article(class_name)}", repr(cell["training"]), "drop it"
        )
        cell["training"] = _training(_find(training), cell["training"])
    if "hyperparameters" in cell:
        cell["hyperparameters"] = _scheme(cell.get("scheme", "equal"), cell["hyperparameters"])
    if name in TASKLESS:
        require(
            "tasks" not in settings, "[tasks]", f"left out for {with_article(class_name)}, which has its own", "given", "drop it"
        )
        return kind(**cell), grid
    return kind(recipe(**tasks), **cell), grid


def _own_cell(name: str, fields: dict[str, Any], tasks: Any) -> Any:
    """The cell of a user's own file: a dataclass (an equinox module) that is called with a key."""
    kind = own_thing(name)
    right = isinstance(kind, type) and dataclasses.is_dataclass(kind) and callable(kind)
    require(right, "[cell] kind", "a class that is an equinox module", f"{name}, which is none", "see `mtlsim new cell NAME`")
    known = [field.name for field in dataclasses.fields(kind)]
    require(
        tasks is None or "tasks" in known, "[tasks]", f"left out for {kind.__name__}, which has no field tasks", "given", "drop it"
    )
    fields |= {} if tasks is None else {"tasks": tasks}
    for field in fields:
        require(field in known, "[cell]", f"made of fields of {kind.__name__}", repr(field), nearest(field, known))
    missing = [f.name for f in dataclasses.fields(kind) if f.default is f.default_factory is dataclasses.MISSING]
    lacks = [field for field in missing if field not in fields]
    require(not lacks, "[cell]", f"given all fields of {kind.__name__}", f"without {', '.join(lacks)}", "add them")
    return kind(**fields)


def _training(kind: Any, table: Any) -> Any:
    """How tasks are trained, as a table [cell.training] says."""
    require(isinstance(table, dict), "[cell.training]", "a table", repr(table), "write n_steps = 2000 in it")
    for name in table:
        require_choice(name, kind.__dataclass_fields__, "[cell.training]'s entries")
    return kind(**table)


def _scheme(name: str, table: Any) -> Any:
    """The scheme of this name with the hyperparameters of a table [cell.hyperparameters]."""
    require(isinstance(table, dict), "[cell.hyperparameters]", "a table", repr(table), "write alpha = 0.5 in it")
    kind = _find("weighting.find_scheme")(name)
    fields = {entry: value for entry, value in table.items() if entry != "name"}
    for entry in fields:
        require_choice(entry, kind.__dataclass_fields__, "[cell.hyperparameters]'s entries")
    return kind(**fields)


def _design(table: Any) -> Any:
    """The design that a table [tasks.design] describes."""
    require(isinstance(table, dict), "[tasks.design]", "a table, or one per task", repr(table), 'write kind = "isotropic" in it')
    design = dict(table)
    kind = design.pop("kind", "spiked")
    if is_own(kind):
        return own_thing(kind)(**{name: tuple(v) if isinstance(v, list) else v for name, v in design.items()})
    require_choice(kind, DESIGNS, "[tasks.design] kind")
    class_name, entries = DESIGNS[kind]
    for name in design:
        require_choice(name, entries, "[tasks.design]'s entries")
    if kind == "from_matrix":
        from mtlsim.core.files import load_array

        require("matrix" in design, "[tasks.design]", "with a matrix", "without", 'write rows of numbers, or "sigma.npy"')
        matrix = design["matrix"]
        design["matrix"] = as_numbers(load_array(Path(matrix)) if isinstance(matrix, str) else matrix, "[tasks.design] matrix")
    design = {name: tuple(v) if isinstance(v, list) else v for name, v in design.items()}
    return _find(f"tasks.covariance.{class_name}")(**design)


def _find(name: str) -> Any:
    """A class of the package by its dotted name."""
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(f"mtlsim.{module}"), attribute)


def sweep_arguments(settings: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
    """(cell, grid, n_seeds, key) and the other options of `mtlsim.sweep`, as the settings describe them."""
    import jax

    cell, grid = build(settings)
    options = dict(settings.get("sweep", {}))
    seed = options.pop("seed", 0)
    whole = isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed < 2**63
    require(whole, "[sweep] seed", "a whole number from 0 to 2^63", repr(seed), "use 0")
    key = jax.random.key(seed)
    return (cell, grid, options.pop("n_seeds", 200), key), options


def run_configuration(
    path: Path,
    overrides: Sequence[str] = (),
    out: Path | None = None,
    shard: str | None = None,
    scheduler: str | None = None,
    **more: Any,
) -> Path:
    """Run the sweep of a TOML file, by the workers of a dask scheduler where its address is given; returns the result's path, or
    the folder of parts for a shard. more: options of `mtlsim.sweep`."""
    settings = read(path, overrides)
    from mtlsim.sweeps.remote import DaskExecutor
    from mtlsim.sweeps.run import sweep

    arguments, options = sweep_arguments(settings)
    out = Path(path).with_suffix(".nc") if out is None else out
    with nullcontext() if scheduler is None else DaskExecutor(scheduler) as executor:
        sweep(*arguments, out, shard=shard, executor=executor, **options, **more)
    return out if shard is None else out.with_name(out.name + ".parts")
