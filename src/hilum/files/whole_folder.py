"""Files that belong together: a folder of them takes its place as a whole, or not at all."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from uuid import uuid4

from hilum.files.disk import synchronise, write_error

UNFINISHED = ".export-"  # and more: a folder in another until all files are there


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


@contextmanager
def moved_when_whole(out: Path, names: Sequence[str]) -> Iterator[Path]:
    """Yield a new folder in `out`; those of `names` that are in it move to `out` at the end.

    The last of `names` is what a reader looks for: it leaves first and comes last, so that half of
    them are none. Other files in `out` stay. The caller holds `out`. Raises HilumError where the
    disk refuses.
    """
    place = None
    for left in out.glob(f"{UNFINISHED}*"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    try:
        place = Path(mkdtemp(prefix=UNFINISHED, dir=out))  # in it: another disk may begin at `out`
        yield place
        for name in reversed(names):
            (out / name).unlink(missing_ok=True)
        for name in names:
            if (place / name).is_file():
                (out / name).parent.mkdir(exist_ok=True)
                (place / name).rename(out / name)
    except OSError as error:
        raise write_error(out, error) from error
    finally:
        if place is not None:
            shutil.rmtree(place, ignore_errors=True)
