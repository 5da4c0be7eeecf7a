"""One BLAS thread, float64, and annotations checked at run time; all of it before mtlsim is imported."""

import os
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"
# tests compile much and run little: the passes that make programs fast cost much of the compile time; benchmarks need them.
# Level 0 for most (see `pytest_runtest_setup`), but 2 where tests run long: they take up to thrice as long at 0. Not 1, at which
# the compiler of jaxlib 0.8.3 crashes on some paddings. Programs are not cut into parts for threads that other tests use already.
PROGRAMS = None
COMPILER = "--xla_backend_optimization_level=2 --xla_llvm_disable_expensive_passes=true --xla_cpu_parallel_codegen_split_count=1"
if version("jaxlib").startswith("0.8."):  # which compiles a third faster without them; later ones do not know the flag
    COMPILER += " --xla_cpu_use_fusion_emitters=false"
QUICKLY = COMPILER.replace("level=2", "level=0")  # of processes whose programs run for less time than they compile
if not any("benchmarks" in argument for argument in sys.argv):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {COMPILER}".strip()
    if "PYTEST_XDIST_WORKER" not in os.environ and "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        # what one process of this run has compiled, the others need not
        PROGRAMS = os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="mtlsim-programs-")
        os.environ |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.02", "TF_CPP_MIN_LOG_LEVEL": "3"}
MAPPED, MOST_MAPPED = Path("/proc/self/maps"), 25_000  # areas of memory of this process, some six for each program; 65 530 at most
HASTE = "xla_backend_optimization_level" in os.environ.get("XLA_FLAGS", "")  # no benchmark, or one that is only tried

import gc
import inspect
import warnings

import jax
import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # equinox reads a deprecated name of jax while it is imported
    import equinox  # noqa: F401
from jaxtyping import install_import_hook

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_disable_most_optimizations", HASTE)
RESEED = int(os.environ.get("MTLSIM_RESEED", "0"))  # the same tests with other draws: what passes by its seed alone fails
OFFSET = [RESEED]  # of seeds, now; zero in what is pinned to its draws
if RESEED:
    new_key, new_rng = jax.random.key, np.random.default_rng
    jax.random.key = lambda seed, **options: new_key(seed + OFFSET[0], **options)
    np.random.default_rng = lambda seed=None: new_rng(seed + OFFSET[0] if isinstance(seed, int) else seed)
import mtlsim.core.checks  # noqa: F401  # asked of every value, and checks what it is given itself

install_import_hook("mtlsim", "beartype.beartype")

TOLERANCE = {"float64": 1e-10, "float32": 1e-4}  # relative to the largest entry of what is compared
# files that MTLSIM_RESEED leaves as they are, and why; single tests are marked `pinned`
PINNED = {
    "test_stored_results.py": "answers are stored with their draws",
    "test_pages.py": "a page and a result say the seed that they were made with, and are made again by it",
}
Z_LIMIT = 4.0  # of a statistical test, in standard errors


def close(actual, wanted, digits_lost=0) -> None:
    """Equal within the tolerance of the actual dtype (whole numbers: exactly), with `digits_lost` decimal digits given away."""
    actual, wanted = np.asarray(actual), np.asarray(wanted)
    tolerance = TOLERANCE.get(str(actual.dtype), 0) * 10**digits_lost
    np.testing.assert_allclose(actual, wanted, rtol=tolerance, atol=tolerance * np.abs(wanted).max(initial=0))


def z_score(samples, wanted, wanted_error=0.0):
    """Distance of the mean over the first axis from what is wanted, in standard errors."""
    samples = np.asarray(samples)
    error = np.sqrt(samples.var(0, ddof=1) / len(samples) + np.asarray(wanted_error) ** 2)
    return (samples.mean(0) - np.asarray(wanted)) / np.where(error > 0, error, 1)


def untyped(function):
    """The function without the run-time check of its annotations, as users call it: what it does with input of another type."""
    return inspect.unwrap(function)


def pytest_configure() -> None:
    """Loops that are not unrolled compile faster; it changes no number."""
    from mtlsim.solvers import pencil

    if HASTE:
        pencil.UNROLL = 1


def pytest_unconfigure() -> None:
    if PROGRAMS is not None:
        shutil.rmtree(PROGRAMS, ignore_errors=True)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What importing and collecting made stays: the garbage collector need not walk over it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_collectstart(collector) -> None:
    """Constants of a file are drawn while it is collected."""
    if isinstance(collector, pytest.Module):
        OFFSET[0] = 0 if collector.path.name in PINNED else RESEED


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item) -> None:
    OFFSET[0] = 0 if item.path.name in PINNED or item.get_closest_marker("pinned") else RESEED
    _compile_for(item)


def _compile_for(item) -> None:
    """Most tests compile for longer than they run; programs of the others are made to run fast."""
    if HASTE:
        from mtlsim.core import compiler

        runs_long = item.get_closest_marker("runs_long") is not None
        jax.config.update("jax_disable_most_optimizations", not runs_long)
        compiler.QUICKLY["xla_backend_optimization_level"] = 2 if runs_long else 0


@pytest.fixture(autouse=True, scope="module")
def _forget_programs():
    """Compiled programs are dropped after a file that leaves many: they take memory, and thousands of them crash the compiler."""
    yield
    if not MAPPED.exists() or MAPPED.read_bytes().count(b"\n") > MOST_MAPPED:
        jax.clear_caches()


def pytest_collection_modifyitems(items) -> None:
    """The numerical stack is tested first: wrong numbers or hangs there would make all else meaningless. Then the longest files."""
    longest = "toolchain cli notebooks verdicts more_tasks sharing trained_sharing theory mechanisms relu intervals assumptions"
    longest += " examples stored_results own_files arrays certificates routes weighted_training transfer everything_is_swept"
    first = [f"test_{name}.py" for name in longest.split()]
    items.sort(key=lambda item: first.index(item.path.name) if item.path.name in first else len(first))
