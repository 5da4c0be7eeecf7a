"""Probes for faults of the numerical stack that no error message announces: wrong numbers, lost NaN, a call that never returns.

They test `vmap` itself, so they are the one place outside the sweeps that uses it. `mtlsim doctor` and the tests run them.
"""

import faulthandler
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

REDUCTIONS = {
    "sum of squares": (lambda row: jnp.sum(row**2), lambda rows: np.sum(rows**2, axis=1)),
    "maximum": (jnp.max, lambda rows: np.max(rows, axis=1)),
    "norm": (jnp.linalg.norm, lambda rows: np.linalg.norm(rows, axis=1)),
    "rectified sum": (lambda row: jnp.sum(jax.nn.relu(row)), lambda rows: np.sum(np.maximum(rows, 0), axis=1)),
}
FEATURES = {False: (3, 5, 8), True: (2, 3, 4, 5, 6, 7, 8, 12, 16, 20)}
ROWS = {False: (16_385, 32_769, 40_001), True: (1_000, 16_384, 16_385, 32_769, 40_001, 131_073)}
TOLERANCE = {"float32": 1e-4, "float64": 1e-10}  # of 1 + the value
STUCK = "Timeout ("  # how the interpreter's own watchdog begins its report


@dataclass(frozen=True)
class Case:
    """One fused program: matrix times row, then a reduction, for many rows at once."""

    reduction: str
    dtype: str
    n_features: int
    n_rows: int

    def __str__(self) -> str:
        return f"{self.reduction} of products with a {self.n_features} x {self.n_features} matrix in {self.dtype}"

    def draw(self) -> tuple[np.ndarray, np.ndarray]:
        """Matrix (d, d) and rows (n, d)."""
        rng = np.random.default_rng(0)
        matrix, rows = rng.standard_normal((self.n_features, self.n_features)), rng.standard_normal((self.n_rows, self.n_features))
        return matrix.astype(self.dtype), rows.astype(self.dtype)


def cases(full: bool = False) -> Iterator[Case]:
    """The canary's programs; the known fault sits past row 16384 (float64) or 32768 (float32)."""
    for dtype, n_features, n_rows, reduction in itertools.product(TOLERANCE, FEATURES[full], ROWS[full], REDUCTIONS):
        yield Case(reduction, dtype, n_features, n_rows)


def multiply_and_reduce(case: Case, device: jax.Device | None = None) -> np.ndarray:
    """The case in one jitted, vmapped program, at the highest precision of the device, whatever the session's settings."""
    reduce = REDUCTIONS[case.reduction][0]
    with jax.enable_x64(True), jax.default_matmul_precision("highest"), jax.default_device(device):
        matrix, rows = (jnp.asarray(array) for array in case.draw())
        return np.asarray(jax.jit(jax.vmap(lambda row: reduce(matrix @ row)))(rows))


def wrong_rows(case: Case, compute: Callable[[Case], np.ndarray] = multiply_and_reduce) -> int:
    """How many rows of a case disagree with NumPy."""
    matrix, rows = case.draw()
    expected = REDUCTIONS[case.reduction][1](rows.astype(float) @ matrix.astype(float).T)
    error = np.abs(compute(case).astype(float) - expected)
    return int(np.sum(~(error <= TOLERANCE[case.dtype] * (1 + np.abs(expected)))))


def wrong_cases(some: Iterable[Case], compute: Callable[[Case], np.ndarray] = multiply_and_reduce) -> dict[Case, int]:
    """The cases with wrong rows, and how many rows."""
    counted = {case: wrong_rows(case, compute) for case in some}
    return {case: count for case, count in counted.items() if count}


def lost_nan() -> dict[str, int]:
    """{what: rows} of reductions that are a number although one of the row's numbers is NaN, on the CPU."""
    rows = np.ones((2000, 20))
    rows[:, 7] = np.nan
    reductions = {"max": jnp.max, "min": jnp.min, "sum of maximum": lambda row: jnp.sum(jnp.maximum(row, 0))}
    with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
        found = {name: np.isnan(jax.jit(jax.vmap(reduce))(rows)) for name, reduce in reductions.items()}
    return {name: int(np.sum(~kept)) for name, kept in found.items() if not kept.all()}


def two_factorisations() -> Callable[[], object]:
    """A compiled program of two independent batched LAPACK calls, ready to be called; some releases block in it for ever."""

    def program(x, y):
        identity = jnp.eye(x.shape[1], dtype=x.dtype)
        positive = jax.nn.relu(x)
        factor = jax.scipy.linalg.cho_factor(positive.T @ positive / len(x) + identity)
        return jnp.linalg.eigh(x.T @ x / len(x) + identity)[0], jax.scipy.linalg.cho_solve(factor, positive.T @ y)

    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        x, y = jnp.asarray(rng.standard_normal((16, 100, 50))), jnp.asarray(rng.standard_normal((16, 100)))
        return partial(jax.jit(jax.vmap(program)).lower(x, y).compile(), x, y)


def call_many_times(call: Callable[[], object], calls: int, patience: float = 15.0) -> None:
    """Call it over and over. When one call takes longer than `patience` seconds, the whole process dies with a traceback.

    The watchdog is a thread of the interpreter that needs no lock of it, so it also ends a process that is stuck in C.
    """
    for _ in range(calls):
        faulthandler.dump_traceback_later(patience, exit=True)
        jax.block_until_ready(call())
    faulthandler.cancel_dump_traceback_later()
