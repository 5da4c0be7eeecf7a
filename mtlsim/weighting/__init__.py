"""How much each task counts: one file per scheme, all behind the protocol of `mtlsim.weighting._scheme`."""

import sys

from mtlsim.core.checks import require
from mtlsim.core.registry import find, names
from mtlsim.weighting._one_of import OneOf as OneOf
from mtlsim.weighting._scheme import FLOOR as FLOOR
from mtlsim.weighting._scheme import Facts as Facts
from mtlsim.weighting._scheme import Scheme as Scheme
from mtlsim.weighting._scheme import Signals as Signals
from mtlsim.weighting._scheme import normalise as normalise


def scheme_names() -> list[str]:
    return names(sys.modules[__name__], "SCHEME")


def find_scheme(name: str) -> type[Scheme]:
    """The scheme called `name`, to be made with hyperparameters of its own or those of its paper."""
    found = find(sys.modules[__name__], name, "SCHEME")
    right = isinstance(found, type) and issubclass(found, Scheme)
    require(right, "scheme", "a class made of mtlsim.weighting.Scheme", repr(found), "see `mtlsim new scheme NAME`")
    return found


def conformance(name: str) -> tuple:
    """The examples worked by hand that stand in the scheme's file."""
    return find(sys.modules[__name__], name, "CONFORMANCE")
