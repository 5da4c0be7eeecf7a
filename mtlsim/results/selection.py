"""A part of a result: some values of some axes, named as a user types them."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from mtlsim.core.checks import nearest, require


def select(
    data: xr.Dataset,
    only: Sequence[str],
    along: Iterable[str] = (),
    whole: Iterable[str] = (),
    words: Mapping[str, str] | None = None,
) -> xr.Dataset:
    """The cells of a result at these values; an axis keeps its place with what is left of it.

    only: texts NAME=VALUE or NAME=VALUE,VALUE, where NAME is an axis or the end of one's name, such as noise for tasks.noise.
    along: axes along which points lie, and whole: those of which a picture compares all values; neither can be cut. words: further
    words for axes; of a sweep with settings, those of `words_of`. Raises ValueError in one sentence that has the nearest name or
    value.
    """
    for text in only:
        name, equals, values = text.partition("=")
        require(bool(equals and values), "only", "texts such as tasks.noise=1", repr(text), "write NAME=VALUE")
        free = [str(axis) for axis in data.dims if axis in data.coords and axis != "seed" and axis not in (*along, *whole)]
        known = words_of(data) if words is None else words
        axis = axis_of(name, [str(axis) for axis in data.dims if axis in data.coords and axis != "seed"], "only", known)
        why = "points lie along it" if axis in along else "the picture compares its values"
        cure = f"choose among {', '.join(free)}" if free else "this picture has none"
        require(axis in free, "only", "an axis of which one value is a picture", f"{axis} ({why})", cure)
        one = values in [str(value) for value in data[axis].values]  # names may hold commas
        chosen = [values] if one else re.split(r",(?![^(]*\))", values)  # commas in brackets are part of a value
        data = data.isel({axis: list(dict.fromkeys(_place(value, data[axis].values, axis) for value in chosen))})
    return data


def check_only(
    grid: Mapping[str, Any],
    only: Sequence[str],
    along: Iterable[str] = (),
    whole: Iterable[str] = (),
    words: Mapping[str, str] | None = None,
) -> None:
    """Refuse before a sweep what `select` would refuse after it."""
    select(xr.Dataset(coords={name: np.asarray(values) for name, values in grid.items()}), only, along, whole, words)


def words_of(data: xr.Dataset) -> dict[str, str]:
    """The words for rows of the axes of a sweep: those of a source where there is one, and those of the target."""
    tasks = json.loads(data.attrs.get("settings", "{}")).get("cell", {}).get("tasks") or {}
    sizes = tasks.get("n_samples") if isinstance(tasks, dict) else None
    if not isinstance(sizes, list) or len(sizes) < 2:
        return {}
    target = {"target-samples": f"tasks.n_samples[{len(sizes) - 1}]"}
    return target | ({"source-samples": "tasks.n_samples[0]"} if len(sizes) == 2 else {})


def axis_of(name: str, axes: Sequence[str], argument: str, words: Mapping[str, str] | None = None) -> str:
    """The axis that its name, the end of it, or a word for it stands for. words: {word: name of an axis}."""
    words = {word: axis for word, axis in (words or {}).items() if axis in axes}
    if name in axes:
        return name
    if name.replace("_", "-") in words:
        return words[name.replace("_", "-")]
    for end in (lambda axis: axis.rsplit(".", 1)[-1], lambda axis: axis.rsplit(".", 1)[-1].split("[")[0]):
        ending = [axis for axis in axes if end(axis) == name]
        if len(ending) == 1:
            return ending[0]
    ends = [axis.rsplit(".", 1)[-1] for axis in axes]
    several = [axis for axis, end in zip(axes, ends, strict=True) if name in (end, end.split("[")[0])]
    known = dict.fromkeys([*axes, *(end for end in ends if ends.count(end) == 1), *words])
    cure = f"choose among {', '.join(several)}" if several else nearest(name, known)
    require(False, argument, "the name of one axis" if several else "the name of an axis", repr(name), cure)
    raise AssertionError


def in_order(data: xr.Dataset, of: str) -> xr.Dataset:
    """The cells with the values of every axis of numbers rising, whatever order they were swept or selected in."""
    return data.sortby(
        [name for name in data[of].dims if name != "seed" and name in data.coords and data[name].dtype.kind in "iuf"]
    )


def _place(text: str, values: np.ndarray, axis: str) -> int:
    """Where the value that a text stands for is on an axis."""
    words = [f"{value:g}" if values.dtype.kind in "iuf" else str(value) for value in values]
    if values.dtype.kind not in "iuf":
        require(text in words, "only", f"a value of {axis}", repr(text), nearest(text, words))
        return words.index(text)
    try:
        number = float(text)
    except ValueError:
        require(False, "only", f"a number for {axis}", repr(text), f"choices: {', '.join(words)}")
        raise
    i = int(np.argmin(np.abs(values - number)))
    found = bool(np.isclose(values[i], number, rtol=1e-4, atol=1e-12))
    require(found, "only", f"a value of {axis}", text, f"the nearest is {words[i]}; choices: {', '.join(words)}")
    return i


def left_out(data: xr.Dataset, shown: xr.Dataset) -> list[str]:
    """What a picture of `shown` does not show of a result: a phrase for every axis that has fewer values there."""
    found = []
    for axis in data["gain_mean"].dims:
        all_of, rest = data[axis].values, np.atleast_1d(shown[axis].values)
        if len(rest) < len(all_of):
            words = [f"{value:g}" if all_of.dtype.kind in "iuf" else str(value) for value in all_of]
            kept = [f"{value:g}" if all_of.dtype.kind in "iuf" else str(value) for value in rest]
            found.append(f"{axis} at {', '.join(kept)} only (of {len(words)}: {', '.join(_few(words))})")
    return found


def _few(words: list[str]) -> list[str]:
    return words if len(words) <= 5 else [*words[:2], "...", words[-1]]
