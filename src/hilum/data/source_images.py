"""Source images: what files decoded to, kept so that no later reader decodes them again.

Training needs prepared pixels; the out-of-distribution detector, the audits and the report need the
film before any step. Each entry is one image, whole and exact, under the SHA-256 of its file's
bytes. Entries are raw: a lossless codec takes longer to read than most films take to decode. The
folder is bounded, the entries that were unused for longest go first, and none is indispensable:
what is absent, damaged or of another decoder is decoded from its file.
"""

import os
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from hilum import files, images
from hilum.files import intact
from hilum.files.versions import IMAGES
from hilum.types import GreyImage, Image

VERSION = 1  # raise when the layout of an entry or what a file decodes to changes
MOST_BYTES = 2 << 30  # of all entries together
AT_ONCE = 1 << 30  # bytes that one preparation keeps: later readers need a few hundred images
SCALES = (1, 2, 4, 8)  # of a file's further entries, where its first is of another scale
_FREE = 4  # a preparation takes no more than one part in so many of the free disk
Keep: TypeAlias = Callable[[Image, int | None], None]  # an image, the side that it was decoded for
_HEAD = np.dtype(
    [
        ("check", np.uint32),  # CRC-32 of all that follows it
        ("shape", np.uint32, 2),  # (height, width) of the entry
        ("file_shape", np.uint32, 2),  # (height, width) of the file, upright
        ("at_least", np.uint32),  # what the decoder was asked for; 0: every pixel
        ("shrinks", np.bool_),  # whether its decoder may shrink a file of this format
        ("floats", np.bool_),  # float32 in place of uint8
    ]
)
_CHECKED = _HEAD.fields["check"][0].itemsize if _HEAD.fields else 0


@dataclass(frozen=True)
class SourceImages:
    """The entries of this release of hilum and its decoders; the folder need not exist yet."""

    home: Path  # of all releases

    @cached_property
    def folder(self) -> Path:
        """Where the entries of these very decoders are."""
        return self.home / files.stable_digest(VERSION, files.releases(*IMAGES))

    def read(self, path: str | Path, sha256: str, at_least: int | None) -> GreyImage:
        """The pixels (height, width) that `images.read` gives, from an entry where there is one.

        A file that is gone is gone, whatever is kept of it. Raises HilumError as `images.read`.
        """
        first = self.folder / sha256
        others = [self.folder / f"{sha256}-{scale}" for scale in SCALES]
        if sha256 and Path(path).is_file():
            for entry in (first, *others):
                if (pixels := _pixels(entry, at_least)) is not None:
                    return pixels
        image = images.read(path, at_least, hashed=True)
        if image.sha256 == sha256:
            place = others[SCALES.index(_scale(image, at_least))] if _stored(first) else first
            self.write(place, image, at_least)
            self.sweep()
        return image.pixels

    def keep(self, image: Image, at_least: int | None) -> int:
        """Write an entry of an image that knows its hash, if there is none; the bytes written."""
        path = self.folder / image.sha256
        return 0 if path.is_file() else self.write(path, image, at_least)

    def write(self, path: Path, image: Image, at_least: int | None) -> int:
        """Write an entry; its bytes, or 0 where the disk refuses, which costs time but no result.

        Under its name from the start: a reader who meets half an entry finds it damaged, and a
        temporary name costs as much again as the pixels of a small film.
        """
        try:
            if not self.folder.is_dir():
                self.folder.mkdir(parents=True, exist_ok=True)
            with path.open("wb", buffering=0) as file:
                written = file.write(_head(image, at_least).tobytes())
                return written + file.write(np.ascontiguousarray(image.pixels).data)
        except OSError:
            return 0

    def sweep(self) -> None:
        """Delete the entries that were unused for longest, until the rest is within MOST_BYTES."""
        every = sorted(_listed(self.home), reverse=True)  # the most recently used first
        total = 0
        for _, size, path in every:
            total += size
            if total > MOST_BYTES:
                with suppress(OSError):  # another process was faster, or is reading it
                    path.unlink()


