"""What is shared: one file per architecture, all behind the protocol of `mtlsim.sharing._sharing`."""

import dataclasses
import sys
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import numpy as np

from mtlsim.core.checks import nearest, require
from mtlsim.core.registry import find, names
from mtlsim.sharing._sharing import Answer as Answer
from mtlsim.sharing._sharing import Problem as Problem
from mtlsim.sharing._sharing import Sharing as Sharing


def sharing_names() -> list[str]:
    return names(sys.modules[__name__], "SHARING")


def find_sharing(name: str) -> type[Sharing]:
    """The architecture called `name`, to be made with hyperparameters of its own or those of its paper."""
    found = find(sys.modules[__name__], name, "SHARING")
    right = isinstance(found, type) and issubclass(found, Sharing)
    require(right, "sharing", "a class made of mtlsim.sharing.Sharing", repr(found), "see `mtlsim new sharing NAME`")
    return found


def describe_sharing(name: str) -> str:
    """The first line of its file."""
    return str(sys.modules[find_sharing(name).__module__].__doc__).splitlines()[0]


def conformance(name: str) -> tuple[tuple, tuple]:
    """(reductions, examples worked by hand) that stand in the architecture's file."""
    package = sys.modules[__name__]
    return find(package, name, "REDUCTIONS"), find(package, name, "EXAMPLES")


def as_sharing(value: Any) -> Any:
    """An architecture as it is, or the one of that name with the hyperparameters of its file or of a table {name, ...}."""
    if isinstance(value, str):
        return find_sharing(value)()
    if not isinstance(value, Mapping):
        return value
    fields = dict(value)
    require("name" in fields, "sharing", "a table with a name", fields, "write name = 'soft' in it")
    kind = find_sharing(fields.pop("name"))
    for name in fields:
        known = [field.name for field in dataclasses.fields(kind)]
        require(name in known, "sharing", f"made of fields of {kind.__name__}", repr(name), nearest(name, known))
    return kind(**fields)


def as_table(sharing: Sharing) -> dict[str, Any]:
    """{name, ...} of plain values, from which `as_sharing` makes it again."""

    def plain(value: Any) -> Any:
        if isinstance(value, Sharing):
            return as_table(value)
        return np.asarray(value).tolist() if eqx.is_array_like(value) else value

    return {"name": sharing.name} | {name: plain(value) for name, value in vars(sharing).items()}
