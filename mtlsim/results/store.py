"""What a sweep keeps on disk: whole chunks in a folder beside the result while it runs, one netCDF file when it is done.

Everything is written under another name, flushed and renamed, so that a file that exists is whole. Nothing made by other
settings is ever overwritten.
"""

import hashlib
import json
import os
import re
import shutil
import socket
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mtlsim.core.checks import as_path, require
from mtlsim.core.words import counted, verb
from mtlsim.results.keep import can_be_joined
from mtlsim.results.plan import Chunk

MANIFEST = "manifest.json"
IGNORED = ("plan", "source")  # how a sweep was cut does not change its numbers; other code may, which is said and not refused
LONGEST_NAME = 255 - len(".parts")  # bytes of a file name, with what is put behind it


def writer() -> str:
    """A name for what this process writes now: host, process number, and a token, for two containers may share the first two."""
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:40]
    return f"{host}-{os.getpid()}-{uuid.uuid4().hex[:12]}"


def fingerprint(settings: dict[str, Any]) -> str:
    """Hash of everything that determines the numbers."""
    kept = {name: value for name, value in settings.items() if name not in IGNORED}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def differences(there: Any, here: Any, name: str = "") -> list[str]:
    """Where two settings differ, by dotted name, with both values."""
    if isinstance(there, dict) and isinstance(here, dict):
        names = [n for n in {**there, **here} if name or n not in IGNORED]
        return [line for n in names for line in differences(there.get(n), here.get(n), f"{name}.{n}" if name else n)]
    return [] if there == here else [f"{name} is {_short(there)} there and {_short(here)} here"]


def other_versions(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """Where settings that are the same otherwise have other versions of packages that are not mtlsim; empty in all other cases."""
    found = differences(there, here)
    names = [line.split(" ", 1)[0] for line in found]
    return found if all(name.startswith("versions.") and name != "versions.mtlsim" for name in names) else []


def made_by(settings: dict[str, Any]) -> dict[str, str]:
    """Versions of the packages that made a result, and the code of mtlsim."""
    return settings.get("versions", {}) | {"source of mtlsim": settings.get("source", "not recorded")}


def on_source(there: dict[str, Any], here: str, what: str, cure: str) -> list[str]:
    """A sentence where other code of mtlsim than `here` made what is there; none where it is the same."""
    first = there.get("source", "not recorded")
    return [] if first == here else [f"{what}, but other code of mtlsim made it (source {first} there, {here} here); {cure}"]


def check_same(there: dict[str, Any], here: dict[str, Any], path: Path, accept_versions: bool = False) -> None:
    """Refuse to go on with pieces of another sweep; accept_versions: but for versions of jax and numpy."""
    if fingerprint(there) == fingerprint(here):
        return
    versions = other_versions(there, here)
    if versions and accept_versions:
        return
    cure = "choose another path, or move that one away"
    if versions:
        cure = "install those versions again, or go on with accept_versions=True (--accept-versions), which the result will say"
    raise ValueError(
        f"path must be new or hold this very sweep, but {path} was made by other settings "
        f"({'; '.join((versions or differences(there, here))[:4])}); {cure}."
    )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 60 else text[:57] + "..."


def _first_comes(temporary: Path, path: Path) -> None:
    """Give the file its name unless another process has done so: all must cut the sweep as the first one did."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        os.replace(temporary, path)


def write_whole(path: Path, write: Callable[[Path], None], n_bytes: int = 0, rename: Callable = os.replace) -> None:
    """Write through `write(temporary path)`, flush to disk, and rename; one sentence where the disk takes no more.

    n_bytes: what will be written, roughly: room for it is made sure of first, for writers that end badly on a full disk.
    """
    temporary = path.with_name(f".mtlsim-{writer()}.tmp")
    try:
        if n_bytes and hasattr(os, "posix_fallocate"):
            with open(temporary, "wb") as file:
                os.posix_fallocate(file.fileno(), 0, n_bytes)
        write(temporary)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        rename(temporary, path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(
            f"path must be on a disk with room for the result, but {path} cannot be written ({error.strerror or error}); free some "
            "and run the same command again: finished chunks are kept."
        ) from None
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(folder: Path, argument: str) -> None:
    """Make the folder if needed; one sentence if that, or writing in it, is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".mtlsim-{writer()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ValueError(
            f"{argument} must be in a folder that can be written, but {folder} is not ({error.strerror}); choose another."
        ) from None


