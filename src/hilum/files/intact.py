"""Whether a stored file still is what was written: each is looked at once by a process.

A CRC-32 finds every flipped bit and every run of up to 32 wrong ones (Peterson and Brown 1961,
doi:10.1109/JRPROC.1961.287814): caches have it. Models are passed on and have SHA-256.
"""

import struct
import warnings
import zlib
from pathlib import Path
from typing import TypeAlias

from hilum.files.disk import sha256
from hilum.types import HilumWarning

Identity: TypeAlias = tuple[str, int, int, int]  # path, file number, bytes, time of last change
_MARK = b"CRC1"
_TRAILER = struct.Struct("<4sI")  # the mark, the CRC-32 of all before it
TRAILER_BYTES = _TRAILER.size
_PART = 1 << 20  # bytes read at a time
_hashes: dict[Identity, str] = {}
_whole: set[tuple[Identity, ...]] = set()


def identity(path: Path) -> Identity:
    """What changes with a file's content; raises OSError where there is none."""
    state = path.stat()
    return str(path), state.st_ino, state.st_size, state.st_mtime_ns


def sha256_once(path: Path) -> str:
    """`sha256`, computed again only where the file has changed since this process last did."""
    key = identity(path)
    if key not in _hashes:
        _hashes[key] = sha256(path)
    return _hashes[key]


def known_whole(*paths: Path) -> bool:
    """Whether this process has called `remember_whole` for these files as they are now."""
    return tuple(map(identity, paths)) in _whole


def remember_whole(*paths: Path) -> None:
    """Note that files were checked and are whole."""
    _whole.add(tuple(map(identity, paths)))


def crc32(path: Path, end: int | None = None) -> int:
    """CRC-32 (ISO 3309) of a file's bytes, of the first `end` where that is given."""
    total, left = 0, path.stat().st_size if end is None else end
    with path.open("rb") as file:
        while left > 0 and (part := file.read(min(left, _PART))):
            total, left = zlib.crc32(part, total), left - len(part)
    return total


def add_trailer(path: Path) -> None:
    """Append the CRC-32 of a file's bytes to it."""
    trailer = _TRAILER.pack(_MARK, crc32(path))
    with path.open("ab") as file:
        file.write(trailer)


def has_trailer(path: Path) -> bool:
    """Whether a file ends with the CRC-32 of its bytes; raises OSError where there is none."""
    if known_whole(path):
        return True
    end = path.stat().st_size - _TRAILER.size
    if end < 0:
        return False
    with path.open("rb") as file:
        file.seek(end)
        mark, check = _TRAILER.unpack(file.read(_TRAILER.size))
    if mark != _MARK or check != crc32(path, end):
        return False
    remember_whole(path)
    return True


def note_damage(what: str, path: Path) -> None:
    """Say that a file of the cache is not what was written, and is made anew."""
    warnings.warn(
        f"{what} in the cache ({path}) were cut, changed or made by an earlier version; "
        "they are made anew.",
        HilumWarning,
        stacklevel=1,  # one place for all: Python shows the same words from it once
    )
