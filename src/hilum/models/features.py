"""Features of prepared images, plain and augmented, and their store on disk."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from hilum import files
from hilum.models.engine import Progress, Runtime
from hilum.types import Floats, Stack8

# pixels (image, height, width) and which rows of the stack they are -> the same, changed
View: TypeAlias = Callable[[Stack8, slice], Stack8]

CHUNK = 256  # images held in memory at a time


def extract(runtime: Runtime, stack: Stack8, progress: Progress | None = None) -> Floats:
    """(image, height, width) uint8, memory-mapped or not -> features (image, feature)."""
    return runtime(stack, progress)


def extract_views(
    runtime: Runtime, stack: Stack8, views: Sequence[View], progress: Progress | None = None
) -> Floats:
    """(image, height, width) -> (view, image, feature), chunk by chunk in flat memory.

    Each view is told which rows it gets, so that it can draw its randomness image by image.
    """
    count = len(stack)
    out = np.empty((len(views), count, runtime.facts.outputs), np.float32)
    for number, view in enumerate(views):
        for start in range(0, count, CHUNK):
            rows = slice(start, min(start + CHUNK, count))
            out[number, rows] = runtime(view(stack[rows], rows))
            if progress is not None:
                progress(number * count + rows.stop, len(views) * count)
    return out


def cached(key: str, compute: Callable[[], Floats]) -> Floats:
    """The stored array of `key`, memory-mapped read-only, computed and stored where it is absent.

    `key` comes from `files.digest(pixels, network, view, precision)`.
    """
    path = store_path(key)
    if not path.is_file():
        values = np.ascontiguousarray(compute(), np.float32)
        with files.atomic_write(path) as temporary, temporary.open("wb") as file:
            np.save(file, values, allow_pickle=False)
    stored: Floats = np.load(path, mmap_mode="r", allow_pickle=False)
    return stored


def store_path(key: str) -> Path:
    """Where the features of `key` lie."""
    return files.cache_home() / "features" / f"{key}.npy"