def check_folder(folder: Path, argument: str = "out") -> None:
    """The same of a folder that a user has named for files; what is not there and looks like a file is taken for a mistake."""
    like = folder.suffix[1:].isalpha() and not folder.exists()
    cure = "name the folder; --format says which kinds of files"
    require(not like, argument, "a folder", f"{folder}, which is not there and looks like a file", cure)
    check_writable(folder, argument)


class Parts:
    """The folder of chunks of one sweep, `RESULT.nc.parts`; without a path, a dictionary in memory."""

    def __init__(self, path: Path | None, settings: dict[str, Any], accept_versions: bool = False):
        self.result, self.folder = path, None if path is None else path.with_name(path.name + ".parts")
        self.settings, self.accept_versions = settings, accept_versions
        self.memory: dict[str, dict[str, np.ndarray]] = {}
        if self.folder is not None:
            self._begin()

    def _begin(self) -> None:
        check_writable(self.folder.parent, "path")
        manifest = self.folder / MANIFEST
        if not manifest.exists():
            self.folder.mkdir(exist_ok=True)
            write_whole(manifest, lambda p: p.write_text(json.dumps(self.settings, indent=1)), rename=_first_comes)
        there = read_manifest(self.folder)
        check_same(there, self.settings, self.folder, self.accept_versions)
        if made_by(there) != made_by(self.settings):
            text = json.dumps(made_by(self.settings))
            name = f"versions-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
            write_whole(self.folder / name, lambda p: p.write_text(text))

    @property
    def superseded(self) -> bool:
        """Whether another process has finished the same sweep."""
        return self.result is not None and self.result.exists()

    def save(self, chunk: Chunk, arrays: dict[str, np.ndarray]) -> None:
        if self.folder is None:
            self.memory[chunk.name] = arrays
            return

        def write(temporary: Path) -> None:
            with open(temporary, "wb") as file:
                np.savez(file, **arrays)

        try:
            write_whole(self.folder / chunk.name, write)
        except FileNotFoundError:
            if self.superseded:
                return
            self._begin()  # the folder was taken away
            write_whole(self.folder / chunk.name, write)

    def load(self, chunk: Chunk) -> dict[str, np.ndarray] | None:
        """The chunk's arrays, or None where it is missing or not whole."""
        if self.folder is None:
            return self.memory.get(chunk.name)
        return read_chunk(self.folder, chunk)

    def holds(self, chunk: Chunk) -> bool:
        return chunk.name in self.memory if self.folder is None else (self.folder / chunk.name).exists()

    def remove(self) -> None:
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def accepted_versions(folders: list[Path]) -> dict[str, str]:
    """By which other versions or code processes ran parts of a sweep, as an attribute of its result; empty where none did."""
    first, *others = [json.dumps(made_by(read_manifest(folder))) for folder in folders]
    texts = {file.read_text() for folder in folders for file in folder.glob("versions-*.json")} | set(others) - {first}
    return {"accepted_versions": json.dumps([json.loads(text) for text in sorted(texts)])} if texts else {}


def read_manifest(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError):
        raise ValueError(
            f"path must be a sweep's folder of parts, but {folder} has no readable {MANIFEST}; give the folder that a sweep made."
        ) from None


def read_chunk(folder: Path, chunk: Chunk) -> dict[str, np.ndarray] | None:
    """The chunk's arrays, or None where it is missing, not whole, of a sweep that was cut otherwise, or of another form."""
    try:
        with open(folder / chunk.name, "rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return None
    every = np.arange(chunk.start, chunk.stop)
    points = arrays.get("points", every[:0])
    whole = np.array_equal(points, every) if chunk.round == 0 else np.isin(points, every).all()
    return arrays if whole and can_be_joined(arrays) else None


def check_complete(missing: list[Chunk], total: int) -> None:
    if missing:
        shown = ", ".join(chunk.name for chunk in missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise ValueError(
            f"pieces must hold all {counted(total, 'chunk')} of the sweep, "
            f"but {len(missing)} {verb(len(missing), 'is')} missing ({shown}); "
            "run the missing shards again (finished chunks are kept) or give their folders too."
        )


def require_path(path: Any, suffix: str, argument: str = "path") -> Path:
    path = as_path(path, argument)
    require(
        path.suffix == suffix, argument, f"a file name ending in {suffix}", repr(str(path)), f"use {path.stem or 'result'}{suffix}"
    )
    n_bytes = len(os.fsencode(path.name))
    most, found = f"a file name of at most {LONGEST_NAME} bytes", f"one of {n_bytes}"
    require(n_bytes <= LONGEST_NAME, argument, most, found, "choose a shorter one")
    return path
