"""The store of features on disk."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from hilum import files
from hilum.files import intact
from hilum.types import Floats

CHUNK = 256  # images held in memory at a time


def cached(key: str, compute: Callable[[], Floats]) -> Floats:
    """The stored array of `key`, memory-mapped read-only, computed and stored where it is absent.

    `key` comes from `files.digest(pixels, network, view, precision)`.
    """
    path = store_path(key)
    if not _is_whole(path):
        with files.waiting(path.with_suffix(".lock")):  # another process may be computing them
            if not _is_whole(path):
                if path.exists():
                    intact.note_damage("features", path)
                _write(path, np.ascontiguousarray(compute(), np.float32))
    stored: Floats = np.load(path, mmap_mode="r", allow_pickle=False)
    return stored


def is_stored(key: str) -> bool:
    """Whether the features of `key` are in the store, and as they were written."""
    return _is_whole(store_path(key))


def _is_whole(path: Path) -> bool:
    try:
        return intact.has_trailer(path)
    except OSError:
        return False


def _write(path: Path, values: Floats) -> None:
    with files.atomic_write(path) as temporary:
        with temporary.open("wb") as file:
            np.save(file, values, allow_pickle=False)
        intact.add_trailer(temporary)  # readers of .npy files stop before it


def store_path(key: str) -> Path:
    """Where the features of `key` lie."""
    return files.cache_home() / "features" / f"{key}.npy"
