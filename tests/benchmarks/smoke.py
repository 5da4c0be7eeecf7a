"""A smoke mode for benchmarks: with MTLSIM_SMOKE=1 each runs from end to end at a size that takes seconds.

What only the full size shows (times, ratios, shares of many problems) is not asserted then; that it runs, and agrees, is.
"""

import os
from typing import Any

SMOKE = bool(os.environ.get("MTLSIM_SMOKE"))


def sized(full: Any, small: Any) -> Any:
    """`small` in the smoke mode, else `full`."""
    return small if SMOKE else full


def shown(condition: bool) -> bool:
    """What a benchmark asserts of its full size; true in the smoke mode."""
    return SMOKE or bool(condition)
