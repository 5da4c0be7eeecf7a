"""Tasks from files: a folder or a list of .npz and tables, or one table with a column that names the task."""

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtlsim.core.checks import nearest, require
from mtlsim.core.files import load_task
from mtlsim.core.words import counted

TABLES = (".csv", ".tsv", ".parquet")
SEPARATORS = {".csv": ",;\t", ".tsv": "\t;,"}  # that which the ending promises first
WITH_COMMA = re.compile(r"\s*[-+]?\d[\d.]*,\d+\s*")


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
    try:
        frame, lines = _read(file)
    except ImportError:
        raise ValueError(
            f"files must be readable, but {file} needs a Parquet reader; pip install pyarrow, or save it as .csv."
        ) from None
    except (OSError, ValueError, csv.Error) as error:
        why = str(error).splitlines()[0]
        raise ValueError(f"files must be whole tables, but {file} is not ({why}); save it again.") from None
    _check_lines(file, frame, lines)
    columns = [one.strip() for one in labels.split(",")]
    require(len(frame) > 0, "files", "tables with rows", f"{file} without any", "save it again")
    for what, name in [*(("labels", one) for one in columns), *([("task", task)] if task else []), *beside.items()]:
        known = name in frame.columns
        cure = "" if known else f"name one by --{what} (in Python {what}=); {nearest(name, map(str, frame.columns))}"
        require(known, what, f"a column of {file}", repr(name), cure)
    index = [name for name in frame.columns if str(name).startswith("Unnamed:")]
    cure = "save it with frame.to_csv(path, index=False)"
    require(not index, "files", "tables whose columns have names", f"{file} with {index[0] if index else ''!r}", cure)
    if task is not None:
        n_missing = int(frame[task].isna().sum())
        found = f"{file} with {counted(n_missing, 'row')} without"
        require(n_missing == 0, "task", "given in every row", found, "fill them in, or leave those rows out")
    features = [name for name in frame.columns if name not in (*columns, task, *beside.values())]
    require(len(features) > 0, f"{file}", "a table with features beside its labels", f"one of {list(frame.columns)}", "add some")
    for name in (*features, *columns):
        _check_column(file, frame, name, lines, is_label=name in columns)
    parts = {file.stem: frame} if task is None else {str(name): part for name, part in frame.groupby(task, sort=False)}
    take = lambda part: part[columns[0]] if len(columns) == 1 else part[columns]
    more = lambda part: {argument: part[column] for argument, column in beside.items()}
    return {name: (part[features], take(part), more(part)) for name, part in parts.items()}


def _read(file: Path) -> tuple[Any, list[tuple[int, int]]]:
    """The table and, of a text, the number of every line that is not blank with how many cells it has, the head first."""
    import pandas

    if file.suffix == ".parquet":
        return pandas.read_parquet(file), []
    with open(file, encoding="utf-8-sig", newline="") as text:
        head = text.readline()
        widths = {sign: len(next(csv.reader([head], delimiter=sign), [])) for sign in SEPARATORS[file.suffix]}
        separator = max(widths, key=lambda sign: widths[sign])  # of two alike the first
        text.seek(0)
        reader = csv.reader(text, delimiter=separator)
        lines, ended = [], 0
        for row in reader:
            lines += [(ended + 1, len(row))] if row else []
            ended = reader.line_num
    names = next(csv.reader([head], delimiter=separator), [])
    if twice := sorted({name for name in names if name and names.count(name) > 1}):  # which pandas renames in silence
        raise csv.Error(f"the column {twice[0]!r} stands in it twice: rename one")
    if len({width for _, width in lines}) > 1:  # which pandas refuses, or fills up in silence
        return None, lines
    return pandas.read_csv(file, sep=separator, index_col=False, low_memory=False), lines


def _check_lines(file: Path, frame: Any, lines: list[tuple[int, int]]) -> None:
    """As many cells in every line as in the head."""
    if frame is not None:
        return
    (_, wanted), *rest = lines
    line, width = next((line, width) for line, width in rest if width != wanted)
    cure = "mend that line; where commas are decimal, write points" if width > wanted else "mend that line"
    found = f"{file}, whose line {line} has {counted(width, 'cell')}"
    require(False, "files", f"tables with {counted(wanted, 'cell')} in every line like the first", found, cure)


def _check_column(file: Path, frame: Any, name: Any, lines: list[tuple[int, int]], is_label: bool) -> None:
    """A number in every cell of a feature; of labels, which may be classes or missing, no stray word among numbers."""
    import pandas

    column = frame[name]
    if column.dtype.kind not in "fO":
        return
    numbers = pandas.to_numeric(column, errors="coerce").astype(float).to_numpy()
    bad = ~np.isfinite(numbers)
    if is_label:
        bad &= ~column.isna().to_numpy()
    if not bad.any():
        return
    first, more = int(np.argmax(bad)), int(bad.sum()) - 1
    cell = column.iloc[first]
    line = f"line {lines[first + 1][0]}" if lines else f"row {first + 1}"
    stands = f"stands in {line}, column {name!r}" + (f", and {more} more in that column" if more else "")
    if isinstance(cell, str) and WITH_COMMA.fullmatch(cell):
        cure = "write decimal points, as pandas.read_csv(file, sep=';', decimal=',').to_csv(file, index=False) does"
        require(False, "files", "tables whose numbers have no commas", f"{file}, where {cell!r} {stands}", cure)
    if is_label and isinstance(cell, str) and len(np.unique(numbers[~np.isnan(numbers)])) <= 2:
        return  # names of classes
    missing = not isinstance(cell, str) and cell != cell
    cure = "fill that cell in, or leave that line out" if missing else "mend that cell, or leave that line out"
    if bad.all():
        cure = "give each word a column of 0 and 1, as pandas.get_dummies does, leave it out, or name it as that of the tasks"
    shown = "nothing" if missing else repr(cell) if isinstance(cell, str) else f"{cell:g}"
    found = f"{file}, where {shown} {stands}"
    require(False, "files", "tables with a number in every cell of a feature or an amount", found, cure)