def open_source_images() -> SourceImages:
    """The source images in the cache."""
    return SourceImages(files.cache_home() / "sources")


@contextmanager
def keeping(wanted: bool) -> Iterator[Keep]:
    """What keeps images as they are decoded, by any thread, until AT_ONCE bytes are written."""
    sources = open_source_images()
    left = min(AT_ONCE, _free(sources.home) // _FREE) if wanted else 0

    def keep(image: Image, at_least: int | None) -> None:
        nonlocal left
        if left > 0:
            left -= sources.keep(image, at_least)

    before = left
    yield keep
    if left < before:
        sources.sweep()


def _free(folder: Path) -> int:
    """Bytes that may still be written to the disk of a folder that need not exist yet."""
    there = next((place for place in (folder, *folder.parents) if place.is_dir()), None)
    return shutil.disk_usage(there).free if there else 0


def _head(image: Image, at_least: int | None) -> Any:
    facts, pixels = image.facts, image.pixels
    head = np.zeros((), _HEAD)
    head["shape"] = pixels.shape
    head["file_shape"] = facts.get("height", 0), facts.get("width", 0)
    head["at_least"] = at_least or 0
    head["shrinks"] = facts.get("format") in images.SHRINKING
    head["floats"] = pixels.dtype == np.float32
    head["check"] = _check(head.tobytes(), np.ascontiguousarray(pixels).data)
    return head


def _check(head: bytes, pixels: memoryview | bytes) -> int:
    return zlib.crc32(pixels, zlib.crc32(head[_CHECKED:]))


def _scale(image: Image, at_least: int | None) -> int:
    """By how much the decoder of a format that shrinks reduces such a file."""
    shorter = min(int(image.facts.get(side, 0)) for side in ("height", "width"))
    return images.reduction(shorter, at_least)


def _stored(entry: Path) -> tuple[Any, memoryview] | None:
    """Head and pixels of an entry, or None where it is absent or damaged."""
    try:
        data = entry.read_bytes()
    except OSError:
        return None
    if len(data) >= _HEAD.itemsize:
        head, body = np.frombuffer(data, _HEAD, 1)[0], memoryview(data)[_HEAD.itemsize :]
        if head["check"] == _check(data[: _HEAD.itemsize], body):
            return head, body
    intact.note_damage("decoded images", entry.parent)
    return None


def _pixels(entry: Path, at_least: int | None) -> GreyImage | None:
    """Pixels (height, width) of an intact entry that is what `at_least` would decode to."""
    stored = _stored(entry)
    if stored is None or not _is_same_decode(stored[0], at_least):
        return None
    head, body = stored
    with suppress(OSError):
        os.utime(entry)  # used now
    pixels = np.frombuffer(body, np.float32 if head["floats"] else np.uint8)
    return pixels.reshape(head["shape"]).copy()  # as a decoder gives them: free to be changed


def _is_same_decode(head: Any, at_least: int | None) -> bool:
    """Whether decoding for `at_least` gives the very pixels that decoding for the entry's gave."""
    kept = int(head["at_least"]) or None
    if not head["shrinks"] or kept == at_least:
        return True
    unreduced = bool((head["shape"] == head["file_shape"]).all())
    if unreduced and kept is not None and (at_least is None or at_least >= kept):
        return True  # what was not shrunk for less is not shrunk for more
    shorter = int(head["file_shape"].min())
    return images.reduction(shorter, kept) == images.reduction(shorter, at_least)


def _listed(home: Path) -> Iterator[tuple[float, int, Path]]:
    """(last use, bytes, path) of every entry of any release."""
    for path in home.glob("*/*"):
        with suppress(OSError):
            stat = path.stat()
            yield stat.st_mtime, stat.st_size, path
