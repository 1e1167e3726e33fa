"""The store of features on disk, and of what else a pass of a network has found."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from hilum import files
from hilum.files import intact

CHUNK = 256  # images held in memory at a time
Array: TypeAlias = npt.NDArray[Any]  # of floats, which are kept in single precision, or of records


def cached(key: str, compute: Callable[[], Array]) -> Array:
    """The stored array of `key`, memory-mapped read-only, computed and stored where it is absent.

    `key` comes from `files.digest(pixels, network, view, precision)`.
    """
    if not is_stored(key):
        produced(key, lambda: {key: compute()}, key, wait=True)
    return stored(key)


def produced(
    key: str, compute: Callable[[], Mapping[str, Array]], lock: str, *, wait: bool
) -> bool:
    """Compute and store the array of `key`, and whatever else `compute` gives, unless it is there.

    False where another process is at it, unless waited for: processes with the same `lock` do so
    one at a time.
    """
    path = store_path(key)
    with files.holding(store_path(lock).with_suffix(".lock"), wait=wait) as held:
        if not held:
            return False
        if not _is_whole(path):
            if path.exists():
                intact.note_damage("features", path)
            for name, values in compute().items():
                if name == key or not is_stored(name):
                    _write(store_path(name), values)
    return True


def stored(key: str) -> Array:
    """The array of a key that is in the store, memory-mapped read-only."""
    found: Array = np.load(store_path(key), mmap_mode="r", allow_pickle=False)
    return found


def is_stored(key: str) -> bool:
    """Whether the features of `key` are in the store, and as they were written."""
    return _is_whole(store_path(key))


def _is_whole(path: Path) -> bool:
    try:
        return intact.has_trailer(path)
    except OSError:
        return False


def _write(path: Path, values: Array) -> None:
    kind = np.float32 if values.dtype.kind == "f" else values.dtype
    with files.atomic_write(path) as temporary:
        with temporary.open("wb") as file:
            np.save(file, np.ascontiguousarray(values, kind), allow_pickle=False)
        intact.add_trailer(temporary)  # readers of .npy files stop before it


def store_path(key: str) -> Path:
    """Where the features of `key` lie."""
    return files.cache_home() / "features" / f"{key}.npy"
