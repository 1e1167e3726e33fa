"""A folder that takes another's place as a whole."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from hilum.files.disk import synchronise


@contextmanager
def replaced_folder(target: Path) -> Iterator[Path]:
    """Yield a new folder next to `target`, which takes its place when the block ends well.

    Its files are synchronised to disk. A process killed at the wrong moment leaves the old folder,
    the new one or none under this name, never a mixture; what it leaves under other names goes at
    the next call. The caller holds the folder around it.
    """
    for partial in target.parent.glob(f".{target.name}-*"):
        shutil.rmtree(partial, ignore_errors=True)
    whole = target.with_name(f".{target.name}-{uuid4().hex[:8]}")
    former = whole.with_name(f"{whole.name}.former")
    try:
        whole.mkdir()
        yield whole
        for path in [*whole.rglob("*"), whole]:
            synchronise(path)
        if target.exists():
            target.rename(former)
        whole.rename(target)
        synchronise(target.parent)
    finally:
        if former.exists() and not target.exists():
            former.rename(target)
        for left in (former, whole):
            shutil.rmtree(left, ignore_errors=True)
