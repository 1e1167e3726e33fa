"""Unpacking archives that strangers made: nothing is written outside, nothing grows without end."""

import bz2
import gzip
import lzma
import stat
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeAlias

from hilum import files
from hilum.types import HilumError

Progress: TypeAlias = Callable[[int, int], None] | None

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_UNPACKERS = {
    ".gz": gzip.open,
    ".tgz": gzip.open,
    ".bz2": bz2.open,
    ".tbz2": bz2.open,
    ".xz": lzma.open,
    ".txz": lzma.open,
}
_CHUNK = 1 << 20
_ENCRYPTED = 0x1  # general purpose bit 0, APPNOTE.TXT 4.4.4
_LONGEST_NAME = 255  # bytes of one component on common file systems
_DEVICES = {"con", "prn", "aux", "nul", *(f"{d}{i}" for d in ("com", "lpt") for i in range(10))}
_FAULTS = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    ValueError,  # what a corrupt name or number raises
    RuntimeError,  # encrypted, and NotImplementedError for an unknown compression
    OSError,  # bzip2 and gzip complain with it, too
)


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """How much an archive may hold."""

    members: int = 2_000_000
    bytes: int = 500 * 2**30
    ratio: int = 100  # unpacked / packed bytes; images hardly shrink, bombs do a thousandfold
    free: int = 16 * 2**20  # unpacked bytes below which the ratio does not matter


@dataclass(frozen=True, slots=True)
class _Member:
    """One entry: its name as written, what it is, and how to read it."""

    name: str
    kind: str  # "file", "folder", or what is refused
    size: int
    open: Callable[[], IO[bytes]]


_LIMITS = ArchiveLimits()


def is_archive(path: str | Path) -> bool:
    """Whether the name is that of a zip or tar file."""
    return Path(path).name.lower().endswith(SUFFIXES)


def extract(
    archive: Path, to: Path, progress: Progress = None, limits: ArchiveLimits = _LIMITS
) -> int:
    """Unpack a zip or tar into the folder `to` and return the number of files.

    Raises HilumError, and stops, at the first member that would leave the folder (absolute, "..",
    a drive), that is a link, a device or encrypted, that comes twice, or that goes over `limits`;
    also for a damaged archive. Existing files are never overwritten. `progress` counts bytes.
    """
    count, done = 0, 0
    allowed = min(limits.bytes, max(limits.free, limits.ratio * archive.stat().st_size))
    try:
        for member in _members(archive, allowed):
            count += 1
            if count > limits.members:
                raise _refusal(archive, f"more than {limits.members} members")
            if member.size > allowed - done:
                raise _refusal(archive, f"{member.name!r} that unpacks beyond {allowed} bytes")
            done += _write(archive, member, to, allowed - done)
            if progress:
                progress(done, 0)
    except _FAULTS as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise files.write_error(Path(error.filename or to), error) from error
        raise _refusal(archive, f"damage ({str(error) or type(error).__name__})") from error
    return count


def _refusal(archive: Path, what: str) -> HilumError:
    return HilumError(
        f"{archive} must be a sound archive of plain files; got {what}; "
        "fetch it again, or unpack by hand what you trust."
    )


def _members(archive: Path, allowed: int) -> Iterator[_Member]:
    if archive.suffix.lower() == ".zip":
        return _zip_members(archive)
    return _tar_members(archive, 2 * allowed + _LIMITS.free)  # headers can outweigh small files


def _zip_members(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():

            def read(info: zipfile.ZipInfo = info) -> IO[bytes]:
                return opened.open(info)

            yield _Member(info.orig_filename, _zip_kind(info), info.file_size, read)


def _zip_kind(info: zipfile.ZipInfo) -> str:
    mode = info.external_attr >> 16
    if info.flag_bits & _ENCRYPTED:
        return "encrypted"
    if stat.S_ISLNK(mode):
        return "a link"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "a device"
    return "folder" if info.is_dir() or stat.S_ISDIR(mode) else "file"


def _tar_members(archive: Path, most: int) -> Iterator[_Member]:
    unpack: Any = _UNPACKERS.get(archive.suffix.lower(), open)
    with unpack(archive, "rb") as raw:
        stream = _Tail(raw, most)
        source: Any = stream  # tarfile needs no more of a file than `read`
        with tarfile.open(fileobj=source, mode="r|", errorlevel=2) as opened:
            for info in opened:

                def read(info: tarfile.TarInfo = info) -> Any:
                    return opened.extractfile(info)

                yield _Member(info.name, _tar_kind(info), info.size, read)
        stream.require_end()


class _Tail:
    """A stream that counts what it gives and knows its last block, since tarfile takes a cut-off
    archive for a shorter one.
    """

    def __init__(self, raw: IO[bytes], most: int) -> None:
        self._raw, self._left, self._last = raw, most, b""

    def read(self, size: int) -> bytes:
        chunk = self._raw.read(size)
        self._left -= len(chunk)
        if self._left < 0:
            raise tarfile.ReadError("it unpacks without end")
        self._last = (self._last + chunk)[-tarfile.BLOCKSIZE :]
        return chunk

    def require_end(self) -> None:
        """Read on to the end; an archive ends in empty blocks (POSIX.1-2017, pax)."""
        while self.read(_CHUNK):
            pass
        if self._last != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("its end is missing")


def _tar_kind(info: tarfile.TarInfo) -> str:
    if info.issym() or info.islnk():
        return "a link"
    if info.issparse():
        return "a sparse file"
    if info.isdir():
        return "folder"
    return "file" if info.isreg() else "a device"


def _write(archive: Path, member: _Member, to: Path, allowed: int) -> int:
    """Write one member below `to`; return its number of bytes."""
    parts = _safe_parts(archive, member.name)
    target = to.joinpath(*parts)
    if not parts and member.kind != "folder":
        raise _refusal(archive, f"a file without a name ({member.name!r})")
    if member.kind not in ("file", "folder"):
        raise _refusal(archive, f"{member.name!r}, which is {member.kind}")
    try:
        if member.kind == "folder":
            target.mkdir(parents=True, exist_ok=True)
            return 0
        target.parent.mkdir(parents=True, exist_ok=True)
        with member.open() as source, target.open("xb") as file:
            return _pour(archive, member, (source, file), allowed)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise _refusal(archive, f"{member.name!r} twice, or as file and folder") from None


def _pour(
    archive: Path, member: _Member, streams: tuple[IO[bytes], IO[bytes]], allowed: int
) -> int:
    source, file = streams
    written = 0
    while chunk := source.read(_CHUNK):
        written += len(chunk)
        if written > allowed:
            raise _refusal(archive, f"{member.name!r} that unpacks to more than it says")
        file.write(chunk)
    if written != member.size:
        raise _refusal(archive, f"{member.name!r} cut short at byte {written} of {member.size}")
    return written


def _safe_parts(archive: Path, name: str) -> list[str]:
    """The components of a member's name, which may be below the folder."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    if name.startswith(("/", "\\")) or any(_is_unsafe(part) for part in parts):
        raise _refusal(archive, f"the name {name!r}, which could lead outside")
    return parts


def _is_unsafe(part: str) -> bool:
    """ ".." and its look-alikes, drives and streams (":"), control characters, device names."""
    plain = unicodedata.normalize("NFKC", part)
    return (
        plain.strip(" .") == ""
        or any(char in "/\\:" or unicodedata.category(char) in ("Cc", "Cs") for char in plain)
        or plain.split(".")[0].strip().lower() in _DEVICES
        or len(part.encode("utf-8", "replace")) > _LONGEST_NAME
    )
