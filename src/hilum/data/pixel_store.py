"""The pixel store on disk: segments of prepared images next to their records, addressed by content.

A segment is two files that only ever grow: raw pixels, and one record of fixed length per image.
Each process writes segments of its own, so that writers need no lock; what a killed writer leaves
behind is read up to its last whole record. A sealed segment holds one manifest's images in order.
"""

import os
import time
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from hilum import files
from hilum.data.fingerprints import THUMBNAIL_SIDE
from hilum.files import intact
from hilum.files.versions import IMAGES
from hilum.types import Grey8, Prepares, Stack8

# raise when the record, a fingerprint or what a file decodes to changes: stored ones then no longer
# match
VERSION = 4
NUMBERS = ("width", "height", "bytes", "bits", "mean", "std", "dark", "bright")
RECORD = np.dtype(
    [
        ("bytes_sha256", np.uint8, 32),
        ("pixels_sha256", np.uint8, 32),
        ("perceptual", np.uint8, 32),
        ("thumbnail", np.uint8, (THUMBNAIL_SIDE, THUMBNAIL_SIDE)),
        ("format", "S8"),
        ("numbers", np.float64, len(NUMBERS)),
        ("white_guessed", np.bool_),  # of a deep file that does not say what is white
        ("check", np.uint32),  # CRC-32 of the pixels and of the record before it
    ]
)
SUMMARY = np.dtype([(name, RECORD[name]) for name in RECORD.names or () if name != "thumbnail"])
_OPEN = "part"  # prefix of segments that are not sealed
_FLUSHED = 64  # images that a killed writer loses at most
_PIECE = 1 << 20  # bytes that are read at a time
_STALE = 7 * 24 * 3600  # seconds after which what a killed writer left behind is swept away


