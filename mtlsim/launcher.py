"""What must be set before numpy and jax are loaded: threads, devices, precision, the compilation cache, garbage collection.

Only programs call this (the command line, the notebooks' first cell, the tests); importing mtlsim changes nothing.
"""

import gc
import os
import platform
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

from threadpoolctl import threadpool_limits

COLLECTED = 20_000  # new objects between two looks for garbage: at Python's own 700, looking is a quarter of the time of tracing
LOSES_NAN = ("0.11.2", "0.12.")  # releases that take the maximum of NaN and a number for the number, and know the flag against it


def prepare(n_devices: int | None = None) -> None:
    """One BLAS thread, one host device per core, float64, compiled programs kept between runs, and garbage collected less often.

    What the user has set in the environment stays. One BLAS thread, also where numpy is loaded already: with two, any other load
    makes small solves 40 to 1000 times slower. Host devices: batched LAPACK calls run on one core each, so cores are used as
    devices.

    Raises RuntimeError where jax is loaded already in float32, since nothing set now would reach it: all numbers would be other
    draws in float32. Warns where it is loaded and `n_devices` comes too late.
    """
    _check_in_time(n_devices)
    if 0 < gc.get_threshold()[0] < COLLECTED:  # zero: never
        gc.set_threshold(COLLECTED)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if "numpy" in sys.modules and "OPENBLAS_NUM_THREADS" not in os.environ:
        threadpool_limits(1, user_api="blas")  # a library that is loaded does not read the environment again
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("MPLBACKEND", "Agg")  # pictures go to files; a notebook's kernel has set its own
    os.environ.setdefault("JAX_ENABLE_X64", "1")
    flags = os.environ.get("XLA_FLAGS", "")
    if "ynn_fusion" not in flags and version("jaxlib").startswith(LOSES_NAN):
        flags = os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_experimental_ynn_fusion_type=".strip()
    if "xla_force_host_platform_device_count" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_force_host_platform_device_count={n_devices or cores}".strip()
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache_folder()))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    # a thread or another process was writing that program just then: it is compiled again
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache", UserWarning)


def _check_in_time(n_devices: int | None) -> None:
    """jax reads the environment when it is imported. A user who has set JAX_ENABLE_X64 has chosen."""
    jax = sys.modules.get("jax")
    if jax is None or not hasattr(jax, "config"):
        return
    if not jax.config.jax_enable_x64 and "JAX_ENABLE_X64" not in os.environ:
        raise RuntimeError(
            "prepare must be called before jax is imported, but jax is loaded in float32 already, in which all draws are others; "
            "in a notebook restart the kernel and call prepare() in the first cell, before any other import (to go on in this "
            "process, run jax.config.update('jax_enable_x64', True) before the first array is made, and then prepare() again)."
        )
    if n_devices is not None and "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        late = f"jax is loaded already, and may keep the devices that it has instead of n_devices={n_devices}"
        warnings.warn(f"{late}; restart Python and call prepare({n_devices}) before jax is imported.", RuntimeWarning, stacklevel=3)


def cache_folder() -> Path:
    """Folder of compiled programs, one per jax version and processor, since a program compiled for another may crash."""
    base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return base / "mtlsim" / f"jax-{version('jax')}-{platform.machine()}-{_processor()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1] for line in lines if line.startswith("model name"))
        flags = next(line.split(":", 1)[1] for line in lines if line.startswith("flags"))
    except (OSError, StopIteration):
        name, flags = platform.processor() or "unknown", ""
    return f"{'-'.join(name.split())}-{len(flags.split())}"
