"""What each figure of the mechanisms costs: `python tests/benchmarks/mechanism_figures.py [NAME ...] [--full]`.

Every figure is made in a process of its own, from no compiled program (a fresh folder for them), as `mtlsim figure NAME --fast`
makes it, or without --fast for --full. A row says how long that took, and the processor's seconds, which other load on the machine
does not change much; two cores cannot take less than half of these. Aims are 20 s in fast mode and 3 minutes in full.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from smoke import SMOKE

FIGURES = (
    "mechanisms", "overfitting-prevention", "noise-outputs", "amplification", "attribute-selection", "group-lasso", "eavesdropping",
    "representation-bias", "tide", "basins", "related-to-whom", "peaks", "input-or-output", "function-pair", "shared-width",
    "aspects", "stopping-rates",
)  # fmt: skip
AIMS = {True: 20.0, False: 180.0}  # seconds on two cores, of a fast figure and of a full one


def cost(name: str, fast: bool) -> tuple[float, float]:
    """Seconds on the clock, and of all cores, to make one figure."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "XDG_CACHE_HOME": str(Path(folder) / "cache")}
        words = ["-m", "mtlsim", "figure", name, "--out", str(Path(folder) / "figures"), "--quiet", *(["--fast"] if fast else [])]
        start = time.perf_counter()
        child = subprocess.Popen([sys.executable, *words], env=environment, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0, f"{name} ended with {child.returncode}"
    return seconds, used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", default=["shared-width"] if SMOKE else list(FIGURES))
    parser.add_argument("--full", action="store_true")
    options = parser.parse_args()
    aim, slow = AIMS[not options.full], []
    print(f"{'figure':24} {'on the clock':>12} {'of all cores':>12}   aim on two cores: {aim:g} s")
    for name in options.names:
        seconds, used = cost(name, not options.full)
        slow += [name] * (used / 2 > aim)
        print(f"{name:24} {seconds:10.1f} s {used:10.1f} s{'   more than two cores can do in that' * (used / 2 > aim)}", flush=True)
    print(
        f"{len(options.names) - len(slow)} of {len(options.names)} within the aim" + (f"; not: {', '.join(slow)}" if slow else "")
    )


if __name__ == "__main__":
    main()
