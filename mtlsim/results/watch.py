"""Watching a sweep: a tally of what is found, a sign of life beside its chunks, and `status` on one that runs or died."""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mtlsim.core.checks import require
from mtlsim.core.status import Status
from mtlsim.core.words import counted, verb
from mtlsim.results import dataset as datasets
from mtlsim.results.keep import still_open, sums_of
from mtlsim.results.plan import Chunk, Plan
from mtlsim.results.settings import version_of
from mtlsim.results.store import differences, other_versions, read_chunk, read_manifest, writer

BEAT = 5.0  # seconds between signs of life
SILENCE = 6 * BEAT  # after which a process counts as dead
LOOKED_AT = 2000  # chunks that `status` reads, at most


class Tally:
    """Cells and draws that are done, how many cells are undecided, and how many draws have a bad status."""

    def __init__(self) -> None:
        self.open_cells: dict[tuple[int, int], tuple[int, int]] = {}
        self.draws = self.bad = 0

    def add(self, chunk: Chunk, arrays: dict[str, np.ndarray], undecided: int) -> None:
        self.open_cells[chunk.static, chunk.block] = chunk.stop - chunk.start, undecided
        found = sums_of("status", arrays)
        if found is not None:
            self.draws += int(found.sum())
            self.bad += int(found[:, Status.ok + 1 :].sum())

    def __str__(self) -> str:
        if not self.open_cells:
            return "no draws yet"
        cells, undecided = (sum(pair[i] for pair in self.open_cells.values()) for i in range(2))
        return f"undecided {100 * undecided / cells:.3g} % of cells, bad status {100 * self.bad / max(self.draws, 1):.2g} %"


@contextmanager
def sign_of_life(folder: Path | None) -> Iterator[None]:
    """While it lasts, a small file in the folder says which process of which host works there, and is touched now and then."""
    if folder is None:
        yield
        return
    for old in _workers(folder):
        if not old["alive"]:
            old["file"].unlink(missing_ok=True)
    file, stop = folder / f"running-{writer()}.json", threading.Event()
    file.write_text(json.dumps({"host": socket.gethostname(), "process": os.getpid(), "since": time.time()}))

    def beat() -> None:
        while not stop.wait(BEAT):
            try:
                os.utime(file)
            except OSError:  # another process finished the sweep and took the folder away
                return

    threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    finally:
        stop.set()
        file.unlink(missing_ok=True)


def status(path: Path | str) -> str:
    """How far a sweep has come that runs, died or is done: chunks, who works on it, rate, undecided cells, bad statuses.

    path: the result's name, RESULT.nc, or its folder of parts. Raises ValueError where neither is there.
    """
    path = Path(path)
    folder = path if path.is_dir() else path.with_name(path.name + ".parts")
    if not folder.is_dir():
        require(path.exists(), "result", "a sweep's .nc file or its folder of parts", f"{path}, which is not there", "check it")
        data = datasets.load(path)
        trouble = datasets.sentence_on_status(data) or "status: every draw is ok"
        seeds = json.loads(data.attrs["settings"])["n_seeds"]
        return f"{path} is done: {counted(seeds, 'seed')} a cell\n{trouble}"
    settings = read_manifest(folder)
    plan = Plan(**settings["plan"])
    chunks = plan.chunks()
    times = {chunk: (folder / chunk.name).stat().st_mtime for chunk in chunks if (folder / chunk.name).exists()}
    lines = [f"{path} is not done: {len(times)} of {counted(len(chunks), 'chunk')} {verb(len(times), 'is')} there"]
    workers = _workers(folder)
    lines += map(_sentence_on, workers)
    alive = [worker for worker in workers if worker["alive"]]
    if len(times) == len(chunks):
        lines[0] = (
            f"{path} is not joined: {'all ' * (len(chunks) > 1)}{counted(len(chunks), 'chunk')} {verb(len(chunks), 'is')} there; "
            "run the command without --shard, or `mtlsim merge`"
        )
    elif not alive:
        lines.append(f"nobody works on it; {_how_to_go_on(settings)}")
    elif rate := _rate(list(times.values()), min(worker["since"] for worker in alive)):
        left = (len(chunks) - len(times)) / rate
        lines.append(f"{counted(60 * rate, 'chunk', '.3g')} a minute; at this pace {duration(left)} left")
    read = [chunk for chunk in chunks if chunk in times and chunk.round == 0]
    shown = read[:: -(-len(read) // LOOKED_AT)] if read else []
    tally = _tally(folder, plan, shown, plan.look_level(settings["level"]))
    sample = f" (read: {len(shown)} of {counted(len(read), 'block')})" if len(shown) < len(read) else ""
    return "\n".join([*lines, f"so far: {tally}{sample}"])


def _how_to_go_on(settings: dict[str, Any]) -> str:
    """Whether the same command goes on with a sweep of these settings in this installation."""
    here = settings | {"versions": {name: version_of(name) for name in settings["versions"]}}
    what = "; ".join(differences(settings, here))
    if not what:
        return "the same command goes on from there (each --shard has its own)"
    if other_versions(settings, here):
        return f"{what}: the same command goes on with --accept-versions, which the result will say, or with those versions"
    return f"{what}: going on needs that mtlsim"


def _tally(folder: Path, plan: Plan, firsts: list[Chunk], level: float) -> Tally:
    tally, rounds_of = Tally(), {}
    for chunk in plan.chunks():
        rounds_of.setdefault((chunk.static, chunk.block), []).append(chunk)
    for first in firsts:
        rounds = []
        for chunk in rounds_of[first.static, first.block]:
            arrays = read_chunk(folder, chunk)
            if arrays is None:
                break
            rounds.append(arrays)
            tally.add(chunk, arrays, len(still_open(chunk, rounds, level)))
    return tally


def _workers(folder: Path) -> list[dict[str, Any]]:
    """Every process that said that it works here, and whether it still does."""
    found = []
    for file in sorted(folder.glob("running-*.json")):
        try:
            worker, silent = json.loads(file.read_text()), time.time() - file.stat().st_mtime
        except (OSError, ValueError):  # it stopped just now
            continue
        alive = silent < SILENCE and not _is_gone(worker)
        found.append(worker | {"file": file, "silent": silent, "alive": alive})
    return found


def _sentence_on(worker: dict[str, Any]) -> str:
    who = f"process {worker['process']} on {worker['host']}"
    if worker["alive"]:
        return f"{who}: running for {duration(time.time() - worker['since'])}"
    return f"{who}: died, its last sign of life was {duration(worker['silent'])} ago"


def _is_gone(worker: dict[str, Any]) -> bool:
    """Whether a process of this host has ended; of other hosts only silence tells."""
    if worker["host"] != socket.gethostname():
        return False
    try:
        os.kill(worker["process"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _rate(times: list[float], since: float) -> float:
    """Chunks a second since the present run began."""
    new = [t for t in times if t >= since]
    return len(new) / max(time.time() - since, 1e-9)


def duration(seconds: float) -> str:
    if seconds < 9.95:
        return f"{seconds:.2g} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
