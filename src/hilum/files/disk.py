"""Files on this machine: the cache home, hashes, and writes that happen whole or not at all."""

import errno
import hashlib
import json
import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from uuid import uuid4

from hilum.types import HilumError

_DIGITS = 8  # hexadecimal, in the name of a temporary file
_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")  # all that `numpy.save` says
_DIGEST_LENGTH = 32  # hexadecimal characters: 128 bits
CACHE = "HILUM_CACHE"  # the folder of the cache, where the user has chosen one
_WRITE_FAULTS = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up; free some space",
    errno.EFBIG: "the file is too large for this disk; choose another",
    errno.EROFS: "the disk is read-only; choose another folder",
    errno.EACCES: "permission denied; choose a folder that you may write to",
    errno.EPERM: "permission denied; choose a folder that you may write to",
    errno.EIO: "the disk reports an input/output error; choose another",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another path",
    errno.EEXIST: "a part of the path is a file, not a folder; choose another path",
    errno.EISDIR: "it is a folder, and a file was expected; choose another path",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}


def cache_home() -> Path:
    """Folder for downloads and prepared pixels: $HILUM_CACHE, else the platform's user cache.

    Linux follows the XDG Base Directory Specification 0.8. The folder need not exist yet.
    """
    if chosen := os.environ.get(CACHE):
        return Path(chosen).expanduser().absolute()
    return _platform_cache() / "hilum"


def _platform_cache() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    chosen = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return chosen if chosen.is_absolute() else Path.home() / ".cache"


def sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes, 64 hexadecimal characters (FIPS 180-4); OSError where it is none.

    A pipe among images would otherwise be waited for without end.
    """
    if not stat.S_ISREG(Path(path).stat().st_mode):
        raise OSError(errno.EINVAL, "a device, pipe or socket", str(path))
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stable_digest(*parts: object) -> str:
    """Short stable hash of bytes, paths and JSON-able values: the same on every machine and run.

    Dictionaries count as equal whatever the order of their keys; tuples count as lists.
    Raises TypeError for a value that JSON cannot hold.
    """
    state = hashlib.sha256()
    for part in parts:
        content = part if isinstance(part, bytes) else _canonical(part)
        kind = b"b" if isinstance(part, bytes) else b"j"
        state.update(kind + len(content).to_bytes(8, "big") + content)  # ("ab",) is not ("a", "b")
    return state.hexdigest()[:_DIGEST_LENGTH]


def _canonical(part: object) -> bytes:
    plain = part.as_posix() if isinstance(part, Path) else part
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return text.encode("ascii")


@contextmanager
def atomic_write(path: str | Path, synced: bool = True) -> Iterator[Path]:
    """Yield a temporary path in the same folder; it becomes `path` when the block ends well.

    The file and its folder are synchronised to disk, so that after a crash `path` holds the old
    content or the new, never a part. Its permissions are those of any new file there, whatever the
    library that writes it gives (safetensors: 0600). What can be drawn again need not be `synced`:
    it is whole after a killed process then, not after a power failure. A link is replaced, not what
    it leads to. Raises HilumError where the disk refuses, and for a device or pipe, which a file
    would take the place of.
    """
    target = Path(path)
    require_no_device(target)
    # suffixes stay as they are, and `remove_unfinished` knows it
    temporary = target.with_name(f".{uuid4().hex[:_DIGITS]}-{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)
        mode = stat.S_IMODE(temporary.stat().st_mode)  # as the umask and the folder have it
        yield temporary
        if stat.S_IMODE(temporary.stat().st_mode) != mode:
            temporary.chmod(mode)
        if synced:
            synchronise(temporary)
        temporary.replace(target)
        if synced:
            synchronise(target.parent)
    except OSError as error:
        if not _is_about(error, temporary):
            raise
        raise write_error(target, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def remove_unfinished(folder: Path, name: str = "*") -> None:
    """Remove what `atomic_write` of a killed process has left in a folder that this one holds."""
    for path in folder.glob(f".{'[0-9a-f]' * _DIGITS}-{name}"):
        with suppress(OSError):
            path.unlink()


def require_no_device(path: Path) -> None:
    """HilumError where a device or a pipe is, which the root user could replace with a file."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise HilumError(
            f"{path} must be a file; got a device or a pipe; choose another path, or --json to "
            "print the result."
        )


def ensure_writable_folder(folder: Path, named: Path | None = None) -> Path:
    """Make an output folder; raises HilumError, with the path as `named`, where it cannot be."""
    try:
        str(folder).encode("utf-8")
    except UnicodeEncodeError:  # nor do the libraries that write there take such a name
        printable = os.fsencode(folder).decode("utf-8", "backslashreplace")
        raise HilumError(
            f"--out must be a place with a name in UTF-8; got {printable}; choose another."
        ) from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise HilumError(
            f"--out must be a place that can be written; got {str(named or folder)!r} "
            f"({error.strerror}); choose another."
        ) from None


def write_error(path: Path, error: OSError) -> HilumError:
    """Return the sentence for a write that the disk refused: disk full, no permission, ..."""
    reason = _WRITE_FAULTS.get(fault_number(error) or 0)
    return HilumError(
        f"{path} must be written; got: {reason}."
        if reason
        else f"{path} must be written; got: {error.strerror or error}; choose another place."
    )


def fault_number(error: OSError) -> int | None:
    """Its number; that of a full disk where NumPy says how much of an array it could write."""
    return errno.ENOSPC if _SHORT_WRITE.fullmatch(str(error)) else error.errno


def _is_about(error: OSError, temporary: Path) -> bool:
    """Whether an error is of this write, not of something else in the block."""
    if error.filename is None:
        return fault_number(error) in _WRITE_FAULTS
    named = Path(os.fsdecode(error.filename))
    return named == temporary or named in temporary.parents


def synchronise(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, has reached the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot open a folder
    handle = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def synchronise_all(folder: Path) -> None:
    """The same for everything in a folder: before a mark that says that it is all there."""
    for path in [*folder.rglob("*"), folder]:
        synchronise(path)
