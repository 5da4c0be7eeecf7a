"""A task from a file: an .npz with the arrays X (m, d) and y (m,); and bare arrays from .npy files."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from mtlsim.core.checks import require

CURE = "save one with numpy.savez(path, X=X, y=y), or ask `mtlsim compare`, which reads tables, too"


def load_task(path: Path | str) -> tuple[np.ndarray, np.ndarray]:
    """X (m, d) and y (m,) as they stand in the file; `transfer_between_arrays` checks what is in them.

    Raises ValueError in one sentence for a file that is missing, truncated, foreign, without X and y, or that holds pickled
    objects: those are never loaded, because a pickle can run any code.
    """
    path = Path(path)
    require(path.is_file(), "path", "an existing .npz file", f"{path}, which is {_kind(path)}", CURE)
    try:
        with open(path, "rb") as file:
            start = file.read(6)
        require(start != b"\x93NUMPY", "path", "an .npz file with the arrays X and y", f"{path}, which holds one bare array", CURE)
        require(zipfile.is_zipfile(path), "path", "a whole .npz file", f"{path}, which is truncated or something else", CURE)
        with np.load(path, allow_pickle=False) as arrays:
            found = ", ".join(sorted(arrays.files)) or "none"
            both = {"X", "y"} <= set(arrays.files)
            require(both, "path", "an .npz file with the arrays X and y", f"{path} with the arrays {found}", CURE)
            return _read(arrays, "X", path), _read(arrays, "y", path)
    except OSError as error:
        why = error.strerror or error
        raise ValueError(f"path must be a file that can be read, but {path} is not ({why}); check the disk.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError):
        raise ValueError(f"path must be a whole .npz file, but is {path}, which is truncated or something else; {CURE}.") from None


def load_array(path: Path | str) -> np.ndarray:
    """The array of a .npy file, memory-mapped. Raises ValueError in one sentence for anything else; pickles are never loaded."""
    path = Path(path)
    cure = "save one with numpy.save(path, array)"
    require(path.is_file(), "path", "an existing .npy file", f"{path}, which is {_kind(path)}", cure)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        raise ValueError(f"path must be a whole .npy file of numbers, but is {path}, which is something else; {cure}.") from None
    right = isinstance(array, np.ndarray) and array.dtype.kind in "biuf"
    require(right, "path", "a .npy file of real numbers", f"{path} of type {getattr(array, 'dtype', 'archive')}", cure)
    return array


def _kind(path: Path) -> str:
    return "a folder" if path.is_dir() else "not there"


def _read(arrays: "np.lib.npyio.NpzFile", name: str, path: Path) -> np.ndarray:
    try:
        array = arrays[name]
    except ValueError as error:
        what = "of Python objects, which are not loaded" if "pickle" in str(error) else "damaged"
        raise ValueError(f"path must be an .npz file of plain numbers, but {name} in {path} is {what}; {CURE}.") from None
    require(isinstance(array, np.ndarray), "path", "an .npz file of arrays", f"{path}, where {name} is something else", CURE)
    return array