@dataclass(frozen=True)
class Segment:
    """Prepared images (image, height, width) of one size, and their records (image,)."""

    base: Path
    shape: tuple[int, int]

    @property
    def files(self) -> tuple[Path, Path]:
        """The pixels and the records."""
        return self.base.with_suffix(".pixels"), self.base.with_suffix(".records")

    def __len__(self) -> int:
        """Whole images, whatever a killed writer left after them."""
        return len(self.records)

    @cached_property
    def records(self) -> npt.NDArray[np.void]:
        """Memory-mapped records (image,) of all images that are whole."""
        pixels, records = (file.stat().st_size for file in self.files)
        complete = min(pixels // self._area, records // RECORD.itemsize)
        return _mapped(self.files[1], RECORD, (complete,))

    @cached_property
    def stack(self) -> Stack8:
        """Memory-mapped pixels (image, height, width)."""
        return _mapped(self.files[0], np.dtype(np.uint8), (len(self), *self.shape))

    def intact(self, row: int) -> bool:
        """Whether an image and its record are as they were written."""
        return bool(
            self.records[row]["check"] == record_checksum(self.stack[row], self.records[row])
        )

    def summaries(self) -> npt.NDArray[np.void]:
        """The records (image,) without their thumbnails, in memory."""
        table = np.empty(len(self), SUMMARY)
        for rows in self._pieces(RECORD.itemsize):
            records = self._read_records(rows)
            for name in SUMMARY.names or ():
                table[name][rows.start : rows.stop] = records[name]
        return table

    def damaged(self) -> int:
        """How many images or records are not as they were written; counted once by a process."""
        if intact.known_whole(*self.files):
            return 0
        with ThreadPoolExecutor(files.available_cpus()) as pool:  # a checksum holds no lock
            wrong = len(self) - sum(pool.map(self._count_intact, self._pieces(self._area)))
        if not wrong:
            intact.remember_whole(*self.files)
        return wrong

    @property
    def _area(self) -> int:
        return self.shape[0] * self.shape[1]

    def _pieces(self, size: int) -> list[range]:
        """All rows, some of so many bytes at a time: read, since mapped pages are kept once met."""
        step = max(1, _PIECE // size)
        return [range(start, min(start + step, len(self))) for start in range(0, len(self), step)]

    def _read_records(self, rows: range) -> npt.NDArray[np.void]:
        return np.fromfile(self.files[1], RECORD, len(rows), offset=rows.start * RECORD.itemsize)

    def _count_intact(self, rows: range) -> int:
        start, count = rows.start * self._area, len(rows) * self._area
        pixels = np.fromfile(self.files[0], np.uint8, count, offset=start)
        pairs = zip(pixels.reshape(-1, *self.shape), self._read_records(rows), strict=True)
        return sum(
            int(record["check"] == record_checksum(image, record)) for image, record in pairs
        )

    def remove(self) -> None:
        """Delete both files, as far as they exist and nobody forbids it."""
        for file in self.files:
            with suppress(OSError):
                file.unlink()


class Writer:
    """Appends images to a new segment; raises HilumError where the disk refuses."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.written = 0
        with _refusals(segment.base):
            segment.base.parent.mkdir(parents=True, exist_ok=True)
            self._files = [file.open("wb") for file in segment.files]

    def append(self, image: Grey8, record: npt.NDArray[np.void]) -> None:
        """Write one image (height, width) and its record (), checked again."""
        record["check"] = record_checksum(image, record)
        with _refusals(self.segment.base):
            for file, content in zip(self._files, (image, record), strict=True):
                file.write(content.tobytes())
            self.written += 1
            if self.written % _FLUSHED == 0:
                self._flush()

    def close(self) -> None:
        """Hand everything to the operating system; what was written can be read from now on."""
        with _refusals(self.segment.base):
            self._flush()
            for file in self._files:
                file.close()

    def _flush(self) -> None:
        for file in self._files:  # pixels first, then the records that vouch for them
            file.flush()


@dataclass(frozen=True, slots=True)
class Store:
    """All segments of one preparation."""

    folder: Path
    shape: tuple[int, int]

    def segments(self) -> list[Segment]:
        """Every segment with both its files, sealed or not."""
        bases = [path.with_suffix("") for path in sorted(self.folder.glob("*.records"))]
        segments = [Segment(base, self.shape) for base in bases]
        return [item for item in segments if all(file.is_file() for file in item.files)]

    def places(self) -> dict[bytes, tuple[Segment, int]]:
        """Where each image is, by the SHA-256 of its file's bytes."""
        places: dict[bytes, tuple[Segment, int]] = {}
        for segment in self.segments():
            with suppress(FileNotFoundError):  # another process has just sealed or swept it
                hashes = np.ascontiguousarray(segment.summaries()["bytes_sha256"])
                places |= {key.tobytes(): (segment, row) for row, key in enumerate(hashes)}
        return places

    def sealed(self, keys: Sequence[bytes], tell: bool = False) -> Segment | None:
        """The sealed segment of these files, in this order, if there is one and it is whole.

        `tell` says where there is one that is not.
        """
        segment = Segment(self.folder / name_of(keys), self.shape)
        if not all(file.is_file() for file in segment.files):
            return None
        if len(segment) == len(keys) and not segment.damaged():
            return segment
        if tell:
            intact.note_damage("prepared images", segment.base)
        return None

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """Open a segment of this process's own; whatever ends the block, it can be read later."""
        writer = Writer(Segment(self.folder / f"{_OPEN}-{uuid4().hex}", self.shape))
        try:
            yield writer
        finally:
            writer.close()

    def seal(self, segment: Segment, keys: Sequence[bytes]) -> Segment:
        """Synchronise a complete segment to disk and give it the name of its content."""
        target = Segment(self.folder / name_of(keys), self.shape)
        if self.sealed(keys):  # another process was faster
            segment.remove()
            return target
        with _refusals(target.base):
            for source, final in zip(segment.files, target.files, strict=True):
                _synchronise(source)
                source.replace(final)
        self._sweep()
        return target

    def _sweep(self) -> None:
        oldest = time.time() - _STALE
        for segment in self.segments():
            with suppress(OSError):
                last = segment.files[1].stat().st_mtime
                if segment.base.name.startswith(_OPEN) and last < oldest:
                    segment.remove()


def open_store(prepares: Prepares) -> Store:
    """The store of what `prepares` makes; the folder need not exist yet."""
    made_by = files.releases(*IMAGES)  # pixels that an older decoder gave are not taken for its own
    settings = (prepares.digest, list(prepares.shape), prepares.decode_side)
    digest = files.stable_digest(VERSION, made_by, *settings)
    return Store(files.cache_home() / "pixels" / digest, prepares.shape)


def name_of(keys: Sequence[bytes]) -> str:
    """Name of the sealed segment that holds these files' images in this order."""
    return files.stable_digest(b"".join(keys))


def record_checksum(image: Grey8, record: npt.NDArray[np.void]) -> int:
    """CRC-32 of an image (height, width) and of its record () without the check itself."""
    return zlib.crc32(record.tobytes()[:-4], zlib.crc32(np.ascontiguousarray(image).data))


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise files.write_error(path, error) from error


def _mapped(file: Path, kind: np.dtype, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    if 0 in shape:
        return np.empty(shape, kind)  # an empty file cannot be mapped
    return np.memmap(file, kind, "r", shape=shape)


def _synchronise(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
