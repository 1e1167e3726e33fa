"""Headers whose parts are few bytes each and much work together."""

import struct
import time
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from hilum import images
from hilum.images import jpeg
from hilum.types import HilumError

if TYPE_CHECKING:
    from peak_memory import PeakMemory

MEBIBYTE = 1 << 20


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def jpeg_of(*segments: bytes) -> BytesIO:
    frame = segment(0xC0, struct.pack(">BHHB", 8, 9, 9, 1) + b"\1\x11\0")
    return BytesIO(b"\xff\xd8" + b"".join(segments) + frame + b"\xff\xda")


def test_a_jpeg_of_many_tables() -> None:
    table = segment(0xDB, b"\0" + bytes(range(1, 65)))
    assert jpeg.read_header(jpeg_of(*[table] * 8)).width == 9
    with pytest.raises(HilumError, match="bytes of JPEG tables"):
        jpeg.read_header(jpeg_of(*[segment(0xDB, bytes(60_000))] * 2))


def exif(orientation: int, entries: int) -> bytes:
    rows = struct.pack("<HHII", 274, 3, 1, orientation) * entries
    return segment(0xE1, b"Exif\0\0II*\0" + struct.pack("<IH", 8, entries) + rows + bytes(4))


def test_a_jpeg_of_many_exif_blocks_parses_the_last() -> None:
    stream = jpeg_of(*[exif(3, 4096)] * 300, exif(6, 1))
    start = time.process_time()
    assert jpeg.read_header(stream).orientation == 6
    assert time.process_time() - start < 0.5  # all of them: 1.2 million entries, seconds


def planar(samples: int) -> bytes:
    file = BytesIO()
    pixels = np.zeros((samples, 2, 2), np.uint16)
    tifffile.imwrite(file, pixels, photometric="minisblack", planarconfig="separate", metadata=None)
    return file.getvalue()


def test_a_tiff_of_many_planes_is_copied_for_those_wanted(peak_memory: "PeakMemory") -> None:
    data = planar(4000)
    with peak_memory() as grown:
        assert images.read(data).pixels.shape == (2, 2)
    assert grown() < 64 * MEBIBYTE  # all of them: 4,000 copies of 70 kB


def test_a_tiff_whose_entries_share_their_bytes(peak_memory: "PeakMemory") -> None:
    data, content = planar(3), bytes(MEBIBYTE)
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    rows = data[start + 2 : start + 2 + 12 * count]
    rows += b"".join(struct.pack("<HHII", 40_000 + at, 1, len(content), 8) for at in range(1000))
    whole = b"II*\0" + struct.pack("<I", len(data) + len(content)) + data[8:] + content
    whole += struct.pack("<H", count + 1000) + rows + bytes(4)
    with peak_memory() as grown, pytest.raises(HilumError, match="overlap"):
        images.read(whole)
    assert grown() < 64 * MEBIBYTE
