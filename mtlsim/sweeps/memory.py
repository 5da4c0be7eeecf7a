"""How much memory is free where a sweep runs."""

import os
from collections.abc import Sequence
from pathlib import Path

import jax


def available_bytes(devices: Sequence[jax.Device]) -> int:
    """Free memory of these devices together: of accelerators what each reports, of host devices that of the host."""
    if devices[0].platform == "cpu":
        return host_bytes()
    reports = [device.memory_stats() or {} for device in devices]
    return sum(report.get("bytes_limit", 2**33) - report.get("bytes_in_use", 0) for report in reports)


def host_bytes() -> int:
    """What the machine has left or, where that is less, the limit of the process's control group."""
    return min(_machine(), _control_group())


def _machine() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):  # no Linux
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _control_group() -> int:
    """The limit of a container or a batch job, endless where there is none; what of it is only cache cannot be told from use."""
    limits = ("memory.max", "memory/memory.limit_in_bytes")
    try:
        own = Path("/proc/self/cgroup").read_text().splitlines()[-1].rsplit(":", 1)[1].strip("/")
    except (OSError, IndexError):
        own = ""
    root = Path("/sys/fs/cgroup")
    found = [path.read_text().strip() for folder in (root, root / own) for path in map(folder.joinpath, limits) if path.is_file()]
    return min([int(limit) for limit in found if limit.isdigit()], default=2**62)
