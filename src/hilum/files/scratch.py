"""A cache that is thrown away, for work that must leave nothing behind."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from hilum.files.disk import CACHE, cache_home

_READ = ("compiled", "engines", "weights")  # folders whose files save seconds


@contextmanager
def scratch_cache() -> Iterator[Path]:
    """Inside the block `cache_home` is a temporary folder, where networks at hand are found too.

    The cache's files appear there as links: what is written is written to the temporary folder.
    For one thread at a time, since the folder is an environment variable.
    """
    kept, home = os.environ.get(CACHE), cache_home()
    with TemporaryDirectory(prefix="hilum-") as name:
        scratch = Path(name)
        for path in (path for folder in _READ for path in (home / folder).rglob("*")):
            if path.is_file() and path.suffix != ".lock":
                link = scratch / path.relative_to(home)
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(path)
        os.environ[CACHE] = name
        try:
            yield scratch
        finally:
            if kept is None:
                del os.environ[CACHE]
            else:
                os.environ[CACHE] = kept
