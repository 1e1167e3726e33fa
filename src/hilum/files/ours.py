"""What a command may replace: what it wrote before, and no file of anybody else's."""

from collections.abc import Collection, Sequence
from pathlib import Path

from hilum.files.disk import require_no_device
from hilum.types import HilumError

HEAD = 4096  # bytes at the beginning of a file, in which hilum's own have their mark
PAGE = b"hilum"  # reports and cards
PICTURE = ("Software", "hilum")  # a text in each PNG of a heat map
ANSWERS = b"path,label,p_"  # what `hilum predict` writes
MAPS = b"path,label,class,probability"  # the table of a folder of heat maps
BASIS = "basis.parquet"  # in the folder of finished folds, from the start of a run on
RUN = {"results.json": b'"recipe"', "report.html": PAGE, "predictions.csv": b"sample_id"}


def is_output(folder: Path, files: Collection[str], folders: Collection[str]) -> bool:
    """Whether a command wrote this folder of files and folders: a run, a test, or heat maps."""
    marks = {"results.json": RUN["results.json"], "heatmaps.csv": MAPS}
    return any(name in files and _has(folder / name, mark) for name, mark in marks.items()) or (
        "work" in folders and (folder / "work" / BASIS).is_file()
    )


def is_answers(table: Path) -> bool:
    """Whether `hilum predict` wrote this table: what a model said is no label."""
    return _has(table, ANSWERS)


def _has(file: Path, mark: bytes) -> bool:
    try:
        with file.open("rb") as stream:
            return mark in stream.read(HEAD)
    except OSError:
        return False


def require_own(path: Path, mark: bytes | None, option: str) -> Path:
    """The path itself; HilumError where a file is there that does not begin as hilum's own do.

    Without a `mark`, no file that holds anything is one of hilum's.
    """
    require_no_device(path)
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(HEAD)
        if head and (mark is None or mark not in head):
            raise HilumError(
                f"{option} replaces no file but an earlier one of this command; got {str(path)!r}, "
                "which is another; choose another name, or delete it."
            )
    return path


def require_own_run(out: Path) -> Path:
    """The folder itself; HilumError where files of these names are no run's or test's."""
    for name, mark in RUN.items():
        require_own(out / name, mark, "--out")
    return out


def require_own_export(out: Path, names: Sequence[str], mark: bytes) -> Path:
    """The folder itself; HilumError where some of these files are there and are no export's.

    The first of them, which has the `mark`, is written before the others and leaves after them.
    """
    there = [name for name in names if (out / name).exists()]
    if there and not _has(out / names[0], mark):
        raise HilumError(
            f"--out replaces no file but those of an earlier export; got {str(out)!r}, which has "
            f"another {there[0]}; choose an empty folder."
        )
    return out
