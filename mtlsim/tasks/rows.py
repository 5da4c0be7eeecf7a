"""Laws of the entries of rows before they are coloured: ours by name, or a function of a user's own file.

A law of one's own, named as rows = "my_rows.py:law", is a function (key, n_rows, n_features) -> entries (m, d) of mean 0 and
variance 1, each uncorrelated with all others: what the covariances of the tasks and every exact risk are about. Rows are asked
for in blocks, so that they must not depend on each other.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from mtlsim.core.checks import require, require_choice
from mtlsim.core.registry import file_of_name, is_own, own_thing

ROWS = ("gaussian", "rademacher", "student", "sphere")
LOOKED_AT = 4096, 2  # rows and features
OFF = 0.1, 0.3  # of the mean and the variances of those, a tenth of which is chance


def own_law(name: str) -> Callable:
    """The law of a user's file."""
    law = own_thing(name, "ROWS")
    wanted = "a function (key, n_rows, n_features) -> entries"
    require(callable(law), "rows", wanted, f"{name}, which is none", "write def law(key, n_rows, n_features)")
    return law


def require_rows(name: str) -> None:
    """Raise ValueError in one sentence for what is no law's name and no file with a law of mean 0 and covariance I."""
    if not is_own(name):
        require_choice(name, ROWS, "rows")
        return
    shape, mean, off = _looked_at(name, file_of_name(name, "ROWS").sha256)
    m, d = LOOKED_AT
    require(shape == LOOKED_AT, "rows", f"a law that answers with shape ({m}, {d}) if asked for it", shape, "return (m, d) entries")
    cure = "subtract the mean and divide by the standard deviation: designs give rows their sizes"
    found = f"one {mean:.2g} off in the mean and {off:.2g} in the covariance"
    require(mean <= OFF[0] and off <= OFF[1], "rows", "a law of mean 0 and covariance I", found, cure)


@functools.cache
def _looked_at(name: str, sha256: str) -> tuple[tuple[int, ...], float, float]:
    """Shape, largest mean, and how far the covariance is from I, of a draw."""
    with jax.ensure_compile_time_eval():  # a recipe may be made inside of a program
        entries = jnp.asarray(own_law(name)(jax.random.key(0), *LOOKED_AT), float)
        if entries.shape != LOOKED_AT:
            return entries.shape, 0.0, 0.0
        mean = jnp.mean(entries, 0)
        off = entries.T @ entries / len(entries) - jnp.outer(mean, mean) - jnp.eye(entries.shape[1])
        far = [float(jnp.nan_to_num(jnp.linalg.norm(one.ravel(), jnp.inf), nan=jnp.inf)) for one in (mean, off)]
    return entries.shape, *far
