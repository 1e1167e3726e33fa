"""A TIFF whose channels OpenCV mixes up, taken apart into files of one channel each.

OpenCV takes planes that lie one after the other for interleaved ones, and hands out 16-bit grey
with alpha as 8 bits (findings/opencv_tiff_separate_planes.sh). Only the directory is rewritten,
at the end of the file: libtiff still decodes whatever compression the planes have. Adobe TIFF 6.0,
sections 2, 8 and 14 to 15.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from hilum.images.header import ORIENTATION, Header, directory_at
from hilum.types import HilumError

WIDTH, BITS, COMPRESSION, PHOTOMETRIC = 256, 258, 259, 262
SAMPLES, PLANAR, PREDICTOR, FORMAT = 277, 284, 317, 339
TILE_WIDTH = 322
OFFSETS = {273: 279, 324: 325}  # of strips or tiles -> their byte counts
# width, height, compression, fill order, orientation, rows per strip, predictor, tiles, JPEG tables
KEPT = frozenset({WIDTH, 257, COMPRESSION, 266, ORIENTATION, 278, PREDICTOR, TILE_WIDTH, 323, 347})
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
NUMBERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
SHORT, LONG, LONG8 = 3, 4, 16


@dataclass(frozen=True, slots=True)
class _Directory:
    """The entries of one directory by tag: type, and the values' bytes as they are.

    Section 2 of TIFF 6.0, https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf
    """

    order: str  # of bytes, "<" or ">"
    big: bool
    entries: dict[int, tuple[int, bytes]]

    def numbers(self, tag: int) -> tuple[int, ...]:
        """The values of a whole-number tag; empty where it is absent."""
        type_, content = self.entries.get(tag, (SHORT, b""))
        code = NUMBERS[type_]
        return struct.unpack(f"{self.order}{len(content) // struct.calcsize(code)}{code}", content)


def apart(data: bytes, header: Header, count: int) -> list[bytes]:
    """One TIFF of a single grey channel for each of the first `count` planes in `data`.

    Each is a copy of the file, so a file may not ask for as many as it likes.
    """
    directory = _read(data)
    tag = next((tag for tag in OFFSETS if tag in directory.entries), 0)
    offsets, lengths = directory.numbers(tag), directory.numbers(OFFSETS.get(tag, 0))
    each = len(offsets) // header.samples
    if not each or len(lengths) != len(offsets) or len(offsets) % header.samples:
        raise HilumError(
            f"expected strips or tiles for {header.samples} planes, got {len(offsets)} of them; "
            "export the image with interleaved channels"
        )
    _check_whole(data, (offsets, lengths))  # also the planes that are not taken
    parts = [slice(plane * each, (plane + 1) * each) for plane in range(count)]
    return [
        _with_one_channel(data, directory, tag, (offsets[part], lengths[part])) for part in parts
    ]


def side_by_side(data: bytes, header: Header) -> bytes:
    """Interleaved channels as one grey channel, (height, width x channels), not turned upright."""
    directory = _read(data)
    if directory.numbers(PREDICTOR) not in ((), (1,)):
        raise HilumError(
            f"expected {header.bits}-bit grey alone, got {header.samples} channels compressed with "
            "a predictor; export the image without alpha"
        )
    tag = next((tag for tag in OFFSETS if tag in directory.entries), 0)
    wide = {
        name: (
            LONG,
            struct.pack(directory.order + "I", directory.numbers(name)[0] * header.samples),
        )
        for name in (WIDTH, TILE_WIDTH)
        if name in directory.entries
    }
    entries = {name: value for name, value in directory.entries.items() if name != ORIENTATION}
    wider = _Directory(directory.order, directory.big, entries | wide)
    return _with_one_channel(
        data, wider, tag, (directory.numbers(tag), directory.numbers(OFFSETS.get(tag, 0)))
    )


def _read(data: bytes) -> _Directory:
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    start = directory_at(data[:16])
    head, entry, room = ("Q", "HHQ", 8) if big else ("H", "HHI", 4)
    (count,) = struct.unpack_from(order + head, data, start)
    at, entries, total = start + struct.calcsize(order + head), {}, 0
    for _ in range(count):
        tag, type_, number = struct.unpack_from(order + entry, data, at)
        place, length = at + struct.calcsize(order + entry), SIZES.get(type_, 1) * number
        if length > room:
            (place,) = struct.unpack_from(order + ("Q" if big else "I"), data, place)
        entries[tag] = (type_, data[place : place + length])
        total += len(entries[tag][1])
        if total > len(data):  # entries may share their bytes, and thousands of copies fill memory
            raise HilumError(
                "expected the values of a TIFF directory side by side, got values that overlap; "
                "export the image again"
            )
        at += struct.calcsize(order + entry) + room
    return _Directory(order, big, entries)


def _with_one_channel(
    data: bytes, directory: _Directory, tag: int, pieces: tuple[Sequence[int], Sequence[int]]
) -> bytes:
    """`data` with a directory at its end that knows one channel, in `pieces`: offsets, lengths."""
    _check_whole(data, pieces)
    order, long = directory.order, LONG8 if directory.big else LONG
    code = NUMBERS[long]
    short = {
        name: (SHORT, struct.pack(order + "H", value))
        for name, value in {
            BITS: directory.numbers(BITS)[0],
            PHOTOMETRIC: 1,
            SAMPLES: 1,
            PLANAR: 1,
            FORMAT: (directory.numbers(FORMAT) or (1,))[0],
        }.items()
    }
    placed = {
        name: (long, struct.pack(f"{order}{len(values)}{code}", *values))
        for name, values in zip((tag, OFFSETS[tag]), pieces, strict=True)
    }
    unchanged = {name: value for name, value in directory.entries.items() if name in KEPT}
    return _with_directory(data, order, directory.big, unchanged | short | placed)


def _check_whole(data: bytes, pieces: tuple[Sequence[int], Sequence[int]]) -> None:
    """HilumError for strips or tiles beyond the end, which would be read from our directory."""
    ends = [start + length for start, length in zip(*pieces, strict=False)]
    if max(ends, default=0) > len(data):
        raise HilumError("expected all strips or tiles of a TIFF, got fewer; copy the file again")


def _with_directory(
    data: bytes, order: str, big: bool, entries: dict[int, tuple[int, bytes]]
) -> bytes:
    """`data` with `entries` as its only directory, their longer values behind it."""
    head, entry, room = ("Q", "HHQ", 8) if big else ("H", "HHI", 4)
    offset = "Q" if big else "I"
    start = len(data) + len(data) % 2
    end = (
        start
        + struct.calcsize(order + head)
        + len(entries) * (struct.calcsize(order + entry) + room)
        + struct.calcsize(order + offset)
    )
    table, values = struct.pack(order + head, len(entries)), b""
    for tag, (type_, content) in sorted(entries.items()):
        table += struct.pack(order + entry, tag, type_, len(content) // SIZES[type_])
        if len(content) <= room:
            table += content.ljust(room, b"\0")
        else:
            table += struct.pack(order + offset, end + len(values))
            values += content + b"\0" * (len(content) % 2)
    where = 8 if big else 4
    relinked = data[:where] + struct.pack(order + offset, start) + data[where + room :]
    return relinked.ljust(start, b"\0") + table + struct.pack(order + offset, 0) + values
