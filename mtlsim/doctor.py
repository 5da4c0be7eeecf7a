"""What is wrong with the numerical stack, and what to do about it: `mtlsim doctor`, or `python -m mtlsim.doctor`.

Importing this module loads neither NumPy nor jax, so that a stack that cannot even be imported becomes a finding too.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from importlib import metadata
from pathlib import Path

from threadpoolctl import threadpool_info

LOWEST = (0, 8, 3)
EXCLUDED = ((0, 9), (0, 10), (0, 11, 0), (0, 11, 1))
INSTALL = "pip install 'jax>=0.8.3,!=0.9.*,!=0.10.*,!=0.11.0,!=0.11.1'"
PREPARE = "Call mtlsim.launcher.prepare() before NumPy is imported (the command mtlsim does)"
CALLS = {False: 1500, True: 6000}  # releases that hang did so after 1 to 1800 calls
PATIENCE = 15.0  # seconds for a call that takes 4 ms


class Grade(IntEnum):
    """How bad a finding is: fine, slower or less precise than it could be, or numbers that cannot be trusted."""

    ok = 0
    warn = 1
    bad = 2


@dataclass(frozen=True)
class Finding:
    """One check's outcome: a sentence on what was found, and one on what to do."""

    name: str
    grade: Grade
    found: str
    cure: str = "Nothing to do."

    def __str__(self) -> str:
        cure = "" if self.grade == Grade.ok else f"\n{'':27}-> {self.cure}"
        return f"{self.grade.name:5}{self.name:22}{self.found}{cure}"


