"""Tasks from files: a folder or a list of .npz and tables, or one table with a column that names the task."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtlsim.core.checks import nearest, require
from mtlsim.core.files import load_task

TABLES = (".csv", ".tsv", ".parquet")


def read_tasks(paths: Sequence[Path | str], labels: str = "y", task: str | None = None) -> dict[str, Any]:
    """{name: (X, y)} of .npz files with X and y, and of .csv, .tsv and .parquet tables, a folder standing for all in it.

    labels: the column of a table that holds the labels, or several with commas between. task: a column whose values name the task
    of each row; without it a file is a task, called like the file. All other columns are features. Raises ValueError in one
    sentence for what cannot be read.
    """
    return read_beside(paths, labels, task, {})[0]


def read_beside(
    paths: Sequence[Path | str], labels: str, task: str | None, columns: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The same, and {argument: {name: values}} for {argument: column} of tables: columns that are no features."""
    files: list[Path] = []
    for path in map(Path, paths):
        cure = "give .npz, .csv, .tsv or .parquet files, or a folder of them"
        require(path.exists(), "files", "files that are there", f"{path}, which is not", cure)
        inside = [path] if path.is_file() else sorted(p for p in path.iterdir() if p.suffix in (".npz", *TABLES))
        require(len(inside) > 0, "files", "files that are there", f"{path}, a folder without any", cure)
        files += inside
    found: dict[str, Any] = {}
    beside: dict[str, dict[str, Any]] = {argument: {} for argument in columns}
    for file in files:
        known = file.suffix in (".npz", *TABLES)
        require(known, "files", "of a known kind", f"{file}", "save it as .npz with X and y, or as .csv, .tsv or .parquet")
        table, asked = file.suffix != ".npz", " and ".join(columns)
        require(table or not columns, "files", f"tables where {asked} is asked for", f"{file}", "save it as .csv, or call Python")
        several = _of_table(file, labels, task, columns) if table else {file.stem: (*load_task(file), {})}
        for name, (X, y, more) in several.items():
            require(name not in found, "files", "of tasks with different names", f"{name} twice", "rename one")
            found[name] = X, y
            for argument, values in more.items():
                beside[argument][name] = values
    return found, beside


def _of_table(file: Path, labels: str, task: str | None, beside: Mapping[str, str]) -> dict[str, Any]:
    import pandas

    try:
        reading = pandas.read_parquet if file.suffix == ".parquet" else pandas.read_csv
        frame = reading(file, **({"sep": "\t"} if file.suffix == ".tsv" else {}))
    except ImportError:
        raise ValueError(
            f"files must be readable, but {file} needs a Parquet reader; pip install pyarrow, or save it as .csv."
        ) from None
    except (OSError, ValueError) as error:
        why = str(error).splitlines()[0]
        raise ValueError(f"files must be whole tables, but {file} is not ({why}); save it again.") from None
    columns = [one.strip() for one in labels.split(",")]
    require(len(frame) > 0, "files", "tables with rows", f"{file} without any", "save it again")
    for what, name in [*(("labels", one) for one in columns), *([("task", task)] if task else []), *beside.items()]:
        require(name in frame.columns, what, f"a column of {file}", repr(name), nearest(name, map(str, frame.columns)))
    index = [name for name in frame.columns if str(name).startswith("Unnamed:")]
    cure = "save it with frame.to_csv(path, index=False)"
    require(not index, "files", "tables whose columns have names", f"{file} with {index[0] if index else ''!r}", cure)
    if task is not None:
        n_missing = int(frame[task].isna().sum())
        found = f"{file} with {n_missing} rows without"
        require(n_missing == 0, "task", "given in every row", found, "fill them in, or leave those rows out")
    features = [name for name in frame.columns if name not in (*columns, task, *beside.values())]
    require(len(features) > 0, f"{file}", "a table with features beside its labels", f"one of {list(frame.columns)}", "add some")
    parts = {file.stem: frame} if task is None else {str(name): part for name, part in frame.groupby(task, sort=False)}
    take = lambda part: part[columns[0]] if len(columns) == 1 else part[columns]
    more = lambda part: {argument: part[column] for argument, column in beside.items()}
    return {name: (part[features], take(part), more(part)) for name, part in parts.items()}
