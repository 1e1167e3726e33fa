"""Which files below a folder are images to read, and what else lies there."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from hilum.files import ours
from hilum.files.path_list import PathList
from hilum.images.sniff import SNIFFED, SUFFIXES
from hilum.types import HilumError, LeftOut

SKIPPED_FOLDERS = frozenset({"__MACOSX"})
NO_TEXT = "its name, or that of a folder above it, is not UTF-8 text; rename it"
WRITTEN = "a folder that hilum wrote: its pictures are no films; to read them, name it"
INDEX = "DICOMDIR"  # a medium's table of contents: DICOM, but no image


def is_text(path: str | Path) -> bool:
    """Is the path text in UTF-8, as tables, JSON and HTML hold it?"""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def printable(path: str | Path) -> str:
    r"""The path with bytes that are no UTF-8 written as \xe9."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def list_images(folder: str | Path) -> tuple[list[Path], list[LeftOut]]:
    """The same as `find_images` in a list."""
    paths, left_out = find_images(folder)
    return list(paths), left_out


def find_images(folder: str | Path) -> tuple[PathList, list[LeftOut]]:
    """Image files below `folder`, sorted, and what was left out, counted by suffix.

    Files count by their suffix (SUFFIXES), those without one, or named by a DICOM UID, by the
    DICOM magic. Hidden files and folders and `__MACOSX` are passed over, links are followed once.
    So are folders that a command of hilum wrote: pictures of a report would be films of a class.
    Files with a name that is no text in UTF-8, or in a folder with such a name, are left out: no
    table could name them. Raises HilumError where `folder` itself has such a name.
    """
    root = Path(folder).expanduser().absolute()
    if not is_text(root):
        raise HilumError(
            f"expected a folder with a name in UTF-8, got {printable(root)}; rename it"
        )
    if not root.is_dir():
        raise HilumError(f"{root}: expected a folder of images, got none there; check the path")
    others: dict[tuple[str, str], list[str]] = {}
    closed: list[LeftOut] = []
    nameless: list[LeftOut] = []
    images = PathList(
        path
        for path in _files(root, closed, {os.path.realpath(root)})
        if _is_image(path, others, nameless)
    )
    left_out = [
        LeftOut(_counted(len(names), ending), why, len(names), tuple(sorted(names)))
        for (ending, why), names in sorted(others.items())
    ]
    return images, left_out + closed + nameless


def _is_image(
    path: Path, others: dict[tuple[str, str], list[str]], nameless: list[LeftOut]
) -> bool:
    """Is it an image to read? Adds it to the `others` or the `nameless` where it is not."""
    if not is_text(path):
        nameless.append(LeftOut(printable(path), NO_TEXT))
        return False
    stranger = _refusal(path)
    if stranger is not None:
        others.setdefault(stranger, []).append(str(path))
    return stranger is None


def _files(folder: Path, closed: list[LeftOut], seen: set[str], top: bool = True) -> Iterator[Path]:
    """All visible files below a folder, in the order of their parts, as paths are sorted.

    Folders that cannot be opened, and below the `top` those that a command of hilum wrote, are
    added to `closed`; `seen` are the real paths of all others.
    """

    def refuse(error: OSError) -> None:
        closed.append(LeftOut(printable(error.filename), f"cannot be opened: {error.strerror}"))

    for _, folders, names in islice(os.walk(folder, onerror=refuse), 1):  # this level alone
        if not top and ours.is_output(folder, names, folders):
            closed.append(LeftOut(printable(folder), WRITTEN))
            return
        below = {name for name in sorted(folders) if _is_new(Path(folder, name), seen)}
        visible = [name for name in names if not name.startswith(".")]
        for name in sorted([*below, *visible], key=os.path.normcase):
            path = folder / name
            if name in below:
                yield from _files(path, closed, seen, top=False)
            else:
                yield path


def _is_new(folder: Path, seen: set[str]) -> bool:
    """Is this a visible folder that no other path has led to? Remembers it."""
    if folder.name.startswith(".") or folder.name in SKIPPED_FOLDERS:
        return False
    real = os.path.realpath(folder)
    new = real not in seen
    seen.add(real)
    return new


def _refusal(path: Path) -> tuple[str, str] | None:
    """(suffix, reason) of a file that is no image to read, or None for an image."""
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return None
    if path.name.upper() == INDEX:
        return INDEX, "a table of contents, not an image"
    if suffix and not suffix[1:].isdigit():
        return suffix, "not PNG, JPEG, TIFF or DICOM"
    if path.exists() and not path.is_file():  # opening it would wait for who writes to it
        return "", "a device, pipe or socket"
    try:
        with path.open("rb") as file:
            is_dicom = file.read(SNIFFED)[128:] == b"DICM"
    except OSError as error:
        return "", f"cannot be opened: {error.strerror}"
    return None if is_dicom else ("", "without the DICOM magic")


def _counted(number: int, ending: str) -> str:
    files = "1 file" if number == 1 else f"{number:,} files"
    if ending == INDEX:
        return f"{files} named {INDEX}"
    return f"{files} ending in {ending}" if ending else f"{files} without suffix"
