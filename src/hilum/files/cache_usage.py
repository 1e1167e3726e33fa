"""How much room the cache takes, kind by kind."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hilum.files.disk import cache_home


@dataclass(frozen=True, slots=True)
class CacheUsage:
    """One folder of the cache: what it is called, how many files it has and their bytes."""

    kind: str
    files: int
    bytes: int


def cache_usage() -> list[CacheUsage]:
    """Every folder of the cache by name; none where there is no cache yet."""
    home = cache_home()
    try:
        names = sorted(entry.name for entry in os.scandir(home) if entry.is_dir())
    except OSError:
        return []
    return [_usage(home / name) for name in names]


def _usage(folder: Path) -> CacheUsage:
    sizes = list(_sizes(folder))
    return CacheUsage(folder.name, len(sizes), sum(sizes))


def _sizes(folder: Path) -> Iterator[int]:
    """Bytes of each file below a folder; files that vanish meanwhile are passed over."""
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                yield (Path(parent) / name).lstat().st_size
            except OSError:
                continue
