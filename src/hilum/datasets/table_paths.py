"""Where the images lie that a table names: on this machine, or by name below the table's folder."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlparse

from hilum import images
from hilum.datasets.folder_levels import MASK_FOLDERS

ABSENT = "no such image"
SEVERAL = "several images of this name lie below the table's folder"
DEEPEST = 8  # folders that are compared
FEW = 20  # files of one name among which capitals decide
CLAIMED = "another row of the table names this image too"


@dataclass(frozen=True, slots=True)
class Places:
    """For each path of a table: the file, or why there is none; and those found by name."""

    files: list[str | None]
    reasons: list[str]  # "" where there is a file
    moved: tuple[str, ...]  # paths that do not exist, whose images lie elsewhere
    example: str = ""  # where that of the first of them lies, below the table's folder

    def notes(self, kind: str = "images") -> list[str]:
        """A sentence on paths of another machine."""
        if not self.moved:
            return []
        count = f"{len(self.moved):,} of {len(self.files):,} paths"
        return [
            f"{count} of the table, such as {self.moved[0]!r}, do not exist as written; their "
            f"{kind} were found by name below the table's folder, such as {self.example!r}."
        ]


def locate(paths: Sequence[str], folder: Path, masks: bool = False) -> Places:
    """Find the files that a table in `folder` names.

    A path counts from the table's folder. One that leads nowhere is looked for by name below the
    folder: with as many of its own folders as agree, then whatever its capitals, then without a
    suffix. A file is taken only where it alone can be meant, and by one path alone.
    `masks`: lung masks are sought, else what lies in folders of masks does not count.
    """
    direct = [first_place(path, folder) for path in paths]
    exists = [_is_file(path) for path in direct]
    files: list[str | None] = [
        path if ok else None for path, ok in zip(direct, exists, strict=True)
    ]
    reasons = ["" if ok else ABSENT for ok in exists]
    sought = [i for i, ok in enumerate(exists) if not ok and paths[i]]
    if not sought:
        return Places(files, reasons, ())
    index = _Index(folder, masks, map(clean, paths))
    for i in sought:
        files[i], reasons[i] = index.seek(clean(paths[i]))
    _refuse_shared(files, reasons, paths, sought)
    moved = [i for i in sought if files[i] and not _same_name(paths[i], str(files[i]))]
    example = os.path.relpath(str(files[moved[0]]), folder) if moved else ""
    return Places(files, reasons, tuple(paths[i] for i in moved), example)


def first_place(path: str, folder: Path) -> str:
    """Where a path of a table in `folder` leads first."""
    return os.path.normpath(folder / clean(path))


def clean(path: str) -> str:
    """A path as this machine writes it: no quotes, no file://, forward slashes, home unfolded."""
    text = path.strip().strip("\"'").strip()
    if text.lower().startswith("file:"):
        address = urlparse(text)
        text = unquote(address.path)
    return os.path.expanduser(text.replace("\\", "/"))  # noqa: PTH111 - text, maybe no path at all


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # a name too long, or with a NUL
        return False


def _same_name(path: str, file: str) -> bool:
    """Whether a table has the file's bare name, which is an ordinary way to name it."""
    return path == PurePosixPath(file).name


def _refuse_shared(
    files: list[str | None], reasons: list[str], paths: Sequence[str], sought: Iterable[int]
) -> None:
    """No file for a path that was sought by name if another path has led to the same file."""
    spelt = {(file, clean(path)) for file, path in zip(files, paths, strict=True) if file}
    holders = Counter(file for file, _ in spelt)
    for i in sought:
        if holders[files[i] or ""] > 1:
            files[i], reasons[i] = None, CLAIMED


class _Index:
    """The image files below a folder by the ends of their paths, so that no search is long."""

    def __init__(self, folder: Path, masks: bool, paths_of_table: Iterable[str]) -> None:
        paths, _ = images.list_images(folder)
        below = [path.relative_to(folder).as_posix() for path in paths]
        self._folder = folder
        self._by_name: dict[tuple[str, ...], list[str]] = {}
        self._by_stem: dict[tuple[str, ...], list[str]] = {}
        for file in [name for name in below if _is_mask(name) == masks] or below:
            for ends, parts in ((self._by_name, _parts(file)), (self._by_stem, _stems(file))):
                for depth in range(1, min(len(parts), DEEPEST) + 1):
                    ends.setdefault(parts[-depth:], []).append(file)
        names = Counter(_parts(path)[-1:] for path in set(paths_of_table))
        self._again = {name for name, count in names.items() if count > 1}

    def seek(self, path: str) -> tuple[str | None, str]:
        """The one file that a path can mean, or None and the reason."""
        depth, files = _deepest(self._by_name, _parts(path))
        if not files:
            depth, files = _deepest(self._by_stem, _stems(path))
        if 1 < len(files) <= FEW:
            name = PurePosixPath(path).name
            files = [file for file in files if PurePosixPath(file).name == name] or files
        if not files or not self._fits(path, files[0], depth):
            return None, ABSENT
        return (None, SEVERAL) if len(files) > 1 else (str(self._folder / files[0]), "")

    def _fits(self, path: str, file: str, depth: int) -> bool:
        """One path ends with the other, or the name stands for one image in the whole table."""
        parts = _parts(path)
        whole = depth == min(len(parts), len(_parts(file)), DEEPEST)
        return whole or parts[-1:] not in self._again


def _deepest(
    ends: dict[tuple[str, ...], list[str]], parts: tuple[str, ...]
) -> tuple[int, list[str]]:
    """With how many names from its end a path agrees with any file, and with which."""
    for depth in range(min(len(parts), DEEPEST), 0, -1):
        if files := ends.get(parts[-depth:]):
            return depth, files
    return 0, []


def _key(text: str) -> str:
    """Small letters, accents composed: macOS writes them decomposed."""
    return unicodedata.normalize("NFC", text).casefold()


def _stem(name: str) -> str:
    """A name in small letters without the suffix of an image; a UID has none."""
    pure = PurePosixPath(_key(name))
    return pure.stem if pure.suffix in images.SUFFIXES else pure.name


def _stems(path: str) -> tuple[str, ...]:
    return (*_parts(path)[:-1], _stem(PurePosixPath(path).name))


def _is_mask(below: str) -> bool:
    return any(part.lower() in MASK_FOLDERS for part in PurePosixPath(below).parts[:-1])


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in _key(path).split("/") if part not in ("", "."))
