"""A cache that holds networks ready to compute, which cost seconds, and nothing else."""

from pathlib import Path

import pytest

from hilum import files

READY = ("weights", "compiled", "engines")


def begin_cold(patch: pytest.MonkeyPatch, home: Path) -> None:
    """Until `patch` ends, `home` is the cache, where only the networks of the present one are."""
    present = files.cache_home()
    home.mkdir(parents=True)
    for name in READY:
        (present / name).mkdir(parents=True, exist_ok=True)
        (home / name).symlink_to(present / name)
    patch.setenv("HILUM_CACHE", str(home))