def check_python(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> Finding:
    fine = version >= (3, 11)
    return Finding("python", Grade.ok if fine else Grade.bad, f"Python {_dotted(version)}.", "Install Python 3.11 or newer.")


def check_release(package: str, version: str | None = None) -> Finding:
    """Whether this release of jax or jaxlib is one that computes right numbers and returns."""
    version = metadata.version(package) if version is None else version
    numbers = tuple(int(part) for part in re.match(r"\d+(\.\d+)*", version)[0].split("."))
    cure = f"Run {INSTALL}."
    if any(numbers[: len(excluded)] == excluded for excluded in EXCLUDED):
        found = f"{package} {version} is one of the releases that compute wrong numbers or hang for ever on the CPU."
        return Finding(package, Grade.bad, found, cure)
    if numbers < LOWEST:
        return Finding(package, Grade.bad, f"{package} {version} is older than {_dotted(LOWEST)}, the oldest one tested.", cure)
    return Finding(package, Grade.ok, f"{package} {version}.")


def check_numpy(version: str | None = None) -> Finding:
    version = metadata.version("numpy") if version is None else version
    fine = int(version.split(".")[0]) >= 2
    return Finding("numpy", Grade.ok if fine else Grade.bad, f"numpy {version}.", "Run pip install 'numpy>=2'.")


def check_numbers(full: bool = False, compute: Callable | None = None) -> Finding:
    """Small matrix products fused with a reduction, over many rows, against NumPy; on the default device and the CPU."""
    import jax

    from mtlsim.probes import cases, multiply_and_reduce, wrong_cases

    devices = {device.platform: device for device in (jax.devices()[0], jax.devices("cpu")[0])}
    count = len(list(cases(full)))
    for platform, device in devices.items():
        wrong = wrong_cases(cases(full), partial(multiply_and_reduce, device=device) if compute is None else compute)
        if wrong:
            case = max(wrong, key=wrong.__getitem__)
            worst = f"{wrong[case]} of {case.n_rows} rows of the {case}"
            found = f"{len(wrong)} of {count} fused products are wrong on the {platform}, at worst {worst}."
            return Finding("right numbers", Grade.bad, found, f"Trust no result of this installation; run {INSTALL}.")
    return Finding("right numbers", Grade.ok, f"{count} fused products agree with NumPy on the {' and the '.join(devices)}.")


def check_nan(lost: Mapping[str, int] | None = None) -> Finding:
    """Whether maxima of numbers that hold a NaN are NaN in a compiled program, as in NumPy."""
    from mtlsim.probes import lost_nan

    lost = lost_nan() if lost is None else lost
    if not lost:
        return Finding("NaN", Grade.ok, "A maximum or minimum of numbers with a NaN is NaN.")
    found = f"Programs that jax compiles here leave NaN out ({', '.join(lost)}); those of mtlsim do not."
    return Finding("NaN", Grade.warn, found, f"{PREPARE}, or start Python with XLA_FLAGS=--xla_cpu_experimental_ynn_fusion_type=.")


def check_hang(
    calls: int = CALLS[False], patience: float = PATIENCE, limit: float | None = None, program: str | None = None
) -> Finding:
    """Two independent batched LAPACK calls in one program, over and over, in a process of their own that can be ended.

    program: Python source to run instead. limit: seconds for all of it; patience: for one call.
    """
    from mtlsim.probes import STUCK

    program = program or f"from mtlsim import probes; probes.call_many_times(probes.two_factorisations(), {calls}, {patience})"
    limit = 60 + calls / 10 if limit is None else limit
    path = os.pathsep.join(filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path, "JAX_PLATFORMS": "cpu", "OPENBLAS_NUM_THREADS": "1", "XLA_FLAGS": ""}
    command, start = [sys.executable, "-c", program], time.monotonic()
    try:
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        trouble = f"had not all returned after {limit:.0f} s"
    else:
        last = (ended.stderr.strip().splitlines() or ["no message"])[-1]
        trouble = f"ended with exit code {ended.returncode}: {last}" if ended.returncode else ""
        trouble = f"stopped: one did not return within {patience:.0f} s" if STUCK in ended.stderr else trouble
    grade, cure = Grade.bad if trouble else Grade.ok, f"Stop using this installation; run {INSTALL}."
    outcome = trouble or f"returned, in {time.monotonic() - start:.0f} s"
    return Finding("calls return", grade, f"{calls} calls of two batched LAPACK routines {outcome}.", cure)


def check_threads(running: Mapping[str, int] | None = None, environment: Mapping[str, str] | None = None) -> Finding:
    """Threads of BLAS: as it runs where threadpoolctl knows it, else as the environment asked for."""
    environment = os.environ if environment is None else environment
    running = _running_threads() if running is None else running
    asked = environment.get("OPENBLAS_NUM_THREADS") or environment.get("OMP_NUM_THREADS")
    slow = "with more threads and any other load, small solves take 40 to 1000 times longer"
    cure = f"{PREPARE}, or set OPENBLAS_NUM_THREADS=1; {slow}."
    several = {name: count for name, count in running.items() if count > 1}
    if several:
        late = " although OPENBLAS_NUM_THREADS=1, which was set after NumPy was imported" if asked == "1" else ""
        found = ", ".join(f"{name} runs {count} threads" for name, count in several.items())
        return Finding("BLAS threads", Grade.warn, f"{found}{late}.", cure)
    if running:
        return Finding("BLAS threads", Grade.ok, f"One thread in {' and '.join(running)}.")
    if asked == "1":
        return Finding("BLAS threads", Grade.ok, "One thread was asked for; what runs is not known.")
    return Finding("BLAS threads", Grade.warn, f"OPENBLAS_NUM_THREADS is {asked or 'not set'}.", cure)


def check_float64(on: bool | None = None) -> Finding:
    import jax

    on = jax.config.jax_enable_x64 if on is None else on
    if on:
        return Finding("float64", Grade.ok, "float64 is on.")
    cure = "Add jax.config.update('jax_enable_x64', True) before the first array is made (the command mtlsim does)."
    return Finding("float64", Grade.warn, "float64 is off, so that arrays hold 7 digits.", cure)


def check_devices() -> Finding:
    import jax

    devices = jax.devices()
    kinds = ", ".join(sorted({device.device_kind for device in devices}))
    return Finding("devices", Grade.ok, f"{len(devices)} x {devices[0].platform} ({kinds}).")


def check_host_devices(n_devices: int | None = None, cores: int | None = None) -> Finding:
    """Batched LAPACK runs on one core per device, so a sweep uses as many cores as there are devices of the CPU."""
    import jax

    n_devices = jax.device_count("cpu") if n_devices is None else n_devices
    cores = _cores() if cores is None else cores
    found = f"{n_devices} CPU {'device' if n_devices == 1 else 'devices'} on {cores} {'core' if cores == 1 else 'cores'}."
    cure = f"{PREPARE}, or start Python with XLA_FLAGS=--xla_force_host_platform_device_count={cores}."
    return Finding("CPU devices", Grade.ok if n_devices == cores else Grade.warn, found, cure)


def check_cache(folder: str | None = None) -> Finding:
    """Whether compiled programs are kept between processes, and can be written where they should be."""
    import jax

    name, folder = "compilation cache", jax.config.jax_compilation_cache_dir if folder is None else folder
    if not folder:
        found = "None, so that every process compiles for 2 to 3 s per program."
        return Finding(name, Grade.warn, found, f"{PREPARE}, or set JAX_COMPILATION_CACHE_DIR to a folder.")
    if "://" in folder:
        return Finding(name, Grade.ok, f"{folder} (remote, not tried).")
    existing = next(path for path in (Path(folder).absolute(), *Path(folder).absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            return Finding(name, Grade.ok, f"{folder} can be written.")
    except OSError:
        return Finding(name, Grade.warn, f"{folder} cannot be written.", "Set JAX_COMPILATION_CACHE_DIR to a folder that can.")


def examine(full: bool = False) -> Iterator[Finding]:
    """All checks, one after the other. One that fails to run is a bad finding."""
    checks = {
        "python": check_python,
        "numpy": check_numpy,
        "jax": partial(check_release, "jax"),
        "jaxlib": partial(check_release, "jaxlib"),
        "devices": check_devices,
        "float64": check_float64,
        "BLAS threads": check_threads,
        "CPU devices": check_host_devices,
        "compilation cache": check_cache,
        "right numbers": partial(check_numbers, full),
        "NaN": check_nan,
        "calls return": partial(check_hang, CALLS[full]),
    }
    for name, check in checks.items():
        yield _survive(name, check)


def main(full: bool = False) -> int:
    """Print every finding as it comes; 1 if one of them is bad, else 0."""
    worst = Grade.ok
    for finding in examine(full):
        print(finding, flush=True)
        worst = max(worst, finding.grade)
    print({Grade.ok: "All is well.", Grade.warn: "Numbers are right; see the warnings.", Grade.bad: "Something is wrong."}[worst])
    return int(worst == Grade.bad)


def _survive(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except Exception as error:
        cure = f"Repair the installation; run {INSTALL}."
        return Finding(name, Grade.bad, f"This check ended with {type(error).__name__}: {error}", cure)


def _running_threads() -> dict[str, int]:
    """Threads of every BLAS that is loaded; empty if that cannot be asked."""
    import numpy  # noqa: F401
    import scipy.linalg  # noqa: F401  jax calls its LAPACK

    return {Path(pool["filepath"]).name: pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m mtlsim.doctor", description="Check the numerical stack and say what to do.")
    parser.add_argument("--full", action="store_true", help="longer runs of the checks")
    sys.exit(main(parser.parse_args().full))
