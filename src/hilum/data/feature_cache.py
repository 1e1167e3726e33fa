"""The store of features on disk."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from hilum import files
from hilum.types import Floats

CHUNK = 256  # images held in memory at a time


def cached(key: str, compute: Callable[[], Floats]) -> Floats:
    """The stored array of `key`, memory-mapped read-only, computed and stored where it is absent.

    `key` comes from `files.digest(pixels, network, view, precision)`.
    """
    path = store_path(key)
    if not path.is_file():
        with files.waiting(path.with_suffix(".lock")):  # another process may be computing them
            if not path.is_file():
                _write(path, np.ascontiguousarray(compute(), np.float32))
    stored: Floats = np.load(path, mmap_mode="r", allow_pickle=False)
    return stored


def _write(path: Path, values: Floats) -> None:
    with files.atomic_write(path) as temporary, temporary.open("wb") as file:
        np.save(file, values, allow_pickle=False)


def store_path(key: str) -> Path:
    """Where the features of `key` lie."""
    return files.cache_home() / "features" / f"{key}.npy"
